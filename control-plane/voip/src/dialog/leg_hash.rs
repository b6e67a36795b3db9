//! The hash of numbers of legs: those that began one after the other lie side by side in a table, because they are asked
//! for at about the same time.

use std::hash::{BuildHasherDefault, Hasher};

/// A map by leg. The numbers are ours: nobody outside can choose them so that they collide.
pub type LegMap<V> = std::collections::HashMap<super::LegId, V, BuildHasherDefault<LegHasher>>;

/// Hashes the number of a leg, and nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct LegHasher(u64);

/// An odd constant with no pattern: the golden ratio.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
/// What tables tell the entries of one place apart by.
const TAG: u64 = 0x7f << (u64::BITS - 7);

impl Hasher for LegHasher {
    fn write_u64(&mut self, number: u64) {
        self.0 = number & !TAG | number.wrapping_mul(ODD) & TAG;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("the number of a leg is hashed as a whole");
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::LegId;
    use super::*;
    use std::hash::BuildHasher;

    // S10: neighbours have places of their own, and tags that differ.
    #[test]
    fn neighbours_lie_side_by_side() {
        let build = BuildHasherDefault::<LegHasher>::default();
        let hash = |number: u64| build.hash_one(LegId(number));
        let tags: std::collections::BTreeSet<u64> = (0..64).map(|n| hash(n) & TAG).collect();
        assert!(tags.len() > 48, "{}", tags.len());
        assert!((0..1000).all(|n| hash(n) & 1023 == n & 1023));
        let mut map = LegMap::default();
        map.extend((0..10_000).map(|n| (LegId(n), n)));
        assert!((0..10_000).all(|n| map.remove(&LegId(n)) == Some(n)));
    }
}
