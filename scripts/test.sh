#!/usr/bin/env bash
# All tests, the end-to-end ones with real SIPp included. Arguments go to cargo test.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh test
# The end-to-end tests start these binaries; built here so that no test waits for a compiler.
cargo build --package crosspoint --package crosspoint-perf
cargo test --workspace "$@"
