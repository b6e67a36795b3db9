//! What SIP says becomes what calls are: dialog events in, changes of the call table out.

mod joins;
mod mixers;
#[cfg(test)]
mod scenarios;

use std::sync::Arc;

use earwitness_segment::{LaneId, RecordPos};
use earwitness_voip::dialog::{
    CallMedia, DialogEvent, DialogId, Dialogs, EndReason, EventKind, MediaState, Observed, PathId,
    Seen, Timeouts,
};
use earwitness_voip::sdp::{Formats, MediaKind};
use earwitness_voip::sip::{self, Message, Method, NameAddr};
use earwitness_wire::Endpoint;
use smallvec::smallvec;

use super::correlator::{Correlation, Correlator, Seats};
use super::registrations::Registrations;
use crate::call::binding::Binding;
use crate::call::leg::{Answerer, InviteIndex, Leg};
use crate::call::table::CallTable;
use crate::call::{Announced, Call, CallSlot, Digit, HopIndex, LegIndex, Party, State};
use crate::control::{Command, Control, Heard, Obeyed};
use crate::metrics::Metrics;

/// Where a message lies in the log.
pub type Place = (LaneId, RecordPos);

/// Follows dialogs and applies what they say.
#[derive(Debug)]
pub struct Signalling {
    dialogs: Dialogs,
    /// The legs of the dialog layer among the calls.
    seats: Seats,
    correlator: Correlator,
    events: Vec<DialogEvent>,
    formats: Formats,
    registrations: Registrations,
    control: Control,
    metrics: Arc<Metrics>,
}

/// What made events: a message, and what else it made.
#[derive(Clone, Copy)]
struct Cause<'m> {
    seen: Seen,
    message: &'m Message<'m>,
    /// The events behind the one that is looked at.
    rest: &'m [DialogEvent],
}

impl Signalling {
    #[must_use]
    pub fn new(settings: Correlation, control: Control, metrics: Arc<Metrics>) -> Self {
        Self {
            control,
            dialogs: Dialogs::new(Timeouts::default()),
            seats: Seats::default(),
            correlator: Correlator::new(settings),
            events: Vec::new(),
            formats: Formats::default(),
            registrations: Registrations::default(),
            metrics,
        }
    }

    /// One SIP message as it came, from these records; what cannot be read is counted by kind.
    pub fn bytes(
        &mut self,
        seen: Seen,
        bytes: &[u8],
        places: &mut dyn Iterator<Item = Place>,
        table: &mut CallTable,
    ) {
        match sip::parse(bytes) {
            Ok(message) => self.message(seen, &message, places, table),
            Err(error) => self.rejected(error.kind()),
        }
    }

    /// A message of a time that is not followed any more: only who registered then counts.
    pub fn registration(&mut self, seen: Seen, bytes: &[u8]) {
        if let Ok(message) = sip::parse(bytes) {
            self.registrations.message(seen, &message);
        }
    }

    /// Counts a message that could not be read.
    pub fn rejected(&self, kind: &str) {
        self.metrics.sip_rejected.with_label_values(&[kind]).inc();
    }

    fn message(
        &mut self,
        seen: Seen,
        message: &Message<'_>,
        places: &mut dyn Iterator<Item = Place>,
        table: &mut CallTable,
    ) {
        for flaw in message.flaws().iter() {
            self.metrics.sip_flaws.with_label_values(&[flaw.kind()]).inc();
        }
        if self.control.dialled(seen, message, table) {
            return;
        }
        self.registrations.message(seen, message);
        let mut events = std::mem::take(&mut self.events);
        let observed = self.dialogs.observe(seen, message, &mut events);
        self.note_answerer(&observed, seen, message, table);
        for (at, event) in events.iter().enumerate() {
            let rest = &events[at + 1..];
            self.apply(event, Some(Cause { seen, message, rest }), table);
        }
        self.look_for_ties(&observed, seen, message, &events, table);
        events.clear();
        self.events = events;
        self.keep_places(&observed, seen, places, table);
        let seat = observed.dialog.and_then(|dialog| self.seats.get(&dialog.leg));
        let slot = seat.map(|seat| seat.call);
        self.control.message(seen, message, slot, table);
        if let Some(slot) = slot {
            table.plan(slot);
        }
        // Each is read once where dialogs read it: the others are of repeated messages, or of none that counts.
        let sdp = observed.sdp.or_else(|| {
            let body = sip::body::sdp(message)?;
            Some(earwitness_voip::sdp::parse(body).map(drop))
        });
        if matches!(sdp, Some(Err(_))) {
            self.metrics.sdp_rejected.inc();
        }
    }

    /// Notes where the first answer of a leg comes from; a further branch is noted with it.
    fn note_answerer(
        &self,
        observed: &Observed,
        seen: Seen,
        message: &Message<'_>,
        table: &mut CallTable,
    ) {
        let Some(code) = message.status().filter(|code| *code > 100) else { return };
        if message.cseq().1 != Method::Invite || message.to().tag.is_none() {
            return;
        }
        let Some(dialog) = observed.dialog else { return };
        let Some(seat) = self.seats.get(&dialog.leg) else { return };
        let Some(call) = table.get_mut(seat.call) else { return };
        let index = call.leg_index(seat.invite, dialog.fork);
        if let Some(leg) = index.and_then(|index| call.legs.get_mut(usize::from(index.0))) {
            leg.answered_from(seen.src, code);
        }
    }

    fn keep_places(
        &self,
        observed: &Observed,
        seen: Seen,
        places: &mut dyn Iterator<Item = Place>,
        table: &mut CallTable,
    ) {
        let Some(seat) = observed.dialog.and_then(|dialog| self.seats.get(&dialog.leg)) else {
            return;
        };
        if let Some(call) = table.get_mut(seat.call) {
            call.heard_ns = call.heard_ns.max(seen.ts_ns);
            places.for_each(|(lane, pos)| _ = call.add_message(lane, pos));
        }
    }

    /// Acts on what did not happen by `now_ns`.
    pub fn tick(&mut self, now_ns: u64, table: &mut CallTable) {
        self.registrations.tick(now_ns);
        let mut events = std::mem::take(&mut self.events);
        self.dialogs.tick(now_ns, &mut events);
        for event in events.drain(..) {
            self.apply(&event, None, table);
        }
        self.events = events;
        self.control.tick(now_ns, table);
    }

    pub fn count_registrations(&mut self) {
        self.metrics.registrations.set(self.registrations.len() as i64);
        let left_out = std::mem::take(&mut self.registrations.left_out);
        self.metrics.registrations_left_out.inc_by(left_out);
    }

    /// See [`super::Intake::remember_registrations`].
    pub fn remember_registrations(&mut self, past: Self) {
        self.registrations = past.registrations;
    }

    /// The input is over: calls that only waited for what need not come end as they were.
    pub fn conclude(&mut self, table: &mut CallTable) {
        let mut events = std::mem::take(&mut self.events);
        self.dialogs.conclude(&mut events);
        for event in events.drain(..) {
            self.apply(&event, None, table);
        }
        self.events = events;
    }

    /// The table has finished a call: its dialogs are over, too.
    pub fn forget(&mut self, call: &Call) {
        self.control.forget(call.slot);
        let mut unheard = Vec::new();
        for invite in call.invites.iter() {
            let Some(seat) = self.seats.remove(&invite.leg) else { continue };
            self.correlator.forget(invite.leg, &seat.keys);
            self.dialogs.end(invite.leg, EndReason::External, call.over_ns(), &mut unheard);
        }
    }

    /// Media of a call that may have keys in it.
    pub fn keys(&mut self, heard: &Heard<'_>, table: &mut CallTable) {
        self.control.packet(heard, table);
    }

    /// A command for the call that has this id or Call-ID, or whose id begins so, or for those of a session.
    pub fn command(&mut self, call: &str, command: &Command, table: &mut CallTable) -> Obeyed {
        self.control.command(call, command, table)
    }

    /// A note of the log.
    pub fn note(&mut self, text: &str, table: &mut CallTable) {
        self.control.read_note(text, table);
    }

    /// What is to be noted in the log.
    pub fn take_notes(&mut self) -> Vec<String> {
        self.control.notes.take()
    }

    /// Where the leg of a dialog is.
    fn place(&self, dialog: DialogId, table: &CallTable) -> Option<Spot> {
        let seat = self.seats.get(&dialog.leg)?;
        let call = table.get(seat.call)?;
        let index = call.leg_index(seat.invite, dialog.fork);
        let leg = index.unwrap_or(LegIndex(dialog.fork));
        let turned = call.invites.get(seat.invite)?.turned;
        Some(Spot { slot: seat.call, invite: seat.invite, leg, turned })
    }

    fn apply(&mut self, event: &DialogEvent, cause: Option<Cause<'_>>, table: &mut CallTable) {
        let at_ns = event.ts_ns;
        if let EventKind::Created { origin, hop } = &event.kind {
            if let Some(cause) = cause {
                self.create((event.dialog.leg, at_ns), (*origin, *hop), cause, table);
            }
            return;
        }
        let Some(spot) = self.place(event.dialog, table) else { return };
        let (slot, leg) = (spot.slot, spot.leg);
        let message = cause.map(|cause| cause.message);
        match &event.kind {
            EventKind::Created { .. } => {}
            EventKind::Forked => add_fork(table, &spot, at_ns, cause),
            EventKind::Ringing { .. } | EventKind::Progress { .. } => ringing(table, slot, leg),
            EventKind::Answered => {
                set_tag(table, slot, leg, message);
                leg_state(table, slot, leg, State::Answered, at_ns);
                self.note_callee(event.dialog, message, table);
                table.answered(slot, Some(leg), at_ns);
            }
            EventKind::MediaChanged { path, media } => {
                let told = Told::new(&spot, *path, (at_ns, cause));
                let displaced = announce(table, &mut self.formats, &told, media);
                self.media_moved(event.dialog.leg, displaced, cause, table);
            }
            EventKind::Digit { by, digit } => {
                let digit = Digit {
                    at_ns,
                    party: spot.side(*by),
                    digit: digit.digit,
                    duration_ms: digit.duration_ms.unwrap_or(0),
                    leg: event.dialog.leg,
                };
                let peer = cause.map(|cause| cause.seen.src.ip());
                self.control.digit(slot, digit, peer, table);
            }
            EventKind::SessionExpired => {
                if let Some(call) = table.get_mut(slot) {
                    call.session_expired = true;
                }
            }
            EventKind::Ended { reason, by, leg_over } => {
                leg_state(table, slot, leg, State::Ended, at_ns);
                if *leg_over {
                    let reason = reason_text(*reason, *by);
                    self.leg_over(event.dialog.leg, at_ns, &reason, table);
                }
            }
            _ => self.transfer(event, cause, table),
        }
        if let Some((what, detail)) = remark(&event.kind)
            && let Some(spot) = self.place(event.dialog, table)
            && let Some(call) = table.get_mut(spot.slot)
        {
            call.trace.note(at_ns, what, detail);
        }
    }
}

/// A leg in its call.
#[derive(Debug, Clone, Copy)]
struct Spot {
    slot: CallSlot,
    invite: InviteIndex,
    leg: LegIndex,
    turned: bool,
}

impl Spot {
    /// The call's side that a party of the leg is on.
    const fn side(&self, party: Party) -> Party {
        if self.turned { party.other() } else { party }
    }
}

fn tag_text(address: &NameAddr<'_>) -> Option<String> {
    address.tag.map(|tag| sip::text(tag).into_owned())
}

/// What the trace says of events that change nothing else.
fn remark(event: &EventKind) -> Option<(&'static str, String)> {
    Some(match event {
        EventKind::SessionExpired => {
            ("session", "the session timer ran out without a refresh".to_owned())
        }
        EventKind::Challenged { code } => {
            ("signalling", format!("{code}: another INVITE is asked for"))
        }
        EventKind::Retried => ("signalling", "INVITE again".to_owned()),
        EventKind::ModificationFailed { by, code } => {
            ("signalling", format!("change by the {} refused: {code}", by.name()))
        }
        EventKind::Referred { by, target, .. } => {
            ("transfer", format!("{} transfers to {}", by.name(), String::from_utf8_lossy(target)))
        }
        EventKind::ReferAnswered { code, .. } if *code >= 300 => {
            ("transfer", format!("transfer refused: {code}"))
        }
        EventKind::ReferProgress { code, .. } => ("transfer", format!("transfer: {code}")),
        _ => return None,
    })
}

fn add_fork(table: &mut CallTable, spot: &Spot, at_ns: u64, cause: Option<Cause<'_>>) {
    let Some(call) = table.get_mut(spot.slot) else { return };
    let to_tag = cause.and_then(|cause| tag_text(cause.message.to()));
    call.trace.note(
        at_ns,
        "fork",
        format!("a further branch answers: {}", to_tag.as_deref().unwrap_or("no tag")),
    );
    let first = call.legs.iter().find(|leg| leg.invite == spot.invite);
    let from_tag = first.and_then(|leg| leg.from_tag.clone());
    let call_id = first.map_or_else(|| call.call_id.clone(), |leg| leg.call_id.clone());
    call.add_leg(Leg {
        invite: spot.invite,
        call_id,
        from_tag,
        to_tag,
        state: State::Ringing,
        started_ns: at_ns,
        answered_ns: None,
        ended_ns: None,
        end_reason: None,
        answerer: cause.map(|cause| Answerer { at: cause.seen.src, has_refused: false }),
    });
}

fn ringing(table: &mut CallTable, slot: CallSlot, leg: LegIndex) {
    let Some(call) = table.get_mut(slot) else { return };
    if call.state == State::Trying {
        call.state = State::Ringing;
    }
    if let Some(leg) =
        call.legs.get_mut(usize::from(leg.0)).filter(|leg| leg.state == State::Trying)
    {
        leg.state = State::Ringing;
    }
    table.touch(slot);
}

fn set_tag(table: &mut CallTable, slot: CallSlot, leg: LegIndex, message: Option<&Message<'_>>) {
    let leg = table.get_mut(slot).and_then(|call| call.legs.get_mut(usize::from(leg.0)));
    if let (Some(leg), Some(message)) = (leg, message) {
        leg.to_tag = leg.to_tag.take().or_else(|| tag_text(message.to()));
    }
}

fn leg_state(table: &mut CallTable, slot: CallSlot, leg: LegIndex, state: State, at_ns: u64) {
    let leg = table.get_mut(slot).and_then(|call| call.legs.get_mut(usize::from(leg.0)));
    let Some(leg) = leg else { return };
    leg.state = state;
    match state {
        State::Answered => leg.answered_ns = leg.answered_ns.or(Some(at_ns)),
        State::Ended => leg.ended_ns = leg.ended_ns.or(Some(at_ns)),
        State::Trying | State::Ringing => {}
    }
}

/// The words of `end_reason`.
fn reason_text(reason: EndReason, by: Option<Party>) -> String {
    match reason {
        EndReason::Bye => by.map_or("bye".to_owned(), |by| format!("bye_{}", by.name())),
        EndReason::Cancelled => "cancelled".to_owned(),
        EndReason::Rejected(code) => format!("rejected_{code}"),
        EndReason::Redirected(code) => format!("redirected_{code}"),
        EndReason::Unanswered => "unanswered".to_owned(),
        EndReason::Unknown => "dialog_unknown".to_owned(),
        EndReason::ForkLost => "fork_lost".to_owned(),
        EndReason::External => "external".to_owned(),
        EndReason::Evicted => "too_many_calls".to_owned(),
    }
}

/// An address that another call had until now.
#[derive(Debug, Clone, Copy)]
struct Displaced {
    at: Endpoint,
    binding: Binding,
    /// Whose it is now; as the leg has it.
    mine: Party,
}

/// Of which dialog a description is, when it was seen, and whose message it was in.
#[derive(Clone, Copy)]
struct Told {
    spot: Spot,
    hop: HopIndex,
    at_ns: u64,
    teller: Endpoint,
}

impl Told {
    fn new(spot: &Spot, path: PathId, (at_ns, cause): (u64, Option<Cause<'_>>)) -> Self {
        let teller = cause.map(|cause| cause.seen.src.into()).unwrap_or_default();
        Self { spot: *spot, hop: HopIndex::new(spot.invite, path.0), at_ns, teller }
    }
}

fn announce(
    table: &mut CallTable,
    formats: &mut Formats,
    told: &Told,
    media: &MediaState,
) -> Option<Displaced> {
    if let Some(call) = table.get_mut(told.spot.slot) {
        let audio = || media.lines().filter(|line| line.kind == MediaKind::Audio && line.active);
        let held = audio().next().is_some() && audio().all(|l| l.caller.holds || l.callee.holds);
        call.hold(told.spot.invite, held, told.at_ns);
    }
    let mut displaced = None;
    let mut has_video = false;
    let mut line = |line: CallMedia<'_>| {
        has_video |= line.kind == MediaKind::Video && line.active;
        if line.kind == MediaKind::Audio {
            for mine in [Party::Caller, Party::Callee] {
                let by_it = announce_side(table, formats, told, mine, &line);
                displaced = displaced.or(by_it);
            }
        } else {
            leave_out(table, told, &line);
        }
    };
    media.lines().for_each(&mut line);
    media.pending_lines(Party::Caller).for_each(&mut line);
    media.pending_lines(Party::Callee).for_each(&mut line);
    if let Some(call) = table.get_mut(told.spot.slot)
        && call.has_video != has_video
    {
        call.has_video = has_video;
        table.decide_again(told.spot.slot, told.at_ns);
    }
    displaced
}

fn announce_side(
    table: &mut CallTable,
    formats: &mut Formats,
    told: &Told,
    mine: Party,
    line: &CallMedia<'_>,
) -> Option<Displaced> {
    let Told { spot, hop, at_ns, teller } = *told;
    // The caller is the same to every branch.
    let (side, leg) = match mine {
        Party::Caller => (line.caller, None),
        Party::Callee => (line.callee, Some(spot.leg)),
    };
    let mut displaced = None;
    for rtp in side.rtp.into_iter().chain(side.candidates()) {
        let at = Endpoint::from(rtp);
        let news = Announced {
            party: spot.side(mine),
            hop,
            leg,
            rtp: at,
            rtcp: side.rtcp.filter(|rtcp| *rtcp != rtp).map(Endpoint::from),
            from_ns: at_ns,
            payload_types: smallvec![(at_ns, formats.list(side.described()))],
            encrypted: line.proto.is_secure(),
            teller,
        };
        // A candidate is one of many, and may be anybody's.
        if let Some(binding) = table.announce(spot.slot, news)
            && Some(rtp) == side.rtp
        {
            displaced = displaced.or(Some(Displaced { at, binding, mine }));
        }
    }
    displaced
}

/// Video, fax and the rest: not recorded, so that it need not wait for a verdict.
fn leave_out(table: &mut CallTable, told: &Told, line: &CallMedia<'_>) {
    let Told { spot, at_ns, .. } = *told;
    let kind = match line.kind {
        MediaKind::Video => "video",
        MediaKind::Image => "fax (image)",
        _ => "media that is not audio",
    };
    for (mine, side) in [(Party::Caller, &line.caller), (Party::Callee, &line.callee)] {
        for address in side.rtp.into_iter().chain(side.rtcp) {
            table.leave_out(spot.slot, Endpoint::from(address), spot.side(mine), at_ns, kind);
        }
    }
}
