//! The media of a dialog: what both ends said about where and how they receive.

use std::sync::Arc;

use super::event::Party;
use crate::sdp::offer_answer::{MediaSide, NegotiatedMedia, negotiate};
use crate::sdp::{MediaKind, Proto, Session};

/// One consistent series of offers and answers of a leg. Path 0 is that of the first hop; there are others
/// only where a proxy on the way rewrites descriptions (media relays), so that each media packet may be seen
/// on several paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathId(pub u8);

/// What the two ends of a dialog agreed on, and what is on offer on top of it.
///
/// An offerer receives under its offer from the moment it is sent (RFC 3264 section 5.1), and still under the
/// old description until the answer (section 8.3.1): bind both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MediaState {
    /// The description of the caller in force; none until an exchange is complete, or where it was not seen.
    pub caller: Option<Arc<Session>>,
    /// That of the callee.
    pub callee: Option<Arc<Session>>,
    /// Who made the offer of the exchange that is in force.
    pub offerer: Option<Party>,
    /// An offer of the caller without answer yet.
    pub caller_pending: Option<Arc<Session>>,
    /// An offer of the callee without answer yet.
    pub callee_pending: Option<Arc<Session>>,
}

/// One media line of a dialog, seen from the call. Borrows the descriptions.
#[derive(Clone, Copy, Debug)]
pub struct CallMedia<'a> {
    /// The position of the line in the descriptions.
    pub index: usize,
    pub kind: MediaKind,
    pub proto: &'a Proto,
    pub active: bool,
    pub caller: MediaSide<'a>,
    pub callee: MediaSide<'a>,
}

impl<'a> CallMedia<'a> {
    fn of(line: NegotiatedMedia<'a>, offerer: Party) -> Self {
        let (caller, callee) = match offerer {
            Party::Caller => (line.offerer, line.answerer),
            Party::Callee => (line.answerer, line.offerer),
        };
        let NegotiatedMedia { index, kind, proto, active, .. } = line;
        Self { index, kind, proto, active, caller, callee }
    }
}

impl MediaState {
    /// The media lines in force, joined by offer and answer. None until a description is in force; where only
    /// one end's description was seen, the other side is empty.
    pub fn lines(&self) -> impl Iterator<Item = CallMedia<'_>> {
        let offerer = self.offerer.unwrap_or(Party::Caller);
        let (offer, answer) = match offerer {
            Party::Caller => (&self.caller, &self.callee),
            Party::Callee => (&self.callee, &self.caller),
        };
        let (first, second, by) = match (offer, answer) {
            (Some(offer), answer) => (Some(offer), answer.as_deref(), offerer),
            (None, answer) => (answer.as_ref(), None, offerer.other()),
        };
        join(first.map(|first| &**first), second, by)
    }

    /// The media lines that a pending offer of this party announces: only its own side is filled.
    pub fn pending_lines(&self, party: Party) -> impl Iterator<Item = CallMedia<'_>> {
        let pending = match party {
            Party::Caller => &self.caller_pending,
            Party::Callee => &self.callee_pending,
        };
        join(pending.as_deref(), None, party)
    }
}

fn join<'a>(
    offer: Option<&'a Session>,
    answer: Option<&'a Session>,
    offerer: Party,
) -> impl Iterator<Item = CallMedia<'a>> {
    let lines = offer.into_iter().flat_map(move |offer| negotiate(offer, answer));
    lines.map(move |line| CallMedia::of(line, offerer))
}
