//! Frames that the generator copies: a whole dialog, RTCP, and what is to be ignored.
//!
//! Digits of the call are written over `%C`, `%O` and `%P`, which stand for its number in eight hexadecimal digits, the
//! last number of its media address in three, and its media port in five.

use earwitness_generator_abi::{
    MACS, NETWORKS, OCTET_FIRST, PATCHES_MAX, PORT_FIRST, Patch, SILENCE, TEMPLATE_BYTES, Template,
    template,
};

/// The two servers that talk SIP.
const SERVERS: [[u8; 4]; 2] = [[10, 1, 3, 10], [10, 1, 3, 20]];
/// Who talks to whom in what is to be ignored.
const STRANGERS: [[u8; 4]; 2] = [[10, 1, 4, 10], [10, 1, 4, 20]];
const HEADERS_BYTES: usize = 42;
const UDP: u8 = 17;
const TCP: u8 = 6;
/// Where the generator looks whether the payload of silence is there already: no template may have it there.
const SILENCE_AT: std::ops::Range<usize> = 56..64;

/// A frame while it is made.
struct Draft {
    bytes: Vec<u8>,
    patches: Vec<u32>,
}

/// All templates, in the order of their numbers.
pub fn all() -> Vec<Template> {
    let mut drafts = dialog();
    drafts.push(rtcp());
    drafts.extend(background());
    assert_eq!(drafts.len(), template::COUNT as usize);
    drafts.iter().map(Draft::finish).collect()
}

impl Draft {
    fn plain(bytes: Vec<u8>) -> Self {
        Self { bytes, patches: Vec::new() }
    }

    /// A message over UDP between the two servers; `from` is 0 for the caller's.
    fn message(from: usize, text: &str) -> Self {
        let (payload, places) = digits(text);
        let bytes = udp(SERVERS[from], SERVERS[1 - from], 5060, 5060, payload.as_bytes());
        let patches =
            places.iter().map(|(what, at)| (*what as u32) << 16 | (HEADERS_BYTES + at) as u32);
        Self { bytes, patches: patches.collect() }
    }

    fn finish(&self) -> Template {
        let (length, patches) = (self.bytes.len(), self.patches.len());
        assert!(length <= TEMPLATE_BYTES && patches <= PATCHES_MAX, "{length}, {patches}");
        assert_ne!(self.bytes[SILENCE_AT], [SILENCE; 8]);
        let mut template = Template {
            length: length as u32,
            patches: patches as u32,
            patch: [0; PATCHES_MAX],
            bytes: [0; TEMPLATE_BYTES],
        };
        template.patch[..patches].copy_from_slice(&self.patches);
        template.bytes[..length].copy_from_slice(&self.bytes);
        template
    }
}

/// The text with zeros for digits, and where they are.
fn digits(text: &str) -> (String, Vec<(Patch, usize)>) {
    let (mut out, mut places) = (String::new(), Vec::new());
    let mut parts = text.split('%');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (what, zeros) = match part.as_bytes().first() {
            Some(b'C') => (Patch::Call, "00000000"),
            Some(b'O') => (Patch::Octet, "000"),
            Some(b'P') => (Patch::Port, "00000"),
            _ => unreachable!("no other mark is used here"),
        };
        places.push((what, out.len()));
        out.push_str(zeros);
        out.push_str(&part[1..]);
    }
    (out, places)
}

/// A call that one server asks for and the other answers (RFC 3261, 24.2), and its end.
fn dialog() -> Vec<Draft> {
    let from = "From: <sip:%C@a.example>;tag=f%C\r\n";
    let to = "To: <sip:100@b.example>";
    let [a, b] = SERVERS.map(dotted);
    let call = "Call-ID: %C@a.example\r\n";
    let via = |branch: &str| format!("Via: SIP/2.0/UDP {a}:5060;branch=z9hG4bK{branch}%C\r\n");
    let request = |method: &str, branch: &str, tag: &str, cseq: &str, more: &str| {
        format!(
            "{method} sip:100@{b}:5060 SIP/2.0\r\n{}Max-Forwards: 70\r\n{from}{to}{tag}\r\n{call}\
             CSeq: {cseq} {method}\r\n{more}",
            via(branch)
        )
    };
    let response = |status: &str, branch: &str, tag: &str, cseq: &str, more: &str| {
        format!(
            "SIP/2.0 {status}\r\n{}{from}{to}{tag}\r\n{call}CSeq: {cseq}\r\n{more}",
            via(branch)
        )
    };
    let nothing = "Content-Length: 0\r\n\r\n";
    let contact = |server: &str| format!("Contact: <sip:{server}:5060>\r\n");
    let offer = contact(&a) + &session(&a, NETWORKS[0]);
    let answer = contact(&b) + &session(&b, NETWORKS[1]);
    let tag = ";tag=t%C";
    let ringing = contact(&b) + nothing;
    vec![
        Draft::message(0, &request("BYE", "bye", tag, "2", nothing)),
        Draft::message(1, &response("200 OK", "bye", tag, "2 BYE", nothing)),
        Draft::message(0, &request("INVITE", "inv", "", "1", &offer)),
        Draft::message(1, &response("100 Trying", "inv", "", "1 INVITE", nothing)),
        Draft::message(1, &response("180 Ringing", "inv", tag, "1 INVITE", &ringing)),
        Draft::message(1, &response("200 OK", "inv", tag, "1 INVITE", &answer)),
        Draft::message(0, &request("ACK", "ack", tag, "1", nothing)),
    ]
}

/// The headers and the body of an offer or an answer (RFC 4566).
fn session(server: &str, network: [u8; 3]) -> String {
    let [x, y, z] = network;
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 {server}\r\ns=-\r\nc=IN IP4 {x}.{y}.{z}.%O\r\nt=0 0\r\n\
         m=audio %P RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
    );
    let length = digits(&body).0.len();
    format!("Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// A report of a sender and its name (RFC 3550, 6.4.1 and 6.5); the program writes addresses, sources and counts.
fn rtcp() -> Draft {
    let mut payload = vec![0x80, 200, 0, 6];
    payload.extend([0; 24]);
    payload.extend([0x81, 202, 0, 5]);
    payload.extend([0; 4]);
    payload.extend([1, 12]);
    payload.extend(b"gw.a.example");
    payload.extend([0; 2]);
    let [caller, called] = NETWORKS.map(|[a, b, c]| [a, b, c, OCTET_FIRST as u8]);
    let port = PORT_FIRST as u16 + 1;
    Draft::plain(udp(caller, called, port, port, &payload))
}

/// DNS asked and answered, a piece of a page, and its acknowledgement.
fn background() -> Vec<Draft> {
    let [client, server] = STRANGERS;
    let name = b"\x03www\x07example\x03org\x00\x00\x01\x00\x01";
    let question = [&b"\x1a\x2b\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"[..], name].concat();
    let answer = [
        &b"\x1a\x2b\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"[..],
        name,
        b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\xc0\x00\x02\x01",
    ]
    .concat();
    let page = [
        &b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 440\r\n\r\n"[..],
        &b"<p>Lorem ipsum dolor sit amet, consetetur.</p>\r\n".repeat(9),
    ]
    .concat();
    // Options of TCP: two that say nothing, and time stamps.
    vec![
        Draft::plain(udp(client, server, 40_053, 53, &question)),
        Draft::plain(udp(server, client, 53, 40_053, &answer)),
        Draft::plain(tcp(server, client, 80, 40_080, &page)),
        Draft::plain(tcp(client, server, 40_080, 80, b"")),
    ]
}

fn udp(src: [u8; 4], dst: [u8; 4], src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len() as u16;
    // RFC 768: no checksum is a checksum of zero.
    let header = [src_port, dst_port, length, 0].map(u16::to_be_bytes).concat();
    ipv4(UDP, src, dst, &[&header, payload].concat())
}

fn tcp(src: [u8; 4], dst: [u8; 4], src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = [src_port, dst_port, 1, 0, 1, 0].map(u16::to_be_bytes).concat();
    // Eight words of header; PSH and ACK; window; checksum; urgent.
    header.extend([0x80, 0x18, 0x01, 0xf6, 0, 0, 0, 0]);
    header.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1]);
    ipv4(TCP, src, dst, &[&header, payload].concat())
}

fn ipv4(protocol: u8, src: [u8; 4], dst: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + payload.len() as u16).to_be_bytes();
    let mut header = vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0];
    header.extend(src);
    header.extend(dst);
    let sum = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let check = !fold(fold(sum)) as u16;
    header[10..12].copy_from_slice(&check.to_be_bytes());
    [&MACS[..], &[8, 0], &header, payload].concat()
}

fn fold(sum: u32) -> u32 {
    (sum & 0xffff) + (sum >> 16)
}

fn dotted(address: [u8; 4]) -> String {
    let [a, b, c, d] = address;
    format!("{a}.{b}.{c}.{d}")
}
