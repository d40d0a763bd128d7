#!/usr/bin/env bash
# Starts the switch on conf/, places 100 calls with audio through it, and says what happened.
#
#   scripts/demo.sh [options of crosspoint-perf run]
#
# conf/'s demo route rings 127.0.0.1:5080, where crosspoint-perf answers. The exit status is crosspoint-perf's: 0 when
# every call and every packet went as it should.
set -euo pipefail
cd "$(dirname "$0")/.."

# Where conf/ listens, the number of its demo route, and where that rings.
target=${DEMO_TARGET:-sip:100@127.0.0.1:5060}
answer=${DEMO_ANSWER:-127.0.0.1:5080}

scripts/packages.sh run
echo "building crosspoint and crosspoint-perf (the first build takes a few minutes)"
cargo build --release --package crosspoint --package crosspoint-perf
binaries=${CARGO_TARGET_DIR:-target}/release

state=$(mktemp -d)
switch=
# shellcheck disable=SC2317 # called by the trap
finish() {
    if [ -n "$switch" ] && kill -0 "$switch" 2>/dev/null; then
        kill -TERM "$switch"
        wait "$switch" || true
    fi
    rm -rf "$state"
}
trap finish EXIT

"$binaries/crosspoint" run --conf conf --base-dir "$state" >"$state/switch.out" 2>&1 &
switch=$!
for _ in $(seq 300); do
    if grep -q '^ready: ' "$state/switch.out" || ! kill -0 "$switch" 2>/dev/null; then
        break
    fi
    sleep 0.1
done
# An error at the start, such as a port that another program has, would have that other program measured.
if grep -q ' ERROR ' "$state/switch.out" || ! grep '^ready: ' "$state/switch.out"; then
    echo "the switch did not start as it should:" >&2
    cat "$state/switch.out" >&2
    exit 2
fi

status=0
"$binaries/crosspoint-perf" run --target "$target" --answer "$answer" --calls 100 --rate 20 --hold 3s --wait 5s \
    --pid "$switch" "$@" || status=$?

if ! kill -0 "$switch" 2>/dev/null; then
    echo "the switch ended:" >&2
    cat "$state/switch.out" >&2
    exit 2
fi
kill -TERM "$switch"
wait "$switch" || { echo "the switch ended with status $?" >&2; status=2; }
switch=
if [ "$status" -ne 0 ]; then
    echo "what the switch said last:" >&2
    tail -n 20 "$state/switch.out" >&2
fi
exit "$status"
