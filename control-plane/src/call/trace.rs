//! What happened to a call and why, for people: the decision and event trace (CALL-6).

use std::borrow::Cow;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use earwitness_wire::Endpoint;

use super::limits::TRACE_EVENTS_MAX;
use super::{Party, TsNs};

/// One line of a call's trace, as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub at_ns: TsNs,
    /// A short fixed word: `invite`, `answer`, `decision`, `media`, `end`, `gap`, ….
    pub what: &'static str,
    pub detail: Cow<'static, str>,
}

/// What a line says, as it is kept.
#[derive(Debug, Clone)]
pub enum Detail {
    Fixed(&'static str),
    Text(Box<str>),
    /// Calls that are told the same have it once.
    Shared(Arc<str>),
    /// Where a party receives: address and port apart are a word less than together. The text is made when it is asked for.
    Receives(Party, IpAddr, u16),
}

impl Detail {
    /// A party said that it receives there.
    #[must_use]
    pub fn receives(party: Party, at: Endpoint) -> Self {
        Self::Receives(party, at.to_ip_addr(), at.port)
    }

    fn into_text(self) -> Cow<'static, str> {
        match self {
            Self::Fixed(text) => text.into(),
            Self::Text(text) => text.into_string().into(),
            Self::Shared(text) => text.to_string().into(),
            Self::Receives(party, ip, port) => {
                let at = Endpoint::from(SocketAddr::new(ip, port));
                let mut text = String::with_capacity(RECEIVES_BYTES);
                // A string takes whatever is written.
                let _ = write!(text, "{} receives at {at}", party.name());
                text.into()
            }
        }
    }
}

impl From<&'static str> for Detail {
    fn from(text: &'static str) -> Self {
        Self::Fixed(text)
    }
}

impl From<String> for Detail {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Arc<str>> for Detail {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

/// A line as it is kept.
#[derive(Debug, Clone)]
struct Line {
    at_ns: TsNs,
    what: &'static str,
    detail: Detail,
}

/// Room for where a party receives in IPv4.
const RECEIVES_BYTES: usize = "callee receives at 255.255.255.255:65535".len();

/// Of most calls: two lines of the decision, two addresses, the answer, the end.
const USUAL_LINES: usize = 6;

/// The lines of one call, oldest first, bounded.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    lines: Vec<Line>,
    left_out: u32,
}

impl Trace {
    /// Adds a line; past the bound it is only counted.
    pub fn note(&mut self, at_ns: TsNs, what: &'static str, detail: impl Into<Detail>) {
        if self.lines.len() < TRACE_EVENTS_MAX {
            if self.lines.capacity() == 0 {
                self.lines.reserve_exact(USUAL_LINES);
            }
            self.lines.push(Line { at_ns, what, detail: detail.into() });
        } else {
            self.left_out += 1;
        }
    }

    /// Takes in the lines of another call that turned out to be a part of this one, each at its time.
    pub fn absorb(&mut self, other: Self) {
        self.left_out += other.left_out;
        self.lines.extend(other.lines);
        // Of lines at one time, those of the call that began first come first.
        self.lines.sort_by_key(|line| line.at_ns);
        let kept = self.lines.len().min(TRACE_EVENTS_MAX);
        self.left_out += (self.lines.len() - kept) as u32;
        self.lines.truncate(kept);
    }

    /// The lines, and one more that says how many were left out, if any were.
    pub fn into_lines(self) -> impl Iterator<Item = Event> {
        let rest = self.lines.last().filter(|_| self.left_out > 0).map(|last| Event {
            at_ns: last.at_ns,
            what: "truncated",
            detail: format!("{} more events are not kept", self.left_out).into(),
        });
        let told = |Line { at_ns, what, detail }| Event { at_ns, what, detail: detail.into_text() };
        self.lines.into_iter().map(told).chain(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_party_receives_is_told_as_the_address_is_written() {
        let mut trace = Trace::default();
        let all = ["10.1.2.3:4000", "[2001:db8::7]:4002"];
        for at in all {
            let at: SocketAddr = at.parse().expect("an address");
            trace.note(1, "media", Detail::receives(Party::Callee, at.into()));
        }
        let told: Vec<_> = trace.into_lines().map(|line| line.detail).collect();
        assert_eq!(told, all.map(|at| format!("callee receives at {at}")));
    }

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
