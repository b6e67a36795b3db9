//! Which calls a leg belongs to: evidence for that, in the order in which it is believed (CALL-5).
//!
//! What says it outright is believed at once. Weak evidence (media addresses, numbers) is believed only if it is for one
//! call alone, and if the configuration asks for no more. Every look-up is by a key; nothing is searched.

use std::net::IpAddr;

use earwitness_voip::dialog::{Dialogs, Hop, LegId, LegMap, Origin, Party};
use earwitness_voip::sip::{Message, Replaces};
use earwitness_wire::Endpoint;

use super::keys::{Holders, Index, Key, Keys};
use super::newcomer::{Newcomer, goes_on};
use super::transfers::Transfers;
use crate::call::joining::Tie;
use crate::call::leg::{Evidence, Invite, InviteIndex, Role};
use crate::call::table::CallTable;
use crate::call::{Call, CallSlot, Party as Side};

/// What the configuration says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correlation {
    /// Headers that have the same value in all legs of a call.
    pub headers: Vec<Vec<u8>>,
    /// How far apart INVITEs before and behind a box may be.
    pub window_ns: u64,
    /// In percent; weaker evidence is not believed.
    pub confidence_min: u8,
}

/// Where a leg of the dialog layer is among the calls, and by what it is found.
#[derive(Debug)]
pub struct Seat {
    pub call: CallSlot,
    pub invite: InviteIndex,
    pub keys: Keys,
}

impl Seat {
    /// The INVITE among those of all calls.
    pub const fn place(&self) -> (CallSlot, InviteIndex) {
        (self.call, self.invite)
    }
}

/// All legs that belong to calls.
pub type Seats = LegMap<Seat>;

/// Evidence for several calls is evidence for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguity {
    pub by: Evidence,
}

/// What was found out about a leg.
#[derive(Debug, Default)]
pub struct Ties {
    /// The call that it belongs to.
    pub first: Option<Tie>,
    /// Another call that belongs to that one.
    pub second: Option<Tie>,
    pub ambiguous: Option<Ambiguity>,
}

/// What ties are looked for in.
#[derive(Debug, Clone, Copy)]
pub struct Known<'k> {
    pub dialogs: &'k Dialogs,
    pub seats: &'k Seats,
    pub table: &'k CallTable,
}

const HEADER: u8 = 1;
const SESSION: u8 = 2;
const FOCUS: u8 = 3;
const NUMBERS: u8 = 4;
const CALLING: u8 = 5;
const VOICE: u8 = 6;

/// Of media that is described anew in the middle of a call, how lately it must have been heard.
const HEARD_NS: u64 = 10_000_000_000;

/// Finds ties.
#[derive(Debug)]
pub struct Correlator {
    settings: Correlation,
    index: Index,
    pub transfers: Transfers,
}

impl Known<'_> {
    /// The INVITE of a leg whose call is not over.
    fn invite(&self, leg: LegId) -> Option<(CallSlot, InviteIndex, &Call, &Invite)> {
        let seat = self.seats.get(&leg)?;
        let call = self.table.get(seat.call).filter(|call| call.ended_ns.is_none())?;
        Some((seat.call, seat.invite, call, call.invites.get(seat.invite)?))
    }

    fn tie(
        &self,
        leg: LegId,
        (by, role): (Evidence, Role),
        mine: Party,
        theirs: Party,
    ) -> Option<Tie> {
        let (call, invite, _, known) = self.invite(leg)?;
        Some(Tie { call, invite, by, role, mine, theirs: known.side(theirs) })
    }

    /// The leg is another view of the same conversation: its caller is theirs, unless the numbers say the reverse.
    fn same_talk(&self, leg: LegId, by: Evidence, newcomer: &Newcomer<'_>) -> Option<Tie> {
        let (_, _, _, known) = self.invite(leg)?;
        let is = |one: Option<_>, other| one.is_some() && one == other;
        let straight = is(newcomer.calling, known.calling) || is(newcomer.called, known.called);
        let crossed = is(newcomer.calling, known.called) || is(newcomer.called, known.calling);
        let theirs = if crossed && !straight { Party::Callee } else { Party::Caller };
        self.tie(leg, (by, Role::Hop), Party::Caller, theirs)
    }
}

impl Correlator {
    pub fn new(settings: Correlation) -> Self {
        Self { settings, index: Index::default(), transfers: Transfers::default() }
    }

    /// What a leg that has just begun belongs to.
    pub fn ties(&self, newcomer: &Newcomer<'_>, known: Known<'_>) -> Ties {
        let asked = self.by_transfer(newcomer, known);
        let named = by_name(newcomer.message, known);
        let is_told = asked.is_some() || named.is_some();
        let passed =
            is_told.then(|| self.passed_on(newcomer, asked.map(|(_, at_ns)| at_ns), known));
        if let Some(first) = passed.flatten().or(asked.map(|(tie, _)| tie)).or(named) {
            let second = named.filter(|named| named.call != first.call);
            return Ties { first: Some(first), second, ambiguous: None };
        }
        let strong = self
            .by_values(newcomer, known)
            .or_else(|| by_call_id(newcomer, known))
            .or_else(|| by_focus(self, newcomer, known));
        if strong.is_some() {
            return Ties { first: strong, ..Ties::default() };
        }
        let weak = self.by_media(newcomer, known).or_else(|| self.by_numbers(newcomer, known));
        match weak {
            Some(Ok(tie)) if self.believes(tie.by) => Ties { first: Some(tie), ..Ties::default() },
            Some(Err(ambiguous)) => Ties { ambiguous: Some(ambiguous), ..Ties::default() },
            _ => Ties::default(),
        }
    }

    fn believes(&self, by: Evidence) -> bool {
        by.confidence() >= self.settings.confidence_min
    }

    /// A party was asked to call this target; with when it was.
    fn by_transfer(&self, newcomer: &Newcomer<'_>, known: Known<'_>) -> Option<(Tie, u64)> {
        let fitting = self.transfers.that_fit(newcomer, known.dialogs);
        let mut asked_ns = u64::MAX;
        let ties = fitting.filter_map(|(leg, transfer)| {
            asked_ns = asked_ns.min(transfer.asked_ns());
            // Who was asked, or a box in its place, calls; the target takes the side of who asked.
            let how = (Evidence::Refer, Role::Transfer);
            known.tie(leg, how, Party::Caller, transfer.by.other())
        });
        let ties: Vec<Tie> = ties.collect();
        // Of transfers to one target at a time, it is that of who calls.
        let of_caller = || ties.iter().filter(|tie| is_of_caller(tie, newcomer, known)).copied();
        let tie = only_one(ties.iter().copied())?.ok().or_else(|| only_one(of_caller())?.ok())?;
        (!self.is_of_a_stranger(newcomer, &tie, known)).then_some((tie, asked_ns))
    }

    /// Who calls is not in the call that is transferred, and has another one at the box that sends this INVITE: somebody
    /// calls the same target meanwhile.
    fn is_of_a_stranger(&self, newcomer: &Newcomer<'_>, tie: &Tie, known: Known<'_>) -> bool {
        if is_of_caller(tie, newcomer, known) {
            return false;
        }
        let is_other = |found: &Result<Tie, Ambiguity>| {
            found.as_ref().map_or(true, |other| other.call != tie.call)
        };
        self.through_box(Evidence::Calling, newcomer, known).as_ref().is_some_and(is_other)
    }

    /// A box was sent an INVITE with the same numbers, after the transfer was asked for or as its outcome, and sends it on.
    fn passed_on(
        &self,
        newcomer: &Newcomer<'_>,
        asked_ns: Option<u64>,
        known: Known<'_>,
    ) -> Option<Tie> {
        let found = self.through_box(Evidence::Numbers, newcomer, known)?;
        let tie = found.ok().filter(|tie| self.believes(tie.by))?;
        let front = known.table.get(tie.call)?.invites.get(tie.invite)?;
        let is_outcome = front.joined.is_some_and(|joined| joined.role == Role::Transfer);
        (is_outcome || asked_ns.is_some_and(|asked_ns| asked_ns <= front.invited_ns)).then_some(tie)
    }

    /// Headers of the configuration, and Session-ID.
    fn by_values(&self, newcomer: &Newcomer<'_>, known: Known<'_>) -> Option<Tie> {
        self.values(newcomer.message).find_map(|(by, key)| {
            let holders = self.index.holders(key);
            holders.iter().find_map(|leg| known.same_talk(leg, by, newcomer))
        })
    }

    fn values<'m>(
        &'m self,
        message: &'m Message<'_>,
    ) -> impl Iterator<Item = (Evidence, Key)> + 'm {
        let headers = self.settings.headers.iter().enumerate().filter_map(|(place, name)| {
            let value = message.header_by_name(name).next().filter(|value| !value.is_empty())?;
            Some((Evidence::Header, self.index.key(HEADER, &(place, value))))
        });
        let halves = message.session_id().into_iter();
        let halves = halves.flat_map(|id| [Some(id.local), id.remote].into_iter().flatten());
        let sessions = halves.map(|half| (Evidence::SessionId, self.index.key(SESSION, &half)));
        headers.chain(sessions)
    }

    /// The same media address as in a call whose INVITE came to who sends this one.
    fn by_media(
        &self,
        newcomer: &Newcomer<'_>,
        known: Known<'_>,
    ) -> Option<Result<Tie, Ambiguity>> {
        let teller = newcomer.hop.caller();
        let ties = newcomer.offered().filter_map(|at| {
            let binding = known.table.holder(&at, newcomer.at_ns)?;
            let call = known.table.get(binding.call)?;
            let (invite, is_through) = told_by_another(call, &at, binding.receiver, teller, known)?;
            let (_, _, _, theirs) = known.invite(call.invites.get(invite)?.leg)?;
            let view = known.dialogs.view(theirs.leg)?;
            let age_ns = newcomer.at_ns.saturating_sub(call.started_ns);
            let is_fresh = age_ns <= self.settings.window_ns || !view.is_answered();
            let is_named = theirs.calling.is_some()
                && (theirs.calling, theirs.called) == (newcomer.calling, newcomer.called);
            (is_fresh && (is_through || is_named)).then_some(Tie {
                call: binding.call,
                invite,
                by: Evidence::Media,
                role: Role::Hop,
                mine: Party::Caller,
                theirs: binding.receiver,
            })
        });
        only_one(ties)
    }

    /// The same numbers, or at least the same calling one, through the same box.
    fn by_numbers(
        &self,
        newcomer: &Newcomer<'_>,
        known: Known<'_>,
    ) -> Option<Result<Tie, Ambiguity>> {
        let find = |by| self.through_box(by, newcomer, known);
        find(Evidence::Numbers)
            .or_else(|| find(Evidence::Calling).filter(|_| self.believes(Evidence::Calling)))
    }

    /// An INVITE that came to who sends this one, with both its numbers or with the calling one.
    fn through_box(
        &self,
        by: Evidence,
        newcomer: &Newcomer<'_>,
        known: Known<'_>,
    ) -> Option<Result<Tie, Ambiguity>> {
        if newcomer.origin != Origin::Invite {
            return None;
        }
        let (calling, called) = (newcomer.calling?, newcomer.called);
        if by == Evidence::Numbers && called.is_none() {
            return None;
        }
        let from = newcomer.hop.caller();
        let is_one_host = from.ip() == newcomer.hop.callee().ip();
        let ports = [Some(0), is_one_host.then_some(from.port())];
        let holders = ports.into_iter().flatten().map(|port| {
            let key = match by {
                Evidence::Numbers => self.index.key(NUMBERS, &(calling, called, from.ip(), port)),
                _ => self.index.key(CALLING, &(calling, from.ip(), port)),
            };
            self.index.holders(key)
        });
        self.candidates(holders, by, newcomer, known)
    }

    fn candidates(
        &self,
        holders: impl Iterator<Item = Holders>,
        by: Evidence,
        newcomer: &Newcomer<'_>,
        known: Known<'_>,
    ) -> Option<Result<Tie, Ambiguity>> {
        let mut is_crowded = false;
        let mut legs: Vec<LegId> = Vec::new();
        for holders in holders {
            is_crowded |= holders.is_crowded();
            legs.extend(holders.iter());
        }
        let ties: Vec<Tie> = legs
            .into_iter()
            .filter_map(|leg| {
                let (_, _, _, theirs) = known.invite(leg)?;
                let view = known.dialogs.view(leg).filter(|view| !view.is_over())?;
                let age_ns = newcomer.at_ns.saturating_sub(theirs.invited_ns);
                let in_time = by == Evidence::Calling || age_ns <= self.settings.window_ns;
                let passes = view.hops().any(|hop| goes_on(hop, newcomer.hop));
                let is_other = leg != newcomer.leg && theirs.hop.caller() != newcomer.hop.caller();
                (in_time && passes && is_other).then(|| known.same_talk(leg, by, newcomer))?
            })
            .collect();
        match only_one(ties.into_iter()) {
            Some(Ok(_)) if is_crowded => Some(Err(Ambiguity { by })),
            found => found,
        }
    }

    /// Remembers by what an INVITE can be found.
    pub fn remember(&mut self, newcomer: &Newcomer<'_>, keys: &mut Keys) {
        let values: Vec<Key> = self.values(newcomer.message).map(|(_, key)| key).collect();
        for key in values {
            self.index.add(keys, key, newcomer.leg);
        }
        if let Some(focus) = focus_of(newcomer.message) {
            let key = self.index.key(FOCUS, &focus);
            self.index.add(keys, key, newcomer.leg);
        }
        if newcomer.origin == Origin::Invite {
            self.remember_numbers(newcomer.leg, newcomer.invite_numbers(), newcomer.hop, keys);
        }
    }

    /// An INVITE went through here with these numbers: who receives it may send another one.
    pub fn remember_numbers(
        &mut self,
        leg: LegId,
        (calling, called): Numbers,
        hop: Hop,
        keys: &mut Keys,
    ) {
        let Some(calling) = calling else { return };
        let is_one_host = hop.caller().ip() == hop.callee().ip();
        let (to, port) = (hop.callee().ip(), if is_one_host { hop.callee().port() } else { 0 });
        let both = self.index.key(NUMBERS, &(calling, called, to, port));
        let one = self.index.key(CALLING, &(calling, to, port));
        self.index.add(keys, both, leg);
        self.index.add(keys, one, leg);
    }

    /// What a later message of a leg says: another call that it belongs to, if there is one.
    pub fn learn(
        &mut self,
        leg: LegId,
        (message, sender): (&Message<'_>, Party),
        keys: &mut Keys,
        known: Known<'_>,
    ) -> Option<Tie> {
        let own = known.seats.get(&leg)?.call;
        let (_, _, _, invite) = known.invite(leg)?;
        let numbers = (invite.calling, invite.called);
        let mut found = None;
        let values: Vec<(Evidence, Key)> = self.values(message).collect();
        for (by, key) in values {
            let holders = self.index.holders(key);
            let other =
                holders.iter().find(|other| known.seats.get(other).is_some_and(|s| s.call != own));
            let tie = other.and_then(|other| same_talk_of(other, by, numbers, known));
            found = found.or(tie);
            self.index.add(keys, key, leg);
        }
        if let Some(focus) = focus_of(message) {
            let key = self.index.key(FOCUS, &focus);
            found = found.or(self.conference(key, (leg, sender), Evidence::Focus, known));
            self.index.add(keys, key, leg);
        }
        found
    }

    /// A mixer at `mixer`, which is the party `mine` of the leg, has these voices: another call that it mixes, too. Nobody
    /// but a mixer names them, so that what is remembered is of mixers alone.
    pub fn by_voices(
        &mut self,
        (leg, mine): (LegId, Party),
        (mixer, voices): (IpAddr, &[u32]),
        keys: &mut Keys,
        known: Known<'_>,
    ) -> Option<Tie> {
        let mut found = None;
        for voice in voices {
            let key = self.index.key(VOICE, &(mixer, voice));
            found = found.or_else(|| self.conference(key, (leg, mine), Evidence::Mixer, known));
            self.index.add(keys, key, leg);
        }
        found
    }

    /// Another call of a conference that has this key.
    fn conference(
        &self,
        key: Key,
        (leg, mine): (LegId, Party),
        by: Evidence,
        known: Known<'_>,
    ) -> Option<Tie> {
        let own = known.seats.get(&leg)?.call;
        let is_other = |other: &LegId| known.seats.get(other).is_some_and(|seat| seat.call != own);
        let other = self.index.holders(key).iter().find(is_other)?;
        conference(other, by, mine, known)
    }

    /// A leg's media is now where another call's was: a box has connected them without touching it.
    pub fn by_moved_media(
        &self,
        own: CallSlot,
        (at, teller): (Endpoint, std::net::SocketAddr),
        displaced: crate::call::binding::Binding,
        mine: Party,
        at_ns: u64,
        known: Known<'_>,
    ) -> Option<Tie> {
        let call = known.table.get(displaced.call).filter(|call| call.ended_ns.is_none())?;
        if displaced.call == own || !self.believes(Evidence::Media) {
            return None;
        }
        let (invite, is_through) = told_by_another(call, &at, displaced.receiver, teller, known)?;
        let is_heard = call.heard_ns.saturating_add(HEARD_NS) >= at_ns;
        let theirs: Side = displaced.receiver;
        (is_through && is_heard).then_some(Tie {
            call: displaced.call,
            invite,
            by: Evidence::Media,
            role: Role::Hop,
            mine,
            theirs,
        })
    }

    /// A leg's call is finished.
    pub fn forget(&mut self, leg: LegId, keys: &Keys) {
        self.index.remove(keys, leg);
        self.transfers.forget(leg);
    }
}

/// Calling and called number.
pub type Numbers = (Option<crate::call::number::Number>, Option<crate::call::number::Number>);

impl Newcomer<'_> {
    pub const fn invite_numbers(&self) -> Numbers {
        (self.calling, self.called)
    }
}

/// The tie, if all are to one call.
fn only_one(ties: impl Iterator<Item = Tie>) -> Option<Result<Tie, Ambiguity>> {
    let mut found: Option<Tie> = None;
    for tie in ties {
        match found {
            Some(first) if first.call != tie.call => return Some(Err(Ambiguity { by: tie.by })),
            Some(_) => {}
            None => found = Some(tie),
        }
    }
    found.map(Ok)
}

/// Whether a party of the call has the calling number.
fn is_of_caller(tie: &Tie, newcomer: &Newcomer<'_>, known: Known<'_>) -> bool {
    let Some(call) = known.table.get(tie.call).filter(|_| newcomer.calling.is_some()) else {
        return false;
    };
    let mut numbers = call.invites.iter().flat_map(|invite| [invite.calling, invite.called]);
    numbers.any(|number| number == newcomer.calling)
}

/// Replaces, Join and Target-Dialog name the other dialog.
fn by_name(message: &Message<'_>, known: Known<'_>) -> Option<Tie> {
    let between =
        |named: &Replaces| known.dialogs.between(&named.call_id, &named.to_tag, &named.from_tag);
    if let Some((leg, receiver)) = message.replaces().and_then(|named| between(&named)) {
        let how = (Evidence::Replaces, Role::Transfer);
        return known.tie(leg, how, Party::Callee, receiver);
    }
    if let Some((leg, receiver)) = message.join().and_then(|named| between(&named)) {
        return known.tie(leg, (Evidence::Join, Role::Conference), Party::Callee, receiver);
    }
    let target = message.target_dialog()?;
    let (leg, receiver) =
        known.dialogs.between(target.call_id, target.remote_tag, target.local_tag)?;
    known.tie(leg, (Evidence::TargetDialog, Role::Transfer), Party::Callee, receiver)
}

/// A session border controller that renames tags and leaves the Call-ID.
fn by_call_id(newcomer: &Newcomer<'_>, known: Known<'_>) -> Option<Tie> {
    let (cseq, _) = newcomer.message.cseq();
    let mut legs = known.dialogs.with_call_id(newcomer.message.call_id());
    let is_it = |leg: &LegId| {
        let Some((_, _, _, theirs)) = known.invite(*leg).filter(|_| *leg != newcomer.leg) else {
            return false;
        };
        let Some(view) = known.dialogs.view(*leg).filter(|view| !view.is_over()) else {
            return false;
        };
        let same = |one: Option<_>, other| one.is_some() && one == other;
        let passes = view.hops().any(|hop| goes_on(hop, newcomer.hop));
        let is_copy = view.invite_cseq() == Some(cseq)
            && !view.is_answered()
            && (same(theirs.calling, newcomer.calling) || same(theirs.called, newcomer.called));
        let from_elsewhere = view.hops().all(|hop| hop.caller().ip() != newcomer.hop.caller().ip());
        passes || (is_copy && from_elsewhere)
    };
    let leg = legs.find(is_it)?;
    known.same_talk(leg, Evidence::CallId, newcomer)
}

/// A conference calls, or is called, that others are in.
fn by_focus(correlator: &Correlator, newcomer: &Newcomer<'_>, known: Known<'_>) -> Option<Tie> {
    let focus = focus_of(newcomer.message)?;
    let key = correlator.index.key(FOCUS, &focus);
    let holders = correlator.index.holders(key);
    holders.iter().find_map(|leg| conference(leg, Evidence::Focus, Party::Caller, known))
}

/// `mine`: which party of the leg is the conference.
fn conference(other: LegId, by: Evidence, mine: Party, known: Known<'_>) -> Option<Tie> {
    let (_, _, _, theirs) = known.invite(other)?;
    let focus = theirs.focus?;
    known.tie(other, (by, Role::Conference), mine, focus)
}

fn same_talk_of(other: LegId, by: Evidence, numbers: Numbers, known: Known<'_>) -> Option<Tie> {
    let (_, _, _, theirs) = known.invite(other)?;
    let is = |one: Option<_>, other| one.is_some() && one == other;
    let straight = is(numbers.0, theirs.calling) || is(numbers.1, theirs.called);
    let crossed = is(numbers.0, theirs.called) || is(numbers.1, theirs.calling);
    let party = if crossed && !straight { Party::Callee } else { Party::Caller };
    known.tie(other, (by, Role::Hop), Party::Caller, party)
}

/// RFC 4579 section 5.1: the Contact of a focus has `isfocus`. One that does not say which conference it is stands for
/// all of them.
pub fn focus_of<'m>(message: &Message<'m>) -> Option<(&'m [u8], &'m [u8], Option<u16>)> {
    let contact = message.contact().filter(|contact| contact.param(b"isfocus").is_some())?;
    let uri = contact.sip_uri()?;
    Some((uri.user.filter(|user| !user.is_empty())?, uri.host, uri.port))
}

/// The INVITE of a call that announced `at` by the word of another host than `teller`, and whether its signalling
/// passed `teller`.
fn told_by_another(
    call: &Call,
    at: &Endpoint,
    receiver: Side,
    teller: std::net::SocketAddr,
    known: Known<'_>,
) -> Option<(InviteIndex, bool)> {
    let is_it =
        |announced: &&crate::call::Announced| announced.rtp == *at && announced.party == receiver;
    let announced = call.announced.iter().rev().find(is_it)?;
    let invite = call.invites.get(announced.hop.invite()).filter(|invite| !invite.is_over)?;
    let told_by = announced.teller.to_socket_addr();
    if told_by == teller {
        return None;
    }
    let view = known.dialogs.view(invite.leg)?;
    let is_there = |end: std::net::SocketAddr| end.ip() == teller.ip();
    let is_apart = told_by.ip() != teller.ip();
    let passes =
        is_apart && view.hops().any(|hop| is_there(hop.caller()) || is_there(hop.callee()));
    let on_one_host =
        !is_apart && view.hops().any(|hop| hop.caller() == teller || hop.callee() == teller);
    (is_apart || on_one_host).then_some((announced.hop.invite(), passes || on_one_host))
}
