//! What the recording shall be like.

use serde::Serialize;

use crate::stream::Side;

/// How the two sides become channels.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Caller left, callee right.
    #[default]
    Stereo,
    /// Both in one channel, added with saturation.
    MonoMix,
}

impl Layout {
    pub const fn channels(self) -> u8 {
        match self {
            Self::Stereo => 2,
            Self::MonoMix => 1,
        }
    }
}

/// File format of the audio.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// RIFF WAVE, 16-bit PCM; RF64 where 4 GiB do not suffice.
    #[default]
    Wav,
    Mp3,
    /// Opus in Ogg (RFC 7845).
    #[serde(rename = "opus")]
    OggOpus,
}

impl Format {
    /// The name in the catalog and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Mp3 => "mp3",
            Self::OggOpus => "opus",
        }
    }

    /// The ending of the file's name, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Mp3 => "mp3",
            Self::OggOpus => "opus",
        }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Wav => "audio/wav",
            Self::Mp3 => "audio/mpeg",
            Self::OggOpus => "audio/ogg",
        }
    }
}

/// What is heard while the sender describes its silence (RFC 3389).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Noise {
    /// Digital silence: nothing in the file that no packet carried as audio.
    #[default]
    Silent,
    /// Noise of the level that the sender's CN packets name.
    Comfort,
}

/// What a stretch that must not be heard becomes.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Blank {
    /// Silence of its length.
    #[default]
    Silence,
    /// Nothing, on either side: what comes after it follows at once.
    Cut,
}

/// A stretch that must not be heard: a mask, a pause.
///
/// Audio inside is removed before anything is derived from it (concealment, resampling), so that
/// nothing of it leaks into its neighbourhood.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    pub from_ns: u64,
    pub until_ns: u64,
    /// `None`: both sides.
    pub side: Option<Side>,
    pub becomes: Blank,
}

/// Options of one render; the default is what a recording is: everything, stereo, WAV.
#[derive(Clone, Debug, Default)]
pub struct RenderOptions {
    /// The file begins here; `None`: with the first media of either side.
    pub start_ns: Option<u64>,
    /// The file ends here; `None`: with the end of the last packet.
    pub end_ns: Option<u64>,
    /// Frames a second; `None`: the highest native rate of the call's codecs, 8,000 for G.711.
    pub sample_rate: Option<u32>,
    pub layout: Layout,
    pub format: Format,
    pub noise: Noise,
    /// Any order; may overlap.
    pub silences: Vec<Silence>,
    /// A shorter recording is refused ([`crate::RenderError::TooShort`]).
    pub length_min_ns: u64,
}
