//! When something is to be done for which leg.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::event::LegId;

/// How many entries may be out of date for each that is not, before they are thrown out.
const STALE_PER_LEG: usize = 4;
/// So many are never too many.
const ENTRIES_MIN: usize = 1_024;

/// Deadlines, the earliest first. One that was moved stays until it comes up; who takes it knows that it does not
/// hold any more.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(u64, LegId)>>,
}

impl Deadlines {
    pub(super) fn add(&mut self, deadline_ns: u64, leg: LegId) {
        self.heap.push(Reverse((deadline_ns, leg)));
    }

    /// Takes the earliest one that is not after now.
    pub(super) fn pop(&mut self, now_ns: u64) -> Option<(u64, LegId)> {
        let Reverse((deadline_ns, _)) = *self.heap.peek()?;
        let Reverse(first) = if deadline_ns <= now_ns { self.heap.pop()? } else { return None };
        Some(first)
    }

    /// Throws out what is out of date once it is most of what there is (S10).
    pub(super) fn tidy(&mut self, legs: usize, holds: impl Fn(u64, &LegId) -> bool) {
        if self.heap.len() > ENTRIES_MIN + STALE_PER_LEG * legs {
            self.heap.retain(|Reverse((deadline_ns, leg))| holds(*deadline_ns, leg));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // S10: deadlines come in their order, and those that were moved do not pile up.
    #[test]
    fn deadlines_come_in_order() {
        let mut deadlines = Deadlines::default();
        let holds = |deadline_ns: u64, _: &LegId| deadline_ns >= 9_990;
        for deadline_ns in (0..10_000).rev() {
            deadlines.add(deadline_ns, LegId(deadline_ns % 7));
            deadlines.tidy(10, holds);
            assert!(deadlines.heap.len() <= ENTRIES_MIN + 4 * 10 + 1);
        }
        assert_eq!(deadlines.pop(0), Some((0, LegId(0))));
        assert_eq!(deadlines.pop(0), None);
    }
}
