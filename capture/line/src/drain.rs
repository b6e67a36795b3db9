//! The exit of the line: looks at what the lines hold, writes what may be written, drops what must
//! not be, and makes the rest wait.
//!
//! Time is passed in. `run` makes no system call but what the disk needs: an allocation where a
//! segment is full and none was prepared.

use std::{collections::vec_deque, path::Path, sync::Arc};

use earwitness_ipc::{
    CaptureStats, Command, Erasure, FlowSeen, LostBy, Mark, Overheard, SourceInfo, VerdictChange,
    encode,
};
use earwitness_segment::{
    Keeper, LaneId, LaneKind, RecordClass, RecordMeta, RecordPos, SegmentError, SegmentWriter,
    WriterOptions,
    disk::{Disk, RealDisk},
};
use earwitness_wire::{LinkType, Verdict};

use crate::{
    error::LineError,
    exit::Exit,
    gaps::Gaps,
    gate::Gate,
    held::DelayLine,
    lane::Lane,
    limits::MASK_HOLD_NS,
    mask::mask,
    options::{DrainOptions, Housekeeping, RingOptions, SteeringOptions},
    producer::Producer,
    region::{Region, Residence},
    ring::{Receiver, ring},
};

/// Whether someone is there to decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Door {
    #[default]
    Connected,
    /// Nobody decides: undecided media waits for as long as its line has room.
    Absent,
}

/// Writes the records of some lines to one signalling lane and one media lane. One writing thread
/// owns it (S8).
#[derive(Debug)]
pub struct Drain<L> {
    gates: Vec<Gate<L>>,
    /// Where fragments that a line brought go once they are whole.
    inner: Vec<Gate<Receiver>>,
    exit: Exit,
    gaps: Gaps,
    /// Lost before the lines, as far as the owner told.
    lost_elsewhere: LostBy,
    door: Door,
    /// The time of the last run.
    ran_ns: u64,
    options: DrainOptions,
}

impl<L: DelayLine> Drain<L> {
    /// Opens the lanes in `data_dir`.
    ///
    /// # Errors
    /// [`LineError::Segment`]; that the disk is full is none.
    pub fn open(options: DrainOptions) -> Result<Self, LineError> {
        Self::open_on(&(Arc::new(RealDisk) as Arc<dyn Disk>), options)
    }

    /// As [`Drain::open`], on another disk.
    ///
    /// # Errors
    /// As [`Drain::open`].
    pub fn open_on(disk: &Arc<dyn Disk>, options: DrainOptions) -> Result<Self, LineError> {
        let folder = options.data_dir.join("segments");
        let lane = |lane, kind, how: &WriterOptions| lane_on(disk, &folder, lane, kind, how);
        let signalling = lane(options.signalling_lane, LaneKind::Signalling, &options.signalling)?;
        let media = lane(options.media_lane, LaneKind::Media, &options.media)?;
        let mut drain = Self {
            gates: Vec::new(),
            inner: Vec::new(),
            exit: Exit::new(signalling, media, &options),
            gaps: Gaps::default(),
            lost_elsewhere: LostBy::default(),
            door: Door::default(),
            ran_ns: 0,
            options,
        };
        drain.keep_house(0);
        Ok(drain)
    }

    /// Adds a line. Lines are served in the order they were added: signalling first.
    pub fn add_line(&mut self, line: L) {
        self.gates.push(Gate::new(line));
    }

    /// Gives fragments that lines bring rings of their own, from which their datagrams go on.
    /// Without, they are counted lost.
    ///
    /// # Errors
    /// [`LineError::Ring`].
    pub fn assemble_fragments(
        &mut self,
        rings: &RingOptions,
        steering: &SteeringOptions,
    ) -> Result<(), LineError> {
        let (producer, receivers) = open_rings(rings, steering)?;
        self.exit.fragments = Some(producer);
        self.inner = receivers.into_iter().map(Gate::new).collect();
        Ok(())
    }

    /// Writes the note that capture began, and makes it visible.
    ///
    /// # Errors
    /// [`LineError::MarkRefused`] if the disk is full; the lines work nevertheless.
    pub fn start(
        &mut self,
        epoch: u64,
        now_ns: u64,
        sources: Vec<SourceInfo>,
    ) -> Result<(), LineError> {
        self.gaps.begin(now_ns);
        self.note(&Mark::Start { epoch, ts_ns: now_ns, sources }, now_ns)?;
        self.exit.signalling.flush(now_ns, 0);
        self.exit.signalling.set_heard(now_ns);
        Ok(())
    }

    /// Moves everything that can move at this time.
    #[inline]
    pub fn run(&mut self, now_ns: u64) {
        self.ran_ns = now_ns;
        // Asked before the lines are looked at: they may bring more, not less.
        let heard = self.gates.iter().map(|gate| gate.line().heard_ns(now_ns)).min();
        for gate in &mut self.gates {
            gate.scan(&mut self.exit);
        }
        if let Some(producer) = &mut self.exit.fragments {
            producer.expire(now_ns);
            producer.publish();
        }
        for gate in &mut self.inner {
            gate.scan(&mut self.exit);
        }
        self.expire(now_ns);
        self.exit.signalling.flush(now_ns, 0);
        if self.options.gather_bytes == 0 {
            self.exit.media.flush(now_ns, self.options.flush_ns);
        } else if self.gathered_bytes() > self.options.gather_bytes {
            self.write_gathered();
        }
        if self.options.housekeeping == Housekeeping::Inline {
            self.keep_house(now_ns);
        }
        self.note_gap(now_ns);
        self.exit.signalling.set_heard(heard.unwrap_or(now_ns));
    }

    /// Writes what was gathered, and makes all media visible that was looked at.
    pub fn settle(&mut self, now_ns: u64) {
        self.write_gathered();
        self.exit.media.flush(now_ns, 0);
    }

    fn write_gathered(&mut self) {
        self.gates.iter_mut().for_each(|gate| gate.settle(&mut self.exit));
        self.inner.iter_mut().for_each(|gate| gate.settle(&mut self.exit));
    }

    fn gathered_bytes(&self) -> usize {
        let bytes = self.gates.iter().map(Gate::gathered_bytes).sum::<usize>();
        bytes + self.inner.iter().map(Gate::gathered_bytes).sum::<usize>()
    }

    /// Takes over what a command says of verdicts and connections; what waited for a verdict leaves.
    ///
    /// # Errors
    /// [`LineError::Segment`] if a segment cannot be released: the others of the command are.
    pub fn apply(&mut self, command: &Command) -> Result<(), LineError> {
        if let Some(producer) = &mut self.exit.fragments {
            producer.apply(command);
        }
        match command {
            Command::Verdicts(changes) => {
                changes.iter().for_each(|change| self.change(change));
                Ok(())
            }
            Command::Release(segments) => {
                let released = segments.iter().map(|&(lane, seq)| self.release(lane, seq));
                released.fold(Ok(()), Result::and)
            }
            Command::Erase(erasures) => self.erase(erasures),
            Command::Note(text) => {
                self.note(&Mark::Note { ts_ns: self.ran_ns, text: text.clone() }, self.ran_ns)
            }
            Command::Hello { .. } | Command::LearnTcp(_) | Command::Shutdown => Ok(()),
        }
    }

    fn change(&mut self, change: &VerdictChange) {
        // What was let in goes by what was said until now; of times that are masked only the last change is known.
        let is_masked = self.exit.verdicts.get(&change.dst) == Some(Verdict::Mask);
        if is_masked || change.verdict == Some(Verdict::Ignore) {
            self.write_gathered();
        }
        let Self { gates, inner, exit, .. } = self;
        if matches!(change.verdict, None | Some(Verdict::Undecided)) {
            gates.iter_mut().for_each(|gate| gate.conclude(&change.dst, exit));
            inner.iter_mut().for_each(|gate| gate.conclude(&change.dst, exit));
        }
        exit.verdicts.change(change);
        gates.iter_mut().for_each(|gate| gate.decide(&change.dst, exit));
        inner.iter_mut().for_each(|gate| gate.decide(&change.dst, exit));
    }

    /// Where another thread does the housekeeping it erases, too.
    fn erase(&mut self, erasures: &[Erasure]) -> Result<(), LineError> {
        let media = &self.exit.media;
        if let Some(strange) = erasures.iter().find(|erasure| erasure.lane != media.number()) {
            return Err(LineError::LaneUnknown { lane: strange.lane });
        }
        erase(&media.keeper(), erasures).map(drop).map_err(LineError::from)
    }

    /// Whether someone decides; without, `hold` does not run out.
    pub fn set_door(&mut self, door: Door) {
        self.door = door;
    }

    /// Sets what was lost before the lines, since the beginning; the next gap note counts it in.
    pub fn set_lost_elsewhere(&mut self, lost: LostBy) {
        self.lost_elsewhere = lost;
    }

    /// Takes the flows that were seen undecided since the last time.
    pub fn events(&mut self) -> vec_deque::Drain<'_, FlowSeen> {
        self.exit.announcements.take()
    }

    /// Takes the masked packets in which keys may be.
    pub fn overheard(&mut self) -> vec_deque::Drain<'_, Overheard> {
        self.exit.overheard.take()
    }

    /// What became of the packets of all lines. `received` is the producers' to count.
    pub fn stats(&mut self) -> CaptureStats {
        let mut stats = self.exit.ledger.total();
        stats.add(&self.exit.table_stats());
        if let Some(producer) = &self.exit.fragments {
            stats.add(&producer.stats());
        }
        self.unseen(|_, packets| stats.held += packets);
        stats
    }

    /// As [`Drain::stats`], of one source, without the counters of the tables and of fragments.
    pub fn stats_of(&mut self, source: u8) -> CaptureStats {
        let mut stats = self.exit.ledger.source(source);
        self.unseen(|of, packets| stats.held += if of == source { packets } else { 0 });
        stats
    }

    /// For the thread that does the housekeeping: signalling, then media.
    #[must_use]
    pub fn keepers(&self) -> [Keeper; 2] {
        [self.exit.signalling.keeper(), self.exit.media.keeper()]
    }

    /// Ends the lines: what is decided is written, what is not leaves (unmatched, if it waited for
    /// `hold` by now, else as late), the log says that capture ended, and everything is made durable.
    ///
    /// # Errors
    /// [`LineError::Segment`] if a sync failed, [`LineError::MarkRefused`] if the disk is full.
    pub fn finish(mut self, now_ns: u64) -> Result<CaptureStats, LineError> {
        self.door = Door::Connected;
        if let Some(producer) = &mut self.exit.fragments {
            producer.abandon_fragments();
        }
        self.run(now_ns);
        for gate in &mut self.gates {
            gate.empty(&mut self.exit);
        }
        for gate in &mut self.inner {
            gate.empty(&mut self.exit);
        }
        let stats = self.stats();
        let lost = self.lost();
        let gap = self.gaps.last(&lost, now_ns);
        let noted = gap.map_or(Ok(()), |gap| self.note(&gap, now_ns));
        let noted = noted.and(self.note(&Mark::Stop { ts_ns: now_ns }, now_ns));
        self.exit.media.sync()?;
        self.exit.signalling.sync()?;
        self.exit.signalling.set_heard(u64::MAX);
        noted.map(|()| stats)
    }

    fn expire(&mut self, now_ns: u64) {
        // Whether somebody decides or not: who comes later can say nothing of it that is heard in time.
        if let Some(until_ns) = now_ns.checked_sub(MASK_HOLD_NS) {
            let Self { gates, inner, exit, .. } = self;
            gates.iter_mut().for_each(|gate| gate.expire_masked(until_ns, exit));
            inner.iter_mut().for_each(|gate| gate.expire_masked(until_ns, exit));
        }
        let Some(until_ns) = now_ns.checked_sub(self.options.hold_ns) else { return };
        if self.door == Door::Absent {
            return;
        }
        for gate in &mut self.gates {
            gate.expire(until_ns, &mut self.exit);
        }
        for gate in &mut self.inner {
            gate.expire(until_ns, &mut self.exit);
        }
    }

    /// Signalling first: media gets a segment only where signalling has its next one.
    fn keep_house(&mut self, now_ns: u64) {
        let retry_ns = self.options.retry_ns;
        let Exit { signalling, media, .. } = &mut self.exit;
        if !signalling.is_blocked() || signalling.wants_room(now_ns) {
            signalling.make_room(now_ns, retry_ns);
        }
        if media.wants_room(now_ns) && !signalling.is_blocked() {
            media.make_room(now_ns, retry_ns);
        }
    }

    fn release(&mut self, lane: u16, seq: u32) -> Result<(), LineError> {
        let Exit { signalling, media, .. } = &mut self.exit;
        match [signalling, media].into_iter().find(|own| own.number() == lane) {
            Some(own) => Ok(own.release(seq)?),
            None => Err(LineError::LaneUnknown { lane }),
        }
    }

    fn note_gap(&mut self, now_ns: u64) {
        let lost = self.lost();
        if let Some(gap) = self.gaps.due(&lost, now_ns)
            && self.note(&gap, now_ns).is_ok()
        {
            self.gaps.noted(&lost, now_ns);
            self.exit.signalling.flush(now_ns, 0);
        }
    }

    /// Everything lost so far, before the lines, in them and behind them.
    fn lost(&self) -> LostBy {
        let mut lost = self.lost_elsewhere;
        lost.add(&self.exit.lost);
        let overflows = self.gates.iter().map(|gate| gate.line().overflow().packets);
        lost.core_ring += overflows.sum::<u64>();
        if let Some(producer) = &self.exit.fragments {
            lost.add(&producer.stats().lost);
        }
        lost
    }

    fn note(&mut self, mark: &Mark, now_ns: u64) -> Result<(), LineError> {
        let bytes = encode(mark)?;
        let meta = RecordMeta {
            ts_ns: now_ns,
            prev: RecordPos::NONE,
            flow: 0,
            frame_len: bytes.len() as u32,
            wire_len: bytes.len() as u32,
            l3: 0,
            payload: 0,
            // Readers of marks take the whole frame; the longest mark is one byte longer than this.
            payload_len: u16::try_from(bytes.len()).unwrap_or(u16::MAX),
            class: RecordClass::Mark,
            link: LinkType::RawIp as u8,
            source: 0,
            verdict: 0,
        };
        let lane = self.exit.signalling.number();
        let written = self.exit.signalling.append(&meta, &bytes);
        written.map(|_| ()).map_err(|_| LineError::MarkRefused { lane })
    }

    fn unseen(&mut self, mut each: impl FnMut(u8, u64)) {
        self.gates.iter_mut().for_each(|gate| gate.unseen(&mut each));
        self.inner.iter_mut().for_each(|gate| gate.unseen(&mut each));
    }
}

/// Overwrites payloads that must not be in a media lane, and marks their records as masked. Returns how many there were
/// of each.
///
/// # Errors
/// They may still be there.
pub fn erase(keeper: &Keeper, erasures: &[Erasure]) -> Result<Vec<u64>, SegmentError> {
    let chain = |erasure: &Erasure| {
        let Erasure { last, from_ns, until_ns, .. } = *erasure;
        earwitness_segment::Erasure { last: RecordPos(last), from_ns, until_ns }
    };
    let chains: Vec<_> = erasures.iter().map(chain).collect();
    keeper.erase(&chains, mask, Verdict::Mask as u8)
}

/// Rings, their producer, and their ends: signalling, then media.
pub(crate) fn open_rings(
    options: &RingOptions,
    steering: &SteeringOptions,
) -> Result<(Producer, [Receiver; 2]), LineError> {
    let region = |bytes| match options.residence {
        Residence::Locked => Region::locked(bytes),
        Residence::Pageable => Region::pageable(bytes),
    };
    let (signalling, signalling_end) = ring(region(options.signalling_bytes)?);
    let (media, media_end) = ring(region(options.media_bytes)?);
    Ok((Producer::new(signalling, media, steering), [signalling_end, media_end]))
}

fn lane_on(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    lane: LaneId,
    kind: LaneKind,
    options: &WriterOptions,
) -> Result<Lane, LineError> {
    let writer = SegmentWriter::open_on(Arc::clone(disk), folder, lane, kind, options.clone())?;
    Ok(Lane::new(writer))
}

#[cfg(test)]
mod tests;
