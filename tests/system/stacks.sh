#!/usr/bin/env bash
# Calls that real stacks hold, transfer, queue and mix: baresip, Linphone, Kamailio, SIPp. Each scenario leaves in its folder
# what `tests/system/stacks.rs` looks at: the daemon's data folder, and the moments at which somebody did something.
#
#   stacks.sh SCENARIO FOLDER [CONFIGURATION]      with EARWITNESS_BIN_DIR set; CONFIGURATION: further lines of it
set -euo pipefail

scenario=$1 work=$2
bin=${EARWITNESS_BIN_DIR:?}
here=$(dirname "$0")
tag=ews$$
die() { printf '%s: %s\n' "$scenario" "$*" >&2; exit 1; }

# shellcheck source=scripts/phones.sh
source "$here/../../scripts/phones.sh"
trap leave_stage EXIT
ip netns add "$switch"

# Everybody has a tone, so that a recording tells who is heard in it when.
declare -A hertz=([alice]=440 [bob]=580 [carol]=1130)

microphone() { # whose
    sox -n -r 8000 -c 1 -b 16 "$work/$1.wav" synth 60 sine "${hertz[$1]}" vol 0.3
}

await() { # tenths of a second at most, a command that succeeds some time
    for _ in $(seq "$1"); do
        "${@:2}" && return
        sleep 0.1
    done
    tail -n 20 "$work"/*.log "$work/log" >&2
    die "did not come about: ${*:2}"
}

is_listening() { [[ -n $(inside "$1" ss -Hlun sport = :5060) ]]; }

# A phone's keyboard is a pipe that never ends.
start_phone() { # whose, its program
    mkfifo "$work/$1.keys"
    start "$1" stdbuf -oL "${@:2}" <>"$work/$1.keys" >"$work/$1.log" 2>&1
    await 100 is_listening "$1"
}

type_in() { printf '%s\n' "$2" >"$work/$1.keys"; } # whose phone, a command

start_baresip() { start_phone "$1" baresip -f "$work/$1"; }

baresip_phone() { # whose; it answers at once
    microphone "$1"
    phone "$1"
    start_baresip "$1"
}

# Linphone transfers with Replaces, and mixes.
linphone_phone() { # whose; it answers at once
    microphone "$1"
    mkdir -p "$work/$1/.local/share/linphone" "$work/$1/.config/linphone"
    cat >"$work/$1/rc" <<CONFIG
[sip]
sip_port=5060
sip_tcp_port=0
sip_tls_port=0
use_ipv6=0
contact=<sip:$1@${address[$1]}>
guess_hostname=0
[video]
capture=0
display=0
automatically_initiate=0
automatically_accept=0
CONFIG
    # Without one it takes itself to be offline.
    inside "$1" ip route add default dev eth0
    start_phone "$1" env HOME="$work/$1" linphonec -a -c "$work/$1/rc"
    for command in "soundcard use files" "codec disable all" "codec enable 3" "play $work/$1.wav"; do
        type_in "$1" "$command"
    done
}

start_proxy() { # further arguments
    start proxy kamailio -DD -E -m 16 -M 4 -f "$here/kamailio.cfg" -w "$work" -Y "$work" \
        -l "udp:${address[proxy]}:5060" "$@" >"$work/proxy.log" 2>&1
    await 100 is_listening proxy
}

moment() { printf '%s %s\n' "$1" "$(date +%s%3N)" >>"$work/moments"; } # its name

rows() { "$bin/earwitness" "$1" list --data-dir "$work/data" --json 2>/dev/null || :; }
# Whether so many conversations have begun: a call tells when it was answered, and so do its legs.
are_answered() { (($(rows calls | grep -o '"answered_at":"' | wc -l) > $1)); }
is_recorded() { [[ -n $(rows recordings) ]]; }

# A call is what is said in two seconds.
speak() { sleep "${1:-2}"; }

hold() {
    set_stage alice bob
    listen "$configuration"
    for who in alice bob; do baresip_phone "$who"; done
    type_in alice "/dial sip:bob@${address[bob]}"
    await 100 are_answered 1
    speak
    moment hold
    type_in bob "/hold"
    speak
    moment resume
    type_in bob "/resume"
    speak
    moment end
    type_in alice "/hangup"
}

# Alice calls Bob, who gives the call to Carol, blind.
direct() {
    set_stage alice bob carol
    listen "$configuration"
    for who in alice bob carol; do baresip_phone "$who"; done
    hand_on "${address[bob]}" bob "${address[carol]}" carol
}

hand_on() { # where Bob is, who transfers, where Carol is, who hangs up
    type_in alice "/dial sip:bob@$1"
    await 100 are_answered 1
    speak
    moment transfer
    type_in "$2" "/transfer sip:carol@$3"
    await 100 are_answered 2
    speak
    moment end
    type_in "$4" "/hangup"
}

# The same through a proxy that all are registered at; here it is Alice who gives the call to Carol.
proxied() {
    set_stage alice bob carol proxy
    listen "$configuration"
    start_proxy
    for who in alice bob carol; do
        microphone "$who"
        phone "$who"
        echo "<sip:$who@${address[proxy]}>;regint=600;outbound=\"sip:${address[proxy]}\";answermode=auto;audio_codecs=PCMU/8000/1" \
            >"$work/$who/accounts"
        start_baresip "$who"
        await 100 grep -q "200 OK" "$work/$who.log"
    done
    hand_on "${address[proxy]}" alice "${address[proxy]}" bob
}

# Bob asks Carol while Alice waits, then gives her the call.
attended() {
    consult
    moment transfer
    type_in bob "transfer 1 --to-call 2"
    await 100 are_answered 3
    speak
    moment end
    type_in carol "terminate"
}

consult() {
    set_stage alice bob carol
    listen "$configuration"
    for who in alice bob carol; do linphone_phone "$who"; done
    type_in alice "call sip:bob@${address[bob]}"
    await 100 are_answered 1
    # Of two legs at a time, the one with more packets is heard: clearly this one.
    speak 4
    moment hold
    type_in bob "pause"
    sleep 0.5
    moment consult
    type_in bob "call sip:carol@${address[carol]}"
    await 100 are_answered 3
    speak
}

# Bob brings Alice and Carol together on his phone, which mixes; then they leave, one after the other.
conference() {
    consult
    moment retrieve
    type_in bob "conference add 1"
    sleep 0.3
    moment conference
    type_in bob "conference add 2"
    speak
    moment leave
    type_in alice "terminate"
    speak 1.5
    moment end
    type_in carol "terminate"
}

# Alice calls a queue behind a box with two legs, which is a baresip, too: the first agent is busy, the second does not
# pick up, the third answers.
queue() {
    hertz+=([agent2]=580 [agent3]=1130)
    set_stage alice box proxy agent1 agent2 agent3
    listen "$configuration"
    start_proxy --subst="!AGENT1!${address[agent1]}!" --subst="!AGENT2!${address[agent2]}!" \
        --subst="!AGENT3!${address[agent3]}!"
    start agent1 sipp -sf "$here/busy.xml" -i "${address[agent1]}" -p 5060 -nostdin >"$work/agent1.log" 2>&1
    await 100 is_listening agent1
    microphone agent2
    phone agent2
    sed -i 's/answermode=auto/answermode=manual/' "$work/agent2/accounts"
    start_baresip agent2
    for who in alice agent3; do baresip_phone "$who"; done
    phone box
    sed -i 's/^audio_source.*/audio_source aubridge,none/' "$work/box/config"
    echo 'module_app b2bua.so' >>"$work/box/config"
    local account="regint=0;answermode=manual;audio_codecs=PCMU/8000/1"
    cat >"$work/box/accounts" <<CONFIG
<sip:box@${address[box]}>;$account;b2bua=inbound
<sip:out@${address[box]}>;$account;b2bua=outbound;outbound="sip:${address[proxy]}"
CONFIG
    start_baresip box
    moment dial
    type_in alice "/dial sip:queue@${address[box]}"
    await 100 are_answered 1
    speak
    moment end
    type_in alice "/hangup"
}

configuration=${3:-}
"$scenario"
await 300 is_recorded
kill -TERM "$daemon"
wait "$daemon"
"$bin/earwitness" check --data-dir "$work/data"
