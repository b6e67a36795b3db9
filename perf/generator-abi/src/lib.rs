//! What the load generator in the kernel and its user space agree on: maps, their words, templates of frames, and
//! where each call has its media.
//!
//! The state is an array of numbers, so that both sides read it without a cast.

#![no_std]
#![forbid(unsafe_code)]

/// A frame of G.711, 20 ms: Ethernet, IPv4, UDP, RTP, 160 bytes.
pub const MEDIA_FRAME_BYTES: usize = 214;
/// A-law of silence, in each byte of the payload.
pub const SILENCE: u8 = 0xd5;
/// Media ports of an address; the next calls are at the next address.
pub const PORTS_PER_ADDRESS: u64 = 25_000;
/// The first media port. RTP takes the even ones from here, RTCP the odd ones.
pub const PORT_FIRST: u64 = 10_000;
/// The last byte of the first media address: three digits, so that SDP has the same length for each call.
pub const OCTET_FIRST: u64 = 100;
/// Addresses there are with three digits in the last byte.
pub const ADDRESSES_MAX: u64 = 150;
/// Calls at the same time.
pub const CALLS_MAX: u64 = PORTS_PER_ADDRESS * ADDRESSES_MAX;
/// The first three bytes of the address where callers hear, and of that where the called ones do.
pub const NETWORKS: [[u8; 3]; 2] = [[10, 1, 1], [10, 1, 2]];
/// Hardware addresses, receiver's first.
pub const MACS: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
/// Set in the number of a slot's call while nobody speaks there: between two calls.
pub const SILENT: u32 = 1 << 31;

/// Names of maps and programs.
pub mod names {
    pub const GENERATE: &str = "generate";
    pub const SINK_DROP: &str = "sink_drop";
    pub const SINK_SOCKET: &str = "sink_socket";
    pub const STATE: &str = "STATE";
    pub const TEMPLATES: &str = "TEMPLATES";
    pub const CALLS: &str = "CALLS";
    pub const TARGET: &str = "TARGET";
    pub const SOCKETS: &str = "SOCKETS";
}

/// Words of the state.
pub mod state {
    /// Calls at the same time: user space sets it.
    pub const SLOTS: usize = 0;
    /// How many packets to send in all: user space sets it.
    pub const LIMIT: usize = 1;
    /// Packets sent so far.
    pub const SENT: usize = 2;
    /// Bytes of them.
    pub const SENT_BYTES: usize = 3;
    /// Packets sent of each `Kind`, from here.
    pub const SENT_BY_KIND: usize = 4;
    /// The next flow: twice its slot, and 1 for what the caller hears.
    pub const FLOW: usize = 8;
    /// Packets that each flow has sent.
    pub const ROUND: usize = 9;
    /// Address and port of the next flow's slot.
    pub const OCTET: usize = 10;
    pub const PORT: usize = 11;
    /// Packets from one of a kind to the next, 0 for none; and how many are left until then.
    pub const SIP_EVERY: usize = 12;
    pub const SIP_LEFT: usize = 13;
    pub const RTCP_EVERY: usize = 14;
    pub const RTCP_LEFT: usize = 15;
    pub const BACKGROUND_EVERY: usize = 16;
    pub const BACKGROUND_LEFT: usize = 17;
    /// Messages sent so far behind the prologue: seven for each change of a slot's call.
    pub const SIP_NUMBER: usize = 18;
    /// The slot whose call is being changed, and the number of the call that is spoken of.
    pub const SIP_SLOT: usize = 19;
    pub const SIP_CALL: usize = 20;
    /// Set-up messages of the first calls, sent before everything else: five for each; and how many were.
    pub const PROLOGUE: usize = 21;
    pub const PROLOGUE_SENT: usize = 22;
    pub const RTCP_NUMBER: usize = 23;
    pub const BACKGROUND_NUMBER: usize = 24;
    /// Packets a second, 0 for as many as can be: user space sets it.
    pub const RATE: usize = 25;
    /// Since when packets are due, how many were sent then, and how many may be sent by now.
    pub const PACE_START_NS: usize = 26;
    pub const PACE_BASE: usize = 27;
    pub const PACE_DUE: usize = 28;
    /// How often it was late by more than a burst, and began anew.
    pub const PACE_LATE: usize = 29;
    /// When the first packet was due, and the last that the clock was read for.
    pub const PACE_FIRST_NS: usize = 30;
    pub const PACE_LAST_NS: usize = 31;
    pub const WORDS: usize = 32;
}

/// When the generator is late by more than this, it does not catch up: that would be a burst no wire makes.
pub const BURST_NS: u64 = 2_000_000;

/// Kinds of packets, as they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Media,
    Sip,
    Rtcp,
    Background,
}

impl Kind {
    pub const COUNT: usize = 4;
}

const _: () = assert!(state::SENT_BY_KIND + Kind::COUNT == state::FLOW);

/// Templates by place: what ends a call, what begins one, RTCP, what is to be ignored.
pub mod template {
    pub const BYE: u32 = 0;
    pub const BYE_OK: u32 = 1;
    pub const INVITE: u32 = 2;
    pub const TRYING: u32 = 3;
    pub const RINGING: u32 = 4;
    pub const INVITE_OK: u32 = 5;
    pub const ACK: u32 = 6;
    /// Messages of one change of a slot's call.
    pub const SIP_MESSAGES: u64 = 7;
    /// Of those, what sets a call up.
    pub const SET_UP_MESSAGES: u64 = 5;
    pub const RTCP: u32 = 7;
    pub const BACKGROUND: u32 = 8;
    pub const BACKGROUND_COUNT: u32 = 4;
    pub const COUNT: u32 = BACKGROUND + BACKGROUND_COUNT;
}

/// Longest frame of a template.
pub const TEMPLATE_BYTES: usize = 1024;
pub const PATCHES_MAX: usize = 24;

/// What is written over a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    /// The call's number, eight hexadecimal digits.
    Call = 1,
    /// The last number of the media address, three decimal digits.
    Octet = 2,
    /// The media port, five decimal digits.
    Port = 3,
}

/// A frame, and the places in it that differ from call to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Template {
    pub length: u32,
    pub patches: u32,
    /// What in the upper half, where in the lower one.
    pub patch: [u32; PATCHES_MAX],
    pub bytes: [u8; TEMPLATE_BYTES],
}

impl Template {
    pub const BYTES: usize = 8 + 4 * PATCHES_MAX + TEMPLATE_BYTES;

    /// As it lies in the map.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.length.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.patches.to_ne_bytes());
        for (at, patch) in self.patch.iter().enumerate() {
            bytes[8 + 4 * at..12 + 4 * at].copy_from_slice(&patch.to_ne_bytes());
        }
        bytes[8 + 4 * PATCHES_MAX..].copy_from_slice(&self.bytes);
        bytes
    }
}

const _: () = assert!(size_of::<Template>() == Template::BYTES);

/// Where the media of a slot is: the last byte of both addresses, and the RTP port at both.
#[inline(always)]
#[must_use]
pub const fn place(slot: u64) -> (u64, u64) {
    let octet = OCTET_FIRST + slot / PORTS_PER_ADDRESS;
    (octet, PORT_FIRST + 2 * (slot % PORTS_PER_ADDRESS))
}

/// The source of a flow: `direction` is 1 for what the caller hears.
#[inline(always)]
#[must_use]
pub const fn ssrc(call: u32, direction: u32) -> u32 {
    (call << 1 | direction).wrapping_mul(0x9e37_79b1)
}

/// The slot whose call is changed next: a power law, so that calls last a Zipf-like time. The first slots change often,
/// the last ones seldom.
#[inline(always)]
#[must_use]
pub const fn slot_of_change(change: u64, slots: u64) -> u64 {
    // The finalizer of MurmurHash3: each change another slot, the same ones in each run.
    let mut hash = change as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^= hash >> 16;
    let uniform = hash as u64;
    (((uniform * uniform) >> 32) * slots) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_places_of_their_own() {
        assert_eq!(place(0), (100, 10_000));
        assert_eq!(place(24_999), (100, 59_998));
        assert_eq!(place(25_000), (101, 10_000));
        assert!(place(CALLS_MAX - 1).0 <= 249);
    }

    /// The median call is much shorter than the mean one.
    #[test]
    fn short_calls_are_many() {
        let slots = 1000;
        let early =
            (0..100_000).filter(|&change| slot_of_change(change, slots) < slots / 4).count();
        assert!((49_000..51_000).contains(&early), "{early}");
        assert!((0..100_000).all(|change| slot_of_change(change, slots) < slots));
    }
}
