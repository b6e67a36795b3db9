//! Segments as memory: the only place that touches a mapping.
//!
//! A mapping is shared with other processes, so no reference is ever made to bytes that somebody may
//! still write. Two rules make the references sound that are made:
//!
//! - the words that move (mark, state, …) are only touched as atomics;
//! - bytes above the mark belong to the one [`Pen`] of the segment, in the one process that holds the
//!   lane's lock.
//!
//! A mapping never reaches beyond the file's length when it was made, and nobody shortens a segment.
#![expect(unsafe_code, reason = "mapped files are raw memory")]

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use crate::disk::Disk;
use crate::header::{FIXED_BYTES, Header};
use crate::limits::HEADER_BYTES;

/// Offsets of the words that move, each on a cache line of its own.
const COMMITTED_AT: usize = 128;
const LIVE_AT: usize = 192;
const STATE_AT: usize = 256;
const SYNCED_AT: usize = 320;
const HEARD_AT: usize = 384;
/// Also read by its place in the file (`block_reader`).
pub(crate) const ERASING_AT: usize = 448;

const STATE_CLOSED: u64 = 1;
const STATE_MOVED: u64 = 2;

const _: () = {
    assert!(FIXED_BYTES <= COMMITTED_AT);
    assert!(ERASING_AT + 8 <= HEADER_BYTES as usize);
};

/// Of a cache.
const LINE_BYTES: usize = 64;
/// What the cache is asked for at a time: a small record.
const EXPECTED_BYTES: u64 = 256;

/// Asks the cache for a line that will be written; nothing happens where there is no such place.
#[inline(always)]
fn prefetch_for_write(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint that reads nothing and faults on nothing.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_ET0 }>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// How much of a file is mapped.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Extent {
    HeaderPage,
    Whole,
}

/// A header page, mapped for reading.
#[derive(Debug)]
pub(crate) struct ReadMap {
    raw: MmapRaw,
}

impl ReadMap {
    /// Maps the header page; the file has one.
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        let raw = MmapOptions::new().len(HEADER_BYTES as usize).map_raw_read_only(file)?;
        Ok(Self { raw })
    }

    pub(crate) fn words(&self) -> Words<'_> {
        Words { raw: &self.raw }
    }
}

/// A mapping for writing. Shared between the writer's thread and its keeper's; only the [`Pen`] writes
/// records.
#[derive(Debug)]
pub(crate) struct WriteMap {
    raw: MmapRaw,
    /// A sync of the file failed: it is written no more and never synced again (S6).
    failed: Arc<AtomicBool>,
}

impl WriteMap {
    /// `file_bytes` is the file's length, at least a header page.
    pub(crate) fn new(file: &File, extent: Extent, file_bytes: u64) -> io::Result<Self> {
        assert!(file_bytes >= HEADER_BYTES);
        let length = match extent {
            Extent::HeaderPage => HEADER_BYTES,
            Extent::Whole => file_bytes,
        };
        let raw = MmapOptions::new().len(length as usize).map_raw(file)?;
        Ok(Self { raw, failed: Arc::default() })
    }

    /// Another mapping of the same file, of its header page only. Whether a sync failed is known to both.
    pub(crate) fn of_header(&self, file: &File) -> io::Result<Self> {
        let map = Self::new(file, Extent::HeaderPage, HEADER_BYTES)?;
        Ok(Self { failed: Arc::clone(&self.failed), ..map })
    }

    /// `file` is the one that is mapped.
    pub(crate) fn populate(&self, disk: &dyn Disk, file: &File) -> io::Result<()> {
        disk.populate(file, &self.raw)
    }

    /// Gives the segment its identity. Whoever still reads a former use of the file sees its live word
    /// change before anything else does. Only for a file that no `Pen` and no committed record needs.
    pub(crate) fn initialise(&self, header: &Header) {
        self.words().word(LIVE_AT).store(0, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
        self.rewrite_header(header);
        self.words().word(STATE_AT).store(0, Ordering::Relaxed);
        self.words().word(SYNCED_AT).store(HEADER_BYTES, Ordering::Relaxed);
        self.words().word(HEARD_AT).store(0, Ordering::Relaxed);
        self.words().word(ERASING_AT).store(0, Ordering::Relaxed);
        self.words().word(COMMITTED_AT).store(HEADER_BYTES, Ordering::Relaxed);
        self.words().word(LIVE_AT).store(u64::from(header.seq), Ordering::Release);
    }

    fn rewrite_header(&self, header: &Header) {
        let bytes = header.encode();
        // SAFETY: the header page is mapped, and the fixed part lies before the first word. Readers
        // copy it and check its checksum; they make no reference to it.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.raw.as_mut_ptr(), bytes.len());
        }
    }

    pub(crate) fn words(&self) -> Words<'_> {
        Words { raw: &self.raw }
    }

    /// Moves the mark; `Release` orders all bytes written before it (S1).
    pub(crate) fn set_committed(&self, offset: u64) {
        self.words().word(COMMITTED_AT).store(offset, Ordering::Release);
    }

    pub(crate) fn set_synced(&self, offset: u64) {
        self.words().word(SYNCED_AT).store(offset, Ordering::Release);
    }

    /// `Release` orders the mark before it: who reads the time first sees what came before it.
    pub(crate) fn set_heard(&self, ts_ns: u64) {
        self.words().word(HEARD_AT).store(ts_ns, Ordering::Release);
    }

    pub(crate) fn close(&self) {
        self.words().word(STATE_AT).fetch_or(STATE_CLOSED, Ordering::Release);
    }

    /// E2: for as long as what is given back lives, readers know that blocks are being overwritten.
    pub(crate) fn begin_erasing(&self) -> Erasing<'_> {
        let word = self.words().word(ERASING_AT);
        // One that was cut short left it odd.
        let odd = word.load(Ordering::Relaxed) | 1;
        word.store(odd, Ordering::SeqCst);
        Erasing { word, odd }
    }

    /// No erasure is under way: whatever a process left that ended in one.
    pub(crate) fn settle_erasing(&self) {
        drop(self.begin_erasing());
    }

    pub(crate) fn set_failed(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Tells those who have the file open that another one has its name now.
    pub(crate) fn set_moved(&self) {
        self.words().word(STATE_AT).fetch_or(STATE_MOVED, Ordering::Release);
    }
}

/// Blocks are being overwritten.
#[derive(Debug)]
pub(crate) struct Erasing<'a> {
    word: &'a AtomicU64,
    odd: u64,
}

impl Drop for Erasing<'_> {
    fn drop(&mut self) {
        self.word.store(self.odd.wrapping_add(1), Ordering::SeqCst);
    }
}

/// The words that move, as readers see them.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Words<'a> {
    raw: &'a MmapRaw,
}

impl<'a> Words<'a> {
    /// End of the last committed block.
    pub(crate) fn committed(self) -> u64 {
        self.word(COMMITTED_AT).load(Ordering::Acquire)
    }

    /// Bytes that are known to be durable.
    pub(crate) fn synced(self) -> u64 {
        self.word(SYNCED_AT).load(Ordering::Acquire)
    }

    /// Everything that came before this time is committed.
    pub(crate) fn heard_ns(self) -> u64 {
        self.word(HEARD_AT).load(Ordering::Acquire)
    }

    /// No more will be appended: a mark read after this is the last.
    pub(crate) fn is_closed(self) -> bool {
        self.word(STATE_AT).load(Ordering::Acquire) & STATE_CLOSED != 0
    }

    pub(crate) fn is_moved(self) -> bool {
        self.word(STATE_AT).load(Ordering::Acquire) & STATE_MOVED != 0
    }

    /// Is the file still this segment? Asked after its bytes were read.
    pub(crate) fn is_live(self, seq: u32) -> bool {
        std::sync::atomic::fence(Ordering::Acquire);
        self.word(LIVE_AT).load(Ordering::Relaxed) == u64::from(seq)
    }

    /// A copy of the fixed part, to be decoded.
    pub(crate) fn fixed(self) -> [u8; FIXED_BYTES] {
        let mut bytes = [0; FIXED_BYTES];
        for (at, word) in bytes.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&self.word(at * 8).load(Ordering::Relaxed).to_ne_bytes());
        }
        bytes
    }

    fn word(self, offset: usize) -> &'a AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= HEADER_BYTES as usize);
        // SAFETY: inside the header page, which every mapping covers, and aligned, since mappings
        // begin on pages. All processes touch the words as atomics (the fixed part is also written
        // plainly, by the only process that has it, before others know the file). `MmapRaw` may be
        // read-only: then only loads are made, which at this size do not write.
        unsafe { AtomicU64::from_ptr(self.raw.as_mut_ptr().add(offset).cast()) }
    }
}

/// The right to write into a segment above its mark. There is one for each segment being written.
#[derive(Debug)]
pub(crate) struct Pen {
    map: Arc<WriteMap>,
    file: Arc<File>,
    seq: u32,
    epoch: u64,
    /// The mark, as this side knows it.
    committed: u64,
}

impl Pen {
    /// Only for a segment that this process made or adopted, under the lane's lock, once.
    pub(crate) fn new(map: Arc<WriteMap>, file: Arc<File>, header: &Header) -> Self {
        let committed = map.words().committed();
        Self { map, file, seq: header.seq, epoch: header.epoch, committed }
    }

    pub(crate) fn seq(&self) -> u32 {
        self.seq
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn is_failed(&self) -> bool {
        self.map.is_failed()
    }

    pub(crate) fn committed(&self) -> u64 {
        self.committed
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.map.raw.len() as u64
    }

    /// Copies `bytes` to `offset`.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.check(offset, bytes.len());
        // SAFETY: inside the mapping and above the mark, as just checked: no reader looks there, and
        // `&mut self` is the only pen. `bytes` cannot overlap: slices of the mapping are lent
        // from `&self` only.
        unsafe {
            let to = self.map.raw.as_mut_ptr().add(offset as usize);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
    }

    /// As [`Pen::write`], by a system call, for many bytes: it need not fault each page in. What the file refuses
    /// is written through the mapping: its space is allocated (S3).
    pub(crate) fn write_through(&mut self, disk: &dyn Disk, offset: u64, bytes: &[u8]) {
        self.check(offset, bytes.len());
        if disk.write_at(&self.file, bytes, offset).is_err() {
            self.write(offset, bytes);
        }
    }

    /// Writes a record of `length` bytes: a header, a frame, and zeros up to the next word.
    #[inline(always)]
    pub(crate) fn write_record<const WORDS: usize>(
        &mut self,
        offset: u64,
        length: usize,
        head: [u64; WORDS],
        frame: &[u8],
    ) {
        self.check(offset, length);
        let header = size_of_val(&head);
        assert!(length >= 8 && header <= length && frame.len() <= length - header, "it fits");
        // SAFETY: as above, of `length` bytes, within which everything lies, as just checked; words may lie anywhere.
        unsafe {
            let start = self.map.raw.as_mut_ptr().add(offset as usize);
            // What the frame does not fill stays zero.
            start.add(length - 8).cast::<u64>().write_unaligned(0);
            start.cast::<[u64; WORDS]>().write_unaligned(head);
            std::ptr::copy_nonoverlapping(frame.as_ptr(), start.add(header), frame.len());
        }
    }

    /// Asks the cache for what will be written at `offset`, as far as the segment reaches.
    #[inline]
    pub(crate) fn expect(&self, offset: u64) {
        for line in (offset..offset + EXPECTED_BYTES).step_by(LINE_BYTES) {
            // The address is not used where it lies outside of the mapping.
            prefetch_for_write(self.map.raw.as_ptr().wrapping_add(line as usize));
        }
    }

    /// What was written above the mark.
    pub(crate) fn written(&self, offset: u64, length: usize) -> &[u8] {
        self.check(offset, length);
        // SAFETY: inside the mapping and above the mark: only this pen writes there, and it is
        // borrowed. File contents are always initialised.
        unsafe { std::slice::from_raw_parts(self.map.raw.as_ptr().add(offset as usize), length) }
    }

    /// Makes everything below `offset` visible (S1).
    pub(crate) fn commit(&mut self, offset: u64) {
        assert!(offset >= self.committed && offset <= self.bytes());
        self.committed = offset;
        self.map.set_committed(offset);
    }

    pub(crate) fn set_heard(&self, ts_ns: u64) {
        self.map.set_heard(ts_ns);
    }

    #[inline]
    fn check(&self, offset: u64, length: usize) {
        let end = offset.checked_add(length as u64);
        assert!(
            offset >= self.committed && end.is_some_and(|end| end <= self.bytes()),
            "write outside of the open block"
        );
    }
}
