//! The settings of one recording (001, "The call recording settings").

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// File format of the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Mp3,
    Wav,
    Opus,
}

impl Format {
    /// The word of the documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Wav => "wav",
            Self::Opus => "opus",
        }
    }
}

/// What is set for the calls of one cell; what is absent falls through to the next level.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Is recording enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What format to store the recording in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The minimum length, in seconds; a shorter recording is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_min_sec: Option<u32>,
    /// Recording starts on answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_on_answer: Option<bool>,
    /// Recording starts on bridge: when the callee, not a queue or an announcement, has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_on_bridge: Option<bool>,
    /// Samples a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_sample_rate: Option<u32>,
    /// Time limit, in seconds, for the recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<u32>,
    /// Where the archive shall send the recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
