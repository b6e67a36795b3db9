//! SIP over connections: segments of any connection in, SIP messages out.
//!
//! Joins [`tcp`](crate::tcp), [`sip::Framer`] and [`websocket`]. What a
//! direction carries is told by its first bytes, in the middle of a connection too; what is neither SIP nor a
//! WebSocket for SIP is said to be foreign once and then passed over.

use std::net::SocketAddr;

use crate::limits::STREAM_PROBE_BYTES_MAX;
use crate::sip::{self, Method};
use crate::tcp::{Chunk, Connections, Direction, Reassembler, Segment};
use crate::websocket::{self, Handshake, WebSocketError};

/// What a stream gives out. Each event is about the direction whose segment was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEvent<'a> {
    /// One SIP message, for [`sip::parse`].
    Message(&'a [u8]),
    /// CRLF, or a WebSocket ping or pong.
    Keepalive,
    /// Bytes of a SIP stream that belong to no message.
    Garbage { bytes: usize },
    /// Bytes that the tap did not see.
    Gap { bytes: u32 },
    /// The direction is a WebSocket that carries SIP: its connection is to be captured from now on.
    WebSocketOpened,
    /// A message, or all that follow, of a WebSocket cannot be read.
    WebSocketError(WebSocketError),
    /// The direction carries something else.
    Foreign,
    /// FIN or RST.
    Closed,
}

/// All directions of all connections that may carry SIP.
#[derive(Debug)]
pub struct Streams {
    connections: Connections<Stream>,
    patience_ns: u64,
}

impl Streams {
    /// An empty table; a hole is waited for as long as `patience_ns`.
    #[must_use]
    pub fn new(patience_ns: u64) -> Self {
        Self { connections: Connections::default(), patience_ns }
    }

    /// Takes one segment.
    pub fn push(
        &mut self,
        src: SocketAddr,
        dst: SocketAddr,
        segment: Segment<'_>,
        sink: &mut dyn FnMut(StreamEvent<'_>),
    ) {
        let direction = Direction { src, dst };
        let is_over = segment.payload.is_empty() && self.connections.get(direction).is_none();
        // A bare ACK, FIN or RST of a direction that is not known says nothing.
        if is_over && !segment.flags.has(crate::tcp::Flags::SYN) {
            return;
        }
        let stream = self.connections.touch(direction, Stream::default);
        stream.push(segment, self.patience_ns, sink);
        match stream.is_closed {
            true => {
                self.connections.remove(direction);
            }
            false => {
                let bytes = stream.buffered();
                self.connections.account(direction, bytes);
            }
        }
    }

    /// Gives up holes that have been waited for long enough, in all directions.
    pub fn tick(&mut self, now_ns: u64, sink: &mut dyn FnMut(Direction, StreamEvent<'_>)) {
        let patience_ns = self.patience_ns;
        let mut waiting: Vec<_> = self
            .connections
            .iter_mut()
            .filter(|(_, stream)| stream.tcp.pending_bytes() > 0)
            .collect();
        // In an order of their own: same input, same output.
        waiting.sort_by_key(|(direction, _)| *direction);
        for (direction, stream) in waiting {
            stream.tick(now_ns, patience_ns, &mut |event| sink(direction, event));
        }
    }

    /// How many directions are followed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.connections.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// How many directions were given up for want of room.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.connections.evicted()
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Stream {
    tcp: Reassembler,
    content: Content,
    is_closed: bool,
}

/// What a direction carries.
#[derive(Debug)]
enum Content {
    /// Not known yet; the bytes so far.
    Unknown(Vec<u8>),
    Sip(sip::Framer),
    WebSocket(websocket::Framer),
    Foreign,
}

impl Default for Content {
    fn default() -> Self {
        Self::Unknown(Vec::new())
    }
}

impl Stream {
    fn push(
        &mut self,
        segment: Segment<'_>,
        patience_ns: u64,
        sink: &mut dyn FnMut(StreamEvent<'_>),
    ) {
        let now_ns = segment.ts_ns;
        let (content, is_closed) = (&mut self.content, &mut self.is_closed);
        self.tcp.push(segment, &mut |chunk| content.take(chunk, is_closed, sink));
        self.tcp.tick(now_ns, patience_ns, &mut |chunk| content.take(chunk, is_closed, sink));
    }

    fn tick(&mut self, now_ns: u64, patience_ns: u64, sink: &mut dyn FnMut(StreamEvent<'_>)) {
        let (content, is_closed) = (&mut self.content, &mut self.is_closed);
        self.tcp.tick(now_ns, patience_ns, &mut |chunk| content.take(chunk, is_closed, sink));
    }

    fn buffered(&self) -> usize {
        let held = match &self.content {
            Content::Unknown(bytes) => bytes.len(),
            Content::Sip(framer) => framer.buffered(),
            Content::WebSocket(framer) => framer.buffered(),
            Content::Foreign => 0,
        };
        held + self.tcp.pending_bytes()
    }
}

impl Content {
    fn take(
        &mut self,
        chunk: Chunk<'_>,
        is_closed: &mut bool,
        sink: &mut dyn FnMut(StreamEvent<'_>),
    ) {
        match chunk {
            Chunk::Start => {
                self.cut(sink);
                *self = Self::default();
            }
            Chunk::Data(bytes) => self.data(bytes, sink),
            Chunk::Gap { bytes } => {
                sink(StreamEvent::Gap { bytes });
                self.cut(sink);
            }
            Chunk::End => {
                self.cut(sink);
                sink(StreamEvent::Closed);
                *is_closed = true;
            }
        }
    }

    fn data(&mut self, bytes: &[u8], sink: &mut dyn FnMut(StreamEvent<'_>)) {
        match self {
            Self::Foreign => {}
            Self::Sip(framer) => {
                framer.push(bytes);
                drain_sip(framer, sink);
            }
            Self::WebSocket(framer) => {
                framer.push(bytes);
                drain_websocket(framer, sink);
            }
            Self::Unknown(held) => {
                held.extend_from_slice(bytes);
                let held = std::mem::take(held);
                self.probe(held, sink);
            }
        }
    }

    /// Says what the first bytes are, if they say it.
    fn probe(&mut self, held: Vec<u8>, sink: &mut dyn FnMut(StreamEvent<'_>)) {
        let (content, from) = match identify(&held) {
            Identity::Incomplete if held.len() <= STREAM_PROBE_BYTES_MAX => {
                *self = Self::Unknown(held);
                return;
            }
            Identity::Sip => (Self::Sip(sip::Framer::new()), 0),
            Identity::WebSocket { from } => (Self::WebSocket(websocket::Framer::new()), from),
            Identity::Incomplete | Identity::Foreign => (Self::Foreign, 0),
        };
        *self = content;
        match self {
            Self::Foreign => sink(StreamEvent::Foreign),
            Self::WebSocket(_) => sink(StreamEvent::WebSocketOpened),
            _ => {}
        }
        self.data(&held[from..], sink);
    }

    /// Bytes are missing behind what was taken.
    fn cut(&mut self, sink: &mut dyn FnMut(StreamEvent<'_>)) {
        match self {
            Self::Sip(framer) => {
                framer.gap();
                drain_sip(framer, sink);
            }
            // Frames cannot be found again but by trying at the start of the next segment.
            Self::Unknown(_) | Self::WebSocket(_) | Self::Foreign => *self = Self::default(),
        }
    }
}

fn drain_sip(framer: &mut sip::Framer, sink: &mut dyn FnMut(StreamEvent<'_>)) {
    while let Some(item) = framer.next() {
        sink(match item {
            sip::Item::Message(bytes) => StreamEvent::Message(bytes),
            sip::Item::Keepalive => StreamEvent::Keepalive,
            sip::Item::Garbage { bytes } => StreamEvent::Garbage { bytes },
        });
    }
}

fn drain_websocket(framer: &mut websocket::Framer, sink: &mut dyn FnMut(StreamEvent<'_>)) {
    while let Some(item) = framer.next() {
        match item {
            websocket::Item::Message(bytes) if bytes.trim_ascii().is_empty() => {
                sink(StreamEvent::Keepalive);
            }
            websocket::Item::Message(bytes) => sink(StreamEvent::Message(bytes)),
            websocket::Item::Ping | websocket::Item::Pong => sink(StreamEvent::Keepalive),
            // The connection's own end is the FIN.
            websocket::Item::Close => {}
            websocket::Item::Error(error) => sink(StreamEvent::WebSocketError(error)),
        }
    }
}

enum Identity {
    Incomplete,
    Sip,
    WebSocket { from: usize },
    Foreign,
}

fn identify(bytes: &[u8]) -> Identity {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
    let text = &bytes[start..];
    match begins_like_sip(text) {
        Some(true) => return Identity::Sip,
        None => return Identity::Incomplete,
        Some(false) => {}
    }
    match Handshake::detect(bytes) {
        Handshake::Sip { length, .. } => return Identity::WebSocket { from: length },
        Handshake::Incomplete => return Identity::Incomplete,
        Handshake::Foreign => {}
    }
    // A WebSocket whose handshake was not seen: a first frame with SIP or CRLF in it.
    let mut frames = websocket::Framer::new();
    frames.push(&bytes[..bytes.len().min(STREAM_PROBE_BYTES_MAX)]);
    match frames.next() {
        Some(websocket::Item::Message(message)) => match begins_like_sip(message.trim_ascii()) {
            Some(false) => Identity::Foreign,
            _ => Identity::WebSocket { from: 0 },
        },
        None if is_text_frame(bytes) => Identity::Incomplete,
        // In the middle of a SIP message: a line end somewhere, and words in front of it.
        _ if is_text_line(text) => Identity::Sip,
        _ => Identity::Foreign,
    }
}

/// The first byte of a text or binary frame that begins and ends a message.
fn is_text_frame(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x81 | 0x82))
}

/// Whether text begins like a SIP message; none where it is too short to say.
fn begins_like_sip(text: &[u8]) -> Option<bool> {
    const LONGEST_METHOD_BYTES: usize = 32;
    if text.is_empty() {
        return None;
    }
    let status = b"SIP/2.0 ";
    let length = text.len().min(status.len());
    if text[..length].eq_ignore_ascii_case(&status[..length]) {
        return (length == status.len()).then_some(true);
    }
    match memchr::memchr(b' ', text) {
        Some(end) => {
            let is_known = Method::from_bytes(&text[..end]) != Method::Other;
            let line_end = memchr::memchr(b'\n', text);
            let line = &text[..line_end.unwrap_or(text.len())];
            let has_version = memchr::memmem::find(line, b" SIP/2.0").is_some();
            Some(has_version || (is_known && line_end.is_none()))
        }
        None if text.len() <= LONGEST_METHOD_BYTES && text.iter().all(u8::is_ascii_uppercase) => {
            None
        }
        None => Some(false),
    }
}

/// Whether the bytes have a header line of SIP that only SIP has.
fn is_text_line(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').take(64).any(|line| {
        ["CSeq:", "Call-ID:", "Max-Forwards:"].iter().any(|name| {
            line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
        })
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use proptest::prelude::*;

    use super::{StreamEvent, Streams};
    use crate::tcp::{Flags, Segment};

    const MESSAGE: &str = "OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n";

    const LENGTH: u32 = MESSAGE.len() as u32;

    fn run(segments: &[(u64, u32, u8, &[u8])]) -> Vec<String> {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (mut streams, mut events) = (Streams::new(10), Vec::new());
        for (ts_ns, seq, flags, payload) in segments {
            let segment = Segment { ts_ns: *ts_ns, seq: *seq, flags: Flags(*flags), payload };
            streams.push(at(1), at(2), segment, &mut |event| {
                events.push(match event {
                    StreamEvent::Message(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    other => format!("{other:?}"),
                });
            });
        }
        events
    }

    fn masked(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x81, 0x80 | payload.len() as u8, 1, 2, 3, 4];
        bytes.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ [1, 2, 3, 4][i % 4]));
        bytes
    }

    // CAP-7: SIP over TCP from the start and from the middle of a connection.
    #[test]
    fn sip_is_found_at_the_start_and_in_the_middle() {
        assert_eq!(
            run(&[(0, 7, 2, b""), (0, 8, 16, MESSAGE.as_bytes()), (0, 8 + LENGTH, 17, b"")]).len(),
            2
        );
        let tail = format!("0\r\nCSeq: 1 OPTIONS\r\n\r\n{MESSAGE}");
        assert_eq!(run(&[(0, 8, 16, tail.as_bytes())]), ["Garbage { bytes: 22 }", MESSAGE]);
        let split: Vec<_> =
            (0..MESSAGE.len()).map(|i| (0, i as u32, 16, &MESSAGE.as_bytes()[i..=i])).collect();
        assert_eq!(run(&split), [MESSAGE]);
    }

    // CAP-7: a WebSocket by its handshake, and by a frame where the handshake was not seen.
    #[test]
    fn websockets_are_found() {
        let get = "GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
        let frames = [get.as_bytes(), &masked(MESSAGE.as_bytes()), &masked(b"\r\n\r\n")].concat();
        assert_eq!(run(&[(0, 0, 16, &frames)]), ["WebSocketOpened", MESSAGE, "Keepalive"]);
        let frame = masked(MESSAGE.as_bytes());
        let halves = [(0, 0, 16, &frame[..9]), (0, 9, 16, &frame[9..])];
        assert_eq!(run(&halves), ["WebSocketOpened", MESSAGE]);
    }

    // CAP-7: other protocols are foreign, once.
    #[test]
    fn other_protocols_are_foreign() {
        let tls = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
        assert_eq!(run(&[(0, 0, 16, &tls), (0, 11, 16, &tls)]), ["Foreign"]);
        assert_eq!(run(&[(0, 0, 16, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")]), ["Foreign"]);
    }

    // CAP-7: a hole costs the message it is in, not the next.
    #[test]
    fn a_hole_costs_one_message() {
        let bytes = MESSAGE.as_bytes();
        let events = run(&[
            (0, 0, 16, &bytes[..30]),
            (5, 40, 16, &bytes[40..]),
            (5, LENGTH, 16, bytes),
            (20, 2 * LENGTH, 16, b"\r\n"),
        ]);
        assert_eq!(events.iter().filter(|event| *event == MESSAGE).count(), 1, "{events:?}");
        assert!(events.contains(&"Gap { bytes: 10 }".to_owned()));
    }

    proptest! {
        // S9: no segments make it panic.
        #[test]
        fn any_segments(segments in prop::collection::vec(
            (0u64..100, 0u32..300, any::<u8>(), prop::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b' '), Just(0x81), any::<u8>()], 0..80)), 0..40)) {
            let segments: Vec<_> = segments.iter().map(|(ts, seq, f, p)| (*ts, *seq, f & 0x17, &p[..])).collect();
            run(&segments);
        }
    }
}
