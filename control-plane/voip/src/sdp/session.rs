//! A session description as a value.

use smallvec::SmallVec;

use super::media::Media;

/// What counts for media of a session description (RFC 8866 section 5): who made it, its name and its bandwidth are
/// not kept. Session-level connection, direction, keys and DTLS attributes
/// are already carried into the media that have none of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Media descriptions in their order: the index is what pairs offer and answer.
    pub media: SmallVec<[Media; 1]>,
    /// `a=group:BUNDLE` (RFC 9143): media ids of each group.
    pub bundles: Vec<Vec<String>>,
}

impl Session {
    /// The bundle that this media id is a member of.
    #[must_use]
    pub fn bundle_of(&self, mid: &str) -> Option<&[String]> {
        self.bundles.iter().find(|group| group.iter().any(|m| m == mid)).map(Vec::as_slice)
    }
}
