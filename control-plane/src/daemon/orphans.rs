//! Calls that an earlier process left open in the catalog and of which the log does not tell.
//!
//! The log is read again from before the oldest open call, and what it says takes the place of what was written.
//! A row is left over where the log has lost the call (a damaged disk, files removed by hand), or where it says now
//! that the call began with another message: an id is made of a call's first one, and while capture writes, one
//! lane may be read before another that is late by more than anybody waits.

use std::collections::{HashMap, HashSet};

use earwitness_catalog::{CallRow, EventRow, Write};

/// Why such a call is over.
const REASON: &str = "log_lost";

/// Rows that wait for the log to tell of them.
#[derive(Debug)]
pub(super) struct Orphans {
    /// By id.
    rows: HashMap<String, CallRow>,
    /// Call-IDs that the log told of under another id.
    known: HashSet<String>,
    /// Once the log is read up to this time, it has told of everything that was open.
    until_ns: u64,
}

impl Orphans {
    /// `now_ns`: when reading begins. The rows were written before.
    pub(super) fn new(rows: Vec<CallRow>, now_ns: u64) -> Self {
        let rows = rows.into_iter().map(|row| (row.id.clone(), row)).collect();
        Self { rows, known: HashSet::new(), until_ns: now_ns }
    }

    /// The log tells of a call.
    pub(super) fn found(&mut self, id: &str, call_id: &str) {
        self.rows.remove(id);
        if self.rows.values().any(|row| row.call_id == call_id) {
            self.known.insert(call_id.to_owned());
        }
    }

    /// What becomes of the rows that are left when the log is read up to `read_ns`; nothing before it is read far
    /// enough.
    pub(super) fn end(&mut self, read_ns: u64) -> Vec<Write> {
        if self.rows.is_empty() || read_ns < self.until_ns {
            return Vec::new();
        }
        let known = std::mem::take(&mut self.known);
        let left = std::mem::take(&mut self.rows).into_values();
        left.map(|row| {
            if known.contains(&row.call_id) {
                tracing::info!(id = %row.id, call_id = %row.call_id, "known under another id now");
                return Write::Superseded { call: row.id };
            }
            tracing::warn!(id = %row.id, call_id = %row.call_id, "the log has lost this call");
            Write::Call(Box::new(lost(row)))
        })
        .collect()
    }
}

/// The row of a call that is over because nothing more can be known of it. It ends with the last that was known.
fn lost(mut row: CallRow) -> CallRow {
    let known = row.legs.iter().flat_map(|leg| [Some(leg.started_at), leg.answered_at]).flatten();
    let known = known.chain(row.events.iter().map(|event| event.at)).chain(row.answered_at);
    let ended_at = row.ended_at.unwrap_or_else(|| known.max().unwrap_or(row.started_at));
    for leg in row.legs.iter_mut().filter(|leg| leg.ended_at.is_none()) {
        leg.state = "ended".to_owned();
        leg.ended_at = Some(ended_at);
    }
    row.events.push(EventRow {
        at: ended_at,
        what: "end".into(),
        detail: format!("{REASON}: the log does not have this call any more").into(),
    });
    row.ended_at = Some(ended_at);
    row.state = "ended".to_owned();
    row.end_reason.get_or_insert_with(|| REASON.to_owned());
    row
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use earwitness_catalog::{Decision, LegRow, Timestamp};

    use super::*;

    fn row(id: &str, call_id: &str) -> CallRow {
        CallRow {
            tenant: None,
            id: id.to_owned(),
            call_id: call_id.to_owned(),
            legs: vec![LegRow {
                call_id: call_id.to_owned(),
                from_tag: None,
                to_tag: None,
                state: "answered".to_owned(),
                started_at: Timestamp(10),
                answered_at: Some(Timestamp(12)),
                ended_at: None,
                end_reason: None,
                from: None,
                to: None,
                role: None,
                joined_by: None,
                confidence: None,
            }],
            from: None,
            to: None,
            direction: None,
            started_at: Timestamp(10),
            answered_at: Some(Timestamp(12)),
            ended_at: None,
            state: "answered".to_owned(),
            end_reason: None,
            parties: Vec::new(),
            recorded: false,
            decision: Decision {
                recorded: true,
                rule: "all".to_owned(),
                policy: None,
                trace: Vec::new(),
            },
            recordings: Vec::new(),
            streams: Vec::new(),
            dtmf: Vec::new(),
            gaps: Vec::new(),
            events: Vec::new(),
        }
    }

    /// CALL-6: a call that the log tells of again stays; the others end, or go where they have another id now.
    #[test]
    fn ends_what_the_log_does_not_tell_of() {
        let rows = vec![
            row("told", "a"),
            row("other-id", "b"),
            row("lost", "c"),
            row("e", "e"),
            row("e-2", "e"),
        ];
        let mut orphans = Orphans::new(rows, 1_000);
        orphans.found("told", "a");
        orphans.found("b-again", "b");
        orphans.found("new", "d");
        orphans.found("e", "e");
        assert!(orphans.end(999).is_empty(), "the log is not read yet");
        let mut writes = orphans.end(1_000);
        writes.sort_by_key(|write| matches!(write, Write::Call(_)));
        let gone = writes.iter().filter_map(|write| match write {
            Write::Superseded { call } => Some(call.as_str()),
            _ => None,
        });
        assert_eq!(gone.collect::<BTreeSet<_>>(), BTreeSet::from(["e-2", "other-id"]));
        let Some(Write::Call(lost)) = writes.get(2) else { panic!("{writes:#?}") };
        assert_eq!(lost.id, "lost");
        assert_eq!((lost.state.as_str(), lost.end_reason.as_deref()), ("ended", Some(REASON)));
        assert_eq!(lost.ended_at, Some(Timestamp(12)), "the last that is known");
        assert_eq!(lost.legs[0].state, "ended");
        assert!(orphans.end(2_000).is_empty(), "once");
    }
}
