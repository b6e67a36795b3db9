//! The program's counters, summed over all CPUs.

use earwitness_abi::counter::reject_index;
use earwitness_abi::{COUNTERS, Counter};
use earwitness_wire::Reject;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramCounters {
    values: [u64; COUNTERS],
}

impl ProgramCounters {
    /// From what the map holds: the counters of one CPU after those of another.
    pub(crate) fn sum(bytes: &[u8]) -> Self {
        let mut values = [0; COUNTERS];
        for (at, word) in bytes.as_chunks::<8>().0.iter().enumerate() {
            values[at % COUNTERS] += u64::from_ne_bytes(*word);
        }
        Self { values }
    }

    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.values[counter as usize]
    }

    /// Frames that could not be parsed, by cause.
    #[must_use]
    pub fn rejected(&self, reject: Reject) -> u64 {
        self.values[reject_index(reject)]
    }

    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        Reject::ALL.iter().map(|reject| self.rejected(*reject)).sum()
    }

    /// Frames that left the program, by whatever exit: equals `Received` once no frame is within (CAP-8).
    #[must_use]
    pub fn exits(&self) -> u64 {
        let exits = Counter::ALL.iter().filter(|counter| counter.is_exit());
        exits.map(|counter| self.get(*counter)).sum::<u64>() + self.rejected_total()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CAP-8: the counters of all CPUs are added, each to its own.
    #[test]
    fn sums_over_cpus() {
        let mut bytes = Vec::new();
        for cpu in 0..3_u64 {
            bytes.extend((0..COUNTERS as u64).flat_map(|at| (at * 10 + cpu).to_ne_bytes()));
        }
        let counters = ProgramCounters::sum(&bytes);
        assert_eq!(counters.get(Counter::Received), 3);
        assert_eq!(counters.get(Counter::Media), 93);
        assert_eq!(counters.rejected(Reject::BadPppoe), 3 * 10 * (COUNTERS as u64 - 1) + 3);
    }
}
