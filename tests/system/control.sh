#!/usr/bin/env bash
# Two phones talk while their recording is paused by feature codes, paused by the command line, stopped and begun again
# by SIP MESSAGE (sipp). Leaves everything in the folder that is named; `tests/system/control.rs` looks at it.
#
#   control.sh FOLDER        with EARWITNESS_BIN_DIR set
set -euo pipefail

work=$1
bin=${EARWITNESS_BIN_DIR:?}
tag=ewc$$
spaces=("$tag-switch" "$tag-alice" "$tag-bob" "$tag-tap")
pids=()
die() { printf 'control: %s\n' "$*" >&2; exit 1; }

finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || :; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || :; done
    for space in "${spaces[@]}"; do ip netns del "$space" 2>/dev/null || :; done
}
trap finish EXIT

for space in "${spaces[@]}"; do ip netns add "$space"; ip -n "$space" link set lo up; done
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
    tc -n "$switch" qdisc add dev "$2" ingress
    tc -n "$switch" filter add dev "$2" parent ffff: protocol all u32 match u32 0 0 \
        action mirred egress mirror dev span
}
attach "${spaces[1]}" alice 10.20.0.1
attach "${spaces[2]}" bob 10.20.0.2

# No two moments of these voices are alike, in eight bytes of which nothing repeats by chance.
sox -n -r 8000 -c 1 -b 16 "$work/alice.wav" synth 30 whitenoise vol 0.3
sox -n -r 8000 -c 1 -b 16 "$work/bob.wav" synth 30 whitenoise vol 0.3

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

cat >"$work/earwitness.toml" <<CONFIG
data_dir = "$work/data"
[capture]
interfaces = ["tap0"]
[control]
allow = ["10.20.0.0/24"]
CONFIG
ip netns exec "${spaces[3]}" env NO_COLOR=1 "$bin/earwitness" run --config "$work/earwitness.toml" 2>"$work/log" &
daemon=$!
pids+=("$daemon")
for _ in $(seq 300); do
    grep -q 'interface=' "$work/log" && break
    kill -0 "$daemon" 2>/dev/null || { cat "$work/log" >&2; die "earwitness did not start"; }
    sleep 0.1
done

ip netns exec "${spaces[2]}" baresip -f "$work/bob" -t 40 >"$work/bob.log" 2>&1 </dev/null &
pids+=("$!")
mkfifo "$work/keys"
ip netns exec "${spaces[1]}" baresip -f "$work/alice" -t 40 -e "/dial sip:bob@10.20.0.2" \
    >"$work/alice.log" 2>&1 <"$work/keys" &
alice=$!
pids+=("$alice")
exec 3>"$work/keys"

rows() { "$bin/earwitness" calls list --data-dir "$work/data" --json 2>/dev/null || :; }
field() { grep -o "\"$1\":\"[^\"]*\"" <<<"$row" | head -n 1 | cut -d'"' -f4; }
for _ in $(seq 200); do
    row=$(rows)
    [[ $row == *'"state":"answered"'* ]] && break
    sleep 0.05
done
[[ -n $row ]] || { cat "$work/log" "$work/alice.log" >&2; die "there is no call"; }
call=$(field id) call_id=$(field call_id) from_tag=$(field from_tag) to_tag=$(field to_tag)

press() { for key in "$@"; do printf '%s' "$key" >&3; sleep 0.25; done; }
command() { "$bin/earwitness" call "$1" "$call" --data-dir "$work/data" >>"$work/commands"; }

cat >"$work/message.xml" <<'XML'
<?xml version="1.0" encoding="UTF-8"?>
<scenario name="command in the dialog">
  <send><![CDATA[
MESSAGE sip:bob@10.20.0.2 SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:alice@10.20.0.1>;tag=[from_tag]
To: <sip:bob@10.20.0.2>;tag=[to_tag]
Call-ID: [its_call_id]
CSeq: [number] MESSAGE
Max-Forwards: 70
Content-Type: application/x-media-control+json
Content-Length: [len]

{"operation":"[operation]"}
]]></send>
  <pause milliseconds="50"/>
</scenario>
XML
message() { # operation, CSeq
    ip netns exec "${spaces[1]}" sipp 10.20.0.2:5060 -sf "$work/message.xml" -m 1 -i 10.20.0.1 -p 5071 -nostdin \
        -key from_tag "$from_tag" -key to_tag "$to_tag" -key its_call_id "$call_id" -key number "$2" \
        -key operation "$1" >>"$work/sipp.log" 2>&1 || :
}

sleep 1.5
press '*' 4 8
sleep 5
press '*' 4 9
sleep 1.5
command pause
sleep 5
command resume
sleep 1.5
message stop 901
sleep 2
message start 902
sleep 2
exec 3>&-
kill "$alice" && wait "$alice" 2>/dev/null || :
for _ in $(seq 200); do
    (($("$bin/earwitness" recordings list --data-dir "$work/data" --json | wc -l) == 2)) && break
    sleep 0.05
done
kill -TERM "$daemon"
wait "$daemon"
"$bin/earwitness" check --data-dir "$work/data"
