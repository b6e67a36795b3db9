//! Legs that begin, and the calls that they belong to; transfers; what turns out later (CALL-5).

use std::fmt::Write;
use std::net::SocketAddr;

use earwitness_voip::dialog::{
    Class, DialogEvent, DialogId, EventKind, Hop, LegId, Observed, Origin, Seen,
};
use earwitness_voip::sip::{self, Message, Method, Replaces};
use sha2::{Digest, Sha256};

use super::super::correlator::{Known, Seat, Ties, focus_of};
use super::super::keys::Keys;
use super::super::newcomer::{
    Newcomer, address_text, note_identities, note_past_proxy, number, request_uri, target_text,
};
use super::super::transfers::{LINGER_NS, PATIENCE_NS, Transfer};
use super::{Cause, Displaced, Signalling, tag_text};
use crate::call::joining::{Apart, Tie};
use crate::call::leg::{Evidence, Invite, InviteIndex, Leg, Role, Said};
use crate::call::number::Number;
use crate::call::parties::End;
use crate::call::table::{CallTable, Opening};
use crate::call::{CallSlot, Party, State};

impl Signalling {
    const fn known<'k>(&'k self, table: &'k CallTable) -> Known<'k> {
        Known { dialogs: &self.dialogs, seats: &self.seats, table }
    }

    /// A leg has begun: it is a call, or a part of one.
    pub(super) fn create(
        &mut self,
        (leg, at_ns): (LegId, u64),
        (origin, hop): (Origin, Hop),
        cause: Cause<'_>,
        table: &mut CallTable,
    ) {
        let message = cause.message;
        let newcomer = Newcomer::new((leg, at_ns), (origin, hop), message, cause.rest);
        let mut ties = self.correlator.ties(&newcomer, self.known(table));
        if let (Some(first), Some(second)) = (ties.first, ties.second) {
            // Who was asked to call has called, and the party that was consulted is there.
            self.merge_consultation(&first, &second, at_ns, table);
            ties = self.correlator.ties(&newcomer, self.known(table));
        }
        let joined = ties.first.and_then(|tie| self.join(&newcomer, &tie, table));
        let (call, invite) =
            joined.unwrap_or_else(|| (self.open(&newcomer, &ties, table), InviteIndex(0)));
        let mut keys = Keys::default();
        self.correlator.remember(&newcomer, &mut keys);
        self.seats.insert(leg, Seat { call, invite, keys });
        if focus_of(message).is_some()
            && let Some(known) = table.get_mut(call).and_then(|call| call.invites.get_mut(invite))
        {
            known.focus = Some(Party::Caller);
        }
    }

    /// The INVITE of a leg that has just begun, and who is registered at its ends: of several at one address, whose device
    /// the caller gives out, or the callee is asked for by.
    fn invite(&self, newcomer: &Newcomer<'_>) -> Invite {
        let mut invite = newcomer.invite();
        for (party, said) in [(Party::Caller, Said::Contact), (Party::Callee, Said::RequestUri)] {
            let own = invite.said(said, Party::Caller).next();
            let user = own.and_then(|own| own.split('@').next());
            if let Some(record) = self.registrations.at(invite.address(party), user, newcomer.at_ns)
            {
                invite.note(Said::Registration, party, record);
            }
        }
        invite
    }

    /// Notes who is registered where a party signals from. Returns whether anybody is.
    fn note_registered(
        &self,
        invite: &mut Invite,
        (party, place): (Party, SocketAddr),
        user: Option<&str>,
        at_ns: u64,
    ) -> bool {
        let record = self.registrations.at(place, user, at_ns);
        record.into_iter().for_each(|record| invite.note(Said::Registration, party, record));
        record.is_some()
    }

    fn join(
        &mut self,
        newcomer: &Newcomer<'_>,
        tie: &Tie,
        table: &mut CallTable,
    ) -> Option<(CallSlot, InviteIndex)> {
        let mut invite = self.invite(newcomer);
        let call = table.get(tie.call)?;
        let own = |text: Option<String>, ours: &Option<String>| {
            text.filter(|text| Some(text) != ours.as_ref()).map(String::into_boxed_str)
        };
        invite.from = own(address_text(newcomer.message.from()), &call.from);
        invite.to = own(address_text(newcomer.message.to()), &call.to);
        let index = table.join(tie, invite, first_leg(newcomer), newcomer.at_ns)?;
        self.metrics.legs_joined.with_label_values(&[tie.by.name()]).inc();
        Some((tie.call, index))
    }

    fn open(&mut self, newcomer: &Newcomer<'_>, ties: &Ties, table: &mut CallTable) -> CallSlot {
        let (message, at_ns) = (newcomer.message, newcomer.at_ns);
        let slot = table.open(Opening {
            id: call_identity(at_ns, message),
            call_id: sip::text(message.call_id()).into_owned(),
            from: address_text(message.from()),
            to: address_text(message.to()),
            at_ns,
            joined_late: newcomer.origin == Origin::InProgress,
            invite: self.invite(newcomer),
        });
        self.metrics.calls_started.inc();
        if let Some(call) = table.get_mut(slot) {
            call.add_leg(first_leg(newcomer));
            if ties.first.is_some() {
                self.metrics.legs_apart.inc();
                let text =
                    "a call of its own: the one that it belongs to is as large as a call may be";
                call.trace.note(at_ns, "limit", text);
            }
            if let Some(ambiguous) = ties.ambiguous {
                let text = format!("not joined by {}: several calls fit", ambiguous.by.name());
                call.trace.note(at_ns, "leg", text);
            }
        }
        slot
    }

    /// Makes two calls one. `tie` is about the INVITE `invite` of `tied`.
    pub(super) fn merge(
        &mut self,
        (tied, invite): (CallSlot, InviteIndex),
        tie: &Tie,
        at_ns: u64,
        table: &mut CallTable,
    ) -> bool {
        let moved = match table.merge(tied, invite, tie, at_ns) {
            Ok(moved) => moved,
            Err(Apart::Settled) => return false,
            Err(Apart::TooLarge) => {
                self.metrics.legs_apart.inc();
                return false;
            }
        };
        self.control.moved(&moved, table);
        self.metrics.legs_joined.with_label_values(&[tie.by.name()]).inc();
        let Some(call) = table.get(moved.into) else { return false };
        for (index, invite) in call.invites.numbered().skip(usize::from(moved.before)) {
            if let Some(seat) = self.seats.get_mut(&invite.leg) {
                (seat.call, seat.invite) = (moved.into, index);
            }
        }
        true
    }

    /// `second` is the call between who transferred and who was consulted, `first` the one that was transferred: who
    /// transferred is on one side of both.
    fn merge_consultation(
        &mut self,
        first: &Tie,
        second: &Tie,
        at_ns: u64,
        table: &mut CallTable,
    ) -> bool {
        let Some(consulted) =
            table.get(second.call).and_then(|call| call.invites.get(second.invite))
        else {
            return false;
        };
        let on_theirs = if consulted.turned { second.theirs.other() } else { second.theirs };
        let tie = Tie {
            by: Evidence::Refer,
            role: Role::Consultation,
            mine: on_theirs.other(),
            theirs: first.theirs.other(),
            ..*first
        };
        self.merge((second.call, second.invite), &tie, at_ns, table)
    }

    /// What a message says besides its events: it passed another hop, or names what other legs have, too.
    pub(super) fn look_for_ties(
        &mut self,
        observed: &Observed,
        seen: Seen,
        message: &Message<'_>,
        events: &[DialogEvent],
        table: &mut CallTable,
    ) {
        let Some(dialog) = observed.dialog else {
            if observed.class == Class::Unrelated && message.method() == Method::Refer {
                self.refer_aside(seen, message, table);
            }
            return;
        };
        let is_news = |event: &DialogEvent| {
            matches!(event.kind, EventKind::Answered | EventKind::MediaChanged { .. })
        };
        let first = events.first().map(|event| &event.kind);
        let began = matches!(first, Some(EventKind::Created { .. }));
        let is_invite = message.is_request() && message.method() == Method::Invite;
        if !began && is_invite && message.to().tag.is_none() {
            self.invited((dialog.leg, seen.ts_ns), seen, message, table);
        }
        if !began && message.method() == Method::Invite && events.iter().any(is_news) {
            self.learn(dialog.leg, seen.ts_ns, message, table);
        }
    }

    /// An INVITE was seen again: at another hop, with credentials, or behind its answer.
    fn invited(
        &mut self,
        (leg, at_ns): (LegId, u64),
        seen: Seen,
        message: &Message<'_>,
        table: &mut CallTable,
    ) {
        let hop = Hop::new(seen.src, seen.dst);
        let Some(place) = self.seats.get(&leg).map(Seat::place) else { return };
        let Some(invite) = invite_at(place, table) else { return };
        invite.invited_ns = invite.invited_ns.max(at_ns);
        let user = request_uri(message).and_then(|uri| uri.user).map(sip::text);
        let registered = self.registrations.at(hop.callee(), user.as_deref(), at_ns);
        if let Some(target) = registered.map(str::to_owned).or_else(|| target_text(message)) {
            invite.sent_on(hop, &target);
        }
        let is_told = note_past_proxy(invite, message);
        let is_known =
            self.note_registered(invite, (Party::Callee, hop.callee()), user.as_deref(), at_ns);
        let (numbers, is_first) = ((invite.calling, invite.called), invite.joined.is_none());
        if let Some(seat) = self.seats.get_mut(&leg) {
            self.correlator.remember_numbers(leg, numbers, hop, &mut seat.keys);
        }
        if is_known || is_told {
            table.decide_again(place.0, at_ns);
        }
        // Of lanes that are read one after the other, the answer may have come first.
        if is_first && table.get(place.0).is_some_and(|call| call.joined_late) {
            let newcomer = Newcomer::new((leg, at_ns), (Origin::Invite, hop), message, &[]);
            let ties = self.correlator.ties(&newcomer, self.known(table));
            if let Some(tie) = ties.first.filter(|tie| tie.call != place.0) {
                self.merge(place, &tie, at_ns, table);
            }
        }
    }

    fn learn(&mut self, leg: LegId, at_ns: u64, message: &Message<'_>, table: &mut CallTable) {
        let Some(seat) = self.seats.get_mut(&leg) else { return };
        let (place, mut keys) = (seat.place(), std::mem::take(&mut seat.keys));
        let sender = sender(place, message, table);
        if focus_of(message).is_some()
            && let Some(invite) = invite_at(place, table)
        {
            invite.focus = Some(sender);
        }
        let Self { correlator, dialogs, seats, .. } = self;
        let known = Known { dialogs, seats, table };
        let tie = correlator.learn(leg, (message, sender), &mut keys, known);
        if let Some(seat) = self.seats.get_mut(&leg) {
            seat.keys = keys;
        }
        if let Some(tie) = tie {
            self.merge(place, &tie, at_ns, table);
        }
    }

    /// Who answered, as it says itself.
    pub(super) fn note_callee(
        &mut self,
        dialog: DialogId,
        message: Option<&Message<'_>>,
        table: &mut CallTable,
    ) {
        let Some(place) = self.seats.get(&dialog.leg).map(Seat::place) else { return };
        let Some(message) = message.filter(|message| message.status().is_some()) else { return };
        let sender = sender(place, message, table);
        if let Some(invite) = invite_at(place, table) {
            note_identities(invite, sender, message);
        }
    }

    /// A leg receives now where another call did.
    pub(super) fn media_moved(
        &mut self,
        leg: LegId,
        displaced: Option<Displaced>,
        cause: Option<Cause<'_>>,
        table: &mut CallTable,
    ) {
        let (Some(Displaced { at, binding, mine }), Some(cause)) = (displaced, cause) else {
            return;
        };
        let Some(place) = self.seats.get(&leg).map(Seat::place) else { return };
        // What an INVITE offers was looked at when it came.
        if cause.message.is_request() && cause.message.to().tag.is_none() {
            return;
        }
        // Each message says again what the other side has said.
        if sender(place, cause.message, table) != mine {
            return;
        }
        let (at_ns, told) = (cause.seen.ts_ns, (at, cause.seen.src));
        let known = self.known(table);
        let tie = self.correlator.by_moved_media(place.0, told, binding, mine, at_ns, known);
        if let Some(tie) = tie {
            self.merge(place, &tie, at_ns, table);
        }
    }

    /// A leg is over.
    pub(super) fn leg_over(&mut self, leg: LegId, at_ns: u64, reason: &str, table: &mut CallTable) {
        let transfer = self.correlator.transfers.of(leg).copied();
        if let Some(transfer) = transfer.filter(|transfer| at_ns <= transfer.until_ns) {
            if transfer.is_accepted {
                self.connect(leg, &transfer, at_ns, table);
            }
            if let Some(seat) = self.seats.get(&leg) {
                table.expect_transfer(seat.call, at_ns.saturating_add(LINGER_NS));
            }
        }
        if let Some(seat) = self.seats.get(&leg) {
            table.leg_over(seat.call, seat.invite, at_ns, reason);
        }
    }

    /// Events about transfers.
    pub(super) fn transfer(
        &mut self,
        event: &DialogEvent,
        cause: Option<Cause<'_>>,
        table: &mut CallTable,
    ) {
        let leg = event.dialog.leg;
        match &event.kind {
            EventKind::Referred { by, target, replaces } => {
                if let Some(Cause { seen, message, .. }) = cause {
                    self.refer(
                        (leg, *by),
                        (target, replaces.as_ref()),
                        message,
                        (seen, event.ts_ns),
                    );
                }
            }
            EventKind::ReferAnswered { code: 200..=299, .. } => {
                if let Some(transfer) = self.correlator.transfers.of(leg) {
                    transfer.is_accepted = true;
                }
            }
            EventKind::ReferProgress { code: 200..=299, .. } => {
                if let Some(transfer) = self.correlator.transfers.of(leg).copied() {
                    self.connect(leg, &transfer, event.ts_ns, table);
                }
                self.refer_is_over(leg, table);
            }
            EventKind::ReferAnswered { code: 300.., .. }
            | EventKind::ReferProgress { code: 300.., .. } => {
                self.refer_is_over(leg, table);
            }
            _ => {}
        }
    }

    fn refer_is_over(&mut self, leg: LegId, table: &mut CallTable) {
        if self.correlator.transfers.forget(leg).is_some()
            && let Some(seat) = self.seats.get(&leg)
        {
            table.expect_no_transfer(seat.call);
        }
    }

    fn refer(
        &mut self,
        (leg, by): (LegId, Party),
        (target, replaces): (&[u8], Option<&Replaces>),
        message: &Message<'_>,
        (seen, at_ns): (Seen, u64),
    ) {
        let hop = match by {
            Party::Caller => Hop::new(seen.src, seen.dst),
            Party::Callee => Hop::new(seen.dst, seen.src),
        };
        let replaces = replaces
            .and_then(|named| self.dialogs.between(&named.call_id, &named.to_tag, &named.from_tag));
        let target = sip::SipUri::parse(target).and_then(|uri| Number::read(uri.user?));
        let referred_by = message.referred_by();
        let referrers = [number(message.from()), referred_by.as_ref().and_then(number)];
        let until_ns = at_ns.saturating_add(PATIENCE_NS);
        let transfer =
            Transfer { by, target, referrers, hop, replaces, until_ns, is_accepted: false };
        self.correlator.transfers.ask(leg, transfer);
    }

    /// REFER outside of the dialog that it is about (RFC 4538).
    fn refer_aside(&mut self, seen: Seen, message: &Message<'_>, table: &mut CallTable) {
        let Some(about) = message.target_dialog().filter(|_| message.is_request()) else { return };
        let found = self.dialogs.between(about.call_id, about.local_tag, about.remote_tag);
        let (Some((leg, by)), Some(target)) = (found, message.refer_to()) else { return };
        let replaces = target.sip_uri().and_then(|uri| Replaces::parse(&uri.header(b"Replaces")?));
        self.refer((leg, by), (target.uri, replaces.as_ref()), message, (seen, seen.ts_ns));
        if let Some(call) = self.seats.get(&leg).and_then(|seat| table.get_mut(seat.call)) {
            let target = String::from_utf8_lossy(target.uri);
            call.trace.note(seen.ts_ns, "transfer", format!("{} transfers to {target}", by.name()));
        }
    }

    /// A box connects who was transferred with who was consulted, by itself: no INVITE says so.
    fn connect(&mut self, leg: LegId, transfer: &Transfer, at_ns: u64, table: &mut CallTable) {
        let Some((replaced, target)) = transfer.replaces else { return };
        let (Some(first), Some(second)) = (self.seats.get(&leg), self.seats.get(&replaced)) else {
            return;
        };
        if first.call == second.call {
            return;
        }
        let side =
            |seat: &Seat, party| Some(table.get(seat.call)?.invites.get(seat.invite)?.side(party));
        let (Some(asker), Some(consulted)) = (side(first, transfer.by), side(second, target))
        else {
            return;
        };
        let (by, role, mine) = (Evidence::Refer, Role::Consultation, Party::Caller);
        let tie = |seat: &Seat, theirs| Tie {
            call: seat.call,
            invite: seat.invite,
            by,
            role,
            mine,
            theirs,
        };
        let (first, second) = (tie(first, asker.other()), tie(second, consulted));
        if self.merge_consultation(&first, &second, at_ns, table) {
            self.bridge(leg, replaced, transfer.by, at_ns, table);
        }
    }

    fn bridge(&self, leg: LegId, replaced: LegId, by: Party, at_ns: u64, table: &mut CallTable) {
        let (Some(first), Some(second)) = (self.seats.get(&leg), self.seats.get(&replaced)) else {
            return;
        };
        let Some(call) = table.get(first.call) else { return };
        let (Some(own), Some(other)) =
            (call.invites.get(first.invite), call.invites.get(second.invite))
        else {
            return;
        };
        let side = own.side(by);
        let open = |talk| {
            let is_it = move |known: &&crate::call::parties::Together| {
                known.talk == talk && known.until_ns.is_none()
            };
            call.together.iter().rev().find(is_it)
        };
        let (Some(transferred), Some(consulted)) = (open(own.talk), open(other.talk)) else {
            return;
        };
        let is_beyond = |(index, invite): &(InviteIndex, &Invite)| {
            invite.talk == other.talk && *index != second.invite && !invite.is_over
        };
        let beyond: Vec<InviteIndex> =
            call.invites.numbered().filter(is_beyond).map(|(index, _)| index).collect();
        if beyond.is_empty() {
            return;
        }
        // Who was consulted was where who was transferred is.
        let (stays, comes): (End, End) = (transferred.on(side.other()), consulted.on(side.other()));
        let ends = if side == Party::Callee { (stays, comes) } else { (comes, stays) };
        table.bridge(first.call, ends, &beyond, at_ns);
    }
}

fn invite_at(
    (call, invite): (CallSlot, InviteIndex),
    table: &mut CallTable,
) -> Option<&mut Invite> {
    table.get_mut(call)?.invites.get_mut(invite)
}

/// Whose message it is, as the leg has its parties.
fn sender(
    (call, invite): (CallSlot, InviteIndex),
    message: &Message<'_>,
    table: &CallTable,
) -> Party {
    let legs = table.get(call).map_or(&[][..], |call| &call.legs);
    let caller_tag =
        legs.iter().find(|leg| leg.invite == invite).and_then(|leg| leg.from_tag.as_deref());
    let from_tag = message.from().tag.map(sip::text);
    let requester = if from_tag.as_deref() == caller_tag { Party::Caller } else { Party::Callee };
    if message.is_request() { requester } else { requester.other() }
}

fn first_leg(newcomer: &Newcomer<'_>) -> Leg {
    let message = newcomer.message;
    Leg {
        invite: InviteIndex(0),
        call_id: sip::text(message.call_id()).into_owned(),
        from_tag: tag_text(message.from()),
        to_tag: tag_text(message.to()),
        state: State::Trying,
        started_ns: newcomer.at_ns,
        answered_ns: None,
        ended_ns: None,
        end_reason: None,
        answerer: None,
    }
}

/// Two numbers of twelve hexadecimal digits.
const IDENTITY_BYTES: usize = 12 + 1 + 12;

/// Sortable by time, and the same each time the same log is read.
fn call_identity(at_ns: u64, message: &Message<'_>) -> String {
    let mut hash = Sha256::new();
    hash.update(message.call_id());
    hash.update([0]);
    hash.update(message.from().tag.unwrap_or_default());
    hash.update(at_ns.to_be_bytes());
    let digest = hash.finalize();
    let tail = digest[..6].iter().fold(0_u64, |tail, byte| tail << 8 | u64::from(*byte));
    let mut id = String::with_capacity(IDENTITY_BYTES);
    // A string takes whatever is written.
    let _ = write!(id, "{:012x}-{tail:012x}", at_ns / 1_000_000);
    id
}
