//! All calls that are not over yet: opened by signalling, fed by media, closed by BYE or by silence.
//!
//! One thread owns it (S8). What the outside must do comes out of it as values: verdicts for capture, calls
//! that are finished, calls whose row in the catalog has changed.

use std::collections::VecDeque;
use std::sync::Arc;

use earwitness_ipc::VerdictChange;
use earwitness_wire::{Endpoint, Verdict};
use smallvec::SmallVec;

use super::binding::{Binding, Bindings, TsNs};
use super::coverage::{Coverage, Terms, Wanted};
use super::decide::Decision;
use super::erasures::Erasures;
use super::leg::{Invite, Invites};
use super::limits::ENDPOINTS_PER_CALL_MAX;
use super::media::Media;
use super::seldom::Seldom;
use super::trace::{Detail, Trace};
use super::{Announced, Call, CallSlot, LegIndex, Party, State};
use crate::control::OnDemand;
use crate::rules::Rules;

/// What the table is told by configuration, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long media may wait in capture's ring.
    pub hold_ns: u64,
    /// Media that still belongs to a call after its end.
    pub trailing_ns: u64,
    pub media_idle_ns: u64,
    pub unanswered_ns: u64,
    pub length_max_ns: u64,
}

/// What writing a block and reading it may take. Media whose verdict is known does not wait for `hold`.
const SETTLE_NS: u64 = 700_000_000;

/// Messages of most calls: INVITE, 180, 200, ACK, BYE, 200, each perhaps with 100 before it.
const USUAL_MESSAGES: usize = 8;

/// A call whose session timer ran out (RFC 4028) is over when it is silent for this long.
const EXPIRED_IDLE_NS: u64 = 10_000_000_000;

impl Timing {
    /// How long after a call's end its last packet can still turn up in the log.
    #[must_use]
    pub const fn linger_ns(&self) -> u64 {
        self.trailing_ns + SETTLE_NS
    }
}

#[cfg(test)]
impl Timing {
    /// What tests go by, unless time is what they are about.
    pub const OF_TESTS: Self = Self {
        hold_ns: 2_000_000_000,
        trailing_ns: 500_000_000,
        media_idle_ns: 60_000_000_000,
        unanswered_ns: 300_000_000_000,
        length_max_ns: 43_200_000_000_000,
    };
}

/// What opens a call.
#[derive(Debug, Clone)]
pub struct Opening {
    pub id: String,
    pub call_id: String,
    pub from: Option<String>,
    pub to: Option<String>,
    pub at_ns: TsNs,
    pub joined_late: bool,
    pub invite: Invite,
}

#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) generation: u32,
    /// Its row in the catalog shall be written again.
    pub(super) is_changed: bool,
    pub(super) call: Option<Box<Call>>,
    /// Before then, time alone changes nothing. Whoever changes the call sets it to 0.
    pub(super) due_ns: TsNs,
}

/// The table.
#[derive(Debug)]
pub struct CallTable {
    pub(super) rules: Rules,
    /// What every call is told as long as there are no policies.
    pub(super) plain: Option<Arc<Decision>>,
    pub(super) timing: Timing,
    /// Of takes that no rule says more about.
    pub(super) terms: Terms,
    pub(super) on_demand: OnDemand,
    calls_max: usize,
    pub(super) places: Vec<Place>,
    pub(super) free: Vec<u32>,
    pub(super) open: usize,
    pub(super) bindings: Bindings,
    pub(super) verdicts: Vec<VerdictChange>,
    finished: VecDeque<Box<Call>>,
    /// Of the packet that was taken last: where there may be keys in it.
    pub(super) heard: Option<(CallSlot, Party, u128)>,
    pub(super) listens_to: u128,
    /// What capture is asked to destroy.
    pub erasures: Erasures,
    /// Ids of calls that turned out to be parts of others.
    pub(super) superseded: Vec<String>,
    /// Time that is no part of any call's length, since the beginning.
    holes_ns: u64,
    /// Calls given up because there were too many.
    pub evicted: u64,
}

impl CallTable {
    #[must_use]
    pub fn new(rules: Rules, timing: Timing, calls_max: usize) -> Self {
        Self {
            rules,
            plain: None,
            timing,
            terms: Terms::default(),
            on_demand: OnDemand::Off,
            calls_max,
            places: Vec::new(),
            free: Vec::new(),
            open: 0,
            bindings: Bindings::default(),
            verdicts: Vec::new(),
            finished: VecDeque::new(),
            heard: None,
            listens_to: 0,
            erasures: Erasures::default(),
            superseded: Vec::new(),
            holes_ns: 0,
            evicted: 0,
        }
    }

    /// What is agreed for takes that no rule says more about.
    pub fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
    }

    /// See [`CallTable::set_terms`].
    #[must_use]
    pub const fn terms(&self) -> Terms {
        self.terms
    }

    /// The rules in force.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether somebody may begin a recording of a call that no rule wants.
    pub fn set_on_demand(&mut self, on_demand: OnDemand) {
        self.on_demand = on_demand;
    }

    /// Opens a call and decides about it. At the bound, the call that was silent longest is given up first.
    pub fn open(&mut self, opening: Opening) -> CallSlot {
        if self.open >= self.calls_max {
            self.evict(opening.at_ns);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        let slot = CallSlot::new(index, place.generation);
        let mut trace = Trace::default();
        if opening.joined_late {
            trace.note(opening.at_ns, "joined", "capture began while the call was in progress");
        }
        place.call = Some(Box::new(Call {
            slot,
            id: opening.id,
            absorbed: Seldom::new(),
            call_id: opening.call_id,
            from: opening.from,
            to: opening.to,
            state: State::Trying,
            started_ns: opening.at_ns,
            holes_before_ns: self.holes_ns,
            answered: None,
            ended_ns: None,
            end_reason: None,
            heard_ns: opening.at_ns,
            legs: SmallVec::new(),
            invites: Invites::new(opening.invite),
            talks: 1,
            together: Seldom::new(),
            holds: Seldom::new(),
            unrecorded: Seldom::new(),
            pending_end: None,
            transfer_until_ns: 0,
            announced: Vec::with_capacity(2),
            aliases: Seldom::new(),
            has_video: false,
            left_out: Seldom::new(),
            session_expired: false,
            held: false,
            media: Media::default(),
            late: None,
            digits: Seldom::new(),
            decision: None,
            coverage: Coverage::default(),
            forms: Seldom::new(),
            destroyed: 0,
            event_types: 0,
            trace,
            ledger: Seldom::new(),
            signalling: Vec::with_capacity(USUAL_MESSAGES),
            joined_late: opening.joined_late,
        }));
        self.open += 1;
        self.touch(slot);
        self.decide_first(slot, opening.at_ns);
        slot
    }

    /// The call at `slot`, if it is not finished.
    #[must_use]
    pub fn get(&self, slot: CallSlot) -> Option<&Call> {
        let place = self.places.get(slot.index as usize)?;
        place.call.as_deref().filter(|call| call.slot == slot)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, slot: CallSlot) -> Option<&mut Call> {
        let place = self.places.get_mut(slot.index as usize)?;
        place.due_ns = 0;
        place.call.as_deref_mut().filter(|call| call.slot == slot)
    }

    /// Marks a call whose row in the catalog shall be written again.
    pub fn touch(&mut self, slot: CallSlot) {
        let place = self.places.get_mut(slot.index as usize);
        if let Some(place) = place.filter(|place| place.generation == slot.generation) {
            place.is_changed = true;
        }
    }

    /// A party said where it receives. Returns what another call had there until now.
    pub fn announce(&mut self, slot: CallSlot, news: Announced) -> Option<Binding> {
        let early_ns = self.timing.hold_ns;
        let call = self.get_mut(slot)?;
        let (party, from_ns, rtp, rtcp) = (news.party, news.from_ns, news.rtp, news.rtcp);
        if call.announce(news) {
            call.trace.note(from_ns, "media", Detail::receives(party, rtp));
        }
        let mut displaced = None;
        for endpoint in std::iter::once(rtp).chain(rtcp) {
            displaced = displaced.or(self.bind(slot, endpoint, party, from_ns, early_ns));
        }
        displaced
    }

    pub(super) fn bind(
        &mut self,
        slot: CallSlot,
        endpoint: Endpoint,
        party: Party,
        at_ns: TsNs,
        early_ns: u64,
    ) -> Option<Binding> {
        let verdict = self.get(slot).map(|call| verdict_of(call, party))?;
        let announcement = self.bindings.announce(endpoint, slot, party, at_ns, early_ns);
        if announcement.is_news {
            self.verdicts.push(VerdictChange::now(endpoint, Some(verdict)));
        }
        announcement.displaced
    }

    /// A party receives something there that is not recorded.
    pub fn leave_out(
        &mut self,
        slot: CallSlot,
        at: Endpoint,
        party: Party,
        at_ns: TsNs,
        kind: &str,
    ) {
        let Some(call) = self.get_mut(slot) else { return };
        let known = call.left_out.contains(&at) || call.endpoints().any(|(known, _)| known == at);
        if known || call.left_out.len() >= ENDPOINTS_PER_CALL_MAX {
            return;
        }
        call.left_out.push(at);
        call.trace.note(at_ns, "media", format!("{kind} at {at} is not recorded: audio only"));
        if self.bindings.announce(at, slot, party, at_ns, 0).is_news {
            self.verdicts.push(VerdictChange::now(at, Some(Verdict::Ignore)));
        }
    }

    /// The call was answered.
    pub fn answered(&mut self, slot: CallSlot, leg: Option<LegIndex>, at_ns: TsNs) {
        let Some(call) = self.get_mut(slot) else { return };
        if call.answered.is_none() && call.ended_ns.is_none() {
            call.answered = Some((leg.unwrap_or(LegIndex(0)), at_ns));
            call.state = State::Answered;
            call.trace.note(at_ns, "answer", "answered");
        }
        if let Some(leg) = leg {
            call.met(leg, at_ns);
        }
        self.touch(slot);
        self.decide_again(slot, at_ns);
    }

    /// The call is over. Its last packets may still come; after that it is handed out as finished.
    pub fn ended(&mut self, slot: CallSlot, at_ns: TsNs, reason: &str) {
        let trailing_ns = self.timing.trailing_ns;
        let Some(call) = self.get_mut(slot) else { return };
        if call.ended_ns.is_some() {
            return;
        }
        call.ended_ns = Some(at_ns);
        call.end_reason = Some(reason.to_owned());
        call.state = State::Ended;
        call.trace.note(at_ns, "end", reason.to_owned());
        let until_ns = at_ns.saturating_add(trailing_ns);
        let endpoints: Vec<Endpoint> = endpoints_of(call).collect();
        for endpoint in endpoints {
            self.bindings.close(&endpoint, slot, until_ns);
        }
        self.touch(slot);
    }

    /// Ends what has been silent too long and hands out what is finished. Called about once a second of
    /// packet time; `now_ns` never goes back.
    pub fn tick(&mut self, now_ns: TsNs) {
        for index in 0..self.places.len() {
            let place = &self.places[index];
            let Some(call) = place.call.as_deref().filter(|_| place.due_ns <= now_ns) else {
                continue;
            };
            let slot = call.slot;
            if call.coverage.is_limited() {
                self.end_due_take(slot, now_ns);
            }
            let Some(call) = self.places[index].call.as_deref() else { continue };
            let is_given_up = call.pending_end.is_some() && now_ns >= call.transfer_until_ns;
            if let Some((at_ns, reason)) = self.overdue(call, now_ns) {
                self.ended(slot, at_ns, reason);
            } else if is_given_up {
                self.end_pending(slot);
            }
            let settled = self.get(slot).is_some_and(|call| {
                call.ended_ns.is_some_and(|at| now_ns >= at.saturating_add(self.timing.linger_ns()))
            });
            if settled {
                self.finish(slot);
            } else {
                self.plan(slot);
            }
        }
    }

    /// Looks at when time alone changes a call, now that it was changed and is in the cache.
    pub fn plan(&mut self, slot: CallSlot) {
        let Some(call) = self.get(slot) else { return };
        let due_ns = self.due_ns(call);
        self.places[slot.index as usize].due_ns = due_ns;
    }

    /// When time alone changes a call, unless something else does before.
    fn due_ns(&self, call: &Call) -> TsNs {
        match call.ended_ns {
            // What limits it is looked at each time.
            _ if call.coverage.is_limited() => 0,
            Some(at_ns) => at_ns.saturating_add(self.timing.linger_ns()),
            None if call.pending_end.is_some() => call.transfer_until_ns,
            None => {
                let ends = self.ends(call).map(|((due_ns, _), _)| due_ns.saturating_add(1));
                ends.min().unwrap_or(TsNs::MAX)
            }
        }
    }

    /// When and why a call ended without a message that says so, if it did: of several reasons the first.
    fn overdue(&self, call: &Call, now_ns: TsNs) -> Option<(TsNs, &'static str)> {
        if call.ended_ns.is_some() || call.pending_end.is_some() {
            return None;
        }
        let due = self.ends(call).filter(|((due_ns, _), _)| *due_ns < now_ns);
        due.min_by_key(|((due_ns, _), _)| *due_ns).map(|((_, at_ns), reason)| (at_ns, reason))
    }

    /// Why a call that nothing more is heard of ends: after when that is known, and when it was.
    fn ends(&self, call: &Call) -> impl Iterator<Item = ((TsNs, TsNs), &'static str)> + use<> {
        let timing = &self.timing;
        let missing_until_ns = call.ledger.iter().map(|gap| gap.until_ns).max();
        let since_ns = call.heard_ns.max(missing_until_ns.unwrap_or(0));
        // What is in the log is up to `hold` behind the wire.
        let silent = |limit_ns: u64| {
            let due_ns = since_ns.saturating_add(timing.hold_ns).saturating_add(limit_ns);
            (due_ns, call.heard_ns)
        };
        // Media that was never seen did not stop, and on hold it may be absent for as long as people like. But where
        // packets are missing, the answer, the media or the BYE may be among them.
        let stopped = call.answered.is_some() && call.media.last_ns().is_some();
        let heeded = !call.held && !is_unheard(call);
        let stops = (stopped || missing_until_ns.is_some()) && heeded;
        let holes_ns = self.holes_ns - call.holes_before_ns;
        let longest_ns =
            call.started_ns.saturating_add(timing.length_max_ns).saturating_add(holes_ns);
        let reasons = [
            Some(((longest_ns, longest_ns), "length_max")),
            call.session_expired.then(|| (silent(EXPIRED_IDLE_NS), "session_expired")),
            stops.then(|| (silent(timing.media_idle_ns), "media_idle")),
            call.answered.is_none().then(|| (silent(timing.unanswered_ns), "unanswered")),
        ];
        reasons.into_iter().flatten()
    }

    fn finish(&mut self, slot: CallSlot) {
        let place = &mut self.places[slot.index as usize];
        place.due_ns = 0;
        let Some(mut call) = place.call.take() else { return };
        place.generation = place.generation.wrapping_add(1);
        self.free.push(slot.index);
        self.open -= 1;
        for endpoint in endpoints_of(&call) {
            if self.bindings.forget(&endpoint, slot) {
                self.verdicts.push(VerdictChange::now(endpoint, None));
            }
        }
        self.conclude(&mut call);
        self.finished.push_back(call);
    }

    /// There is no more input: whatever is open ends now, and everything is finished.
    pub fn finish_all(&mut self, reason: &'static str) {
        for index in 0..self.places.len() {
            let Some(call) = self.places[index].call.as_deref() else { continue };
            let (slot, at_ns) = (call.slot, call.heard_ns);
            self.end_pending(slot);
            self.ended(slot, at_ns, reason);
            self.finish(slot);
        }
    }

    fn evict(&mut self, at_ns: TsNs) {
        let calls = self.places.iter().filter_map(|place| place.call.as_deref());
        let Some(slot) = calls.min_by_key(|call| call.heard_ns).map(|call| call.slot) else {
            return;
        };
        self.evicted += 1;
        self.ended(slot, at_ns, "too_many_calls");
        self.finish(slot);
    }

    /// Nobody listened for so long: calls are not longer for it.
    pub const fn hole(&mut self, paused_ns: u64) {
        self.holes_ns = self.holes_ns.saturating_add(paused_ns);
    }

    /// Adds a gap of the log to every call that was running in it.
    pub fn gap(&mut self, gap: &super::LedgerGap) {
        for place in &mut self.places {
            let Some(call) = place.call.as_deref_mut() else { continue };
            let over_ns = call.ended_ns.unwrap_or(TsNs::MAX);
            if call.started_ns < gap.until_ns && gap.from_ns < over_ns {
                call.add_gap(gap.clone());
                place.due_ns = 0;
            }
        }
    }

    /// Calls that are not finished.
    pub fn iter(&self) -> impl Iterator<Item = &Call> {
        self.places.iter().filter_map(|place| place.call.as_deref())
    }

    /// How many calls are not finished.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.open
    }

    /// Whether every call is finished.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Adds to what capture must be told.
    pub(super) fn tell(&mut self, changes: impl IntoIterator<Item = VerdictChange>) {
        self.verdicts.extend(changes);
    }

    /// What capture must be told, in order.
    pub fn take_verdicts(&mut self) -> Vec<VerdictChange> {
        std::mem::take(&mut self.verdicts)
    }

    /// The verdict of every bound address: what a capture process that starts anew must know.
    #[must_use]
    pub fn all_verdicts(&self) -> Vec<VerdictChange> {
        let of_call = |call: &Call| {
            let wanted = receivers_of(call).map(|(dst, party)| (dst, verdict_of(call, party)));
            let left_out = call.left_out.iter().map(|dst| (*dst, Verdict::Ignore));
            wanted
                .chain(left_out)
                .map(|(dst, verdict)| VerdictChange::now(dst, Some(verdict)))
                .collect::<Vec<_>>()
        };
        self.iter().flat_map(of_call).collect()
    }

    /// The first of the finished calls that were not taken yet.
    pub fn next_finished(&mut self) -> Option<Box<Call>> {
        self.finished.pop_front()
    }

    /// Calls that changed since the last time and are not finished.
    pub fn take_changed(&mut self) -> Vec<CallSlot> {
        let mut changed = Vec::new();
        for (index, place) in (0..).zip(&mut self.places) {
            if std::mem::take(&mut place.is_changed) && place.call.is_some() {
                changed.push(CallSlot::new(index, place.generation));
            }
        }
        changed
    }
}

/// Media is not wanted now, and would not be seen: that nothing comes does not mean that it is over.
fn is_unheard(call: &Call) -> bool {
    call.coverage.wanted(Party::Caller) == Wanted::Denied
}

/// Addresses that receive audio of the call, and whose they are.
pub(super) fn receivers_of(call: &Call) -> impl Iterator<Item = (Endpoint, Party)> + '_ {
    call.endpoints().chain(call.aliases.iter().copied())
}

pub(super) fn endpoints_of(call: &Call) -> impl Iterator<Item = Endpoint> + '_ {
    receivers_of(call).map(|(at, _)| at).chain(call.left_out.iter().copied())
}

/// What capture shall do with what `receiver` is sent from now on.
pub(super) fn verdict_of(call: &Call, receiver: Party) -> Verdict {
    if call.decision.is_none() {
        return Verdict::Undecided;
    }
    match call.coverage.wanted(receiver.other()) {
        // What comes just before a recording begins waits for it; what comes long before is not kept.
        Wanted::Denied if call.awaits_recording() => Verdict::Undecided,
        Wanted::Kept => Verdict::Record,
        Wanted::Hidden => Verdict::Mask,
        Wanted::Denied => Verdict::Ignore,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::leg::InviteIndex;
    use crate::call::media::{Added, Arrival};
    use crate::call::{HopIndex, LedgerGap};
    use crate::config::RecordDefault;
    use earwitness_segment::{LaneId, RecordPos};
    use earwitness_voip::dialog::{Hop, LegId};
    use smallvec::SmallVec;

    const SECOND_NS: u64 = 1_000_000_000;
    const A: Endpoint = Endpoint::v4([10, 0, 0, 1], 4000);
    const B: Endpoint = Endpoint::v4([10, 0, 0, 2], 5000);
    const TIMING: Timing = Timing::OF_TESTS;

    /// A call from second 10 on that receives at `A`.
    fn table(answered: bool) -> (CallTable, CallSlot) {
        let mut table = CallTable::new(Rules::without_policies(RecordDefault::All), TIMING, 100);
        let slot = table.open(Opening {
            id: "1".to_owned(),
            call_id: "1".to_owned(),
            from: None,
            to: None,
            at_ns: 10 * SECOND_NS,
            joined_late: false,
            invite: Invite::of_leg(LegId(1), Hop::new(A.to_socket_addr(), B.to_socket_addr())),
        });
        let _ = table.announce(
            slot,
            Announced {
                party: Party::Caller,
                hop: HopIndex::new(InviteIndex(0), 0),
                leg: None,
                rtp: A,
                rtcp: None,
                from_ns: 10 * SECOND_NS,
                payload_types: SmallVec::new(),
                encrypted: false,
                teller: A,
            },
        );
        if answered {
            table.answered(slot, None, 11 * SECOND_NS);
        }
        (table, slot)
    }

    fn hear(table: &mut CallTable, ts_ns: u64) -> Option<Added> {
        let pos = RecordPos::media(1, ts_ns / 1_000);
        let arrival = Arrival {
            lane: LaneId(3),
            pos,
            prev: RecordPos(0),
            ts_ns,
            ssrc: Some(7),
            payload_type: Some(0),
            masked: false,
        };
        table.media(B, A, &arrival)
    }

    /// When, in seconds, and why the call ended, once it is finished.
    fn end(table: &mut CallTable) -> Option<(u64, String)> {
        let call = table.next_finished()?;
        Some((call.ended_ns? / SECOND_NS, call.end_reason?))
    }

    /// CALL-1: without BYE a call ends when its media stopped; one whose media the tap does not see, or that is
    /// on hold, does not.
    #[test]
    fn a_missing_bye_is_concluded_from_media_that_stopped() {
        let (mut stopped, _) = table(true);
        hear(&mut stopped, 20 * SECOND_NS);
        stopped.tick(82 * SECOND_NS);
        assert_eq!(stopped.len(), 1);
        stopped.tick(100 * SECOND_NS);
        assert_eq!(end(&mut stopped), Some((20, "media_idle".to_owned())));

        let (mut unseen, _) = table(true);
        let (mut held, slot) = table(true);
        hear(&mut held, 20 * SECOND_NS);
        held.get_mut(slot).expect("an open call").held = true;
        for table in [&mut unseen, &mut held] {
            table.tick(43_000 * SECOND_NS);
            assert_eq!(table.len(), 1);
            table.tick(43_300 * SECOND_NS);
            assert_eq!(end(table), Some((43_210, "length_max".to_owned())));
        }
    }

    /// CALL-1, CALL-6: where the log lacks packets, the BYE may be among them: a call that is silent from then on is over.
    #[test]
    fn a_bye_may_be_in_a_gap() {
        for answered in [false, true] {
            let (mut table, _) = table(answered);
            table.gap(&LedgerGap {
                from_ns: 12 * SECOND_NS,
                until_ns: 30 * SECOND_NS,
                place: "capture was not running".to_owned(),
                packets: 0,
            });
            table.tick(91 * SECOND_NS);
            assert_eq!(table.len(), 1);
            table.tick(93 * SECOND_NS);
            assert_eq!(table.len(), 0);
            assert_eq!(end(&mut table).map(|(_, reason)| reason), Some("media_idle".to_owned()));
        }
    }

    /// CALL-1: what is noticed late ended when it ended, for the first reason there was.
    #[test]
    fn the_first_reason_counts() {
        let (mut table, _) = table(false);
        hear(&mut table, 20 * SECOND_NS);
        table.tick(90_000 * SECOND_NS);
        assert_eq!(end(&mut table), Some((20, "unanswered".to_owned())));
    }

    /// CALL-1: time that nobody listened to makes no call longer.
    #[test]
    fn a_hole_is_no_part_of_a_call() {
        let (mut table, slot) = table(true);
        table.hole(90_000 * SECOND_NS);
        table.tick(90_020 * SECOND_NS);
        assert_eq!(table.len(), 1);
        table.ended(slot, 90_021 * SECOND_NS, "bye_caller");
        table.tick(90_030 * SECOND_NS);
        assert_eq!(end(&mut table), Some((90_021, "bye_caller".to_owned())));
    }

    /// CALL-6: media after the end is told, and is not the call's.
    #[test]
    fn media_after_the_end_is_told() {
        let (mut table, slot) = table(false);
        table.ended(slot, 15 * SECOND_NS, "rejected_480");
        assert!(hear(&mut table, 15 * SECOND_NS + 400_000_000).is_some());
        assert!(hear(&mut table, 16 * SECOND_NS).is_none());
        let call = table.get(slot).expect("a call that is not finished yet");
        let late = call.late.as_ref().expect("something came late");
        assert_eq!((call.media.flows.len(), late.flows.len()), (1, 1));
        assert_eq!(late.flows[0].packets, 1);
    }
}
