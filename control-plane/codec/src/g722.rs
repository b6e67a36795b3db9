//! G.722 at 64 kbit/s through the `audio-codec` crate. Its RTP clock is 8000 though it carries
//! 16000 samples a second (RFC 3551 section 4.5.2).

use audio_codec::Decoder as _;
use audio_codec::g722::G722Decoder;

use crate::CodecId;
use crate::decode::{DecodeError, Outcome};
use crate::voice::Core;

/// The decoder's core: one byte, two samples.
pub(crate) struct G722 {
    decoder: G722Decoder,
}

impl G722 {
    pub(crate) fn new() -> Self {
        Self { decoder: G722Decoder::new() }
    }
}

impl Core for G722 {
    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Outcome {
        let start = out.len();
        out.resize(start + self.decoder.max_decode_samples(payload.len()), 0);
        let samples = self.decoder.decode_into(payload, &mut out[start..]).unwrap_or(0);
        out.truncate(start + samples);
        if samples != payload.len() * 2 {
            out.truncate(start);
            let what = "the decoder gave another number of samples";
            return Err(DecodeError::Malformed { codec: CodecId::G722, what });
        }
        Ok(samples)
    }
}
