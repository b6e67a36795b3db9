//! G.729 payloads: frames of speech, at the end perhaps a silence descriptor (Annex B).

use super::{Frames, Kind, Level};
use crate::CodecId;
use crate::decode::DecodeError;
use crate::limits::FRAMES_PER_PAYLOAD_MAX;

/// RFC 3551 section 4.5.6: 10 ms of speech in 10 bytes, a silence descriptor in 2.
pub(crate) const SPEECH_BYTES: usize = 10;
pub(crate) const SAMPLES: usize = 80;
const SILENCE_BYTES: usize = 2;

/// G.729 Annex B section B.4.2.1: quantised excitation gains, in eighths: −12 dB to 66 dB.
const GAINS: [u16; 32] = [
    2, 5, 8, 13, 20, 32, 50, 64, 80, 101, 127, 160, 201, 253, 318, 401, 505, 635, 800, 1_007,
    1_268, 1_596, 2_010, 2_530, 3_185, 4_009, 5_048, 6_355, 8_000, 10_071, 12_679, 15_962,
];

pub(crate) fn split(payload: &[u8], frames: &mut Frames) -> Result<(), DecodeError> {
    let codec = CodecId::G729;
    if payload.len() / SPEECH_BYTES > FRAMES_PER_PAYLOAD_MAX {
        return Err(DecodeError::TooLarge { payload_bytes: payload.len() });
    }
    let speech = payload.chunks_exact(SPEECH_BYTES);
    match *speech.remainder() {
        [] if payload.is_empty() => Err(DecodeError::Truncated { codec, payload_bytes: 0 }),
        [] => {
            speech.for_each(|frame| frames.speech(SAMPLES, frame));
            Ok(())
        }
        [first, second] => {
            speech.for_each(|frame| frames.speech(SAMPLES, frame));
            frames.push(SAMPLES, Kind::Silence(level([first, second])));
            Ok(())
        }
        _ if payload.len() < SPEECH_BYTES => {
            Err(DecodeError::Truncated { codec, payload_bytes: payload.len() })
        }
        // Annexes D and E have frames of 8 and 15 bytes, which nobody sends under this name.
        _ => Err(DecodeError::Malformed { codec, what: "no whole number of frames" }),
    }
}

pub(crate) fn samples_in(payload: &[u8]) -> usize {
    let silence = payload.len() % SPEECH_BYTES == SILENCE_BYTES;
    (payload.len() / SPEECH_BYTES + usize::from(silence)) * SAMPLES
}

/// G.729 Annex B section B.4.3: predictor (1 bit), spectrum (5 + 4), gain (5), of speech at half
/// scale (G.729 section 3.1).
fn level(descriptor: [u8; SILENCE_BYTES]) -> Level {
    let gain = u16::from_be_bytes(descriptor) >> 1 & 0x1f;
    Level::Excitation(2.0 * f32::from(GAINS[usize::from(gain)]) / 8.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    // REC-2: several frames and a silence descriptor in one packet.
    #[test]
    fn packets_hold_frames_and_silence() {
        let mut frames = Frames::default();
        split(&[7; 22], &mut frames).unwrap();
        assert_eq!(frames.list.len(), 3);
        assert!(matches!(frames.list[2].kind, Kind::Silence(_)));
        assert_eq!(
            (samples_in(&[7; 22]), samples_in(&[7; 2]), samples_in(&[7; 20])),
            (240, 80, 160)
        );
        assert!(matches!(split(&[7; 15], &mut frames), Err(DecodeError::Malformed { .. })));
        assert!(matches!(split(&[7; 5], &mut frames), Err(DecodeError::Truncated { .. })));
    }
}
