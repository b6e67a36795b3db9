//! A hash table with a bound: past it, the entry that was not asked for the longest goes, nearly.
//!
//! "Nearly": an entry that was used since the hand last passed gets a second chance (the clock
//! algorithm), so that a look-up stores one flag and moves nothing. Look-ups never allocate; the
//! index doubles a few times while the table fills, so that few entries lie in few cache lines.
//!
//! The order of eviction depends on the order of calls alone, not on hashes: same input, same output.

use std::cell::Cell;

use crate::hash::{Key, Seed};
use crate::limits::VICTIMS_MAX;
use crate::prefetch::prefetch;

/// A table of at most `capacity` entries. One thread owns it (S8).
#[derive(Debug)]
pub struct Bounded<K, V> {
    /// `hash << 32 | slot + 1`; 0 is empty. Linear probing, at most half full; a power of two long.
    index: Box<[u64]>,
    slots: Vec<Slot<K, V>>,
    free: Vec<u32>,
    capacity: usize,
    hand: usize,
    evicted: u64,
    seed: Seed,
}

/// Of a cache.
const LINE_BYTES: usize = 64;
/// Words of an empty table's index: the smallest that doubling is worth.
const INDEX_WORDS_MIN: usize = 16;

#[derive(Debug)]
struct Slot<K, V> {
    entry: Option<(K, V)>,
    used: Cell<bool>,
}

/// The hash of a key, in the table that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hash(u32);

/// Every entry must stay, so the new one cannot come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl<K: Key, V> Bounded<K, V> {
    /// # Panics
    /// When the capacity is 0 or does not fit 30 bits.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        assert!((1..=1 << 30).contains(&capacity), "a capacity of 1 to 2^30");
        Self {
            index: vec![0; INDEX_WORDS_MIN].into_boxed_slice(),
            slots: Vec::with_capacity(capacity),
            free: Vec::new(),
            capacity,
            hand: 0,
            evicted: 0,
            seed: Seed::random(),
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries given up for new ones.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    #[inline]
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        let slot = &self.slots[self.find(key)?];
        slot.used.set(true);
        slot.entry.as_ref().map(|(_, value)| value)
    }

    #[inline]
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let found = self.find(key)?;
        let slot = &mut self.slots[found];
        slot.used.set(true);
        slot.entry.as_mut().map(|(_, value)| value)
    }

    /// The entry of `key`, made by `make` if there is none; another may go for it.
    #[inline]
    pub fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.entry_hashed(&key, self.hash(&key), |_| make())
    }

    /// As [`Bounded::entry`], of a key whose hash is known; what is made may depend on other entries.
    #[inline]
    pub fn entry_hashed(&mut self, key: &K, hash: Hash, make: impl FnOnce(&Self) -> V) -> &mut V {
        let slot = match self.find_hashed(key, hash) {
            Some(slot) => {
                self.slots[slot].used.set(true);
                slot
            }
            None => {
                let value = make(self);
                match self.add(*key, value, |_| true) {
                    Ok(slot) => slot,
                    Err(Full) => unreachable!("any entry may go"),
                }
            }
        };
        &mut self.slots[slot].entry.as_mut().expect("just found or added").1
    }

    /// Sets an entry; where the table is full, one that `may_go` accepts goes for it.
    ///
    /// # Errors
    /// [`Full`] if none may go.
    pub fn insert(&mut self, key: K, value: V, may_go: impl Fn(&V) -> bool) -> Result<(), Full> {
        match self.get_mut(&key) {
            Some(old) => *old = value,
            None => {
                self.add(key, value, may_go)?;
            }
        }
        Ok(())
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let slot = self.find(key)?;
        self.take(slot)
    }

    /// The hash by which this table finds a key.
    #[inline]
    pub fn hash(&self, key: &K) -> Hash {
        Hash(key.hash(self.seed))
    }

    /// Asks the cache for the index of a key that will be looked up.
    #[inline]
    pub fn prefetch_index(&self, hash: Hash) {
        prefetch(&raw const self.index[self.home(hash.0)]);
    }

    /// Asks the cache for the entry of a key that will be looked up, whose index is there.
    #[inline]
    pub fn prefetch_entry(&self, hash: Hash) {
        let word = self.index[self.home(hash.0)];
        if let Some(slot) = self.slots.get((word as u32 as usize).wrapping_sub(1)) {
            let first = &raw const *slot;
            prefetch(first);
            prefetch(first.wrapping_byte_add(LINE_BYTES));
        }
    }

    #[inline]
    fn find(&self, key: &K) -> Option<usize> {
        self.find_hashed(key, self.hash(key))
    }

    #[inline]
    fn find_hashed(&self, key: &K, Hash(hash): Hash) -> Option<usize> {
        let mut at = self.home(hash);
        loop {
            let word = self.index[at];
            if word == 0 {
                return None;
            }
            if (word >> 32) as u32 == hash {
                let slot = word as u32 as usize - 1;
                if self.slots[slot].entry.as_ref().is_some_and(|(held, _)| held == key) {
                    return Some(slot);
                }
            }
            at = self.after(at);
        }
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.index.len() - 1)
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.index.len() - 1)
    }

    fn add(&mut self, key: K, value: V, may_go: impl Fn(&V) -> bool) -> Result<usize, Full> {
        if self.len() == self.capacity {
            let victim = self.victim(may_go)?;
            self.take(victim);
            self.evicted += 1;
        }
        // On probation: in a flood of new keys, the new ones go first.
        let filled = Slot { entry: Some((key, value)), used: Cell::new(false) };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = filled;
                slot as usize
            }
            None => {
                self.slots.push(filled);
                self.slots.len() - 1
            }
        };
        if self.len() * 2 > self.index.len() {
            self.grow();
        }
        let hash = key.hash(self.seed);
        self.link(u64::from(hash) << 32 | (slot as u64 + 1));
        Ok(slot)
    }

    fn link(&mut self, word: u64) {
        let mut at = self.home((word >> 32) as u32);
        while self.index[at] != 0 {
            at = self.after(at);
        }
        self.index[at] = word;
    }

    #[cold]
    fn grow(&mut self) {
        let doubled = vec![0; self.index.len() * 2].into_boxed_slice();
        let old = std::mem::replace(&mut self.index, doubled);
        for word in old.into_iter().filter(|word| *word != 0) {
            self.link(word);
        }
    }

    /// Twice around at most: the first pass takes away second chances. In a large table the first that may go, where
    /// all that are looked at were used.
    fn victim(&mut self, may_go: impl Fn(&V) -> bool) -> Result<usize, Full> {
        let mut used = None;
        for _ in 0..(2 * self.slots.len()).min(VICTIMS_MAX) {
            let at = self.hand;
            self.hand = if at + 1 == self.slots.len() { 0 } else { at + 1 };
            let slot = &self.slots[at];
            if !slot.entry.as_ref().is_some_and(|(_, value)| may_go(value)) {
                continue;
            }
            if !slot.used.replace(false) {
                return Ok(at);
            }
            used.get_or_insert(at);
        }
        used.ok_or(Full)
    }

    fn take(&mut self, slot: usize) -> Option<V> {
        let (key, value) = self.slots[slot].entry.take()?;
        self.unlink(key.hash(self.seed), slot);
        self.free.push(slot as u32);
        Some(value)
    }

    /// Empties the index entry of a slot and moves back what had probed past it, so that no
    /// tombstones gather.
    fn unlink(&mut self, hash: u32, slot: usize) {
        let word = u64::from(hash) << 32 | (slot as u64 + 1);
        let mut hole = self.home(hash);
        while self.index[hole] != word {
            assert!(self.index[hole] != 0, "every entry has its place in the index");
            hole = self.after(hole);
        }
        let mut at = hole;
        loop {
            at = self.after(at);
            let word = self.index[at];
            if word == 0 {
                break;
            }
            let home = self.home((word >> 32) as u32);
            let mask = self.index.len() - 1;
            // It may move into the hole unless its home lies behind the hole.
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(hole) & mask) {
                self.index[hole] = word;
                hole = at;
            }
        }
        self.index[hole] = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    impl Key for u16 {
        /// Bad on purpose: long probe chains.
        fn hash(&self, _seed: Seed) -> u32 {
            u32::from(*self % 7)
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u16, u32),
        Entry(u16, u32),
        Get(u16),
        Remove(u16),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = 0u16..40;
        prop_oneof![
            (key.clone(), any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
            (key.clone(), any::<u32>()).prop_map(|(key, value)| Step::Entry(key, value)),
            key.clone().prop_map(Step::Get),
            key.prop_map(Step::Remove),
        ]
    }

    proptest! {
        /// S10: below its bound it is a map; above, one entry goes for each that comes, and what
        /// must stay stays.
        #[test]
        fn a_map_with_a_bound(steps in prop::collection::vec(step(), 1..300), capacity in 1usize..20) {
            let mut table = Bounded::new(capacity);
            let mut model = BTreeMap::new();
            for step in steps {
                let evicted = table.evicted();
                match step {
                    Step::Insert(key, value) => {
                        let full = model.len() == capacity && !model.contains_key(&key);
                        let all_stay = model.values().all(|value| value % 2 == 0);
                        let result = table.insert(key, value, |value| value % 2 == 1);
                        prop_assert_eq!(result.is_err(), full && all_stay);
                        if result.is_ok() { model.insert(key, value); }
                    }
                    Step::Entry(key, value) => {
                        let held = *table.entry(key, || value);
                        prop_assert_eq!(held, *model.entry(key).or_insert(value));
                    }
                    Step::Get(key) => prop_assert_eq!(table.get(&key), model.get(&key)),
                    Step::Remove(key) => prop_assert_eq!(table.remove(&key), model.remove(&key)),
                }
                if table.evicted() != evicted {
                    prop_assert_eq!(table.evicted(), evicted + 1);
                    model.retain(|key, _| table.find(key).is_some());
                }
                prop_assert_eq!(table.len(), model.len());
                for (key, value) in &model {
                    let slot = table.find(key);
                    prop_assert_eq!(slot.and_then(|at| table.slots[at].entry), Some((*key, *value)));
                }
            }
        }
    }

    /// S10: what is asked for stays, what is not goes.
    #[test]
    fn the_used_stay() {
        let mut table = Bounded::new(8);
        for key in 0..8u16 {
            table.entry(key, || ());
        }
        for key in 8..100 {
            for used in 0..4 {
                assert!(table.get(&used).is_some(), "{used} when {key} came");
            }
            table.entry(key, || ());
        }
        assert_eq!((table.len(), table.evicted()), (8, 92));
    }
}
