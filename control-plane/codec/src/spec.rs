//! Which codec a stream speaks: names from SDP, static payload types, clock and sample rates.
//!
//! Only names and numbers belong here; what a payload holds is the business of `duration` and the
//! decoders.

use std::fmt;

/// The codecs that telephony uses, each with one meaning of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CodecId {
    Pcmu,
    Pcma,
    G722,
    /// G.726 with the first sample in the low bits (RFC 3551 section 4.5.4).
    G726_16,
    G726_24,
    G726_32,
    G726_40,
    /// G.726 with the first sample in the high bits (I.366.2 Annex E, RFC 3551 section 4.5.4).
    Aal2G726_16,
    Aal2G726_24,
    Aal2G726_32,
    Aal2G726_40,
    G729,
    Gsm,
    Ilbc,
    Speex,
    Opus,
    Amr,
    AmrWb,
    L16,
    /// RFC 3389; never decoded by itself: see [`crate::Decoder::comfort_noise`].
    ComfortNoise,
    /// RFC 4733; carries no audio.
    TelephoneEvent,
    Unknown,
}

/// Encoding names as registered, in upper case, with what they mean here.
const NAMES: &[(&str, CodecId)] = &[
    ("PCMU", CodecId::Pcmu),
    ("PCMA", CodecId::Pcma),
    ("G722", CodecId::G722),
    ("G726-16", CodecId::G726_16),
    ("G726-24", CodecId::G726_24),
    ("G726-32", CodecId::G726_32),
    ("G726-40", CodecId::G726_40),
    // RFC 3551 section 4.5.4: payload type 2 was G721, which G726-32 replaced.
    ("G721", CodecId::G726_32),
    ("AAL2-G726-16", CodecId::Aal2G726_16),
    ("AAL2-G726-24", CodecId::Aal2G726_24),
    ("AAL2-G726-32", CodecId::Aal2G726_32),
    ("AAL2-G726-40", CodecId::Aal2G726_40),
    ("G729", CodecId::G729),
    ("G729A", CodecId::G729),
    ("G729B", CodecId::G729),
    ("G729AB", CodecId::G729),
    ("GSM", CodecId::Gsm),
    ("ILBC", CodecId::Ilbc),
    ("SPEEX", CodecId::Speex),
    ("OPUS", CodecId::Opus),
    ("AMR", CodecId::Amr),
    ("AMR-WB", CodecId::AmrWb),
    ("L16", CodecId::L16),
    ("CN", CodecId::ComfortNoise),
    ("TELEPHONE-EVENT", CodecId::TelephoneEvent),
];

impl CodecId {
    /// The codec of an SDP encoding name, in any case; [`CodecId::Unknown`] for others.
    #[must_use]
    pub fn from_name(encoding: &str) -> Self {
        NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(encoding.trim()))
            .map_or(Self::Unknown, |&(_, id)| id)
    }

    /// The name as people and sidecars write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ilbc => "iLBC",
            Self::Speex => "speex",
            Self::Opus => "opus",
            Self::TelephoneEvent => "telephone-event",
            Self::Unknown => "unknown",
            _ => NAMES.iter().find(|&&(_, id)| id == self).map_or("unknown", |&(name, _)| name),
        }
    }

    /// Whether packets of this codec carry sound to be decoded.
    #[must_use]
    pub fn is_audio(self) -> bool {
        !matches!(self, Self::ComfortNoise | Self::TelephoneEvent | Self::Unknown)
    }
}

impl fmt::Display for CodecId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One RTP payload format, as SDP or the static table of RFC 3551 describes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CodecSpec {
    pub id: CodecId,
    /// RTP clock in Hz, as in the SDP; not always the sample rate (G.722).
    pub clock_hz: u32,
    pub channels: u8,
    /// The format parameters as they stand in the `a=fmtp` line, without the payload type.
    pub fmtp: String,
}

impl CodecSpec {
    /// A payload format by its SDP attributes (`a=rtpmap`, `a=fmtp`).
    ///
    /// A clock of 0 and no channels stand for the codec's default.
    #[must_use]
    pub fn from_sdp(encoding: &str, clock_hz: u32, channels: u8, fmtp: &str) -> Self {
        let id = CodecId::from_name(encoding);
        let clock_hz = match (id, clock_hz) {
            // RFC 7587 section 4.1: the RTP clock of Opus is 48000, whatever it is fed with.
            (CodecId::Opus, _) => 48_000,
            // RFC 3551 section 4.5.2: G.722 keeps the erroneous clock of 8000.
            (CodecId::G722, _) => 8_000,
            (CodecId::AmrWb, 0) => 16_000,
            (_, 0) => 8_000,
            (_, clock) => clock,
        };
        Self { id, clock_hz, channels: channels.max(1), fmtp: fmtp.trim().to_owned() }
    }

    /// A payload format by its static payload type (RFC 3551 section 6); none for dynamic ones.
    #[must_use]
    pub fn from_static(payload_type: u8) -> Option<Self> {
        let (id, clock_hz, channels) = match payload_type {
            0 => (CodecId::Pcmu, 8_000, 1),
            2 => (CodecId::G726_32, 8_000, 1),
            3 => (CodecId::Gsm, 8_000, 1),
            8 => (CodecId::Pcma, 8_000, 1),
            9 => (CodecId::G722, 8_000, 1),
            10 => (CodecId::L16, 44_100, 2),
            11 => (CodecId::L16, 44_100, 1),
            // 19 is what drafts before RFC 3389 used for comfort noise.
            13 | 19 => (CodecId::ComfortNoise, 8_000, 1),
            18 => (CodecId::G729, 8_000, 1),
            _ => return None,
        };
        Some(Self { id, clock_hz, channels, fmtp: String::new() })
    }

    /// Sample rate in Hz of what the decoder gives.
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        match self.id {
            CodecId::G722 | CodecId::AmrWb => 16_000,
            CodecId::Opus => 48_000,
            CodecId::L16 | CodecId::Speex | CodecId::ComfortNoise | CodecId::TelephoneEvent => {
                self.clock_hz
            }
            _ => 8_000,
        }
    }

    /// RTP clock ticks that so many samples (per channel) last.
    #[must_use]
    pub fn ticks(&self, samples: usize) -> u64 {
        samples as u64 * u64::from(self.clock_hz) / u64::from(self.sample_rate())
    }

    /// Samples (per channel) that so many RTP clock ticks last.
    #[must_use]
    pub fn samples(&self, ticks: u64) -> u64 {
        ticks * u64::from(self.sample_rate()) / u64::from(self.clock_hz.max(1))
    }

    /// The value of one format parameter, its name in any case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.fmtp.split(';').find_map(|parameter| {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Whether a numeric switch among the format parameters is on (`octet-align=1`).
    #[must_use]
    pub fn switch(&self, name: &str) -> bool {
        self.parameter(name).is_some_and(|value| value == "1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REC-2: every codec is known by its SDP name in any case.
    #[test]
    fn names_are_found_in_any_case() {
        for &(name, id) in NAMES {
            assert_eq!(CodecId::from_name(&name.to_lowercase()), id);
        }
        assert_eq!(CodecId::from_name("EVS"), CodecId::Unknown);
        assert_eq!(CodecId::Aal2G726_32.to_string(), "AAL2-G726-32");
    }

    // REC-2: static payload types need no SDP.
    #[test]
    fn static_types_are_known() {
        assert_eq!(CodecSpec::from_static(18).map(|spec| spec.id), Some(CodecId::G729));
        assert_eq!(CodecSpec::from_static(10).map(|spec| spec.channels), Some(2));
        assert_eq!(CodecSpec::from_static(96), None);
    }

    // REC-2: G.722 counts 8000 ticks for 16000 samples.
    #[test]
    fn ticks_follow_the_clock() {
        let g722 = CodecSpec::from_sdp("g722", 8_000, 1, "");
        assert_eq!((g722.ticks(320), g722.samples(160)), (160, 320));
    }

    #[test]
    fn parameters_are_found() {
        let spec = CodecSpec::from_sdp("AMR", 8_000, 1, " mode-set=0,2; Octet-Align=1 ;crc=0");
        assert_eq!(spec.parameter("mode-set"), Some("0,2"));
        assert!(spec.switch("octet-align"));
        assert!(!spec.switch("crc"));
    }
}
