//! A session description as a value.

use std::net::IpAddr;

use super::media::Media;

/// A session description (RFC 8866 section 5). Session-level connection, direction, keys and DTLS attributes
/// are already carried into the media that have none of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// `o=`; absent where it was missing or unreadable.
    pub origin: Option<Origin>,
    /// `s=`.
    pub name: String,
    /// `c=` before the first media; an address that is no literal is none.
    pub connection: Option<IpAddr>,
    /// `b=` before the first media.
    pub bandwidth: Vec<Bandwidth>,
    /// Media descriptions in their order: the index is what pairs offer and answer.
    pub media: Vec<Media>,
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

/// `o=`: who made the description, and which version it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    pub username: String,
    pub session_id: String,
    /// Grows by one with each change (RFC 3264 section 8); kept as text, some senders write no number.
    pub version: String,
    pub address: String,
}

/// `b=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// `AS`, `CT`, `TIAS`, …
    pub kind: String,
    /// kbit/s, for TIAS bit/s.
    pub value: u64,
}
