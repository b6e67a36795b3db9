//! Legs in the order of a number: when something is to be done for them, or when they were touched last.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::event::LegId;

/// How many entries may be out of date for each leg, before they are thrown out.
const STALE_PER_LEG: usize = 4;
/// So many are never too many.
const ENTRIES_MIN: usize = 1_024;

/// The leg with the smallest number comes first. A number that grows costs nothing: its entry stays as it was, and moves
/// when it comes up.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Reverse<(u64, LegId)>>,
}

impl Queue {
    pub(super) fn add(&mut self, number: u64, leg: LegId) {
        self.heap.push(Reverse((number, leg)));
    }

    /// Takes the first leg whose number is not above `last`. `present` says what has become of the number that a leg was
    /// added with; `None`: that entry does not count any more.
    pub(super) fn pop(
        &mut self,
        last: u64,
        mut present: impl FnMut(u64, LegId) -> Option<u64>,
    ) -> Option<(u64, LegId)> {
        loop {
            let Reverse((number, leg)) = *self.heap.peek()?;
            if number > last {
                return None;
            }
            self.heap.pop();
            match present(number, leg) {
                Some(now) if now > number => self.add(now, leg),
                Some(_) => return Some((number, leg)),
                None => {}
            }
        }
    }

    /// Throws out what is out of date once it is most of what there is (S10).
    pub(super) fn tidy(&mut self, legs: usize, holds: impl Fn(u64, LegId) -> bool) {
        if self.heap.len() > ENTRIES_MIN + STALE_PER_LEG * legs {
            self.heap.retain(|Reverse((number, leg))| holds(*number, *leg));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // S10: whose number has grown is not the first, and what is out of date does not pile up.
    #[test]
    fn the_smallest_number_of_now_comes_first() {
        let mut queue = Queue::default();
        let newest = |number: u64, leg: LegId| number > 9_997 && leg.0 == number % 3;
        for number in 0..10_001 {
            queue.add(number, LegId(number % 3));
            queue.tidy(3, newest);
            assert!(queue.heap.len() <= ENTRIES_MIN + 4 * 3 + 1);
        }
        let grown = |number, leg: LegId| {
            (number > 9_997).then_some([9_999, 10_000, 10_005][leg.0 as usize])
        };
        assert_eq!(queue.pop(10_000, grown), Some((9_999, LegId(0))));
        assert_eq!(queue.pop(10_000, grown), Some((10_000, LegId(1))));
        assert_eq!(queue.pop(10_000, grown), None);
        assert_eq!(queue.pop(10_005, grown), Some((10_005, LegId(2))));
    }
}
