//! Call-IDs and tags as keys: their bytes, bounded.

use std::borrow::Cow;

use super::recent::hash;
use crate::limits::IDENTIFIER_BYTES_MAX;

/// A Call-ID or tag. One longer than [`IDENTIFIER_BYTES_MAX`] is kept as its beginning and a number that stands
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

    /// A tag; that of RFC 2543, which is none, is the empty one.
    pub(super) fn from_tag(tag: Option<&[u8]>) -> Self {
        Self::new(tag.unwrap_or(b""))
    }

    /// Whether this stands for these bytes.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        *self.0 == *Self::key(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::Identifier;
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
        assert!(Identifier::from_tag(None).is(b""));
    }
}
