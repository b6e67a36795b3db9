//! Frames for the tests of this crate: Ethernet or bare IP, UDP or TCP, whole or in fragments.

use earwitness_wire::{Endpoint, LinkType};

use crate::frame::Frame;

/// One packet of IP, without a link header.
pub(crate) fn ip(src: Endpoint, dst: Endpoint, protocol: u8, body: &[u8]) -> Vec<u8> {
    if src.is_v4() {
        let mut packet = vec![0x45, 0];
        packet.extend(((20 + body.len()) as u16).to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
        packet.extend(&src.addr[12..]);
        packet.extend(&dst.addr[12..]);
        packet.extend(body);
        let checksum = checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        packet
    } else {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((body.len() as u16).to_be_bytes());
        packet.extend([protocol, 64]);
        packet.extend(src.addr);
        packet.extend(dst.addr);
        packet.extend(body);
        packet
    }
}

pub(crate) fn udp(src: Endpoint, dst: Endpoint, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(src.port.to_be_bytes());
    body.extend(dst.port.to_be_bytes());
    body.extend(((8 + payload.len()) as u16).to_be_bytes());
    body.extend([0, 0]);
    body.extend(payload);
    ip(src, dst, 17, &body)
}

pub(crate) fn tcp(src: Endpoint, dst: Endpoint, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(src.port.to_be_bytes());
    body.extend(dst.port.to_be_bytes());
    body.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    body.extend(payload);
    ip(src, dst, 6, &body)
}

/// RFC 3550 section 5.1.
pub(crate) fn rtp(sequence: u16, ssrc: u32, fill: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(fill);
    packet
}

/// An Ethernet frame around a packet of IP.
pub(crate) fn ethernet(packet: &[u8]) -> Vec<u8> {
    let mut frame = vec![2; 12];
    frame.extend(if packet[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] });
    frame.extend(packet);
    frame
}

/// A packet of IP cut into fragments whose payloads are `piece` bytes, a multiple of eight.
pub(crate) fn fragments(packet: &[u8], piece: usize, id: u32) -> Vec<Vec<u8>> {
    let header = if packet[0] >> 4 == 4 { 20 } else { 40 };
    let body = &packet[header..];
    let pieces = body.chunks(piece).enumerate().map(|(at, bytes)| {
        let more = at * piece + bytes.len() < body.len();
        fragment(&packet[..header], (at * piece) as u16, more, id, bytes)
    });
    pieces.collect()
}

/// One fragment with any bounds.
pub(crate) fn fragment(header: &[u8], offset: u16, more: bool, id: u32, bytes: &[u8]) -> Vec<u8> {
    let mut packet = header.to_vec();
    if header[0] >> 4 == 4 {
        packet[2..4].copy_from_slice(&((20 + bytes.len()) as u16).to_be_bytes());
        packet[4..6].copy_from_slice(&(id as u16).to_be_bytes());
        packet[6..8].copy_from_slice(&((offset / 8) | (u16::from(more) << 13)).to_be_bytes());
    } else {
        packet[4..6].copy_from_slice(&((8 + bytes.len()) as u16).to_be_bytes());
        packet.extend([packet[6], 0]);
        packet.extend((offset | u16::from(more)).to_be_bytes());
        packet.extend(id.to_be_bytes());
        packet[6] = 44;
    }
    packet.extend(bytes);
    packet
}

/// A packet of IPv4 with another identification; any other packet as it is.
pub(crate) fn numbered(packet: &[u8], id: u32) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet[0] >> 4 == 4 {
        packet[4..6].copy_from_slice(&(id as u16).to_be_bytes());
        packet[10..12].copy_from_slice(&[0, 0]);
        let checksum = checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    packet
}

pub(crate) fn frame(ts_ns: u64, bytes: &[u8], link: LinkType) -> Frame<'_> {
    Frame { ts_ns, bytes, wire_len: bytes.len() as u32, link, source: 0 }
}

fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    !((sum & 0xffff) + (sum >> 16)) as u16
}
