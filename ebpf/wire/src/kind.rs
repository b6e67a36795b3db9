//! What a payload is, by its first bytes. RFC 7983 tells STUN, DTLS, RTP and RTCP on one port apart.

use crate::bytes::Bytes;

#[repr(u8)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A SIP request of a known method, or a status line.
    Sip = 1,
    /// An HTTP GET, which may ask for a WebSocket.
    Http = 2,
    Rtp = 3,
    Rtcp = 4,
    Stun = 5,
    Dtls = 6,
    #[default]
    Other = 0,
}

/// The kind of a whole payload.
#[must_use]
pub fn kind(payload: &[u8]) -> Kind {
    kind_bytes(payload, 0, payload.length())
}

/// The kind of the payload of `length` bytes at `at`. None of it is trusted; nothing beyond its end is read.
#[inline(always)]
pub fn kind_bytes<B: Bytes + ?Sized>(bytes: &B, at: u32, length: u32) -> Kind {
    // The shortest that says anything: an RTCP header with its SSRC.
    if length < 8 {
        return Kind::Other;
    }
    let Some(head) = bytes.u64_at(at) else { return Kind::Other };
    match (head >> 56) as u8 {
        0..=3 => stun(length, head),
        b'\r' | b'\n' => after_line_ends(bytes, at, length, head),
        // RFC 6347 section 4.1: content types 20 to 26; ChangeCipherSpec to ACK.
        20..=26 => dtls(length, head),
        b'A'..=b'Z' => text(bytes, at, length, head),
        128..=191 => media(bytes, at, length, head),
        _ => Kind::Other,
    }
}

/// RFC 3261 section 7.5: line ends before a start-line are to be ignored.
#[inline(always)]
fn after_line_ends<B: Bytes + ?Sized>(bytes: &B, at: u32, length: u32, head: u64) -> Kind {
    let skip = match () {
        () if head >> 32 == 0x0d0a_0d0a => 4,
        () if head >> 48 == 0x0d0a => 2,
        () => return Kind::Other,
    };
    if length < skip + 8 {
        return Kind::Other;
    }
    match bytes.u64_at(at + skip) {
        Some(head) => text(bytes, at + skip, length - skip, head),
        None => Kind::Other,
    }
}

/// The first bytes of a text, and the mask that selects them.
const fn prefix(text: &[u8]) -> (u64, u64) {
    let mut value = 0;
    let mut mask = 0;
    let mut at = 0;
    while at < 8 {
        value <<= 8;
        mask <<= 8;
        if at < text.len() {
            value |= text[at] as u64;
            mask |= 0xff;
        }
        at += 1;
    }
    (value, mask)
}

const SIP_2_0: (u64, u64) = prefix(b"SIP/2.0 ");
const GET: (u64, u64) = prefix(b"GET ");

/// RFC 3261 section 7.1 and the RFCs that added methods. Length with the space that follows.
const METHODS: [((u64, u64), u32); 14] = [
    (prefix(b"INVITE "), 7),
    (prefix(b"ACK "), 4),
    (prefix(b"BYE "), 4),
    (prefix(b"CANCEL "), 7),
    (prefix(b"OPTIONS "), 8),
    (prefix(b"REGISTER"), 9),
    (prefix(b"INFO "), 5),
    (prefix(b"PRACK "), 6),
    (prefix(b"UPDATE "), 7),
    (prefix(b"NOTIFY "), 7),
    (prefix(b"SUBSCRIB"), 10),
    (prefix(b"PUBLISH "), 8),
    (prefix(b"MESSAGE "), 8),
    (prefix(b"REFER "), 6),
];

#[inline(always)]
fn text<B: Bytes + ?Sized>(bytes: &B, at: u32, length: u32, head: u64) -> Kind {
    if head & SIP_2_0.1 == SIP_2_0.0 {
        return Kind::Sip;
    }
    if head & GET.1 == GET.0 {
        return Kind::Http;
    }
    let mut uri = 0;
    for ((value, mask), length) in METHODS {
        if head & mask == value {
            uri = length;
        }
    }
    if uri == 0 || length < uri + 4 {
        return Kind::Other;
    }
    // A request-URI is absolute: "OPTIONS * HTTP/1.1", "NOTIFY * HTTP/1.1" (SSDP) and "OPTIONS rtsp://" are not SIP.
    match bytes.u32_at(at + uri) {
        Some(scheme) if scheme | 0x2020_2020 == u32::from_be_bytes(*b"rtsp") => Kind::Other,
        Some(scheme) if ((scheme >> 24) as u8).is_ascii_alphabetic() => Kind::Sip,
        _ => Kind::Other,
    }
}

/// RFC 5389 section 6: two zero bits, a length that is a multiple of four, the magic cookie.
#[inline(always)]
fn stun(length: u32, head: u64) -> Kind {
    let body = (head >> 32) as u32 & 0xffff;
    if head as u32 == 0x2112_a442 && body & 3 == 0 && length >= 20 + body {
        Kind::Stun
    } else {
        Kind::Other
    }
}

/// RFC 6347 section 4.1: a 13-byte record header, version 1.0 or 1.2.
#[inline(always)]
fn dtls(length: u32, head: u64) -> Kind {
    match (head >> 40) as u16 {
        0xfeff | 0xfefd if length >= 13 => Kind::Dtls,
        _ => Kind::Other,
    }
}

/// RFC 3550: version 2. RFC 5761 section 4: second bytes 192 to 223 are RTCP, and payload types 64 to 95 are not used.
#[inline(always)]
fn media<B: Bytes + ?Sized>(bytes: &B, at: u32, length: u32, head: u64) -> Kind {
    let second = (head >> 48) as u8;
    if (192..=223).contains(&second) {
        // RFC 3550 section 6.4.1: length in words, less one.
        let words = (head >> 32) as u32 & 0xffff;
        return if (words + 1) * 4 <= length { Kind::Rtcp } else { Kind::Other };
    }
    if (64..=95).contains(&(second & 0x7f)) {
        return Kind::Other;
    }
    let first = (head >> 56) as u8;
    let mut header = 12 + u32::from(first & 0x0f) * 4;
    // RFC 3550 section 5.3.1: one header extension, its length in words.
    if first & 0x10 != 0 {
        if length < header + 4 {
            return Kind::Other;
        }
        let Some(words) = bytes.u16_at(at + header + 2) else { return Kind::Other };
        header += 4 + u32::from(words) * 4;
    }
    if header <= length { Kind::Rtp } else { Kind::Other }
}
