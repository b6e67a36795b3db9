//! Opus through libopus: 48 kHz, one channel (libopus mixes stereo down), with its own concealment
//! and in-band FEC.

use opus::{Channels, Decoder};

use crate::CodecId;
use crate::decode::{CodecError, DecodeError, Outcome};
use crate::limits::OPUS_PACKET_SAMPLES_MAX;
use crate::voice::{Concealed, Core};

/// Sample rate in Hz of the decoder.
pub(crate) const RATE: u32 = 48_000;
/// libopus conceals in units of 2.5 ms.
const UNIT: usize = 120;
/// What lies further behind the last packet is silence: one second.
const CONCEALED_MAX: usize = 48_000;

/// The decoder's core.
pub(crate) struct OpusVoice {
    decoder: Decoder,
    heard: bool,
}

impl OpusVoice {
    pub(crate) fn new() -> Result<Self, CodecError> {
        let decoder = Decoder::new(RATE, Channels::Mono).map_err(|error| CodecError::Library {
            codec: CodecId::Opus,
            reason: error.description().to_owned(),
        })?;
        Ok(Self { decoder, heard: false })
    }

    /// Decodes into `samples` more of `out`; how many came, or none of them kept.
    fn append(
        &mut self,
        payload: &[u8],
        samples: usize,
        fec: bool,
        out: &mut Vec<i16>,
    ) -> Result<usize, opus::Error> {
        let start = out.len();
        out.resize(start + samples, 0);
        let result = self.decoder.decode(payload, &mut out[start..], fec);
        out.truncate(start + result.as_ref().map_or(0, |&decoded| decoded));
        result
    }
}

impl Core for OpusVoice {
    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Outcome {
        if payload.is_empty() {
            return Err(DecodeError::Truncated { codec: CodecId::Opus, payload_bytes: 0 });
        }
        let result = self.append(payload, OPUS_PACKET_SAMPLES_MAX, false, out);
        self.heard |= result.is_ok();
        result.map_err(|_| DecodeError::Malformed {
            codec: CodecId::Opus,
            what: "libopus refused the packet",
        })
    }

    fn conceal(&mut self, samples: usize, next: Option<&[u8]>, out: &mut Vec<i16>) -> Concealed {
        if !self.heard {
            return Concealed::No;
        }
        let (start, whole) = (out.len(), out.len() + samples);
        let end = start + samples.min(CONCEALED_MAX);
        // RFC 6716 section 4.4: long holes are concealed piece by piece; the piece just before the
        // next packet may be found in that packet's in-band FEC.
        while out.len() < end {
            let left = end - out.len();
            let last = left <= OPUS_PACKET_SAMPLES_MAX && end == whole;
            let piece = left.min(OPUS_PACKET_SAMPLES_MAX).next_multiple_of(UNIT);
            let fec = next.filter(|next| last && !next.is_empty());
            let result = match fec {
                Some(next) => self.append(next, piece, true, out),
                None => self.append(&[], piece, false, out),
            };
            match result {
                Ok(0) | Err(_) => {
                    out.truncate(start);
                    return Concealed::No;
                }
                Ok(_) => {}
            }
        }
        out.truncate(end);
        out.resize(whole, 0);
        Concealed::Yes
    }
}
