//! What is known of a call's parties, as the policies ask for it.
//!
//! Who talks now is asked for; through whom the call came stays what it was. What a party's own messages say of it is
//! trusted before what the other's do: P-Asserted-Identity and Remote-Party-ID before From and To. Where these lead to nobody,
//! it is who is registered there; Contact last, and only of who answers.

use std::hash::BuildHasher;
use std::net::SocketAddr;

use earwitness_policy::identity::{self, Dialling, Number};
use earwitness_policy::{By, Demand, Facts, Identity, PartyFacts};

use super::leg::{Invite, Role, Said};
use super::limits::THROUGH_MAX;
use super::parties::{End, Together};
use super::{Call, Party};

/// A party.
#[derive(Debug, Clone, Default, Hash)]
struct KnownParty<'a> {
    /// What is trusted most first.
    identities: Vec<Identity<'a>>,
    address: Option<SocketAddr>,
    transferred_by: Option<Identity<'a>>,
}

/// Everything that a decision rests on.
#[derive(Debug, Clone, Hash)]
pub struct Known<'a> {
    call: &'a str,
    caller: KnownParty<'a>,
    callee: KnownParty<'a>,
    through: Vec<Identity<'a>>,
    video: bool,
    demand: Demand,
}

impl<'a> Known<'a> {
    #[must_use]
    pub fn of(call: &'a Call) -> Self {
        let now = call.current_parties();
        Self {
            call: &call.id,
            caller: party(call, &now, Party::Caller),
            callee: party(call, &now, Party::Callee),
            through: through(call),
            video: call.has_video,
            demand: call.demand(),
        }
    }

    /// The same for the same facts.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        foldhash::fast::FixedState::default().hash_one(self)
    }

    /// Asks with these facts.
    pub fn ask<T>(&self, ask: impl FnOnce(&Facts<'_>) -> T) -> T {
        fn party<'p>(party: &'p KnownParty<'_>) -> PartyFacts<'p> {
            PartyFacts {
                identities: &party.identities,
                address: party.address,
                transferred_by: party.transferred_by,
                is_outside: false,
            }
        }
        ask(&Facts {
            call: self.call,
            caller: party(&self.caller),
            callee: party(&self.callee),
            through: &self.through,
            video: self.video,
            demand: self.demand,
            ..Facts::default()
        })
    }
}

/// Who is on this side of the call now.
fn party<'a>(call: &'a Call, now: &Together, side: Party) -> KnownParty<'a> {
    let end = now.on(side);
    let Some(invite) = call.invite_of(end.leg) else { return KnownParty::default() };
    let own = |said, by| invite.said(said, end.party).map(move |text| Identity { by, text });
    let mut identities: Vec<Identity<'a>> = own(Said::PAssertedIdentity, By::PAssertedIdentity)
        .chain(own(Said::RemotePartyId, By::RemotePartyId))
        .collect();
    let named = call.address(end).map(|text| {
        let by = if end.party == Party::Caller { By::From } else { By::To };
        Identity { by, text }
    });
    identities.extend(named);
    if end.party == Party::Callee {
        let asked = invite.said(Said::RequestUri, Party::Caller);
        let asked = call.target(end).into_iter().chain(asked);
        identities.extend(asked.map(|text| Identity { by: By::RequestUri, text }));
    }
    // Of several that were asked for, only who answered is the party.
    let answers = call.target(end);
    let is_here = |known: &Identity<'_>| answers.is_none_or(|target| known.text == target);
    identities.extend(own(Said::Registration, By::Registration).filter(is_here));
    if end.party == Party::Callee && named.is_none_or(|named| !is_public(named.text)) {
        identities.extend(own(Said::Contact, By::Contact));
    }
    KnownParty {
        identities,
        address: Some(invite.address(end.party)),
        transferred_by: transferred_by(call, invite, now, (side, end)),
    }
}

/// A public number says for itself where it is: what the party's own machine calls it is an extension of elsewhere.
fn is_public(text: &str) -> bool {
    let (user, _) = identity::split(text);
    Number::read(user, &Dialling::default()).is_some_and(|number| number.is_public())
}

/// Who transferred the call to the party: Referred-By (RFC 3892), or whose place it took.
fn transferred_by<'a>(
    call: &'a Call,
    invite: &'a Invite,
    now: &Together,
    (side, end): (Party, End),
) -> Option<Identity<'a>> {
    // Behind a box, the INVITE before it is the transfer's.
    let of_talk = || call.invites.iter().filter(|other| other.talk == invite.talk);
    let is_transfer = of_talk()
        .filter_map(|other| other.joined)
        .any(|joined| matches!(joined.role, Role::Transfer | Role::Consultation));
    if !is_transfer || end.party != Party::Callee {
        return None;
    }
    let referred = of_talk().find_map(|other| other.said(Said::ReferredBy, Party::Caller).next());
    if let Some(text) = referred {
        return Some(Identity { by: By::ReferredBy, text });
    }
    let before = call.together.iter().rev().filter(|known| known.from_ns < now.from_ns);
    let is_other =
        |before: &End| call.invite_of(before.leg).is_some_and(|before| before.talk != invite.talk);
    let ends = before.map(|known| known.on(side)).find(is_other)?;
    Some(Identity { by: By::ReferredBy, text: call.address(ends)? })
}

/// Whom the INVITEs asked for, and who diverted them: queues, groups and call flows that the call came through.
fn through(call: &Call) -> Vec<Identity<'_>> {
    let of_invite = |invite| {
        let invite: &Invite = invite;
        let asked = invite.said(Said::RequestUri, Party::Caller);
        let asked = asked.map(|text| Identity { by: By::RequestUri, text });
        let to = invite.to.as_deref().or(call.to.as_deref());
        let to = to.map(|text| Identity { by: By::To, text });
        let diverted = invite.said(Said::Diversion, Party::Caller);
        let diverted = diverted.map(|text| Identity { by: By::Diversion, text });
        let history = invite.said(Said::HistoryInfo, Party::Caller);
        let history = history.map(|text| Identity { by: By::HistoryInfo, text });
        to.into_iter().chain(asked).chain(diverted).chain(history)
    };
    call.invites.iter().flat_map(of_invite).take(THROUGH_MAX).collect()
}
