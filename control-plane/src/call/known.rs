//! What is known of a call's parties, as the policies ask for it.

use std::hash::BuildHasher;

use earwitness_policy::{By, Demand, Facts, Identity, PartyFacts};

use super::parties::End;
use super::{Call, Party};

/// A party.
#[derive(Debug, Clone, Default, Hash)]
struct KnownParty<'a> {
    /// What is trusted most first.
    identities: Vec<Identity<'a>>,
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
        let named = |end: End| {
            let by = if end.party == Party::Caller { By::From } else { By::To };
            let identities = call.address(end).map(|text| Identity { by, text });
            KnownParty { identities: identities.into_iter().collect() }
        };
        Self {
            call: &call.id,
            caller: named(now.caller),
            callee: named(now.callee),
            through: Vec::new(),
            video: call.has_video,
            demand: call.demand(),
        }
    }

    #[must_use]
    pub const fn demand(&self) -> Demand {
        self.demand
    }

    /// The same for the same facts.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        foldhash::fast::FixedState::default().hash_one(self)
    }

    /// Asks with these facts.
    pub fn ask<T>(&self, ask: impl FnOnce(&Facts<'_>) -> T) -> T {
        fn party<'p>(party: &'p KnownParty<'_>) -> PartyFacts<'p> {
            PartyFacts { identities: &party.identities, ..PartyFacts::default() }
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
