//! SIP over TCP and WebSocket, from segments to messages.

use std::net::SocketAddr;

use earwitness_ipc::Command;
use earwitness_voip::sip;
use earwitness_voip::tcp::{Chunk, Connections, Direction, Flags, Reassembler, Segment};
use earwitness_voip::websocket::{self, Handshake};
use earwitness_wire::{Endpoint, Parsed};

use super::signalling::Place;
use crate::metrics::Metrics;

/// Segments of one message whose places are kept; the oldest are given up and counted.
const SEGMENTS_MAX: usize = 256;

/// How long a hole in a stream is waited for.
const HOLE_PATIENCE_NS: u64 = 2_000_000_000;

/// What the bytes of one direction are.
#[derive(Debug)]
enum Content {
    /// Not known yet: the bytes so far.
    Unknown(Vec<u8>),
    Sip(sip::Framer),
    WebSocket(websocket::Framer),
    /// Neither; not looked at any more.
    Foreign,
}

#[derive(Debug)]
struct Stream {
    reassembler: Reassembler,
    content: Content,
    /// The handshake of a WebSocket: without it nobody can read what follows.
    opening: Vec<Place>,
    /// Segments since the last message: SYN, parts of the next message, and keepalives before it.
    pending: Vec<Place>,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            reassembler: Reassembler::new(),
            content: Content::Unknown(Vec::new()),
            opening: Vec::new(),
            pending: Vec::new(),
        }
    }
}

impl Stream {
    fn keep(&mut self, place: Place, metrics: &Metrics) {
        if self.pending.len() >= SEGMENTS_MAX {
            self.pending.remove(0);
            if self.content.buffered() > 0 {
                metrics.tcp_faults.with_label_values(&["segments"]).inc();
            }
        }
        self.pending.push(place);
    }

    /// After a segment that began a WebSocket, or completed a message: which ones are still needed. `in_order` says
    /// that no segment waited for it.
    fn settle(&mut self, learned: bool, emitted: bool, in_order: bool) {
        if learned {
            self.opening.clone_from(&self.pending);
        }
        let all_read = self.reassembler.pending_bytes() == 0;
        if matches!(self.content, Content::Foreign)
            || (emitted && all_read && self.content.buffered() == 0)
        {
            self.pending.clear();
        } else if emitted && all_read && in_order {
            // What is left over came with the segment that completed the message before.
            self.pending.drain(..self.pending.len().saturating_sub(1));
        }
    }

    fn bytes(&self) -> usize {
        let places = self.opening.len() + self.pending.len();
        self.reassembler.pending_bytes() + self.content.buffered() + places * size_of::<Place>()
    }
}

/// All directions that carry, or may carry, SIP.
#[derive(Debug, Default)]
pub struct Streams {
    connections: Connections<Stream>,
    learned: Vec<(Endpoint, Endpoint)>,
}

/// What came out of a stream.
#[derive(Debug, Clone, Copy)]
pub enum Message<'a> {
    OverTcp(&'a [u8]),
    OverWebSocket(&'a [u8]),
}

impl Streams {
    /// Takes one segment, which lies at `place`, and hands every message that it completes to `sink`, with the
    /// places of all segments that are needed to read it.
    pub fn segment(
        &mut self,
        parsed: &Parsed,
        (ts_ns, place): (u64, Place),
        payload: &[u8],
        metrics: &Metrics,
        sink: &mut impl FnMut(Message<'_>, &mut dyn Iterator<Item = Place>),
    ) {
        let Some(tcp) = parsed.tcp else { return };
        let direction = Direction { src: address(parsed.src), dst: address(parsed.dst) };
        let stream = self.connections.touch(direction, Stream::default);
        let flags = Flags(tcp.flags);
        if flags.has(Flags::SYN) {
            stream.opening.clear();
            stream.pending.clear();
        }
        if !payload.is_empty() || flags.has(Flags::SYN) {
            stream.keep(place, metrics);
        }
        let in_order = stream.reassembler.pending_bytes() == 0;
        let Stream { reassembler, content, opening, pending } = stream;
        let (mut learn, mut emitted) = (false, false);
        let mut emit = |message: Message<'_>| {
            emitted = true;
            sink(message, &mut opening.iter().chain(pending.iter()).copied());
        };
        let mut take =
            |chunk: Chunk<'_>| learn |= chunk_arrived(chunk, content, metrics, &mut emit);
        reassembler.tick(ts_ns, HOLE_PATIENCE_NS, &mut take);
        reassembler.push(Segment { ts_ns, seq: tcp.seq, flags, payload }, &mut take);
        stream.settle(learn, emitted, in_order);
        let bytes = stream.bytes();
        self.connections.account(direction, bytes);
        if learn {
            self.learned.push((parsed.src, parsed.dst));
        }
    }

    /// Connections that turned out to carry SIP over WebSocket: capture must know them.
    pub fn take_learned(&mut self) -> Option<Command> {
        (!self.learned.is_empty()).then(|| Command::LearnTcp(std::mem::take(&mut self.learned)))
    }
}

fn address(endpoint: Endpoint) -> SocketAddr {
    endpoint.to_socket_addr()
}

impl Content {
    fn buffered(&self) -> usize {
        match self {
            Self::Unknown(bytes) => bytes.len(),
            Self::Sip(framer) => framer.buffered(),
            Self::WebSocket(framer) => framer.buffered(),
            Self::Foreign => 0,
        }
    }

    /// Decides what a direction carries by its first bytes. Returns whether it is a WebSocket for SIP, and how
    /// many of the bytes were its handshake; `None` while more are needed.
    fn recognise(bytes: &[u8]) -> Option<(Self, bool, usize)> {
        if bytes.len() < 4 && b"GET ".starts_with(bytes) {
            return None;
        }
        let is_http = bytes.starts_with(b"GET ") || bytes.starts_with(b"HTTP/1.1 ");
        if is_http {
            return match Handshake::detect(bytes) {
                Handshake::Incomplete => None,
                Handshake::Sip { length, .. } => {
                    Some((Self::WebSocket(websocket::Framer::new()), true, length))
                }
                Handshake::Foreign => Some((Self::Foreign, false, bytes.len())),
            };
        }
        // RFC 6455 section 5.2: a connection whose handshake was before the capture goes on with the first byte
        // of a text or binary frame, which no SIP message begins with.
        match bytes.first()? {
            0x81 | 0x82 => Some((Self::WebSocket(websocket::Framer::new()), false, 0)),
            _ => Some((Self::Sip(sip::Framer::new()), false, 0)),
        }
    }
}

/// Returns whether the connection was found to be a WebSocket for SIP.
fn chunk_arrived(
    chunk: Chunk<'_>,
    content: &mut Content,
    metrics: &Metrics,
    sink: &mut impl FnMut(Message<'_>),
) -> bool {
    match chunk {
        Chunk::Start | Chunk::End => {
            *content = Content::Unknown(Vec::new());
            false
        }
        Chunk::Gap { .. } => {
            metrics.tcp_faults.with_label_values(&["gap"]).inc();
            match content {
                Content::Sip(framer) => {
                    framer.gap();
                    drain_sip(framer, metrics, sink);
                }
                // Frames cannot be found again behind a hole but by luck; the next handshake starts anew.
                Content::WebSocket(_) => *content = Content::Unknown(Vec::new()),
                Content::Unknown(_) | Content::Foreign => {}
            }
            false
        }
        Chunk::Data(bytes) => data_arrived(bytes, content, metrics, sink),
    }
}

fn data_arrived(
    bytes: &[u8],
    content: &mut Content,
    metrics: &Metrics,
    sink: &mut impl FnMut(Message<'_>),
) -> bool {
    if let Content::Unknown(first) = content {
        first.extend_from_slice(bytes);
        let Some((known, is_websocket, used)) = Content::recognise(first) else { return false };
        let first = std::mem::take(first);
        *content = known;
        push(&first[used..], content, metrics, sink);
        return is_websocket;
    }
    push(bytes, content, metrics, sink);
    false
}

fn push(
    bytes: &[u8],
    content: &mut Content,
    metrics: &Metrics,
    sink: &mut impl FnMut(Message<'_>),
) {
    match content {
        Content::Sip(framer) => {
            framer.push(bytes);
            drain_sip(framer, metrics, sink);
        }
        Content::WebSocket(framer) => {
            framer.push(bytes);
            while let Some(item) = framer.next() {
                match item {
                    websocket::Item::Message(message) => sink(Message::OverWebSocket(message)),
                    websocket::Item::Error(error) => {
                        metrics.tcp_faults.with_label_values(&[error.kind()]).inc();
                    }
                    websocket::Item::Ping | websocket::Item::Pong | websocket::Item::Close => {}
                }
            }
        }
        Content::Unknown(_) | Content::Foreign => {}
    }
}

fn drain_sip(framer: &mut sip::Framer, metrics: &Metrics, sink: &mut impl FnMut(Message<'_>)) {
    while let Some(item) = framer.next() {
        match item {
            sip::Item::Message(message) => sink(Message::OverTcp(message)),
            sip::Item::Keepalive => {}
            sip::Item::Garbage { .. } => {
                metrics.tcp_faults.with_label_values(&["garbage"]).inc();
            }
        }
    }
}
