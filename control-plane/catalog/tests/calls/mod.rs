//! Calls and recordings to write.
#![allow(dead_code, reason = "each program uses what it needs")]

use earwitness_catalog::{
    CallRow, Decision, DigitRow, EventRow, Gap, LegRow, Packets, RecordingRow, StreamRow, TakeRow,
    Timestamp,
};

/// Ids are hashes: they come in no order.
pub(crate) fn id(number: u64) -> String {
    format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

pub(crate) fn at(number: u64) -> Timestamp {
    Timestamp::from_ns((1_700_000_000_000 + number * 10) * 1_000_000)
}

pub(crate) fn decision(recorded: bool) -> Decision {
    Decision {
        recorded,
        rule: "default".to_owned(),
        policy: None,
        trace: vec!["recording.default = all".to_owned()],
    }
}

/// A call of the usual size: two legs' worth of words, two streams, a digit, a trace.
pub(crate) fn call(number: u64) -> CallRow {
    let packets = Packets { received: 9_000, lost: 3, duplicate: 0, late: 1 };
    let stream = |side: &str, ssrc| StreamRow {
        ssrc,
        src: "192.0.2.1:4000".to_owned(),
        dst: "198.51.100.2:5004".to_owned(),
        side: side.to_owned(),
        heard: true,
        reason: None,
        codecs: vec!["PCMU".to_owned()],
        packets,
        jitter_ms: Some(0.5),
        mos: None,
    };
    let event = |what: &str| EventRow {
        at: at(number),
        what: what.to_owned().into(),
        detail: "INVITE sip:bob@example.org from 192.0.2.1:5060".into(),
    };
    CallRow {
        tenant: None,
        id: id(number),
        call_id: format!("{number}@192.0.2.1"),
        legs: vec![LegRow {
            call_id: format!("{number}@192.0.2.1"),
            from_tag: Some("a73kszlfl".to_owned()),
            to_tag: Some("1410948204".to_owned()),
            state: "ended".to_owned(),
            started_at: at(number),
            answered_at: Some(at(number + 1)),
            ended_at: Some(at(number + 2)),
            end_reason: None,
            from: None,
            to: None,
            role: None,
            joined_by: None,
            confidence: None,
        }],
        from: Some(format!("sip:{}@example.org", number % 100)),
        to: Some("sip:bob@example.org".to_owned()),
        direction: None,
        started_at: at(number),
        answered_at: Some(at(number + 1)),
        ended_at: Some(at(number + 2)),
        state: "ended".to_owned(),
        end_reason: Some("bye".to_owned()),
        parties: Vec::new(),
        recorded: false,
        decision: decision(false),
        recordings: Vec::new(),
        streams: vec![stream("caller", 1), stream("callee", 2)],
        dtmf: vec![DigitRow {
            at: at(number + 1),
            side: "caller".to_owned(),
            digit: "5".to_owned(),
            duration_ms: 100,
            by: "rtp".to_owned(),
        }],
        gaps: Vec::new(),
        events: ["invite", "ringing", "answered", "bye"].map(event).to_vec(),
    }
}

/// The call with its recording.
pub(crate) fn recorded(number: u64) -> (CallRow, RecordingRow) {
    let mut call = call(number);
    let id = format!("r{}", id(number));
    call.recorded = true;
    call.decision = decision(true);
    call.recordings = vec![id.clone()];
    let path = format!("recordings/2023/11/14/{id}");
    let recording = RecordingRow {
        id,
        call: call.id.clone(),
        call_id: call.call_id.clone(),
        tenant: None,
        from: call.from.clone(),
        to: call.to.clone(),
        direction: None,
        started_at: call.started_at,
        answered_at: call.answered_at,
        ended_at: at(number + 2),
        duration_ms: 20,
        end_reason: call.end_reason.clone(),
        path: format!("{path}.wav"),
        json_path: format!("{path}.json"),
        xml_path: format!("{path}.xml"),
        format: "wav".to_owned(),
        channels: 2,
        sample_rate: 8_000,
        codecs: vec!["PCMU".to_owned()],
        packets: Packets { received: 2, lost: 1, duplicate: 0, late: 0 },
        mos: Some(4.4),
        decision: decision(true),
        take: TakeRow::default(),
        destination: earwitness_catalog::DestinationRow::default(),
        hidden: Vec::new(),
        gaps: vec![Gap { from: at(0), until: at(1), place: "network".to_owned(), packets: 1 }],
        sha256: "00".repeat(32),
        bytes: 5,
    };
    (call, recording)
}
