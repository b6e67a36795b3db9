#!/usr/bin/env bash
# Installs what building, testing and the demo need and is not there yet. Says what it does.
#
#   scripts/setup.sh build          compilers and libraries
#   scripts/setup.sh build demo     and the phones of `make demo`
#   scripts/setup.sh build demo test   and the peers of the system tests
#   scripts/setup.sh build perf        and the receivers that Earwitness is measured beside
set -euo pipefail

build=(clang cmake libavcodec-dev libavformat-dev libavutil-dev libclang-dev libstd-rust-web-dev-bpf libzstd-dev
       llvm-22-dev libpolly-22-dev make pkg-config rustc-web zlib1g-dev)
demo=(baresip-core espeak-ng ethtool iproute2 sox)
test=(kamailio linphone-cli procps sip-tester tshark)
perf=(ethtool iproute2 libaio1 libleveldb1d libseccomp2 netsniff-ng procps tcpdump tshark util-linux)
linker_version=0.13.0

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

wanted=()
peers=0
for group in "$@"; do
    case $group in
        build) wanted+=("${build[@]}") ;;
        demo) wanted+=("${demo[@]}") ;;
        test) wanted+=("${test[@]}") ;;
        perf) wanted+=("${perf[@]}"); peers=1 ;;
        *) die "unknown group $group: use build, demo, test, perf" ;;
    esac
done

missing=()
for package in "${wanted[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done

if ((${#missing[@]})); then
    command -v apt-get >/dev/null || die "not a Debian system: install by hand: ${missing[*]}"
    as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || die "needs root for: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    say "installing with apt: ${missing[*]}"
    # No service starts by itself (Kamailio's would): Debian asks this program, and 101 is no.
    no_services=/usr/sbin/policy-rc.d
    if [[ ! -e $no_services ]]; then
        trap '"${as_root[@]}" rm -f "$no_services"' EXIT
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$no_services" >/dev/null
        "${as_root[@]}" chmod 755 "$no_services"
    fi
    "${as_root[@]}" apt-get update -qq
    # Debian asks about capturing as non-root when tshark arrives; the answer that changes nothing is no.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    # Nor at the next boot: only what was installed here, which nobody else has switched on.
    if [[ " ${missing[*]} " == *" kamailio "* && -d /run/systemd/system ]] && command -v systemctl >/dev/null; then
        say "switching kamailio off, which Debian starts at boot: systemctl disable kamailio"
        "${as_root[@]}" systemctl --quiet disable kamailio
    fi
fi

command -v cargo >/dev/null || die "cargo is missing: install Rust with rustup (https://rustup.rs), stable toolchain"

if ! bpf-linker --version 2>/dev/null | grep -q "$linker_version"; then
    say "building bpf-linker $linker_version with cargo (about two minutes, once)"
    PATH=/usr/lib/llvm-22/bin:$PATH cargo install --quiet --locked bpf-linker --version "$linker_version" \
        --no-default-features --features llvm-22
fi
# Its package would make a user and a service; the program alone is what is measured.
stenotype=$(dirname "$0")/../target/peers/usr/sbin/stenotype
if ((peers)) && [[ ! -x $stenotype ]]; then
    say "unpacking stenotype from Debian's stenographer into target/peers"
    folder=$(mktemp -d)
    (cd "$folder" && apt-get download -qq stenographer 2>/dev/null && dpkg -x stenographer_*.deb .)
    mkdir -p "$(dirname "$stenotype")"
    cp "$folder/usr/sbin/stenotype" "$stenotype"
    rm -rf "$folder"
fi
say "everything is there"
