//! Call flows, as far as they record: the actions `record_call` and `record_caller` of 001.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Format;

/// What happens to calls of some numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Callflow {
    /// Unique among the tenant's call flows.
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Numbers that lead into it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
    /// SIP addresses, `user@domain`, that lead into it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<String>,
    /// Starts or stops the recording of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_call: Option<RecordCall>,
    /// Records the caller alone: voicemail, announcements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_caller: Option<RecordCaller>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    #[default]
    Start,
    Stop,
}

/// How a finished recording is sent over HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    #[default]
    Put,
    Post,
}

impl Method {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Post => "post",
        }
    }
}

/// The action `record_call`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecordCall {
    /// Whether to start or stop the recording.
    pub action: Action,
    /// What format to store the recording in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Included in the origin of the recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The name of the recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_name: Option<String>,
    /// The minimum length, in seconds; a shorter recording is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_min_sec: Option<u32>,
    /// Recording starts on answer.
    pub record_on_answer: bool,
    /// Recording starts on bridge.
    pub record_on_bridge: bool,
    /// Samples a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_sample_rate: Option<u32>,
    /// Time limit, in seconds; 3600 unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<u32>,
    /// Where the archive shall send the recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The action `record_caller`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecordCaller {
    /// What format to store the recording in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// What HTTP method sends the recording.
    pub method: Method,
    /// Time limit, in seconds; 3600 unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<u32>,
    /// Where the archive shall send the recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
