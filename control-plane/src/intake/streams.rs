//! SIP over TCP and WebSocket, from segments to messages.

use std::net::SocketAddr;

use earwitness_ipc::Command;
use earwitness_voip::sip;
use earwitness_voip::tcp::{Chunk, Connections, Direction, Flags, Reassembler, Segment};
use earwitness_voip::websocket::{self, Handshake};
use earwitness_wire::{Endpoint, Parsed};

use crate::metrics::Metrics;

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
}

impl Default for Stream {
    fn default() -> Self {
        Self { reassembler: Reassembler::new(), content: Content::Unknown(Vec::new()) }
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
    /// Takes one segment and hands every message that it completes to `sink`.
    pub fn segment(
        &mut self,
        parsed: &Parsed,
        ts_ns: u64,
        payload: &[u8],
        metrics: &Metrics,
        sink: &mut impl FnMut(Message<'_>),
    ) {
        let Some(tcp) = parsed.tcp else { return };
        let direction = Direction { src: address(parsed.src), dst: address(parsed.dst) };
        let stream = self.connections.touch(direction, Stream::default);
        let Stream { reassembler, content } = stream;
        let mut learn = false;
        let mut take = |chunk: Chunk<'_>| learn |= chunk_arrived(chunk, content, metrics, sink);
        reassembler.tick(ts_ns, HOLE_PATIENCE_NS, &mut take);
        let flags = Flags(tcp.flags);
        reassembler.push(Segment { ts_ns, seq: tcp.seq, flags, payload }, &mut take);
        let bytes = reassembler.pending_bytes() + content.buffered();
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
