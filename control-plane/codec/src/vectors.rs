//! Encoded sounds, for tests and generated calls: codecs that no library at hand encodes.
//!
//! G.729 with Annex B, iLBC in both modes, AMR and AMR-WB with DTX, all of one sound: speech, two
//! seconds of quiet noise, speech. Made by other programs (`control-plane/codec/vectors/README.md`).

use crate::framing::Framing;
use crate::measure::{noise, speech_like};
use crate::{CodecId, CodecSpec};

/// RMS of the noise between the two stretches of speech.
pub const NOISE_RMS: f64 = 120.0;
/// Where the noise begins and ends, in seconds; the whole lasts six.
pub const NOISE_SECONDS: (u32, u32) = (2, 4);

/// An encoded sound.
#[derive(Clone, Debug)]
pub struct Vector {
    pub spec: CodecSpec,
    /// What was encoded, at the codec's sample rate.
    pub sound: Vec<i16>,
    /// RTP payloads of one frame each; empty where the encoder sent nothing (DTX).
    pub payloads: Vec<Vec<u8>>,
    /// Samples of a frame.
    pub frame_samples: usize,
}

/// The sound of all vectors at a sample rate.
#[must_use]
pub fn sound(sample_rate: u32) -> Vec<i16> {
    let seconds = |count: u32| (sample_rate * count) as usize;
    let (from, to) = NOISE_SECONDS;
    let mut sound = speech_like(sample_rate, seconds(from), 7);
    sound.extend(std::iter::repeat_n(0, seconds(to - from)));
    sound.extend(speech_like(sample_rate, seconds(2), 8));
    for (sample, noise) in sound.iter_mut().zip(noise(seconds(6), NOISE_RMS, 9)) {
        *sample = sample.saturating_add(noise);
    }
    sound
}

/// The vector of a format, packed as it asks (`mode`, `octet-align`); none for codecs that
/// [`crate::encode::open`] encodes.
#[must_use]
pub fn vector(spec: &CodecSpec) -> Option<Vector> {
    let (file, frame_samples): (&[u8], usize) = match spec.id {
        CodecId::G729 => (include_bytes!("../vectors/g729.bin"), 80),
        CodecId::Ilbc if spec.parameter("mode") == Some("20") => {
            (include_bytes!("../vectors/ilbc20.bin"), 160)
        }
        CodecId::Ilbc => (include_bytes!("../vectors/ilbc30.bin"), 240),
        CodecId::Amr => (include_bytes!("../vectors/amr.bin"), 160),
        CodecId::AmrWb => (include_bytes!("../vectors/amr-wb.bin"), 320),
        _ => return None,
    };
    let framing = Framing::of(spec).ok().flatten()?;
    let payloads = frames(file)
        .map(|frame| match &framing {
            Framing::Amr(amr) if !frame.is_empty() => {
                let mut payload = Vec::new();
                amr.pack(&[frame.to_vec()], &mut payload);
                payload
            }
            _ => frame.to_vec(),
        })
        .collect();
    let sound = sound(spec.sample_rate());
    Some(Vector { spec: spec.clone(), sound, payloads, frame_samples })
}

/// Frames, each after its length in 16 bits.
fn frames(mut file: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = file.split_first_chunk::<2>()?;
        let (frame, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        file = rest;
        Some(frame)
    })
}
