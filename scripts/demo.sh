#!/usr/bin/env bash
# The main job in front of your eyes: two SIP phones (baresip) call each other across network namespaces, a bridge
# mirrors their ports to a tap, Earwitness records from the tap with XDP, and the recording is checked against
# what was spoken. Without root, or without XDP, a generated call is replayed instead.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${EARWITNESS_BIN_DIR:-$PWD/target/release}
work=$(mktemp -d -t earwitness-demo.XXXXXX)
tag=ew$$

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }

# shellcheck source=scripts/phones.sh
source scripts/phones.sh

finish() {
    status=$?
    leave_stage
    if ((status == 0)); then rm -rf "$work"; else printf 'demo: its files are in %s\n' "$work" >&2; fi
}
trap finish EXIT

replay_instead() {
    say "Not with phones here: $1. Replaying a generated call instead."
    "$bin/earwitness-fixtures" "$work/sample.pcap" --calls 1 --seconds 5
    "$bin/earwitness" replay "$work/sample.pcap" --data-dir "$work/data"
    "$bin/earwitness" recordings list --data-dir "$work/data"
    "$bin/earwitness" check --data-dir "$work/data"
    exit 0
}

((EUID == 0)) || replay_instead "network namespaces and XDP need root"
ip netns add "$switch" 2>/dev/null || replay_instead "network namespaces cannot be made"

say "Two phones, one switch, one tap"
set_stage alice bob

speak() { # file, voice, delay in seconds, text
    espeak-ng -v "$2" -w "$work/spoken.wav" "$4"
    sox "$work/spoken.wav" -r 8000 -c 1 -b 16 "$work/$1" pad "$3" 3 gain -3
}
speak alice.wav en-gb 0.3 "Hello, this is Alice. I would like to order three boxes of paper, please."
speak bob.wav en-us+f3 0.9 "Good morning, Bob speaking. Three boxes of paper, noted. They will be there on Monday."
echo "  their microphones are files that espeak-ng spoke: $(soxi -d "$work/alice.wav"), $(soxi -d "$work/bob.wav")"

phone alice
phone bob

say "Earwitness on the tap"
listen
grep -o 'interface=.*' "$work/log" | tail -n 1 | sed 's/^/  /'

say "Alice calls Bob"
start bob baresip -f "$work/bob" -t 14 >"$work/bob.log" 2>&1
sleep 1
inside alice baresip -f "$work/alice" -t 8 -e "/dial sip:bob@10.20.0.2" >"$work/alice.log" 2>&1 || :
over=$(date +%s%N)
for _ in $(seq 100); do
    [[ -n $("$bin/earwitness" recordings list --data-dir "$work/data" --json 2>/dev/null) ]] && break
    sleep 0.05
done
row=$("$bin/earwitness" recordings list --data-dir "$work/data" --json)
[[ -n $row ]] || { cat "$work/log" >&2; die "there is no recording"; }
echo "  recorded $((($(date +%s%N) - over) / 1000000)) ms after they hung up"

say "What there is"
"$bin/earwitness" calls list --data-dir "$work/data"
"$bin/earwitness" recordings list --data-dir "$work/data"
field() { grep -o "\"$1\":[^,}]*" <<<"$row" | head -n 1 | cut -d: -f2- | tr -d '"'; }
echo "  from $(field from) to $(field to), $(field duration_ms) ms, $(field codecs | tr -d '[]'), MOS $(field mos)"

say "What was said, and what was recorded"
"$bin/earwitness-heard" "$work/data/$(field path)" "$work/alice.wav" "$work/bob.wav"

say "Storage"
kill -TERM "$daemon"
wait "$daemon"
"$bin/earwitness" check --data-dir "$work/data"
if [[ -n ${EARWITNESS_DEMO_KEEP:-} ]]; then
    cp -r "$work/data" "$EARWITNESS_DEMO_KEEP"
    echo "  kept in $EARWITNESS_DEMO_KEEP"
fi
say "Done."
