//! What the dialog layer says.

use std::net::{IpAddr, SocketAddr};

use super::media::{MediaState, PathId};
use crate::dtmf::InfoDigit;
use crate::sip::Replaces;

/// What one INVITE started: Call-ID and the caller's tag. Numbers are never used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// One dialog of a leg. Numbers of forks start again after [`EventKind::Retried`]. Fork 0 is there from the INVITE on and belongs to the first party that answers with a
/// tag; each further tag is a further fork (RFC 3261 section 13.2.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId {
    pub leg: LegId,
    pub fork: u8,
}

/// The two ends of a dialog. The caller sent the INVITE that started it; where that was not seen, the caller
/// is who sent the first request that was seen, or to whom the first response went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Party {
    Caller,
    Callee,
}

impl Party {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }

    /// As JSON, metrics and traces name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
        }
    }
}

/// How a leg came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// By its INVITE.
    Invite,
    /// By a message with SDP in the middle of a dialog: capture began later than the call.
    InProgress,
}

/// Between which addresses messages of a leg were seen. Kept without what an address of IPv6 has besides: none was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hop {
    caller: (IpAddr, u16),
    callee: (IpAddr, u16),
}

impl Hop {
    /// From the end nearer to the caller to the one nearer to the callee.
    #[must_use]
    pub const fn new(caller: SocketAddr, callee: SocketAddr) -> Self {
        Self { caller: (caller.ip(), caller.port()), callee: (callee.ip(), callee.port()) }
    }

    /// The end nearer to the caller.
    #[must_use]
    pub const fn caller(&self) -> SocketAddr {
        SocketAddr::new(self.caller.0, self.caller.1)
    }

    /// The end nearer to the callee.
    #[must_use]
    pub const fn callee(&self) -> SocketAddr {
        SocketAddr::new(self.callee.0, self.callee.1)
    }
}

/// Why a dialog is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// BYE.
    Bye,
    /// CANCEL before the answer.
    Cancelled,
    /// The INVITE was refused: 4xx, 5xx, 6xx. Also 401 and 407 when no INVITE with credentials followed.
    Rejected(u16),
    /// The INVITE was answered 3xx and no INVITE followed.
    Redirected(u16),
    /// No final answer to the INVITE came in time.
    Unanswered,
    /// A request in the dialog was answered 481: the other end does not know it any more.
    Unknown,
    /// Another fork was answered; or this one was, but only others were acknowledged; or the INVITE was tried
    /// again.
    ForkLost,
    /// The caller of this module said so ([`Dialogs::end`](super::Dialogs::end)): media idle, too long, ….
    External,
    /// Given up because there were more legs than [`LEGS_MAX`](crate::limits::LEGS_MAX).
    Evicted,
}

/// Something that changed in a dialog.
#[derive(Clone, Debug, PartialEq)]
pub struct DialogEvent {
    pub dialog: DialogId,
    pub ts_ns: u64,
    pub kind: EventKind,
}

/// What changed.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// A leg began, with its dialog of fork 0. From, To and the identities are those of the message that was
    /// just observed (exchanged, where the first message came from the callee: never for [`Origin::Invite`]).
    Created { origin: Origin, hop: Hop },
    /// A further party answered the same INVITE. Its media begin as the INVITE offered them, without an event.
    Forked,
    /// The INVITE was refused in a way that asks for another: 401, 407, 3xx, 422, …. The leg waits for it.
    Challenged { code: u16 },
    /// The INVITE came again with a higher CSeq: with credentials, to another target.
    Retried,
    /// The callee is alerted (180, also 181, 182).
    Ringing { code: u16 },
    /// 183, or any other provisional answer that makes an early dialog.
    Progress { code: u16 },
    /// The callee accepted: 2xx to the INVITE, or what only follows it. Several forks of one leg may be answered,
    /// also one that was [`EndReason::ForkLost`]: then [`EventKind::MediaChanged`] says again what it has.
    Answered,
    /// What is in force, or on offer, changed on one path: see [`MediaState`].
    MediaChanged { path: PathId, media: MediaState },
    /// A re-INVITE or UPDATE was refused; what was in force before stays.
    ModificationFailed { by: Party, code: u16 },
    /// REFER: `by` asks the other end to call `target`.
    Referred { by: Party, target: Vec<u8>, replaces: Option<Replaces> },
    /// The final answer to a REFER of `by`.
    ReferAnswered { by: Party, code: u16 },
    /// NOTIFY of a REFER: how the call to the target goes (`message/sipfrag`).
    ReferProgress { by: Party, code: u16 },
    /// A digit in a SIP INFO, once however often it was sent or seen.
    Digit { by: Party, digit: InfoDigit },
    /// The session timer (RFC 4028) ran out without a refresh. The dialog stays until it is ended from
    /// outside: a lost refresh must not cut a call whose media flows.
    SessionExpired,
    /// The dialog is over; with `leg_over`, so is the leg: no event of it follows.
    Ended { reason: EndReason, by: Option<Party>, leg_over: bool },
}
