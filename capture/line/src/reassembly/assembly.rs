//! One datagram and the pieces of it that came.

use earwitness_wire::{Parsed, Transport};

use crate::limits::{DATAGRAM_BYTES_MAX, FRAGMENTS_MAX};

/// Bytes of an IPv6 fragment header (RFC 8200 section 4.5).
const FRAGMENT_HEADER_BYTES: usize = 8;
/// Its protocol number.
const FRAGMENT_HEADER: u8 = 44;

/// A datagram's header, bytes, and which of them are there. Buffers are kept when it is cleared.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    pub(super) begun_ns: u64,
    /// Packets that brought pieces, duplicates included.
    pub(super) packets: u16,
    header: Vec<u8>,
    payload: Vec<u8>,
    /// What is there, in order, neither touching nor overlapping.
    spans: Vec<Span>,
    /// Length of the payload, once the last piece came.
    end: Option<usize>,
    /// Bounds of the pieces, to know a repetition from an overlap.
    pieces: Vec<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    from: usize,
    to: usize,
}

/// A fragment that could be part of a datagram.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    /// The IP header without the fragment header, of the first piece only.
    header: Option<Header<'a>>,
    payload: &'a [u8],
    offset: usize,
    more: bool,
    ipv6: bool,
}

#[derive(Debug, Clone, Copy)]
struct Header<'a> {
    bytes: &'a [u8],
    /// IPv6: where in `bytes` the fragment header was announced, and what it announced itself.
    next: Option<(usize, u8)>,
}

/// What does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The piece is left out.
    Piece,
    /// The datagram is given up.
    Datagram,
}

impl<'a> Piece<'a> {
    /// None if no sender makes such a fragment.
    pub(super) fn of(frame: &'a [u8], parsed: &Parsed) -> Option<Self> {
        let fragment = parsed.fragment?;
        let (l3, start) = (usize::from(parsed.l3), usize::from(parsed.payload));
        let payload = frame.get(start..start + usize::from(parsed.payload_len))?;
        let offset = usize::from(fragment.offset);
        let aligned = !fragment.more || payload.len().is_multiple_of(8);
        if payload.is_empty() || !aligned || offset + payload.len() > DATAGRAM_BYTES_MAX {
            return None;
        }
        let ipv6 = frame.get(l3)? >> 4 == 6;
        let header = match (offset, ipv6) {
            (0, false) => Some(Header { bytes: frame.get(l3..start)?, next: None }),
            (0, true) => Some(ipv6_header(frame.get(l3..start)?, parsed.transport)?),
            _ => None,
        };
        Some(Self { header, payload, offset, more: fragment.more, ipv6 })
    }
}

impl Assembly {
    pub(super) fn begin(&mut self, ts_ns: u64) {
        self.clear();
        self.begun_ns = ts_ns;
    }

    pub(super) fn clear(&mut self) {
        self.packets = 0;
        self.header.clear();
        self.payload.clear();
        self.spans.clear();
        self.pieces.clear();
        self.end = None;
    }

    /// What the bound on all datagrams counts.
    pub(super) fn bytes(&self) -> usize {
        self.header.len() + self.payload.len()
    }

    /// Adds a piece; says whether it overlapped others.
    pub(super) fn add(&mut self, piece: &Piece<'_>) -> Result<bool, Refusal> {
        let span = Span { from: piece.offset, to: piece.offset + piece.payload.len() };
        self.check_end(span, piece.more)?;
        if self.pieces.contains(&span) {
            return Ok(false);
        }
        let overlaps = self.spans.iter().any(|have| have.from < span.to && span.from < have.to);
        if overlaps && piece.ipv6 {
            return Err(Refusal::Datagram);
        }
        if self.pieces.len() >= usize::from(FRAGMENTS_MAX) {
            return Err(Refusal::Piece);
        }
        self.pieces.push(span);
        if !piece.more {
            self.end = Some(span.to);
        }
        if let Some(header) = piece.header
            && self.header.is_empty()
        {
            self.header.extend_from_slice(header.bytes);
            if let Some((at, protocol)) = header.next {
                self.header[at] = protocol;
            }
        }
        self.fill(span, piece.payload);
        Ok(overlaps)
    }

    /// Whether everything from the header to the last piece is there.
    pub(super) fn is_whole(&self) -> bool {
        let whole =
            |span: &[Span]| matches!(span, [one] if one.from == 0 && Some(one.to) == self.end);
        whole(&self.spans) && !self.header.is_empty()
    }

    /// The datagram as one packet; false if it would be longer than a packet can be.
    pub(super) fn write_to(&self, whole: &mut Vec<u8>) -> bool {
        whole.clear();
        whole.extend_from_slice(&self.header);
        whole.extend_from_slice(&self.payload[..self.end.unwrap_or(0)]);
        if self.header[0] >> 4 == 6 {
            // RFC 8200 section 3: the length counts what follows the first 40 bytes.
            let Ok(length) = u16::try_from(whole.len() - 40) else { return false };
            whole[4..6].copy_from_slice(&length.to_be_bytes());
        } else {
            let Ok(length) = u16::try_from(whole.len()) else { return false };
            whole[2..4].copy_from_slice(&length.to_be_bytes());
            // RFC 791 section 3.1: no flags but "don't fragment" (never set here), offset 0.
            whole[6..8].copy_from_slice(&[0, 0]);
            whole[10..12].copy_from_slice(&[0, 0]);
            let checksum = checksum(&whole[..self.header.len()]);
            whole[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
        true
    }

    /// One end for all, and nothing behind it.
    fn check_end(&self, span: Span, more: bool) -> Result<(), Refusal> {
        let furthest = self.spans.last().map_or(0, |last| last.to);
        let fits = match (self.end, more) {
            (Some(end), true) => span.to <= end,
            (Some(end), false) => span.to == end,
            (None, true) => true,
            (None, false) => span.to >= furthest,
        };
        if fits { Ok(()) } else { Err(Refusal::Piece) }
    }

    /// Copies what is not there yet: the bytes that came first stay.
    fn fill(&mut self, span: Span, bytes: &[u8]) {
        if self.payload.len() < span.to {
            self.payload.resize(span.to, 0);
        }
        let mut at = span.from;
        let first = self.spans.partition_point(|have| have.to < span.from);
        let mut merged = span;
        let mut last = first;
        while let Some(&have) = self.spans.get(last)
            && have.from <= span.to
        {
            if at < have.from {
                self.payload[at..have.from]
                    .copy_from_slice(&bytes[at - span.from..have.from - span.from]);
            }
            at = at.max(have.to);
            merged = Span { from: merged.from.min(have.from), to: merged.to.max(have.to) };
            last += 1;
        }
        if at < span.to {
            self.payload[at..span.to].copy_from_slice(&bytes[at - span.from..]);
        }
        self.spans.splice(first..last, [merged]);
    }
}

/// The headers before the fragment header, and which byte of them announces it.
fn ipv6_header(bytes: &[u8], transport: Transport) -> Option<Header<'_>> {
    let end = bytes.len().checked_sub(FRAGMENT_HEADER_BYTES)?;
    let (mut announces, mut at) = (6, 40);
    while at < end {
        let length = match *bytes.get(announces)? {
            // RFC 4302 section 2.2: the authentication header counts in words, less two.
            51 => (usize::from(*bytes.get(at + 1)?) + 2) * 4,
            _ => (usize::from(*bytes.get(at + 1)?) + 1) * 8,
        };
        (announces, at) = (at, at + length);
    }
    let protocol = match transport {
        Transport::Udp => 17,
        Transport::Tcp => 6,
        Transport::Other(protocol) => protocol,
    };
    let found = at == end && bytes[announces] == FRAGMENT_HEADER;
    found.then_some(Header { bytes: &bytes[..end], next: Some((announces, protocol)) })
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let words =
        header.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}
