//! What policy says of each destination, within a bound.
//!
//! A denial outranks a recording: past the bound a destination to be recorded gives way, one to be
//! ignored stays (CAP-9). Were even that not enough, the table says so, and whoever keeps unmatched
//! media must stop keeping it, because it could be denied media.

use earwitness_ipc::VerdictChange;
use earwitness_wire::{Endpoint, Verdict};

use crate::{bounded::Bounded, limits::VERDICTS_MAX};

/// Verdicts by destination. One thread owns it; changes reach it as commands (S8).
#[derive(Debug)]
pub struct Verdicts {
    table: Bounded<Endpoint, Verdict>,
    /// Grows with each change: what was read at this generation still holds.
    generation: u64,
    refused: u64,
    denials_refused: u64,
}

impl Default for Verdicts {
    fn default() -> Self {
        Self::with_capacity(VERDICTS_MAX)
    }
}

impl Verdicts {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { table: Bounded::new(capacity), generation: 1, refused: 0, denials_refused: 0 }
    }

    /// The verdict of what ends at `dst`; none if there is no entry.
    #[inline]
    #[must_use]
    pub fn get(&self, dst: &Endpoint) -> Option<Verdict> {
        self.table.get(dst).copied()
    }

    /// Takes a change over.
    pub fn change(&mut self, change: &VerdictChange) {
        self.generation += 1;
        let Some(verdict) = change.verdict else {
            self.table.remove(&change.dst);
            return;
        };
        if self.table.insert(change.dst, verdict, |held| *held != Verdict::Ignore).is_err() {
            self.refused += 1;
            self.denials_refused += u64::from(verdict == Verdict::Ignore);
        }
    }

    /// Changes with every change of any verdict; never 0.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Entries that were given up or did not get in.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.table.evicted() + self.refused
    }

    /// Whether every denial is in the table, so that a destination without an entry is not denied.
    #[must_use]
    pub fn knows_all_denials(&self) -> bool {
        self.denials_refused == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(host: u8, verdict: Option<Verdict>) -> VerdictChange {
        VerdictChange { dst: Endpoint::v4([10, 0, 0, host], 4000), verdict }
    }

    /// CAP-9, S10: past the bound recordings give way to denials, and a denial that finds no place
    /// is told.
    #[test]
    fn a_denial_outranks_a_recording() {
        let mut verdicts = Verdicts::with_capacity(3);
        for host in 0..3 {
            verdicts.change(&change(host, Some(Verdict::Record)));
        }
        for host in 3..6 {
            verdicts.change(&change(host, Some(Verdict::Ignore)));
        }
        assert_eq!(verdicts.evicted(), 3);
        for host in 3..6 {
            assert_eq!(verdicts.get(&change(host, None).dst), Some(Verdict::Ignore));
        }
        verdicts.change(&change(6, Some(Verdict::Record)));
        assert_eq!(verdicts.get(&change(6, None).dst), None);
        assert!(verdicts.knows_all_denials());
        verdicts.change(&change(7, Some(Verdict::Ignore)));
        assert!(!verdicts.knows_all_denials());
        assert_eq!(verdicts.evicted(), 5);
    }

    /// CALL-4: an entry is forgotten when told, so that the next call on a port begins undecided.
    #[test]
    fn forgetting() {
        let mut verdicts = Verdicts::with_capacity(3);
        verdicts.change(&change(1, Some(Verdict::Record)));
        verdicts.change(&change(1, Some(Verdict::Mask)));
        assert_eq!(verdicts.get(&change(1, None).dst), Some(Verdict::Mask));
        verdicts.change(&change(1, None));
        assert_eq!(verdicts.get(&change(1, None).dst), None);
    }
}
