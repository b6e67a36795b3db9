//! When a thread naps: a wake-up costs more than a copy, so nobody is woken, and who finds little to do sleeps a
//! moment.

use std::thread;
use std::time::Duration;

use crate::limits::{BUSY_BYTES, NAP_MAX, NAP_MIN, SOME_BYTES};

#[derive(Debug)]
pub(crate) struct Pace {
    nap: Duration,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { nap: NAP_MIN }
    }

    /// Naps, unless so much was done that more has come meanwhile.
    pub(crate) fn rest(&mut self, done_bytes: u64) {
        if let Some(nap) = self.next(done_bytes) {
            thread::sleep(nap);
        }
    }

    fn next(&mut self, done_bytes: u64) -> Option<Duration> {
        if done_bytes >= BUSY_BYTES {
            self.nap = NAP_MIN;
            return None;
        }
        if done_bytes >= SOME_BYTES {
            self.nap = NAP_MIN;
            return Some(NAP_MIN);
        }
        let nap = self.nap;
        // Longer by an eighth each time: it takes some milliseconds before it reaches the longest.
        self.nap = (nap + nap / 8).min(NAP_MAX);
        Some(nap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CAP-2: a busy thread makes no call; an idle one naps longer and longer, up to the bound. So does one that finds
    /// a little each time: signalling of calls whose media is ignored does not keep a core awake.
    #[test]
    fn naps_grow_while_idle() {
        let mut pace = Pace::new();
        assert_eq!(pace.next(BUSY_BYTES), None);
        assert_eq!(pace.next(0), Some(NAP_MIN));
        let idle: Vec<_> = (0..100).filter_map(|_| pace.next(0)).collect();
        assert!(idle.is_sorted() && idle.last() == Some(&NAP_MAX));
        assert_eq!(pace.next(SOME_BYTES - 1), Some(NAP_MAX));
        assert_eq!(pace.next(SOME_BYTES), Some(NAP_MIN));
    }
}
