//! Encoders: for fixtures, the demo and tests, and for formats that store telephony codecs.

mod foreign;
mod in_process;

use std::sync::Arc;

use crate::framing::Framing;
use crate::protocol::Foreign;
use crate::{CodecError, CodecId, CodecSpec, WorkerDied, WorkerPool};

/// The encoder of one stream: one channel.
pub trait Encoder: Send {
    /// Samples a second that it takes.
    fn sample_rate(&self) -> u32;

    /// Samples of one frame.
    fn frame_samples(&self) -> usize;

    /// Encodes one or more whole frames into one RTP payload, appended to `payload`. Speex and Opus
    /// take one frame a payload.
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) -> Result<(), EncodeError>;
}

/// Why samples could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("{samples} samples do not make whole frames of {frame_samples}")]
    Uneven { samples: usize, frame_samples: usize },
    #[error("the encoder's library failed: {reason}")]
    Library { reason: String },
    #[error("the encoder's process ended")]
    WorkerDied(#[source] WorkerDied),
}

/// An encoder for a stream of this format, with the codec's usual bit rate.
///
/// In process: G.711, G.722, L16, Opus (with in-band FEC where `useinbandfec=1`). Through FFmpeg in
/// a worker, where the FFmpeg at hand can: G.726, GSM, Speex, and AMR and AMR-WB with Debian's
/// `libavcodec-extra59`; not G.729 and iLBC, for which [`CodecError::Worker`] says so.
pub fn open(workers: &Arc<WorkerPool>, spec: &CodecSpec) -> Result<Box<dyn Encoder>, CodecError> {
    if spec.id == CodecId::Opus {
        return Ok(Box::new(in_process::OpusEncoder::new(spec)?));
    }
    if spec.channels > 1 {
        let (clock_hz, channels) = (spec.clock_hz, spec.channels);
        return Err(CodecError::Shape { codec: spec.id, clock_hz, channels });
    }
    if let Some(encoder) = in_process::open(spec) {
        return Ok(encoder);
    }
    let framing = Framing::of(spec)?.ok_or(CodecError::NoDecoder { codec: spec.id })?;
    let mut format = framing.stream_format();
    match format.codec {
        Foreign::Amr => format.parameter = 12_200,
        Foreign::AmrWb => format.parameter = 23_850,
        _ => {}
    }
    Ok(Box::new(foreign::ForeignEncoder::open(workers, spec, framing, format)?))
}
