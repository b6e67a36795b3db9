//! What the library and the program `earwitness-codec` say to each other.
//!
//! Messages on one stream socket, each a length (32 bits, little-endian) and a body. The library
//! asks, the program answers each request once, in order. The two come from one build: there is no
//! version. Answers are foreign bytes to the library: everything in them is checked.

use std::io::{self, Read, Write};

use crate::limits::{FRAME_BYTES_MAX, FRAMES_PER_REQUEST_MAX, MESSAGE_BYTES_MAX, REASON_BYTES_MAX};

/// The codecs that the program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Foreign {
    /// G.726 with the first code in the high bits; the parameter is bits per sample.
    G726 = 1,
    /// G.726 with the first code in the low bits; the parameter is bits per sample.
    G726Le = 2,
    G729 = 3,
    Gsm = 4,
    /// The parameter is the mode in ms, for encoding; decoding goes by the frame's size.
    Ilbc = 5,
    Speex = 6,
    /// Frames with their type in front; the parameter is the bit rate, for encoding.
    Amr = 7,
    AmrWb = 8,
}

const FOREIGN: [Foreign; 8] = [
    Foreign::G726,
    Foreign::G726Le,
    Foreign::G729,
    Foreign::Gsm,
    Foreign::Ilbc,
    Foreign::Speex,
    Foreign::Amr,
    Foreign::AmrWb,
];

/// Which way a stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// Frames in, samples (16 bits, little-endian) out.
    Decode = 0,
    /// Samples in, frames out.
    Encode = 1,
}

/// What a stream is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamFormat {
    pub codec: Foreign,
    pub sample_rate: u32,
    pub parameter: u32,
}

/// The library's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    Open { stream: u32, direction: Direction, format: StreamFormat },
    Work { stream: u32, items: Vec<&'a [u8]> },
    Close { stream: u32 },
}

/// The program's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Opened,
    /// The stream could not be opened, or there is none.
    Refused {
        reason: String,
    },
    /// One result for each item, in order; none where the codec refused it.
    Done {
        cpu_ms: u64,
        results: Vec<Option<Vec<u8>>>,
    },
    Closed,
}

/// Why a message could not be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message: {what}")]
pub struct ProtocolError {
    pub what: &'static str,
}

const NONE: u32 = u32::MAX;

impl<'a> Request<'a> {
    /// The message with its length.
    pub fn encode(&self, message: &mut Vec<u8>) {
        frame(message, |body| match self {
            Self::Open { stream, direction, format } => {
                body.push(b'O');
                put(body, *stream);
                body.extend([*direction as u8, format.codec as u8]);
                put(body, format.sample_rate);
                put(body, format.parameter);
            }
            Self::Work { stream, items } => {
                body.push(b'W');
                put(body, *stream);
                put(body, items.len() as u32);
                for item in items {
                    put(body, item.len() as u32);
                    body.extend_from_slice(item);
                }
            }
            Self::Close { stream } => {
                body.push(b'C');
                put(body, *stream);
            }
        });
    }

    /// A request from a message's body.
    pub fn decode(body: &'a [u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields { rest: body };
        let kind = fields.byte()?;
        let stream = fields.number()?;
        let request = match kind {
            b'O' => {
                let direction = match fields.byte()? {
                    0 => Direction::Decode,
                    1 => Direction::Encode,
                    _ => return Err(ProtocolError { what: "unknown direction" }),
                };
                let codec = fields.byte()?;
                let codec = FOREIGN
                    .into_iter()
                    .find(|&foreign| foreign as u8 == codec)
                    .ok_or(ProtocolError { what: "unknown codec" })?;
                let (sample_rate, parameter) = (fields.number()?, fields.number()?);
                let format = StreamFormat { codec, sample_rate, parameter };
                Self::Open { stream, direction, format }
            }
            b'W' => {
                let count = fields.number()? as usize;
                if count > FRAMES_PER_REQUEST_MAX {
                    return Err(ProtocolError { what: "too many items" });
                }
                let mut items = Vec::with_capacity(count);
                for _ in 0..count {
                    let length = fields.number()? as usize;
                    if length > FRAME_BYTES_MAX {
                        return Err(ProtocolError { what: "item too long" });
                    }
                    items.push(fields.bytes(length)?);
                }
                Self::Work { stream, items }
            }
            b'C' => Self::Close { stream },
            _ => return Err(ProtocolError { what: "unknown request" }),
        };
        fields.end()?;
        Ok(request)
    }
}

impl Reply {
    /// The message with its length.
    pub fn encode(&self, message: &mut Vec<u8>) {
        frame(message, |body| match self {
            Self::Opened => body.push(b'o'),
            Self::Refused { reason } => {
                body.push(b'r');
                body.extend(reason.bytes().take(REASON_BYTES_MAX));
            }
            Self::Done { cpu_ms, results } => {
                body.push(b'd');
                body.extend(cpu_ms.to_le_bytes());
                put(body, results.len() as u32);
                for result in results {
                    put(body, result.as_ref().map_or(NONE, |bytes| bytes.len() as u32));
                    body.extend(result.as_deref().unwrap_or_default());
                }
            }
            Self::Closed => body.push(b'c'),
        });
    }

    /// A reply from a message's body.
    pub fn decode(body: &[u8]) -> Result<Self, ProtocolError> {
        let mut fields = Fields { rest: body };
        let reply = match fields.byte()? {
            b'o' => Self::Opened,
            b'r' => {
                let reason = &fields.rest[..fields.rest.len().min(REASON_BYTES_MAX)];
                fields.rest = &[];
                // It may go to a log: printable characters only.
                let reason = reason.iter().filter(|byte| (b' '..=b'~').contains(byte));
                Self::Refused { reason: reason.map(|&byte| char::from(byte)).collect() }
            }
            b'd' => {
                let cpu_ms = u64::from(fields.number()?) | u64::from(fields.number()?) << 32;
                let count = fields.number()? as usize;
                if count > FRAMES_PER_REQUEST_MAX {
                    return Err(ProtocolError { what: "too many results" });
                }
                let mut results = Vec::with_capacity(count);
                for _ in 0..count {
                    results.push(match fields.number()? {
                        NONE => None,
                        length => Some(fields.bytes(length as usize)?.to_vec()),
                    });
                }
                Self::Done { cpu_ms, results }
            }
            b'c' => Self::Closed,
            _ => return Err(ProtocolError { what: "unknown reply" }),
        };
        fields.end()?;
        Ok(reply)
    }
}

/// Writes a message that already has its length.
pub fn send(writer: &mut impl Write, message: &[u8]) -> io::Result<()> {
    writer.write_all(message)?;
    writer.flush()
}

/// Reads a message's body; none where the other side has closed.
pub fn receive(reader: &mut impl Read, body: &mut Vec<u8>) -> io::Result<Option<()>> {
    let mut length = [0; 4];
    let first = reader.read(&mut length[..1])?;
    if first == 0 {
        return Ok(None);
    }
    reader.read_exact(&mut length[1..])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message too long"));
    }
    body.clear();
    body.resize(length, 0);
    reader.read_exact(body)?;
    Ok(Some(()))
}

fn frame(message: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    message.clear();
    message.extend([0; 4]);
    write(message);
    let length = (message.len() - 4) as u32;
    message[..4].copy_from_slice(&length.to_le_bytes());
}

fn put(body: &mut Vec<u8>, number: u32) {
    body.extend(number.to_le_bytes());
}

struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], ProtocolError> {
        let (bytes, rest) =
            self.rest.split_at_checked(length).ok_or(ProtocolError { what: "cut short" })?;
        self.rest = rest;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, ProtocolError> {
        Ok(self.bytes(1)?[0])
    }

    fn number(&mut self) -> Result<u32, ProtocolError> {
        let bytes = self.bytes(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn end(&self) -> Result<(), ProtocolError> {
        if self.rest.is_empty() { Ok(()) } else { Err(ProtocolError { what: "bytes left over" }) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        // S9: any bytes make a message or an error, never a panic; messages survive a round trip.
        #[test]
        fn messages_survive(
            junk in prop::collection::vec(any::<u8>(), 0..300),
            items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20),
            numbers in any::<(u32, u64)>(),
        ) {
            let _ = Request::decode(&junk);
            let _ = Reply::decode(&junk);
            let mut message = Vec::new();
            let request =
                Request::Work { stream: numbers.0, items: items.iter().map(|i| &i[..]).collect() };
            request.encode(&mut message);
            prop_assert_eq!(Request::decode(&message[4..]), Ok(request));
            let results = items.into_iter().map(|i| (!i.is_empty()).then_some(i)).collect();
            let reply = Reply::Done { cpu_ms: numbers.1, results };
            reply.encode(&mut message);
            let mut body = Vec::new();
            receive(&mut &message[..], &mut body).unwrap();
            prop_assert_eq!(Reply::decode(&body), Ok(reply));
        }
    }

    #[test]
    fn openings_survive() {
        for codec in FOREIGN {
            let format = StreamFormat { codec, sample_rate: 8_000, parameter: 5 };
            let request = Request::Open { stream: 9, direction: Direction::Encode, format };
            let mut message = Vec::new();
            request.encode(&mut message);
            assert_eq!(Request::decode(&message[4..]), Ok(request));
        }
        assert!(receive(&mut &[0xff; 8][..], &mut Vec::new()).is_err());
        assert_eq!(receive(&mut &[][..], &mut Vec::new()).unwrap(), None);
    }
}
