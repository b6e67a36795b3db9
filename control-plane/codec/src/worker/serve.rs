//! Requests in, replies out, streams in between.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use earwitness_codec::protocol::{self, Direction, Reply, Request, StreamFormat};

use crate::ffmpeg::{self, FfmpegError};

/// Bound on streams, whatever a client asks for; the library opens 128 at most.
const STREAMS_MAX: usize = 256;
/// Bytes of results in one reply.
const RESULT_BYTES_MAX: usize = 3 << 20;

/// One stream: its codec, opened anew for each size of frame where the codec needs it.
struct Stream {
    direction: Direction,
    format: StreamFormat,
    decoders: Vec<(usize, ffmpeg::Decoder)>,
    encoder: Option<ffmpeg::Encoder>,
}

/// Answers requests until the input ends.
pub(crate) fn serve(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    let mut streams: HashMap<u32, Stream> = HashMap::new();
    let (mut body, mut message) = (Vec::new(), Vec::new());
    while protocol::receive(input, &mut body)?.is_some() {
        let request = Request::decode(&body)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        answer(request, &mut streams).encode(&mut message);
        protocol::send(output, &message)?;
    }
    Ok(())
}

fn answer(request: Request<'_>, streams: &mut HashMap<u32, Stream>) -> Reply {
    match request {
        Request::Open { .. } if streams.len() >= STREAMS_MAX => {
            Reply::Refused { reason: "too many streams".to_owned() }
        }
        Request::Open { stream, direction, format } => match Stream::open(direction, format) {
            Ok(opened) => {
                streams.insert(stream, opened);
                Reply::Opened
            }
            Err(error) => Reply::Refused { reason: error.to_string() },
        },
        Request::Work { stream, items } => match streams.get_mut(&stream) {
            Some(stream) => stream.work(&items),
            None => Reply::Refused { reason: "no such stream".to_owned() },
        },
        Request::Close { stream } => {
            streams.remove(&stream);
            Reply::Closed
        }
    }
}

impl Stream {
    fn open(direction: Direction, format: StreamFormat) -> Result<Self, FfmpegError> {
        let mut stream = Self { direction, format, decoders: Vec::new(), encoder: None };
        match direction {
            Direction::Encode => stream.encoder = Some(ffmpeg::Encoder::open(format)?),
            // Opened now, so that a codec that FFmpeg lacks is known at once.
            Direction::Decode => {
                stream.decoder(ffmpeg::usual_frame_bytes(format))?;
            }
        }
        Ok(stream)
    }

    /// The decoder for frames of a size: only iLBC has more than one.
    fn decoder(&mut self, frame_bytes: usize) -> Result<&mut ffmpeg::Decoder, FfmpegError> {
        let key = if ffmpeg::decodes_by_size(self.format) { frame_bytes } else { 0 };
        let at = match self.decoders.iter().position(|(size, _)| *size == key) {
            Some(at) => at,
            None => {
                self.decoders.push((key, ffmpeg::Decoder::open(self.format, frame_bytes)?));
                self.decoders.len() - 1
            }
        };
        Ok(&mut self.decoders[at].1)
    }

    fn work(&mut self, items: &[&[u8]]) -> Reply {
        let mut left = RESULT_BYTES_MAX;
        let results = items
            .iter()
            .map(|item| {
                let result = match self.direction {
                    Direction::Decode => {
                        self.decoder(item.len()).ok().and_then(|decoder| decoder.decode(item).ok())
                    }
                    Direction::Encode => {
                        self.encoder.as_mut().and_then(|encoder| encoder.encode(item).ok())
                    }
                }?;
                left = left.checked_sub(result.len())?;
                Some(result)
            })
            .collect();
        Reply::Done { cpu_ms: ffmpeg::cpu_ms(), results }
    }
}
