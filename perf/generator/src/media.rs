//! The next RTP packet: each flow in turn, 160 samples further each time.

use aya_ebpf::programs::XdpContext;
use earwitness_generator_abi::{
    MACS, MEDIA_FRAME_BYTES, NETWORKS, OCTET_FIRST, PORT_FIRST, PORTS_PER_ADDRESS, SILENCE, SILENT,
    ssrc, state,
};

use crate::maps::{CALLS, State};

const SAMPLES: u64 = 160;
/// RTP version 2, and A-law.
const RTP_VERSION: u64 = 0x80;
const PAYLOAD_TYPE: u64 = 8;
const SILENCE_WORD: u64 = u64::from_ne_bytes([SILENCE; 8]);
/// The first word that is payload alone, and the last one.
const PAYLOAD_WORD: usize = 7;
const PAYLOAD_WORDS_END: usize = 26;
/// UDP and IP lengths.
const UDP_BYTES: u16 = MEDIA_FRAME_BYTES as u16 - 34;
const IP_BYTES: u16 = MEDIA_FRAME_BYTES as u16 - 14;

const PORT_END: u64 = PORT_FIRST + 2 * PORTS_PER_ADDRESS;

/// Ethernet, and IPv4 up to its time to live and protocol: 24 bytes that are always the same.
const HEAD: [u64; 3] = {
    let mut bytes = [0; 24];
    let mut at = 0;
    while at < 12 {
        bytes[at] = MACS[at];
        at += 1;
    }
    let [high, low] = IP_BYTES.to_be_bytes();
    // EtherType; version and length; service; total length; id; don't fragment; time to live; UDP.
    let rest = [8, 0, 0x45, 0, high, low, 0, 0, 0x40, 0, 64, 17];
    while at < 24 {
        bytes[at] = rest[at - 12];
        at += 1;
    }
    words(bytes)
};

const fn words(bytes: [u8; 24]) -> [u64; 3] {
    let mut words = [0; 3];
    let mut at = 0;
    while at < 24 {
        words[at / 8] |= (bytes[at] as u64) << (8 * (at % 8));
        at += 1;
    }
    words
}

/// RFC 791: the header checksum, in the order of the network, of UDP between the media addresses that end in `octet`.
#[inline(always)]
pub(crate) fn checksum(ip_bytes: u16, octet: u64) -> u16 {
    let network = |index: usize| {
        let [a, b, c] = NETWORKS[index];
        ((a as u64) << 8 | b as u64) + ((c as u64) << 8)
    };
    let sum = 0x4500 + u64::from(ip_bytes) + 0x4000 + 0x4011 + network(0) + network(1) + 2 * octet;
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

/// The third byte of source and destination: what the caller hears goes to the caller's network.
#[inline(always)]
pub(crate) fn networks(direction: u64) -> (u64, u64) {
    let (caller, called) = (u64::from(NETWORKS[0][2]), u64::from(NETWORKS[1][2]));
    if direction == 1 { (called, caller) } else { (caller, called) }
}

/// Writes the packet of the next flow, and gives its length; none if nobody speaks there.
#[inline(always)]
pub(crate) fn write(ctx: &XdpContext, state: State) -> Option<u64> {
    let flow = state.get_word(state::FLOW);
    let (octet, port) = (state.get_word(state::OCTET), state.get_word(state::PORT));
    let round = state.get_word(state::ROUND);
    step(state, flow, octet, port, round);
    let call = *CALLS.get((flow >> 1) as u32)?;
    if call & SILENT != 0 {
        return None;
    }
    let start = ctx.data();
    if start + MEDIA_FRAME_BYTES > ctx.data_end() {
        return None;
    }
    let direction = flow & 1;
    let (from, to) = networks(direction);
    let [a, b] = [u64::from(NETWORKS[0][0]), u64::from(NETWORKS[0][1])];
    let port = u64::from((port as u16).swap_bytes());
    let sequence = u64::from((round as u16).swap_bytes());
    let time = u64::from((round.wrapping_mul(SAMPLES) as u32).swap_bytes());
    let source = u64::from(ssrc(call, direction as u32).swap_bytes());
    let silence = SILENCE_WORD >> 48;
    let check = u64::from(checksum(IP_BYTES, octet).swap_bytes());
    let frame = start as *mut u64;
    let header = [
        HEAD[0],
        HEAD[1],
        HEAD[2],
        check | a << 16 | b << 24 | from << 32 | octet << 40 | a << 48 | b << 56,
        to | octet << 8 | port << 16 | port << 32 | u64::from(UDP_BYTES.swap_bytes()) << 48,
        RTP_VERSION << 16 | PAYLOAD_TYPE << 24 | sequence << 32 | (time & 0xffff) << 48,
        time >> 16 | source << 16 | silence << 48,
    ];
    // SAFETY: the frame begins at a multiple of eight in its page, and reaches as far as was just compared.
    unsafe {
        frame.write(header[0]);
        frame.add(1).write(header[1]);
        frame.add(2).write(header[2]);
        frame.add(3).write(header[3]);
        frame.add(4).write(header[4]);
        frame.add(5).write(header[5]);
        frame.add(6).write(header[6]);
        // The payload is there already, unless the frame was something else before: then this word differs.
        if frame.add(PAYLOAD_WORD).read() != SILENCE_WORD {
            let mut word = PAYLOAD_WORD;
            while word < PAYLOAD_WORDS_END {
                frame.add(word).write(SILENCE_WORD);
                word += 1;
            }
            let tail = frame.add(PAYLOAD_WORDS_END);
            tail.cast::<u32>().write(SILENCE_WORD as u32);
            tail.cast::<u16>().add(2).write(SILENCE_WORD as u16);
        }
    }
    Some(MEDIA_FRAME_BYTES as u64)
}

/// To the next flow.
#[inline(always)]
fn step(state: State, flow: u64, octet: u64, port: u64, round: u64) {
    let next = flow + 1;
    if next >= 2 * state.get_word(state::SLOTS) {
        state.set(state::FLOW, 0);
        state.set(state::ROUND, round.wrapping_add(1));
        state.set(state::OCTET, OCTET_FIRST);
        state.set(state::PORT, PORT_FIRST);
        return;
    }
    state.set(state::FLOW, next);
    if next & 1 == 0 {
        let last = port + 2 >= PORT_END;
        state.set(state::PORT, if last { PORT_FIRST } else { port + 2 });
        state.set(state::OCTET, if last { octet + 1 } else { octet });
    }
}
