//! MP3 files through LAME: constant bit rate, channels coded apart, exact length in the LAME tag.

use std::io::{Seek, SeekFrom, Write};
use std::num::NonZeroU32;

use mp3lame_encoder::{
    Bitrate, BuildError, Builder, Encoder, FlushGap, InterleavedPcm, Mode, MonoPcm, Quality,
};

use super::{AudioShape, Format, Sink, SinkError, Written};

/// Bit rates of MPEG-1 layer III.
const MPEG_1_KBPS: &[u16] = &[32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
/// Bit rates of MPEG-2 layer III; MPEG-2.5 ends at 64.
const MPEG_2_KBPS: &[u16] = &[8, 16, 24, 32, 40, 48, 64, 80, 96, 112, 128, 160];
const MPEG_25_KBPS_MAX: u16 = 64;
/// Samples per channel given to LAME at once.
const PIECE: usize = 1_152;

/// An MP3 file being written.
pub(super) struct Mp3Writer<W> {
    format: Format,
    shape: AudioShape,
    file: W,
    encoder: Encoder,
    /// Samples short of a piece: LAME's output depends on how its input is divided.
    pending: Vec<i16>,
    encoded: Vec<u8>,
    samples: u64,
    bytes: u64,
}

impl<W: Write + Seek> Mp3Writer<W> {
    pub(super) fn create(
        format: Format,
        kbps: u16,
        shape: AudioShape,
        file: W,
    ) -> Result<Self, SinkError> {
        let bit_rate =
            bit_rate(kbps, shape.sample_rate).ok_or(SinkError::Shape { format, shape })?;
        let encoder = build(bit_rate, shape).map_err(|error| failed(format, &error))?;
        Ok(Self {
            format,
            shape,
            file,
            encoder,
            pending: Vec::new(),
            encoded: Vec::new(),
            samples: 0,
            bytes: 0,
        })
    }

    fn encode(&mut self, interleaved: &[i16]) -> Result<(), SinkError> {
        self.encoded.clear();
        let frames = interleaved.len() / usize::from(self.shape.channels);
        self.encoded.reserve(mp3lame_encoder::max_required_buffer_size(frames));
        let result = if self.shape.channels == 1 {
            self.encoder.encode_to_vec(MonoPcm(interleaved), &mut self.encoded)
        } else {
            self.encoder.encode_to_vec(InterleavedPcm(interleaved), &mut self.encoded)
        };
        result.map_err(|error| failed(self.format, &error))?;
        self.put()
    }

    fn put(&mut self) -> Result<(), SinkError> {
        self.file.write_all(&self.encoded)?;
        self.bytes += self.encoded.len() as u64;
        Ok(())
    }
}

impl<W: Write + Seek + Send> Sink<W> for Mp3Writer<W> {
    fn write(&mut self, interleaved: &[i16]) -> Result<(), SinkError> {
        self.samples += self.shape.frames(interleaved)? as u64;
        self.pending.extend_from_slice(interleaved);
        let piece = PIECE * usize::from(self.shape.channels);
        let whole = self.pending.len() - self.pending.len() % piece;
        let pending = std::mem::take(&mut self.pending);
        for samples in pending[..whole].chunks_exact(piece) {
            self.encode(samples)?;
        }
        self.pending = pending;
        self.pending.drain(..whole);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(W, Written), SinkError> {
        let rest = std::mem::take(&mut self.pending);
        if !rest.is_empty() {
            self.encode(&rest)?;
        }
        self.encoded.clear();
        self.encoded.reserve(mp3lame_encoder::max_required_buffer_size(PIECE).max(7_200));
        let result = self.encoder.flush_to_vec::<FlushGap>(&mut self.encoded);
        result.map_err(|error| failed(self.format, &error))?;
        self.put()?;
        // The tag holds delay and padding, from which players know the exact length. It replaces
        // the empty frame that LAME began with.
        let mut tag = Vec::with_capacity(self.encoder.lame_tag_size());
        if self.bytes > 0 && self.encoder.lame_tag_encode_to_vec(&mut tag).is_some() {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&tag)?;
            self.file.seek(SeekFrom::Start(self.bytes))?;
        }
        self.file.flush()?;
        Ok((self.file, Written { samples: self.samples, bytes: self.bytes }))
    }
}

fn build(bit_rate: Bitrate, shape: AudioShape) -> Result<Encoder, BuildError> {
    let mut builder = Builder::new().ok_or(BuildError::NoMem)?;
    builder.set_num_channels(shape.channels)?;
    builder.set_sample_rate(shape.sample_rate)?;
    builder.set_output_sample_rate(NonZeroU32::new(shape.sample_rate))?;
    builder.set_brate(bit_rate)?;
    // Joint stereo would let one party be heard in the other's channel.
    builder.set_mode(if shape.channels == 1 { Mode::Mono } else { Mode::Stereo })?;
    builder.set_quality(Quality::Good)?;
    builder.set_to_write_vbr_tag(true)?;
    builder.build()
}

/// The highest bit rate up to `kbps` that MPEG has at this sample rate.
fn bit_rate(kbps: u16, sample_rate: u32) -> Option<Bitrate> {
    let rates = match sample_rate {
        32_000 | 44_100 | 48_000 => MPEG_1_KBPS,
        8_000 | 11_025 | 12_000 | 16_000 | 22_050 | 24_000 => MPEG_2_KBPS,
        _ => return None,
    };
    let bound = if sample_rate <= 12_000 { MPEG_25_KBPS_MAX } else { u16::MAX };
    let wanted = kbps.min(bound);
    let rate = rates.iter().rev().find(|&&rate| rate <= wanted).unwrap_or(&rates[0]);
    Some(match rate {
        8 => Bitrate::Kbps8,
        16 => Bitrate::Kbps16,
        24 => Bitrate::Kbps24,
        32 => Bitrate::Kbps32,
        40 => Bitrate::Kbps40,
        48 => Bitrate::Kbps48,
        56 | 64 => Bitrate::Kbps64,
        80 => Bitrate::Kbps80,
        96 => Bitrate::Kbps96,
        112 => Bitrate::Kbps112,
        128 => Bitrate::Kbps128,
        160 => Bitrate::Kbps160,
        192 => Bitrate::Kbps192,
        224 => Bitrate::Kbps224,
        256 => Bitrate::Kbps256,
        _ => Bitrate::Kbps320,
    })
}

fn failed(format: Format, error: &impl std::fmt::Debug) -> SinkError {
    SinkError::Encoder { format, reason: format!("{error:?}") }
}
