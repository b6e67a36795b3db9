//! Payloads of codecs that a worker decodes, taken apart into frames.
//!
//! Frames of speech go to the worker; silence descriptors, holes and pauses that the payload itself
//! announces are handled here.

pub(crate) mod amr;
pub(crate) mod bits;
pub(crate) mod g729;
pub(crate) mod speex;

use std::ops::Range;

use crate::decode::{CodecError, DecodeError};
use crate::limits::{FRAME_BYTES_MAX, FRAMES_PER_PAYLOAD_MAX};
use crate::protocol::{Foreign, StreamFormat};
use crate::{CodecId, CodecSpec};

/// What a payload holds for one stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Bytes for the worker, in [`Frames::bytes`].
    Speech(Range<usize>),
    /// A silence descriptor: noise from here on.
    Silence(Level),
    /// Nothing sent: noise goes on, or what was lost is concealed.
    NoData,
    /// Sent, but damaged.
    Lost,
}

/// The level of described noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Level {
    /// RMS of the excitation, before the synthesis filter.
    Excitation(f32),
    /// RMS of the noise itself.
    Signal(f32),
    /// Not told: as it was heard last.
    AsHeard,
}

/// One frame and how long it lasts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) samples: usize,
}

/// Frames of some payloads with the bytes of those that hold speech.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames {
    pub(crate) list: Vec<Frame>,
    pub(crate) bytes: Vec<u8>,
}

impl Frames {
    pub(crate) fn speech(&mut self, samples: usize, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.push(samples, Kind::Speech(start..self.bytes.len()));
    }

    pub(crate) fn push(&mut self, samples: usize, kind: Kind) {
        self.list.push(Frame { kind, samples });
    }
}

/// How payloads of a stream are taken apart.
#[derive(Clone, Debug)]
pub(crate) enum Framing {
    /// G.726: any number of bytes, `bits` for each sample.
    Adpcm {
        codec: CodecId,
        bits: u8,
    },
    G729,
    Gsm,
    Ilbc {
        mode_ms: u8,
    },
    Speex {
        sample_rate: u32,
    },
    Amr(amr::Amr),
}

/// GSM 06.10 frames (RFC 3551 section 4.5.8).
const GSM_BYTES: usize = 33;
const GSM_SAMPLES: usize = 160;
/// iLBC frames (RFC 3951 section 2).
const ILBC_20: (usize, usize) = (38, 160);
const ILBC_30: (usize, usize) = (50, 240);

impl Framing {
    /// The framing of a format that workers decode; none for codecs decoded in process.
    pub(crate) fn of(spec: &CodecSpec) -> Result<Option<Self>, CodecError> {
        let codec = spec.id;
        let framing = match codec {
            CodecId::G726_16 | CodecId::Aal2G726_16 => Self::Adpcm { codec, bits: 2 },
            CodecId::G726_24 | CodecId::Aal2G726_24 => Self::Adpcm { codec, bits: 3 },
            CodecId::G726_32 | CodecId::Aal2G726_32 => Self::Adpcm { codec, bits: 4 },
            CodecId::G726_40 | CodecId::Aal2G726_40 => Self::Adpcm { codec, bits: 5 },
            CodecId::G729 => Self::G729,
            CodecId::Gsm => Self::Gsm,
            // RFC 3952 section 5: without a mode it is 30 ms.
            CodecId::Ilbc => {
                Self::Ilbc { mode_ms: if spec.parameter("mode") == Some("20") { 20 } else { 30 } }
            }
            CodecId::Speex if matches!(spec.clock_hz, 8_000 | 16_000 | 32_000) => {
                Self::Speex { sample_rate: spec.clock_hz }
            }
            CodecId::Amr | CodecId::AmrWb => Self::Amr(amr::Amr::of(spec)?),
            CodecId::Speex => return Err(shape(spec)),
            _ => return Ok(None),
        };
        // A second channel is rare enough in these codecs that no payload of one was ever seen.
        if spec.channels > 1 { Err(shape(spec)) } else { Ok(Some(framing)) }
    }

    /// What the worker is asked to decode.
    pub(crate) fn stream_format(&self) -> StreamFormat {
        match *self {
            Self::Adpcm { codec, bits } => StreamFormat {
                codec: match codec {
                    CodecId::Aal2G726_16
                    | CodecId::Aal2G726_24
                    | CodecId::Aal2G726_32
                    | CodecId::Aal2G726_40 => Foreign::G726,
                    _ => Foreign::G726Le,
                },
                sample_rate: 8_000,
                parameter: u32::from(bits),
            },
            Self::G729 => StreamFormat { codec: Foreign::G729, sample_rate: 8_000, parameter: 0 },
            Self::Gsm => StreamFormat { codec: Foreign::Gsm, sample_rate: 8_000, parameter: 0 },
            Self::Ilbc { mode_ms } => StreamFormat {
                codec: Foreign::Ilbc,
                sample_rate: 8_000,
                parameter: u32::from(mode_ms),
            },
            Self::Speex { sample_rate } => {
                StreamFormat { codec: Foreign::Speex, sample_rate, parameter: 0 }
            }
            Self::Amr(ref amr) => StreamFormat {
                codec: if amr.wide { Foreign::AmrWb } else { Foreign::Amr },
                sample_rate: amr.sample_rate(),
                parameter: 0,
            },
        }
    }

    /// Takes a payload apart; nothing is added on an error.
    pub(crate) fn split(&self, payload: &[u8], frames: &mut Frames) -> Result<(), DecodeError> {
        let before = (frames.list.len(), frames.bytes.len());
        let result = match self {
            Self::Adpcm { codec, bits } => adpcm(*codec, *bits, payload, frames),
            Self::G729 => g729::split(payload, frames),
            Self::Gsm => {
                fixed(CodecId::Gsm, (GSM_BYTES, GSM_SAMPLES), payload, frames, gsm_is_sound)
            }
            Self::Ilbc { mode_ms } => {
                let size = ilbc_size(*mode_ms, payload.len());
                fixed(CodecId::Ilbc, size, payload, frames, ilbc_is_sound)
            }
            Self::Speex { sample_rate } => speex::split(*sample_rate, payload, frames),
            Self::Amr(amr) => amr.split(payload, frames),
        };
        if result.is_err() {
            frames.list.truncate(before.0);
            frames.bytes.truncate(before.1);
        }
        result
    }

    /// Samples in a payload, without taking it apart.
    pub(crate) fn samples_in(&self, payload: &[u8]) -> usize {
        match self {
            Self::Adpcm { bits, .. } => payload.len() * 8 / usize::from(*bits),
            Self::G729 => g729::samples_in(payload),
            Self::Gsm => payload.len() / GSM_BYTES * GSM_SAMPLES,
            Self::Ilbc { mode_ms } => {
                let (bytes, samples) = ilbc_size(*mode_ms, payload.len());
                payload.len() / bytes * samples
            }
            Self::Speex { sample_rate } => speex::samples_in(*sample_rate, payload),
            Self::Amr(amr) => amr.samples_in(payload),
        }
    }

    /// A frame by which the worker's decoder conceals a lost one, where it can, and its samples.
    pub(crate) fn erasure(&self) -> Option<(&'static [u8], usize)> {
        match self {
            // FFmpeg takes a G.729 frame of zeros for an erasure (G.729 section 4.4).
            Self::G729 => Some((&[0; g729::SPEECH_BYTES], g729::SAMPLES)),
            _ => None,
        }
    }
}

fn shape(spec: &CodecSpec) -> CodecError {
    CodecError::Shape { codec: spec.id, clock_hz: spec.clock_hz, channels: spec.channels }
}

fn adpcm(codec: CodecId, bits: u8, payload: &[u8], frames: &mut Frames) -> Result<(), DecodeError> {
    if payload.is_empty() {
        return Err(DecodeError::Truncated { codec, payload_bytes: 0 });
    }
    if payload.len() > FRAME_BYTES_MAX {
        return Err(DecodeError::TooLarge { payload_bytes: payload.len() });
    }
    // RFC 3551 section 4.5.4: packets hold whole octets of whole codes; what is over is padding.
    let samples = payload.len() * 8 / usize::from(bits);
    frames.speech(samples, payload);
    Ok(())
}

fn fixed(
    codec: CodecId,
    (bytes, samples): (usize, usize),
    payload: &[u8],
    frames: &mut Frames,
    is_sound: fn(&[u8]) -> bool,
) -> Result<(), DecodeError> {
    if payload.len() < bytes {
        return Err(DecodeError::Truncated { codec, payload_bytes: payload.len() });
    }
    if payload.len() / bytes > FRAMES_PER_PAYLOAD_MAX {
        return Err(DecodeError::TooLarge { payload_bytes: payload.len() });
    }
    for frame in payload.chunks_exact(bytes) {
        if is_sound(frame) {
            frames.speech(samples, frame);
        } else {
            frames.push(samples, Kind::Lost);
        }
    }
    Ok(())
}

/// RFC 3551 section 4.5.8.1: each frame begins with the signature 0xD.
fn gsm_is_sound(frame: &[u8]) -> bool {
    frame[0] >> 4 == 0xd
}

/// RFC 3951 section 3.8: the last bit marks an empty frame.
fn ilbc_is_sound(frame: &[u8]) -> bool {
    frame.last().is_some_and(|last| last & 1 == 0)
}

/// Size of the frames of a payload: by the mode agreed on, unless only the other fits.
fn ilbc_size(mode_ms: u8, payload_bytes: usize) -> (usize, usize) {
    let (agreed, other) = if mode_ms == 20 { (ILBC_20, ILBC_30) } else { (ILBC_30, ILBC_20) };
    let fits = |size: (usize, usize)| payload_bytes.is_multiple_of(size.0);
    if !fits(agreed) && fits(other) { other } else { agreed }
}
