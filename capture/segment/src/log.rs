//! Random access to every lane of a folder.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::block;
use crate::block_reader::{BlockReader, Identity, read_fully, unpack};
use crate::disk::{Disk, RealDisk};
use crate::file_name::{self, FileName, Role};
use crate::header::Header;
use crate::limits::{
    BLOCK_ALIGN, BLOCK_HEADER_BYTES, HEADER_BYTES, KNOWN_MAX, NEAR_BYTES, OPEN_MAX, PIECE_BYTES,
    RECORD_ALIGN, RUN_BYTES, UNPACKED_MAX,
};
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

/// Reads records by position; keeps a bounded number of segments open. One thread owns it.
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    opened: Vec<Opened>,
    /// Of segments that were open before, what was checked of them.
    known: HashMap<FileId, Checked>,
    unpacked: Vec<Unpacked>,
    piece: Piece,
    /// What lanes were seen to carry.
    kinds: HashMap<LaneId, LaneKind>,
    /// Counts uses, so that the one unused for longest can be given up.
    clock: u64,
}

/// Where the blocks begin whose checksum was seen to hold, and where what they hold ends.
type Checked = HashMap<u64, u64>;

/// A segment in one file: whoever wrote it again elsewhere made another.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
struct FileId {
    lane: LaneId,
    seq: u32,
    epoch: u64,
    inode: u64,
}

#[derive(Debug)]
struct Opened {
    lane: LaneId,
    seq: u32,
    open: OpenSegment,
    reader: BlockReader,
    id: FileId,
    checked: Checked,
    /// The block that the reader has whole, checked: from its header to where what it holds ends.
    whole: Range<u64>,
    used: u64,
}

/// The bytes that were read last, and whose they are.
#[derive(Debug, Default)]
struct Piece {
    of: Option<FileId>,
    start: u64,
    bytes: Vec<u8>,
}

impl Piece {
    fn get(&self, of: FileId, offset: u64, length: usize) -> Option<&[u8]> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let there = self.bytes.get(from..from.checked_add(length)?)?;
        (self.of == Some(of)).then_some(there)
    }

    /// What to read for `wanted`: a record by itself, or, where the last was close to it, a run of them in the
    /// direction in which they are read.
    fn extent(&self, of: FileId, wanted: Range<u64>) -> Range<u64> {
        let end = self.start + self.bytes.len() as u64;
        let is_near = |gap: Option<u64>| gap.is_some_and(|gap| gap < NEAR_BYTES);
        if self.of != Some(of) {
            wanted.start..wanted.start + PIECE_BYTES
        } else if is_near(self.start.checked_sub(wanted.start)) {
            let end = wanted.start + PIECE_BYTES;
            end.saturating_sub(RUN_BYTES).max(HEADER_BYTES)..end
        } else if is_near(wanted.start.checked_sub(end)) {
            wanted.start..wanted.start + RUN_BYTES
        } else {
            wanted.start..wanted.start + PIECE_BYTES
        }
    }
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
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            opened: Vec::new(),
            known: HashMap::new(),
            unpacked: Vec::new(),
            piece: Piece::default(),
            kinds: HashMap::new(),
            clock: 0,
        })
    }

    /// The record at `pos`, which stays what it is until its segment is released (S5).
    pub fn read(&mut self, lane: LaneId, pos: RecordPos) -> Result<Record<'_>, ReadError> {
        self.clock += 1;
        let at = self.opened(lane, pos)?;
        match self.opened[at].open.header.kind {
            LaneKind::Media => self.opened[at].record(pos, &mut self.piece, &*self.disk),
            LaneKind::Signalling => self.unpacked_record(at, pos),
        }
    }

    /// A record of a media lane, and where its block begins.
    pub(crate) fn read_placed(
        &mut self,
        lane: LaneId,
        pos: RecordPos,
    ) -> Result<(Record<'_>, u64), ReadError> {
        self.clock += 1;
        let at = self.opened(lane, pos)?;
        if self.opened[at].open.header.kind != LaneKind::Media {
            return Err(ReadError::NoRecord { lane, pos });
        }
        self.opened[at].placed(pos, &mut self.piece, &*self.disk)
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
            let opened = OpenSegment::open(&*self.disk, &self.dir, name)?;
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

    /// Where in `opened` the position's segment is.
    fn opened(&mut self, lane: LaneId, pos: RecordPos) -> Result<usize, ReadError> {
        let seq = pos.seq();
        let found = self.opened.iter().position(|held| held.seq == seq && held.lane == lane);
        if let Some(at) = found {
            let open = &self.opened[at].open;
            if open.map.words().is_live(seq) && !open.is_moved() {
                self.opened[at].used = self.clock;
                // The next read most likely wants the same one.
                self.opened.swap(0, at);
                return Ok(0);
            }
            self.opened.swap_remove(at);
        }
        let opened = self.open_segment(lane, pos)?;
        if self.opened.len() == OPEN_MAX {
            let oldest = (0..self.opened.len()).min_by_key(|&at| self.opened[at].used);
            let oldest = self.opened.swap_remove(oldest.expect("OPEN_MAX is not zero"));
            if self.known.len() == KNOWN_MAX {
                self.known.clear();
            }
            self.known.insert(oldest.id, oldest.checked);
        }
        self.opened.push(opened);
        Ok(self.opened.len() - 1)
    }

    fn open_segment(&mut self, lane: LaneId, pos: RecordPos) -> Result<Opened, ReadError> {
        let seq = pos.seq();
        let list = || file_name::live_seqs(&*self.disk, &self.dir, lane);
        let kind = match self.kinds.get(&lane) {
            Some(kind) => *kind,
            None => {
                let (kind, _) = list()?.ok_or(ReadError::NoRecord { lane, pos })?;
                self.kinds.insert(lane, kind);
                kind
            }
        };
        let name = FileName::live(lane, kind, seq);
        let opened = OpenSegment::open(&*self.disk, &self.dir, name)?;
        let Some((open, file)) = opened else {
            let (_, seqs) = list()?.ok_or(ReadError::NoRecord { lane, pos })?;
            return Err(ReadError::Gone { lane, seq, oldest: seqs.first().copied() });
        };
        let mut opened = Opened::new(lane, open, file, &self.disk, self.clock)
            .map_err(|source| SegmentError::io("stat", &name.in_dir(&self.dir), source))?;
        opened.checked = self.known.remove(&opened.id).unwrap_or_default();
        Ok(opened)
    }

    /// A record of a block that may be packed.
    fn unpacked_record(&mut self, at: usize, pos: RecordPos) -> Result<Record<'_>, ReadError> {
        let opened = &mut self.opened[at];
        let (lane, seq) = (opened.lane, opened.seq);
        let epoch = opened.open.header.epoch;
        let block = (pos.offset(LaneKind::Signalling) / BLOCK_ALIGN) as u32;
        let wanted = |held: &Unpacked| {
            (held.lane, held.seq, held.epoch, held.block) == (lane, seq, epoch, block)
        };
        let slot = match self.unpacked.iter().position(wanted) {
            Some(slot) => slot,
            None => {
                let mut raw = Vec::new();
                opened.unpack_block(pos, &mut raw)?;
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

impl Opened {
    fn new(
        lane: LaneId,
        open: OpenSegment,
        file: File,
        disk: &Arc<dyn Disk>,
        used: u64,
    ) -> io::Result<Self> {
        let Header { seq, epoch, block_bytes, .. } = open.header;
        let id = FileId { lane, seq, epoch, inode: file.metadata()?.ino() };
        let reader = BlockReader::new(Arc::clone(disk), file, Identity { seq, epoch: Some(epoch) })
            .read_ahead(block_bytes as usize);
        Ok(Self { lane, seq, open, reader, id, checked: Checked::new(), whole: 0..0, used })
    }

    /// A record that lies as it is in the file.
    fn record<'a>(
        &'a mut self,
        pos: RecordPos,
        piece: &'a mut Piece,
        disk: &dyn Disk,
    ) -> Result<Record<'a>, ReadError> {
        self.placed(pos, piece, disk).map(|(record, _)| record)
    }

    /// The same, and where its block begins. It is of the block that was read last to check it, or read into `piece`:
    /// many calls at a time may have few records in each block, so a block is read as a whole only once.
    fn placed<'a>(
        &'a mut self,
        pos: RecordPos,
        piece: &'a mut Piece,
        disk: &dyn Disk,
    ) -> Result<(Record<'a>, u64), ReadError> {
        let no_record = ReadError::NoRecord { lane: self.lane, pos };
        let offset = pos.offset(LaneKind::Media);
        if !offset.is_multiple_of(RECORD_ALIGN) || offset < HEADER_BYTES {
            return Err(no_record);
        }
        if self.whole.contains(&offset) {
            return self.record_of_whole(pos, offset);
        }
        let mark = self.open.committed();
        let distance = record::distance_to_block(self.head(pos, mark, piece, disk)?);
        let at = distance.checked_sub(BLOCK_HEADER_BYTES);
        let block = offset.checked_sub(distance);
        let (Some(at), Some(block)) = (at, block) else { return Err(no_record) };
        let end = self.check_block(block, mark)?;
        if self.whole.contains(&offset) {
            return self.record_of_whole(pos, offset);
        }
        let head = self.head(pos, end, piece, disk)?;
        let Ok(meta) = record::decode_header(head, at as usize) else { return Err(no_record) };
        let length = RECORD_LEN + meta.frame_len as usize;
        let bytes = self.piece(pos, length, end, piece, disk)?;
        Ok((Record { meta, frame: &bytes[RECORD_LEN..], pos }, block))
    }

    /// A record of the block that is at hand.
    fn record_of_whole(&self, pos: RecordPos, offset: u64) -> Result<(Record<'_>, u64), ReadError> {
        let Range { start, end } = self.whole;
        let record = || {
            let at = usize::try_from(offset.checked_sub(start + BLOCK_HEADER_BYTES)?).ok()?;
            let bytes = self.reader.held(offset, (end - offset) as usize)?;
            let meta = record::decode_header(bytes.first_chunk()?, at).ok()?;
            let frame = bytes[RECORD_LEN..].get(..meta.frame_len as usize)?;
            Some((Record { meta, frame, pos }, start))
        };
        record().ok_or(ReadError::NoRecord { lane: self.lane, pos })
    }

    fn head<'a>(
        &'a self,
        pos: RecordPos,
        limit: u64,
        piece: &'a mut Piece,
        disk: &dyn Disk,
    ) -> Result<&'a [u8; RECORD_LEN], ReadError> {
        let bytes = self.piece(pos, RECORD_LEN, limit, piece, disk)?;
        Ok(bytes.first_chunk().expect("it has the length that was asked for"))
    }

    /// `length` bytes of the file from `pos`, which must lie before `limit`.
    fn piece<'a>(
        &'a self,
        pos: RecordPos,
        length: usize,
        limit: u64,
        piece: &'a mut Piece,
        disk: &dyn Disk,
    ) -> Result<&'a [u8], ReadError> {
        let (lane, seq) = (self.lane, self.seq);
        let offset = pos.offset(LaneKind::Media);
        if offset.checked_add(length as u64).is_none_or(|end| end > limit) {
            return Err(ReadError::NoRecord { lane, pos });
        }
        let of = self.id;
        if piece.get(of, offset, length).is_none() {
            let wanted = offset..offset + length as u64;
            let extent = piece.extent(of, wanted.clone());
            let until = extent.end.max(wanted.end).min(limit);
            (piece.of, piece.start) = (Some(of), extent.start);
            piece.bytes.resize((until - extent.start) as usize, 0);
            let read = read_fully(disk, self.reader.file(), &mut piece.bytes, extent.start);
            piece.bytes.truncate(read);
        }
        let reason = "record cannot be read";
        piece.get(of, offset, length).ok_or(ReadError::Corrupt { lane, seq, offset, reason })
    }

    /// Reads the block once, for its checksum. Returns where what it holds ends.
    fn check_block(&mut self, block: u64, mark: u64) -> Result<u64, ReadError> {
        if let Some(end) = self.checked.get(&block) {
            return Ok(*end);
        }
        match self.reader.read(block, mark) {
            Ok(header) => {
                let end = block + BLOCK_HEADER_BYTES + u64::from(header.stored_len);
                self.checked.insert(block, end);
                self.whole = block..end;
                Ok(end)
            }
            Err(reason) => {
                self.reader.forget();
                self.whole = 0..0;
                let (lane, seq) = (self.lane, self.seq);
                Err(ReadError::Corrupt { lane, seq, offset: block, reason })
            }
        }
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
