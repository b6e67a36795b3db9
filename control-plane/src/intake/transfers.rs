//! Transfers that a party asked for by REFER (RFC 3515), until they have come about or failed.

use std::collections::HashMap;

use earwitness_voip::dialog::{Dialogs, Hop, LegId, LegMap, Party};

use super::newcomer::{Newcomer, is_host, number};
use crate::call::limits::{TRANSFERS_MAX, TRANSFERS_PER_TARGET_MAX};
use crate::call::number::Number;

/// How long after REFER the call to the target may begin.
pub const PATIENCE_NS: u64 = 60_000_000_000;

/// How long after the last leg of a call a transfer that was asked for is waited for.
pub const LINGER_NS: u64 = 10_000_000_000;

/// A transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Who asked; as the leg has it.
    pub by: Party,
    pub target: Option<Number>,
    /// What who asked calls itself, in From and Referred-By (RFC 3892).
    pub referrers: [Option<Number>; 2],
    /// Who asked whom: the other end shall call the target.
    pub hop: Hop,
    /// The dialog with the target that the transferor has already, and which of its parties the target is.
    pub replaces: Option<(LegId, Party)>,
    pub until_ns: u64,
    /// The other end said that it would.
    pub is_accepted: bool,
}

impl Transfer {
    pub const fn asked_ns(&self) -> u64 {
        self.until_ns.saturating_sub(PATIENCE_NS)
    }

    /// Whether an INVITE to the target comes from who was asked for it: the other end of a dialog that went past these
    /// hops, or a box on the way.
    fn is_of(&self, newcomer: &Newcomer<'_>, hops: impl Iterator<Item = Hop>) -> bool {
        let asker = match self.by {
            Party::Caller => self.hop.caller(),
            Party::Callee => self.hop.callee(),
        };
        let from = newcomer.hop.caller();
        let is_it = |at| at != asker && is_host(at, from, at.ip() == asker.ip());
        let mut ends =
            std::iter::once(self.hop).chain(hops).flat_map(|hop| [hop.caller(), hop.callee()]);
        self.is_referred(newcomer) || (from != asker && ends.any(is_it))
    }

    /// Referred-By names who asked; what it calls itself may be withheld.
    fn is_referred(&self, newcomer: &Newcomer<'_>) -> bool {
        let Some(by) = newcomer.message.referred_by() else { return false };
        let is_named = |number| self.referrers.contains(&Some(number));
        number(&by).is_none_or(is_named)
    }
}

/// All of them: one of each leg, and by the target.
#[derive(Debug, Default)]
pub struct Transfers {
    by_leg: LegMap<Transfer>,
    by_target: HashMap<Number, Vec<LegId>, foldhash::quality::RandomState>,
}

impl Transfers {
    /// A party asked for it. Past the bound it is not followed, and the legs stay calls of their own.
    pub fn ask(&mut self, leg: LegId, transfer: Transfer) -> bool {
        self.forget(leg);
        if self.by_leg.len() >= TRANSFERS_MAX {
            return false;
        }
        if let Some(target) = transfer.target {
            let legs = self.by_target.entry(target).or_default();
            if legs.len() >= TRANSFERS_PER_TARGET_MAX {
                return false;
            }
            legs.push(leg);
        }
        self.by_leg.insert(leg, transfer);
        true
    }

    pub fn of(&mut self, leg: LegId) -> Option<&mut Transfer> {
        self.by_leg.get_mut(&leg)
    }

    pub fn forget(&mut self, leg: LegId) -> Option<Transfer> {
        let gone = self.by_leg.remove(&leg)?;
        if let Some(target) = gone.target
            && let Some(legs) = self.by_target.get_mut(&target)
        {
            legs.retain(|known| *known != leg);
            if legs.is_empty() {
                self.by_target.remove(&target);
            }
        }
        Some(gone)
    }

    /// The transfers that an INVITE may be the outcome of.
    pub fn that_fit<'t>(
        &'t self,
        newcomer: &'t Newcomer<'_>,
        dialogs: &'t Dialogs,
    ) -> impl Iterator<Item = (LegId, Transfer)> + 't {
        // Few are under way, mostly none: then nothing is read.
        let asked = !self.by_target.is_empty();
        let targets = if asked { [newcomer.target(), newcomer.called] } else { [None; 2] };
        let (first, second) = (targets[0], targets[1].filter(|called| Some(*called) != targets[0]));
        let legs = first.into_iter().chain(second).filter_map(|target| self.by_target.get(&target));
        legs.flatten().filter_map(move |leg| {
            let transfer = *self.by_leg.get(leg)?;
            let hops = dialogs.view(*leg).into_iter().flat_map(|view| view.hops());
            let fits = newcomer.at_ns <= transfer.until_ns && transfer.is_of(newcomer, hops);
            (fits && *leg != newcomer.leg).then_some((*leg, transfer))
        })
    }
}
