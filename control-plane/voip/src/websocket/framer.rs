//! Frames to messages (RFC 6455 section 5): masking, fragments, control frames between them.

use thiserror::Error;

use crate::limits::WEBSOCKET_MESSAGE_BYTES_MAX;

/// Why a direction cannot be followed any further. `error as usize` indexes a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[repr(u8)]
pub enum WebSocketError {
    /// RSV1: the message is compressed (RFC 7692), which is not supported. The message is passed over.
    #[error("the message is compressed by permessage-deflate")]
    Deflate,
    /// RSV2, RSV3 or an opcode that no standard defines.
    #[error("the frame uses bits or an opcode that are reserved")]
    Reserved,
    /// A control frame that is fragmented or longer than 125 bytes.
    #[error("the control frame is fragmented or too long")]
    Control,
    /// A continuation without beginning, or a beginning inside a message.
    #[error("the fragments of a message do not fit together")]
    Fragment,
    /// More bytes than [`WEBSOCKET_MESSAGE_BYTES_MAX`]. The message is passed over.
    #[error("the message is longer than the limit")]
    TooLarge,
}

impl WebSocketError {
    /// Every cause, in the order of its index.
    pub const ALL: [Self; 5] =
        [Self::Deflate, Self::Reserved, Self::Control, Self::Fragment, Self::TooLarge];

    /// The name of the cause as a metric label.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Deflate => "deflate",
            Self::Reserved => "reserved",
            Self::Control => "control",
            Self::Fragment => "fragment",
            Self::TooLarge => "too_large",
        }
    }

    /// Whether the frames behind it can still be told apart.
    #[must_use]
    pub const fn is_recoverable(self) -> bool {
        matches!(self, Self::Deflate | Self::TooLarge | Self::Fragment)
    }
}

/// What a [`Framer`] gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A whole text or binary message: one SIP message (RFC 7118 section 5), or CRLF as keepalive.
    Message(&'a [u8]),
    Ping,
    Pong,
    /// A close frame: no messages follow.
    Close,
    Error(WebSocketError),
}

/// Reads one direction of a WebSocket connection after its handshake.
#[derive(Clone, Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    at: usize,
    /// The message so far, unmasked.
    message: Vec<u8>,
    state: State,
    /// Bytes of a payload that are passed over.
    skip: u64,
    is_broken: bool,
}

/// Where in a message the direction is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Between,
    Inside,
    /// Inside a message that cannot be given out.
    Dropping,
    /// The message was given out; its bytes are cleared with the next step.
    Delivered,
}

#[derive(Clone, Copy)]
struct FrameHeader {
    is_final: bool,
    reserved: u8,
    opcode: u8,
    mask: Option<[u8; 4]>,
    header_bytes: usize,
    payload_bytes: u64,
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

impl Framer {
    /// A framer at the first frame.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.is_broken {
            return;
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
        self.skip -= skipped as u64;
        self.buffer.extend_from_slice(&bytes[skipped..]);
    }

    /// Bytes that are held.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.at + self.message.len()
    }

    /// Whether an error made the rest of the direction unreadable.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The next item, none until more bytes come.
    #[expect(clippy::should_implement_trait, reason = "items borrow the framer")]
    pub fn next(&mut self) -> Option<Item<'_>> {
        if self.state == State::Delivered {
            self.message.clear();
            self.state = State::Between;
        }
        loop {
            if self.is_broken {
                return None;
            }
            let frame = parse_header(&self.buffer[self.at..])?;
            if let Some(error) = check(&frame) {
                return Some(self.fail(error));
            }
            if frame.opcode >= CLOSE {
                let end = self.at + frame.header_bytes + frame.payload_bytes as usize;
                if end > self.buffer.len() {
                    return None;
                }
                self.at = end;
                match frame.opcode {
                    PING => return Some(Item::Ping),
                    PONG => return Some(Item::Pong),
                    _ => return Some(Item::Close),
                }
            }
            if let Some(error) = self.begin(&frame) {
                self.pass_over(&frame);
                return Some(Item::Error(error));
            }
            if self.state == State::Dropping {
                self.pass_over(&frame);
                continue;
            }
            self.append(&frame)?;
            if frame.is_final {
                self.state = State::Delivered;
                return Some(Item::Message(&self.message));
            }
        }
    }

    fn fail(&mut self, error: WebSocketError) -> Item<'static> {
        self.is_broken = true;
        self.buffer = Vec::new();
        self.message = Vec::new();
        self.at = 0;
        Item::Error(error)
    }

    /// Enters the data frame; an error says that its message cannot be given out.
    fn begin(&mut self, frame: &FrameHeader) -> Option<WebSocketError> {
        let is_start = frame.opcode != CONTINUATION;
        let error = match (self.state, is_start) {
            // RFC 7692 section 6: RSV1 on the first frame marks a compressed message.
            (State::Between, true) if frame.reserved & 0x4 != 0 => Some(WebSocketError::Deflate),
            (State::Between, true) | (State::Inside | State::Dropping, false) => None,
            (State::Inside | State::Dropping, true) | (_, false) => Some(WebSocketError::Fragment),
            (State::Delivered, true) => None,
        };
        if error.is_some() {
            self.message.clear();
            self.state = State::Dropping;
            return error;
        }
        let total = self.message.len() as u64 + frame.payload_bytes;
        if self.state != State::Dropping {
            self.state = State::Inside;
            if total > WEBSOCKET_MESSAGE_BYTES_MAX as u64 {
                self.message.clear();
                self.state = State::Dropping;
                return Some(WebSocketError::TooLarge);
            }
        }
        None
    }

    /// Passes over a data frame, also over what of it is still to come.
    fn pass_over(&mut self, frame: &FrameHeader) {
        let there = (self.buffer.len() - self.at - frame.header_bytes) as u64;
        let here = there.min(frame.payload_bytes);
        self.at += frame.header_bytes + here as usize;
        self.skip = frame.payload_bytes - here;
        if frame.is_final {
            self.state = State::Between;
        }
    }

    /// Adds the payload to the message, once all of it is there.
    fn append(&mut self, frame: &FrameHeader) -> Option<()> {
        let start = self.at + frame.header_bytes;
        let end = start + frame.payload_bytes as usize;
        let payload = self.buffer.get(start..end);
        let Some(payload) = payload else {
            // The frame is entered anew when more bytes are there.
            if self.message.is_empty() && frame.opcode != CONTINUATION {
                self.state = State::Between;
            }
            return None;
        };
        match frame.mask {
            None => self.message.extend_from_slice(payload),
            // RFC 6455 section 5.3.
            Some(mask) => {
                self.message
                    .extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
            }
        }
        self.at = end;
        Some(())
    }
}

/// RFC 6455 section 5.2.
fn parse_header(bytes: &[u8]) -> Option<FrameHeader> {
    let [first, second, rest @ ..] = bytes else {
        return None;
    };
    let (payload_bytes, length_bytes) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 2),
        127 => (u64::from_be_bytes(*rest.first_chunk()?), 8),
        short => (u64::from(short), 0),
    };
    let mask = match second & 0x80 != 0 {
        true => Some(*rest.get(length_bytes..)?.first_chunk()?),
        false => None,
    };
    Some(FrameHeader {
        is_final: first & 0x80 != 0,
        reserved: first >> 4 & 0x7,
        opcode: first & 0x0f,
        mask,
        header_bytes: 2 + length_bytes + if mask.is_some() { 4 } else { 0 },
        payload_bytes,
    })
}

/// What makes everything behind the frame unreadable.
fn check(frame: &FrameHeader) -> Option<WebSocketError> {
    let is_known = matches!(frame.opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG);
    // RFC 6455 section 5.2: the most significant bit of a 64-bit length is zero.
    if frame.reserved & 0x3 != 0 || !is_known || frame.payload_bytes > i64::MAX.unsigned_abs() {
        return Some(WebSocketError::Reserved);
    }
    // RFC 6455 section 5.5.
    if frame.opcode >= CLOSE && (!frame.is_final || frame.payload_bytes > 125) {
        return Some(WebSocketError::Control);
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Framer, Item, WebSocketError};

    fn frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
        let bit = if mask.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![first];
        match payload.len() {
            short @ 0..126 => bytes.push(bit | short as u8),
            medium @ 126..65_536 => {
                bytes.push(bit | 126);
                bytes.extend((medium as u16).to_be_bytes());
            }
            long => {
                bytes.push(bit | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        bytes.extend(mask.iter().flatten());
        let key = mask.unwrap_or_default();
        bytes.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
        bytes
    }

    fn run(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<WebSocketError>, usize) {
        let (mut framer, mut messages, mut errors, mut control) =
            (Framer::new(), vec![], vec![], 0);
        for chunk in chunks {
            framer.push(chunk);
            while let Some(item) = framer.next() {
                match item {
                    Item::Message(bytes) => messages.push(bytes.to_vec()),
                    Item::Error(error) => errors.push(error),
                    _ => control += 1,
                }
            }
        }
        (messages, errors, control)
    }

    // CAP-7: RFC 6455 section 5.7's examples, and a ping inside a fragmented message.
    #[test]
    fn frames_become_messages() {
        let hello = frame(0x81, Some([0x37, 0xfa, 0x21, 0x3d]), b"Hello");
        assert_eq!(hello, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        let stream = [
            hello,
            frame(0x01, None, b"Hel"),
            frame(0x89, None, b"ping"),
            frame(0x80, None, b"lo"),
            frame(0x82, None, &[7; 300]),
            frame(0x82, Some([1, 2, 3, 4]), &[9; 65_536]),
            frame(0x81, None, b""),
            frame(0x88, None, b""),
        ]
        .concat();
        let (messages, errors, control) = run(&[&stream]);
        assert_eq!(messages, [&b"Hello"[..], b"Hello", &[7; 300], &[9; 65_536], b""]);
        assert_eq!((errors.len(), control), (0, 2));
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(run(&bytes), (messages, errors, control));
    }

    // CAP-7, S9: each trouble has its kind; after those that can be passed over, messages go on.
    #[test]
    fn troubles_have_kinds() {
        let good = frame(0x81, None, b"good");
        for (bad, error) in [
            (frame(0xc1, None, b"deflated"), WebSocketError::Deflate),
            (frame(0x81, None, &vec![0; 70_000]), WebSocketError::TooLarge),
            (frame(0x80, None, b"rest"), WebSocketError::Fragment),
        ] {
            assert!(error.is_recoverable());
            let (messages, errors, _) = run(&[&bad[..bad.len() / 2], &bad[bad.len() / 2..], &good]);
            assert_eq!((messages, errors), (vec![b"good".to_vec()], vec![error]));
        }
        for (bad, error) in [
            (frame(0x83, None, b""), WebSocketError::Reserved),
            (frame(0xa1, None, b""), WebSocketError::Reserved),
            (frame(0x09, None, b""), WebSocketError::Control),
            (frame(0x89, None, &[0; 126]), WebSocketError::Control),
        ] {
            let (messages, errors, _) = run(&[&bad, &good]);
            assert_eq!((messages.len(), errors), (0, vec![error]));
        }
    }

    proptest! {
        // S9, S10: no bytes make it panic or hold more than a message and what was pushed.
        #[test]
        fn any_bytes(chunks in prop::collection::vec(prop::collection::vec(
            prop_oneof![Just(0x81u8), Just(0x01), Just(0x80), Just(0x00), Just(0x7e), any::<u8>()], 0..300), 0..30)) {
            let mut framer = Framer::new();
            for chunk in &chunks {
                framer.push(chunk);
                while framer.next().is_some() {}
                prop_assert!(framer.buffered() <= 2 * crate::limits::WEBSOCKET_MESSAGE_BYTES_MAX + 14);
            }
        }
    }
}
