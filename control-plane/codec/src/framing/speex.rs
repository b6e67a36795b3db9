//! Speex payloads: frames follow each other without byte boundaries (RFC 5574 section 3).

use super::Frames;
use super::bits::Bits;
use crate::CodecId;
use crate::decode::DecodeError;
use crate::limits::FRAMES_PER_PAYLOAD_MAX;

/// Bits of a narrowband frame by its mode, its five leading bits included.
const NARROW_BITS: [usize; 9] = [5, 43, 119, 160, 220, 300, 364, 492, 79];
/// Bits of the layer above it by its mode, its four leading bits included.
const WIDE_BITS: [usize; 8] = [4, 36, 112, 192, 352, 0, 0, 0];
/// Modes of the narrowband layer that are no speech.
const USER_MESSAGE: usize = 13;
const SIGNAL: usize = 14;
const END: usize = 15;

/// Takes a payload apart; each frame becomes a packet of its own with the padding of RFC 5574.
pub(crate) fn split(
    sample_rate: u32,
    payload: &[u8],
    frames: &mut Frames,
) -> Result<(), DecodeError> {
    let mut bits = Bits::new(payload);
    let mut found = 0;
    let mut packet = Vec::with_capacity(64);
    while let Some(length) = next(sample_rate, bits)? {
        found += 1;
        if found > FRAMES_PER_PAYLOAD_MAX {
            return Err(DecodeError::TooLarge { payload_bytes: payload.len() });
        }
        packet.clear();
        if bits.skip(length.before).is_none() || bits.copy(length.frame, &mut packet).is_none() {
            return Err(truncated(payload));
        }
        // RFC 5574 section 3.2: padding is a zero followed by ones.
        if let Some(last) = packet.last_mut().filter(|_| !length.frame.is_multiple_of(8)) {
            *last |= 0x7f >> (length.frame % 8);
        }
        frames.speech(frame_samples(sample_rate), &packet);
    }
    if found == 0 { Err(truncated(payload)) } else { Ok(()) }
}

pub(crate) fn samples_in(sample_rate: u32, payload: &[u8]) -> usize {
    let mut bits = Bits::new(payload);
    let mut samples = 0;
    while let Ok(Some(length)) = next(sample_rate, bits) {
        if bits.skip(length.before + length.frame).is_none() {
            break;
        }
        samples += frame_samples(sample_rate);
    }
    samples
}

/// Speex manual section 8: 20 ms in each layer's frame.
fn frame_samples(sample_rate: u32) -> usize {
    sample_rate as usize / 50
}

/// Bits to skip before a frame and bits in it.
#[derive(Clone, Copy, Debug)]
struct Length {
    before: usize,
    frame: usize,
}

/// The frame that begins at or after a position; none where the payload ends.
fn next(sample_rate: u32, mut bits: Bits<'_>) -> Result<Option<Length>, DecodeError> {
    let malformed = |what| Err(DecodeError::Malformed { codec: CodecId::Speex, what });
    let origin = bits.position();
    loop {
        let start = bits.position();
        if bits.left() < 5 {
            return Ok(None);
        }
        // A layer without the frame below it: a narrowband stream that was once wider.
        if bits.take(1) == Some(1) {
            let mode = bits.take(3).unwrap_or(0) as usize;
            match WIDE_BITS[mode] {
                0 => return malformed("unknown layer"),
                length if bits.skip(length - 4).is_some() => continue,
                _ => return Ok(None),
            }
        }
        match bits.take(4).unwrap_or(0) as usize {
            END => return Ok(None),
            SIGNAL => {
                let Some(id) = bits.take(4) else { return Ok(None) };
                let length = match id {
                    0 | 1 => 1,
                    2..=7 => 4,
                    8 | 9 => 8,
                    10 | 11 => 16,
                    12 | 13 => 32,
                    _ => 64,
                };
                if bits.skip(length).is_none() {
                    return Ok(None);
                }
            }
            USER_MESSAGE => {
                let Some(bytes) = bits.take(4) else { return Ok(None) };
                if bits.skip(5 + 8 * bytes as usize).is_none() {
                    return Ok(None);
                }
            }
            mode => {
                let Some(&length) = NARROW_BITS.get(mode) else {
                    return malformed("unknown mode");
                };
                let layers = layers(sample_rate, bits, length - 5)?;
                let frame = length + layers;
                return Ok(Some(Length { before: start - origin, frame }));
            }
        }
    }
}

/// Bits of the layers above a narrowband frame of which `rest` bits are still to come.
fn layers(sample_rate: u32, mut bits: Bits<'_>, rest: usize) -> Result<usize, DecodeError> {
    if bits.skip(rest).is_none() {
        return Ok(0);
    }
    let start = bits.position();
    for _ in 0..sample_rate / 16_000 {
        if bits.left() < 4 || bits.peek() != Some(1) {
            break;
        }
        let length = WIDE_BITS[bits.take(4).unwrap_or(0) as usize & 7];
        if length == 0 {
            let what = "unknown layer";
            return Err(DecodeError::Malformed { codec: CodecId::Speex, what });
        }
        if bits.skip(length - 4).is_none() {
            break;
        }
    }
    Ok(bits.position() - start)
}

fn truncated(payload: &[u8]) -> DecodeError {
    DecodeError::Truncated { codec: CodecId::Speex, payload_bytes: payload.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes numbers of so many bits each, padded as RFC 5574 has it.
    fn payload(fields: &[(u32, usize)]) -> Vec<u8> {
        let mut bits: Vec<bool> = fields
            .iter()
            .flat_map(|&(value, count)| {
                (0..count).rev().map(move |n| n < 32 && value >> n & 1 == 1)
            })
            .collect();
        let mut pad = false;
        while !bits.len().is_multiple_of(8) {
            bits.push(pad);
            pad = true;
        }
        bits.chunks(8)
            .map(|byte| byte.iter().fold(0, |sum, &bit| sum << 1 | u8::from(bit)))
            .collect()
    }

    // REC-2 (RFC 5574): two narrowband frames and padding.
    #[test]
    fn narrowband_frames_are_found() {
        let payload = payload(&[(3, 5), (0, 155), (8, 5), (0, 74)]);
        assert_eq!(samples_in(8_000, &payload), 320);
        let mut frames = Frames::default();
        split(8_000, &payload, &mut frames).unwrap();
        assert_eq!(frames.bytes.len(), 20 + 10);
        assert_eq!(frames.bytes[20] >> 3, 8);
        assert_eq!(frames.bytes.last(), Some(&0));
    }

    // REC-2 (RFC 5574): wideband frames have a second layer; an in-band signal is passed over.
    #[test]
    fn wideband_frames_are_found() {
        let layer = [(5, 5), (0, 295), (0b1_011, 4), (0, 188)];
        let signal = [(14, 5), (2, 4), (0, 4)];
        let payload = payload(&[&signal[..], &layer, &layer].concat());
        assert_eq!(samples_in(16_000, &payload), 640);
        let mut frames = Frames::default();
        split(16_000, &payload, &mut frames).unwrap();
        assert_eq!(frames.list.len(), 2);
    }

    // S9: a frame that is cut is an error, not a panic.
    #[test]
    fn cut_frames_are_refused() {
        let mut frames = Frames::default();
        assert!(split(8_000, &[0b0001_1000, 0], &mut frames).is_err());
        assert!(split(8_000, &[], &mut frames).is_err());
        assert!(split(8_000, &[0b0100_1000, 0], &mut frames).is_err());
    }
}
