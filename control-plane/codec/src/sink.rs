//! Audio files: one interface over WAV, MP3 and Ogg Opus writers.

mod mp3;
mod ogg_opus;
mod wav;

use std::io::{self, Seek, Write};

/// MP3 bit rate of each channel, in kbit/s: a mono file takes 240 kB a minute.
pub const MP3_KBPS_PER_CHANNEL: u16 = 32;
/// Opus bit rate of each channel, in kbit/s: a mono file takes 180 kB a minute.
pub const OPUS_KBPS_PER_CHANNEL: u16 = 24;

/// The file formats of recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// 16-bit PCM; RF64 past 4 GiB.
    Wav,
    /// Constant bit rate for all channels together, channels coded apart. A rate that MPEG does not
    /// have at the sample rate becomes the next lower one.
    Mp3 { kbps: u16 },
    /// Variable bit rate for all channels together, channels coded apart.
    OggOpus { kbps: u16 },
    /// RFC 4867 section 5 storage format.
    Amr,
}

/// The shape of the samples given to a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioShape {
    /// In Hz. MP3 has those of MPEG, Ogg Opus 8000, 12000, 16000, 24000, 48000, WAV any.
    pub sample_rate: u32,
    /// 1 or 2; of two, left is the caller.
    pub channels: u8,
}

/// What a finished file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Samples per channel at the sink's sample rate.
    pub samples: u64,
    pub bytes: u64,
}

/// Why a file could not be written. After an error the sink is to be dropped.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error("cannot write audio")]
    Io(#[from] io::Error),
    #[error("{format:?} cannot hold {} Hz with {} channels", shape.sample_rate, shape.channels)]
    Shape { format: Format, shape: AudioShape },
    #[error("{format:?} has no encoder here: {reason}")]
    NoEncoder { format: Format, reason: &'static str },
    #[error("the {format:?} encoder failed: {reason}")]
    Encoder { format: Format, reason: String },
    #[error("{samples} samples do not make whole frames of {channels} channels")]
    Uneven { samples: usize, channels: u8 },
}

/// A file being written. The same samples always make the same bytes, however they are divided
/// among calls.
pub trait Sink<W>: Send {
    /// Appends interleaved samples; their number is a multiple of the channels.
    fn write(&mut self, interleaved: &[i16]) -> Result<(), SinkError>;

    /// Writes what is still held back, patches the header, and gives the file back (to be synced).
    fn finish(self: Box<Self>) -> Result<(W, Written), SinkError>;
}

impl Format {
    /// Opens a sink of this format over an empty file.
    pub fn create<W: Write + Seek + Send + 'static>(
        self,
        shape: AudioShape,
        file: W,
    ) -> Result<Box<dyn Sink<W>>, SinkError> {
        if !matches!(shape.channels, 1 | 2) || shape.sample_rate == 0 {
            return Err(SinkError::Shape { format: self, shape });
        }
        Ok(match self {
            Self::Wav => Box::new(wav::WavWriter::create(shape, file)?),
            Self::Mp3 { kbps } => Box::new(mp3::Mp3Writer::create(self, kbps, shape, file)?),
            Self::OggOpus { kbps } => {
                Box::new(ogg_opus::OggOpusWriter::create(self, kbps, shape, file)?)
            }
            Self::Amr => {
                let reason = "AMR is decoded, not yet written";
                return Err(SinkError::NoEncoder { format: self, reason });
            }
        })
    }

    /// The usual ending of the file's name.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Mp3 { .. } => "mp3",
            Self::OggOpus { .. } => "opus",
            Self::Amr => "amr",
        }
    }

    /// MP3 at its usual bit rate.
    #[must_use]
    pub fn mp3(channels: u8) -> Self {
        Self::Mp3 { kbps: MP3_KBPS_PER_CHANNEL * u16::from(channels) }
    }

    /// Ogg Opus at its usual bit rate.
    #[must_use]
    pub fn ogg_opus(channels: u8) -> Self {
        Self::OggOpus { kbps: OPUS_KBPS_PER_CHANNEL * u16::from(channels) }
    }
}

impl AudioShape {
    /// Samples per channel in so many interleaved ones.
    fn frames(self, interleaved: &[i16]) -> Result<usize, SinkError> {
        let channels = usize::from(self.channels);
        if interleaved.len().is_multiple_of(channels) {
            Ok(interleaved.len() / channels)
        } else {
            let (samples, channels) = (interleaved.len(), self.channels);
            Err(SinkError::Uneven { samples, channels })
        }
    }
}
