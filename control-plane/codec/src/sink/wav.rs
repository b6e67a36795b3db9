//! WAV files (RIFF; RF64 of EBU Tech 3306 past 4 GiB) that are whole at every moment.
//!
//! The header is written again after each piece of data that went out, never before: what is on
//! disk after a crash is a playable file that claims no more than it has.

use std::io::{Seek, SeekFrom, Write};

use super::{AudioShape, Sink, SinkError, Written};

/// RIFF, a place for `ds64`, `fmt `, the head of `data`.
const HEADER_BYTES: u64 = 12 + 36 + 24 + 8;
/// Samples are collected to pieces of this size.
const PIECE_BYTES: usize = 64 << 10;

/// A WAV file being written.
#[derive(Debug)]
pub(super) struct WavWriter<W> {
    shape: AudioShape,
    file: W,
    piece: Vec<u8>,
    /// Bytes of samples that are in the file.
    data_bytes: u64,
}

impl<W: Write + Seek> WavWriter<W> {
    pub(super) fn create(shape: AudioShape, file: W) -> Result<Self, SinkError> {
        let piece = Vec::with_capacity(PIECE_BYTES);
        let mut writer = Self { shape, file, piece, data_bytes: 0 };
        writer.write_header()?;
        Ok(writer)
    }

    /// Writes the samples held back, then the header that counts them.
    fn flush(&mut self) -> Result<(), SinkError> {
        if self.piece.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.piece)?;
        self.data_bytes += self.piece.len() as u64;
        self.piece.clear();
        self.write_header()
    }

    /// Writes the header and goes back to the end of the data.
    fn write_header(&mut self) -> Result<(), SinkError> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header(self.shape, self.data_bytes))?;
        self.file.seek(SeekFrom::Start(HEADER_BYTES + self.data_bytes))?;
        Ok(())
    }
}

impl<W: Write + Seek + Send> Sink<W> for WavWriter<W> {
    fn write(&mut self, interleaved: &[i16]) -> Result<(), SinkError> {
        self.shape.frames(interleaved)?;
        for samples in interleaved.chunks(PIECE_BYTES / 2) {
            self.piece.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
            if self.piece.len() >= PIECE_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(W, Written), SinkError> {
        self.flush()?;
        self.file.flush()?;
        let samples = self.data_bytes / (2 * u64::from(self.shape.channels));
        Ok((self.file, Written { samples, bytes: HEADER_BYTES + self.data_bytes }))
    }
}

fn header(shape: AudioShape, data_bytes: u64) -> Vec<u8> {
    let riff_bytes = HEADER_BYTES - 8 + data_bytes;
    let frame_bytes = 2 * u16::from(shape.channels);
    let small = u32::try_from(riff_bytes).ok();
    let mut header = Vec::with_capacity(HEADER_BYTES as usize);
    header.extend(if small.is_some() { b"RIFF" } else { b"RF64" });
    header.extend(small.unwrap_or(u32::MAX).to_le_bytes());
    header.extend(b"WAVE");
    // EBU Tech 3306 section 3: the place is kept by a chunk that readers pass over.
    header.extend(if small.is_some() { b"JUNK" } else { b"ds64" });
    header.extend(28_u32.to_le_bytes());
    let sizes = [riff_bytes, data_bytes, data_bytes / u64::from(frame_bytes)];
    let sizes = if small.is_some() { [0; 3] } else { sizes };
    header.extend(sizes.iter().flat_map(|size| size.to_le_bytes()));
    header.extend(0_u32.to_le_bytes());
    header.extend(b"fmt ");
    header.extend(16_u32.to_le_bytes());
    header.extend(1_u16.to_le_bytes());
    header.extend(u16::from(shape.channels).to_le_bytes());
    header.extend(shape.sample_rate.to_le_bytes());
    header.extend((shape.sample_rate * u32::from(frame_bytes)).to_le_bytes());
    header.extend(frame_bytes.to_le_bytes());
    header.extend(16_u16.to_le_bytes());
    header.extend(b"data");
    header.extend(small.map_or(u32::MAX, |_| data_bytes as u32).to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor};

    use super::*;

    const STEREO: AudioShape = AudioShape { sample_rate: 16_000, channels: 2 };

    /// Keeps the first bytes of a file and counts the others.
    #[derive(Debug, Default)]
    struct Head {
        kept: Vec<u8>,
        position: u64,
        length: u64,
    }

    impl Write for Head {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.position < 4_096 {
                let start = self.position as usize;
                let end = (start + bytes.len()).min(4_096);
                self.kept.resize(self.kept.len().max(end), 0);
                self.kept[start..end].copy_from_slice(&bytes[..end - start]);
            }
            self.position += bytes.len() as u64;
            self.length = self.length.max(self.position);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Head {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            match to {
                SeekFrom::Start(position) => self.position = position,
                SeekFrom::End(_) | SeekFrom::Current(_) => {
                    return Err(io::ErrorKind::Unsupported.into());
                }
            }
            Ok(self.position)
        }
    }

    fn number(bytes: &[u8], at: usize) -> u64 {
        bytes[at..at + 4].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    }

    // REC-1: what another reader finds is what was written.
    #[test]
    fn samples_are_read_back() {
        let samples: Vec<i16> = (0..100_002).map(|n| (n * 7) as i16).collect();
        let mut sink = Box::new(WavWriter::create(STEREO, Cursor::new(Vec::new())).unwrap());
        samples.chunks(320).for_each(|chunk| sink.write(chunk).unwrap());
        let (file, written) = sink.finish().unwrap();
        let bytes = file.into_inner();
        assert_eq!(written, Written { samples: 50_001, bytes: bytes.len() as u64 });
        let mut reader = hound::WavReader::new(&bytes[..]).unwrap();
        assert_eq!((reader.spec().channels, reader.spec().sample_rate), (2, 16_000));
        let found: Vec<i16> = reader.samples().map(Result::unwrap).collect();
        assert_eq!(found, samples);
    }

    // REC-1: a file that nobody finished is playable up to what reached it.
    #[test]
    fn unfinished_files_are_whole() {
        let mut writer = WavWriter::create(STEREO, Cursor::new(Vec::new())).unwrap();
        writer.write(&vec![5; 200_000]).unwrap();
        let bytes = writer.file.get_ref().clone();
        let reader = hound::WavReader::new(&bytes[..]).unwrap();
        assert!(reader.len() >= 150_000);
        assert_eq!(number(&bytes, 4), bytes.len() as u64 - 8);
        assert_eq!(number(&bytes, 76), bytes.len() as u64 - 80);
    }

    // REC-1: past 4 GiB the file becomes RF64 with its sizes in the ds64 chunk.
    #[test]
    fn large_files_are_rf64() {
        let mut sink = Box::new(WavWriter::create(STEREO, Head::default()).unwrap());
        sink.data_bytes = (4 << 30) - 65_536;
        sink.file.seek(SeekFrom::Start(HEADER_BYTES + sink.data_bytes)).unwrap();
        let piece = vec![0; 65_536];
        sink.write(&piece).unwrap();
        let (head, written) = sink.finish().unwrap();
        let data_bytes = (4 << 30) + 65_536_u64;
        assert_eq!((head.length, written.bytes), (data_bytes + 80, data_bytes + 80));
        assert_eq!((&head.kept[..4], &head.kept[12..16]), (&b"RF64"[..], &b"ds64"[..]));
        assert_eq!((number(&head.kept, 4), number(&head.kept, 76)), (0xffff_ffff, 0xffff_ffff));
        let wide = |at| number(&head.kept, at) | number(&head.kept, at + 4) << 32;
        assert_eq!((wide(20), wide(28), wide(36)), (data_bytes + 72, data_bytes, data_bytes / 4));
    }

    // REC-1: half a frame is refused rather than swapping the channels.
    #[test]
    fn channels_cannot_slip() {
        let mut writer = WavWriter::create(STEREO, Cursor::new(Vec::new())).unwrap();
        assert!(matches!(writer.write(&[1; 3]), Err(SinkError::Uneven { .. })));
    }
}
