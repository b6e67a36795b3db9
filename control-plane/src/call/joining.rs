//! How INVITEs come to a call, and how calls turn out to be one (CALL-5).
//!
//! What belongs together is found out in `crate::intake`; here is what follows from it. The call that began first keeps
//! its id; a call is over when its last leg is.

use earwitness_ipc::VerdictChange;
use earwitness_wire::Endpoint;

use super::binding::{Binding, TsNs};
use super::leg::{Evidence, Invite, InviteIndex, Joined, Leg, Role, branch};
use super::limits::{
    ENDPOINTS_PER_CALL_MAX, FLOWS_PER_CALL_MAX, GAPS_MAX, HOLDS_MAX, INVITES_MAX, LEGS_MAX,
};
use super::media::{Flow, Media};
use super::parties::End;
use super::table::{CallTable, endpoints_of, receivers_of, verdict_of};
use super::{Call, CallSlot, LegIndex, Party, State};

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

/// Where the INVITEs of a call are that became a part of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    pub from: CallSlot,
    pub into: CallSlot,
    /// INVITEs that the other call had before.
    pub before: u8,
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
            call.pending_end = Some(end);
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
        if let Some((at_ns, reason)) = end {
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

    /// Makes two calls one: `tied` is the one with the INVITE `index` that `tie` is about. None if they have become too
    /// large, or one is over.
    pub fn merge(
        &mut self,
        tied: CallSlot,
        index: InviteIndex,
        tie: &Tie,
        at_ns: TsNs,
    ) -> Option<Moved> {
        let (one, other) = (self.get(tied)?, self.get(tie.call)?);
        let fits = one.invites.len() + other.invites.len() <= INVITES_MAX
            && one.legs.len() + other.legs.len() <= LEGS_MAX
            && one.coverage.fits(&other.coverage);
        if tied == tie.call || !fits || one.ended_ns.is_some() || other.ended_ns.is_some() {
            return None;
        }
        let turned = one.invites.get(index)?.side(tie.mine) != tie.theirs;
        let is_older = (one.started_ns, &one.id) < (other.started_ns, &other.id);
        let (from, into) = if is_older { (tie.call, tied) } else { (tied, tie.call) };
        let (from_invite, into_invite) =
            if is_older { (tie.invite, index) } else { (index, tie.invite) };
        let gone = self.take(from)?;
        for endpoint in endpoints_of(&gone) {
            self.bindings.move_to(&endpoint, from, into, turned);
        }
        let before: Vec<_> = receivers_of(&gone)
            .map(|(at, party)| {
                (at, verdict_of(&gone, party), if turned { party.other() } else { party })
            })
            .collect();
        self.superseded.push(gone.id.clone());
        let call = self.get_mut(into)?;
        let invites_before = call.invites.len() as u8;
        call.absorb(gone, Absorbing { turned, tie, from: from_invite, into: into_invite, at_ns });
        let news = before.into_iter().filter_map(|(at, verdict, party)| {
            let now = verdict_of(call, party);
            (now != verdict).then(|| VerdictChange::now(at, Some(now)))
        });
        let news: Vec<VerdictChange> = news.collect();
        self.verdicts.extend(news);
        self.touch(into);
        self.decide_again(into, at_ns);
        Some(Moved { from, into, before: invites_before })
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
        let name = |end| call.address(end).unwrap_or("unknown").to_owned();
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

fn joined_text(call_id: &str, tie: &Tie) -> String {
    let percent = tie.by.confidence();
    format!("{call_id}: {}, joined by {} ({percent} %)", tie.role.name(), tie.by.name())
}

/// How a call is taken in.
struct Absorbing<'t> {
    turned: bool,
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
        let Absorbing { turned, tie, from, into, at_ns } = how;
        self.keep_parties();
        gone.keep_parties();
        if turned {
            gone.exchange_sides();
        }
        let text = joined_text(&gone.call_id, tie);
        self.absorb_legs(&mut gone, (from, into), tie, at_ns);
        self.absorb_facts(&mut gone, turned);
        self.trace.absorb(std::mem::take(&mut gone.trace));
        self.trace.note(at_ns, "leg", text);
    }

    fn absorb_legs(
        &mut self,
        gone: &mut Call,
        (from, into): (InviteIndex, InviteIndex),
        tie: &Tie,
        at_ns: TsNs,
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
            if self.announced.len() < ENDPOINTS_PER_CALL_MAX {
                self.announced.push(known);
            }
        }
        for mut known in gone.together.drain(..) {
            known.talk = talk(known.talk);
            known.caller.leg = behind(known.caller.leg);
            known.callee.leg = behind(known.callee.leg);
            self.together.push(known);
        }
        self.order_parties();
        for hold in gone.holds.drain(..) {
            let (talk, invite) = (talk(hold.talk), behind_invite(hold.invite));
            if self.holds.len() < HOLDS_MAX {
                self.holds.push(super::Hold { talk, invite, ..hold });
            }
        }
        let answered = gone.answered.map(|(leg, at_ns)| (behind(leg), at_ns));
        let both = [self.answered, answered];
        self.answered = both.into_iter().flatten().min_by_key(|(_, at_ns)| *at_ns);
    }

    fn absorb_facts(&mut self, gone: &mut Call, turned: bool) {
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
        self.pending_end = None;
        self.transfer_until_ns = self.transfer_until_ns.max(gone.transfer_until_ns);
        self.joined_late |= gone.joined_late;
        self.aliases.append(&mut gone.aliases);
        self.left_out.append(&mut gone.left_out);
        self.coverage.absorb(std::mem::take(&mut gone.coverage), turned);
        self.media.absorb(std::mem::take(&mut gone.media));
        self.late.absorb(std::mem::take(&mut gone.late));
        for digit in gone.digits.drain(..) {
            self.add_digit(digit);
        }
        self.digits.sort_by_key(|digit| digit.at_ns);
        for gap in gone.ledger.drain(..) {
            if self.ledger.len() < GAPS_MAX && !self.ledger.contains(&gap) {
                self.ledger.push(gap);
            }
        }
        for (lane, pos) in gone.signalling.drain(..) {
            self.add_message(lane, pos);
        }
        // All of its legs may have been over while it waited for what has come about now.
        if self.invites.iter().all(|invite| invite.is_over) {
            self.pending_end = self.last_end();
        }
    }

    fn exchange_sides(&mut self) {
        self.invites.iter_mut().for_each(|invite| invite.turned = !invite.turned);
        self.announced.iter_mut().for_each(|known| known.party = known.party.other());
        self.aliases.iter_mut().for_each(|(_, party)| *party = party.other());
        self.digits.iter_mut().for_each(|digit| digit.party = digit.party.other());
        self.together
            .iter_mut()
            .for_each(|known| std::mem::swap(&mut known.caller, &mut known.callee));
        let flows = self.media.flows.iter_mut().chain(&mut self.late.flows);
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
