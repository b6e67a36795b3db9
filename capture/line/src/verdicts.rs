//! What policy says of each destination, within a bound, and what it said before.
//!
//! A denial outranks a recording: past the bound a destination to be recorded gives way, one to be
//! ignored or masked stays (CAP-9). Were even that not enough, the table says so, and whoever keeps unmatched
//! media must stop keeping it, because it could be denied media.

use earwitness_ipc::VerdictChange;
use earwitness_wire::{Endpoint, Verdict};

use crate::{bounded::Bounded, limits::VERDICTS_MAX};

/// Verdicts by destination. One thread owns it; changes reach it as commands (S8).
#[derive(Debug)]
pub struct Verdicts {
    table: Bounded<Endpoint, Entry>,
    /// Grows with each change: what was read at this generation still holds.
    generation: u64,
    refused: u64,
    denials_refused: u64,
}

/// What is said of one destination.
#[derive(Debug, Clone, Copy)]
struct Entry {
    verdict: Verdict,
    /// For what came before `since_ns`.
    before: Verdict,
    since_ns: u64,
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
        self.table.get(dst).map(|entry| entry.verdict)
    }

    /// The verdict of what came for `dst` at `ts_ns`.
    pub(crate) fn at(&self, dst: &Endpoint, ts_ns: u64) -> Option<Verdict> {
        let entry = self.table.get(dst)?;
        Some(if ts_ns < entry.since_ns { entry.before } else { entry.verdict })
    }

    /// Takes a change over.
    pub fn change(&mut self, change: &VerdictChange) {
        self.generation += 1;
        let Some(verdict) = change.verdict else {
            self.table.remove(&change.dst);
            return;
        };
        // What nobody had decided goes by what is decided now.
        let before = self.get(&change.dst).filter(|before| *before != Verdict::Undecided);
        let before = before.unwrap_or(verdict);
        let entry = Entry { verdict, before, since_ns: change.since_ns };
        if self.table.insert(change.dst, entry, |held| !denies(held.verdict)).is_err() {
            self.refused += 1;
            self.denials_refused += u64::from(denies(verdict));
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

/// Whether it keeps something from the disk.
fn denies(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Ignore | Verdict::Mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(host: u8, verdict: Option<Verdict>) -> VerdictChange {
        VerdictChange::now(Endpoint::v4([10, 0, 0, host], 4000), verdict)
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

    /// CAP-9, POL-8: a change has its time; what came before goes by what was said before.
    #[test]
    fn a_change_has_its_time() {
        let mut verdicts = Verdicts::default();
        let dst = change(1, None).dst;
        let mut say = |verdict, since_ns| {
            verdicts.change(&VerdictChange { dst, verdict: Some(verdict), since_ns });
            [99, 100, 200].map(|ts_ns| verdicts.at(&dst, ts_ns))
        };
        assert_eq!(say(Verdict::Record, 100), [Some(Verdict::Record); 3]);
        let [before, since, later] = say(Verdict::Mask, 100);
        assert_eq!((before, since, later), (Some(Verdict::Record), Some(Verdict::Mask), since));
        let [_, before, since] = say(Verdict::Record, 200);
        assert_eq!((before, since), (Some(Verdict::Mask), Some(Verdict::Record)));
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
