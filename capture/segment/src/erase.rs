//! Payloads that must not be in the log, but are: overwritten where they lie.
//!
//! A decision may come when media that it concerns is written already. Its records keep their place, their time and
//! their order; their payload becomes zeros, and their block gets a checksum that holds again. Nothing else in a
//! committed block ever changes, and no position moves (S1).
//!
//! - E1 What the blocks will be is first written to the lane's redo file and synced. So whatever happens while they are
//!   overwritten, recovery finds either the old block, or the redo file that makes the new one of it (S2).
//! - E2 While a segment's blocks are overwritten its word `erasing` is odd, and it has changed after that: a reader
//!   whose checksum does not hold reads again before it believes that.
//! - E3 Only when the segments are synced the redo file goes. A sync that failed is not repeated: the segment is
//!   written again elsewhere (S6).

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::block::{self, BlockHeader, HEADER_LEN};
use crate::block_reader::{BlockReader, Identity, read_fully};
use crate::depot::{Depot, Segment};
use crate::disk::{Access, Disk};
use crate::file_name::{self, FileName};
use crate::limits::{BLOCK_HEADER_BYTES, ERASURE_RECORDS_MAX, FLOW_DISORDER_NS, HEADER_BYTES};
use crate::map::{Extent, WriteMap};
use crate::record::{self, RECORD_LEN};
use crate::{LaneKind, Log, ReadError, RecordMeta, RecordPos, SegmentError};

/// Which records of a flow lose their payload: those that came in a time, of the chain that ends at `last`.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct Erasure {
    pub last: RecordPos,
    pub from_ns: u64,
    /// Exclusive.
    pub until_ns: u64,
}

/// What is left of a record: told its payload, which it may change, how many bytes of that stay. The rest becomes zeros.
pub type Keep = fn(&mut [u8]) -> usize;

/// A block as it will be.
struct Image {
    seq: u32,
    offset: u64,
    bytes: Vec<u8>,
}

/// Blocks by segment and offset, with the records in them that lose their payload, as offsets in the file.
type Targets = BTreeMap<(u32, u64), Vec<u64>>;

/// Erases, and marks each record with `verdict`. Returns how many there were of each; those that have that verdict already are
/// left as they are. Under the depot's `work`.
pub(crate) fn erase(
    depot: &Depot,
    erasures: &[Erasure],
    keep: Keep,
    verdict: u8,
) -> Result<Vec<u64>, SegmentError> {
    let mut targets = Targets::new();
    let mut log = Log::open_on(Arc::clone(&depot.disk), &depot.dir)?;
    let found = erasures.iter().map(|one| find(depot, &mut log, one, verdict, &mut targets));
    let records = found.collect::<Result<Vec<u64>, SegmentError>>()?;
    if targets.is_empty() {
        return Ok(records);
    }
    let mut segments: BTreeMap<u32, Arc<Segment>> = BTreeMap::new();
    let mut images = Vec::new();
    for ((seq, offset), places) in targets {
        if let std::collections::btree_map::Entry::Vacant(entry) = segments.entry(seq) {
            // Released meanwhile: nobody needs it, and its space is written over.
            let Some(segment) = depot.segment(seq)? else { continue };
            entry.insert(segment);
        }
        let segment = &segments[&seq];
        images.extend(image(depot, segment, offset, &places, keep, verdict)?);
    }
    let failed = |source| SegmentError::io("erase in", &depot.dir, source);
    write_redo(depot, &images).map_err(failed)?;
    for (seq, segment) in &segments {
        let of_segment = images.iter().filter(|image| image.seq == *seq);
        overwrite(&*depot.disk, &segment.file, &segment.map, of_segment).map_err(failed)?;
    }
    for segment in segments.values() {
        depot.sync_erased(segment)?;
    }
    depot.disk.remove(&file_name::redo_path(&depot.dir, depot.lane)).map_err(failed)?;
    Ok(records)
}

/// Walks a chain back and notes which of its records are meant.
fn find(
    depot: &Depot,
    log: &mut Log,
    erasure: &Erasure,
    verdict: u8,
    targets: &mut Targets,
) -> Result<u64, SegmentError> {
    let lane = depot.lane;
    let mut pos = erasure.last;
    let mut records = 0;
    for _ in 0..ERASURE_RECORDS_MAX {
        if pos.is_none() {
            break;
        }
        let (meta, block) = match log.read_placed(lane, pos) {
            Ok((record, block)) => (record.meta, block),
            Err(ReadError::Segment(error)) => return Err(error),
            // Released, or not readable by anybody.
            Err(_) => break,
        };
        if meta.ts_ns.saturating_add(FLOW_DISORDER_NS) < erasure.from_ns {
            break;
        }
        if (erasure.from_ns..erasure.until_ns).contains(&meta.ts_ns) && meta.verdict != verdict {
            let places = targets.entry((pos.seq(), block)).or_default();
            if !places.contains(&pos.offset(LaneKind::Media)) {
                places.push(pos.offset(LaneKind::Media));
                records += 1;
            }
        }
        if meta.prev >= pos {
            break;
        }
        pos = meta.prev;
    }
    Ok(records)
}

/// The block as it will be; none if it cannot be read as it is.
fn image(
    depot: &Depot,
    segment: &Segment,
    offset: u64,
    places: &[u64],
    keep: Keep,
    verdict: u8,
) -> Result<Option<Image>, SegmentError> {
    let path = depot.live_name(segment.seq()).in_dir(&depot.dir);
    let failed = |source| SegmentError::io("read", &path, source);
    let file = segment.file.try_clone().map_err(failed)?;
    let identity = Identity { seq: segment.seq(), epoch: Some(segment.header.epoch) };
    let mut reader = BlockReader::new(Arc::clone(&depot.disk), file, identity);
    let Ok(header) = reader.read(offset, segment.map.words().committed()) else { return Ok(None) };
    if header.compressed {
        return Ok(None);
    }
    let mut stored = reader.stored(&header).to_vec();
    for place in places {
        let at = (place - offset - BLOCK_HEADER_BYTES) as usize;
        if let Ok(placed) = record::decode(&stored, at) {
            blank(&mut stored[at..placed.next], &placed.meta, at, keep, verdict);
        }
    }
    let mut bytes = header.seal(&stored).to_vec();
    bytes.append(&mut stored);
    Ok(Some(Image { seq: segment.seq(), offset, bytes }))
}

/// Of a record's bytes, what is behind the headers of the lower layers goes.
fn blank(bytes: &mut [u8], meta: &RecordMeta, at: usize, keep: Keep, verdict: u8) {
    let frame_end = RECORD_LEN + meta.frame_len as usize;
    let payload = (RECORD_LEN + usize::from(meta.payload)).min(frame_end);
    let until = payload.saturating_add(usize::from(meta.payload_len)).min(frame_end);
    let kept = keep(&mut bytes[payload..until]).min(until - payload);
    bytes[payload + kept..].fill(0);
    let meta = RecordMeta { payload_len: kept as u16, verdict, ..*meta };
    let words = record::encode(&meta, meta.frame_len, at);
    for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&word.to_ne_bytes());
    }
}

/// E1: the images one after the other; each is a block, and says itself whether it is whole and where it belongs.
fn write_redo(depot: &Depot, images: &[Image]) -> io::Result<()> {
    let path = file_name::redo_path(&depot.dir, depot.lane);
    // What an erasure left that failed is superseded: its records are meant again.
    match depot.disk.remove(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let bytes = images.iter().map(|image| image.bytes.len() as u64).sum();
    let file = depot.disk.create(&path, bytes)?;
    let mut at = 0;
    for image in images {
        depot.disk.write_at(&file, &image.bytes, at)?;
        at += image.bytes.len() as u64;
    }
    depot.disk.sync_file(&file)?;
    depot.disk.sync_dir(&depot.dir)
}

/// E2.
fn overwrite<'i>(
    disk: &dyn Disk,
    file: &std::fs::File,
    map: &WriteMap,
    images: impl Iterator<Item = &'i Image>,
) -> io::Result<()> {
    let _erasing = map.begin_erasing();
    for image in images {
        disk.write_at(file, &image.bytes, image.offset)?;
    }
    Ok(())
}

/// Finishes what an erasure was about to do when its process ended. Under the lane's lock, before its segments are
/// looked at.
pub(crate) fn redo(
    disk: &Arc<dyn Disk>,
    dir: &std::path::Path,
    lane: crate::LaneId,
) -> Result<(), SegmentError> {
    let path = file_name::redo_path(dir, lane);
    let failed = |source| SegmentError::io("redo", &path, source);
    let file = match disk.open(&path, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed(source)),
    };
    let mut bytes = vec![0; file.metadata().map_err(failed)?.len() as usize];
    let read = read_fully(&**disk, &file, &mut bytes, 0);
    bytes.truncate(read);
    for image in images_in(&bytes) {
        let name = FileName::live(lane, LaneKind::Media, image.seq);
        put(disk, &name.in_dir(dir), &image).map_err(failed)?;
    }
    disk.remove(&path).map_err(failed)
}

/// The whole ones; where one is not, nothing was overwritten yet.
fn images_in(mut bytes: &[u8]) -> Vec<Image> {
    let mut images = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<HEADER_LEN>()
        && let Ok(header) = BlockHeader::decode(head)
        && let Some((stored, behind)) = rest.split_at_checked(header.stored_len as usize)
    {
        if !block::verify(head, stored) {
            return Vec::new();
        }
        let bytes_of = [head, stored].concat();
        images.push(Image { seq: header.seq, offset: header.offset(), bytes: bytes_of });
        bytes = behind;
    }
    if bytes.is_empty() { images } else { Vec::new() }
}

/// Puts a block where it belongs, if its segment is still there.
fn put(disk: &Arc<dyn Disk>, path: &std::path::Path, image: &Image) -> io::Result<()> {
    let file = match disk.open(path, Access::Write) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    if length < HEADER_BYTES || image.offset + image.bytes.len() as u64 > length {
        return Ok(());
    }
    let map = WriteMap::new(&file, Extent::HeaderPage, length)?;
    let header = crate::header::Header::decode(&map.words().fixed());
    let ours = |header: &crate::header::Header| {
        let block = image.bytes.first_chunk().and_then(|head| BlockHeader::decode(head).ok());
        block.is_some_and(|block| (block.seq, block.epoch) == (header.seq, header.epoch))
    };
    if header.is_ok_and(|header| ours(&header)) {
        overwrite(&**disk, &file, &map, std::iter::once(image))?;
        map.settle_erasing();
        disk.sync_file(&file)?;
    }
    Ok(())
}
