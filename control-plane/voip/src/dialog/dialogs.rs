//! The table of legs: finds the leg of a message, bounds their number, keeps their deadlines.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::event::{DialogEvent, DialogId, EndReason, EventKind, Hop, LegId, Origin, Party};
use super::hops::orient;
use super::identifier::{Identifier, Tag};
use super::leg::{InviteState, Leg, Output};
use super::leg_hash::LegMap;
use super::queue::Queue;
use super::step::description;
use crate::limits::{LEGS_MAX, LEGS_PER_CALL_ID_MAX};
use crate::sdp::{Formats, SdpError};
use crate::sip::{Message, Method};

/// When and between which addresses a message was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub ts_ns: u64,
    pub src: SocketAddr,
    pub dst: SocketAddr,
}

/// What a message was to the dialog layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// It started a leg.
    Started,
    /// It belongs to a leg and was news.
    InDialog,
    /// It belongs to a leg and was seen before: sent again, or seen at another hop.
    Repeated,
    /// It belongs to a dialog that is not known.
    Orphan,
    /// It belongs to no call: REGISTER, OPTIONS, SUBSCRIBE outside dialogs, …
    Unrelated,
}

/// Where a message belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The dialog; that of fork 0 where the message belongs to the leg as a whole.
    pub dialog: Option<DialogId>,
    pub class: Class,
    /// What its session description was, where one was looked at; the rest of a message whose description cannot
    /// be read counts.
    pub sdp: Option<Result<(), SdpError>>,
}

/// How long things are waited for, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the last provisional answer (or the INVITE) to the final one: RFC 3261 section 16.6, timer C.
    pub invite_ns: u64,
    /// From 3xx, 422, … to the next INVITE.
    pub retry_ns: u64,
    /// From 401 or 407 to the INVITE with credentials: a person may have to type a password first.
    pub credentials_ns: u64,
    /// From CANCEL to the final answer of the INVITE (RFC 3261 section 9.1), and from the 2xx of a fork to its
    /// ACK (section 13.3.1.4).
    pub cancel_ns: u64,
    /// How long an ended leg is remembered, so that repeated messages do not start another one.
    pub linger_ns: u64,
    /// The same of one that was ended from outside, whose end may still be seen.
    pub external_linger_ns: u64,
}

const SECOND_NS: u64 = 1_000_000_000;

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            invite_ns: 300 * SECOND_NS,
            retry_ns: 32 * SECOND_NS,
            credentials_ns: 120 * SECOND_NS,
            cancel_ns: 32 * SECOND_NS,
            linger_ns: 40 * SECOND_NS,
            external_linger_ns: 3600 * SECOND_NS,
        }
    }
}

impl Timeouts {
    /// How long an ended leg is remembered.
    pub(super) const fn linger_of(&self, reason: EndReason) -> u64 {
        if matches!(reason, EndReason::External) { self.external_linger_ns } else { self.linger_ns }
    }

    /// How long another INVITE is waited for after this answer.
    pub(super) const fn retry_of(&self, code: u16) -> u64 {
        if matches!(code, 401 | 407) { self.credentials_ns } else { self.retry_ns }
    }
}

/// All legs that are followed.
#[derive(Debug)]
pub struct Dialogs {
    timeouts: Timeouts,
    legs_max: usize,
    legs: LegMap<Box<Entry>>,
    /// The latest leg of each Call-ID, by a number that nobody outside can aim at; each leg names the one before it.
    by_call_id: HashMap<u64, LegId, foldhash::fast::RandomState>,
    formats: Formats,
    deadlines: Queue,
    /// Legs by when they were touched last: those that are over, and the others.
    over: Queue,
    live: Queue,
    /// Legs that are not over.
    live_count: usize,
    touches: u64,
    next_leg: u64,
}

/// No deadline.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
struct Entry {
    leg: Leg,
    /// The leg before it whose Call-ID has the same number.
    before: Option<LegId>,
    touched: u64,
    /// With what it is in the queue of deadlines; [`NEVER`]: it is not.
    noted_ns: u64,
    /// As it was when it was touched.
    is_over: bool,
}

impl Dialogs {
    /// An empty table for [`LEGS_MAX`] legs.
    #[must_use]
    pub fn new(timeouts: Timeouts) -> Self {
        Self::with_capacity(timeouts, LEGS_MAX)
    }

    /// An empty table for so many legs.
    #[must_use]
    pub fn with_capacity(timeouts: Timeouts, legs_max: usize) -> Self {
        Self {
            timeouts,
            legs_max: legs_max.max(1),
            legs: HashMap::default(),
            by_call_id: HashMap::default(),
            formats: Formats::default(),
            deadlines: Queue::default(),
            over: Queue::default(),
            live: Queue::default(),
            live_count: 0,
            touches: 0,
            next_leg: 0,
        }
    }

    /// Takes one message; what it changed is added to `events`. Messages come in the order they were seen;
    /// their times may go back a little (several queues), the table does not mind.
    pub fn observe(
        &mut self,
        seen: Seen,
        message: &Message<'_>,
        events: &mut Vec<DialogEvent>,
    ) -> Observed {
        let (leg, by, class) = match self.find(message) {
            Some((leg, by)) => (leg, by, None),
            None => match start(message) {
                Start::Invite => {
                    let leg = self.begin(Origin::Invite, seen, message, None, events);
                    (leg, Party::Caller, Some(Class::Started))
                }
                Start::InProgress | Start::Ending => {
                    let (leg, by) = self.resume(seen, message, events);
                    (leg, by, Some(Class::Started))
                }
                Start::Not(class) => return Observed { dialog: None, class, sdp: None },
            },
        };
        let Some(entry) = self.legs.get_mut(&leg) else {
            return Observed { dialog: None, class: Class::Orphan, sdp: None };
        };
        let mut out = Output { leg, ts_ns: seen.ts_ns, events };
        let mut observed = entry.leg.observe(seen, message, by, &mut self.formats, &mut out);
        observed.class = class.unwrap_or(observed.class);
        self.refresh(leg);
        observed
    }

    /// Acts on what has not happened by `now_ns`.
    pub fn tick(&mut self, now_ns: u64, events: &mut Vec<DialogEvent>) {
        while let Some((deadline_ns, leg)) = self.next_due(now_ns) {
            let Some(entry) = self.legs.get_mut(&leg) else { continue };
            entry.noted_ns = NEVER;
            if entry.leg.ended.is_some() {
                self.forget(leg);
                continue;
            }
            // At its own time, however late it is noticed: nothing may have been captured in between.
            entry.leg.expire(&self.timeouts, &mut Output { leg, ts_ns: deadline_ns, events });
            self.refresh(leg);
        }
    }

    /// Takes a deadline that is not after now out of their queue.
    fn next_due(&mut self, now_ns: u64) -> Option<(u64, LegId)> {
        let Self { deadlines, legs, timeouts, .. } = self;
        deadlines.pop(now_ns, |noted_ns, leg| {
            let entry = legs.get_mut(&leg).filter(|entry| entry.noted_ns == noted_ns)?;
            let deadline_ns = entry.leg.deadline_ns(timeouts);
            entry.noted_ns = deadline_ns.unwrap_or(NEVER);
            deadline_ns
        })
    }

    /// There are no more messages: legs that only waited for what need not come are over. Those that were
    /// pending or answered stay as they are.
    pub fn conclude(&mut self, events: &mut Vec<DialogEvent>) {
        let live = self.legs.iter().filter(|(_, entry)| !entry.is_over);
        let mut waiting: Vec<LegId> = live.map(|(leg, _)| *leg).collect();
        waiting.sort_unstable();
        for leg in waiting {
            if let Some(entry) = self.legs.get_mut(&leg) {
                entry.leg.conclude(events);
                self.refresh(leg);
            }
        }
    }

    /// Ends a leg from outside; nothing happens where it is over already.
    pub fn end(
        &mut self,
        leg: LegId,
        reason: EndReason,
        ts_ns: u64,
        events: &mut Vec<DialogEvent>,
    ) {
        if let Some(entry) = self.legs.get_mut(&leg)
            && entry.leg.ended.is_none()
        {
            entry.leg.end(reason, None, &mut Output { leg, ts_ns, events });
            self.refresh(leg);
        }
    }

    /// The legs with this Call-ID that are remembered, the latest first.
    pub fn with_call_id(&self, call_id: &[u8]) -> impl Iterator<Item = LegId> + use<'_> {
        self.entries(Identifier::new(call_id)).map(|entry| entry.leg.id)
    }

    fn entries(&self, call_id: Identifier) -> impl Iterator<Item = &Entry> {
        let entry = |id: &LegId| self.legs.get(id).map(|entry| &**entry);
        let latest = self.by_call_id.get(&call_id.number()).and_then(entry);
        let all = std::iter::successors(latest, move |entry| {
            entry.before.as_ref().and_then(|id| self.legs.get(id)).map(|entry| &**entry)
        });
        all.filter(move |entry| entry.leg.call_id == call_id)
    }

    /// The latest leg that has a dialog between these tags, and who of it has the first one.
    #[must_use]
    pub fn between(&self, call_id: &[u8], tag: &[u8], other: &[u8]) -> Option<(LegId, Party)> {
        let mut legs = self.entries(Identifier::new(call_id)).map(|entry| &entry.leg);
        legs.find_map(|leg| Some((leg.id, leg.owner(tag, other)?)))
    }

    /// What a leg is to somebody who asks whether another one belongs to it.
    #[must_use]
    pub fn view(&self, leg: LegId) -> Option<LegView<'_>> {
        self.legs.get(&leg).map(|entry| LegView { leg: &entry.leg })
    }

    /// The earliest time at which [`Dialogs::tick`] has something to do. Looks at every leg.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.legs.values().filter_map(|entry| entry.leg.deadline_ns(&self.timeouts)).min()
    }

    /// Legs that are not over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live_count
    }

    /// Whether no leg is followed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The leg of a message and who sent the request of its transaction. The latest leg counts.
    fn find(&self, message: &Message<'_>) -> Option<(LegId, Party)> {
        let mut legs = self.entries(Identifier::new(message.call_id())).map(|entry| &entry.leg);
        legs.find_map(|leg| {
            let by = leg.requester(message)?;
            (!is_beyond(leg, by, message)).then_some((leg.id, by))
        })
    }

    /// Makes a leg.
    fn begin(
        &mut self,
        origin: Origin,
        seen: Seen,
        message: &Message<'_>,
        caller_tag: Option<Tag>,
        events: &mut Vec<DialogEvent>,
    ) -> LegId {
        let id = LegId(self.next_leg);
        self.next_leg += 1;
        while self.legs.len() >= self.legs_max {
            self.evict_oldest(seen.ts_ns, events);
        }
        let call_id = Identifier::new(message.call_id());
        let oldest = self.entries(call_id).skip(LEGS_PER_CALL_ID_MAX - 1).last();
        if let Some(oldest) = oldest.map(|entry| entry.leg.id) {
            self.end(oldest, EndReason::Evicted, seen.ts_ns, events);
            self.forget(oldest);
        }
        let from_tag = Tag::of(message.from().tag);
        let is_swapped = caller_tag.is_some_and(|tag| tag != from_tag);
        let by = if is_swapped { Party::Callee } else { Party::Caller };
        let before = self.by_call_id.insert(call_id.number(), id);
        let leg = Leg::new(id, call_id, caller_tag.unwrap_or(from_tag), seen);
        self.live_count += 1;
        let entry = Entry { leg, before, touched: 0, noted_ns: NEVER, is_over: false };
        self.legs.insert(id, Box::new(entry));
        self.live.add(self.touches, id);
        let legs = &self.legs;
        self.live.tidy(legs.len(), |_, leg| legs.get(&leg).is_some_and(|entry| !entry.is_over));
        let sender = if message.is_request() { by } else { by.other() };
        let hop = orient(seen.src, seen.dst, sender);
        Output { leg: id, ts_ns: seen.ts_ns, events }.emit(0, EventKind::Created { origin, hop });
        id
    }

    /// Makes a leg of a dialog whose beginning was not seen. Where the same dialog was followed before and given
    /// up, caller and callee stay who they were.
    fn resume(
        &mut self,
        seen: Seen,
        message: &Message<'_>,
        events: &mut Vec<DialogEvent>,
    ) -> (LegId, Party) {
        let mut legs = self.entries(Identifier::new(message.call_id())).map(|entry| &entry.leg);
        let before = legs.find_map(|leg| {
            let by = leg.requester(message)?;
            Some((leg.caller_tag, by))
        });
        drop(legs);
        let (caller_tag, by) = match before {
            Some((tag, by)) => (Some(tag), by),
            None => (None, Party::Caller),
        };
        let id = self.begin(Origin::InProgress, seen, message, caller_tag, events);
        // An UPDATE belongs to an early dialog or to a confirmed one; the latter last longer.
        let is_confirmed = match (message.status(), message.method()) {
            (None, method) => {
                matches!(method, Method::Invite | Method::Update | Method::Ack | Method::Bye)
            }
            (Some(code), method) => (200..300).contains(&code) && method != Method::Prack,
        };
        if let Some(entry) = self.legs.get_mut(&id) {
            let mut out = Output { leg: id, ts_ns: seen.ts_ns, events };
            let tag = if by == Party::Caller { message.to().tag } else { message.from().tag };
            let fork = entry.leg.fork(tag, super::leg::MayFork::No, &mut out).unwrap_or(0);
            if is_confirmed {
                entry.leg.confirm(fork, &mut out);
            }
        }
        (id, by)
    }

    /// Brings what the queues go by up to date.
    fn refresh(&mut self, id: LegId) {
        let Some(entry) = self.legs.get_mut(&id) else {
            return;
        };
        self.touches += 1;
        entry.touched = self.touches;
        let has_ended = entry.leg.ended.is_some() && !entry.is_over;
        if has_ended {
            entry.is_over = true;
            entry.leg.forget_media();
            self.live_count -= 1;
            self.over.add(self.touches, id);
        }
        let deadline_ns = entry.leg.deadline_ns(&self.timeouts).unwrap_or(NEVER);
        let is_earlier = deadline_ns < entry.noted_ns;
        if is_earlier {
            entry.noted_ns = deadline_ns;
            self.deadlines.add(deadline_ns, id);
        }
        let legs = &self.legs;
        if has_ended {
            self.over.tidy(legs.len(), |_, leg| legs.get(&leg).is_some_and(|entry| entry.is_over));
        }
        if is_earlier {
            let holds = |ns, leg| legs.get(&leg).is_some_and(|entry| entry.noted_ns == ns);
            self.deadlines.tidy(legs.len(), holds);
        }
    }

    /// S10: what is over goes first, then the leg that was silent longest.
    fn evict_oldest(&mut self, ts_ns: u64, events: &mut Vec<DialogEvent>) {
        let legs = &self.legs;
        let touched = |leg: LegId| legs.get(&leg).map(|entry| (entry.is_over, entry.touched));
        let over = |_, leg| touched(leg).and_then(|(is_over, touch)| is_over.then_some(touch));
        let live = |_, leg| touched(leg).and_then(|(is_over, touch)| (!is_over).then_some(touch));
        let oldest = self.over.pop(NEVER, over).or_else(|| self.live.pop(NEVER, live));
        if let Some((_, leg)) = oldest {
            self.end(leg, EndReason::Evicted, ts_ns, events);
            self.forget(leg);
        }
    }

    fn forget(&mut self, id: LegId) {
        let Some(entry) = self.legs.remove(&id) else {
            return;
        };
        self.live_count -= usize::from(!entry.is_over);
        self.unlink(&entry, id);
    }

    /// Takes a leg out of the chain of its Call-ID.
    fn unlink(&mut self, gone: &Entry, id: LegId) {
        let number = gone.leg.call_id.number();
        let Some(latest) = self.by_call_id.get_mut(&number) else { return };
        if *latest == id {
            match gone.before {
                Some(before) => *latest = before,
                None => drop(self.by_call_id.remove(&number)),
            }
            return;
        }
        let mut at = *latest;
        while let Some(later) = self.legs.get_mut(&at) {
            match later.before {
                Some(before) if before == id => {
                    later.before = gone.before;
                    return;
                }
                Some(before) => at = before,
                None => return,
            }
        }
    }
}

/// A leg as others may look at it.
#[derive(Clone, Copy, Debug)]
pub struct LegView<'d> {
    leg: &'d Leg,
}

impl<'d> LegView<'d> {
    /// Whether all its dialogs are over.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.leg.ended.is_some()
    }

    /// Whether its INVITE was accepted.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.leg.invite == InviteState::Answered
    }

    /// CSeq of its INVITE, if that is known.
    #[must_use]
    pub const fn invite_cseq(&self) -> Option<u32> {
        self.leg.invite_cseq
    }

    /// Between which addresses its messages were seen.
    pub fn hops(&self) -> impl Iterator<Item = Hop> + use<'d> {
        self.leg.hops.all()
    }
}

/// Whether a message of the same Call-ID and tags begins something after this leg.
fn is_beyond(leg: &Leg, by: Party, message: &Message<'_>) -> bool {
    let (cseq, method) = message.cseq();
    let is_invite = message.is_request() && method == Method::Invite && message.to().tag.is_none();
    let is_later = leg.invite_cseq.is_none_or(|known| cseq > known);
    if is_invite {
        return by == Party::Caller
            && is_later
            && (leg.ended.is_some() || leg.invite == InviteState::Answered);
    }
    // A leg that was given up from outside goes on when its parties do: a new offer within the dialog.
    let is_given_up = leg
        .ended
        .is_some_and(|ended| matches!(ended.reason, EndReason::External | EndReason::Unanswered));
    is_given_up
        && message.is_request()
        && start(message) == Start::InProgress
        && !leg.has_seen(by, message)
}

/// What a message is that belongs to no leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Invite,
    InProgress,
    /// All that is seen of a call is its end.
    Ending,
    Not(Class),
}

/// Whether this is said of a call that somebody tries to make, not of a change of one that goes on.
const fn refuses_a_call(code: u16) -> bool {
    matches!(code, 404 | 410 | 480 | 484 | 486 | 487 | 600 | 603 | 604 | 607)
}

fn start(message: &Message<'_>) -> Start {
    let is_in_dialog = message.to().tag.is_some();
    match message.method() {
        Method::Invite if message.is_request() && !is_in_dialog => Start::Invite,
        // The INVITE was before the capture. Its answer may be without a description, where a reliable
        // provisional one had it (RFC 3262 section 5).
        Method::Invite if is_in_dialog && matches!(message.status(), Some(101..=299)) => {
            Start::InProgress
        }
        _ if is_in_dialog && description(message).is_some_and(|sdp| sdp.is_ok()) => {
            Start::InProgress
        }
        // Of a session timer: nothing changes, but somebody speaks with somebody.
        Method::Update if is_in_dialog && matches!(message.status(), None | Some(200..=299)) => {
            Start::InProgress
        }
        Method::Bye if is_in_dialog && matches!(message.status(), None | Some(200..=299)) => {
            Start::Ending
        }
        Method::Invite if is_in_dialog && message.status().is_some_and(refuses_a_call) => {
            Start::Ending
        }
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Prack
        | Method::Update => Start::Not(Class::Orphan),
        Method::Info | Method::Refer if is_in_dialog => Start::Not(Class::Orphan),
        _ => Start::Not(Class::Unrelated),
    }
}
