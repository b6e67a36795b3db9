//! What was lost and not noted yet. Readers of the log alone must see that something is missing
//! (`Mark::Gap`); a note that could not be written is made later, with what was lost since.

use earwitness_ipc::{LostBy, Mark};

use crate::limits::GAP_NOTE_NS;

/// Losses up to the last note.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    noted: LostBy,
    /// Nothing was lost unnoted up to here.
    whole_until_ns: u64,
    /// Not before this time is the next note.
    next_note_ns: u64,
}

impl Gaps {
    /// Capture begins.
    pub(crate) fn begin(&mut self, now_ns: u64) {
        self.whole_until_ns = now_ns;
    }

    /// The note that is due, given all losses so far; [`Gaps::noted`] says that it was written.
    pub(crate) fn due(&mut self, lost: &LostBy, now_ns: u64) -> Option<Mark> {
        let since = lost.since(&self.noted);
        if since.total() == 0 {
            self.whole_until_ns = self.whole_until_ns.max(now_ns);
            return None;
        }
        (now_ns >= self.next_note_ns).then(|| self.gap(since, now_ns))
    }

    /// The note on everything unnoted, however recent the last one is.
    pub(crate) fn last(&self, lost: &LostBy, now_ns: u64) -> Option<Mark> {
        let since = lost.since(&self.noted);
        (since.total() > 0).then(|| self.gap(since, now_ns))
    }

    /// The note was written.
    pub(crate) fn noted(&mut self, lost: &LostBy, now_ns: u64) {
        self.noted = *lost;
        self.whole_until_ns = self.whole_until_ns.max(now_ns);
        self.next_note_ns = now_ns.saturating_add(GAP_NOTE_NS);
    }

    fn gap(&self, lost: LostBy, now_ns: u64) -> Mark {
        let from_ns = self.whole_until_ns.min(now_ns);
        Mark::Gap { from_ns, to_ns: now_ns, lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(disk: u64, core_ring: u64) -> LostBy {
        LostBy { disk, core_ring, ..LostBy::default() }
    }

    /// CAP-8: a note says what was lost since the one before, and between which times; one that was
    /// not written is made again with what came to it.
    #[test]
    fn notes_say_what_was_lost_since() {
        let second = GAP_NOTE_NS;
        let mut gaps = Gaps::default();
        gaps.begin(5);
        assert_eq!(gaps.due(&lost(0, 0), 10), None);
        let first = Mark::Gap { from_ns: 10, to_ns: 20, lost: lost(3, 0) };
        assert_eq!(gaps.due(&lost(3, 0), 20), Some(first));
        let again = Mark::Gap { from_ns: 10, to_ns: 30, lost: lost(4, 1) };
        assert_eq!(gaps.due(&lost(4, 1), 30), Some(again));
        gaps.noted(&lost(4, 1), 30);
        assert_eq!(gaps.due(&lost(4, 1), 35), None);
        assert_eq!(gaps.due(&lost(4, 2), 40), None, "too soon");
        let last = Mark::Gap { from_ns: 35, to_ns: 40, lost: lost(0, 1) };
        assert_eq!(gaps.last(&lost(4, 2), 40), Some(last));
        let next = Mark::Gap { from_ns: 35, to_ns: 31 + second, lost: lost(1, 1) };
        assert_eq!(gaps.due(&lost(5, 2), 31 + second), Some(next));
    }
}
