//! Encoders of this process.

use audio_codec::Encoder as _;
use audio_codec::g722::G722Encoder;

use super::{EncodeError, Encoder};
use crate::g711::{self, Companding};
use crate::{CodecError, CodecId, CodecSpec};

/// Samples of an Opus frame: 20 ms at 48 kHz.
const OPUS_FRAME: usize = 960;
/// Room for any Opus packet of one frame (RFC 6716 section 3.4).
const OPUS_BYTES_MAX: usize = 1_276;

pub(super) fn open(spec: &CodecSpec) -> Option<Box<dyn Encoder>> {
    match spec.id {
        CodecId::Pcma | CodecId::Pcmu => {
            g711::law(spec.id).map(|law| Box::new(G711Encoder { law }) as Box<dyn Encoder>)
        }
        CodecId::L16 => Some(Box::new(L16Encoder { sample_rate: spec.clock_hz })),
        CodecId::G722 => Some(Box::new(G722 { encoder: G722Encoder::new() })),
        _ => None,
    }
}

struct G711Encoder {
    law: Companding,
}

impl Encoder for G711Encoder {
    fn sample_rate(&self) -> u32 {
        8_000
    }

    fn frame_samples(&self) -> usize {
        1
    }

    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self.law {
            Companding::A => payload.extend(samples.iter().map(|&s| g711::to_a_law(s))),
            Companding::Mu => payload.extend(samples.iter().map(|&s| g711::to_mu_law(s))),
        }
        Ok(())
    }
}

struct L16Encoder {
    sample_rate: u32,
}

impl Encoder for L16Encoder {
    fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    fn frame_samples(&self) -> usize {
        1
    }

    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) -> Result<(), EncodeError> {
        payload.extend(samples.iter().flat_map(|sample| sample.to_be_bytes()));
        Ok(())
    }
}

struct G722 {
    encoder: G722Encoder,
}

impl Encoder for G722 {
    fn sample_rate(&self) -> u32 {
        16_000
    }

    fn frame_samples(&self) -> usize {
        2
    }

    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) -> Result<(), EncodeError> {
        if !samples.len().is_multiple_of(2) {
            return Err(EncodeError::Uneven { samples: samples.len(), frame_samples: 2 });
        }
        let start = payload.len();
        payload.resize(start + self.encoder.max_encode_bytes(samples.len()), 0);
        let bytes = self
            .encoder
            .encode_into(samples, &mut payload[start..])
            .map_err(|error| EncodeError::Library { reason: format!("{error:?}") })?;
        payload.truncate(start + bytes);
        Ok(())
    }
}

/// Opus at 48 kHz, one channel, 20 ms.
pub(super) struct OpusEncoder {
    encoder: opus::Encoder,
}

impl OpusEncoder {
    pub(super) fn new(spec: &CodecSpec) -> Result<Self, CodecError> {
        let configure = || {
            let channels = opus::Channels::Mono;
            let mut encoder = opus::Encoder::new(48_000, channels, opus::Application::Voip)?;
            if spec.switch("useinbandfec") {
                encoder.set_inband_fec(true)?;
                encoder.set_packet_loss_perc(20)?;
                encoder.set_bitrate(opus::Bitrate::Bits(24_000))?;
            }
            encoder.set_dtx(spec.switch("usedtx"))?;
            Ok(encoder)
        };
        let encoder = configure().map_err(|error: opus::Error| CodecError::Library {
            codec: CodecId::Opus,
            reason: error.description().to_owned(),
        })?;
        Ok(Self { encoder })
    }
}

impl Encoder for OpusEncoder {
    fn sample_rate(&self) -> u32 {
        48_000
    }

    fn frame_samples(&self) -> usize {
        OPUS_FRAME
    }

    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) -> Result<(), EncodeError> {
        if samples.len() != OPUS_FRAME {
            return Err(EncodeError::Uneven { samples: samples.len(), frame_samples: OPUS_FRAME });
        }
        let start = payload.len();
        payload.resize(start + OPUS_BYTES_MAX, 0);
        let bytes = self
            .encoder
            .encode(samples, &mut payload[start..])
            .map_err(|error| EncodeError::Library { reason: error.description().to_owned() })?;
        payload.truncate(start + bytes);
        Ok(())
    }
}
