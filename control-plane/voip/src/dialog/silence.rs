//! Which legs were silent longest, of those that are still there.

use std::collections::VecDeque;

use super::event::LegId;

/// How many entries may be out of date for each that is not, before they are thrown out.
const STALE_PER_LEG: usize = 4;
/// So many are never too many.
const ENTRIES_MIN: usize = 1_024;

/// Touches of legs in their order. An entry counts only while its leg was not touched again: a touch costs no
/// search for the one before it.
#[derive(Debug, Default)]
pub(super) struct Silence {
    touches: VecDeque<(u64, LegId)>,
}

impl Silence {
    /// A leg was touched; numbers of touches only grow.
    pub(super) fn add(&mut self, touch: u64, leg: LegId) {
        self.touches.push_back((touch, leg));
    }

    /// The leg whose last touch is longest ago.
    pub(super) fn oldest(&mut self, is_last: impl Fn(u64, &LegId) -> bool) -> Option<LegId> {
        while let Some((touch, leg)) = self.touches.front() {
            if is_last(*touch, leg) {
                return Some(*leg);
            }
            self.touches.pop_front();
        }
        None
    }

    /// Throws out what is out of date once it is most of what there is (S10).
    pub(super) fn tidy(&mut self, legs: usize, is_last: impl Fn(u64, &LegId) -> bool) {
        if self.touches.len() > ENTRIES_MIN + STALE_PER_LEG * legs {
            self.touches.retain(|(touch, leg)| is_last(*touch, leg));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // S10: what was touched again is not the oldest, and what is out of date does not pile up.
    #[test]
    fn the_longest_silent_is_found() {
        let mut silence = Silence::default();
        let last = |touch: u64, leg: &LegId| touch > 9_997 && leg.0 == touch % 3;
        for touch in 0..10_001 {
            silence.add(touch, LegId(touch % 3));
            silence.tidy(3, last);
            assert!(silence.touches.len() <= ENTRIES_MIN + 4 * 3 + 1);
        }
        assert_eq!(silence.oldest(last), Some(LegId(9_998 % 3)));
    }
}
