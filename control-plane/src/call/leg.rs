//! The legs of a call: SIP dialogs, and the INVITEs that made them.
//!
//! An INVITE has one leg for each party that answers it. What is the same for all of them (who sent it from where, how it
//! came to belong to the call, which of its ends is on which side) is the INVITE's.

use std::net::SocketAddr;

use earwitness_voip::dialog::{Hop, LegId, Party};

use super::binding::TsNs;
use super::limits::{ADDRESS_BYTES_MAX, HOPS_MAX, IDENTITIES_MAX, INVITES_MAX};
use super::number::Number;
use super::seldom::Seldom;
use super::{LegIndex, State};

/// Index of an INVITE in its call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InviteIndex(pub u8);

/// One SIP dialog of the call; each branch of a fork is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    pub invite: InviteIndex,
    pub call_id: String,
    pub from_tag: Option<String>,
    pub to_tag: Option<String>,
    pub state: State,
    pub started_ns: TsNs,
    pub answered_ns: Option<TsNs>,
    pub ended_ns: Option<TsNs>,
    pub end_reason: Option<String>,
    pub answerer: Option<Answerer>,
}

/// Who answers a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answerer {
    /// Where its first answer was seen to come from.
    pub at: SocketAddr,
    /// It was a refusal: another party that answers may have the leg, if there is one (see [`Leg`]).
    pub has_refused: bool,
}

impl Leg {
    /// An answer came from there.
    pub fn answered_from(&mut self, at: SocketAddr, code: u16) {
        let has_refused = code >= 300;
        if self.answerer.is_none_or(|known| known.has_refused && !has_refused) {
            self.answerer = Some(Answerer { at, has_refused });
        }
    }
}

/// Why an INVITE is taken for a part of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// A header of the configuration has the same value.
    Header,
    /// Session-ID (RFC 7989).
    SessionId,
    /// Replaces (RFC 3891).
    Replaces,
    /// Join (RFC 3911).
    Join,
    /// REFER (RFC 3515) asked for it.
    Refer,
    /// Target-Dialog (RFC 4538).
    TargetDialog,
    /// The same Call-ID and INVITE, with tags renamed on the way.
    CallId,
    /// A conference's focus (RFC 4579).
    Focus,
    /// A mixer says whose voices it has mixed (RFC 3550 section 7.1).
    Mixer,
    /// The same media address, told by another host.
    Media,
    /// The same calling and called number, through the same box, at about the same time.
    Numbers,
    /// The same calling number, through the box that has its call.
    Calling,
}

impl Evidence {
    /// The word in rows, traces and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::SessionId => "session_id",
            Self::Replaces => "replaces",
            Self::Join => "join",
            Self::Refer => "refer",
            Self::TargetDialog => "target_dialog",
            Self::CallId => "call_id",
            Self::Focus => "focus",
            Self::Mixer => "mixer",
            Self::Media => "media",
            Self::Numbers => "numbers",
            Self::Calling => "calling",
        }
    }

    /// How sure it is, in percent.
    #[must_use]
    pub const fn confidence(self) -> u8 {
        match self {
            Self::Header => 100,
            Self::SessionId | Self::Replaces | Self::Join | Self::Mixer => 95,
            Self::Refer | Self::TargetDialog | Self::CallId => 90,
            Self::Focus => 85,
            Self::Media => 80,
            Self::Numbers => 70,
            Self::Calling => 60,
        }
    }
}

/// What an INVITE is to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    First,
    /// The same conversation on the other side of a box, or another try of the box to find somebody.
    Hop,
    /// The new party's, after a transfer.
    Transfer,
    /// A party asked somebody else, to whom the call was then given.
    Consultation,
    /// Another party of a conference.
    Conference,
}

impl Role {
    /// The word in rows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Hop => "hop",
            Self::Transfer => "transfer",
            Self::Consultation => "consultation",
            Self::Conference => "conference",
        }
    }
}

/// What names a party: a header, or a registration from where it signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Said {
    Registration,
    RequestUri,
    Contact,
    PAssertedIdentity,
    RemotePartyId,
    Diversion,
    HistoryInfo,
    ReferredBy,
}

/// What a message of an INVITE's dialogs says of who its parties are, besides From and To.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub said: Said,
    /// Whose message said it: the caller's or the callee's, as the leg has them.
    pub by: Party,
    /// `user@host`.
    pub address: Box<str>,
}

/// How an INVITE came to belong to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    pub by: Evidence,
    pub role: Role,
    pub at_ns: TsNs,
}

/// An INVITE of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// As the dialog layer knows it.
    pub leg: LegId,
    /// Its caller is on the call's callee side, and the other way round.
    pub turned: bool,
    /// Which of the call's conversations it carries: those before and behind a box carry the same one.
    pub talk: u8,
    pub is_over: bool,
    /// A party put the other on hold.
    pub is_held: bool,
    pub joined: Option<Joined>,
    /// When it was sent last: with credentials, or past another hop.
    pub invited_ns: TsNs,
    /// Between which addresses it was seen first.
    pub hop: Hop,
    /// `user@host` of From and To, where they are not the call's.
    pub from: Option<Box<str>>,
    pub to: Option<Box<str>>,
    pub calling: Option<Number>,
    pub called: Option<Number>,
    /// Which of its ends is a conference, or mixes one.
    pub focus: Option<Party>,
    pub identities: Vec<Identity>,
    /// Where it was sent on to, and whom it asked for there.
    pub branches: Seldom<Branch>,
}

/// An INVITE past the first hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    pub hop: Hop,
    /// `user@host`: who is registered there, or the Request-URI.
    pub target: Box<str>,
}

impl Invite {
    /// One of which nothing more is known.
    #[must_use]
    pub const fn of_leg(leg: LegId, hop: Hop) -> Self {
        Self {
            leg,
            turned: false,
            talk: 0,
            is_over: false,
            is_held: false,
            joined: None,
            invited_ns: 0,
            hop,
            from: None,
            to: None,
            calling: None,
            called: None,
            focus: None,
            identities: Vec::new(),
            branches: Seldom::new(),
        }
    }

    /// Notes that it was sent on, the last time with this target.
    pub fn sent_on(&mut self, hop: Hop, target: &str) {
        if target.len() > ADDRESS_BYTES_MAX {
            return;
        }
        let has_room = self.branches.len() < HOPS_MAX;
        match self.branches.iter_mut().find(|known| known.hop == hop) {
            Some(known) => known.target = target.into(),
            None if has_room => self.branches.push(Branch { hop, target: target.into() }),
            None => {}
        }
    }

    /// Whom it asked for where this answer came from, if it was sent to several: a queue's agents, a group's phones. Where
    /// it went one way only, From and To say who speaks, and the Request-URI is but the way.
    #[must_use]
    pub fn target_at(&self, answers_from: SocketAddr) -> Option<&str> {
        let branch = self.branches.iter().find(|known| known.hop.callee() == answers_from)?;
        let is_beside = |other: Hop| {
            other.caller() == branch.hop.caller() && other.callee() != branch.hop.callee()
        };
        let mut others = self.branches.iter().map(|known| known.hop).chain([self.hop]);
        others.any(is_beside).then_some(&*branch.target)
    }

    /// The call's side that a party of it is on.
    #[must_use]
    pub const fn side(&self, party: Party) -> Party {
        if self.turned { party.other() } else { party }
    }

    /// Notes what a message said, once.
    pub fn note(&mut self, said: Said, by: Party, address: impl Into<Box<str>> + AsRef<str>) {
        let text = address.as_ref();
        let is_known =
            |known: &Identity| known.said == said && known.by == by && *known.address == *text;
        if self.identities.len() < IDENTITIES_MAX
            && text.len() <= ADDRESS_BYTES_MAX
            && !self.identities.iter().any(is_known)
        {
            self.identities.push(Identity { said, by, address: address.into() });
        }
    }

    /// The addresses of one kind that a party's messages named, in their order.
    pub fn said(&self, said: Said, by: Party) -> impl Iterator<Item = &str> {
        let is_it = move |known: &&Identity| known.said == said && known.by == by;
        self.identities.iter().filter(is_it).map(|known| &*known.address)
    }

    /// Where a party's signalling comes from.
    #[must_use]
    pub const fn address(&self, party: Party) -> SocketAddr {
        match party {
            Party::Caller => self.hop.caller(),
            Party::Callee => self.hop.callee(),
        }
    }
}

/// The INVITEs of one call; nearly every call has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invites {
    first: Invite,
    more: Seldom<Invite>,
}

impl Invites {
    #[must_use]
    pub const fn new(first: Invite) -> Self {
        Self { first, more: Seldom::new() }
    }

    #[must_use]
    pub fn get(&self, index: InviteIndex) -> Option<&Invite> {
        match index.0 {
            0 => Some(&self.first),
            n => self.more.get(usize::from(n) - 1),
        }
    }

    pub fn get_mut(&mut self, index: InviteIndex) -> Option<&mut Invite> {
        match index.0 {
            0 => Some(&mut self.first),
            n => self.more.get_mut(usize::from(n) - 1),
        }
    }

    /// Adds one, unless there are too many (S10).
    pub fn push(&mut self, invite: Invite) -> Option<InviteIndex> {
        let index = InviteIndex(u8::try_from(self.len()).ok()?);
        (self.len() < INVITES_MAX).then(|| {
            self.more.push(invite);
            index
        })
    }

    /// How many there are; never none.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        1 + self.more.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Invite> {
        std::iter::once(&self.first).chain(&self.more)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Invite> {
        std::iter::once(&mut self.first).chain(self.more.iter_mut())
    }

    /// With their places, in the order in which they came to the call.
    pub fn numbered(&self) -> impl Iterator<Item = (InviteIndex, &Invite)> {
        (0..=u8::MAX).map(InviteIndex).zip(self.iter())
    }
}

/// The leg of a branch of an INVITE: its forks are numbered in the order in which they came.
#[must_use]
pub fn branch(legs: &[Leg], invite: InviteIndex, fork: u8) -> Option<LegIndex> {
    let of_it = legs.iter().enumerate().filter(|(_, leg)| leg.invite == invite);
    let index = of_it.map(|(index, _)| index).nth(usize::from(fork))?;
    u8::try_from(index).ok().map(LegIndex)
}
