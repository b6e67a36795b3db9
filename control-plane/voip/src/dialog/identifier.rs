//! Call-IDs and tags as keys: numbers that stand for their bytes in this process, by seeds that nobody outside knows.
//!
//! However long one is, it costs no memory of its own (S10), and to compare two takes nothing from elsewhere. Who sends
//! messages cannot make one of them pass for another.

use std::hash::BuildHasher;
use std::num::NonZeroU64;
use std::sync::LazyLock;

use foldhash::quality::RandomState;

use super::recent::hash;

/// A Call-ID, as two numbers: that two of 10^9 are taken for one by chance is less likely than 10^-20.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identifier {
    number: u64,
    check: u64,
}

impl Identifier {
    pub(super) fn new(bytes: &[u8]) -> Self {
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);
        Self { number: hash(&bytes), check: SEED.hash_one(bytes) }
    }

    /// What to look for in a table: another Call-ID may have the same.
    pub(super) const fn number(self) -> u64 {
        self.number
    }
}

/// A tag, as one number: only tags of one Call-ID are compared, few of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(NonZeroU64);

impl Tag {
    /// That of RFC 2543, which is none, is the empty one.
    pub(super) fn of(tag: Option<&[u8]>) -> Self {
        Self(NonZeroU64::new(hash(&tag.unwrap_or(b""))).unwrap_or(NonZeroU64::MIN))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Identifier, Tag};

    // S10: long identifiers stay apart, and small.
    #[test]
    fn long_identifiers_are_small_and_distinct() {
        let mut bytes = vec![b'x'; 60_000];
        let one = Identifier::new(&bytes);
        assert_eq!(one, Identifier::new(&bytes));
        bytes[59_999] = b'y';
        assert_ne!(one, Identifier::new(&bytes));
        assert_eq!(size_of_val(&one), 16);
        assert_eq!(Tag::of(None), Tag::of(Some(b"")));
        assert_ne!(Tag::of(Some(b"a")), Tag::of(Some(b"b")));
    }

    // CALL-1: each number by itself tells apart what differs little.
    #[test]
    fn each_number_tells_call_ids_apart() {
        let all: Vec<Identifier> =
            (0..100_000).map(|at| Identifier::new(format!("{at}@host").as_bytes())).collect();
        let numbers: HashSet<u64> = all.iter().map(|one| one.number).collect();
        let checks: HashSet<u64> = all.iter().map(|one| one.check).collect();
        assert_eq!((numbers.len(), checks.len()), (all.len(), all.len()));
        assert!(all.iter().all(|one| one.number != one.check));
    }
}
