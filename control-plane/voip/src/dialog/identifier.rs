//! Call-IDs and tags as keys: bounded.

use std::borrow::Cow;
use std::num::NonZeroU64;

use super::recent::hash;
use crate::limits::IDENTIFIER_BYTES_MAX;

/// A Call-ID: its bytes. One longer than [`IDENTIFIER_BYTES_MAX`] is kept as its beginning and a number that stands
/// for the whole, so that hostile ones cost no memory (S10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Identifier(Box<[u8]>);

impl Identifier {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(Self::key(bytes).into())
    }

    /// What to look for in a table of identifiers.
    pub(super) fn key(bytes: &[u8]) -> Cow<'_, [u8]> {
        if bytes.len() <= IDENTIFIER_BYTES_MAX {
            return Cow::Borrowed(bytes);
        }
        let number = hash(&bytes).to_be_bytes();
        Cow::Owned([&bytes[..IDENTIFIER_BYTES_MAX - number.len()], &number].concat())
    }

    /// A number that stands for it in this process.
    pub(super) fn number(&self) -> u64 {
        hash(&&self.0[..])
    }

    /// Whether this stands for these bytes.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        *self.0 == *Self::key(bytes)
    }
}

/// A tag, as a number that stands for it in this process. Only tags of one Call-ID are compared, few of each, and nobody
/// outside knows what to send so that two of them have one number.
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
    use super::{Identifier, Tag};
    use crate::limits::IDENTIFIER_BYTES_MAX;

    // S10: long identifiers stay apart, and small.
    #[test]
    fn long_identifiers_are_bounded_and_distinct() {
        let mut bytes = vec![b'x'; 60_000];
        let one = Identifier::new(&bytes);
        assert!(one.is(&bytes));
        bytes[59_999] = b'y';
        assert!(!one.is(&bytes));
        assert_eq!(one.0.len(), IDENTIFIER_BYTES_MAX);
        assert_eq!(Tag::of(None), Tag::of(Some(b"")));
        assert_ne!(Tag::of(Some(b"a")), Tag::of(Some(b"b")));
    }
}
