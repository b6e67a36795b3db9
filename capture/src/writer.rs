//! A writing thread: lets packets leave their lines by their verdicts, into the segments of its two lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use earwitness_ipc::{CaptureStats, Fault, SourceInfo};
use earwitness_line::held::Held;
use earwitness_line::ring::Overflow;
use earwitness_line::{DelayLine, Door, Drain, LineError};

use crate::balance::subtract;
use crate::clock::now_ns;
use crate::limits::{FLOWS_IN_REPORT_MAX, OVERHEARD_IN_REPORT_MAX, REPORT_INTERVAL_NS};
use crate::pace::Pace;
use crate::thread::{Content, Mailbox, Order};

/// A delay line whose progress can be seen, so that its thread knows when to nap.
#[derive(Debug)]
pub(crate) struct Watched<L> {
    line: L,
    seen: Arc<AtomicU64>,
    last: u64,
}

/// Owns a drain, and works through its lines.
#[derive(Debug)]
pub(crate) struct Writer<L> {
    drain: Drain<Watched<L>>,
    seen: Arc<AtomicU64>,
    /// Sources that bring packets to any thread.
    sources: u8,
    announce: bool,
    failing: bool,
}

impl<L: DelayLine> Writer<L> {
    pub(crate) fn new(mut drain: Drain<Watched<L>>, lines: Vec<L>, sources: u8) -> Self {
        let seen = Arc::new(AtomicU64::new(0));
        for line in lines {
            drain.add_line(Watched { line, seen: Arc::clone(&seen), last: 0 });
        }
        drain.set_door(Door::Absent);
        Self { drain, seen, sources, announce: false, failing: false }
    }

    /// Notes in the log that capture begins.
    pub(crate) fn begin(&mut self, epoch: u64, sources: Vec<SourceInfo>) -> Result<(), LineError> {
        self.drain.start(epoch, now_ns(), sources)
    }

    /// Works until it is told to stop.
    pub(crate) fn run(mut self, mailbox: &Mailbox) {
        let mut pace = Pace::new();
        let (mut seen, mut reported_ns) = (0, 0);
        loop {
            let now = now_ns();
            while let Some(order) = mailbox.order() {
                if matches!(order, Order::Stop) {
                    return self.stop(mailbox);
                }
                self.take(order, mailbox);
            }
            self.drain.run(now);
            self.announce(mailbox);
            if now.saturating_sub(reported_ns) >= REPORT_INTERVAL_NS {
                reported_ns = now;
                let stats = self.stats();
                mailbox.tell(Content::Stats(stats));
            }
            // Only this thread counts.
            let now_seen = self.seen.load(Ordering::Relaxed);
            pace.rest(now_seen - seen);
            seen = now_seen;
        }
    }

    fn take(&mut self, order: Order, mailbox: &Mailbox) {
        match order {
            Order::Command(command) => {
                if let Err(error) = self.drain.apply(&command)
                    && !self.failing
                {
                    self.failing = true;
                    let text = error.to_string();
                    mailbox.tell(Content::Fault { fault: Fault::Release, text });
                }
            }
            Order::Door { door, announce } => {
                self.drain.set_door(door);
                self.announce = announce;
            }
            Order::Lost(lost) => self.drain.set_lost_elsewhere(lost),
            // The receivers' affair, and `run`'s.
            Order::Renew { .. } | Order::Stop => {}
        }
    }

    /// Flows stay in the drain, which has its own bound, while nobody fetches them.
    fn announce(&mut self, mailbox: &Mailbox) {
        self.overhear(mailbox);
        if !self.announce || !mailbox.has_room() {
            return;
        }
        let events = self.drain.events();
        if events.len() == 0 {
            return;
        }
        let flows: Vec<_> = events.collect();
        for part in flows.chunks(FLOWS_IN_REPORT_MAX) {
            mailbox.tell(Content::Flows(part.to_vec()));
        }
    }

    /// What is not told in time is of no use later: it is given up where nobody listens, or there is no room.
    fn overhear(&mut self, mailbox: &Mailbox) {
        let packets: Vec<_> = self.drain.overheard().collect();
        if !self.announce || !mailbox.has_room() {
            return;
        }
        for part in packets.chunks(OVERHEARD_IN_REPORT_MAX) {
            mailbox.tell(Content::Overheard(part.to_vec()));
        }
    }

    /// By source. What belongs to no source (tables, fragments that wait) is counted with the first.
    fn stats(&mut self) -> Vec<CaptureStats> {
        let mut stats: Vec<_> =
            (0..self.sources).map(|source| self.drain.stats_of(source)).collect();
        let total = self.drain.stats();
        attribute(&mut stats, &total);
        stats
    }

    fn stop(mut self, mailbox: &Mailbox) {
        let now = now_ns();
        // What the receivers published last is judged like everything before.
        self.drain.run(now);
        self.announce(mailbox);
        let mut stats = self.stats();
        let (total, failure) = match self.drain.finish(now) {
            Ok(total) => (Some(total), None),
            Err(error) => (None, Some(error.to_string())),
        };
        if let Some(total) = total {
            for source in stats.iter_mut().skip(1) {
                // What still waited has left by now, undecided.
                source.lost.verdict_late += std::mem::take(&mut source.held);
            }
            attribute(&mut stats, &total);
        }
        mailbox.tell_last(Content::Stopped { stats, failure });
    }
}

/// Makes the sum of all sources the total, at the first source's charge.
fn attribute(stats: &mut [CaptureStats], total: &CaptureStats) {
    let Some((first, others)) = stats.split_first_mut() else { return };
    let mut rest = total.clone();
    for other in others {
        subtract(&mut rest, other);
    }
    *first = rest;
}

impl<L: DelayLine> DelayLine for Watched<L> {
    #[inline]
    fn refresh(&mut self) -> u64 {
        let end = self.line.refresh();
        if end != self.last {
            self.seen.fetch_add(end - self.last, Ordering::Relaxed);
            self.last = end;
        }
        end
    }

    #[inline]
    fn heard_ns(&self, now_ns: u64) -> u64 {
        self.line.heard_ns(now_ns)
    }

    #[inline]
    fn peek(&self, position: u64) -> Option<Held<'_>> {
        self.line.peek(position)
    }

    #[inline]
    fn look_ahead(&self, position: u64) {
        self.line.look_ahead(position);
    }

    #[inline]
    fn release(&mut self, position: u64) {
        self.line.release(position);
    }

    fn released(&self) -> u64 {
        self.line.released()
    }

    fn capacity(&self) -> u64 {
        self.line.capacity()
    }

    fn overflow(&self) -> Overflow {
        self.line.overflow()
    }
}
