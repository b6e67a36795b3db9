//! Where to begin again after a crash, and which segments nobody needs any more.
//!
//! About once a second the cursors of all lanes are noted with the time. A call that is not finished needs the
//! log from its start on: the newest note before the oldest such call is where the next process begins, and
//! what lies before it may be released (S5), oldest first, once the log is longer than it shall be.

use std::collections::VecDeque;
use std::path::Path;

use earwitness_ipc::Command;
use earwitness_segment::Log;

use crate::follow::{Cursors, Note};
use crate::metrics::Metrics;
use crate::setup::segments_dir;

/// Between two notes.
const NOTE_INTERVAL_NS: u64 = 1_000_000_000;
/// Notes kept; past that every second one of the older half goes.
const NOTES_MAX: usize = 4096;

/// The notes, oldest first.
#[derive(Debug, Default)]
pub struct Bookmarks {
    notes: VecDeque<Note>,
}

impl Bookmarks {
    /// Begins with where reading began.
    #[must_use]
    pub fn starting_at(note: Note) -> Self {
        Self { notes: VecDeque::from([note]) }
    }

    /// Notes where reading has come to, if it is time to.
    pub fn note(&mut self, now_ns: u64, cursors: impl FnOnce() -> Cursors) {
        if self
            .notes
            .back()
            .is_some_and(|last| now_ns < last.at_ns.saturating_add(NOTE_INTERVAL_NS))
        {
            return;
        }
        self.notes.push_back(Note { at_ns: now_ns, cursors: cursors() });
        if self.notes.len() > NOTES_MAX {
            let mut index = 0;
            let half = self.notes.len() / 2;
            self.notes.retain(|_| {
                index += 1;
                index == 1 || index > half || index % 2 == 0
            });
        }
    }

    /// The note from which every call that began at `oldest_ns` or later can be read again; `margin_ns` is how
    /// far media may come after, and signalling before, what it belongs to. Older notes are dropped.
    pub fn begin_again(&mut self, oldest_ns: u64, margin_ns: u64) -> Option<&Note> {
        let until_ns = oldest_ns.saturating_sub(margin_ns);
        while self.notes.get(1).is_some_and(|next| next.at_ns <= until_ns) {
            self.notes.pop_front();
        }
        self.notes.front()
    }
}

/// Segments to give back: those wholly before `needed`, oldest first, while the log is longer than `bytes_max`.
#[must_use]
pub fn releasable(
    data_dir: &Path,
    needed: &Cursors,
    bytes_max: u64,
    metrics: &Metrics,
) -> Option<Command> {
    let log = Log::open(&segments_dir(data_dir)).ok()?;
    let mut bytes = 0;
    let mut candidates = Vec::new();
    for (lane, _) in log.lanes().ok()? {
        let keep_from =
            needed.iter().find(|(id, _)| *id == lane).map_or(0, |(_, cursor)| cursor.seq);
        for segment in log.segments(lane).ok()? {
            bytes += segment.bytes;
            if segment.closed && segment.seq < keep_from {
                candidates.push(segment);
            }
        }
    }
    metrics.log_bytes.set(bytes.cast_signed());
    candidates.sort_by_key(|segment| segment.seq);
    let mut released = Vec::new();
    for segment in candidates {
        if bytes <= bytes_max {
            break;
        }
        bytes -= segment.bytes;
        released.push((segment.lane.0, segment.seq));
    }
    metrics.segments_released.inc_by(released.len() as u64);
    (!released.is_empty()).then_some(Command::Release(released))
}

#[cfg(test)]
mod tests {
    use earwitness_segment::{Cursor, LaneId};

    use super::*;

    fn at(seq: u32) -> Cursors {
        vec![(LaneId(0), Cursor { seq, ..Cursor::default() })]
    }

    /// S5, and idea 1: the log is read again from before the oldest call that is not finished.
    #[test]
    fn begins_again_before_the_oldest_unfinished_call() {
        const S: u64 = 1_000_000_000;
        let mut bookmarks = Bookmarks::starting_at(Note { at_ns: 0, cursors: at(1) });
        for second in 1..=10 {
            bookmarks.note(second * S, || at(second as u32));
            bookmarks.note(second * S + 1, || panic!("too early for another note"));
        }
        let mut from =
            |oldest_ns| bookmarks.begin_again(oldest_ns, 2 * S).map(|note| note.cursors.clone());
        assert_eq!(from(7 * S), Some(at(5)));
        assert_eq!(from(6 * S), Some(at(5)), "what was dropped is not needed again");
        assert_eq!(from(u64::MAX), Some(at(10)));
    }
}
