//! Random access to every lane of a folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::block::{self, BlockHeader};
use crate::block_reader::{BlockReader, Identity, unpack};
use crate::disk::{Disk, RealDisk};
use crate::file_name::{self, FileName, Role};
use crate::limits::{
    BLOCK_ALIGN, BLOCK_HEADER_BYTES, HEADER_BYTES, MAPS_MAX, RECORD_ALIGN, RECORD_HEADER_BYTES,
    UNPACKED_MAX,
};
use crate::map::Extent;
use crate::open_segment::OpenSegment;
use crate::record::{self, RECORD_LEN};
use crate::{LaneId, LaneKind, ReadError, Record, RecordPos, SegmentError};

/// A segment as its file's header describes it.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct SegmentInfo {
    pub lane: LaneId,
    pub kind: LaneKind,
    pub seq: u32,
    /// Size of the file.
    pub bytes: u64,
    /// Bytes up to the committed mark, header included.
    pub committed: u64,
    /// Bytes that are known to be durable.
    pub synced: u64,
    /// No more will be appended.
    pub closed: bool,
}

/// Reads records by position; keeps a bounded number of segments mapped. One thread owns it.
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    maps: Vec<Mapped>,
    unpacked: Vec<Unpacked>,
    /// Counts uses, so that the one unused for longest can be given up.
    clock: u64,
}

#[derive(Debug)]
struct Mapped {
    lane: LaneId,
    seq: u32,
    open: OpenSegment,
    reader: BlockReader,
    /// One bit for each cache line that begins a block whose checksum was seen to hold.
    checked: Vec<u64>,
    used: u64,
}

#[derive(Debug)]
struct Unpacked {
    lane: LaneId,
    seq: u32,
    epoch: u64,
    block: u32,
    raw: Vec<u8>,
    used: u64,
}

impl Log {
    pub fn open(dir: &Path) -> Result<Self, SegmentError> {
        Self::open_on(Arc::new(RealDisk), dir)
    }

    /// As [`Self::open`], on another disk.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, SegmentError> {
        disk.list(dir).map_err(|source| SegmentError::io("list", dir, source))?;
        Ok(Self { disk, dir: dir.to_owned(), maps: Vec::new(), unpacked: Vec::new(), clock: 0 })
    }

    /// The record at `pos`; media is borrowed from the map, without a copy. What is lent stays what it is
    /// until the segment is released (S5).
    pub fn read(&mut self, lane: LaneId, pos: RecordPos) -> Result<Record<'_>, ReadError> {
        self.clock += 1;
        let at = self.mapped(lane, pos)?;
        match self.maps[at].open.header.kind {
            LaneKind::Media => self.maps[at].record(pos),
            LaneKind::Signalling => self.unpacked_record(at, pos),
        }
    }

    /// Positions of the records of one flow, oldest first: from `last` back to the one behind `first`, or
    /// to the first of the flow. At most `records_max` of them, the newest.
    pub fn chain(
        &mut self,
        lane: LaneId,
        first: RecordPos,
        last: RecordPos,
        records_max: usize,
    ) -> Result<Vec<RecordPos>, ReadError> {
        let mut chain = Vec::new();
        let mut pos = last;
        while pos > first && chain.len() < records_max {
            chain.push(pos);
            let prev = self.read(lane, pos)?.meta.prev;
            if prev >= pos {
                return Err(ReadError::NoRecord { lane, pos: prev });
            }
            pos = prev;
        }
        chain.reverse();
        Ok(chain)
    }

    pub fn lanes(&self) -> Result<Vec<(LaneId, LaneKind)>, SegmentError> {
        let names = file_name::list(&*self.disk, &self.dir)?;
        let mut lanes: Vec<_> = names
            .iter()
            .filter(|name| name.role == Role::Live)
            .map(|name| (name.lane, name.kind))
            .collect();
        lanes.dedup();
        Ok(lanes)
    }

    /// Segments of a lane, oldest first.
    pub fn segments(&self, lane: LaneId) -> Result<Vec<SegmentInfo>, SegmentError> {
        let Some((kind, seqs)) = file_name::live_seqs(&*self.disk, &self.dir, lane)? else {
            return Ok(Vec::new());
        };
        let mut infos = Vec::with_capacity(seqs.len());
        for seq in seqs {
            let name = FileName::live(lane, kind, seq);
            // Released since the folder was listed: left out.
            let opened = OpenSegment::open(&*self.disk, &self.dir, name, Extent::HeaderPage)?;
            let Some((open, _)) = opened else { continue };
            let closed = open.map.words().is_closed();
            infos.push(SegmentInfo {
                lane,
                kind,
                seq,
                bytes: open.file_bytes,
                committed: open.committed(),
                synced: open.map.words().synced(),
                closed,
            });
        }
        Ok(infos)
    }

    /// Where in `maps` the position's segment is.
    fn mapped(&mut self, lane: LaneId, pos: RecordPos) -> Result<usize, ReadError> {
        let seq = pos.seq();
        let found = self.maps.iter().position(|mapped| mapped.seq == seq && mapped.lane == lane);
        if let Some(at) = found {
            let open = &self.maps[at].open;
            if open.map.words().is_live(seq) && !open.is_moved() {
                self.maps[at].used = self.clock;
                // The next read most likely wants the same one.
                self.maps.swap(0, at);
                return Ok(0);
            }
            self.maps.swap_remove(at);
        }
        let mapped = self.map(lane, pos)?;
        if self.maps.len() == MAPS_MAX {
            let oldest = (0..self.maps.len()).min_by_key(|&at| self.maps[at].used);
            self.maps.swap_remove(oldest.expect("MAPS_MAX is not zero"));
        }
        self.maps.push(mapped);
        Ok(self.maps.len() - 1)
    }

    fn map(&self, lane: LaneId, pos: RecordPos) -> Result<Mapped, ReadError> {
        let seq = pos.seq();
        let lane_files = file_name::live_seqs(&*self.disk, &self.dir, lane)?;
        let Some((kind, seqs)) = lane_files else { return Err(ReadError::NoRecord { lane, pos }) };
        let name = FileName::live(lane, kind, seq);
        let opened = OpenSegment::open(&*self.disk, &self.dir, name, Extent::Whole)?;
        let Some((open, file)) = opened else {
            return Err(ReadError::Gone { lane, seq, oldest: seqs.first().copied() });
        };
        Ok(Mapped::new(lane, open, file, &self.disk, self.clock))
    }

    /// A record of a block that may be packed.
    fn unpacked_record(&mut self, at: usize, pos: RecordPos) -> Result<Record<'_>, ReadError> {
        let mapped = &mut self.maps[at];
        let (lane, seq) = (mapped.lane, mapped.seq);
        let epoch = mapped.open.header.epoch;
        let block = (pos.offset(LaneKind::Signalling) / BLOCK_ALIGN) as u32;
        let wanted = |held: &Unpacked| {
            (held.lane, held.seq, held.epoch, held.block) == (lane, seq, epoch, block)
        };
        let slot = match self.unpacked.iter().position(wanted) {
            Some(slot) => slot,
            None => {
                let mut raw = Vec::new();
                mapped.unpack_block(pos, &mut raw)?;
                if self.unpacked.len() == UNPACKED_MAX {
                    let oldest = (0..UNPACKED_MAX).min_by_key(|&slot| self.unpacked[slot].used);
                    self.unpacked.swap_remove(oldest.expect("UNPACKED_MAX is not zero"));
                }
                self.unpacked.push(Unpacked { lane, seq, epoch, block, raw, used: 0 });
                self.unpacked.len() - 1
            }
        };
        self.unpacked[slot].used = self.clock;
        let raw = &self.unpacked[slot].raw;
        let mut at = 0;
        let no_record = || ReadError::NoRecord { lane, pos };
        for _ in 0..pos.ordinal() {
            at = record::decode(raw, at).map_err(|_| no_record())?.next;
        }
        let placed = record::decode(raw, at).map_err(|_| no_record())?;
        let frame = &raw[placed.frame..placed.frame + placed.meta.frame_len as usize];
        Ok(Record { meta: placed.meta, frame, pos })
    }
}

impl Mapped {
    fn new(lane: LaneId, open: OpenSegment, file: File, disk: &Arc<dyn Disk>, used: u64) -> Self {
        let seq = open.header.seq;
        let identity = Identity { seq, epoch: Some(open.header.epoch) };
        let reader = BlockReader::new(Arc::clone(disk), file, identity);
        let lines = (open.file_bytes / BLOCK_ALIGN) as usize;
        Self { lane, seq, open, reader, checked: vec![0; lines.div_ceil(64)], used }
    }

    /// A record that lies as it is in the map.
    fn record(&mut self, pos: RecordPos) -> Result<Record<'_>, ReadError> {
        let no_record = ReadError::NoRecord { lane: self.lane, pos };
        let offset = pos.offset(LaneKind::Media);
        let Some(distance) = self.distance_to_block(offset) else { return Err(no_record) };
        let Some(block) = offset.checked_sub(distance) else { return Err(no_record) };
        self.check_block(block)?;
        let Some(bytes) = self.block_bytes(block) else { return Err(no_record) };
        let at = (offset - block - BLOCK_HEADER_BYTES) as usize;
        let Ok(placed) = record::decode(bytes, at) else { return Err(no_record) };
        let frame = &bytes[placed.frame..placed.frame + placed.meta.frame_len as usize];
        Ok(Record { meta: placed.meta, frame, pos })
    }

    fn distance_to_block(&self, offset: u64) -> Option<u64> {
        if !offset.is_multiple_of(RECORD_ALIGN) || offset < HEADER_BYTES {
            return None;
        }
        let bytes = self.open.map.committed_bytes(offset..offset + RECORD_HEADER_BYTES)?;
        let distance = record::distance_to_block(bytes.first_chunk::<RECORD_LEN>()?);
        (distance >= BLOCK_HEADER_BYTES).then_some(distance)
    }

    /// What lies behind the header of a block that was checked.
    fn block_bytes(&self, block: u64) -> Option<&[u8]> {
        let contents = block + BLOCK_HEADER_BYTES;
        let head = self.open.map.committed_bytes(block..contents)?;
        let header = BlockHeader::decode(head.first_chunk()?).ok()?;
        self.open.map.committed_bytes(contents..contents + u64::from(header.stored_len))
    }

    /// Reads the block once, by reading: the checksum, and that the disk gives it back at all.
    fn check_block(&mut self, block: u64) -> Result<(), ReadError> {
        let line = (block / BLOCK_ALIGN) as usize;
        let aligned = block.is_multiple_of(BLOCK_ALIGN);
        if aligned && self.checked.get(line / 64).is_some_and(|word| word >> (line % 64) & 1 == 1) {
            return Ok(());
        }
        let mark = self.open.committed();
        if let Err(reason) = self.reader.read(block, mark) {
            self.reader.forget();
            let (lane, seq) = (self.lane, self.seq);
            return Err(ReadError::Corrupt { lane, seq, offset: block, reason });
        }
        self.checked[line / 64] |= 1 << (line % 64);
        Ok(())
    }

    fn unpack_block(&mut self, pos: RecordPos, raw: &mut Vec<u8>) -> Result<(), ReadError> {
        let offset = pos.offset(LaneKind::Signalling);
        let mark = self.open.committed();
        if offset >= mark {
            return Err(ReadError::NoRecord { lane: self.lane, pos });
        }
        let (lane, seq) = (self.lane, self.seq);
        let corrupt = |reason| ReadError::Corrupt { lane, seq, offset, reason };
        let header = match self.reader.read(offset, mark) {
            Ok(header) => header,
            Err(reason) => {
                self.reader.forget();
                return Err(corrupt(reason));
            }
        };
        debug_assert_eq!(header.end(), block::end_of(offset, header.stored_len.into()));
        let stored = self.reader.stored(&header);
        if header.compressed {
            unpack(stored, header.raw_len, raw).map_err(corrupt)
        } else {
            raw.clear();
            raw.extend_from_slice(stored);
            Ok(())
        }
    }
}
