//! What the control plane knows of the call and the sidecars shall tell.

use serde::Serialize;

/// Which way the call went, seen from the tenant. Decides the archive's folder (REC-5).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Inbound,
    Outbound,
    Internal,
    #[default]
    Unknown,
}

/// Packets lost before they reached the log, from capture's marks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaptureGap {
    pub from_ns: u64,
    pub until_ns: u64,
    /// Where they were lost: `nic`, `ring`, `disk`, …
    pub place: String,
    pub packets: u64,
}

/// The call. Strings come from SIP and are hostile: the sidecars escape or replace what their
/// format cannot hold. Times are nanoseconds since the epoch.
#[derive(Clone, Debug, Default)]
pub struct CallFacts {
    /// The recording's id; its first eight characters are part of the file's name.
    pub id: String,
    /// SIP Call-ID of the first leg.
    pub call_id: String,
    /// Catalog id of the call.
    pub call: String,
    pub tenant: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub direction: Direction,
    pub started_at_ns: Option<u64>,
    pub answered_at_ns: Option<u64>,
    pub ended_at_ns: Option<u64>,
    pub end_reason: Option<String>,
    /// The policy's decision and its trace, as JSON.
    pub decision: serde_json::Value,
    /// The call's event trace (CALL-6), as JSON.
    pub trace: serde_json::Value,
    pub capture_gaps: Vec<CaptureGap>,
    /// Whatever else the sidecar shall carry; an object, or null.
    pub extra: serde_json::Value,
}
