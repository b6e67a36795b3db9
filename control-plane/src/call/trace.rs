//! What happened to a call and why, for people: the decision and event trace (CALL-6).

use std::borrow::Cow;

use super::TsNs;
use super::limits::TRACE_EVENTS_MAX;

/// One line of a call's trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub at_ns: TsNs,
    /// A short fixed word: `invite`, `answer`, `decision`, `media`, `end`, `gap`, ….
    pub what: &'static str,
    pub detail: Cow<'static, str>,
}

/// Of most calls: two lines of the decision, two addresses, the answer, the end.
const USUAL_EVENTS: usize = 6;

/// The events of one call, oldest first, bounded.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    events: Vec<Event>,
    left_out: u32,
}

impl Trace {
    /// Adds a line; past the bound it is only counted.
    pub fn note(&mut self, at_ns: TsNs, what: &'static str, detail: impl Into<Cow<'static, str>>) {
        if self.events.len() < TRACE_EVENTS_MAX {
            if self.events.capacity() == 0 {
                self.events.reserve_exact(USUAL_EVENTS);
            }
            self.events.push(Event { at_ns, what, detail: detail.into() });
        } else {
            self.left_out += 1;
        }
    }

    /// Takes in the lines of another call that turned out to be a part of this one, each at its time.
    pub fn absorb(&mut self, other: Self) {
        self.left_out += other.left_out;
        self.events.extend(other.events);
        // Of lines at one time, those of the call that began first come first.
        self.events.sort_by_key(|event| event.at_ns);
        let kept = self.events.len().min(TRACE_EVENTS_MAX);
        self.left_out += (self.events.len() - kept) as u32;
        self.events.truncate(kept);
    }

    /// The lines, and one more that says how many were left out, if any were.
    pub fn into_lines(self) -> impl Iterator<Item = Event> {
        let rest = self.events.last().filter(|_| self.left_out > 0).map(|last| Event {
            at_ns: last.at_ns,
            what: "truncated",
            detail: format!("{} more events are not kept", self.left_out).into(),
        });
        self.events.into_iter().chain(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_the_bound_events_are_counted() {
        let mut trace = Trace::default();
        for at in 0..TRACE_EVENTS_MAX as u64 + 3 {
            trace.note(at, "media", "x");
        }
        let lines: Vec<Event> = trace.into_lines().collect();
        assert_eq!(lines.len(), TRACE_EVENTS_MAX + 1);
        assert!(lines[TRACE_EVENTS_MAX].detail.starts_with("3 more"));
    }
}
