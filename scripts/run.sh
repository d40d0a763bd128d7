#!/usr/bin/env bash
# Builds the release binary and starts the switch on a configuration directory, in the foreground.
#
#   scripts/run.sh [DIR]     DIR is conf/ unless told
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh run
echo "building crosspoint (the first build takes a few minutes)"
cargo build --release --package crosspoint
exec "${CARGO_TARGET_DIR:-target}/release/crosspoint" run --conf "${1:-conf}"
