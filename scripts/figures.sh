#!/usr/bin/env bash
# The figures of signalling and memory: calls per second and CPU per call in bypass mode before anything is
# retransmitted, and resident memory per call, idle and with media. Relaying has its own: cargo bench -p benches.
#
#   scripts/figures.sh [rounds]
#
# Everything stays on loopback and is bounded in count and time. Both programs share this machine's cores.
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${1:-3}
cargo build --release --quiet --package crosspoint --package crosspoint-perf
binaries=${CARGO_TARGET_DIR:-target}/release
work=$(mktemp -d)
switch=
# shellcheck disable=SC2317 # called by the trap
finish() {
    if [ -n "$switch" ] && kill -TERM "$switch" 2>/dev/null; then wait "$switch" || true; fi
    rm -rf "$work"
}
trap finish EXIT

# The shipped configuration without its limits of admission.
cp -r conf "$work/conf"
sed -i -e 's/\(name="sessions-per-second" value="\)[0-9]*/\1100000/' -e 's/\(name="max-sessions" value="\)[0-9]*/\150000/' \
    "$work/conf/autoload_configs/switch.conf.xml"
sed -i -e 's/\(name="max-recv-requests-per-second" value="\)[0-9]*/\10/' "$work/conf/sip_profiles/external.xml"

start() {
    "$binaries/crosspoint" run --conf "$work/conf" --base-dir "$work/base" >"$work/out" 2>&1 &
    switch=$!
    until grep -q '^ready:' "$work/out"; do
        kill -0 "$switch" || { cat "$work/out"; exit 2; }
        read -r -t 0.1 <> <(:) || true
    done
}
stop() {
    kill -TERM "$switch"
    wait "$switch" || true
    switch=
}
resident() { awk '/VmRSS/ {print $2}' "/proc/$switch/status"; }
counter() { grep -o "$1=[0-9]*" "$work/out" | tail -1 | cut -d= -f2 || true; }

echo "bypass calls of 1 s: 5 s at each rate, $rounds rounds; retransmissions of the whole run"
printf '%8s %10s %14s %16s %16s\n' 'rate/s' 'answered' 'CPU us/call' 'resent by us' 'resent to us'
for ((round = 1; round <= rounds; round++)); do
    for rate in 250 500 750 1000 1500; do
        start
        "$binaries/crosspoint-perf" run --target sip:101@127.0.0.1:5060 --answer 127.0.0.1:5080 --media none \
            --hold 1s --rate "$rate" --calls $((rate * 5)) --pid "$switch" --json "$work/json" >"$work/perf" 2>&1 || true
        stop
        answered=$(grep -o 'answered [0-9]*' "$work/perf" | head -1 | cut -d' ' -f2)
        cpu=$(grep -o '[0-9.]* µs per call' "$work/perf" | cut -d' ' -f1)
        printf '%8s %10s %14s %16s %16s\n' "$rate" "${answered:-0}/$((rate * 5))" "${cpu:--}" \
            "$(counter retransmissions_sent | grep . || echo 0)" "$(counter retransmissions_received | grep . || echo 0)"
    done
done

echo
echo "resident memory: 2,000 idle bypass calls, then 500 calls with media"
printf '%10s %14s %14s %16s\n' 'media' 'before, kB' 'with calls, kB' 'per call, kB'
for kind in none:101:2000:400 pcmu:100:500:50; do
    IFS=: read -r media number calls rate <<<"$kind"
    start
    before=$(resident)
    "$binaries/crosspoint-perf" run --target "sip:$number@127.0.0.1:5060" --answer 127.0.0.1:5080 --media "$media" \
        --hold 12s --rate "$rate" --calls "$calls" --pid "$switch" >"$work/perf" 2>&1 || true
    peak=$(awk '/VmHWM/ {print $2}' "/proc/$switch/status")
    stop
    printf '%10s %14s %14s %16s\n' "$media" "$before" "$peak" "$(awk "BEGIN {printf \"%.1f\", ($peak - $before) / $calls}")"
done
