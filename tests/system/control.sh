#!/usr/bin/env bash
# Two calls at once, whose recordings are paused for five seconds and resumed by each of the seven ways. Alice and bob talk
# by baresip: tones in her microphone, her phone's telephone events, the command line, MESSAGE in the dialog (sipp from her
# host). Carol, a SIPp that plays her voice, calls dave's baresip: MESSAGE out of the dialog, INFO, a call to the code. In
# between, commands that are to be refused. Then alice's call is stopped and begun again.
#
# Leaves everything in the folder that is named; `tests/system/control.rs` looks at it:
#   data, log, out   Earwitness: its folder, what it said on stderr and stdout; metrics: the last scrape
#   wire.pcap        what the switch showed the tap
#   memory/TIME/     what the kernel could have swapped of both processes: in each pause, and in the end; µs of Unix time
#   NAME.wav         what was spoken into each microphone; moments: when the command line was told what, and was done
#
#   control.sh FOLDER        with EARWITNESS_BIN_DIR set
set -euo pipefail

work=$1
bin=${EARWITNESS_BIN_DIR:?}
tag=ewc$$
session=8867-$$
die() { printf 'control: %s\n' "$*" >&2; exit 1; }

# shellcheck source=scripts/phones.sh
source "$(dirname "$0")/../../scripts/phones.sh"
trap leave_stage EXIT
ip netns add "$switch"
# Mallory is not in control.allow.
set_stage alice bob carol dave mallory=10.20.0.66

# Voices --------------------------------------------------------------------------------------------------------------

# No two moments of these voices are alike, in eight bytes of which nothing repeats by chance.
voice() { sox -n -r 8000 -c 1 -b 16 "$1" synth "$2" whitenoise vol 0.3; }
key() { # file, low and high tone
    sox -n -r 8000 -c 1 -b 16 "$1" synth 0.1 sine "$2" synth 0.1 sine mix "$3" vol 0.5 pad 0 0.1
}
pieces=$work/pieces
mkdir "$pieces" "$work/memory"
key "$pieces/star.wav" 941 1209
key "$pieces/4.wav" 770 1209
key "$pieces/8.wav" 852 1336
key "$pieces/9.wav" 852 1477
# Who presses a key says nothing meanwhile: *48 from 2.7 s on, *49 five seconds later.
voice "$pieces/before.wav" 2.5
voice "$pieces/secret.wav" 4.2
voice "$pieces/after.wav" 110
sox -n -r 8000 -c 1 -b 16 "$pieces/hush.wav" trim 0 0.2
(cd "$pieces" && sox before.wav hush.wav star.wav 4.wav 8.wav secret.wav hush.wav star.wav 4.wav 9.wav after.wav "$work/alice.wav")
for name in bob carol dave; do voice "$work/$name.wav" 120; done
sox "$work/carol.wav" -t ul "$work/carol.ul"

# The stage -----------------------------------------------------------------------------------------------------------

for name in alice bob dave; do phone "$name"; done
ip netns exec "$switch" dumpcap -q -P -i span -w "$work/wire.pcap" >"$work/dumpcap.log" 2>&1 &
wire=$!
pids+=("$wire")
# A resume that is heeded more than 400 ms late has lost what came meanwhile: other tests run at the same time.
niceness=-15
listen '[control]
allow = ["10.20.0.0/29"]
from = "caller"
tones = true' >"$work/out"

# Phones keep time: what they send late would be late in the recording.
talk() { # name, further arguments; keys are read from $work/NAME.keys
    mkfifo "$work/$1.keys"
    start "$1" nice -n -15 baresip -f "$work/$1" -t 120 "${@:2}" >"$work/$1.log" 2>&1 <>"$work/$1.keys"
}
talk bob && exec 4>"$work/bob.keys"
talk dave && exec 5>"$work/dave.keys"
dave=$started
talk alice -e "/dial sip:bob@10.20.0.2" && exec 3>"$work/alice.keys"
alice=$started

cat >"$work/carol.xml" <<XML
<?xml version="1.0" encoding="UTF-8"?>
<scenario name="carol calls dave">
  <send retrans="500"><![CDATA[
INVITE sip:dave@10.20.0.4 SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:carol@10.20.0.3>;tag=[pid]carol
To: <sip:dave@10.20.0.4>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:carol@[local_ip]:[local_port]>
Max-Forwards: 70
X-Session-Id: $session
Content-Type: application/sdp
Content-Length: [len]

v=0
o=carol 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [rtpstream_audio_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000
]]></send>
  <recv response="100" optional="true"/>
  <recv response="180" optional="true"/>
  <recv response="183" optional="true"/>
  <recv response="200" rrs="true"/>
  <send><![CDATA[
ACK sip:dave@10.20.0.4 SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:carol@10.20.0.3>;tag=[pid]carol
To: <sip:dave@10.20.0.4>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
  <nop><action><exec rtp_stream="$work/carol.ul,1,0"/></action></nop>
  <recv request="BYE"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>
XML
start carol nice -n -15 sipp 10.20.0.4:5060 -sf "$work/carol.xml" -m 1 -i 10.20.0.3 -p 5060 -nostdin \
    -timeout 120 >"$work/carol.log" 2>&1
carol=$started

# The calls -----------------------------------------------------------------------------------------------------------

rows() { "$bin/earwitness" calls list --data-dir "$work/data" --json 2>/dev/null || :; }
field() { grep -o "\"$1\":\"[^\"]*\"" <<<"$row" | head -n 1 | cut -d'"' -f4; }
await_answer() { # address of the caller; gives $row
    for _ in $(seq 200); do
        row=$(rows | grep "\"from\":\"$1\"" || :)
        [[ $row == *'"state":"answered"'* ]] && return
        sleep 0.05
    done
    cat "$work/log" "$work/alice.log" "$work/carol.log" >&2
    die "$1 is not in a call"
}
number=900
request() { # whose phone, address, method, callee, dialog or other, content type, body
    local own=other$number param='' id=$number.$session
    [[ $5 == dialog ]] && own=$from_tag param=";tag=$to_tag" id=$call_id
    cat >"$work/request-$number.xml" <<XML
<?xml version="1.0" encoding="UTF-8"?>
<scenario name="one request">
  <send><![CDATA[
$3 sip:$4 SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:$caller>;tag=$own
To: <sip:$4>$param
Call-ID: $id
CSeq: $number $3
Contact: <sip:[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: $6
Content-Length: [len]

$7
]]></send>
  <pause milliseconds="50"/>
</scenario>
XML
    inside "$1" sipp "$peer:5060" -sf "$work/request-$number.xml" -m 1 -i "$2" -p 5071 -nostdin \
        >>"$work/sipp.log" 2>&1 || :
    : $((number++))
}
json=application/x-media-control+json

look() {
    local pid folder
    folder=$work/memory/$(date +%s%6N)
    mkdir "$folder"
    for pid in "$daemon" $(pgrep -P "$daemon" -f earwitness-capture); do
        "$bin/earwitness-swappable" "$pid" "$folder/$(<"/proc/$pid/comm")"
    done
}
# A pause that has begun.
hush() {
    sleep 2.5
    look
    sleep 2.5
}

# Alice and bob: tones, events, the command line, MESSAGE in the dialog.
await_answer alice@10.20.0.1
answered_ms=$(date -d "$(field answered_at)" +%s%3N)
call=$(field id) call_id=$(field call_id) from_tag=$(field from_tag) to_tag=$(field to_tag)
caller=alice@10.20.0.1 peer=10.20.0.2
press() { # descriptor, keys
    local key
    for key in "${@:2}"; do printf '%s' "$key" >&"$1"; sleep 0.25; done
}
command() {
    local from
    from=$(date +%s%N)
    "$bin/earwitness" call "$1" "$call" --data-dir "$work/data" >>"$work/commands"
    echo "$1 $from $(date +%s%N)" >>"$work/moments"
}
dialog_message() { request alice 10.20.0.1 MESSAGE bob@10.20.0.2 dialog "$json" "{\"operation\":\"$1\"}"; }
alice_talks() {
    sleep 5
    look
    # Until her tones are over.
    local left_ms=$((answered_ms + 9700 - $(date +%s%3N)))
    ((left_ms > 0)) && sleep "$((left_ms / 1000)).$(printf %03d $((left_ms % 1000)))"
    press 3 '*' 4 8
    hush
    press 3 '*' 4 9
    sleep 1
    command pause
    hush
    command resume
    sleep 1
    dialog_message pause
    hush
    dialog_message resume
    sleep 1
    # The callee may not.
    press 4 '*' 4 8
    sleep 1
    dialog_message stop
    sleep 2
    dialog_message start
    sleep 2
}

# Carol and dave: MESSAGE out of the dialog, INFO, a call to the code.
carol_talks() {
    await_answer carol@10.20.0.3
    call_id=$(field call_id) from_tag=$(field from_tag) to_tag=$(field to_tag)
    caller=carol@10.20.0.3 peer=10.20.0.4
    number=1900
    local key
    message() { # operation, session id
        request carol 10.20.0.3 MESSAGE pbx@10.20.0.4 other "$json" "{\"operation\":\"$1\",\"session_id\":\"$2\"}"
    }
    info() {
        for key in "$@"; do
            request carol 10.20.0.3 INFO dave@10.20.0.4 dialog application/dtmf-relay "Signal=$key"$'\r\nDuration=160'
        done
    }
    sleep 2
    message pause "$session"
    hush
    message resume "$session"
    sleep 1
    info '*' 4 8
    hush
    info '*' 4 9
    sleep 1
    request carol 10.20.0.3 INVITE '*48@10.20.0.4' other text/plain ''
    hush
    request carol 10.20.0.3 INVITE '%2A49@10.20.0.4' other text/plain ''
    sleep 1
    # None of these may do anything.
    request mallory 10.20.0.66 MESSAGE pbx@10.20.0.4 other "$json" "{\"operation\":\"pause\",\"session_id\":\"$session\"}"
    message pause another
    request carol 10.20.0.3 MESSAGE dave@10.20.0.4 dialog "$json" '{"operation":"pause"'
    sleep 1
}
carol_talks 3>&- 4>&- 5>&- &
talking=$!
alice_talks
wait "$talking"

# The end -------------------------------------------------------------------------------------------------------------

inside tap bash -c 'exec 6<>/dev/tcp/127.0.0.1/8080; printf "GET /metrics HTTP/1.0\r\n\r\n" >&6; cat <&6' >"$work/metrics"
look
exec 3>&- 4>&- 5>&-
kill "$alice" "$dave"
wait "$alice" "$dave" "$carol" 2>/dev/null || :
for _ in $(seq 200); do
    count=$("$bin/earwitness" recordings list --data-dir "$work/data" --json | wc -l)
    ((count == 3)) && break
    sleep 0.05
done
((count == 3)) || { cat "$work/log" "$work/sipp.log" >&2; die "$count recordings, not 3"; }
kill -TERM "$daemon"
wait "$daemon"
kill -INT "$wire"
wait "$wire" || :
"$bin/earwitness" check --data-dir "$work/data"
