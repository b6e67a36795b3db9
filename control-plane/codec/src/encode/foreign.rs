//! Encoders in a worker process.

use std::sync::Arc;

use super::{EncodeError, Encoder};
use crate::framing::Framing;
use crate::protocol::{Direction, Foreign, StreamFormat};
use crate::worker_pool::Session;
use crate::{CodecError, CodecSpec, WorkerPool};

/// The encoder of one stream in a worker.
#[derive(Debug)]
pub(super) struct ForeignEncoder {
    session: Session,
    framing: Framing,
    format: StreamFormat,
    frame_samples: usize,
}

impl ForeignEncoder {
    pub(super) fn open(
        workers: &Arc<WorkerPool>,
        spec: &CodecSpec,
        framing: Framing,
        format: StreamFormat,
    ) -> Result<Self, CodecError> {
        let session = workers
            .open(Direction::Encode, format)
            .map_err(|source| CodecError::Worker { codec: spec.id, source })?;
        let frame_samples = match (format.codec, format.parameter) {
            // Eight codes of any size make whole bytes.
            (Foreign::G726 | Foreign::G726Le, _) => 8,
            (Foreign::Ilbc, 30) => 240,
            _ => format.sample_rate as usize / 50,
        };
        Ok(Self { session, framing, format, frame_samples })
    }
}

impl Encoder for ForeignEncoder {
    fn sample_rate(&self) -> u32 {
        self.format.sample_rate
    }

    fn frame_samples(&self) -> usize {
        self.frame_samples
    }

    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) -> Result<(), EncodeError> {
        let frames = samples.len() / self.frame_samples;
        let alone = self.format.codec == Foreign::Speex;
        let uneven = !samples.len().is_multiple_of(self.frame_samples);
        if uneven || frames == 0 || (alone && frames > 1) {
            let (samples, frame_samples) = (samples.len(), self.frame_samples);
            return Err(EncodeError::Uneven { samples, frame_samples });
        }
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let item = match self.format.codec {
            Foreign::G726 | Foreign::G726Le => bytes.len(),
            _ => self.frame_samples * 2,
        };
        let items: Vec<&[u8]> = bytes.chunks(item).collect();
        let results = self.session.work(&items).map_err(EncodeError::WorkerDied)?;
        let mut encoded = Vec::with_capacity(results.len());
        for result in results {
            let reason = "the worker refused a frame";
            encoded.push(result.ok_or(EncodeError::Library { reason: reason.to_owned() })?);
        }
        match &self.framing {
            Framing::Amr(amr) => amr.pack(&encoded, payload),
            _ => payload.extend(encoded.concat()),
        }
        Ok(())
    }
}
