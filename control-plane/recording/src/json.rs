//! The JSON sidecar: everything that is known of the recording (REC-5).
//!
//! Unknown is null, never absent; the fields of the catalog's row have the names they have there.

use serde::Serialize;
use serde_json::Value;

use crate::facts::{CallFacts, CaptureGap, Direction};
use crate::finalize::FinishedRecording;
use crate::moment::rfc3339;
use crate::options::Format;
use crate::report::{Digit, Gap, PacketTotals, StreamReport};

/// Raised when a field changes its meaning.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Sidecar<'a> {
    schema: u32,
    id: &'a str,
    call: &'a str,
    call_id: &'a str,
    tenant: Option<&'a str>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    direction: Option<Direction>,
    started_at: Option<String>,
    answered_at: Option<String>,
    ended_at: Option<String>,
    end_reason: Option<&'a str>,
    /// Of the audio: its first frame, and the end of its last.
    media_started_at: Option<String>,
    media_ended_at: Option<String>,
    duration_ms: u64,
    path: &'a str,
    format: Format,
    channels: u8,
    sample_rate: u32,
    frames: u64,
    bytes: u64,
    sha256: &'a str,
    codecs: &'a [String],
    packets: PacketTotals,
    mos: Option<f64>,
    decision: &'a Value,
    trace: &'a Value,
    digits: &'a [Digit],
    gaps: Ledger<'a>,
    streams: &'a [StreamReport],
    extra: &'a Value,
}

/// All that is missing from the audio, and where it went missing.
#[derive(Serialize)]
struct Ledger<'a> {
    capture: &'a [CaptureGap],
    network: &'a [Gap],
}

pub(crate) fn sidecar(
    facts: &CallFacts,
    done: &FinishedRecording,
) -> Result<Vec<u8>, serde_json::Error> {
    let report = &done.report;
    let mut bytes = serde_json::to_vec_pretty(&Sidecar {
        schema: SCHEMA,
        id: &facts.id,
        call: &facts.call,
        call_id: &facts.call_id,
        tenant: facts.tenant.as_deref(),
        from: facts.from.as_deref(),
        to: facts.to.as_deref(),
        direction: (facts.direction != Direction::Unknown).then_some(facts.direction),
        started_at: facts.started_at_ns.and_then(rfc3339),
        answered_at: facts.answered_at_ns.and_then(rfc3339),
        ended_at: facts.ended_at_ns.and_then(rfc3339),
        end_reason: facts.end_reason.as_deref(),
        media_started_at: rfc3339(report.start_ns),
        media_ended_at: rfc3339(report.end_ns),
        duration_ms: report.duration_ms,
        path: &done.path,
        format: done.format,
        channels: report.channels,
        sample_rate: report.sample_rate,
        frames: report.frames,
        bytes: done.bytes,
        sha256: &done.sha256,
        codecs: &report.codecs,
        packets: report.packets,
        mos: report.mos,
        decision: &facts.decision,
        trace: &facts.trace,
        digits: &report.digits,
        gaps: Ledger { capture: &facts.capture_gaps, network: &report.gaps },
        streams: &report.streams,
        extra: &facts.extra,
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The id that a sidecar names, if it is one.
pub(crate) fn id_of(sidecar: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(sidecar).ok()?;
    Some(value.get("id")?.as_str()?.to_owned())
}
