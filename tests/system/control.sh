#!/usr/bin/env bash
# Two phones talk while their recording is paused by feature codes, paused by the command line, stopped and begun again
# by SIP MESSAGE (sipp). Leaves everything in the folder that is named; `tests/system/control.rs` looks at it.
#
#   control.sh FOLDER        with EARWITNESS_BIN_DIR set
set -euo pipefail

work=$1
bin=${EARWITNESS_BIN_DIR:?}
tag=ewc$$
die() { printf 'control: %s\n' "$*" >&2; exit 1; }

# shellcheck source=scripts/phones.sh
source "$(dirname "$0")/../../scripts/phones.sh"
trap leave_stage EXIT
ip netns add "$switch"
set_stage

# No two moments of these voices are alike, in eight bytes of which nothing repeats by chance.
sox -n -r 8000 -c 1 -b 16 "$work/alice.wav" synth 30 whitenoise vol 0.3
sox -n -r 8000 -c 1 -b 16 "$work/bob.wav" synth 30 whitenoise vol 0.3

phone alice 10.20.0.1
phone bob 10.20.0.2

listen '[control]
allow = ["10.20.0.0/24"]'

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
