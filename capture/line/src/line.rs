//! Producer and drain on one thread: the line as replay uses it.
//!
//! Time is that of the packets. What a full ring would lose is drained first, so a replay loses
//! nothing to its own speed.

use std::{collections::vec_deque, sync::Arc};

use earwitness_ipc::{CaptureStats, Command, FlowSeen, LostBy, Overheard, SourceInfo};
use earwitness_segment::{
    Keeper,
    disk::{Disk, RealDisk},
};
use earwitness_wire::Steer;

use crate::{
    drain::{Door, Drain, open_rings},
    error::LineError,
    frame::Frame,
    limits::FRAME_BYTES_MAX,
    options::LineOptions,
    producer::Producer,
    reassembly::ReassemblyStats,
    ring::Receiver,
};

/// A line from a received frame to a segment, on one thread.
#[derive(Debug)]
pub struct Line {
    producer: Producer,
    drain: Drain<Receiver>,
    /// Bytes offered since the drain last ran, and with how many it runs by itself.
    offered_bytes: usize,
    run_bytes: usize,
}

impl Line {
    /// Opens rings and lanes.
    ///
    /// # Errors
    /// [`LineError`]; see there for what to do about a refused lock.
    pub fn open(options: LineOptions) -> Result<Self, LineError> {
        Self::open_on(&(Arc::new(RealDisk) as Arc<dyn Disk>), options)
    }

    /// As [`Line::open`], on another disk.
    ///
    /// # Errors
    /// As [`Line::open`].
    pub fn open_on(disk: &Arc<dyn Disk>, options: LineOptions) -> Result<Self, LineError> {
        let (producer, receivers) = open_rings(&options.rings, &options.steering)?;
        let mut drain = Drain::open_on(disk, options.drain)?;
        receivers.into_iter().for_each(|receiver| drain.add_line(receiver));
        let run_bytes = options.rings.media_bytes.min(options.rings.signalling_bytes) / 16;
        Ok(Self { producer, drain, offered_bytes: 0, run_bytes })
    }

    /// Writes the note that capture began.
    ///
    /// # Errors
    /// As [`Drain::start`].
    pub fn start(
        &mut self,
        epoch: u64,
        now_ns: u64,
        sources: Vec<SourceInfo>,
    ) -> Result<(), LineError> {
        self.drain.start(epoch, now_ns, sources)
    }

    /// Takes a frame, and says where it went. Signalling is in the log after the next
    /// [`Line::run`], decided media too.
    #[inline]
    pub fn offer(&mut self, frame: &Frame<'_>) -> Steer {
        // A run in time gives the rings room: nothing is lost to a burst between two of the caller's.
        self.offered_bytes += frame.bytes.len() + 64;
        if self.offered_bytes > self.run_bytes {
            self.run(frame.ts_ns);
            self.offered_bytes = frame.bytes.len() + 64;
        }
        self.producer.offer(frame)
    }

    /// Moves everything that can move at this time.
    #[inline]
    pub fn run(&mut self, now_ns: u64) {
        self.offered_bytes = 0;
        self.producer.expire(now_ns);
        self.producer.publish_all_before(now_ns);
        self.drain.set_lost_elsewhere(self.lost_before_the_rings());
        self.drain.run(now_ns);
        self.rewind();
        debug_assert_eq!(self.stats().unaccounted(), 0, "CAP-8");
    }

    /// Writes what was gathered, and makes all media visible that may be: of what was offered, all that is decided.
    pub fn settle(&mut self, now_ns: u64) {
        self.run(now_ns);
        self.drain.settle(now_ns);
        self.rewind();
    }

    /// Takes a command over, on both sides.
    ///
    /// # Errors
    /// As [`Drain::apply`].
    pub fn apply(&mut self, command: &Command) -> Result<(), LineError> {
        self.producer.apply(command);
        let applied = self.drain.apply(command);
        // What waited may have left.
        self.rewind();
        applied
    }

    /// Media goes on at the ring's start where nothing waits: pages that were never used cost no memory.
    fn rewind(&mut self) {
        // As much as comes until the next run, and a frame; twice, for what a record takes besides its frame.
        self.producer.rewind(2 * (self.run_bytes + FRAME_BYTES_MAX) as u64);
    }

    /// Whether someone decides.
    pub fn set_door(&mut self, door: Door) {
        self.drain.set_door(door);
    }

    /// Takes the flows that were seen undecided since the last time.
    pub fn events(&mut self) -> vec_deque::Drain<'_, FlowSeen> {
        self.drain.events()
    }

    /// Takes the masked packets in which keys may be.
    pub fn overheard(&mut self) -> vec_deque::Drain<'_, Overheard> {
        self.drain.overheard()
    }

    /// What became of every frame that was offered.
    pub fn stats(&mut self) -> CaptureStats {
        self.producer.publish();
        let mut stats = self.producer.stats();
        let drained = self.drain.stats();
        // One command changes both tables.
        stats.verdicts_evicted = 0;
        stats.add(&drained);
        stats
    }

    /// What became of fragments.
    #[must_use]
    pub fn reassembly(&self) -> ReassemblyStats {
        self.producer.reassembly()
    }

    /// For a thread that does the housekeeping.
    #[must_use]
    pub fn keepers(&self) -> [Keeper; 2] {
        self.drain.keepers()
    }

    /// Ends the line. A replay ends `hold` after its last packet: what is undecided then was
    /// announced by no call.
    ///
    /// # Errors
    /// As [`Drain::finish`].
    pub fn finish(mut self, now_ns: u64) -> Result<CaptureStats, LineError> {
        self.producer.abandon_fragments();
        self.run(now_ns);
        let mut stats = self.producer.stats();
        stats.verdicts_evicted = 0;
        stats.add(&self.drain.finish(now_ns)?);
        debug_assert_eq!(stats.unaccounted(), 0, "CAP-8");
        Ok(stats)
    }

    /// The drain sees for itself what the rings lost.
    fn lost_before_the_rings(&self) -> LostBy {
        LostBy { reassembly: self.producer.reassembly().lost, ..LostBy::default() }
    }
}

#[cfg(test)]
mod tests;
