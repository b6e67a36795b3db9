//! After a crash: the tail of each unclosed segment is cut at its last valid block (S2).
//!
//! Only the checksums are trusted. After a power loss the mark may be behind the data (it is moved up) or
//! beyond it (it is moved down); a block that is missing in between stays a hole, which readers are told
//! of. Recovery changes the header page and nothing else.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::block_reader::{BlockReader, Identity};
use crate::depot::{self, Depot};
use crate::disk::{Access, Disk, RealDisk};
use crate::erase::redo;
use crate::file_name::{self, FileName, Role};
use crate::header::Header;
use crate::limits::{BLOCK_BYTES_MAX, HEADER_BYTES};
use crate::map::{Extent, WriteMap};
use crate::{LaneId, SegmentError};

/// What recovery found and did.
#[derive(Clone, Eq, PartialEq, Debug, Default)]
pub struct RecoveryReport {
    /// Segments looked at.
    pub segments: u32,
    /// Segments that were closed, or whose mark was moved.
    pub changed: u32,
    /// Files removed because nothing in them was valid, not even the header.
    pub removed: u32,
    /// Valid blocks and records in the segments that had to be read.
    pub blocks: u64,
    pub records: u64,
    /// Bytes below the old mark that no valid block covers.
    pub bytes_lost: u64,
}

/// What became of one segment.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
enum Outcome {
    /// Closed and durable before.
    Durable,
    /// Closed, now or before; what it holds may not be durable.
    Closed,
    /// Never written to, not closed.
    Empty,
    Removed,
}

/// Recovers every lane in `dir`. Fails where a lane has a writer.
pub fn recover(dir: &Path) -> Result<RecoveryReport, SegmentError> {
    recover_on(Arc::new(RealDisk), dir)
}

/// As [`recover`], on another disk.
pub fn recover_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<RecoveryReport, SegmentError> {
    let names = file_name::list(&*disk, dir)?;
    let mut lanes: Vec<LaneId> = names.iter().map(|name| name.lane).collect();
    lanes.dedup();
    let mut report = RecoveryReport::default();
    for lane in lanes {
        let _lock = depot::lock(dir, lane)?;
        redo(&disk, dir, lane)?;
        let live: Vec<_> =
            names.iter().filter(|name| name.lane == lane && name.role == Role::Live).collect();
        for (left, name) in live.iter().enumerate().map(|(at, name)| (live.len() - at - 1, name)) {
            // The last may be empty and open: the next writer takes it.
            recover_segment(&disk, dir, **name, left == 0, &mut report)?;
        }
    }
    Ok(report)
}

/// Recovers the lane that a writer is about to continue, from the newest segment back to the first that was
/// durable: syncs are made in order.
pub(crate) fn continue_lane(depot: &Depot) -> Result<RecoveryReport, SegmentError> {
    let mut report = RecoveryReport::default();
    let mut unsynced = Vec::new();
    let live = file_name::live_seqs(&*depot.disk, &depot.dir, depot.lane)?;
    let seqs = live.map(|(_, seqs)| seqs).unwrap_or_default();
    let mut newest = true;
    for &seq in seqs.iter().rev() {
        let name = depot.live_name(seq);
        let adoptable = newest && has_length(depot, name)?;
        match recover_segment(&depot.disk, &depot.dir, name, adoptable, &mut report)? {
            Outcome::Durable => break,
            Outcome::Closed => unsynced.push(seq),
            Outcome::Empty => depot.adopt(seq)?,
            Outcome::Removed => {}
        }
        newest = false;
    }
    for &seq in unsynced.iter().rev() {
        depot.push_unsynced(seq)?;
    }
    Ok(report)
}

fn has_length(depot: &Depot, name: FileName) -> Result<bool, SegmentError> {
    let path = name.in_dir(&depot.dir);
    let length = depot.disk.open(&path, Access::Read).and_then(|file| file.metadata());
    let length = length.map_err(|source| SegmentError::io("open", &path, source))?.len();
    Ok(length == depot.options.segment_bytes)
}

fn recover_segment(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    name: FileName,
    may_stay_empty: bool,
    report: &mut RecoveryReport,
) -> Result<Outcome, SegmentError> {
    report.segments += 1;
    let path = name.in_dir(dir);
    let io_error = |source: io::Error| SegmentError::io("recover", &path, source);
    let file = disk.open(&path, Access::Write).map_err(io_error)?;
    let file_bytes = file.metadata().map_err(io_error)?.len();
    if file_bytes < HEADER_BYTES {
        disk.remove(&path).map_err(io_error)?;
        report.removed += 1;
        return Ok(Outcome::Removed);
    }
    let map = WriteMap::new(&file, Extent::HeaderPage, file_bytes).map_err(io_error)?;
    let header = Header::decode(&map.words().fixed()).ok().filter(|header| {
        (header.lane, header.kind, header.seq) == (name.lane, name.kind, name.seq)
    });
    let identity = Identity { seq: name.seq, epoch: header.map(|header| header.epoch) };
    let mut reader = BlockReader::new(Arc::clone(disk), file, identity);
    if header.is_none() && !restore_header(&mut reader, &map, name, file_bytes) {
        disk.remove(&path).map_err(io_error)?;
        report.removed += 1;
        return Ok(Outcome::Removed);
    }
    Ok(settle(&mut reader, &map, file_bytes, header.is_some(), may_stay_empty, report))
}

/// A header that was lost is made again from the first valid block, if there is one.
fn restore_header(
    reader: &mut BlockReader,
    map: &WriteMap,
    name: FileName,
    file_bytes: u64,
) -> bool {
    let Some(block) = reader.find_valid(HEADER_BYTES, file_bytes) else { return false };
    map.initialise(&Header {
        lane: name.lane,
        kind: name.kind,
        seq: name.seq,
        segment_bytes: file_bytes,
        epoch: block.epoch,
        block_bytes: BLOCK_BYTES_MAX,
    });
    reader.set_identity(Identity { epoch: Some(block.epoch), ..reader.identity() });
    true
}

/// Moves the mark to the end of the last valid block and closes the segment.
fn settle(
    reader: &mut BlockReader,
    map: &WriteMap,
    file_bytes: u64,
    words_hold: bool,
    may_stay_empty: bool,
    report: &mut RecoveryReport,
) -> Outcome {
    let words = map.words();
    let closed = words_hold && words.is_closed();
    let mark = if words_hold { words.committed() } else { HEADER_BYTES };
    let synced = words.synced();
    let durable = closed && synced == mark && mark <= file_bytes;
    if durable {
        return Outcome::Durable;
    }
    // What is known to be durable need not be read again.
    let trusted = words_hold && (HEADER_BYTES..=mark.min(file_bytes)).contains(&synced);
    let from = if trusted { synced } else { HEADER_BYTES };
    // The mark of a closed segment is its last.
    let limit = if closed { mark.min(file_bytes) } else { file_bytes };
    let mut end = from;
    let mut holes = 0;
    while let Some(block) = reader.find_valid(end, limit) {
        holes += block.offset() - end;
        end = block.end();
        report.blocks += 1;
        report.records += u64::from(block.records);
    }
    report.bytes_lost += holes + mark.saturating_sub(end);
    if end == HEADER_BYTES && !closed && mark == HEADER_BYTES && may_stay_empty {
        return Outcome::Empty;
    }
    if !closed || end != mark {
        report.changed += 1;
    }
    if end != mark {
        map.set_committed(end);
    }
    if !trusted {
        map.set_synced(HEADER_BYTES);
    }
    map.close();
    Outcome::Closed
}
