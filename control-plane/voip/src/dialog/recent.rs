//! Which messages of a leg were seen before.

use std::hash::{BuildHasher, Hash};
use std::sync::LazyLock;

use foldhash::quality::RandomState;
use smallvec::SmallVec;

use super::event::Party;
use crate::limits::{HOPS_MAX, RECENT_MESSAGES_MAX};
use crate::sip::Message;

/// Messages of most legs: six, and one more.
const USUAL: usize = 7;
/// The bits of an entry that say at which hops the message was seen.
const HOPS: u64 = (1 << HOPS_MAX) - 1;

const _: () = assert!(HOPS_MAX <= u8::BITS as usize);

/// The messages of a leg by their fingerprints, the oldest forgotten first.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    /// A fingerprint, but for its last bits, which are the hops.
    list: SmallVec<[u64; USUAL]>,
}

/// What a message was to a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// Not seen before, at any hop.
    pub(super) is_new: bool,
    /// Not seen before at this hop.
    pub(super) is_new_at_hop: bool,
}

impl Recent {
    /// Whether a message was seen.
    pub(super) fn has(&self, fingerprint: u64) -> bool {
        self.list.iter().any(|known| (known ^ fingerprint) & !HOPS == 0)
    }

    /// Notes that a message was seen at a hop.
    pub(super) fn note(&mut self, fingerprint: u64, hop: usize) -> News {
        let at_hop = 1 << hop;
        let mut list = self.list.iter_mut();
        if let Some(known) = list.find(|known| (**known ^ fingerprint) & !HOPS == 0) {
            let is_new_at_hop = *known & at_hop == 0;
            *known |= at_hop;
            return News { is_new: false, is_new_at_hop };
        }
        if self.list.len() == RECENT_MESSAGES_MAX {
            self.list.remove(0);
        }
        self.list.push(fingerprint & !HOPS | at_hop);
        News { is_new: true, is_new_at_hop: true }
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

/// A number that stands for a value in this process, by a seed that nobody outside knows: who sends a message
/// cannot make it pass for another one.
pub(super) fn hash(value: &impl Hash) -> u64 {
    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);
    SEED.hash_one(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    // CALL-1, S10: a message is known at each hop by itself, and no more are remembered than may be.
    #[test]
    fn a_message_is_news_once_at_each_hop() {
        let mut recent = Recent::default();
        let number = |at: usize| hash(&at);
        let news = |is_new, is_new_at_hop| News { is_new, is_new_at_hop };
        assert_eq!(recent.note(number(0), 0), news(true, true));
        assert_eq!(recent.note(number(0), HOPS_MAX - 1), news(false, true));
        assert_eq!(recent.note(number(0), HOPS_MAX - 1), news(false, false));
        assert_eq!(recent.note(number(0), 0), news(false, false));
        for at in 1..=RECENT_MESSAGES_MAX {
            assert!(!recent.has(number(at)));
            assert_eq!(recent.note(number(at), 0), news(true, true));
        }
        assert!(!recent.has(number(0)) && recent.has(number(RECENT_MESSAGES_MAX)));
        assert_eq!(recent.list.len(), RECENT_MESSAGES_MAX);
    }
}
