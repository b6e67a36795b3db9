//! A call as the catalog has it.

use earwitness_catalog::{
    CallRow, Decision, DigitRow, EventRow, Gap, LegRow, Packets, PartiesRow, RecordingRow,
    StreamRow, Timestamp,
};
use earwitness_policy::Answer;
use earwitness_recording::{RenderReport, StreamReport};

use super::job::Recorded;
use super::{joined, takes};

use crate::call::leg::{Leg, Role};
use crate::call::media::{Flow, SsrcUse};
use crate::call::parties::{End, Together};
use crate::call::select::{Heard, Selection};
use crate::call::trace::Event;
use crate::call::{Call, LegIndex, Party, State};

/// What finishing found out, beyond what the call itself knows.
#[derive(Debug, Default)]
pub struct Findings<'a> {
    pub selection: Option<&'a Selection>,
    pub recordings: &'a [Recorded],
    /// What came of each heard stream, where it is one of several of a voice.
    pub parts: &'a [Option<Packets>],
    /// Lines for the call's trace.
    pub remarks: &'a [EventRow],
    pub finished: bool,
}

/// The row of a call, made of what it is made of. Until it is finished an ended call is `ending`.
#[must_use]
pub fn call_row(call: Call, findings: &Findings<'_>) -> CallRow {
    let joined = joined::report(findings.recordings);
    let report = joined.as_deref();
    let state = match call.state {
        State::Ended if !findings.finished => "ending",
        state => state.name(),
    };
    let streams = findings
        .selection
        .map(|selection| stream_rows(&call, selection, report, findings.parts))
        .unwrap_or_default();
    let (decision, dtmf, gaps) =
        (decision_row(&call), digit_rows(&call, report), gap_rows(&call, report));
    let tenant = call.tenant().map(str::to_owned);
    let direction = call.direction().map(|direction| direction.name().to_owned());
    let (legs, parties) = (leg_rows(&call), parties_rows(&call));
    let events = call.trace.into_lines().map(event_row);
    CallRow {
        tenant,
        id: call.id,
        call_id: call.call_id,
        legs,
        from: call.from,
        to: call.to,
        direction,
        started_at: Timestamp::from_ns(call.started_ns),
        answered_at: call.answered.map(|(_, at_ns)| Timestamp::from_ns(at_ns)),
        ended_at: call.ended_ns.map(Timestamp::from_ns),
        state: state.to_owned(),
        end_reason: call.end_reason,
        parties,
        recorded: !findings.recordings.is_empty(),
        decision,
        recordings: findings.recordings.iter().map(|one| one.finished.id.clone()).collect(),
        streams,
        dtmf,
        gaps,
        events: events.chain(findings.remarks.iter().cloned()).collect(),
    }
}

fn event_row(event: Event) -> EventRow {
    let Event { at_ns, what, detail } = event;
    EventRow { at: Timestamp::from_ns(at_ns), what: what.into(), detail }
}

fn leg_rows(call: &Call) -> Vec<LegRow> {
    let row = |(index, leg): (u8, &Leg)| {
        let end = |party| call.name(End { leg: LegIndex(index), party }).map(str::to_owned);
        let invite = call.invites.get(leg.invite);
        let joined = invite.and_then(|invite| invite.joined);
        // The only leg's end is the call's.
        let alone = call.end_reason.as_ref().filter(|_| call.legs.len() == 1);
        LegRow {
            call_id: leg.call_id.clone(),
            from_tag: leg.from_tag.clone(),
            to_tag: leg.to_tag.clone(),
            state: leg.state.name().to_owned(),
            started_at: Timestamp::from_ns(leg.started_ns),
            answered_at: leg.answered_ns.map(Timestamp::from_ns),
            ended_at: leg.ended_ns.map(Timestamp::from_ns),
            end_reason: leg.end_reason.as_ref().or(alone).cloned(),
            from: end(Party::Caller),
            to: end(Party::Callee),
            role: Some(joined.map_or(Role::First, |joined| joined.role).name().to_owned()),
            joined_by: joined.map(|joined| joined.by.name().to_owned()),
            confidence: joined.map(|joined| f64::from(joined.by.confidence()) / 100.0),
        }
    };
    (0..).zip(&call.legs).map(row).collect()
}

fn parties_rows(call: &Call) -> Vec<PartiesRow> {
    let row = |known: Together| PartiesRow {
        from_at: Timestamp::from_ns(known.from_ns),
        until_at: known.until_ns.or(call.ended_ns).map(Timestamp::from_ns),
        caller: call.name(known.caller).map(str::to_owned),
        callee: call.name(known.callee).map(str::to_owned),
    };
    call.parties().into_iter().map(row).collect()
}

/// The row of a recording.
#[must_use]
pub fn recording_row(call: &Call, recorded: &Recorded) -> RecordingRow {
    let Recorded { take, finished: recording } = recorded;
    let report = &recording.report;
    RecordingRow {
        id: recording.id.clone(),
        call: call.id.clone(),
        call_id: call.call_id.clone(),
        tenant: call.tenant().map(str::to_owned),
        from: call.from.clone(),
        to: call.to.clone(),
        direction: call.direction().map(|direction| direction.name().to_owned()),
        started_at: Timestamp::from_ns(report.start_ns),
        answered_at: call.answered.map(|(_, at_ns)| Timestamp::from_ns(at_ns)),
        ended_at: Timestamp::from_ns(report.end_ns),
        duration_ms: report.duration_ms,
        end_reason: takes::end_reason(call, take),
        path: recording.path.clone(),
        json_path: recording.json_path.clone(),
        xml_path: recording.xml_path.clone(),
        format: recording.format.name().to_owned(),
        channels: report.channels,
        sample_rate: report.sample_rate,
        codecs: report.codecs.clone(),
        packets: packets(&report.packets),
        mos: report.mos,
        decision: decision_row(call),
        take: takes::take_row(take),
        destination: takes::destination(call, take.number),
        hidden: takes::hidden_rows(call, take),
        gaps: gap_rows(call, Some(report)),
        sha256: recording.sha256.clone(),
        bytes: recording.bytes,
    }
}

/// The decision, as rows and sidecars have it.
#[must_use]
pub fn decision_row(call: &Call) -> Decision {
    match &call.decision {
        Some(decision) => Decision {
            recorded: decision.answer == Answer::Record,
            rule: decision.rule.to_string(),
            policy: decision.version.as_ref().map(ToString::to_string),
            trace: decision.trace.iter().map(ToString::to_string).collect(),
        },
        None => Decision {
            recorded: false,
            rule: "undecided".to_owned(),
            policy: None,
            trace: Vec::new(),
        },
    }
}

fn packets(totals: &earwitness_recording::PacketTotals) -> Packets {
    Packets {
        // Each packet once; what came again is counted apart.
        received: totals.received.saturating_sub(totals.duplicate),
        lost: totals.lost,
        duplicate: totals.duplicate,
        late: totals.late,
    }
}

const fn sum(one: Packets, other: Packets) -> Packets {
    Packets {
        received: one.received + other.received,
        lost: one.lost + other.lost,
        duplicate: one.duplicate + other.duplicate,
        late: one.late + other.late,
    }
}

/// Heard streams with their quality, then those kept apart with the reason.
fn stream_rows(
    call: &Call,
    selection: &Selection,
    report: Option<&RenderReport>,
    parts: &[Option<Packets>],
) -> Vec<StreamRow> {
    let of_part = |(index, heard): (usize, &Heard)| {
        let part = parts.get(index).copied().flatten();
        let found = report.and_then(|report| report.streams.get(heard.voice));
        part.or(found.map(|found| packets(&found.packets))).unwrap_or_default()
    };
    let is_same = |one: &Heard, other: &Heard| (one.flow, one.ssrc) == (other.flow, other.ssrc);
    let heard = selection.heard.iter().enumerate().filter_map(|(index, heard)| {
        // A stream of which another leg tells the middle is one all the same.
        if selection.heard[..index].iter().any(|known| is_same(known, heard)) {
            return None;
        }
        let flow = &call.media.flows[heard.flow];
        let found: Option<&StreamReport> =
            report.and_then(|report| report.streams.get(heard.voice));
        let stretches =
            selection.heard.iter().enumerate().filter(|(_, other)| is_same(other, heard));
        Some(StreamRow {
            ssrc: heard.ssrc,
            src: flow.src.to_string(),
            dst: flow.dst.to_string(),
            side: heard.speaker.name().to_owned(),
            heard: true,
            reason: None,
            codecs: found
                .map(|found| found.codecs.iter().map(|used| used.name.clone()).collect())
                .unwrap_or_default(),
            packets: stretches.map(of_part).fold(Packets::default(), sum),
            jitter_ms: found.map(|found| found.jitter_ms),
            mos: found.and_then(|found| found.mos),
        })
    });
    let apart = selection.kept_apart.iter().flat_map(|apart| {
        let flow = &call.media.flows[apart.flow];
        let of_it = move |known: &&SsrcUse| apart.ssrc.is_none_or(|ssrc| ssrc == known.ssrc);
        flow.ssrcs.iter().filter(of_it).map(move |known| unheard_row(flow, known, apart.why))
    });
    let late = call.late.iter().flat_map(|late| &late.flows).flat_map(|flow| {
        flow.ssrcs.iter().map(move |known| unheard_row(flow, known, "came after the call's end"))
    });
    heard.chain(apart).chain(late).collect()
}

fn unheard_row(flow: &Flow, known: &SsrcUse, why: &str) -> StreamRow {
    StreamRow {
        ssrc: known.ssrc,
        src: flow.src.to_string(),
        dst: flow.dst.to_string(),
        side: flow.receiver.other().name().to_owned(),
        heard: false,
        reason: Some(why.to_owned()),
        codecs: Vec::new(),
        packets: Packets { received: known.packets, ..Packets::default() },
        jitter_ms: None,
        mos: None,
    }
}

fn digit_rows(call: &Call, report: Option<&RenderReport>) -> Vec<DigitRow> {
    let by_info = call.digits.iter().map(|digit| DigitRow {
        at: Timestamp::from_ns(digit.at_ns),
        side: digit.party.name().to_owned(),
        digit: digit.digit.to_string(),
        duration_ms: digit.duration_ms,
        by: "info".to_owned(),
    });
    let in_rtp = report.iter().flat_map(|report| &report.digits).map(|digit| DigitRow {
        at: Timestamp::from_ns(digit.at_ns),
        side: side_name(digit.side).to_owned(),
        digit: digit.digit.to_string(),
        duration_ms: digit.duration_ms,
        by: "rtp".to_owned(),
    });
    let mut rows: Vec<DigitRow> = by_info.chain(in_rtp).collect();
    rows.sort_by_key(|row| row.at);
    rows
}

fn gap_rows(call: &Call, report: Option<&RenderReport>) -> Vec<Gap> {
    let of_log = call.ledger.iter().map(|gap| Gap {
        from: Timestamp::from_ns(gap.from_ns),
        until: Timestamp::from_ns(gap.until_ns),
        place: gap.place.clone(),
        packets: gap.packets,
    });
    let of_network = report.iter().flat_map(|report| &report.gaps).map(|gap| Gap {
        from: Timestamp::from_ns(gap.from_ns),
        until: Timestamp::from_ns(gap.until_ns),
        place: format!("network ({})", side_name(gap.side)),
        packets: gap.packets,
    });
    let mut rows: Vec<Gap> = of_log.chain(of_network).collect();
    rows.sort_by_key(|row| (row.from, row.until));
    rows
}

const fn side_name(side: earwitness_recording::Side) -> &'static str {
    match side {
        earwitness_recording::Side::Caller => "caller",
        earwitness_recording::Side::Callee => "callee",
    }
}
