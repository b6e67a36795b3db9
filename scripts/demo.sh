#!/usr/bin/env bash
# The main job in front of your eyes: two SIP phones (baresip) call each other across network namespaces, a bridge
# mirrors their ports to a tap, Earwitness records from the tap with XDP, and the recording is checked against
# what was spoken. Without root, or without XDP, a generated call is replayed instead.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${EARWITNESS_BIN_DIR:-$PWD/target/release}
work=$(mktemp -d -t earwitness-demo.XXXXXX)
tag=ew$$
spaces=("$tag-switch" "$tag-alice" "$tag-bob" "$tag-tap")
pids=()

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
die() { printf 'demo: %s\n' "$*" >&2; exit 1; }

finish() {
    status=$?
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || :; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || :; done
    for space in "${spaces[@]}"; do ip netns del "$space" 2>/dev/null || :; done
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
ip netns add "${spaces[0]}" 2>/dev/null || replay_instead "network namespaces cannot be made"

say "Two phones, one switch, one tap"
for space in "${spaces[@]:1}"; do ip netns add "$space"; done
for space in "${spaces[@]}"; do ip -n "$space" link set lo up; done
switch=${spaces[0]}
ip -n "$switch" link add br0 type bridge
ip -n "$switch" link set br0 up
ip link add span netns "$switch" type veth peer name tap0 netns "${spaces[3]}"
ip -n "$switch" link set span up
ip -n "${spaces[3]}" link set tap0 up

attach() { # phone's namespace, port of the switch, address
    ip link add "$2" netns "$switch" type veth peer name eth0 netns "$1"
    ip -n "$switch" link set "$2" master br0 up
    ip -n "$1" addr add "$3/24" dev eth0
    ip -n "$1" link set eth0 up
    # The span port: whatever a phone sends is mirrored once.
    tc -n "$switch" qdisc add dev "$2" ingress
    tc -n "$switch" filter add dev "$2" parent ffff: protocol all u32 match u32 0 0 \
        action mirred egress mirror dev span
}
attach "${spaces[1]}" alice 10.20.0.1
attach "${spaces[2]}" bob 10.20.0.2

speak() { # file, voice, delay in seconds, text
    espeak-ng -v "$2" -w "$work/spoken.wav" "$4"
    sox "$work/spoken.wav" -r 8000 -c 1 -b 16 "$work/$1" pad "$3" 3 gain -3
}
speak alice.wav en-gb 0.3 "Hello, this is Alice. I would like to order three boxes of paper, please."
speak bob.wav en-us+f3 0.9 "Good morning, Bob speaking. Three boxes of paper, noted. They will be there on Monday."
echo "  their microphones are files that espeak-ng spoke: $(soxi -d "$work/alice.wav"), $(soxi -d "$work/bob.wav")"

phone() { # name, address
    mkdir -p "$work/$1"
    cat >"$work/$1/config" <<CONFIG
sip_listen $2:5060
audio_source aufile,$work/$1.wav
audio_player aubridge,none
audio_alert aubridge,none
audio_channels 1
audio_srate 8000
ausrc_srate 8000
auplay_srate 8000
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
rtp_ports 10000-10100
jitter_buffer_type off
module_path /usr/lib/baresip/modules
module stdio.so
module g711.so
module_tmp account.so
module_app menu.so
module aufile.so
module aubridge.so
CONFIG
    echo "<sip:$1@$2>;regint=0;answermode=auto;audio_codecs=PCMU/8000/1" >"$work/$1/accounts"
    : >"$work/$1/contacts"
}
phone alice 10.20.0.1
phone bob 10.20.0.2

say "Earwitness on the tap"
cat >"$work/earwitness.toml" <<CONFIG
data_dir = "$work/data"
[capture]
interfaces = ["tap0"]
CONFIG
ip netns exec "${spaces[3]}" env NO_COLOR=1 "$bin/earwitness" run --config "$work/earwitness.toml" 2>"$work/log" &
daemon=$!
pids+=("$daemon")
for _ in $(seq 300); do
    grep -q 'interface=' "$work/log" && break
    kill -0 "$daemon" 2>/dev/null || { cat "$work/log" >&2; die "earwitness did not start"; }
    sleep 0.1
done
grep -o 'interface=.*' "$work/log" | tail -n 1 | sed 's/^/  /'

say "Alice calls Bob"
ip netns exec "${spaces[2]}" baresip -f "$work/bob" -t 14 >"$work/bob.log" 2>&1 &
pids+=("$!")
sleep 1
ip netns exec "${spaces[1]}" baresip -f "$work/alice" -t 8 -e "/dial sip:bob@10.20.0.2" >"$work/alice.log" 2>&1 || :
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
