//! The table of verdicts, as user space writes it: `earwitness_abi::verdicts` says how it lies in memory.
#![expect(unsafe_code, reason = "words that the program reads meanwhile")]

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use earwitness_abi::FlowKey;
use earwitness_abi::verdicts::{Bucket, Table, WAYS, hash_of, port_of, state, verdict_of};
use earwitness_wire::{Endpoint, Verdict};

use crate::mapping::{Access, Mapping};

/// Buckets that are looked at for a way to make room. At two thirds full, a few are.
const SEARCH_MAX: usize = 256;

/// Buckets of a table that begins: 64 KiB.
const BUCKETS_FIRST: u32 = 1024;

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// One thread owns it.
#[derive(Debug)]
pub(super) struct VerdictTable {
    map: Mapping,
    /// The words beside it.
    words: Mapping,
    /// In use, and at most.
    buckets: u32,
    buckets_max: u32,
    seed: [u64; 2],
    entries: u32,
    entries_max: u32,
}

/// One place for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    bucket: u32,
    way: usize,
}

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    address: [u64; 2],
    port: u16,
}

/// A bucket that was looked at for room, and the entry that would move there.
#[derive(Debug, Clone, Copy)]
struct Visit {
    bucket: u32,
    from: Option<(usize, Place)>,
}

impl VerdictTable {
    /// Maps a table of `buckets_max` (a power of two), which is empty, and the words beside it.
    pub(super) fn map(
        map: BorrowedFd<'_>,
        words: BorrowedFd<'_>,
        buckets_max: u32,
        seed: [u64; 2],
        entries_max: u32,
    ) -> io::Result<Self> {
        let bytes = buckets_max as usize * Bucket::BYTES;
        let map = Mapping::of(map, bytes, 0, Access::ReadWrite)?;
        let words = Mapping::of(words, Table::BYTES, 0, Access::ReadWrite)?;
        Ok(Self::of(map, words, buckets_max, seed, entries_max))
    }

    fn of(
        map: Mapping,
        words: Mapping,
        buckets_max: u32,
        seed: [u64; 2],
        entries_max: u32,
    ) -> Self {
        let buckets = buckets_max.min(BUCKETS_FIRST);
        let table = Self { map, words, buckets, buckets_max, seed, entries: 0, entries_max };
        table.table_word(Table::MASK_AT).store(u64::from(buckets) - 1, Ordering::Release);
        table
    }

    pub(super) fn get(&self, dst: &Endpoint) -> Option<Verdict> {
        let place = self.find(&Key::of(dst))?;
        verdict_of(self.state(place).load(Ordering::Relaxed), dst.port)
    }

    /// Sets a verdict.
    pub(super) fn set(&mut self, dst: &Endpoint, verdict: Verdict) -> Result<(), Full> {
        let key = Key::of(dst);
        let state = state(key.port, verdict);
        if let Some(place) = self.find(&key) {
            let before = self.state(place).swap(state, Ordering::Release);
            self.count(verdict_of(before, key.port), Some(verdict));
            return Ok(());
        }
        if self.entries == self.entries_max {
            return Err(Full);
        }
        let two_thirds = u64::from(self.buckets) * (WAYS as u64 - 1);
        if u64::from(self.entries) >= two_thirds && self.buckets < self.buckets_max {
            self.double();
        }
        let place = self.make_room(&key).ok_or(Full)?;
        self.put(place, key.address, state);
        self.entries += 1;
        self.count(None, Some(verdict));
        Ok(())
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, dst: &Endpoint) -> bool {
        let Some(place) = self.find(&Key::of(dst)) else { return false };
        let before = self.state(place).swap(0, Ordering::Release);
        self.entries -= 1;
        self.count(verdict_of(before, dst.port), None);
        true
    }

    /// What is to be ignored counts while it is there: the program asks for verdicts only then.
    fn count(&self, before: Option<Verdict>, after: Option<Verdict>) {
        let one = |verdict| u64::from(verdict == Some(Verdict::Ignore));
        let ignored = self.table_word(Table::IGNORED_AT);
        let count = ignored.load(Ordering::Relaxed) + one(after) - one(before);
        ignored.store(count, Ordering::Release);
    }

    /// Twice as many buckets: what is found further on then is copied there before the program looks there, and goes from
    /// where it was after that.
    fn double(&mut self) {
        let before = self.buckets;
        self.buckets *= 2;
        let mut moved = Vec::new();
        for place in (0..before).flat_map(ways) {
            let Some(key) = self.key(place) else { continue };
            if self.homes(&key).contains(&place.bucket) {
                continue;
            }
            let state = self.state(place).load(Ordering::Relaxed);
            self.put(Place { bucket: place.bucket + before, ..place }, key.address, state);
            moved.push(place);
        }
        self.table_word(Table::MASK_AT).store(u64::from(self.buckets) - 1, Ordering::Release);
        moved.into_iter().for_each(|place| self.state(place).store(0, Ordering::Release));
    }

    fn table_word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: within the mapping, which `at` checks, and aligned; only this thread stores it, and the program loads
        // whole words.
        unsafe { AtomicU64::from_ptr(self.words.at(at, size_of::<u64>()).cast()) }
    }

    fn find(&self, key: &Key) -> Option<Place> {
        let places = self.homes(key).into_iter().flat_map(ways);
        places.into_iter().find(|place| self.key(*place).as_ref() == Some(key))
    }

    /// A free place in one of the key's buckets; others move for it if need be.
    fn make_room(&self, key: &Key) -> Option<Place> {
        let mut visits: Vec<Visit> =
            self.homes(key).map(|bucket| Visit { bucket, from: None }).into();
        let mut at = 0;
        while let Some(visit) = visits.get(at).copied() {
            let mut places = ways(visit.bucket);
            if let Some(free) = places.find(|place| self.key(*place).is_none()) {
                return Some(self.shift(&visits, visit, free));
            }
            for place in ways(visit.bucket) {
                let homes = self.key(place).map(|key| self.homes(&key))?;
                let other = if homes[0] == visit.bucket { homes[1] } else { homes[0] };
                // Moving round in a circle makes no room.
                if visits.len() < SEARCH_MAX && visits.iter().all(|known| known.bucket != other) {
                    visits.push(Visit { bucket: other, from: Some((at, place)) });
                }
            }
            at += 1;
        }
        None
    }

    /// Moves each entry of the way to a free place into the place behind it. Gives the place that is free then.
    fn shift(&self, visits: &[Visit], last: Visit, mut free: Place) -> Place {
        let mut visit = last;
        while let Some((before, place)) = visit.from {
            // First the copy, then the room: it is never nowhere.
            let moved = self.state(place).load(Ordering::Relaxed);
            let address = [0, 1].map(|half| self.word(place, half).load(Ordering::Relaxed));
            self.put(free, address, moved);
            self.state(place).store(0, Ordering::Release);
            free = place;
            visit = visits[before];
        }
        free
    }

    fn put(&self, place: Place, address: [u64; 2], state: u32) {
        for (half, word) in address.into_iter().enumerate() {
            self.word(place, half).store(word, Ordering::Relaxed);
        }
        self.state(place).store(state, Ordering::Release);
    }

    fn homes(&self, key: &Key) -> [u32; 2] {
        hash_of(key.address, key.port, self.seed).map(|hash| hash & (self.buckets - 1))
    }

    fn key(&self, place: Place) -> Option<Key> {
        let state = self.state(place).load(Ordering::Relaxed);
        let address = || [0, 1].map(|half| self.word(place, half).load(Ordering::Relaxed));
        (state != 0).then(|| Key { address: address(), port: port_of(state) })
    }

    fn state(&self, place: Place) -> &AtomicU32 {
        let at = place.bucket as usize * Bucket::BYTES + place.way * size_of::<u32>();
        // SAFETY: within the mapping, which `at` checks, and aligned, since buckets are; only this thread stores it, and
        // the program loads whole words.
        unsafe { AtomicU32::from_ptr(self.map.at(at, size_of::<u32>()).cast()) }
    }

    fn word(&self, place: Place, half: usize) -> &AtomicU64 {
        let within = Bucket::ADDRESSES_AT + (2 * place.way + half) * size_of::<u64>();
        let at = place.bucket as usize * Bucket::BYTES + within;
        // SAFETY: as above.
        unsafe { AtomicU64::from_ptr(self.map.at(at, size_of::<u64>()).cast()) }
    }
}

impl Key {
    fn of(dst: &Endpoint) -> Self {
        Self { address: FlowKey::new(dst).addr, port: dst.port }
    }
}

fn ways(bucket: u32) -> impl Iterator<Item = Place> {
    (0..WAYS).map(move |way| Place { bucket, way })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::mapping::Huge;

    fn table(buckets: u32, entries_max: u32) -> VerdictTable {
        let map = Mapping::anonymous(buckets as usize * Bucket::BYTES, Huge::No).unwrap();
        let words = Mapping::anonymous(Table::BYTES, Huge::No).unwrap();
        VerdictTable::of(map, words, buckets, [7, 9], entries_max)
    }

    fn dst(number: u32) -> Endpoint {
        let [_, a, b, c] = (number / 50).to_be_bytes();
        Endpoint::v4([10, a, b, c], 16_384 + 2 * (number % 50) as u16)
    }

    /// CAP-1, S10: up to its bound a table takes every entry, by moving others, and loses none.
    #[test]
    fn fills_to_its_bound() {
        const ENTRIES: u32 = 8192;
        let mut table = table(earwitness_abi::verdicts::buckets_for(ENTRIES), ENTRIES);
        let of =
            |number: u32| [Verdict::Record, Verdict::Mask, Verdict::Ignore][number as usize % 3];
        for number in 0..ENTRIES {
            assert_eq!(table.set(&dst(number), of(number)), Ok(()), "{number}");
        }
        assert_eq!(table.set(&dst(ENTRIES), Verdict::Record), Err(Full));
        assert!((0..ENTRIES).all(|number| table.get(&dst(number)) == Some(of(number))));
        assert!(table.remove(&dst(1)) && !table.remove(&dst(1)));
        assert_eq!((table.get(&dst(1)), table.set(&dst(ENTRIES), Verdict::Mask)), (None, Ok(())));
    }

    /// CAP-1: entries come, change and go, and the table says what a map says, much fuller than it will be.
    #[test]
    fn agrees_with_a_map() {
        let mut table = table(256, 700);
        let mut map = HashMap::new();
        let mut random = 1_u32;
        for _ in 0..200_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let dst = dst(random >> 16 & 0x3ff);
            if random & 0x300 == 0 {
                assert_eq!(table.remove(&dst), map.remove(&dst).is_some());
            } else if table.set(&dst, Verdict::from_u8(1 + (random >> 8 & 1) as u8)).is_ok() {
                map.insert(dst, Verdict::from_u8(1 + (random >> 8 & 1) as u8));
            } else {
                assert!(map.len() > 600, "{} entries are not many", map.len());
            }
            assert_eq!(table.get(&dst), map.get(&dst).copied());
        }
        assert_eq!(table.entries as usize, map.len());
        assert!(map.iter().all(|(dst, verdict)| table.get(dst) == Some(*verdict)));
    }
}
