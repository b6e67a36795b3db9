//! What is known of a call when the question is asked. Unknown is absent, never an empty text.

use std::net::SocketAddr;

/// Where an identity was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// A registration that was seen from where the party signals.
    Registration,
    PAssertedIdentity,
    RemotePartyId,
    From,
    To,
    RequestUri,
    Contact,
    ReferTo,
    ReferredBy,
    Diversion,
    HistoryInfo,
    /// A question by hand.
    Question,
}

impl By {
    /// As traces name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registration => "registration",
            Self::PAssertedIdentity => "P-Asserted-Identity",
            Self::RemotePartyId => "Remote-Party-ID",
            Self::From => "From",
            Self::To => "To",
            Self::RequestUri => "the request's address",
            Self::Contact => "Contact",
            Self::ReferTo => "Refer-To",
            Self::ReferredBy => "Referred-By",
            Self::Diversion => "Diversion",
            Self::HistoryInfo => "History-Info",
            Self::Question => "the question",
        }
    }
}

/// A SIP address, `user@host`, or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity<'a> {
    pub by: By,
    pub text: &'a str,
}

/// One of the two who talk.
#[derive(Debug, Clone, Copy, Default)]
pub struct PartyFacts<'a> {
    /// What it is called, what is trusted most first.
    pub identities: &'a [Identity<'a>],
    /// Where it signals from, as far as the tap sees.
    pub address: Option<SocketAddr>,
    /// It is known to be outside every tenant, whatever it is called.
    pub is_outside: bool,
    /// Who transferred the call to it.
    pub transferred_by: Option<Identity<'a>>,
}

/// How far the call is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    #[default]
    Ringing,
    Answered,
    /// Both who talk are connected: not a queue, not an announcement.
    Bridged,
}

/// What somebody asked for during the call; who may ask was judged before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Demand {
    #[default]
    None,
    Start,
    Stop,
}

/// The call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// The call's id: the same each time the same call is seen. Sampling depends on nothing else.
    pub call: &'a str,
    pub caller: PartyFacts<'a>,
    pub callee: PartyFacts<'a>,
    /// Through whom the call came, latest first: Diversion, History-Info, queues and groups that it went through.
    pub through: &'a [Identity<'a>],
    /// A video line is agreed or offered.
    pub video: bool,
    pub stage: Stage,
    pub demand: Demand,
}
