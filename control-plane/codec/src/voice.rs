//! What every in-process decoder has around its core: concealment and comfort noise.

use crate::conceal::Concealer;
use crate::decode::{DecodeError, Decoder, Outcome};
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::noise::Noise;

/// The part of a decoder that knows the codec.
pub(crate) trait Core: Send {
    /// Appends the samples of a payload; nothing on an error.
    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Outcome;

    /// Fills a hole by the codec's own means, with the payload after it where it is known.
    fn conceal(&mut self, samples: usize, next: Option<&[u8]>, out: &mut Vec<i16>) -> Concealed {
        let _ = (samples, next, out);
        Concealed::No
    }
}

/// Whether a core filled the hole itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concealed {
    Yes,
    No,
}

/// A decoder made of a core.
#[derive(Debug)]
pub(crate) struct Voice<C> {
    core: C,
    sample_rate: u32,
    channels: u8,
    concealer: Concealer,
    noise: Noise,
}

impl<C: Core> Voice<C> {
    pub(crate) fn new(core: C, sample_rate: u32, channels: u8) -> Self {
        Self {
            core,
            sample_rate,
            channels,
            concealer: Concealer::new(sample_rate, channels),
            noise: Noise::new(sample_rate),
        }
    }

    fn fill(&mut self, samples: usize, next: Option<&[u8]>, out: &mut Vec<i16>) {
        let start = out.len();
        match self.core.conceal(samples, next, out) {
            Concealed::Yes => self.concealer.remember(&out[start..]),
            Concealed::No => self.concealer.conceal(samples, out),
        }
    }
}

impl<C: Core> Decoder for Voice<C> {
    fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    fn channels(&self) -> u8 {
        self.channels
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Outcome {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(DecodeError::TooLarge { payload_bytes: payload.len() });
        }
        let start = out.len();
        let samples = self.core.decode(payload, out)?;
        self.concealer.resume(&mut out[start..]);
        Ok(samples)
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        self.fill(samples, None, out);
    }

    fn recover(&mut self, samples: usize, next: &[u8], out: &mut Vec<i16>) {
        self.fill(samples, Some(next), out);
    }

    fn comfort_noise(&mut self, payload: &[u8], samples: usize, out: &mut Vec<i16>) {
        let start = out.len();
        self.noise.describe(payload);
        self.noise.fill(samples, self.channels, out);
        self.concealer.remember(&out[start..]);
    }
}
