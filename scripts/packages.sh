#!/usr/bin/env bash
# Installs the Debian packages that a purpose needs, when they are missing, with a word about what and why.
#
#   scripts/packages.sh run     what building and running the switch needs
#   scripts/packages.sh test    the same, and the real programs that the end-to-end tests talk to
#   scripts/packages.sh ci      the same, and what checks the scripts
set -euo pipefail

# Each line: command that proves it is there | package | why
needs_run='cc|build-essential|compiles the C parts of PCRE2 and links the binary'
needs_test='sipp|sip-tester|SIPp, the caller and the callee of the end-to-end tests'
needs_ci='shellcheck|shellcheck|checks the shell scripts
git|git|tells cargo xtask tidy which files belong to the project'

purpose=${1:-run}
case $purpose in
    run) needs=$needs_run ;;
    test) needs=$needs_run$'\n'$needs_test ;;
    ci) needs=$needs_run$'\n'$needs_test$'\n'$needs_ci ;;
    *)
        echo "usage: scripts/packages.sh run|test|ci" >&2
        exit 2
        ;;
esac

if ! command -v cargo >/dev/null; then
    echo "Rust is missing: install rustc and cargo 1.90 or later (https://rustup.rs), then try again." >&2
    exit 1
fi

missing=()
while IFS='|' read -r program package why; do
    if ! command -v "$program" >/dev/null; then
        missing+=("$package")
        echo "missing: $package ($why)"
    fi
done <<<"$needs"

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "No apt-get here. Install these (Debian's names) by this system's own means, then try again:" >&2
    echo "    ${missing[*]}" >&2
    exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Not root, and no sudo here. As root, run this, then try again:" >&2
        echo "    apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "installing with apt-get: ${missing[*]}"
install() {
    # `env`, because sudo does not pass the environment on.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" \
        </dev/null >"$log" 2>&1
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! install; then
    # The list of packages may be missing or old: fetch it once and try again.
    if ! { "${as_root[@]}" apt-get update -q </dev/null >"$log" 2>&1 && install; }; then
        tail -n 20 "$log" >&2
        echo "apt-get could not install: ${missing[*]}" >&2
        exit 1
    fi
fi
