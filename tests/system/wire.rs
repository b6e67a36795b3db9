//! What was on the wire, as a witness saw it who is not Earwitness: a capture file of a switch's span port, in which SIP and
//! RTP are looked up with the times at which they came.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

/// Of a pcap file with microseconds, little-endian, of Ethernet.
const MAGIC: u32 = 0xa1b2_c3d4;
const FILE_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;
const ETHERNET_BYTES: usize = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const PROTOCOL_UDP: u8 = 17;
const UDP_BYTES: usize = 8;
const RTP_BYTES: usize = 12;
const PCMU: u8 = 0;
/// RFC 4733: an event, its flags, its duration.
const EVENT_BYTES: usize = 4;
const EVENT_END: u8 = 0x80;

/// A datagram and when it came, in µs of Unix time.
#[derive(Debug)]
struct Datagram {
    at_us: i64,
    src: SocketAddrV4,
    payload: Vec<u8>,
}

/// Everything over UDP and IPv4, in order of time.
#[derive(Debug)]
pub(crate) struct Wire {
    datagrams: Vec<Datagram>,
}

/// A packet of a voice.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub(crate) at_us: i64,
    /// The RTP timestamp, from that of the voice's first packet on.
    pub(crate) timestamp: i64,
    /// G.711 µ-law.
    pub(crate) encoded: Vec<u8>,
}

/// A packet of a telephone event.
#[derive(Debug)]
pub(crate) struct Pressed {
    pub(crate) at_us: i64,
    /// That of the event's begin: the same in all packets of one key.
    timestamp: u32,
    is_end: bool,
    /// The whole RTP packet.
    pub(crate) packet: Vec<u8>,
}

impl Wire {
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("the witness wrote a file");
        assert_eq!(word(&bytes, 0), MAGIC, "{} is no such file", path.display());
        let mut datagrams = Vec::new();
        let mut at = FILE_HEADER_BYTES;
        while let Some(header) = bytes.get(at..at + RECORD_HEADER_BYTES) {
            let at_us = i64::from(word(header, 0)) * 1_000_000 + i64::from(word(header, 4));
            let from = at + RECORD_HEADER_BYTES;
            at = from + word(header, 8) as usize;
            let frame = bytes.get(from..at).expect("the file ends with a whole frame");
            datagrams.extend(datagram(at_us, frame));
        }
        Self { datagrams }
    }

    /// Requests of a method that a host sent, each once: when it came first, and its text.
    pub(crate) fn requests(&self, host: Ipv4Addr, method: &str) -> Vec<(i64, &str)> {
        let start = format!("{method} sip:");
        let mut found: Vec<(i64, &str)> = Vec::new();
        for datagram in self.datagrams.iter().filter(|datagram| *datagram.src.ip() == host) {
            let Ok(text) = std::str::from_utf8(&datagram.payload) else { continue };
            if text.starts_with(&start) && !found.iter().any(|(_, known)| *known == text) {
                found.push((datagram.at_us, text));
            }
        }
        found
    }

    /// What a host said.
    pub(crate) fn voice(&self, host: Ipv4Addr) -> Vec<Spoken> {
        let packets = self.rtp(host).filter(|(_, packet)| packet[1] & 0x7f == PCMU);
        let mut first = None;
        let spoken = |(at_us, packet): (i64, &[u8])| {
            let timestamp = big_endian(packet, 4);
            let first = *first.get_or_insert(timestamp);
            let timestamp = i64::from(timestamp.wrapping_sub(first).cast_signed());
            Spoken { at_us, timestamp, encoded: packet[RTP_BYTES..].to_vec() }
        };
        packets.map(spoken).collect()
    }

    /// Packets of the keys that a host pressed.
    pub(crate) fn pressed(&self, host: Ipv4Addr) -> Vec<Pressed> {
        let is_event =
            |packet: &[u8]| packet[1] & 0x7f != PCMU && packet.len() == RTP_BYTES + EVENT_BYTES;
        let pressed = |(at_us, packet): (i64, &[u8])| Pressed {
            at_us,
            timestamp: big_endian(packet, 4),
            is_end: packet[RTP_BYTES + 1] & EVENT_END != 0,
            packet: packet.to_vec(),
        };
        self.rtp(host).filter(|(_, packet)| is_event(packet)).map(pressed).collect()
    }

    fn rtp(&self, host: Ipv4Addr) -> impl Iterator<Item = (i64, &[u8])> {
        // RFC 5761: the second byte of RTCP is between 192 and 223.
        let is_rtp = |payload: &[u8]| {
            payload.len() > RTP_BYTES && payload[0] == 0x80 && !(192..=223).contains(&payload[1])
        };
        let of_host = self.datagrams.iter().filter(move |datagram| *datagram.src.ip() == host);
        of_host
            .map(|datagram| (datagram.at_us, &datagram.payload[..]))
            .filter(move |(_, payload)| is_rtp(payload))
    }
}

/// When each key was released: its first packet that says so.
pub(crate) fn releases(pressed: &[Pressed]) -> Vec<i64> {
    let mut keys: Vec<(u32, i64)> = Vec::new();
    for packet in pressed.iter().filter(|packet| packet.is_end) {
        if keys.last().is_none_or(|(timestamp, _)| *timestamp != packet.timestamp) {
            keys.push((packet.timestamp, packet.at_us));
        }
    }
    keys.into_iter().map(|(_, at_us)| at_us).collect()
}

fn datagram(at_us: i64, frame: &[u8]) -> Option<Datagram> {
    let (ethernet, packet) = frame.split_at_checked(ETHERNET_BYTES)?;
    let is_ipv4 = u16::from_be_bytes([ethernet[12], ethernet[13]]) == ETHERTYPE_IPV4;
    if !is_ipv4 || packet.get(9) != Some(&PROTOCOL_UDP) {
        return None;
    }
    let address = Ipv4Addr::from(big_endian(packet, 12));
    let datagram = &packet[usize::from(packet[0] & 0x0f) * 4..];
    let port = u16::from_be_bytes([datagram[0], datagram[1]]);
    let length = usize::from(u16::from_be_bytes([datagram[4], datagram[5]]));
    let payload = datagram[UDP_BYTES..length].to_vec();
    Some(Datagram { at_us, src: SocketAddrV4::new(address, port), payload })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn big_endian(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
