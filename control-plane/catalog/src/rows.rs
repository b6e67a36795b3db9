//! The rows of the catalog as the outside sees them: their JSON is what `--json` and the API print.
//!
//! Unknown is null, never absent. Times are RFC 3339 in UTC with milliseconds, durations milliseconds.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Why something is recorded or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub recorded: bool,
    pub rule: String,
    /// The set of policies that decided, `number-hash` (`policy history`).
    #[serde(default)]
    pub policy: Option<String>,
    pub trace: Vec<String>,
}

/// RTP packets of a recording or of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packets {
    pub received: u64,
    pub lost: u64,
    pub duplicate: u64,
    pub late: u64,
}

/// Packets that the log or the network lost while the call ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub from: Timestamp,
    pub until: Timestamp,
    /// `network` where RTP's sequence says so, else the place in capture.
    pub place: String,
    pub packets: u64,
}

/// Which part of its call a recording is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeRow {
    /// From 1, in the order in which they began.
    pub number: u32,
    /// Null: with the first media that there was.
    pub from: Option<Timestamp>,
    /// Null: with the call.
    pub until: Option<Timestamp>,
    pub begun_by: String,
    pub ended_by: Option<String>,
}

/// A stretch that is not to be heard in a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HiddenRow {
    /// `pause`, `mask` or `keys`.
    pub what: String,
    pub from: Timestamp,
    /// Null: to the recording's end.
    pub until: Option<Timestamp>,
    /// Who is not heard; null: nobody is.
    pub side: Option<String>,
    pub begun_by: String,
    pub ended_by: Option<String>,
}

/// Where a recording shall go and what it is called, as the rule that started it says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationRow {
    pub url: Option<String>,
    /// `put` or `post`.
    pub method: Option<String>,
    pub label: Option<String>,
    pub media_name: Option<String>,
}

/// A finished recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordingRow {
    pub id: String,
    /// Id of the call (`calls list`).
    pub call: String,
    /// SIP Call-ID of its first leg.
    pub call_id: String,
    pub tenant: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub direction: Option<String>,
    /// First and last sample.
    pub started_at: Timestamp,
    pub answered_at: Option<Timestamp>,
    pub ended_at: Timestamp,
    pub duration_ms: u64,
    pub end_reason: Option<String>,
    /// Relative to the data folder.
    pub path: String,
    pub json_path: String,
    pub xml_path: String,
    pub format: String,
    pub channels: u8,
    pub sample_rate: u32,
    pub codecs: Vec<String>,
    pub packets: Packets,
    pub mos: Option<f64>,
    pub decision: Decision,
    #[serde(default)]
    pub take: TakeRow,
    #[serde(default)]
    pub destination: DestinationRow,
    #[serde(default)]
    pub hidden: Vec<HiddenRow>,
    pub gaps: Vec<Gap>,
    pub sha256: String,
    pub bytes: u64,
}

/// One SIP dialog of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LegRow {
    pub call_id: String,
    pub from_tag: Option<String>,
    pub to_tag: Option<String>,
    pub state: String,
    pub started_at: Timestamp,
    pub answered_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    #[serde(default)]
    pub end_reason: Option<String>,
    #[serde(default)]
    pub from: Option<String>,
    #[serde(default)]
    pub to: Option<String>,
    /// `first`, `hop` (the same conversation on the other side of a box), `transfer`, `consultation`, `conference`.
    #[serde(default)]
    pub role: Option<String>,
    /// Why it is taken for a part of the call; none of the first.
    #[serde(default)]
    pub joined_by: Option<String>,
    /// How sure that is, from 0 to 1.
    #[serde(default)]
    pub confidence: Option<f64>,
}

/// Who spoke with whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartiesRow {
    pub from_at: Timestamp,
    pub until_at: Option<Timestamp>,
    /// Who is on the caller's side, left in a recording.
    pub caller: Option<String>,
    pub callee: Option<String>,
}

/// One RTP stream of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamRow {
    pub ssrc: u32,
    pub src: String,
    pub dst: String,
    /// Who speaks: `caller` or `callee`.
    pub side: String,
    /// Heard in the recording; otherwise `reason` says why not.
    pub heard: bool,
    pub reason: Option<String>,
    pub codecs: Vec<String>,
    pub packets: Packets,
    pub jitter_ms: Option<f64>,
    pub mos: Option<f64>,
}

/// A key pressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigitRow {
    pub at: Timestamp,
    pub side: String,
    pub digit: String,
    pub duration_ms: u32,
    /// `rtp` or `info`.
    pub by: String,
}

/// One line of a call's trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    pub at: Timestamp,
    pub what: Cow<'static, str>,
    pub detail: Cow<'static, str>,
}

/// A call, recorded or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallRow {
    pub id: String,
    pub call_id: String,
    #[serde(default)]
    pub tenant: Option<String>,
    pub legs: Vec<LegRow>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub direction: Option<String>,
    pub started_at: Timestamp,
    pub answered_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// `trying`, `ringing`, `answered`, `ended`.
    pub state: String,
    pub end_reason: Option<String>,
    /// Who spoke with whom, in the order in which they began.
    #[serde(default)]
    pub parties: Vec<PartiesRow>,
    /// There is a recording.
    pub recorded: bool,
    pub decision: Decision,
    /// Ids of its recordings.
    pub recordings: Vec<String>,
    pub streams: Vec<StreamRow>,
    pub dtmf: Vec<DigitRow>,
    pub gaps: Vec<Gap>,
    pub events: Vec<EventRow>,
}
