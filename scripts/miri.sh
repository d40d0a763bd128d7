#!/usr/bin/env bash
# Runs the queue between the planes under Miri, which finds undefined behaviour that tests cannot see. Miri is a part of
# nightly toolchains; where there is none this says so and ends with status 0, so that it can stand in any list.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo +nightly miri --version >/dev/null 2>&1; then
    echo "miri: cannot run here: no nightly toolchain with the component 'miri'" \
        "(rustup toolchain install nightly --component miri)"
    exit 0
fi
cargo +nightly miri test --package link
