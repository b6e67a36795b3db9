//! The accounts of a source: what device, program, sockets, receivers and writers counted, as one statement that
//! closes (CAP-8).
//!
//! `received = stored + ignored + unmatched + held + Σ lost`. The parts are read at different moments, so that packets
//! under way between them are in none: they are held. Once nothing has come while each thread looked several times,
//! nothing is under way, and what is missing then is said to be unexplained: no stage owns up to it.

use earwitness_abi::Counter;
use earwitness_ipc::{CaptureStats, LostBy};
use earwitness_wire::Reject;

use crate::program::ProgramCounters;

/// Reports of each thread without a new packet after which nothing is under way: in the first it may not have looked
/// yet, in the second those behind it may not.
const QUIET_REPORTS: u64 = 3;

/// The books of one source.
#[derive(Debug, Default)]
pub(crate) struct Books {
    received: u64,
    /// How many reports each thread had sent when a packet was last new.
    reports: Vec<u64>,
    unexplained: u64,
}

/// Whether more can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    Now,
    /// Every part has ended: nothing is under way.
    End,
}

impl Books {
    /// Closes a statement. `parts` is what device, program and threads counted, added up; `reports` is how many each
    /// thread has sent.
    pub(crate) fn close(
        &mut self,
        parts: CaptureStats,
        reports: &[u64],
        until: Until,
    ) -> CaptureStats {
        let mut stats = parts;
        stats.lost.unexplained += self.unexplained;
        let ended =
            stats.stored + stats.ignored + stats.unmatched + stats.held + stats.lost.total();
        let received = stats.received.max(ended).max(self.received);
        let missing = received - ended;
        if received != self.received || reports.len() != self.reports.len() {
            self.received = received;
            self.reports = reports.to_vec();
        }
        stats.received = received;
        let quiet =
            reports.iter().zip(&self.reports).all(|(now, then)| now - then >= QUIET_REPORTS);
        if until == Until::End || quiet {
            self.unexplained += missing;
            stats.lost.unexplained += missing;
        } else {
            stats.held += missing;
        }
        debug_assert_eq!(stats.unaccounted(), 0, "CAP-8");
        stats
    }
}

/// What the program counted, where it is the first to see a frame.
pub(crate) fn of_program(counters: &ProgramCounters) -> CaptureStats {
    let of = |counter| counters.get(counter);
    let mut stats = CaptureStats {
        received: of(Counter::Received),
        received_bytes: of(Counter::ReceivedBytes),
        ignored: of(Counter::Ignored),
        ignored_in_driver: of(Counter::Ignored),
        unmatched: of(Counter::Unmatched),
        lost: LostBy {
            program: of(Counter::RingMissing)
                + of(Counter::SocketMissing)
                + of(Counter::CopyFailed),
            core_ring: of(Counter::SignallingRingFull) + of(Counter::MediaRingFull),
            ..LostBy::default()
        },
        ..CaptureStats::default()
    };
    for &cause in &Reject::ALL {
        let count = counters.rejected(cause);
        stats.rejected.set(cause, count);
        stats.unmatched += count;
    }
    stats
}

/// Takes away what another statement of the same packets says.
pub(crate) fn subtract(stats: &mut CaptureStats, other: &CaptureStats) {
    let less = |mine: &mut u64, theirs: u64| *mine = mine.saturating_sub(theirs);
    less(&mut stats.received, other.received);
    less(&mut stats.received_bytes, other.received_bytes);
    less(&mut stats.stored, other.stored);
    less(&mut stats.stored_bytes, other.stored_bytes);
    less(&mut stats.ignored, other.ignored);
    less(&mut stats.ignored_in_driver, other.ignored_in_driver);
    less(&mut stats.unmatched, other.unmatched);
    less(&mut stats.held, other.held);
    less(&mut stats.flows_seen, other.flows_seen);
    less(&mut stats.verdicts_evicted, other.verdicts_evicted);
    less(&mut stats.flows_evicted, other.flows_evicted);
    less(&mut stats.events_dropped, other.events_dropped);
    stats.lost = stats.lost.since(&other.lost);
    for (cause, count) in other.rejected.causes() {
        stats.rejected.set(cause, stats.rejected.of(cause).saturating_sub(count));
    }
}

#[cfg(test)]
mod tests {
    use earwitness_abi::COUNTERS;

    use super::*;

    fn counters_of(values: [u64; COUNTERS]) -> ProgramCounters {
        let bytes: Vec<u8> = values.into_iter().flat_map(u64::to_ne_bytes).collect();
        ProgramCounters::sum(&bytes)
    }

    fn parts(received: u64, stored: u64) -> CaptureStats {
        CaptureStats { received, stored, ..CaptureStats::default() }
    }

    /// CAP-8: each exit of the program is in one term, and the sum of the terms is what it received, less what it
    /// handed over.
    #[test]
    fn the_programs_exits_are_terms() {
        let mut values: [u64; COUNTERS] = std::array::from_fn(|at| 1 << at);
        values[Counter::Received as usize] = 0;
        let counters = counters_of(values);
        values[Counter::Received as usize] = counters.exits();
        let stats = of_program(&counters_of(values));
        let handed = [Counter::Signalling, Counter::Fragment, Counter::Media];
        let handed: u64 = handed.into_iter().map(|counter| counters.get(counter)).sum();
        assert_eq!(stats.unaccounted(), handed.cast_signed());
        assert_eq!(stats.rejected.total(), counters.rejected_total());
    }

    /// CAP-8: what is under way is held, and what never arrives is lost once nothing comes any more.
    #[test]
    fn what_is_missing_is_held_then_lost() {
        let mut books = Books::default();
        let stats = books.close(parts(100, 90), &[5, 5], Until::Now);
        assert_eq!((stats.held, stats.lost.unexplained, stats.unaccounted()), (10, 0, 0));
        // One thread has not looked: nothing is said of what is missing.
        let stats = books.close(parts(100, 97), &[50, 5 + QUIET_REPORTS - 1], Until::Now);
        assert_eq!((stats.held, stats.lost.unexplained), (3, 0));
        for _ in 0..2 {
            let stats = books.close(parts(100, 97), &[50, 5 + QUIET_REPORTS], Until::Now);
            assert_eq!((stats.held, stats.lost.unexplained, stats.unaccounted()), (0, 3, 0));
        }
        // A writer that reports later than the program never makes the counters go back.
        let stats = books.close(parts(100, 104), &[60, 60], Until::Now);
        assert_eq!((stats.received, stats.unaccounted()), (107, 0));
        let stats = books.close(parts(106, 104), &[60, 60], Until::Now);
        assert_eq!((stats.received, stats.unaccounted()), (107, 0));
        let stats = books.close(parts(120, 110), &[60, 60], Until::End);
        assert_eq!((stats.held, stats.lost.unexplained, stats.unaccounted()), (0, 10, 0));
    }

    /// CAP-8: parts of a sum can be taken out of it.
    #[test]
    fn subtraction_undoes_addition() {
        let mut one = of_program(&counters_of(std::array::from_fn(|at| at as u64 + 1)));
        one.lost.disk = 3;
        one.lost.nic = 4;
        let other = of_program(&counters_of(std::array::from_fn(|at| 2 * at as u64)));
        let mut sum = one.clone();
        sum.add(&other);
        subtract(&mut sum, &other);
        assert_eq!(sum, one);
    }
}
