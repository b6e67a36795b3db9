//! Which messages of a leg were seen before.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::event::Party;
use crate::limits::RECENT_MESSAGES_MAX;
use crate::sip::Message;

/// Fingerprints of the messages of a leg, the oldest forgotten first.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    list: VecDeque<u64>,
}

impl Recent {
    /// Whether a fingerprint was noted.
    pub(super) fn has(&self, fingerprint: u64) -> bool {
        self.list.contains(&fingerprint)
    }

    /// Notes a fingerprint; gives whether it is new.
    pub(super) fn note(&mut self, fingerprint: u64) -> bool {
        if self.list.contains(&fingerprint) {
            return false;
        }
        if self.list.len() == RECENT_MESSAGES_MAX {
            self.list.pop_front();
        }
        self.list.push_back(fingerprint);
        true
    }
}

/// What makes a message the same when it comes again or passes another hop: who asked, CSeq, status, the
/// answering party, and the number of a reliable provisional answer.
pub(super) fn fingerprint(by: Party, message: &Message<'_>) -> u64 {
    hash(&(
        by,
        message.cseq(),
        message.method_name(),
        message.status(),
        message.to().tag,
        message.rseq(),
    ))
}

/// The fingerprint of a message at one hop.
pub(super) fn at_hop(fingerprint: u64, hop: usize) -> u64 {
    hash(&(fingerprint, hop))
}

/// The same value gives the same number in every run.
pub(super) fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
