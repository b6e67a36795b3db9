//! SIP over TCP and WebSocket, from segments to messages.

use std::collections::HashSet;
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
    /// It has asked for SIP, or brought a message.
    is_sip: bool,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            reassembler: Reassembler::new(),
            content: Content::Unknown(Vec::new()),
            opening: Vec::new(),
            pending: Vec::new(),
            is_sip: false,
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

impl<'a> Message<'a> {
    pub const fn bytes(self) -> &'a [u8] {
        match self {
            Self::OverTcp(bytes) | Self::OverWebSocket(bytes) => bytes,
        }
    }
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
        let Stream { reassembler, content, opening, pending, is_sip } = stream;
        let (mut learn, mut emitted) = (false, false);
        let mut take = |chunk: Chunk<'_>| {
            // Behind the end the ports belong to nobody, or to another connection.
            *is_sip &= !matches!(chunk, Chunk::Start | Chunk::End);
            let found = chunk_arrived(chunk, content, metrics, &mut |message| {
                emitted = true;
                *is_sip = true;
                sink(message, &mut opening.iter().chain(pending.iter()).copied());
            });
            *is_sip |= found;
            learn |= found;
        };
        reassembler.tick(ts_ns, HOLE_PATIENCE_NS, &mut take);
        reassembler.push(Segment { ts_ns, seq: tcp.seq, flags, payload }, &mut take);
        stream.settle(learn, emitted, in_order);
        let bytes = stream.bytes();
        self.connections.account(direction, bytes);
        if learn {
            self.learned.push((parsed.src, parsed.dst));
        }
    }

    /// Connections that carry SIP, for a capture process that starts anew and sees no more of their beginning. The
    /// one heard of last is the last: where there is no room for all, it is the first that give way.
    #[must_use]
    pub fn all_learned(&self) -> Option<Command> {
        let known = self.connections.by_age().filter(|(_, stream)| stream.is_sip);
        let mut told = HashSet::new();
        let mut all: Vec<_> = known.map(|(direction, _)| direction).collect();
        // Of both directions, the one heard of later.
        all.reverse();
        all.retain(|direction| !told.contains(&direction.reversed()) && told.insert(*direction));
        all.reverse();
        let pair = |direction: Direction| (direction.src.into(), direction.dst.into());
        (!all.is_empty()).then(|| Command::LearnTcp(all.into_iter().map(pair).collect()))
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

#[cfg(test)]
mod tests {
    use earwitness_segment::{LaneId, RecordPos};
    use earwitness_wire::{LinkType, parse};

    use super::*;

    const CLIENT: u8 = 1;
    const SERVER: u8 = 2;
    const FIN: u8 = 1;
    const ACK: u8 = 16;

    /// A raw IP packet with a segment from one of two hosts to the other; the client's port tells connections apart.
    fn packet(from: u8, client_port: u16, seq: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        let (to, ports) = match from {
            CLIENT => (SERVER, [client_port, 443]),
            _ => (CLIENT, [443, client_port]),
        };
        let mut packet = vec![0x45, 0];
        packet.extend((40 + payload.len() as u16).to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, from, 10, 0, 0, to]);
        packet.extend(ports.map(u16::to_be_bytes).concat());
        packet.extend(seq.to_be_bytes());
        packet.extend([0, 0, 0, 0, 0x50, flags, 1, 0, 0, 0, 0, 0]);
        packet.extend(payload);
        packet
    }

    fn hear(streams: &mut Streams, packet: &[u8]) -> usize {
        let parsed = parse(packet, LinkType::RawIp).expect("a segment");
        let payload = &packet[usize::from(parsed.payload)..];
        let mut messages = 0;
        let seen = (0, (LaneId(0), RecordPos::NONE));
        streams.segment(&parsed, seen, payload, &Metrics::new(), &mut |_, _| messages += 1);
        messages
    }

    fn connection(client_port: u16) -> (Endpoint, Endpoint) {
        let client = Endpoint::v4([10, 0, 0, CLIENT], client_port);
        (client, Endpoint::v4([10, 0, 0, SERVER], 443))
    }

    /// CAP-7, OPS-6: a capture process that starts anew is told of every connection that carries SIP, once, and of no
    /// other; not of those that have ended.
    #[test]
    fn all_connections_that_carry_sip_are_told() {
        const ASKS: &[u8] =
            b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
        const MESSAGE: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n";
        let mut streams = Streams::default();
        assert_eq!(streams.all_learned(), None);
        // A page, SIP over TCP, a WebSocket, one that ends, one of which the end was heard on one side only.
        hear(&mut streams, &packet(CLIENT, 1, 0, ACK, b"GET / HTTP/1.1\r\n\r\n"));
        hear(&mut streams, &packet(SERVER, 1, 0, ACK, b"HTTP/1.1 200 OK\r\n\r\n"));
        assert_eq!(hear(&mut streams, &packet(CLIENT, 2, 0, ACK, MESSAGE)), 1);
        for port in [3, 4] {
            hear(&mut streams, &packet(CLIENT, port, 0, ACK, ASKS));
            let text = [&[0x81, MESSAGE.len() as u8], MESSAGE].concat();
            assert_eq!(hear(&mut streams, &packet(SERVER, port, 0, ACK, &text)), 1);
        }
        let later = 0_u32.wrapping_add(ASKS.len() as u32);
        hear(&mut streams, &packet(CLIENT, 4, later, FIN | ACK, b""));
        assert!(streams.take_learned().is_some());
        let (client, server) = connection(2);
        let both = |port| (server, client.with_port(port));
        let wanted = vec![(client, server), both(3), both(4)];
        assert_eq!(streams.all_learned(), Some(Command::LearnTcp(wanted)));
        let after = 2 + MESSAGE.len() as u32;
        hear(&mut streams, &packet(SERVER, 4, after, FIN | ACK, b""));
        let wanted = vec![(client, server), both(3)];
        assert_eq!(streams.all_learned(), Some(Command::LearnTcp(wanted)));
    }
}
