# Phones, one switch, one tap: namespaces that a bridge joins, whose ports are mirrored to tap0, baresip phones, and Earwitness
# on the tap. To be sourced: the demo and system tests play on this stage.
#
# Expects $work (a folder), $bin (the folder of the programs), $tag (what the namespaces' names begin with) and die().
# Who sources it makes the namespace $switch, calls `set_stage NAME…`, and leave_stage at the end.

switch=$tag-switch
spaces=("$switch" "$tag-tap")
declare -A address=() # of everybody on the stage
pids=()

# Who came last leaves first: a phone says goodbye to its proxy.
leave_stage() {
    local at
    for ((at = ${#pids[@]} - 1; at >= 0; at--)); do
        kill "${pids[at]}" 2>/dev/null && wait "${pids[at]}" 2>/dev/null || :
    done
    for space in "${spaces[@]}"; do ip netns del "$space" 2>/dev/null || :; done
}

attach() { # whose port of the switch
    ip link add "$1" netns "$switch" type veth peer name eth0 netns "$tag-$1"
    ip -n "$switch" link set "$1" master br0 up
    ip -n "$tag-$1" addr add "${address[$1]}/24" dev eth0
    ip -n "$tag-$1" link set eth0 up
    # The span port: whatever a phone sends is mirrored once.
    tc -n "$switch" qdisc add dev "$1" ingress
    tc -n "$switch" filter add dev "$1" parent ffff: protocol all u32 match u32 0 0 \
        action mirred egress mirror dev span
}

# The switch's namespace is there already: whether namespaces can be made at all is asked by making it.
set_stage() { # who is on it, NAME or NAME=ADDRESS: the first is 10.20.0.1
    local name names=("${@%%=*}")
    for name in "$@"; do
        spaces+=("$tag-${name%%=*}")
        address[${name%%=*}]=10.20.0.$((${#address[@]} + 1))
        [[ $name != *=* ]] || address[${name%%=*}]=${name#*=}
    done
    for space in "${spaces[@]:1}"; do ip netns add "$space"; done
    for space in "${spaces[@]}"; do ip -n "$space" link set lo up; done
    ip -n "$switch" link add br0 type bridge
    ip -n "$switch" link set br0 up
    ip link add span netns "$switch" type veth peer name tap0 netns "$tag-tap"
    ip -n "$switch" link set span up
    ip -n "$tag-tap" link set tap0 up
    for name in "${names[@]}"; do attach "$name"; done
}

inside() { # whose namespace, a command that is waited for
    ip netns exec "$tag-$1" "${@:2}"
}

start() { # whose namespace, a program that goes on; gives $started
    ip netns exec "$tag-$1" "${@:2}" <&0 &
    started=$!
    pids+=("$started")
}

phone() { # name, further lines of its configuration; its microphone is $work/NAME.wav
    mkdir -p "$work/$1"
    cat >"$work/$1/config" <<CONFIG
sip_listen ${address[$1]}:5060
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
    echo "<sip:$1@${address[$1]}>;regint=0;answermode=auto;audio_codecs=PCMU/8000/1" >"$work/$1/accounts"
    : >"$work/$1/contacts"
}

listen() { # further lines of the configuration; gives $daemon
    cat >"$work/earwitness.toml" <<CONFIG
data_dir = "$work/data"
[capture]
interfaces = ["tap0"]
${1:-}
CONFIG
    start tap nice -n "${niceness:-0}" env NO_COLOR=1 "$bin/earwitness" run --config "$work/earwitness.toml" 2>"$work/log"
    daemon=$started
    for _ in $(seq 300); do
        grep -q 'interface=' "$work/log" && return
        kill -0 "$daemon" 2>/dev/null || { cat "$work/log" >&2; die "earwitness did not start"; }
        sleep 0.1
    done
}
