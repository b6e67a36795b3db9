//! One part of the table of verdicts: where an entry finds a place, and moves to. What a place looks like: [`super::slots`].

use std::sync::atomic::{AtomicU64, Ordering};

use earwitness_abi::verdicts::{Codes, FILL, Key};

/// Buckets that are looked at for a way to make room. A few are, with so many entries as there may be.
const SEARCH_MAX: usize = 256;

/// Buckets of a part that begins: some pages.
const BUCKETS_FIRST: u32 = 512;

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// One place for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) bucket: u32,
    pub(super) way: usize,
}

/// Memory that the program reads meanwhile.
pub(super) trait Slots {
    /// Places of a bucket.
    const WAYS: usize;
    /// What is at a place.
    fn entry(&self, place: Place) -> Option<(Key, Codes)>;
    /// Puts an entry at a place that is free or has the same key. Without codes it is free then.
    fn put(&self, place: Place, key: &Key, codes: Codes);
}

#[derive(Debug)]
pub(super) struct Part<S> {
    slots: S,
    /// In use, and at most.
    buckets: u32,
    buckets_max: u32,
    seed: [u64; 2],
    entries: u32,
}

/// A bucket that was looked at for room, and the entry that would move there.
#[derive(Debug, Clone, Copy)]
struct Visit {
    bucket: u32,
    from: Option<(usize, Place)>,
}

impl<S: Slots> Part<S> {
    /// An empty part of `buckets_max` (a power of two). The program reads at `mask` how many are in use.
    pub(super) fn new(slots: S, buckets_max: u32, seed: [u64; 2], mask: &AtomicU64) -> Self {
        let buckets = buckets_max.min(BUCKETS_FIRST);
        mask.store(u64::from(buckets) - 1, Ordering::Release);
        Self { slots, buckets, buckets_max, seed, entries: 0 }
    }

    pub(super) fn entries(&self) -> u32 {
        self.entries
    }

    /// Those of a key; 0 if there are none.
    pub(super) fn codes(&self, key: &Key) -> Codes {
        let entry = self.find(key).and_then(|place| self.slots.entry(place));
        entry.map_or(0, |(_, codes)| codes)
    }

    /// Sets those of a key; 0 takes it away.
    pub(super) fn set(&mut self, key: &Key, codes: Codes, mask: &AtomicU64) -> Result<(), Full> {
        if let Some(place) = self.find(key) {
            self.slots.put(place, key, codes);
            self.entries -= u32::from(codes == 0);
            return Ok(());
        }
        if codes == 0 {
            return Ok(());
        }
        let many = self.entries >= self.buckets * FILL;
        if many && self.buckets < self.buckets_max {
            self.double(mask);
        }
        let place = self.make_room(key).ok_or(Full)?;
        self.slots.put(place, key, codes);
        self.entries += 1;
        Ok(())
    }

    /// Twice as many buckets: what is found further on then is copied there before the program looks there, and goes from
    /// where it was after that.
    fn double(&mut self, mask: &AtomicU64) {
        let before = self.buckets;
        self.buckets *= 2;
        let mut moved = Vec::new();
        for place in (0..before).flat_map(ways::<S>) {
            let Some((key, codes)) = self.slots.entry(place) else { continue };
            if self.homes(&key).contains(&place.bucket) {
                continue;
            }
            self.slots.put(Place { bucket: place.bucket + before, ..place }, &key, codes);
            moved.push((place, key));
        }
        mask.store(u64::from(self.buckets) - 1, Ordering::Release);
        moved.iter().for_each(|(place, key)| self.slots.put(*place, key, 0));
    }

    fn find(&self, key: &Key) -> Option<Place> {
        let mut places = self.homes(key).into_iter().flat_map(ways::<S>);
        places.find(|place| self.slots.entry(*place).is_some_and(|(known, _)| known == *key))
    }

    /// A free place in one of the key's buckets; others move for it if need be.
    fn make_room(&self, key: &Key) -> Option<Place> {
        let mut visits: Vec<Visit> =
            self.homes(key).map(|bucket| Visit { bucket, from: None }).into();
        let mut at = 0;
        while let Some(visit) = visits.get(at).copied() {
            let mut places = ways::<S>(visit.bucket);
            if let Some(free) = places.find(|place| self.slots.entry(*place).is_none()) {
                return self.shift(&visits, visit, free);
            }
            for place in ways::<S>(visit.bucket) {
                let (key, _) = self.slots.entry(place)?;
                let homes = self.homes(&key);
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
    fn shift(&self, visits: &[Visit], last: Visit, mut free: Place) -> Option<Place> {
        let mut visit = last;
        while let Some((before, place)) = visit.from {
            // First the copy, then the room: it is never nowhere.
            let (key, codes) = self.slots.entry(place)?;
            self.slots.put(free, &key, codes);
            self.slots.put(place, &key, 0);
            free = place;
            visit = visits[before];
        }
        Some(free)
    }

    fn homes(&self, key: &Key) -> [u32; 2] {
        key.hash(self.seed).map(|hash| hash & (self.buckets - 1))
    }
}

fn ways<S: Slots>(bucket: u32) -> impl Iterator<Item = Place> {
    (0..S::WAYS).map(move |way| Place { bucket, way })
}
