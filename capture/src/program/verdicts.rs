//! The table of verdicts, as user space writes it: `earwitness_abi::verdicts` says how it lies in memory.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;

use earwitness_abi::verdicts::{
    Codes, Key, Table, V4_BYTES, V6_BYTES, buckets_for, verdict_of, with_verdict,
};
use earwitness_wire::{Endpoint, Verdict};

use super::cuckoo::{Full, Part};
use super::slots::{SlotsV4, SlotsV6, word};
use crate::mapping::{Access, Mapping};

/// The maps it lies in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maps<'a> {
    pub(super) v4: BorrowedFd<'a>,
    pub(super) v6: BorrowedFd<'a>,
    /// The words beside them.
    pub(super) table: BorrowedFd<'a>,
}

/// One thread owns it.
#[derive(Debug)]
pub(super) struct VerdictTable {
    v4: Part<SlotsV4>,
    v6: Part<SlotsV6>,
    words: Mapping,
    entries_max: u32,
}

impl VerdictTable {
    /// Maps a table for so many verdicts, which is empty, and the words beside it.
    pub(super) fn map(maps: Maps<'_>, seed: [u64; 2], entries_max: u32) -> io::Result<Self> {
        let of = |map, bytes| Mapping::of(map, bytes, 0, Access::ReadWrite);
        let buckets = buckets_for(entries_max) as usize;
        let (v4, v6) = (of(maps.v4, buckets * V4_BYTES)?, of(maps.v6, buckets * V6_BYTES)?);
        Ok(Self::of(v4, v6, of(maps.table, Table::BYTES)?, seed, entries_max))
    }

    fn of(v4: Mapping, v6: Mapping, words: Mapping, seed: [u64; 2], entries_max: u32) -> Self {
        let buckets_max = buckets_for(entries_max);
        Self {
            v4: Part::new(SlotsV4(v4), buckets_max, seed, word(&words, Table::MASK_V4_AT)),
            v6: Part::new(SlotsV6(v6), buckets_max, seed, word(&words, Table::MASK_V6_AT)),
            words,
            entries_max,
        }
    }

    pub(super) fn get(&self, dst: &Endpoint) -> Option<Verdict> {
        verdict_of(self.codes(&Key::new(dst)), dst.port)
    }

    /// Sets a verdict.
    pub(super) fn set(&mut self, dst: &Endpoint, verdict: Verdict) -> Result<(), Full> {
        self.replace(dst, Some(verdict)).map(|_| ())
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, dst: &Endpoint) -> bool {
        // What is taken away needs no room.
        matches!(self.replace(dst, None), Ok(Some(_)))
    }

    fn codes(&self, key: &Key) -> Codes {
        if key.is_v4() { self.v4.codes(key) } else { self.v6.codes(key) }
    }

    /// Gives the verdict that was there.
    fn replace(
        &mut self,
        dst: &Endpoint,
        verdict: Option<Verdict>,
    ) -> Result<Option<Verdict>, Full> {
        let key = Key::new(dst);
        let before = self.codes(&key);
        let after = with_verdict(before, dst.port, verdict);
        let entries = self.v4.entries() + self.v6.entries();
        if before == 0 && after != 0 && entries == self.entries_max {
            return Err(Full);
        }
        if key.is_v4() {
            self.v4.set(&key, after, word(&self.words, Table::MASK_V4_AT))?;
        } else {
            self.v6.set(&key, after, word(&self.words, Table::MASK_V6_AT))?;
        }
        let before = verdict_of(before, dst.port);
        self.count(before, verdict);
        Ok(before)
    }

    /// What is to be ignored counts while it is there: the program asks for verdicts only then.
    fn count(&self, before: Option<Verdict>, after: Option<Verdict>) {
        let one = |verdict| u64::from(verdict == Some(Verdict::Ignore));
        let ignored = word(&self.words, Table::IGNORED_AT);
        let count = ignored.load(Ordering::Relaxed) + one(after) - one(before);
        ignored.store(count, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::mapping::Huge;

    fn table(entries_max: u32) -> VerdictTable {
        let map =
            |buckets: u32, bytes| Mapping::anonymous(buckets as usize * bytes, Huge::No).unwrap();
        let v4 = map(buckets_for(entries_max), V4_BYTES);
        let v6 = map(buckets_for(entries_max), V6_BYTES);
        VerdictTable::of(v4, v6, map(1, Table::BYTES), [7, 9], entries_max)
    }

    /// Every third of IPv6, ports even and odd.
    fn dst(number: u32) -> Endpoint {
        let [_, a, b, c] = (number / 50).to_be_bytes();
        let port = 16_384 + (number % 50) as u16;
        if number / 50 % 3 == 2 {
            return Endpoint::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c], port);
        }
        Endpoint::v4([10, a, b, c], port)
    }

    /// CAP-1, S10: up to its bound a table takes every entry, of IPv4 or IPv6, by moving others, and loses none. The two ports of
    /// a pair are one entry.
    #[test]
    fn fills_to_its_bound() {
        const ENTRIES: u32 = 8192;
        let mut table = table(ENTRIES);
        let of =
            |number: u32| [Verdict::Record, Verdict::Mask, Verdict::Ignore][number as usize % 3];
        for number in 0..2 * ENTRIES {
            assert_eq!(table.set(&dst(number), of(number)), Ok(()), "{number}");
        }
        assert_eq!(table.set(&dst(2 * ENTRIES), Verdict::Record), Err(Full));
        assert!((0..2 * ENTRIES).all(|number| table.get(&dst(number)) == Some(of(number))));
        let ignored = word(&table.words, Table::IGNORED_AT).load(Ordering::Relaxed);
        assert_eq!(ignored, u64::from(2 * ENTRIES / 3));
        assert!(table.remove(&dst(0)) && !table.remove(&dst(0)));
        assert_eq!(table.set(&dst(2 * ENTRIES), Verdict::Record), Err(Full));
        assert!(table.remove(&dst(1)));
        assert_eq!(table.get(&dst(1)), None);
        assert_eq!(table.set(&dst(2 * ENTRIES), Verdict::Mask), Ok(()));
    }

    /// S10: one version of IP alone takes them all.
    #[test]
    fn either_part_takes_all() {
        const ENTRIES: u32 = 3000;
        for is_v4 in [true, false] {
            let mut table = table(ENTRIES);
            let mut all = (0..).map(dst).filter(|dst| dst.is_v4() == is_v4 && dst.port % 2 == 0);
            for dst in all.by_ref().take(ENTRIES as usize) {
                assert_eq!(table.set(&dst, Verdict::Record), Ok(()), "{dst:?}");
            }
            assert_eq!(table.set(&all.next().unwrap(), Verdict::Record), Err(Full));
        }
    }

    /// CAP-1: entries come, change and go, and the table says what a map says.
    #[test]
    fn agrees_with_a_map() {
        let mut table = table(400);
        let mut map = HashMap::new();
        let mut random = 1_u32;
        let mut refused = 0;
        for _ in 0..200_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let dst = dst(random >> 16 & 0x3ff);
            if random & 0x300 == 0 {
                assert_eq!(table.remove(&dst), map.remove(&dst).is_some());
            } else if table.set(&dst, Verdict::from_u8(1 + (random >> 8 & 1) as u8)).is_ok() {
                map.insert(dst, Verdict::from_u8(1 + (random >> 8 & 1) as u8));
            } else {
                refused += 1;
                assert!(map.len() >= 400, "{} entries are not many", map.len());
            }
            assert_eq!(table.get(&dst), map.get(&dst).copied());
        }
        assert!(refused > 0, "a bound is reached");
        assert!(map.iter().all(|(dst, verdict)| table.get(dst) == Some(*verdict)));
    }
}
