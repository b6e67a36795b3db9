//! What INVITEs can be found by: values of headers, numbers, a conference. Each value remembers the INVITEs that had
//! it, as long as their calls are followed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash};
use std::num::NonZeroU64;

use earwitness_voip::dialog::LegId;
use smallvec::SmallVec;

use crate::call::limits::{HOLDERS_MAX, KEYS_PER_INVITE_MAX};

/// A value, as a number that nobody outside can aim at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(NonZeroU64);

/// The values of one INVITE; most have two.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    list: SmallVec<[Key; 2]>,
}

impl Keys {
    /// Adds one; false if it was there, or there is no room (S10).
    fn add(&mut self, key: Key) -> bool {
        let is_new = self.list.len() < KEYS_PER_INVITE_MAX && !self.list.contains(&key);
        if is_new {
            self.list.push(key);
        }
        is_new
    }
}

/// Who has a value.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holders {
    /// The first of them, so many as are listed.
    list: [LegId; HOLDERS_MAX],
    listed: u8,
    count: u32,
}

const _: () = assert!(HOLDERS_MAX <= u8::MAX as usize);

impl Holders {
    fn of(leg: LegId) -> Self {
        let mut one = Self::default();
        one.add(leg);
        one
    }

    fn listed(&self) -> &[LegId] {
        &self.list[..usize::from(self.listed)]
    }

    /// The oldest first.
    pub fn iter(&self) -> impl Iterator<Item = LegId> {
        self.listed().iter().copied()
    }

    /// Some are not listed.
    pub const fn is_crowded(&self) -> bool {
        self.count as usize > HOLDERS_MAX
    }

    fn add(&mut self, leg: LegId) {
        self.count += 1;
        if let Some(place) = self.list.get_mut(usize::from(self.listed)) {
            *place = leg;
            self.listed += 1;
        }
    }

    /// True if nobody has the value any more.
    fn remove(&mut self, leg: LegId) -> bool {
        self.count -= 1;
        if let Some(at) = self.listed().iter().position(|known| *known == leg) {
            self.list[at..].rotate_left(1);
            self.listed -= 1;
        }
        self.count == 0
    }
}

/// The same, as it is kept: nearly always there is one.
#[derive(Debug)]
enum Kept {
    One(LegId),
    Several(Box<Holders>),
}

impl Kept {
    fn all(&self) -> Holders {
        match self {
            Self::One(leg) => Holders::of(*leg),
            Self::Several(holders) => **holders,
        }
    }

    fn add(&mut self, leg: LegId) {
        match self {
            Self::One(first) => {
                let mut holders = Holders::of(*first);
                holders.add(leg);
                *self = Self::Several(Box::new(holders));
            }
            Self::Several(holders) => holders.add(leg),
        }
    }

    /// True if nobody has the value any more.
    fn remove(&mut self, leg: LegId) -> bool {
        match self {
            Self::One(_) => true,
            Self::Several(holders) => holders.remove(leg),
        }
    }
}

/// All values.
#[derive(Debug, Default)]
pub struct Index {
    holders: HashMap<Key, Kept, foldhash::fast::RandomState>,
    seed: foldhash::quality::RandomState,
}

impl Index {
    /// The key of a value of this kind.
    pub fn key(&self, kind: u8, value: &impl Hash) -> Key {
        Key(NonZeroU64::new(self.seed.hash_one((kind, value))).unwrap_or(NonZeroU64::MIN))
    }

    /// Who has it.
    pub fn holders(&self, key: Key) -> Holders {
        self.holders.get(&key).map(Kept::all).unwrap_or_default()
    }

    /// Remembers that `leg` has it.
    pub fn add(&mut self, keys: &mut Keys, key: Key, leg: LegId) {
        if !keys.add(key) {
            return;
        }
        match self.holders.entry(key) {
            Entry::Occupied(mut kept) => kept.get_mut().add(leg),
            Entry::Vacant(place) => _ = place.insert(Kept::One(leg)),
        }
    }

    /// Forgets a leg and what it had.
    pub fn remove(&mut self, keys: &Keys, leg: LegId) {
        for key in &keys.list {
            if let Entry::Occupied(mut kept) = self.holders.entry(*key)
                && kept.get_mut().remove(leg)
            {
                kept.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CALL-5, S10: what many have is known to be crowded, and costs no more for it; nothing stays behind.
    #[test]
    fn holders_are_bounded() {
        let mut index = Index::default();
        let key = index.key(1, &"same");
        assert_ne!(key, index.key(2, &"same"));
        let mut all: Vec<(LegId, Keys)> = (0..9).map(|n| (LegId(n), Keys::default())).collect();
        for (leg, keys) in &mut all {
            index.add(keys, key, *leg);
            index.add(keys, key, *leg);
        }
        assert!(index.holders(key).is_crowded());
        assert_eq!(index.holders(key).iter().count(), HOLDERS_MAX);
        assert_eq!(index.holders(key).iter().next(), Some(LegId(0)));
        for (leg, keys) in &all {
            index.remove(keys, *leg);
        }
        assert!(index.holders.is_empty());
    }
}
