//! RIFF WAVE, 16-bit PCM; RF64 (EBU Tech 3306) where the size does not fit 32 bits.
//!
//! The length is known before the first sample is written, so that the header is final at once and
//! the file can be hashed and sent while it is made.

use crate::options::Layout;

/// Header of a file with `frames` frames.
pub(crate) fn header(frames: u64, channels: u8, sample_rate: u32) -> Vec<u8> {
    let frame_bytes = u16::from(channels) * 2;
    let data_bytes = frames * u64::from(frame_bytes);
    let small = u32::try_from(data_bytes + 36).ok();
    let mut out = Vec::with_capacity(80);
    match small {
        Some(riff_bytes) => {
            out.extend(b"RIFF");
            out.extend(riff_bytes.to_le_bytes());
            out.extend(b"WAVE");
        }
        None => {
            out.extend(b"RF64\xff\xff\xff\xffWAVEds64");
            out.extend(28_u32.to_le_bytes());
            out.extend((data_bytes + 72).to_le_bytes());
            out.extend(data_bytes.to_le_bytes());
            out.extend(frames.to_le_bytes());
            out.extend(0_u32.to_le_bytes());
        }
    }
    out.extend(b"fmt ");
    out.extend(16_u32.to_le_bytes());
    out.extend(1_u16.to_le_bytes());
    out.extend(u16::from(channels).to_le_bytes());
    out.extend(sample_rate.to_le_bytes());
    out.extend((sample_rate * u32::from(frame_bytes)).to_le_bytes());
    out.extend(frame_bytes.to_le_bytes());
    out.extend(16_u16.to_le_bytes());
    out.extend(b"data");
    let data_field = if small.is_some() { data_bytes as u32 } else { u32::MAX };
    out.extend(data_field.to_le_bytes());
    out
}

/// Samples of both sides as little-endian bytes, frame by frame, in place of what is in `out`.
pub(crate) fn encode(layout: Layout, caller: &[i16], callee: &[i16], out: &mut Vec<u8>) {
    let pairs = caller.iter().zip(callee);
    out.resize(2 * caller.len() * usize::from(layout.channels()), 0);
    match layout {
        Layout::Stereo => {
            for (frame, (left, right)) in out.as_chunks_mut().0.iter_mut().zip(pairs) {
                *frame = (u32::from(*left as u16) | u32::from(*right as u16) << 16).to_le_bytes();
            }
        }
        Layout::MonoMix => {
            for (frame, (left, right)) in out.as_chunks_mut().0.iter_mut().zip(pairs) {
                *frame = left.saturating_add(*right).to_le_bytes();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::header;

    /// REC-1: an independent reader takes the header for what it is.
    #[test]
    fn header_is_read_by_others() {
        let mut file = header(3, 2, 8_000);
        assert_eq!(file.len(), 44);
        file.extend([1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0]);
        let mut reader = hound::WavReader::new(file.as_slice()).expect("a WAV file");
        assert_eq!(reader.spec().channels, 2);
        assert_eq!(reader.spec().sample_rate, 8_000);
        assert_eq!(reader.duration(), 3);
        let samples: Result<Vec<i16>, _> = reader.samples().collect();
        assert_eq!(samples.expect("samples"), [1, 2, 3, 4, 5, 6]);
    }

    /// Ten hours at 48 kHz exceed 4 GiB: the sizes move to the ds64 chunk.
    #[test]
    fn large_file_is_rf64() {
        let frames = 36_000 * 48_000_u64;
        let file = header(frames, 2, 48_000);
        assert_eq!(&file[..4], b"RF64");
        assert_eq!(file.len(), 80);
        assert_eq!(file[28..36], (frames * 4).to_le_bytes());
        assert_eq!(file[36..44], frames.to_le_bytes());
        assert_eq!(file[76..], u32::MAX.to_le_bytes());
    }
}
