//! Which messages of a leg were seen before.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash};
use std::sync::LazyLock;

use foldhash::quality::RandomState;

use super::event::Party;
use crate::limits::RECENT_MESSAGES_MAX;
use crate::sip::Message;

/// Fingerprints of most legs: of six messages, each of itself and at its hop, and a few more.
const USUAL: usize = 14;

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
        if self.list.capacity() == 0 {
            self.list.reserve_exact(USUAL);
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

/// A number that stands for a value in this process, by a seed that nobody outside knows: who sends a message
/// cannot make it pass for another one.
pub(super) fn hash(value: &impl Hash) -> u64 {
    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);
    SEED.hash_one(value)
}
