//! How INVITEs come to a call, and how calls turn out to be one (CALL-5).
//!
//! What belongs together is found out in `crate::intake`; here is what follows from it. The call that began first keeps
//! its id; a call is over when its last leg is.

use std::ops::Range;

use earwitness_ipc::VerdictChange;
use earwitness_wire::{Endpoint, Verdict};

use super::binding::{Binding, TsNs};
use super::change::Change;
use super::coverage::{Cause, Coverage, Times, United};
use super::decide::TakeForm;
use super::leg::{Evidence, Invite, InviteIndex, Joined, Leg, Role, branch};
use super::limits::{
    ALIASES_PER_CALL_MAX, DIGITS_MAX, ENDPOINTS_PER_CALL_MAX, FLOWS_PER_CALL_MAX, GAPS_MAX,
    HOLDS_MAX, INVITES_MAX, LEGS_MAX, TOGETHER_MAX, UNRECORDED_MAX,
};
use super::media::{Chain, Flow, Media};
use super::parties::End;
use super::seldom::Seldom;
use super::table::{CallTable, endpoints_of, receivers_of, verdict_of};
use super::{Call, CallSlot, LegIndex, Party, State, Unrecorded};

/// How an INVITE of one call is tied to another call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tie {
    /// The other call, and which of its INVITEs it is about.
    pub call: CallSlot,
    pub invite: InviteIndex,
    pub by: Evidence,
    pub role: Role,
    /// This party of the INVITE that is tied …
    pub mine: Party,
    /// … is on this side of the other call.
    pub theirs: Party,
}

/// Why two calls stay two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apart {
    /// They are one already, or one is over.
    Settled,
    /// Together they would be larger than a call may be (S10).
    TooLarge,
}

/// Where the INVITEs of a call are that became a part of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    pub from: CallSlot,
    pub into: CallSlot,
    /// INVITEs that the other call had before.
    pub before: u8,
    /// Its sides are exchanged there.
    pub turned: bool,
}

impl CallTable {
    /// Who receives at `endpoint`, of the calls that are not over.
    #[must_use]
    pub fn holder(&self, endpoint: &Endpoint, at_ns: TsNs) -> Option<Binding> {
        let binding = self.bindings.find(endpoint, at_ns)?;
        self.get(binding.call).is_some_and(|call| call.ended_ns.is_none()).then_some(binding)
    }

    /// Ids of calls that turned out to be parts of others since the last time.
    pub fn take_superseded(&mut self) -> Vec<String> {
        std::mem::take(&mut self.superseded)
    }

    /// Adds an INVITE to the call that it is tied to; none if the call has too many, or is over.
    pub fn join(
        &mut self,
        tie: &Tie,
        mut invite: Invite,
        leg: Leg,
        at_ns: TsNs,
    ) -> Option<InviteIndex> {
        let call = self.get_mut(tie.call)?;
        if call.ended_ns.is_some() || call.legs.len() >= LEGS_MAX {
            return None;
        }
        invite.turned = tie.mine != tie.theirs;
        invite.talk = call.talk_for(tie);
        invite.joined = Some(Joined { by: tie.by, role: tie.role, at_ns });
        call.keep_parties();
        let text = joined_text(&leg.call_id, tie);
        let index = call.invites.push(invite)?;
        call.add_leg(Leg { invite: index, ..leg });
        call.trace.note(at_ns, "leg", text);
        call.pending_end = None;
        self.touch(tie.call);
        self.decide_again(tie.call, at_ns);
        Some(index)
    }

    /// An INVITE's legs are all over; so is the call, if it has no other and none is to follow.
    pub fn leg_over(&mut self, slot: CallSlot, index: InviteIndex, at_ns: TsNs, reason: &str) {
        let trailing_ns = self.timing.trailing_ns;
        let Some(call) = self.get_mut(slot) else { return };
        call.hold(index, false, at_ns);
        if let Some(invite) = call.invites.get_mut(index) {
            invite.is_over = true;
        }
        let is_last = call.invites.iter().all(|invite| invite.is_over);
        if is_last && call.invites.len() == 1 && call.transfer_until_ns <= at_ns {
            return self.ended(slot, at_ns, reason);
        }
        call.parted(index, at_ns);
        call.note_end(index, reason);
        if is_last {
            let end = call.last_end().unwrap_or((at_ns, reason.to_owned()));
            call.pending_end = Some(Box::new(end));
            if call.transfer_until_ns <= at_ns {
                return self.end_pending(slot);
            }
        }
        let own = call.endpoints_of_invite(index);
        for endpoint in own {
            self.bindings.close(&endpoint, slot, at_ns.saturating_add(trailing_ns));
        }
        self.touch(slot);
    }

    /// No other leg follows: the call ended with its last one.
    pub fn end_pending(&mut self, slot: CallSlot) {
        let end = self.get_mut(slot).and_then(|call| call.pending_end.take());
        if let Some((at_ns, reason)) = end.map(|end| *end) {
            self.ended(slot, at_ns, &reason);
        }
    }

    /// A transfer was asked for: a further leg may follow until then, even when all others are over.
    pub fn expect_transfer(&mut self, slot: CallSlot, until_ns: TsNs) {
        if let Some(call) = self.get_mut(slot) {
            call.transfer_until_ns = until_ns;
        }
    }

    /// It has failed, or is done elsewhere.
    pub fn expect_no_transfer(&mut self, slot: CallSlot) {
        if let Some(call) = self.get_mut(slot) {
            call.transfer_until_ns = 0;
        }
        self.end_pending(slot);
    }

    /// Makes two calls one: `tied` is the one with the INVITE `index` that `tie` is about. What either recorded stays
    /// recorded, once, what either hid is hidden, and what was written of it is destroyed.
    ///
    /// # Errors
    /// They would become too large, are one already, or one is over.
    pub fn merge(
        &mut self,
        tied: CallSlot,
        index: InviteIndex,
        tie: &Tie,
        at_ns: TsNs,
    ) -> Result<Moved, Apart> {
        let (Some(one), Some(other)) = (self.get(tied), self.get(tie.call)) else {
            return Err(Apart::Settled);
        };
        if tied == tie.call || one.ended_ns.is_some() || other.ended_ns.is_some() {
            return Err(Apart::Settled);
        }
        if !one.has_room_for(other) {
            return Err(self.stay_apart([tied, tie.call], at_ns));
        }
        let side = one.invites.get(index).ok_or(Apart::Settled)?.side(tie.mine);
        let turned = side != tie.theirs;
        let is_older = (one.started_ns, &one.id) < (other.started_ns, &other.id);
        let (from, into) = if is_older { (tie.call, tied) } else { (tied, tie.call) };
        let (from_invite, into_invite) =
            if is_older { (tie.invite, index) } else { (index, tie.invite) };
        let mut gone = self.take(from).ok_or(Apart::Settled)?;
        for endpoint in endpoints_of(&gone) {
            self.bindings.move_to(&endpoint, from, into, turned);
        }
        self.superseded.push(gone.id.clone());
        let before =
            verdicts(&gone).map(|(at, party, verdict)| (at, party_if(turned, party), verdict));
        let mut before: Vec<_> = before.collect();
        let early_ns = self.timing.hold_ns;
        let call = self.get_mut(into).ok_or(Apart::Settled)?;
        before.extend(verdicts(call));
        let invites_before = call.invites.len() as u8;
        if turned {
            gone.exchange_sides();
        }
        let united = call.absorb_coverage(&mut gone, early_ns, at_ns);
        call.absorb(gone, Absorbing { tie, from: from_invite, into: into_invite, at_ns });
        let news: Vec<VerdictChange> =
            before.into_iter().filter_map(|before| news_of(call, before, at_ns)).collect();
        for (chain, lost) in united.lost {
            self.erasures.chain(chain.lane, chain.last, lost.start, lost.end);
        }
        self.tell(news);
        if let Some(stop) = united.stop {
            // It is open: it can be ended.
            let _ = self.change(into, at_ns, Change::End, stop);
        }
        self.touch(into);
        self.decide_again(into, at_ns);
        Ok(Moved { from, into, before: invites_before, turned })
    }

    /// The traces of both say that they are one conversation.
    fn stay_apart(&mut self, calls: [CallSlot; 2], at_ns: TsNs) -> Apart {
        let [one, other] = calls.map(|slot| self.get(slot).map(|call| call.call_id.clone()));
        for (slot, of) in calls.into_iter().zip([other, one]) {
            if let (Some(call), Some(of)) = (self.get_mut(slot), of) {
                let text =
                    format!("not joined with {of}: together they are too large for one call");
                call.trace.note(at_ns, "limit", text);
            }
        }
        Apart::TooLarge
    }

    /// A box has connected `caller` and `callee`, whose legs it has both; the party that was asked takes the side of who
    /// asked. `turned` are the INVITEs on the other side of the box from who asked.
    pub fn bridge(
        &mut self,
        slot: CallSlot,
        (caller, callee): (End, End),
        turned: &[InviteIndex],
        at_ns: TsNs,
    ) {
        let Some(call) = self.get_mut(slot) else { return };
        for index in turned {
            if let Some(invite) = call.invites.get_mut(*index) {
                invite.turned = !invite.turned;
            }
        }
        let moved: Vec<(Endpoint, Party)> = call.turn(turned, at_ns);
        call.bridged(caller, callee, at_ns);
        let name = |end| call.name(end).unwrap_or("unknown").to_owned();
        let text = format!("{} speaks with {} now", name(caller), name(callee));
        call.trace.note(at_ns, "transfer", text);
        for (endpoint, party) in moved {
            self.bindings.turn(endpoint, slot, party, at_ns);
        }
        self.touch(slot);
        self.decide_again(slot, at_ns);
    }

    fn take(&mut self, slot: CallSlot) -> Option<Box<Call>> {
        self.get(slot)?;
        let place = &mut self.places[slot.index as usize];
        place.due_ns = 0;
        let call = place.call.take();
        place.generation = place.generation.wrapping_add(1);
        self.free.push(slot.index);
        self.open -= 1;
        call
    }
}

const fn party_if(turned: bool, party: Party) -> Party {
    if turned { party.other() } else { party }
}

/// What capture does with what each address of a call is sent.
fn verdicts(call: &Call) -> impl Iterator<Item = (Endpoint, Party, Verdict)> + '_ {
    receivers_of(call).map(|(at, party)| (at, party, verdict_of(call, party)))
}

/// What capture must be told of an address, if it is news.
fn news_of(
    call: &Call,
    (dst, party, before): (Endpoint, Party, Verdict),
    at_ns: TsNs,
) -> Option<VerdictChange> {
    let now = verdict_of(call, party);
    // What waited for a decision has it now, whenever it came.
    let since_ns = if before == Verdict::Undecided { 0 } else { at_ns };
    (now != before).then_some(VerdictChange { dst, verdict: Some(now), since_ns })
}

fn joined_text(call_id: &str, tie: &Tie) -> String {
    let percent = tie.by.confidence();
    format!("{call_id}: {}, joined by {} ({percent} %)", tie.role.name(), tie.by.name())
}

/// What follows from two coverages becoming one.
struct Absorbed {
    /// What was written and is to be destroyed.
    lost: Vec<(Chain, Range<TsNs>)>,
    stop: Option<Cause>,
}

/// What two calls had and one may not have: it is not kept, and the trace says so (S10).
#[derive(Default)]
struct LeftOut {
    parties: usize,
    holds: usize,
    unrecorded: usize,
    digits: usize,
    gaps: usize,
    messages: usize,
}

impl LeftOut {
    fn told(&self) -> Option<String> {
        let all = [
            (self.parties, "conversations"),
            (self.holds, "stretches on hold"),
            (self.unrecorded, "stretches that a leg lacks"),
            (self.digits, "digits"),
            (self.gaps, "gaps"),
            (self.messages, "SIP messages"),
        ];
        let told = all.into_iter().filter(|(count, _)| *count > 0);
        let told: Vec<String> = told.map(|(count, what)| format!("{count} {what}")).collect();
        (!told.is_empty())
            .then(|| format!("too many for one call, and not told: {}", told.join(", ")))
    }
}

/// Drops what is past the bound, and counts it.
fn keep_first<T>(list: &mut Seldom<T>, most: usize) -> usize {
    let past = list.len().saturating_sub(most);
    list.truncate(most);
    past
}

/// How a call is taken in.
struct Absorbing<'t> {
    tie: &'t Tie,
    from: InviteIndex,
    into: InviteIndex,
    at_ns: TsNs,
}

impl Call {
    /// The conversation of an INVITE that is tied to one of ours: a hop's is the same.
    fn talk_for(&mut self, tie: &Tie) -> u8 {
        let same = self.invites.get(tie.invite).filter(|_| tie.role == Role::Hop);
        same.map(|invite| invite.talk).unwrap_or_else(|| {
            let talk = self.talks;
            self.talks = self.talks.saturating_add(1);
            talk
        })
    }

    fn note_end(&mut self, index: InviteIndex, reason: &str) {
        let ended = self.legs.iter_mut().filter(|leg| leg.invite == index);
        ended.for_each(|leg| _ = leg.end_reason.get_or_insert_with(|| reason.to_owned()));
    }

    /// When and why the call was over: with its last leg; the reason is that of the last leg that was answered, else
    /// that of the caller's.
    fn last_end(&self) -> Option<(TsNs, String)> {
        let at_ns = self.legs.iter().filter_map(|leg| leg.ended_ns).max()?;
        let answered = self.legs.iter().filter(|leg| leg.answered_ns.is_some());
        let last = answered.max_by_key(|leg| leg.ended_ns).or(self.legs.first())?;
        let turned = self.invites.get(last.invite).is_some_and(|invite| invite.turned);
        let reason = match (last.end_reason.as_deref()?, turned) {
            ("bye_caller", true) => "bye_callee",
            ("bye_callee", true) => "bye_caller",
            (reason, _) => reason,
        };
        Some((at_ns, reason.to_owned()))
    }

    /// The addresses that the legs of an INVITE announced and that no other live leg has.
    fn endpoints_of_invite(&self, index: InviteIndex) -> Vec<Endpoint> {
        let is_live = |invite| self.invites.get(invite).is_some_and(|invite| !invite.is_over);
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for known in &self.announced {
            let invite = known.hop.invite();
            let list = if invite == index { &mut own } else { &mut others };
            if invite == index || is_live(invite) {
                list.extend([Some(known.rtp), known.rtcp].into_iter().flatten());
            }
        }
        own.retain(|endpoint| !others.contains(endpoint));
        own
    }

    /// Exchanges the sides of what these INVITEs announced, from now on. What was heard before stays where it was.
    fn turn(&mut self, invites: &[InviteIndex], at_ns: TsNs) -> Vec<(Endpoint, Party)> {
        let mut moved = Vec::new();
        let of_them = self.announced.iter().filter(|known| invites.contains(&known.hop.invite()));
        let news: Vec<_> = of_them.cloned().collect();
        for mut known in news {
            known.party = known.party.other();
            known.from_ns = at_ns;
            moved.extend(
                [Some(known.rtp), known.rtcp].into_iter().flatten().map(|at| (at, known.party)),
            );
            self.announce(known);
        }
        moved
    }

    /// Takes in a call that is a part of this one.
    fn absorb(&mut self, mut gone: Box<Call>, how: Absorbing<'_>) {
        let Absorbing { tie, from, into, at_ns } = how;
        self.absorbed.push(std::mem::take(&mut gone.id));
        self.absorbed.extend(gone.absorbed.take());
        self.keep_parties();
        gone.keep_parties();
        let text = joined_text(&gone.call_id, tie);
        let mut left_out = LeftOut::default();
        self.absorb_legs(&mut gone, (from, into), tie, (at_ns, &mut left_out));
        self.absorb_facts(&mut gone, &mut left_out);
        self.trace.absorb(std::mem::take(&mut gone.trace));
        self.trace.note(at_ns, "leg", text);
        if let Some(text) = left_out.told() {
            self.trace.note(at_ns, "limit", text);
        }
    }

    fn absorb_legs(
        &mut self,
        gone: &mut Call,
        (from, into): (InviteIndex, InviteIndex),
        tie: &Tie,
        (at_ns, left_out): (TsNs, &mut LeftOut),
    ) {
        let (before, legs_before) = (self.invites.len() as u8, self.legs.len() as u8);
        let talk_of =
            |call: &Call, index| call.invites.get(index).map(|invite: &Invite| invite.talk);
        let (from_talk, into_talk) = (talk_of(gone, from), talk_of(self, into));
        let talks = self.talks;
        let talk = |talk: u8| match into_talk {
            Some(into_talk) if tie.role == Role::Hop && Some(talk) == from_talk => into_talk,
            _ => talk.saturating_add(talks),
        };
        for invite in gone.invites.iter() {
            let (from, to) =
                (gone.address_in(invite, Party::Caller), gone.address_in(invite, Party::Callee));
            let differs = |own: Option<&str>, ours: &Option<String>| {
                own.filter(|own| Some(*own) != ours.as_deref()).map(Box::from)
            };
            let joined = Joined { by: tie.by, role: tie.role, at_ns };
            self.invites.push(Invite {
                from: differs(from, &self.from),
                to: differs(to, &self.to),
                talk: talk(invite.talk),
                joined: invite.joined.or(Some(joined)),
                ..invite.clone()
            });
        }
        let behind = |leg: LegIndex| LegIndex(leg.0 + legs_before);
        let behind_invite = |invite: InviteIndex| InviteIndex(invite.0 + before);
        self.talks = self.talks.saturating_add(gone.talks);
        for leg in gone.legs.drain(..) {
            self.legs.push(Leg { invite: behind_invite(leg.invite), ..leg });
        }
        for mut known in gone.announced.drain(..) {
            known.hop = known.hop.behind(before);
            known.leg = known.leg.map(behind);
            self.announced.push(known);
        }
        for mut known in gone.together.take() {
            known.talk = talk(known.talk);
            known.caller.leg = behind(known.caller.leg);
            known.callee.leg = behind(known.callee.leg);
            self.together.push(known);
        }
        left_out.parties += self.together.len().saturating_sub(TOGETHER_MAX);
        self.order_parties();
        if let (Role::Hop, Some(talk)) = (tie.role, into_talk) {
            self.meet_anew(talk);
        }
        for hold in gone.holds.take() {
            let (talk, invite) = (talk(hold.talk), behind_invite(hold.invite));
            self.holds.push(super::Hold { talk, invite, ..hold });
        }
        left_out.holds += keep_first(&mut self.holds, HOLDS_MAX);
        left_out.unrecorded += keep_first(&mut self.unrecorded, UNRECORDED_MAX);
        let answered = gone.answered.map(|(leg, at_ns)| (behind(leg), at_ns));
        let both = [self.answered, answered];
        self.answered = both.into_iter().flatten().min_by_key(|(_, at_ns)| *at_ns);
    }

    fn absorb_facts(&mut self, gone: &mut Call, left_out: &mut LeftOut) {
        let rank = |state| match state {
            State::Trying => 0,
            State::Ringing => 1,
            State::Answered => 2,
            State::Ended => 3,
        };
        if rank(gone.state) > rank(self.state) {
            self.state = gone.state;
        }
        self.heard_ns = self.heard_ns.max(gone.heard_ns);
        self.session_expired |= gone.session_expired;
        self.held |= gone.held;
        self.has_video |= gone.has_video;
        self.event_types |= gone.event_types;
        self.destroyed += gone.destroyed;
        self.pending_end = None;
        self.transfer_until_ns = self.transfer_until_ns.max(gone.transfer_until_ns);
        self.joined_late |= gone.joined_late;
        self.aliases.extend(gone.aliases.take());
        self.left_out.extend(gone.left_out.take());
        self.media.absorb(std::mem::take(&mut gone.media));
        if let Some(late) = gone.late.take() {
            self.late.get_or_insert_default().absorb(*late);
        }
        self.digits.extend(gone.digits.take());
        self.digits.sort_by_key(|digit| digit.at_ns);
        left_out.digits += keep_first(&mut self.digits, DIGITS_MAX);
        let news = gone.ledger.take().into_iter().filter(|gap| !self.ledger.contains(gap));
        let news: Vec<_> = news.collect();
        self.ledger.extend(news);
        left_out.gaps += keep_first(&mut self.ledger, GAPS_MAX);
        for (lane, pos) in gone.signalling.drain(..) {
            left_out.messages += usize::from(!self.add_message(lane, pos));
        }
        // All of its legs may have been over while it waited for what has come about now.
        if self.invites.iter().all(|invite| invite.is_over) {
            self.pending_end = self.last_end().map(Box::new);
        }
    }

    /// Whether a call that another is made a part of stays within its bounds. What does not fit is a call of its own,
    /// rather than a call of which something is missing.
    fn has_room_for(&self, other: &Self) -> bool {
        let fits = |of: fn(&Self) -> usize, most| of(self) + of(other) <= most;
        fits(|call| call.invites.len(), INVITES_MAX)
            && fits(|call| call.legs.len(), LEGS_MAX)
            && fits(|call| call.announced.len(), ENDPOINTS_PER_CALL_MAX)
            && fits(|call| call.left_out.len(), ENDPOINTS_PER_CALL_MAX)
            && fits(|call| call.aliases.len(), ALIASES_PER_CALL_MAX)
            && fits(|call| call.media.flows.len(), FLOWS_PER_CALL_MAX)
            && self.coverage.fits(&other.coverage)
    }

    /// What both recorded and hid becomes this call's. `early_ns`: how far media may overtake the first message.
    fn absorb_coverage(&mut self, gone: &mut Self, early_ns: u64, at_ns: TsNs) -> Absorbed {
        let times = Times {
            theirs_ns: gone.started_ns.saturating_sub(early_ns),
            our_media_ns: self.media.first_ns(),
            their_media_ns: gone.media.first_ns(),
        };
        let United { coverage, made_of, stop } = self.coverage.united(&gone.coverage, &times);
        let lost: Vec<_> =
            [&*self, &*gone].into_iter().flat_map(|call| call.written_in_vain(&coverage)).collect();
        if !lost.is_empty() {
            let text = "what was written of one leg while another was hidden is destroyed";
            self.trace.note(at_ns, "erasure", text);
        }
        let (ours, theirs) = (std::mem::take(&mut self.forms), std::mem::take(&mut gone.forms));
        self.forms = TakeForm::united(&made_of, &ours, &theirs).into_iter().collect();
        if !gone.coverage.takes().is_empty() {
            let count = coverage.takes().len();
            let text = format!("both legs' recordings are one, of {count} parts");
            let text = if count == 1 { "both legs' recordings are one".to_owned() } else { text };
            self.trace.note(at_ns, "recording", text);
        }
        let before = self.invites.len() as u8;
        let own = self.unrecorded_of(&coverage, 0, at_ns);
        let others = gone.unrecorded_of(&coverage, before, at_ns);
        let known = gone.unrecorded.take().into_iter().map(|known| Unrecorded {
            first: InviteIndex(known.first.0 + before),
            last: InviteIndex(known.last.0 + before),
            ..known
        });
        self.unrecorded.extend(own.into_iter().chain(known).chain(others));
        self.coverage = coverage;
        Absorbed { lost, stop }
    }

    /// What `now` keeps and was not kept of its legs until now; its INVITEs are behind so many others.
    fn unrecorded_of(&self, now: &Coverage, before: u8, now_ns: TsNs) -> Vec<Unrecorded> {
        let last = before + self.invites.len() as u8 - 1;
        let [one, other] =
            [Party::Caller, Party::Callee].map(|side| now.not_kept_by(&self.coverage, side));
        let lacks = one.into_iter().chain(other).filter(|lack| lack.start < now_ns);
        let lacks = lacks.map(|lack| Unrecorded {
            first: InviteIndex(before),
            last: InviteIndex(last),
            from_ns: lack.start,
            until_ns: lack.end.min(now_ns),
        });
        let mut all: Vec<Unrecorded> = lacks.collect();
        all.dedup();
        all
    }

    /// What was written of its media and is not to be kept by `now`.
    fn written_in_vain<'c>(
        &'c self,
        now: &'c Coverage,
    ) -> impl Iterator<Item = (Chain, Range<TsNs>)> + 'c {
        let lost = [Party::Caller, Party::Callee]
            .map(|speaker| (speaker, self.coverage.not_kept_by(now, speaker)));
        lost.into_iter().flat_map(move |(speaker, lost)| {
            let flows =
                self.media.flows.iter().filter(move |flow| flow.receiver.other() == speaker);
            lost.into_iter().flat_map(move |lost| {
                let flows = flows.clone();
                let is_hit = {
                    let lost = lost.clone();
                    move |flow: &&Flow| flow.first_ns < lost.end && lost.start <= flow.last_ns
                };
                let chains = flows.filter(is_hit).flat_map(|flow| flow.chains.iter().copied());
                chains.map(move |chain| (chain, lost.clone()))
            })
        })
    }

    fn exchange_sides(&mut self) {
        self.coverage.exchange_sides();
        self.invites.iter_mut().for_each(|invite| invite.turned = !invite.turned);
        self.announced.iter_mut().for_each(|known| known.party = known.party.other());
        self.aliases.iter_mut().for_each(|(_, party)| *party = party.other());
        self.digits.iter_mut().for_each(|digit| digit.party = digit.party.other());
        self.together
            .iter_mut()
            .for_each(|known| std::mem::swap(&mut known.caller, &mut known.callee));
        let flows = self
            .media
            .flows
            .iter_mut()
            .chain(self.late.iter_mut().flat_map(|late| &mut late.flows));
        flows.for_each(|flow| flow.receiver = flow.receiver.other());
    }

    /// The leg of a branch of one of its INVITEs.
    #[must_use]
    pub fn leg_index(&self, invite: InviteIndex, fork: u8) -> Option<LegIndex> {
        branch(&self.legs, invite, fork)
    }
}

impl Media {
    /// Takes in the flows of a call that is a part of this one.
    fn absorb(&mut self, gone: Self) {
        self.left_out += gone.left_out;
        for flow in gone.flows {
            let has_room = self.flows.len() < FLOWS_PER_CALL_MAX;
            let is_it = |known: &&mut Flow| {
                (known.src, known.dst, known.receiver) == (flow.src, flow.dst, flow.receiver)
            };
            match self.flows.iter_mut().find(is_it) {
                Some(known) => known.absorb(flow),
                None if has_room => self.flows.push(flow),
                None => self.left_out += flow.packets,
            }
        }
    }
}
