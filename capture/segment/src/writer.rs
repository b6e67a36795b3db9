//! The writing end of a lane.

use std::path::Path;
use std::sync::Arc;

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

use crate::block::{self, BlockHeader, HEADER_LEN};
use crate::depot::Depot;
use crate::disk::{Disk, RealDisk};
use crate::limits::{
    BLOCK_ALIGN, BLOCK_BYTES_DEFAULT, BLOCK_BYTES_MAX, BLOCK_BYTES_MIN, BLOCK_HEADER_BYTES,
    FRAME_BYTES_MAX, PACK_BYTES_MIN, RECYCLE_DEFAULT, RECYCLE_MAX, SEGMENT_ALIGN,
    SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN,
};
use crate::map::Pen;
use crate::record::{self, RECORD_WORDS};
use crate::{
    AppendError, Keeper, LaneId, LaneKind, RecordMeta, RecordPos, SegmentError, SyncReport, recover,
};

/// How far ahead of a record the cache is asked for its place in the segment: some small records.
const EXPECT_BYTES: u64 = 1536;

/// How blocks of a signalling lane are stored; those of a media lane are as they are.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub enum Packing {
    /// By LZ4, where that saves a cache line.
    #[default]
    Lz4,
    /// As they are, each by one system call: for who reads them at once, and does not mind to wait.
    Plain,
}

/// How records of a media lane come into their segment.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub enum Placing {
    /// Straight into the mapping: one copy, and no system call.
    #[default]
    Mapped,
    /// Block by block, each built in memory and written by one system call. Where nobody waits for the writer that
    /// costs less than a fault for each fresh page, and none of the segment is this process's memory.
    Written,
}

/// How a lane is written.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Size of a segment, a multiple of a page.
    pub segment_bytes: u64,
    /// A block closes when it holds this much.
    pub block_bytes: u32,
    pub packing: Packing,
    /// Touch every page of a new segment when it is prepared, so that appending never faults.
    pub prefault: bool,
    pub placing: Placing,
    /// Released segments kept for use again; more than that are deleted.
    pub recycle_max: u32,
    /// Names this run of the writer; the time it started, in nanoseconds.
    pub epoch: u64,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            block_bytes: BLOCK_BYTES_DEFAULT,
            packing: Packing::Lz4,
            prefault: false,
            placing: Placing::Mapped,
            recycle_max: RECYCLE_DEFAULT,
            epoch: 0,
        }
    }
}

impl WriterOptions {
    fn check(&self) -> Result<(), SegmentError> {
        let within = |option, value, minimum, maximum| {
            if (minimum..=maximum).contains(&value) {
                Ok(())
            } else {
                Err(SegmentError::Option { option, value, minimum, maximum })
            }
        };
        within("segment_bytes", self.segment_bytes, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)?;
        within("segment_bytes modulo a page", self.segment_bytes % SEGMENT_ALIGN, 0, 0)?;
        let (minimum, maximum) = (BLOCK_BYTES_MIN.into(), BLOCK_BYTES_MAX.into());
        within("block_bytes", self.block_bytes.into(), minimum, maximum)?;
        within("recycle_max", self.recycle_max.into(), 0, RECYCLE_MAX.into())
    }
}

/// What a writer has done since it was opened.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub struct WriterStats {
    pub records: u64,
    pub frame_bytes: u64,
    pub blocks: u64,
    pub segments: u64,
    /// Records refused for want of a segment.
    pub refused: u64,
}

/// Writes one lane. One thread owns it; what may block is done by its [`Keeper`].
#[derive(Debug)]
pub struct SegmentWriter {
    depot: Arc<Depot>,
    /// `None` until there is space for the first segment.
    pen: Option<Pen>,
    open: OpenBlock,
    /// The open block where it is built in memory: room for its header, and its records.
    buffer: Vec<u8>,
    packer: Packer,
    heard_ns: u64,
    stats: WriterStats,
}

/// The block that records go to now.
#[derive(Copy, Clone, Debug)]
struct OpenBlock {
    offset: u64,
    /// Bytes of records so far.
    used: usize,
    /// Bytes of records that fit; 0 if no block is open.
    capacity: usize,
    records: u32,
    first_ts_ns: u64,
    last_ts_ns: u64,
}

impl OpenBlock {
    const NONE: Self =
        Self { offset: 0, used: 0, capacity: 0, records: 0, first_ts_ns: u64::MAX, last_ts_ns: 0 };

    /// What the block says of itself when it is closed.
    fn header(&self, pen: &Pen, stored_len: usize, compression: Compression) -> BlockHeader {
        BlockHeader {
            seq: pen.seq(),
            epoch: pen.epoch(),
            block: (self.offset / BLOCK_ALIGN) as u32,
            compressed: compression == Compression::Lz4,
            records: self.records,
            stored_len: stored_len as u32,
            raw_len: self.used as u32,
            first_ts_ns: self.first_ts_ns,
            last_ts_ns: self.last_ts_ns,
        }
    }
}

/// What became of one block's records.
#[derive(Copy, Clone, Eq, PartialEq)]
enum Compression {
    None,
    Lz4,
}

impl SegmentWriter {
    /// `dir` is the folder of segments (`<data_dir>/segments`), created if it is missing. An existing
    /// lane is recovered (S2) and continued in a new segment. That there is no space for one is no
    /// error here: appends are refused until [`Self::prepare_next`] has found some.
    pub fn open(
        dir: &Path,
        lane: LaneId,
        kind: LaneKind,
        options: WriterOptions,
    ) -> Result<Self, SegmentError> {
        Self::open_on(Arc::new(RealDisk), dir, lane, kind, options)
    }

    /// As [`Self::open`], on another disk.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        lane: LaneId,
        kind: LaneKind,
        options: WriterOptions,
    ) -> Result<Self, SegmentError> {
        options.check()?;
        let depot = Arc::new(Depot::open(dir, lane, kind, options, disk)?);
        recover::continue_lane(&depot)?;
        let pen = match depot.prepare_next() {
            Ok(()) => depot.take_next(0).ok(),
            Err(SegmentError::NoSpace { .. }) => None,
            Err(error) => return Err(error),
        };
        let stats = WriterStats { segments: pen.is_some().into(), ..WriterStats::default() };
        Ok(Self {
            depot,
            pen,
            open: OpenBlock::NONE,
            buffer: Vec::new(),
            packer: Packer::default(),
            heard_ns: 0,
            stats,
        })
    }

    /// Copies a record into the open block; readers see it once the block closes.
    ///
    /// No system call unless a segment is full and the next was not prepared, or a block of a lane is that is
    /// [`Packing::Plain`].
    #[inline]
    pub fn append(&mut self, meta: &RecordMeta, frame: &[u8]) -> Result<RecordPos, AppendError> {
        if frame.len() > FRAME_BYTES_MAX as usize {
            return Err(AppendError::TooLarge { bytes: frame.len(), bytes_max: FRAME_BYTES_MAX });
        }
        let length = record::record_len(frame.len());
        if self.open.used + length > self.open.capacity {
            self.make_room(length).inspect_err(|_| self.stats.refused += 1)?;
        }
        let at = self.open.used;
        let head = record::encode(meta, frame.len() as u32, at);
        let pos = match self.depot.kind {
            LaneKind::Media => {
                match self.depot.options.placing {
                    Placing::Mapped => self.put_mapped(at, length, head, frame),
                    Placing::Written => self.put_buffered(length, head, frame),
                }
                RecordPos::media(self.seq(), self.open.offset + BLOCK_HEADER_BYTES + at as u64)
            }
            LaneKind::Signalling => {
                self.put_buffered(length, head, frame);
                let block = (self.open.offset / BLOCK_ALIGN) as u32;
                RecordPos::signalling(self.seq(), block, self.open.records)
            }
        };
        self.open.used += length;
        self.open.records += 1;
        self.open.first_ts_ns = self.open.first_ts_ns.min(meta.ts_ns);
        self.open.last_ts_ns = self.open.last_ts_ns.max(meta.ts_ns);
        self.stats.records += 1;
        self.stats.frame_bytes += frame.len() as u64;
        Ok(pos)
    }

    #[inline]
    fn put_mapped(&mut self, at: usize, length: usize, head: [u64; RECORD_WORDS], frame: &[u8]) {
        let pen = self.pen.as_mut().expect("a block is open only in a segment");
        let start = self.open.offset + BLOCK_HEADER_BYTES + at as u64;
        pen.expect(start + EXPECT_BYTES);
        pen.write_record(start, length, head, frame);
    }

    #[inline]
    fn put_buffered(&mut self, length: usize, head: [u64; RECORD_WORDS], frame: &[u8]) {
        let end = self.buffer.len() + length;
        self.buffer.extend_from_slice(head.map(u64::to_ne_bytes).as_flattened());
        self.buffer.extend_from_slice(frame);
        self.buffer.resize(end, 0);
    }

    /// Closes the open block and moves the committed mark (S1).
    pub fn flush(&mut self) {
        self.close_block();
        if self.pen.as_ref().is_some_and(Pen::is_failed) {
            // If there is no other segment now, the next flush finds one.
            let _ = self.next_segment();
        }
    }

    /// Tells readers that everything that came before `ts_ns` is committed: they can merge this lane with others
    /// by time. [`u64::MAX`] says that nothing more comes.
    pub fn set_heard(&mut self, ts_ns: u64) {
        self.heard_ns = ts_ns;
        if let Some(pen) = &self.pen {
            pen.set_heard(ts_ns);
        }
    }

    /// Flushes and makes everything written durable (S6). Blocks for as long as the disk takes: a thread
    /// that must not wait leaves it to its [`Keeper`].
    pub fn sync(&mut self) -> Result<SyncReport, SegmentError> {
        self.flush();
        match self.depot.sync() {
            Err(SegmentError::Sync { .. }) if self.pen.as_ref().is_some_and(Pen::is_failed) => {
                // Leave the segment whose sync failed, so that it can be written again elsewhere.
                self.next_segment().ok();
                self.depot.sync()
            }
            other => other,
        }
    }

    /// Makes the next segment ready, so that no append waits for its allocation; also what tries
    /// again after `NoSpace`. Costs nothing while one is ready.
    pub fn prepare_next(&mut self) -> Result<(), SegmentError> {
        self.depot.prepare_next()
    }

    /// Gives a closed segment up for use again (S5 is the caller's to keep).
    pub fn release(&mut self, seq: u32) -> Result<(), SegmentError> {
        self.depot.release(seq)
    }

    /// Whoever does for this lane what may block, on another thread.
    pub fn keeper(&self) -> Keeper {
        Keeper::new(Arc::clone(&self.depot))
    }

    pub fn lane(&self) -> LaneId {
        self.depot.lane
    }

    pub fn kind(&self) -> LaneKind {
        self.depot.kind
    }

    pub fn stats(&self) -> WriterStats {
        self.stats
    }

    fn seq(&self) -> u32 {
        self.pen.as_ref().map_or(0, Pen::seq)
    }

    /// Opens a block that has room for `length` bytes, in the next segment if need be.
    #[cold]
    fn make_room(&mut self, length: usize) -> Result<(), AppendError> {
        self.close_block();
        let needed = BLOCK_HEADER_BYTES + length as u64;
        let fits = |pen: &Pen| !pen.is_failed() && pen.bytes() - pen.committed() >= needed;
        if !self.pen.as_ref().is_some_and(fits) {
            self.next_segment()?;
        }
        let pen = self.pen.as_ref().expect("there is a segment: next_segment made it");
        let wanted = u64::from(self.depot.options.block_bytes).max(needed);
        let capacity = wanted.min(pen.bytes() - pen.committed()) - BLOCK_HEADER_BYTES;
        self.open =
            OpenBlock { offset: pen.committed(), capacity: capacity as usize, ..OpenBlock::NONE };
        self.buffer.clear();
        self.buffer.resize(HEADER_LEN, 0);
        Ok(())
    }

    fn next_segment(&mut self) -> Result<(), AppendError> {
        debug_assert_eq!(self.open.capacity, 0, "the block is closed before the segment");
        self.pen = Some(self.depot.take_next(self.heard_ns)?);
        self.stats.segments += 1;
        Ok(())
    }

    fn close_block(&mut self) {
        let open = std::mem::replace(&mut self.open, OpenBlock::NONE);
        if open.records == 0 {
            return;
        }
        let Self { depot, pen, buffer, packer, .. } = self;
        let pen = pen.as_mut().expect("a block is open only in a segment");
        let contents = open.offset + BLOCK_HEADER_BYTES;
        let records = &buffer[HEADER_LEN..];
        let stored_len = match (depot.kind, depot.options.packing) {
            (LaneKind::Media, _) if depot.options.placing == Placing::Mapped => {
                let header = open.header(pen, open.used, Compression::None);
                let sealed = header.seal(pen.written(contents, open.used));
                pen.write(open.offset, &sealed);
                open.used
            }
            (LaneKind::Signalling, Packing::Lz4) => {
                let packed = packer.pack(records);
                let stored = packed.unwrap_or(records);
                let compression = packed.map_or(Compression::None, |_| Compression::Lz4);
                let sealed = open.header(pen, stored.len(), compression).seal(stored);
                pen.write(contents, stored);
                pen.write(open.offset, &sealed);
                stored.len()
            }
            (LaneKind::Media, _) | (LaneKind::Signalling, Packing::Plain) => {
                let sealed = open.header(pen, open.used, Compression::None).seal(records);
                buffer[..HEADER_LEN].copy_from_slice(&sealed);
                pen.write_through(&*depot.disk, open.offset, buffer);
                open.used
            }
        };
        pen.commit(block::end_of(open.offset, stored_len as u64));
        self.stats.blocks += 1;
    }
}

impl Drop for SegmentWriter {
    fn drop(&mut self) {
        self.close_block();
        self.depot.finish();
    }
}

/// Compresses signalling blocks without allocating for each.
#[derive(Default)]
struct Packer {
    table: CompressTable,
    packed: Vec<u8>,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl Packer {
    /// `None` where compression does not save a cache line, or would not be worth it.
    fn pack(&mut self, raw: &[u8]) -> Option<&[u8]> {
        if raw.len() < PACK_BYTES_MIN {
            return None;
        }
        let worst = get_maximum_output_size(raw.len());
        if self.packed.len() < worst {
            self.packed.resize(worst, 0);
        }
        let length = compress_into_with_table(raw, &mut self.packed, &mut self.table).ok()?;
        let align = BLOCK_ALIGN as usize;
        (length.next_multiple_of(align) < raw.len().next_multiple_of(align))
            .then(|| &self.packed[..length])
    }
}
