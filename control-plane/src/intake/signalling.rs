//! What SIP says becomes what calls are: dialog events in, changes of the call table out.

use std::collections::HashMap;
use std::sync::Arc;

use earwitness_segment::{LaneId, RecordPos};
use earwitness_voip::dialog::{
    CallMedia, DialogEvent, Dialogs, EndReason, EventKind, LegId, MediaState, Observed, Origin,
    PathId, Seen, Timeouts,
};
use earwitness_voip::sdp::MediaKind;
use earwitness_voip::sip::{self, Message, NameAddr};
use earwitness_wire::Endpoint;
use sha2::{Digest, Sha256};

use super::formats::Formats;
use crate::call::table::{CallTable, Opening};
use crate::call::{Announced, CallSlot, Digit, Leg, LegIndex, Party, State};
use crate::control::{Command, Control, Heard, Outcome};
use crate::metrics::Metrics;

/// Where a message lies in the log.
pub type Place = (LaneId, RecordPos);

/// For numbers that nobody outside can choose.
type Quick = foldhash::fast::RandomState;

/// Follows dialogs and applies what they say.
#[derive(Debug)]
pub struct Signalling {
    dialogs: Dialogs,
    calls: HashMap<LegId, CallSlot, Quick>,
    legs: HashMap<CallSlot, LegId, Quick>,
    events: Vec<DialogEvent>,
    formats: Formats,
    control: Control,
    metrics: Arc<Metrics>,
}

impl Signalling {
    #[must_use]
    pub fn new(control: Control, metrics: Arc<Metrics>) -> Self {
        Self {
            control,
            dialogs: Dialogs::new(Timeouts::default()),
            calls: HashMap::default(),
            legs: HashMap::default(),
            events: Vec::new(),
            formats: Formats::default(),
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
        let mut events = std::mem::take(&mut self.events);
        let observed = self.dialogs.observe(seen, message, &mut events);
        for event in events.drain(..) {
            self.apply(&event, Some((seen, message)), table);
        }
        self.events = events;
        self.keep_places(&observed, seen, places, table);
        let slot = observed.dialog.and_then(|dialog| self.calls.get(&dialog.leg)).copied();
        self.control.message(seen, message, slot, table);
        // Each is read once where dialogs read it: the others are of repeated messages, or of none that counts.
        let sdp = observed.sdp.or_else(|| {
            let body = sip::body::sdp(message)?;
            Some(earwitness_voip::sdp::parse(body).map(drop))
        });
        if matches!(sdp, Some(Err(_))) {
            self.metrics.sdp_rejected.inc();
        }
    }

    fn keep_places(
        &self,
        observed: &Observed,
        seen: Seen,
        places: &mut dyn Iterator<Item = Place>,
        table: &mut CallTable,
    ) {
        let Some(slot) = observed.dialog.and_then(|dialog| self.calls.get(&dialog.leg)) else {
            return;
        };
        if let Some(call) = table.get_mut(*slot) {
            call.heard_ns = call.heard_ns.max(seen.ts_ns);
            places.for_each(|(lane, pos)| call.add_message(lane, pos));
        }
    }

    /// Acts on what did not happen by `now_ns`.
    pub fn tick(&mut self, now_ns: u64, table: &mut CallTable) {
        let mut events = std::mem::take(&mut self.events);
        self.dialogs.tick(now_ns, &mut events);
        for event in events.drain(..) {
            self.apply(&event, None, table);
        }
        self.events = events;
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

    /// The table has ended or finished a call by itself: its dialogs are over, too.
    pub fn forget(&mut self, slot: CallSlot, at_ns: u64) {
        self.control.forget(slot);
        let Some(leg) = self.legs.remove(&slot) else { return };
        self.calls.remove(&leg);
        let mut unheard = Vec::new();
        self.dialogs.end(leg, EndReason::External, at_ns, &mut unheard);
    }

    /// Media of a call that may have keys in it.
    pub fn keys(&mut self, heard: &Heard<'_>, table: &mut CallTable) {
        self.control.packet(heard, table);
    }

    /// A command for the call that has this id or Call-ID, or whose id begins so.
    pub fn command(&mut self, call: &str, command: &Command, table: &mut CallTable) -> Outcome {
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

    fn apply(
        &mut self,
        event: &DialogEvent,
        cause: Option<(Seen, &Message<'_>)>,
        table: &mut CallTable,
    ) {
        let at_ns = event.ts_ns;
        if let EventKind::Created { origin, .. } = &event.kind {
            if let Some((_, message)) = cause {
                self.create(event.dialog.leg, *origin, at_ns, message, table);
            }
            return;
        }
        let Some(&slot) = self.calls.get(&event.dialog.leg) else { return };
        let fork = LegIndex(event.dialog.fork);
        match &event.kind {
            EventKind::Created { .. } => {}
            EventKind::Forked => add_fork(table, slot, at_ns, cause.map(|(_, message)| message)),
            EventKind::Ringing { .. } | EventKind::Progress { .. } => ringing(table, slot, fork),
            EventKind::Answered => {
                set_tag(table, slot, fork, cause.map(|(_, message)| message));
                leg_state(table, slot, fork, State::Answered, at_ns);
                table.answered(slot, Some(fork), at_ns);
            }
            EventKind::MediaChanged { path, media } => {
                let told = Told { slot, fork, path: *path, at_ns };
                announce(table, &mut self.formats, told, media);
            }
            EventKind::Digit { by, digit } => {
                let digit = Digit {
                    at_ns,
                    party: *by,
                    digit: digit.digit,
                    duration_ms: digit.duration_ms.unwrap_or(0),
                };
                let peer = cause.map(|(seen, _)| seen.src.ip());
                self.control.digit(slot, digit, peer, table);
            }
            EventKind::SessionExpired => {
                if let Some(call) = table.get_mut(slot) {
                    call.session_expired = true;
                }
            }
            EventKind::Ended { reason, by, leg_over } => {
                leg_state(table, slot, fork, State::Ended, at_ns);
                if *leg_over {
                    table.ended(slot, at_ns, &reason_text(*reason, *by));
                }
            }
            _ => {}
        }
        if let Some((what, detail)) = remark(&event.kind)
            && let Some(call) = table.get_mut(slot)
        {
            call.trace.note(at_ns, what, detail);
        }
    }

    fn create(
        &mut self,
        leg: LegId,
        origin: Origin,
        at_ns: u64,
        message: &Message<'_>,
        table: &mut CallTable,
    ) {
        let call_id = sip::text(message.call_id()).into_owned();
        let opening = Opening {
            id: call_identity(at_ns, message),
            call_id: call_id.clone(),
            from: address_text(message.from()),
            to: address_text(message.to()),
            at_ns,
            joined_late: origin == Origin::InProgress,
        };
        let slot = table.open(opening);
        self.calls.insert(leg, slot);
        self.legs.insert(slot, leg);
        self.metrics.calls_started.inc();
        if let Some(call) = table.get_mut(slot) {
            let (from_tag, to_tag) = (tag_text(message.from()), tag_text(message.to()));
            let state = State::Trying;
            call.add_leg(Leg {
                call_id,
                from_tag,
                to_tag,
                state,
                started_ns: at_ns,
                answered_ns: None,
                ended_ns: None,
            });
        }
    }
}

/// Sortable by time, and the same each time the same log is read.
fn call_identity(at_ns: u64, message: &Message<'_>) -> String {
    let mut hash = Sha256::new();
    hash.update(message.call_id());
    hash.update([0]);
    hash.update(message.from().tag.unwrap_or_default());
    hash.update(at_ns.to_be_bytes());
    let digest = hash.finalize();
    let tail = digest[..6].iter().fold(0_u64, |tail, byte| tail << 8 | u64::from(*byte));
    format!("{:012x}-{tail:012x}", at_ns / 1_000_000)
}

/// `user@host`, a bare number, or the URI as it came. IPv6 hosts stand in brackets (RFC 3261 section 25.1).
fn address_text(address: &NameAddr<'_>) -> Option<String> {
    let Some(uri) = address.sip_uri() else {
        return Some(sip::text(address.uri).into_owned()).filter(|uri| !uri.is_empty());
    };
    let mut text = String::with_capacity(address.uri.len());
    if let Some(user) = uri.user {
        text.push_str(&sip::text(user));
    }
    if uri.host.is_empty() {
        return uri.user.is_some().then_some(text);
    }
    if uri.user.is_some() {
        text.push('@');
    }
    let is_ipv6 = uri.host.contains(&b':');
    text.push_str(if is_ipv6 { "[" } else { "" });
    text.push_str(&sip::text(uri.host));
    text.push_str(if is_ipv6 { "]" } else { "" });
    Some(text)
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
        EventKind::ReferProgress { code, .. } => ("transfer", format!("transfer: {code}")),
        _ => return None,
    })
}

fn add_fork(table: &mut CallTable, slot: CallSlot, at_ns: u64, message: Option<&Message<'_>>) {
    let Some(call) = table.get_mut(slot) else { return };
    let to_tag = message.and_then(|message| tag_text(message.to()));
    call.trace.note(
        at_ns,
        "fork",
        format!("a further branch answers: {}", to_tag.as_deref().unwrap_or("no tag")),
    );
    let from_tag = call.legs.first().and_then(|leg| leg.from_tag.clone());
    let call_id = call.call_id.clone();
    call.add_leg(Leg {
        call_id,
        from_tag,
        to_tag,
        state: State::Ringing,
        started_ns: at_ns,
        answered_ns: None,
        ended_ns: None,
    });
}

fn ringing(table: &mut CallTable, slot: CallSlot, fork: LegIndex) {
    let Some(call) = table.get_mut(slot) else { return };
    if call.state == State::Trying {
        call.state = State::Ringing;
    }
    if let Some(leg) =
        call.legs.get_mut(usize::from(fork.0)).filter(|leg| leg.state == State::Trying)
    {
        leg.state = State::Ringing;
    }
    table.touch(slot);
}

fn set_tag(table: &mut CallTable, slot: CallSlot, fork: LegIndex, message: Option<&Message<'_>>) {
    let leg = table.get_mut(slot).and_then(|call| call.legs.get_mut(usize::from(fork.0)));
    if let (Some(leg), Some(message)) = (leg, message) {
        leg.to_tag = leg.to_tag.take().or_else(|| tag_text(message.to()));
    }
}

fn leg_state(table: &mut CallTable, slot: CallSlot, fork: LegIndex, state: State, at_ns: u64) {
    let leg = table.get_mut(slot).and_then(|call| call.legs.get_mut(usize::from(fork.0)));
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

/// Of which dialog a description is, and when it was seen.
#[derive(Clone, Copy)]
struct Told {
    slot: CallSlot,
    fork: LegIndex,
    path: PathId,
    at_ns: u64,
}

fn announce(table: &mut CallTable, formats: &mut Formats, told: Told, media: &MediaState) {
    if let Some(call) = table.get_mut(told.slot) {
        let audio = || media.lines().filter(|line| line.kind == MediaKind::Audio && line.active);
        call.held = audio().next().is_some() && audio().all(|l| l.caller.holds || l.callee.holds);
    }
    let mut has_video = false;
    let mut line = |line: CallMedia<'_>| {
        has_video |= line.kind == MediaKind::Video && line.active;
        if line.kind == MediaKind::Audio {
            announce_side(table, formats, told, Party::Caller, &line);
            announce_side(table, formats, told, Party::Callee, &line);
        } else {
            leave_out(table, told, &line);
        }
    };
    media.lines().for_each(&mut line);
    media.pending_lines(Party::Caller).for_each(&mut line);
    media.pending_lines(Party::Callee).for_each(&mut line);
    if let Some(call) = table.get_mut(told.slot)
        && call.has_video != has_video
    {
        call.has_video = has_video;
        table.decide_again(told.slot, told.at_ns);
    }
}

fn announce_side(
    table: &mut CallTable,
    formats: &mut Formats,
    told: Told,
    party: Party,
    line: &CallMedia<'_>,
) {
    let Told { slot, fork, path, at_ns } = told;
    // The caller is the same to every branch.
    let (side, leg) = match party {
        Party::Caller => (line.caller, None),
        Party::Callee => (line.callee, Some(fork)),
    };
    for rtp in side.rtp.into_iter().chain(side.candidates()) {
        table.announce(
            slot,
            Announced {
                party,
                hop: path.0,
                leg,
                rtp: Endpoint::from(rtp),
                rtcp: side.rtcp.filter(|rtcp| *rtcp != rtp).map(Endpoint::from),
                from_ns: at_ns,
                payload_types: vec![(at_ns, formats.list(side.described()))],
                encrypted: line.proto.is_secure(),
            },
        );
    }
}

/// Video, fax and the rest: not recorded, so that it need not wait for a verdict.
fn leave_out(table: &mut CallTable, told: Told, line: &CallMedia<'_>) {
    let kind = match line.kind {
        MediaKind::Video => "video",
        MediaKind::Image => "fax (image)",
        _ => "media that is not audio",
    };
    for (party, side) in [(Party::Caller, &line.caller), (Party::Callee, &line.callee)] {
        for address in side.rtp.into_iter().chain(side.rtcp) {
            table.leave_out(told.slot, Endpoint::from(address), party, told.at_ns, kind);
        }
    }
}
