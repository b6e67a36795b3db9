//! What became of every packet of a source (CAP-8). Monotone but for `held`.
//!
//! `received = stored + ignored + unmatched + held + Σ lost`. All count frames as they arrived: a
//! datagram put together from n fragments counts n wherever it ends.

use earwitness_wire::Reject;
use serde::{Deserialize, Serialize};

#[derive(Clone, Eq, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct CaptureStats {
    /// As in `SourceInfo`.
    pub source: u8,
    /// When the counters were read.
    pub ts_ns: u64,
    /// Offered by the network, lost ones included.
    pub received: u64,
    pub received_bytes: u64,
    /// Written to a segment.
    pub stored: u64,
    pub stored_bytes: u64,
    /// Dropped because policy wants nothing of their flow.
    pub ignored: u64,
    /// Of `ignored`: what did not leave the driver.
    pub ignored_in_driver: u64,
    /// Neither signalling nor media of a call; what the parser refused is in here, too.
    pub unmatched: u64,
    /// In a ring or in reassembly now.
    pub held: u64,
    pub lost: LostBy,
    /// Of `unmatched`: what the parser refused.
    pub rejected: Rejects,
    /// Undecided flows that entered the ring.
    pub flows_seen: u64,
    /// Verdict-table entries given up because the table was full.
    pub verdicts_evicted: u64,
    /// Flow-state entries given up because the table was full.
    pub flows_evicted: u64,
    /// `FlowSeen` events given up because nobody fetched them.
    pub events_dropped: u64,
}

/// Lost packets by the place that lost them.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LostBy {
    /// The device says it missed them.
    pub nic: u64,
    /// The XDP program could not hand them on.
    pub program: u64,
    /// No free frame in the UMEM.
    pub fill_ring: u64,
    /// AF_XDP's receive ring or the packet socket's buffer was full.
    pub receive_ring: u64,
    /// The delay line was full.
    pub core_ring: u64,
    /// The datagram's other fragments did not come, or there was no room to wait for them.
    pub reassembly: u64,
    /// No segment could be written.
    pub disk: u64,
    /// Undecided, and pushed out of a full delay line before `hold` had passed.
    pub verdict_late: u64,
    /// Longer than a record can be.
    pub oversize: u64,
    /// Received, and counted by no stage: each of them is a defect of the accounts.
    pub unexplained: u64,
}

impl LostBy {
    /// Each place with the name that metrics use.
    pub fn places(&self) -> [(&'static str, u64); 10] {
        // Taken apart, so that a new field cannot be left out.
        let Self {
            nic,
            program,
            fill_ring,
            receive_ring,
            core_ring,
            reassembly,
            disk,
            verdict_late,
            oversize,
            unexplained,
        } = *self;
        [
            ("nic", nic),
            ("program", program),
            ("fill_ring", fill_ring),
            ("receive_ring", receive_ring),
            ("core_ring", core_ring),
            ("reassembly", reassembly),
            ("disk", disk),
            ("verdict_late", verdict_late),
            ("oversize", oversize),
            ("unexplained", unexplained),
        ]
    }

    pub fn total(&self) -> u64 {
        self.places().iter().map(|&(_, count)| count).sum()
    }

    pub fn add(&mut self, other: &Self) {
        *self = self.with(other, |mine, theirs| mine + theirs);
    }

    /// What was lost since `before`; counters do not go back.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    fn with(&self, other: &Self, of: impl Fn(u64, u64) -> u64) -> Self {
        // Each field by name, so that a new one cannot be left out.
        Self {
            nic: of(self.nic, other.nic),
            program: of(self.program, other.program),
            fill_ring: of(self.fill_ring, other.fill_ring),
            receive_ring: of(self.receive_ring, other.receive_ring),
            core_ring: of(self.core_ring, other.core_ring),
            reassembly: of(self.reassembly, other.reassembly),
            disk: of(self.disk, other.disk),
            verdict_late: of(self.verdict_late, other.verdict_late),
            oversize: of(self.oversize, other.oversize),
            unexplained: of(self.unexplained, other.unexplained),
        }
    }
}

/// Frames that the parser refused, by cause.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Rejects {
    causes: [u64; Reject::COUNT],
}

impl Rejects {
    pub fn count(&mut self, cause: Reject) {
        self.causes[cause as usize] += 1;
    }

    pub fn of(&self, cause: Reject) -> u64 {
        self.causes[cause as usize]
    }

    pub fn set(&mut self, cause: Reject, count: u64) {
        self.causes[cause as usize] = count;
    }

    pub fn causes(&self) -> impl Iterator<Item = (Reject, u64)> + '_ {
        Reject::ALL.iter().map(|&cause| (cause, self.of(cause)))
    }

    pub fn total(&self) -> u64 {
        self.causes.iter().sum()
    }

    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.causes.iter_mut().zip(other.causes) {
            *mine += theirs;
        }
    }
}

impl CaptureStats {
    /// Adds another thread's counters of the same source; the later time stays.
    pub fn add(&mut self, other: &Self) {
        self.ts_ns = self.ts_ns.max(other.ts_ns);
        self.received += other.received;
        self.received_bytes += other.received_bytes;
        self.stored += other.stored;
        self.stored_bytes += other.stored_bytes;
        self.ignored += other.ignored;
        self.ignored_in_driver += other.ignored_in_driver;
        self.unmatched += other.unmatched;
        self.held += other.held;
        self.lost.add(&other.lost);
        self.rejected.add(&other.rejected);
        self.flows_seen += other.flows_seen;
        self.verdicts_evicted += other.verdicts_evicted;
        self.flows_evicted += other.flows_evicted;
        self.events_dropped += other.events_dropped;
    }

    /// What the equation of CAP-8 leaves over; zero when every packet is accounted for.
    pub fn unaccounted(&self) -> i64 {
        let ended = self.stored + self.ignored + self.unmatched + self.held + self.lost.total();
        self.received.wrapping_sub(ended).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CAP-8: the equation has a term for every place of loss, and merging threads keeps it.
    #[test]
    fn equation_closes() {
        let lost = LostBy {
            nic: 1,
            program: 2,
            fill_ring: 3,
            receive_ring: 4,
            core_ring: 5,
            reassembly: 6,
            disk: 7,
            verdict_late: 8,
            oversize: 9,
            unexplained: 10,
        };
        assert_eq!(lost.total(), 55);
        let mut stats = CaptureStats {
            received: 110,
            stored: 40,
            ignored: 10,
            unmatched: 4,
            held: 1,
            lost,
            ..CaptureStats::default()
        };
        assert_eq!(stats.unaccounted(), 0);
        stats.rejected.count(Reject::BadUdp);
        let other = stats.clone();
        stats.add(&other);
        assert_eq!((stats.received, stats.lost.total(), stats.unaccounted()), (220, 110, 0));
        assert_eq!((stats.rejected.of(Reject::BadUdp), stats.rejected.total()), (2, 2));
        stats.received += 1;
        assert_eq!(stats.unaccounted(), 1);
    }
}
