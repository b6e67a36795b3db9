//! The decoders of one run, opened when first needed, and given up when they die.

use earwitness_codec::{CodecError, DecodeError, Decoder, Decoders, Outcome, Step};

use crate::codecs::Codecs;

/// What a decoder gave for a row of steps.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// One channel.
    pub(crate) samples: Vec<i16>,
    /// Of each step its samples; `None` where it was refused.
    pub(crate) counts: Vec<Option<usize>>,
}

/// By position in the stream's codecs; `None` for a codec that has no decoder, or none any more.
#[derive(Default)]
pub(crate) struct Bench {
    open: Vec<(u8, Option<Box<dyn Decoder>>)>,
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.open.iter().map(|(codec, _)| codec)).finish()
    }
}

impl Bench {
    /// Runs the steps, in order. A decoder whose process ended is opened once more for the same
    /// steps; if it ends again the stream's payloads are to blame, and the codec is given up.
    pub(crate) fn run(
        &mut self,
        codec: u8,
        steps: &[Step<'_>],
        codecs: &Codecs,
        decoders: &Decoders,
        into: &mut Decoded,
    ) -> Result<(), CodecError> {
        into.samples.clear();
        into.counts.clear();
        for _ in 0..2 {
            let Some(decoder) = self.decoder(codec, codecs, decoders)? else { break };
            let outcomes = decoder.run(steps, &mut into.samples);
            let channels = usize::from(decoder.channels().max(1));
            let died =
                outcomes.iter().any(|outcome| matches!(outcome, Err(DecodeError::WorkerDied(_))));
            if !died {
                into.counts.extend(outcomes.iter().map(count));
                mix_down(&mut into.samples, channels);
                return Ok(());
            }
            into.samples.clear();
            self.open.retain(|(known, _)| *known != codec);
        }
        self.open.retain(|(known, _)| *known != codec);
        self.open.push((codec, None));
        into.counts.resize(steps.len(), None);
        Ok(())
    }

    /// The decoder, or that there is none to be had. What may be had later is an error.
    fn decoder(
        &mut self,
        codec: u8,
        codecs: &Codecs,
        decoders: &Decoders,
    ) -> Result<Option<&mut Box<dyn Decoder>>, CodecError> {
        let at = match self.open.iter().position(|(known, _)| *known == codec) {
            Some(at) => at,
            None => {
                let decoder = match decoders.open(codecs.spec(codec)) {
                    Ok(decoder) => Some(decoder),
                    Err(error) if is_transient(&error) => return Err(error),
                    Err(_) => None,
                };
                self.open.push((codec, decoder));
                self.open.len() - 1
            }
        };
        Ok(self.open[at].1.as_mut())
    }
}

fn count(outcome: &Outcome) -> Option<usize> {
    outcome.as_ref().ok().copied()
}

/// Whether another attempt may succeed: the machine was short of something, not the codec.
fn is_transient(error: &CodecError) -> bool {
    use earwitness_codec::WorkerError::{Busy, Died, Spawn};
    matches!(error, CodecError::Worker { source: Busy { .. } | Died(_) | Spawn { .. }, .. })
}

/// A side is one channel: several are averaged.
fn mix_down(samples: &mut Vec<i16>, channels: usize) {
    if channels == 1 {
        return;
    }
    let frames = samples.len() / channels;
    for frame in 0..frames {
        let all = &samples[frame * channels..][..channels];
        let sum: i32 = all.iter().map(|&sample| i32::from(sample)).sum();
        samples[frame] = (sum / channels as i32) as i16;
    }
    samples.truncate(frames);
}

#[cfg(test)]
mod tests {
    use super::mix_down;

    /// REC-1: a stereo codec is one side of the recording.
    #[test]
    fn channels_are_averaged() {
        let mut samples = vec![10, 20, -4, -8, i16::MAX, i16::MAX];
        mix_down(&mut samples, 2);
        assert_eq!(samples, [15, -6, i16::MAX]);
    }
}
