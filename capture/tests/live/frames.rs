//! Frames as they lie on the wire.

use earwitness_wire::Endpoint;

pub const PHONE: [u8; 4] = [192, 0, 2, 1];

const SERVER: [u8; 4] = [198, 51, 100, 202];
const TUNNEL_END: [u8; 4] = [198, 51, 100, 203];

/// Where the media of call `number` goes.
pub fn media_of(number: u8) -> Endpoint {
    Endpoint::v4([198, 51, 100, number], 30_000)
}

/// G.711 of 20 ms, told apart by its sequence number.
pub fn rtp(number: u8, sequence: u16) -> Vec<u8> {
    let mut payload = vec![0x80, 0];
    payload.extend(sequence.to_be_bytes());
    payload.extend((u32::from(sequence) * 160).to_be_bytes());
    payload.extend(u32::from(number).to_be_bytes());
    payload.extend([0xd5; 160]);
    udp([198, 51, 100, number], 20_000, 30_000, &payload)
}

pub fn sip(number: u16) -> Vec<u8> {
    let text = format!(
        "OPTIONS sip:b@example.com SIP/2.0\r\nCall-ID: {number}@test\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    );
    udp([198, 51, 100, 200], 5060, 5060, text.as_bytes())
}

/// What nobody wants.
pub fn other(number: u16) -> Vec<u8> {
    udp([198, 51, 100, 201], 40_000, 40_000, &[b'x', (number >> 8) as u8, number as u8, b'y'])
}

/// With an 802.1Q tag.
pub fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    [&frame[..12], &[0x81, 0], &vlan.to_be_bytes(), &frame[12..]].concat()
}

/// In a VXLAN tunnel to a port.
pub fn vxlan(port: u16, frame: &[u8]) -> Vec<u8> {
    udp(TUNNEL_END, 50_000, port, &[&[8, 0, 0, 0, 0, 0, 1, 0], frame].concat())
}

/// The IP packet of an untagged frame in two fragments, each a frame.
pub fn fragments(frame: &[u8], id: u16) -> [Vec<u8>; 2] {
    let (ethernet, packet) = frame.split_at(14);
    let (header, body) = packet.split_at(20);
    let (first, second) = body.split_at(96);
    let part = |body: &[u8], flags_and_offset: u16| {
        let mut header = header.to_vec();
        header[2..4].copy_from_slice(&(20 + body.len() as u16).to_be_bytes());
        header[4..6].copy_from_slice(&id.to_be_bytes());
        header[6..8].copy_from_slice(&flags_and_offset.to_be_bytes());
        seal(&mut header);
        [ethernet, &header, body].concat()
    };
    [part(first, 0x2000), part(second, 96 / 8)]
}

/// A segment to port 443 of a server.
pub fn to_server(client_port: u16, payload: &[u8]) -> Vec<u8> {
    tcp(PHONE, SERVER, client_port, 443, payload)
}

/// A segment from there.
pub fn from_server(client_port: u16, payload: &[u8]) -> Vec<u8> {
    tcp(SERVER, PHONE, 443, client_port, payload)
}

fn tcp(src: [u8; 4], dst: [u8; 4], src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut segment = [src_port.to_be_bytes(), dst_port.to_be_bytes()].concat();
    // Sequence numbers, 20 bytes of header, PSH and ACK, window.
    segment.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0]);
    segment.extend(payload);
    ip(src, dst, 6, &segment)
}

fn udp(dst: [u8; 4], src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = [src_port.to_be_bytes(), dst_port.to_be_bytes()].concat();
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    ip(PHONE, dst, 17, &datagram)
}

fn ip(src: [u8; 4], dst: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend((20 + payload.len() as u16).to_be_bytes());
    header.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    header.extend(src);
    header.extend(dst);
    seal(&mut header);
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0], header.as_slice(), payload].concat()
}

/// RFC 791 section 3.1: the header's checksum.
fn seal(header: &mut [u8]) {
    header[10..12].fill(0);
    let words = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let mut sum: u32 = words.sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !(sum as u16);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}
