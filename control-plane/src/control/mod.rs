//! Who may change what is recorded while a call runs: commands out of the signalling and the media that were seen, and
//! from the machine's own people (POL-7, POL-8).
//!
//! | module | what it knows |
//! |---|---|
//! | [`operation`], [`request`], [`keys`] | the words: operations, bodies of MESSAGE, feature codes |
//! | [`network`] | who is obeyed |
//! | `sessions` | which calls a session id names |
//! | [`party`] | events and tones in a party's media |
//! | [`note`] | what the log remembers of commands that are not in it as packets |
//!
//! Sniffed commands count only from peers on the allow list, and from the configured side; whatever comes of one is in
//! the log, in the metrics, and, where there is a call, in its trace. Sans-I/O: [`crate::intake`] hands in what was seen.

pub mod keys;
mod limits;
pub mod network;
pub mod note;
pub mod operation;
mod party;
pub mod request;
mod sessions;
mod signalling;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use earwitness_policy::Answer;

use crate::call::change::Change;
use crate::call::coverage::{BEGINNING, By, Cause, Terms, Unchanged};
use crate::call::joining::Moved;
use crate::call::table::CallTable;
use crate::call::{Call, CallSlot, Party};
use crate::metrics::Metrics;
use keys::{Codes, Keypads, Pressed};
use limits::{KEY_MARGIN_NS, RECENT_MAX, REPEATED_NS};
use network::Network;
use note::Notes;
pub use operation::Operation;
pub use party::Heard;
use party::Streams;
use sessions::Sessions;
use signalling::Messages;

/// Which party's commands count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Commander {
    Caller,
    Callee,
    #[default]
    Either,
}

/// Whether a recording may be begun that no rule began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDemand {
    #[default]
    Off,
    /// From the word on.
    FromNow,
    /// From the call's beginning: its media is kept until it is over.
    FromStart,
}

/// What control is told by configuration.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub allow: Vec<Network>,
    pub commander: Commander,
    pub codes: Codes,
    /// Name of the header that carries session ids.
    pub session_header: String,
    /// Feature codes are looked for as tones in the audio.
    pub tones: bool,
    /// Of calls of which no tenant says more.
    pub on_demand: OnDemand,
    /// Every key is hidden, not those of feature codes alone.
    pub mask_keys: bool,
}

/// A command, wherever it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub operation: Operation,
    pub at_ns: u64,
    pub by: By,
    /// Which party gave it, where one did.
    pub party: Option<Party>,
    /// Whom to mask; both unless said.
    pub side: Option<Party>,
    pub who: Option<String>,
    pub from: Option<String>,
}

/// Why a command was not obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its peer is not on the allow list.
    NotAllowed,
    WrongSide,
    /// Keys that did not come from where the party's media comes from.
    Spoofed,
    UnknownSession,
    UnknownCall,
    /// Several calls are meant.
    Ambiguous,
    Malformed,
    /// Nobody may begin a recording of this call.
    OnDemandOff,
}

impl Refusal {
    /// The word in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::WrongSide => "wrong_side",
            Self::Spoofed => "spoofed",
            Self::UnknownSession => "unknown_session",
            Self::UnknownCall => "unknown_call",
            Self::Ambiguous => "ambiguous",
            Self::Malformed => "malformed",
            Self::OnDemandOff => "on_demand_off",
        }
    }

    /// The reason in logs, traces and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAllowed => "the peer is not in control.allow",
            Self::WrongSide => "the other party may not do this (control.from)",
            Self::Spoofed => "the keys did not come from the party's own address",
            Self::UnknownSession => "no call has this session id",
            Self::UnknownCall => "there is no such call in progress",
            Self::Ambiguous => "several calls in progress begin so: give more of the id",
            Self::Malformed => "the command cannot be read",
            Self::OnDemandOff => "no rule wants it, and recording on demand is off",
        }
    }
}

/// What came of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// It was so already, or cannot be.
    Unchanged(&'static str),
    /// The same was just said by another way.
    Repeated,
    Refused(Refusal),
}

impl Outcome {
    /// The word in metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Unchanged(_) => "unchanged",
            Self::Repeated => "repeated",
            Self::Refused(_) => "refused",
        }
    }

    /// More about it.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Done | Self::Repeated => None,
            Self::Unchanged(why) => Some(why),
            Self::Refused(why) => Some(why.name()),
        }
    }
}

/// What came of a command of the machine's own people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obeyed {
    pub outcome: Outcome,
    /// Ids of the calls that it was for.
    pub calls: Vec<String>,
}

/// Where keys are pressed: each way and stream by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Pad {
    slot: CallSlot,
    party: Party,
    by: By,
    /// Tells streams of one party apart.
    stream: u64,
}

/// How keys came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// They are in the log: who reads it again hears them again.
    Log,
    /// Their media was masked: they are nowhere.
    Unwritten,
}

/// A command that was obeyed just now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Recent {
    slot: CallSlot,
    operation: Operation,
    party: Option<Party>,
    by: By,
    from: Option<String>,
    at_ns: u64,
}

/// Everything that commands need.
#[derive(Debug)]
pub struct Control {
    settings: Arc<Settings>,
    keypads: Keypads<Pad>,
    streams: Streams,
    sessions: Sessions,
    messages: Messages,
    recent: VecDeque<Recent>,
    pub notes: Notes,
    metrics: Arc<Metrics>,
}

impl Control {
    #[must_use]
    pub fn new(settings: Settings, metrics: Arc<Metrics>) -> Self {
        Self {
            settings: Arc::new(settings),
            keypads: Keypads::default(),
            streams: Streams::default(),
            sessions: Sessions::default(),
            messages: Messages::default(),
            recent: VecDeque::new(),
            notes: Notes::default(),
            metrics,
        }
    }

    /// Whether keys mean anything. The daemon has no codes where its tenants may have some.
    fn is_listening(&self) -> bool {
        let Settings { allow, mask_keys, .. } = &*self.settings;
        !allow.is_empty() || *mask_keys
    }

    /// The codes of a call: those of its tenant, and the general ones.
    fn codes_of(&self, slot: CallSlot, table: &CallTable) -> Codes {
        let decision = table.get(slot).and_then(|call| call.decision.as_ref());
        let own = decision.and_then(|decision| decision.control.as_ref());
        let general = &self.settings.codes;
        own.map_or_else(|| general.clone(), |own| general.with(&own.on_demand.feature_codes))
    }

    /// Payload types whose audio is looked at for tones, by bit.
    #[must_use]
    pub fn payload_types(&self) -> u128 {
        if self.settings.tones { party::TONE_TYPES } else { 0 }
    }

    /// A command of the machine's own people, for the call that has this id or Call-ID, or whose id begins so; or for all
    /// that have this session id. It is noted for who reads the log again.
    pub fn command(&mut self, id: &str, command: &Command, table: &mut CallTable) -> Obeyed {
        let slots = match open_call(table, id) {
            Ok(slot) => vec![slot],
            Err(refusal) => {
                let named = self.sessions.of(id).to_vec();
                if named.is_empty() {
                    let outcome = Outcome::Refused(refusal);
                    self.tell(command, outcome, None);
                    return Obeyed { outcome, calls: Vec::new() };
                }
                named
            }
        };
        tell_several(&slots, command, table);
        let mut obeyed = Obeyed { outcome: Outcome::Repeated, calls: Vec::new() };
        for slot in slots {
            let outcome = self.obey(slot, command, table);
            let Some(call) = table.get(slot) else { continue };
            if outcome == Outcome::Done {
                self.notes.add(&call.id, command);
            }
            // Of several, what was done counts.
            if obeyed.outcome != Outcome::Done {
                obeyed.outcome = outcome;
            }
            obeyed.calls.push(call.id.clone());
        }
        obeyed
    }

    /// A note of the log: what another process did is done here, too.
    pub fn read_note(&mut self, text: &str, table: &mut CallTable) {
        if let Some((id, command)) = self.notes.read(text)
            && let Ok(slot) = open_call(table, &id)
        {
            self.obey(slot, &command, table);
        }
    }

    /// A call has become a part of another: who named it names that one, and a code that is half pressed goes on.
    pub fn moved(&mut self, moved: &Moved, table: &mut CallTable) {
        let Moved { from, into, turned, .. } = *moved;
        if self.sessions.moved(from, into).is_err()
            && let Some(call) = table.get_mut(into)
        {
            call.trace.note(call.heard_ns, "limit", TOO_MANY_SESSIONS);
        }
        let side = |party: Party| if turned { party.other() } else { party };
        self.streams.moved(from, into, side);
        self.keypads.moved(|pad| {
            (pad.slot == from).then(|| Pad { slot: into, party: side(pad.party), ..*pad })
        });
        for known in self.recent.iter_mut().filter(|known| known.slot == from) {
            known.slot = into;
            known.party = known.party.map(side);
        }
    }

    /// The call is over.
    pub fn forget(&mut self, slot: CallSlot) {
        self.sessions.forget(slot);
        self.streams.forget(slot);
        self.keypads.forget(|pad| pad.slot == slot);
    }

    /// Whether a sniffed command counts.
    fn admit(&self, peer: IpAddr, party: Option<Party>) -> Result<(), Refusal> {
        if !self.settings.allow.iter().any(|network| network.has(peer)) {
            return Err(Refusal::NotAllowed);
        }
        match (self.settings.commander, party) {
            (Commander::Either, _)
            | (Commander::Caller, Some(Party::Caller))
            | (Commander::Callee, Some(Party::Callee)) => Ok(()),
            _ => Err(Refusal::WrongSide),
        }
    }

    /// A feature code was pressed: it is hidden where its keys are in the media, and obeyed.
    fn pressed(
        &mut self,
        pad: Pad,
        (peer, origin): (IpAddr, Origin),
        pressed: &Pressed,
        table: &mut CallTable,
    ) {
        let at_ns = pressed.keys.last().map_or(0, |key| key.until_ns);
        let command = Command {
            operation: pressed.operation,
            at_ns,
            by: pad.by,
            party: Some(pad.party),
            side: None,
            who: party_name(table, pad.slot, pad.party),
            from: Some(peer.to_string()),
        };
        if let Err(refusal) = self.admit(peer, Some(pad.party)) {
            self.refuse(Some(pad.slot), &command, refusal, table);
            return;
        }
        if pad.by != By::Info {
            for key in &pressed.keys {
                hide_key(pad, key, &command, table);
            }
        }
        if let Some(call) = table.get_mut(pad.slot) {
            let first_ns = pressed.keys.first().map_or(at_ns, |key| key.from_ns);
            call.digits.retain(|digit| digit.party != pad.party || digit.at_ns < first_ns);
        }
        let outcome = self.obey(pad.slot, &command, table);
        if (outcome, origin) == (Outcome::Done, Origin::Unwritten)
            && let Some(call) = table.get(pad.slot)
        {
            self.notes.add(&call.id, &command);
        }
    }

    /// Does what is asked of a call, unless it was just done. All checks of who asks were made.
    pub fn obey(&mut self, slot: CallSlot, command: &Command, table: &mut CallTable) -> Outcome {
        let outcome = self.try_obey(slot, command, table);
        if let (Outcome::Refused(_) | Outcome::Unchanged(_), Some(call)) =
            (outcome, table.get_mut(slot))
        {
            let why = outcome.reason().unwrap_or_default();
            let text = format!("{}: {}: {why}", command.operation.name(), cause(command));
            call.trace.note(command.at_ns, "control", text);
        }
        self.tell(command, outcome, table.get(slot).map(|call| call.id.as_str()));
        outcome
    }

    fn try_obey(&mut self, slot: CallSlot, command: &Command, table: &mut CallTable) -> Outcome {
        let operation = command.operation;
        let Some(call) = table.get(slot).filter(|call| call.ended_ns.is_none()) else {
            return Outcome::Refused(Refusal::UnknownCall);
        };
        let news = Recent {
            slot,
            operation,
            party: command.party,
            by: command.by,
            from: command.from.clone(),
            at_ns: command.at_ns,
        };
        if self.is_repeated(&news) {
            return Outcome::Repeated;
        }
        let is_open = call.coverage.is_open();
        let change = match operation {
            Operation::Start => Self::begin(call, command, table.terms()),
            Operation::Toggle if !is_open => Self::begin(call, command, table.terms()),
            Operation::Toggle | Operation::Stop => Ok(Change::End),
            Operation::Pause => Ok(Change::Pause),
            Operation::Resume => Ok(Change::Resume),
            Operation::Mask => Ok(Change::Mask(command.side)),
            Operation::Unmask => Ok(Change::Unmask(command.side)),
            Operation::PauseVideo | Operation::ResumeVideo => {
                return Outcome::Unchanged("video is not recorded");
            }
            Operation::Unknown => Err(Refusal::Malformed),
        };
        let change = match change {
            Ok(change) => change,
            Err(refusal) => return Outcome::Refused(refusal),
        };
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(news);
        let changed = table.change(slot, command.at_ns, change, cause(command));
        if changed.is_ok() && matches!(change, Change::Begin { .. }) {
            // The decision says so from now on.
            table.decide_again(slot, command.at_ns);
        }
        changed.map_or_else(|why: Unchanged| Outcome::Unchanged(why.name()), |()| Outcome::Done)
    }

    /// Whether the same was just said by another way, or on the call's next leg.
    fn is_repeated(&self, news: &Recent) -> bool {
        let is_same = |known: &&Recent| (known.slot, known.party) == (news.slot, news.party);
        // What was said before something else is said anew.
        let last = self.recent.iter().rfind(is_same).filter(|last| repeats(last, news));
        last.is_some_and(|last| is_by_keys(news.by) || last.by == news.by && last.from != news.from)
    }

    /// What a recording that is begun by a word is.
    fn begin(call: &Call, command: &Command, general: Terms) -> Result<Change, Refusal> {
        let decision = call.decision.as_ref();
        let wanted = decision.is_some_and(|decision| decision.answer == Answer::Record);
        if !wanted && !call.coverage.is_awaited() {
            return Err(Refusal::OnDemandOff);
        }
        let from_ns = if call.coverage.is_kept() { BEGINNING } else { command.at_ns };
        let terms = decision.map_or(general, |decision| decision.terms(general));
        Ok(Change::Begin { from_ns, terms })
    }

    fn refuse(
        &mut self,
        slot: Option<CallSlot>,
        command: &Command,
        refusal: Refusal,
        table: &mut CallTable,
    ) {
        let outcome = Outcome::Refused(refusal);
        let call = slot.and_then(|slot| table.get_mut(slot));
        let id = call.map(|call| {
            let text =
                format!("{}: {}: {}", command.operation.name(), cause(command), refusal.name());
            call.trace.note(command.at_ns, "control", text);
            call.id.clone()
        });
        self.tell(command, outcome, id.as_deref());
    }

    /// Every command is counted and in the log, whatever came of it.
    fn tell(&self, command: &Command, outcome: Outcome, call: Option<&str>) {
        let labels = [command.operation.name(), command.by.name(), outcome.name()];
        self.metrics.control_commands.with_label_values(&labels).inc();
        if let Outcome::Refused(refusal) = outcome {
            self.metrics.control_refused.with_label_values(&[labels[1], refusal.label()]).inc();
        }
        tracing::info!(
            operation = labels[0],
            by = labels[1],
            result = labels[2],
            reason = outcome.reason(),
            who = command.who.as_deref(),
            from = command.from.as_deref(),
            call,
            "control"
        );
    }
}

const TOO_MANY_SESSIONS: &str = "a session id does not name this call: too many are known";

/// The one call in progress that is meant.
fn open_call(table: &CallTable, id: &str) -> Result<CallSlot, Refusal> {
    let open = table.iter().filter(|call| call.ended_ns.is_none());
    let mut meant = open.filter(|call| call.is_called(id));
    let first = meant.next().filter(|_| !id.is_empty()).ok_or(Refusal::UnknownCall)?;
    if meant.next().is_some() { Err(Refusal::Ambiguous) } else { Ok(first.slot) }
}

/// Where a session is of several calls, the trace of each says so.
fn tell_several(calls: &[CallSlot], command: &Command, table: &mut CallTable) {
    let (operation, count) = (command.operation.name(), calls.len());
    for slot in calls.iter().filter(|_| count > 1) {
        if let Some(call) = table.get_mut(*slot) {
            let text =
                format!("{operation}: {count} calls have this session id: it is for all of them");
            call.trace.note(command.at_ns, "control", text);
        }
    }
}

/// Keys of one code may be seen by several ways.
const fn is_by_keys(by: By) -> bool {
    matches!(by, By::Event | By::Info | By::Tone)
}

fn repeats(known: &Recent, news: &Recent) -> bool {
    known.operation == news.operation && known.at_ns.abs_diff(news.at_ns) < REPEATED_NS
}

fn cause(command: &Command) -> Cause {
    let shared = |text: &Option<String>| text.as_deref().map(Arc::from);
    Cause { by: command.by, who: shared(&command.who), from: shared(&command.from) }
}

fn party_name(table: &CallTable, slot: CallSlot, party: Party) -> Option<String> {
    let call = table.get(slot)?;
    let address = match party {
        Party::Caller => call.from.as_deref(),
        Party::Callee => call.to.as_deref(),
    };
    Some(format!("{} {}", party.name(), address.unwrap_or("unknown")))
}

/// A key is hidden, with what a detector may have heard of it before and after.
fn hide_key(pad: Pad, key: &keys::Key, command: &Command, table: &mut CallTable) {
    let change = Change::HideKeys {
        speaker: pad.party,
        from_ns: key.from_ns.saturating_sub(KEY_MARGIN_NS),
        until_ns: key.until_ns.saturating_add(KEY_MARGIN_NS),
    };
    // Past the bound on spans its place is not hidden; the call's trace says that there were too many.
    let hidden = table.change(pad.slot, command.at_ns, change, cause(command));
    if let (Err(why), Some(call)) = (hidden, table.get_mut(pad.slot)) {
        call.trace.note(command.at_ns, "control", format!("keys are not hidden: {}", why.name()));
    }
}
