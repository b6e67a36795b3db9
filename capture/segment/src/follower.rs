//! Reads a lane in order while it grows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::block::BlockHeader;
use crate::block_reader::{BlockReader, Identity, shorten};
use crate::disk::{Disk, RealDisk};
use crate::file_name::{self, FileName};
use crate::limits::{BLOCK_ALIGN, BLOCK_HEADER_BYTES, HEADER_BYTES};
use crate::open_segment::OpenSegment;
use crate::record::{self, Placed};
use crate::syscall;
use crate::{Cursor, LaneId, LaneKind, ReadError, Record, RecordMeta, RecordPos};

/// Follows one lane across its segments; sees only what is committed (S1).
#[derive(Debug)]
pub struct Follower {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    lane: LaneId,
    /// The next record, always at a block's start or within one.
    cursor: Cursor,
    segment: Option<Following>,
    block: Option<OpenBlock>,
    unpacked: Vec<u8>,
    bytes_skipped: u64,
}

#[derive(Debug)]
struct Following {
    open: OpenSegment,
    reader: BlockReader,
}

/// The block whose records are being given out.
#[derive(Copy, Clone, Debug)]
struct OpenBlock {
    header: BlockHeader,
    /// The next record, among the block's unpacked bytes.
    at: usize,
}

/// What there is behind the last record.
enum Step {
    Record,
    Wait,
}

impl Follower {
    /// A lane without segments is waited for; a cursor into a released segment is `Gone`.
    pub fn open(dir: &Path, lane: LaneId, cursor: Cursor) -> Result<Self, ReadError> {
        Self::open_on(Arc::new(RealDisk), dir, lane, cursor)
    }

    /// As [`Self::open`], on another disk.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        lane: LaneId,
        cursor: Cursor,
    ) -> Result<Self, ReadError> {
        let mut follower = Self {
            disk,
            dir: dir.to_owned(),
            lane,
            cursor,
            segment: None,
            block: None,
            unpacked: Vec::new(),
            bytes_skipped: 0,
        };
        follower.find_segment()?;
        Ok(follower)
    }

    /// The next record, or `None` until more is committed. The same error comes again until
    /// [`Follower::skip_block`] is called.
    #[expect(clippy::should_implement_trait, reason = "lends from itself, which Iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, ReadError> {
        match self.advance()? {
            Step::Wait => Ok(None),
            Step::Record => self.take().map(Some),
        }
    }

    /// Of what was given out nothing is kept in memory until more comes.
    fn forget(&mut self) {
        if let Some(following) = &mut self.segment {
            following.reader.forget();
        }
        shorten(&mut self.unpacked, 0);
    }

    /// What is known of the record that `next` would give, which stays where it is.
    pub fn peek(&mut self) -> Result<Option<RecordMeta>, ReadError> {
        match self.advance()? {
            Step::Wait => Ok(None),
            Step::Record => self.placed().map(|placed| Some(placed.meta)),
        }
    }

    /// Goes on at the next valid block behind a corrupt one, or at the mark if there is none.
    pub fn skip_block(&mut self) {
        self.block = None;
        let Some(following) = &mut self.segment else { return };
        let offset = following.offset(self.cursor);
        let mark = following.open.committed();
        following.reader.forget();
        let next = following.reader.find_valid(offset + BLOCK_ALIGN, mark);
        let next = next.map_or(mark, |block| block.offset()).max(offset);
        self.bytes_skipped += next - offset;
        self.cursor.block = (next / BLOCK_ALIGN) as u32;
        self.cursor.ordinal = 0;
    }

    /// Goes on at the next segment that can be read, behind one that cannot; false if there is none yet.
    pub fn skip_segment(&mut self) -> Result<bool, ReadError> {
        let Some((kind, seqs)) = file_name::live_seqs(&*self.disk, &self.dir, self.lane)? else {
            return Ok(false);
        };
        let behind = self.cursor.seq;
        let mut later = seqs.into_iter().filter(|&seq| seq > behind);
        Ok(later.any(|seq| self.enter(kind, seq).is_ok_and(|entered| entered)))
    }

    /// Everything that came before this time is committed, as the writer said; 0 if it said nothing yet. To be asked
    /// before what is there is looked at.
    pub fn heard_ns(&self) -> u64 {
        self.segment.as_ref().map_or(0, |following| following.open.map.words().heard_ns())
    }

    /// Where reading goes on: behind the record that `next` gave last.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    pub fn lane(&self) -> LaneId {
        self.lane
    }

    /// Bytes that `skip_block` left out.
    pub fn bytes_skipped(&self) -> u64 {
        self.bytes_skipped
    }

    /// Until a record lies at the cursor, or there is none.
    fn advance(&mut self) -> Result<Step, ReadError> {
        loop {
            if self.block.is_some() {
                return Ok(Step::Record);
            }
            if self.segment.is_none() {
                self.find_segment()?;
            }
            let Some(following) = &mut self.segment else { return Ok(Step::Wait) };
            if following.open.is_moved() {
                // The same segment in another file: S6.
                self.segment = None;
                continue;
            }
            // Read before the mark: if it is closed the mark is the last.
            let closed = following.open.map.words().is_closed();
            let mark = following.open.committed();
            if following.offset(self.cursor) < mark {
                self.block = Some(self.load_block(mark)?);
            } else if !self.check_live()? || !closed || !self.next_segment()? {
                self.forget();
                return Ok(Step::Wait);
            }
        }
    }

    /// The record at the cursor, which moves behind it.
    fn take(&mut self) -> Result<Record<'_>, ReadError> {
        let placed = self.placed()?;
        let (Some(following), Some(block)) = (&self.segment, &mut self.block) else {
            unreachable!("advance found a record");
        };
        let header = block.header;
        let raw = unpacked(following, &header, &self.unpacked);
        let at = block.at;
        let pos = match following.open.header.kind {
            LaneKind::Media => {
                RecordPos::media(header.seq, header.offset() + BLOCK_HEADER_BYTES + at as u64)
            }
            LaneKind::Signalling => {
                RecordPos::signalling(header.seq, header.block, self.cursor.ordinal)
            }
        };
        self.cursor.ordinal += 1;
        block.at = placed.next;
        if self.cursor.ordinal == header.records {
            self.cursor.block = (header.end() / BLOCK_ALIGN) as u32;
            self.cursor.ordinal = 0;
            self.block = None;
        }
        let end = placed.frame + placed.meta.frame_len as usize;
        Ok(Record { meta: placed.meta, frame: &raw[placed.frame..end], pos })
    }

    /// Where the record at the cursor lies in its block.
    fn placed(&self) -> Result<Placed, ReadError> {
        let (Some(following), Some(block)) = (&self.segment, &self.block) else {
            unreachable!("advance found a record");
        };
        record::decode(unpacked(following, &block.header, &self.unpacked), block.at)
            .map_err(|reason| corrupt(self.lane, &block.header, reason))
    }

    /// Checks the block at the cursor and finds the cursor's record in it.
    fn load_block(&mut self, mark: u64) -> Result<OpenBlock, ReadError> {
        let Some(following) = &mut self.segment else { unreachable!("advance found a segment") };
        let seq = following.open.header.seq;
        let offset = following.offset(self.cursor);
        let lane = self.lane;
        let corrupt_here = |reason| ReadError::Corrupt { lane, seq, offset, reason };
        let read = following.reader.read(offset, mark);
        let live = following.open.map.words().is_live(seq);
        let header = match read {
            Ok(header) if live => header,
            _ if !live => return Err(self.gone(seq)?),
            Err(reason) => {
                following.reader.forget();
                return Err(corrupt_here(reason));
            }
            Ok(_) => unreachable!("live or not"),
        };
        let raw = following.reader.raw(&header, &mut self.unpacked).map_err(corrupt_here)?;
        if header.records == 0 || self.cursor.ordinal >= header.records {
            return Err(corrupt_here("block has fewer records than the cursor says"));
        }
        let mut at = 0;
        for _ in 0..self.cursor.ordinal {
            at = record::decode(raw, at).map_err(corrupt_here)?.next;
        }
        Ok(OpenBlock { header, at })
    }

    fn check_live(&self) -> Result<bool, ReadError> {
        let Some(following) = &self.segment else { return Ok(false) };
        let seq = following.open.header.seq;
        if following.open.map.words().is_live(seq) { Ok(true) } else { Err(self.gone(seq)?) }
    }

    /// Opens the cursor's segment, if it is there yet.
    fn find_segment(&mut self) -> Result<(), ReadError> {
        let Some((kind, seqs)) = file_name::live_seqs(&*self.disk, &self.dir, self.lane)? else {
            return Ok(());
        };
        let wanted = self.cursor.seq;
        if wanted == 0 {
            // The oldest may be released meanwhile: then the next call finds the next.
            return self.enter(kind, seqs[0]).map(|_| ());
        }
        if !seqs.contains(&wanted) {
            let later = seqs.last().is_some_and(|&last| last > wanted);
            return if later { Err(self.gone(wanted)?) } else { Ok(()) };
        }
        let cursor = self.cursor;
        self.enter(kind, wanted)?;
        self.cursor = cursor;
        Ok(())
    }

    /// Enters the segment behind a closed one; false if there is none yet.
    fn next_segment(&mut self) -> Result<bool, ReadError> {
        let Some(following) = &self.segment else { return Ok(false) };
        let kind = following.open.header.kind;
        let seq = following.open.header.seq;
        if self.enter(kind, seq + 1)? {
            return Ok(true);
        }
        // Numbers are only left out where files were removed.
        let seqs = file_name::live_seqs(&*self.disk, &self.dir, self.lane)?;
        let next = seqs.and_then(|(_, seqs)| seqs.into_iter().find(|&next| next > seq));
        next.map_or(Ok(false), |next| self.enter(kind, next))
    }

    /// Goes to the start of a segment; false if there is none of that number.
    fn enter(&mut self, kind: LaneKind, seq: u32) -> Result<bool, ReadError> {
        let name = FileName::live(self.lane, kind, seq);
        let opened = OpenSegment::open(&*self.disk, &self.dir, name)?;
        let Some((open, file)) = opened else { return Ok(false) };
        let identity = Identity { seq, epoch: Some(open.header.epoch) };
        syscall::read_no_further(&file);
        let reader = BlockReader::new(Arc::clone(&self.disk), file, identity);
        self.segment = Some(Following { open, reader });
        self.block = None;
        self.cursor = Cursor { seq, block: (HEADER_BYTES / BLOCK_ALIGN) as u32, ordinal: 0 };
        Ok(true)
    }

    fn gone(&self, seq: u32) -> Result<ReadError, ReadError> {
        let seqs = file_name::live_seqs(&*self.disk, &self.dir, self.lane)?;
        let oldest = seqs.and_then(|(_, seqs)| seqs.first().copied());
        Ok(ReadError::Gone { lane: self.lane, seq, oldest })
    }
}

impl Following {
    /// Where the cursor's block begins; a cursor of 0 means the first.
    fn offset(&self, cursor: Cursor) -> u64 {
        (u64::from(cursor.block) * BLOCK_ALIGN).max(HEADER_BYTES)
    }
}

/// The bytes of a block's records.
fn unpacked<'a>(following: &'a Following, header: &BlockHeader, buffer: &'a [u8]) -> &'a [u8] {
    if header.compressed { buffer } else { following.reader.stored(header) }
}

fn corrupt(lane: LaneId, header: &BlockHeader, reason: &'static str) -> ReadError {
    ReadError::Corrupt { lane, seq: header.seq, offset: header.offset(), reason }
}
