//! Calls: what signalling and the log say of them, gathered until they are over.
//!
//! Here is what a call *is*: parties, legs, announced addresses, media, decision, trace. How messages change
//! it is in `crate::intake`; how it becomes a file is in `crate::finish`. No I/O, no clocks.

mod arrivals;
pub mod binding;
pub mod change;
mod choice;
pub mod coverage;
pub mod decide;
pub mod erasures;
pub mod joining;
pub mod known;
pub mod leg;
pub mod limits;
pub mod media;
pub mod number;
pub mod parties;
pub mod seldom;
pub mod select;
pub mod table;
pub mod trace;

use std::sync::Arc;

use earwitness_policy::Direction;
use earwitness_segment::{LaneId, RecordPos};
use earwitness_voip::dialog::LegId;
pub use earwitness_voip::dialog::Party;
use earwitness_voip::sdp::PayloadType;
use earwitness_wire::Endpoint;
use smallvec::SmallVec;

use binding::TsNs;
use coverage::Coverage;
use decide::{Decision, TakeForm};
use leg::{InviteIndex, Invites, Leg};
use limits::{
    DIGITS_MAX, ENDPOINTS_PER_CALL_MAX, GAPS_MAX, HOLDS_MAX, HOPS_MAX, LEGS_MAX, PASSED_ON_NS,
    SIGNALLING_MAX,
};
use media::Media;
use parties::Together;
use seldom::Seldom;
use trace::Trace;

/// A call's place in the table, with the generation that tells it from who had the place before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallSlot {
    index: u32,
    generation: u32,
}

impl CallSlot {
    #[must_use]
    pub const fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }
}

/// Index of a leg in its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LegIndex(pub u8);

/// Where a call is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Trying,
    Ringing,
    Answered,
    Ended,
}

impl State {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trying => "trying",
            Self::Ringing => "ringing",
            Self::Answered => "answered",
            Self::Ended => "ended",
        }
    }
}

/// An address at which a party said it receives audio, and what arrives there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The call's side that receives there.
    pub party: Party,
    /// Which SIP hop announced it: a relay's two sides are two hops of one call.
    pub hop: HopIndex,
    /// Whose answer it was; `None` for the caller, who is the same to every branch.
    pub leg: Option<LegIndex>,
    pub rtp: Endpoint,
    pub rtcp: Option<Endpoint>,
    pub from_ns: TsNs,
    /// What payload type numbers mean there, oldest first.
    pub payload_types: SmallVec<[(TsNs, Arc<[PayloadType]>); 1]>,
    /// Keys were agreed: what arrives cannot be heard without them.
    pub encrypted: bool,
    /// Whose message said so first.
    pub teller: Endpoint,
}

/// A hop of the signalling of one of the call's INVITEs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HopIndex(u8);

impl HopIndex {
    /// `path` is below [`HOPS_MAX`], as the dialog layer counts.
    #[must_use]
    pub const fn new(invite: InviteIndex, path: u8) -> Self {
        // INVITES_MAX and HOPS_MAX multiplied fit (limits.rs).
        Self(invite.0 * HOPS_MAX as u8 + path % HOPS_MAX as u8)
    }

    /// The INVITE whose hop it is.
    #[must_use]
    pub const fn invite(self) -> InviteIndex {
        InviteIndex(self.0 / HOPS_MAX as u8)
    }

    /// The same hop, when the call's INVITEs are the last ones of a call that had `before`.
    const fn behind(self, before: u8) -> Self {
        Self::new(InviteIndex(self.invite().0 + before), self.0 % HOPS_MAX as u8)
    }
}

/// A stretch on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    pub talk: u8,
    pub invite: InviteIndex,
    pub from_ns: TsNs,
    /// [`binding::OPEN`]: still.
    pub until_ns: TsNs,
}

/// A stretch of a conversation that is recorded, but not on these legs: when it was, nobody knew that they were of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unrecorded {
    /// Of all INVITEs from the first to the last of these.
    pub first: InviteIndex,
    pub last: InviteIndex,
    pub from_ns: TsNs,
    pub until_ns: TsNs,
}

/// Which leg of a conversation is recorded, if both parties are heard on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Prefer {
    /// The one on which they are heard best.
    #[default]
    Best,
    /// The first: the caller's.
    First,
    /// The last: that of who answered.
    Last,
}

/// Packets that the log lacks while the call ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerGap {
    pub from_ns: TsNs,
    pub until_ns: TsNs,
    pub place: String,
    pub packets: u64,
}

/// A key pressed, by SIP INFO (those in RTP are found when the audio is rendered).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digit {
    pub at_ns: TsNs,
    pub party: Party,
    pub digit: char,
    pub duration_ms: u32,
    /// Of SIP, that it was seen on.
    pub leg: LegId,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Call {
    pub slot: CallSlot,
    /// Sortable by start, the same each time the same log is read.
    pub id: String,
    /// Those of the calls that turned out to be parts of it; fewer than it has INVITEs.
    pub absorbed: Seldom<String>,
    /// SIP Call-ID of the first leg.
    pub call_id: String,
    pub from: Option<String>,
    pub to: Option<String>,
    pub state: State,
    pub started_ns: TsNs,
    /// The table's count of time that nobody listened to, when the call began.
    pub holes_before_ns: u64,
    pub answered: Option<(LegIndex, TsNs)>,
    pub ended_ns: Option<TsNs>,
    pub end_reason: Option<String>,
    /// The last SIP message or media packet.
    pub heard_ns: TsNs,
    pub legs: SmallVec<[Leg; 1]>,
    /// What made the legs; each is answered by one or more of them.
    pub invites: Invites,
    /// How many conversations the INVITEs carry.
    pub talks: u8,
    /// Who spoke with whom, where there are several INVITEs: see [`Call::parties`].
    pub together: Seldom<Together>,
    pub holds: Seldom<Hold>,
    pub unrecorded: Seldom<Unrecorded>,
    /// All legs are over, but another one may follow: a party asked for a transfer.
    pub pending_end: Option<Box<(TsNs, String)>>,
    /// Until when it may.
    pub transfer_until_ns: TsNs,
    pub announced: Vec<Announced>,
    /// Addresses that nobody announced but a party sends to, and who would receive there.
    pub aliases: Seldom<(Endpoint, Party)>,
    /// A video line was agreed or offered.
    pub has_video: bool,
    /// Addresses of video, fax and the like, which are not recorded.
    pub left_out: Seldom<Endpoint>,
    pub session_expired: bool,
    /// A party put the other on hold: that nothing is heard does not mean that it is over.
    pub held: bool,
    pub media: Media,
    /// What still came to its addresses when it was over: told, not heard.
    pub late: Option<Box<Media>>,
    pub digits: Seldom<Digit>,
    pub decision: Option<Arc<Decision>>,
    /// What of it is recorded, over time.
    pub coverage: Coverage,
    /// What the recordings of its takes are to be like, in their order.
    pub forms: Seldom<TakeForm>,
    /// Bit n: some party announced payload type n as telephone events (RFC 4733).
    pub event_types: u128,
    /// Packets that were written and must not be there, seen after it was known; capture destroys them.
    pub destroyed: u64,
    pub trace: Trace,
    pub ledger: Seldom<LedgerGap>,
    /// Its SIP messages in the log, for the ladder and for export; bounded.
    pub signalling: Vec<(LaneId, RecordPos)>,
    /// Seen from its middle: capture began after it did.
    pub joined_late: bool,
}

impl Call {
    /// Whether this is its id, or one that it had, or begins it; or the Call-ID of one of its legs.
    #[must_use]
    pub fn is_called(&self, id: &str) -> bool {
        let mut ids = std::iter::once(&self.id).chain(&*self.absorbed);
        ids.any(|known| known.starts_with(id)) || self.legs.iter().any(|leg| leg.call_id == id)
    }

    /// Adds a leg, unless the bound is reached.
    pub fn add_leg(&mut self, leg: Leg) -> Option<LegIndex> {
        if self.legs.len() >= LEGS_MAX {
            return None;
        }
        self.legs.push(leg);
        u8::try_from(self.legs.len() - 1).ok().map(LegIndex)
    }

    /// Notes that a party put the other on hold, or took it back.
    pub fn hold(&mut self, index: InviteIndex, is_held: bool, at_ns: TsNs) {
        let Some(invite) = self.invites.get_mut(index) else { return };
        let (was_held, talk) = (std::mem::replace(&mut invite.is_held, is_held), invite.talk);
        self.held = self.invites.iter().any(|invite| invite.is_held && !invite.is_over);
        if is_held && !was_held && self.holds.len() < HOLDS_MAX {
            self.holds.push(Hold { talk, invite: index, from_ns: at_ns, until_ns: binding::OPEN });
        }
        if was_held && !is_held {
            let open = |hold: &&mut Hold| hold.invite == index && hold.until_ns == binding::OPEN;
            self.holds.iter_mut().filter(open).for_each(|hold| hold.until_ns = at_ns);
        }
    }

    /// Keeps the place of a message, or of a part of one; once, whatever else is in the same segment. Says whether it is
    /// kept.
    pub fn add_message(&mut self, lane: LaneId, pos: RecordPos) -> bool {
        let is_known = self.signalling.contains(&(lane, pos));
        let has_room = self.signalling.len() < SIGNALLING_MAX;
        if !is_known && has_room {
            self.signalling.push((lane, pos));
        }
        is_known || has_room
    }

    /// Adds or renews what a party announced. Returns whether the address is new to the call.
    pub fn announce(&mut self, news: Announced) -> bool {
        let named = news.payload_types.iter().flat_map(|(_, types)| types.iter());
        let events = named.filter(|named| named.encoding.eq_ignore_ascii_case("telephone-event"));
        self.event_types |= events.fold(0, |types, named| types | 1 << (named.pt & 0x7f));
        let same = |known: &&mut Announced| {
            known.rtp == news.rtp
                && known.party == news.party
                && known.hop == news.hop
                && known.leg == news.leg
        };
        if let Some(known) = self.announced.iter_mut().find(same) {
            known.rtcp = news.rtcp.or(known.rtcp);
            known.encrypted = news.encrypted;
            for (at_ns, types) in news.payload_types {
                if known.payload_types.last().is_none_or(|(_, last)| *last != types)
                    && known.payload_types.len() < ENDPOINTS_PER_CALL_MAX
                {
                    known.payload_types.push((at_ns, types));
                }
            }
            return false;
        }
        if self.announced.len() >= ENDPOINTS_PER_CALL_MAX {
            self.trace.note(
                news.from_ns,
                "limit",
                format!("{} not followed: too many addresses", news.rtp),
            );
            return false;
        }
        let new_address = !self.announced.iter().any(|known| known.rtp == news.rtp);
        self.announced.push(news);
        new_address
    }

    /// The addresses that capture was told of: media and its RTCP.
    pub fn endpoints(&self) -> impl Iterator<Item = (Endpoint, Party)> + '_ {
        self.announced.iter().flat_map(|known| {
            [Some(known.rtp), known.rtcp].into_iter().flatten().map(|at| (at, known.party))
        })
    }

    /// Whose call it is, as far as policies know.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.decision.as_ref()?.tenant.as_deref()
    }

    /// Which way it goes, seen from there.
    #[must_use]
    pub fn direction(&self) -> Option<Direction> {
        self.decision.as_ref()?.outcome.direction
    }

    /// Whether anything of it is recorded, or may be yet.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.coverage.is_any()
    }

    /// Keeps a digit, once of those that a box between two legs passes on.
    pub fn add_digit(&mut self, digit: Digit) {
        let is_passed_on = |known: &Digit| {
            known.leg != digit.leg
                && (known.party, known.digit) == (digit.party, digit.digit)
                && known.at_ns.abs_diff(digit.at_ns) < PASSED_ON_NS
        };
        if self.digits.len() < DIGITS_MAX && !self.digits.iter().any(is_passed_on) {
            self.digits.push(digit);
        }
    }

    /// Notes packets that are missing.
    pub fn add_gap(&mut self, gap: LedgerGap) {
        self.trace.note(
            gap.from_ns,
            "gap",
            format!("{} packets lost at {}", gap.packets, gap.place),
        );
        if self.ledger.len() < GAPS_MAX {
            self.ledger.push(gap);
        }
    }

    /// When it was over for its parties, or last heard of.
    #[must_use]
    pub fn over_ns(&self) -> TsNs {
        self.ended_ns.unwrap_or(self.heard_ns)
    }
}
