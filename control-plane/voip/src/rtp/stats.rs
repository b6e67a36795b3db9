//! What came of one stream and what did not (RFC 3550 appendix A.1, A.3, A.8).

use super::header::Header;
use super::window::{Fill, Window};
use crate::limits::{RTP_DROPOUT_MAX, RTP_MISORDER_MAX};

/// What one packet was to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// The first of the stream, or of a new series after a restart.
    First,
    /// The next one.
    InOrder,
    /// After a gap of so many that have not come (yet).
    AfterGap { missing: u16 },
    /// Below the highest number, for the first time.
    Reordered,
    /// It came before.
    Duplicate,
    /// So far below the highest that it is not known whether it came before.
    Late,
    /// Far off; the next packet tells whether it is a restart or a stray.
    Probation,
}

/// Whether a packet's time of arrival says something about jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Timing {
    /// Media: the timestamp is when it was sampled.
    Media,
    /// A telephone event: all its packets have the timestamp of its start (RFC 4733 section 2.3).
    Event,
}

/// The numbers of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// Packets that came, duplicates and late ones among them.
    pub received: u64,
    /// Packets that should have come, by sequence numbers.
    pub expected: u64,
    /// Packets that did not come.
    pub lost: u64,
    pub duplicate: u64,
    /// Came after one with a higher number.
    pub reordered: u64,
    /// Came more than [`RTP_WINDOW_PACKETS`](crate::limits::RTP_WINDOW_PACKETS) numbers late.
    pub late: u64,
    /// Far off and never continued: no part of the stream.
    pub stray: u64,
    /// The sequence began anew.
    pub sequence_restarts: u64,
    /// The timestamp jumped against the time of arrival by more than 2 s.
    pub timestamp_restarts: u64,
    /// Runs of consecutive lost packets, and the longest.
    pub loss_runs: u64,
    pub loss_run_longest: u64,
    /// Interarrival jitter at the end, in ms (RFC 3550 section 6.4.1).
    pub jitter_ms: f64,
    /// Its mean over all packets, and its maximum.
    pub jitter_mean_ms: f64,
    pub jitter_max_ms: f64,
    /// Highest sequence number with its count of wraps, as RTCP writes it.
    pub highest: u32,
}

impl Report {
    /// Lost packets in percent of those expected.
    #[must_use]
    pub fn loss_percent(&self) -> f64 {
        match self.expected {
            0 => 0.0,
            expected => self.lost as f64 * 100.0 / expected as f64,
        }
    }

    /// The mean length of loss runs against that of random loss of the same rate (ITU-T G.107 section 3.5):
    /// 1 for random loss, more for bursts.
    #[must_use]
    pub fn burst_ratio(&self) -> f64 {
        if self.loss_runs == 0 || self.lost >= self.expected {
            return 1.0;
        }
        let mean_run = self.lost as f64 / self.loss_runs as f64;
        let random_run = 1.0 / (1.0 - self.loss_percent() / 100.0);
        (mean_run / random_run).max(1.0)
    }
}

/// The state of one stream: one SSRC between two addresses.
#[derive(Clone, Debug)]
pub struct Stats {
    clock_hz: u32,
    window: Option<Window>,
    /// A packet that was far off: its sequence number and what came with it.
    suspect: Option<Suspect>,
    last: Option<Last>,
    /// In ns, times 16 (RFC 3550 appendix A.8, finer than the clock).
    jitter_q4: u64,
    jitter_max_q4: u64,
    jitter_sum_q4: u128,
    jitter_count: u64,
    /// Of the series that are over, and the counters of all.
    past: Report,
}

#[derive(Clone, Copy, Debug)]
struct Suspect {
    next: u16,
    number: u16,
}

/// The packet that jitter is measured against.
#[derive(Clone, Copy, Debug)]
struct Last {
    timestamp: u32,
    arrival_ns: u64,
}

const SECOND_NS: u64 = 1_000_000_000;

/// A jump of the timestamp against arrival past this is a restart.
const TIMESTAMP_JUMP_NS: u64 = 2 * SECOND_NS;

impl Stats {
    /// A stream with this RTP clock; 0 where it is not known: then there is no jitter.
    #[must_use]
    pub fn new(clock_hz: u32) -> Self {
        Self {
            clock_hz,
            window: None,
            suspect: None,
            last: None,
            jitter_q4: 0,
            jitter_max_q4: 0,
            jitter_sum_q4: 0,
            jitter_count: 0,
            past: Report::default(),
        }
    }

    /// Sets the RTP clock, when it becomes known or the format changes; jitter is measured anew from here.
    pub fn set_clock_hz(&mut self, clock_hz: u32) {
        if clock_hz != self.clock_hz {
            self.clock_hz = clock_hz;
            self.last = None;
            self.jitter_q4 = 0;
        }
    }

    /// Takes one packet.
    pub fn receive(&mut self, header: &Header, arrival_ns: u64, timing: Timing) -> Arrival {
        self.past.received += 1;
        let arrival = self.place(header.sequence);
        if timing == Timing::Media && !matches!(arrival, Arrival::Duplicate | Arrival::Probation) {
            if arrival == Arrival::First {
                self.last = None;
            }
            self.time(header.timestamp, arrival_ns);
        }
        arrival
    }

    /// The numbers so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = self.past;
        report.stray += u64::from(self.suspect.is_some());
        if let Some(window) = &self.window {
            add_series(&mut report, window);
            report.highest = window.highest() as u32;
        }
        report.jitter_ms = milliseconds(self.jitter_q4 as f64);
        report.jitter_max_ms = milliseconds(self.jitter_max_q4 as f64);
        if self.jitter_count > 0 {
            let mean_q4 = self.jitter_sum_q4 as f64 / self.jitter_count as f64;
            report.jitter_mean_ms = milliseconds(mean_q4);
        }
        report
    }

    /// RFC 3550 appendix A.1, with a memory of what came.
    fn place(&mut self, sequence: u16) -> Arrival {
        let Some(window) = &mut self.window else {
            self.window = Some(Window::new(u64::from(sequence) + WRAP));
            return Arrival::First;
        };
        let highest = window.highest();
        let ahead = sequence.wrapping_sub(highest as u16);
        if ahead != 0 && ahead < RTP_DROPOUT_MAX {
            self.settle_suspect();
            let Some(window) = &mut self.window else {
                return Arrival::First;
            };
            window.advance(highest + u64::from(ahead));
            return match ahead {
                1 => Arrival::InOrder,
                _ => Arrival::AfterGap { missing: ahead - 1 },
            };
        }
        let behind = ahead.wrapping_neg();
        if behind < RTP_MISORDER_MAX {
            return match window.fill(highest - u64::from(behind)) {
                Fill::New => {
                    self.past.reordered += 1;
                    Arrival::Reordered
                }
                Fill::Again => {
                    self.past.duplicate += 1;
                    Arrival::Duplicate
                }
                Fill::TooOld => {
                    self.past.late += 1;
                    Arrival::Late
                }
            };
        }
        self.far_off(sequence)
    }

    /// Two packets in a row far from the series begin another one; one alone does not.
    fn far_off(&mut self, sequence: u16) -> Arrival {
        match self.suspect.take() {
            Some(suspect) if suspect.next == sequence => {
                if let Some(window) = &self.window {
                    add_series(&mut self.past, window);
                }
                self.past.sequence_restarts += 1;
                let mut window = Window::new(u64::from(suspect.number) + WRAP);
                window.advance(window.highest() + 1);
                self.window = Some(window);
                Arrival::First
            }
            other => {
                self.past.stray += u64::from(other.is_some());
                self.suspect = Some(Suspect { next: sequence.wrapping_add(1), number: sequence });
                Arrival::Probation
            }
        }
    }

    fn settle_suspect(&mut self) {
        self.past.stray += u64::from(self.suspect.take().is_some());
    }

    /// RFC 3550 appendix A.8.
    fn time(&mut self, timestamp: u32, arrival_ns: u64) {
        let before = self.last.replace(Last { timestamp, arrival_ns });
        let (Some(before), true) = (before, self.clock_hz > 0) else {
            return;
        };
        let arrived_ns = i128::from(arrival_ns) - i128::from(before.arrival_ns);
        let sampled = i128::from(timestamp.wrapping_sub(before.timestamp).cast_signed());
        let sampled_ns = sampled * i128::from(SECOND_NS) / i128::from(self.clock_hz);
        let difference_ns = (arrived_ns - sampled_ns).unsigned_abs();
        if difference_ns > u128::from(TIMESTAMP_JUMP_NS) {
            self.past.timestamp_restarts += 1;
            return;
        }
        // Below 2 s: fits.
        let difference = difference_ns as u64;
        self.jitter_q4 = self.jitter_q4 + difference - ((self.jitter_q4 + 8) >> 4);
        self.jitter_max_q4 = self.jitter_max_q4.max(self.jitter_q4);
        self.jitter_sum_q4 += u128::from(self.jitter_q4);
        self.jitter_count += 1;
    }
}

/// Extended numbers start one wrap up, so that packets from before the first one have room below.
const WRAP: u64 = 1 << 16;

fn milliseconds(ns_q4: f64) -> f64 {
    ns_q4 / 16.0 / 1e6
}

fn add_series(report: &mut Report, window: &Window) {
    let runs = window.runs();
    report.expected += window.expected();
    report.lost += runs.lost;
    report.loss_runs += runs.count;
    report.loss_run_longest = report.loss_run_longest.max(runs.longest);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Arrival, Report, Stats, Timing};
    use crate::rtp::Header;

    fn header(sequence: u16, timestamp: u32) -> Header {
        let mut packet = vec![0x80, 0];
        packet.extend(sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend([0; 4]);
        Header::parse(&packet).unwrap()
    }

    const MS: u64 = 1_000_000;

    fn run(sequences: impl IntoIterator<Item = u16>) -> (Vec<Arrival>, Report) {
        let mut stats = Stats::new(8000);
        let arrivals = sequences
            .into_iter()
            .enumerate()
            .map(|(i, n)| {
                let timestamp = u32::from(n).wrapping_mul(160);
                stats.receive(&header(n, timestamp), i as u64 * 20 * MS, Timing::Media)
            })
            .collect();
        (arrivals, stats.report())
    }

    // CALL-7: loss, duplicates and reordering over the wrap of the sequence.
    #[test]
    fn a_stream_over_the_wrap() {
        let (arrivals, report) = run([65_533, 65_534, 0, 65_535, 0, 4, 2]);
        assert_eq!(
            arrivals,
            [
                Arrival::First,
                Arrival::InOrder,
                Arrival::AfterGap { missing: 1 },
                Arrival::Reordered,
                Arrival::Duplicate,
                Arrival::AfterGap { missing: 3 },
                Arrival::Reordered,
            ]
        );
        assert_eq!((report.received, report.expected, report.lost), (7, 8, 2));
        assert_eq!((report.duplicate, report.reordered, report.loss_runs), (1, 2, 2));
        assert_eq!(report.highest & 0xffff, 4);
    }

    // CALL-7: a first packet that was itself out of order.
    #[test]
    fn the_first_packet_may_be_out_of_order() {
        let (_, report) = run([11, 10, 12, 8]);
        assert_eq!((report.expected, report.lost, report.reordered), (5, 1, 2));
    }

    // CALL-4, CALL-7: a restart of the sequence is no loss; one stray packet is no restart.
    #[test]
    fn restarts_and_strays_are_told_apart() {
        let (arrivals, report) = run([1, 2, 3, 40_000, 40_001, 40_002]);
        assert_eq!(arrivals[3..], [Arrival::Probation, Arrival::First, Arrival::InOrder]);
        assert_eq!((report.expected, report.lost, report.sequence_restarts), (6, 0, 1));
        assert_eq!(report.stray, 0);
        let (_, report) = run([1, 2, 3, 40_000, 4, 5]);
        assert_eq!((report.expected, report.lost, report.sequence_restarts), (5, 0, 0));
        assert_eq!(report.stray, 1);
    }

    // CALL-7: runs of loss and their ratio to random loss.
    #[test]
    fn bursts_are_measured() {
        let (_, report) = run((0..1000u16).filter(|n| !(100..110).contains(n) && *n != 500));
        assert_eq!((report.lost, report.loss_runs, report.loss_run_longest), (11, 2, 10));
        assert!((report.burst_ratio() - 5.5 * (1.0 - 0.011)).abs() < 1e-9);
        let (_, report) = run((0..3000u16).filter(|n| n % 100 != 50));
        assert_eq!((report.lost, report.loss_runs), (30, 30));
        assert!((report.burst_ratio() - 1.0).abs() < 0.02);
        assert!((report.loss_percent() - 1.0).abs() < 1e-9);
    }

    // CALL-7: RFC 3550 appendix A.8: a steady stream has none; every second packet 10 ms late tends to 10 ms.
    #[test]
    fn jitter_follows_the_rfc() {
        let mut stats = Stats::new(8000);
        for n in 0..500u16 {
            stats.receive(&header(n, u32::from(n) * 160), u64::from(n) * 20 * MS, Timing::Media);
        }
        assert_eq!(stats.report().jitter_ms, 0.0);
        for n in 500..1500u16 {
            let late_ns = u64::from(n % 2) * 10 * MS;
            stats.receive(
                &header(n, u32::from(n) * 160),
                u64::from(n) * 20 * MS + late_ns,
                Timing::Media,
            );
        }
        let report = stats.report();
        assert!((report.jitter_ms - 10.0).abs() < 0.1, "{}", report.jitter_ms);
        assert!(report.jitter_max_ms >= report.jitter_ms && report.jitter_mean_ms < 10.0);
        // Events repeat their timestamp: they say nothing about jitter.
        for n in 1500..1600u16 {
            stats.receive(&header(n, 240_000), u64::from(n) * 20 * MS, Timing::Event);
        }
        assert_eq!(stats.report().jitter_ms, report.jitter_ms);
    }

    // CALL-4, CALL-7: a jump of the timestamp is counted and is no jitter.
    #[test]
    fn timestamp_jumps_are_no_jitter() {
        let mut stats = Stats::new(8000);
        for n in 0..100u16 {
            let jump = if n < 50 { 0 } else { 1 << 30 };
            stats.receive(
                &header(n, u32::from(n) * 160 + jump),
                u64::from(n) * 20 * MS,
                Timing::Media,
            );
        }
        let report = stats.report();
        assert_eq!((report.timestamp_restarts, report.jitter_ms), (1, 0.0));
    }

    proptest! {
        // CALL-7: any order within the window gives the same counts as sorted, and received is the sum.
        #[test]
        fn order_does_not_change_the_counts(
            base in any::<u16>(),
            numbers in prop::collection::vec(0u16..300, 1..200),
        ) {
            let (_, report) = run(numbers.iter().map(|n| base.wrapping_add(*n)));
            let mut unique = numbers.clone();
            unique.sort_unstable();
            unique.dedup();
            let (first, last) = (unique[0], unique[unique.len() - 1]);
            prop_assert_eq!(report.expected, u64::from(last - first) + 1);
            prop_assert_eq!(report.lost, report.expected - unique.len() as u64);
            prop_assert_eq!(report.duplicate, (numbers.len() - unique.len()) as u64);
            prop_assert_eq!(report.received, numbers.len() as u64);
        }

        // S9, CALL-7: any numbers, clocks and times: no panic, and every packet is counted once.
        #[test]
        fn any_packets(clock_hz in any::<u32>(), packets in prop::collection::vec((any::<u16>(), any::<u32>(), any::<u64>()), 0..300)) {
            let mut stats = Stats::new(clock_hz);
            for (sequence, timestamp, arrival_ns) in &packets {
                stats.receive(&header(*sequence, *timestamp), *arrival_ns, Timing::Media);
            }
            let report = stats.report();
            let placed = report.received - report.duplicate - report.late - report.stray;
            prop_assert_eq!(report.expected, report.lost + placed);
            prop_assert!(report.burst_ratio() >= 1.0 && report.jitter_ms >= 0.0);
        }
    }
}
