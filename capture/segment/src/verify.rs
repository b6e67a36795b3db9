//! Proves the log's invariants for `earwitness check`; changes nothing.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use crate::block::BlockHeader;
use crate::block_reader::{BlockReader, Identity};
use crate::disk::{Disk, RealDisk};
use crate::file_name::{self, FileName, Role};
use crate::limits::{BLOCK_ALIGN, BLOCK_HEADER_BYTES, HEADER_BYTES};
use crate::open_segment::OpenSegment;
use crate::{LaneKind, RecordPos, SegmentError, record};

/// One breach of an invariant; displays as one line.
#[derive(Clone, Eq, PartialEq, Debug)]
pub struct Breach {
    /// `S1`, `S2`, …
    pub invariant: &'static str,
    /// File, and offset where there is one.
    pub place: String,
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.invariant, self.place, self.what)
    }
}

/// Reads every committed block of every segment in `dir`; may run beside a writer.
pub fn verify(dir: &Path) -> Result<Vec<Breach>, SegmentError> {
    verify_on(Arc::new(RealDisk), dir)
}

/// As [`verify`], on another disk.
pub fn verify_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<Vec<Breach>, SegmentError> {
    let mut breaches = Vec::new();
    let live = file_name::list(&*disk, dir)?.into_iter().filter(|name| name.role == Role::Live);
    for name in live {
        let mut found = Vec::new();
        match OpenSegment::open(&*disk, dir, name) {
            // Released meanwhile.
            Ok(None) => {}
            Ok(Some((open, file))) => {
                let identity = Identity { seq: name.seq, epoch: Some(open.header.epoch) };
                let reader = BlockReader::new(Arc::clone(&disk), file, identity);
                let mut check = Check { name, open, reader, found: &mut found };
                check.run();
                // Used again meanwhile: what was read was two segments' bytes.
                if !check.open.map.words().is_live(name.seq) {
                    found.clear();
                }
            }
            Err(SegmentError::Format { reason, .. }) => found.push(Breach {
                invariant: "S2",
                place: name.to_string(),
                what: reason.to_owned(),
            }),
            Err(error) => return Err(error),
        }
        breaches.append(&mut found);
    }
    Ok(breaches)
}

struct Check<'a> {
    name: FileName,
    open: OpenSegment,
    reader: BlockReader,
    found: &'a mut Vec<Breach>,
}

impl Check<'_> {
    fn run(&mut self) {
        let closed = self.open.map.words().is_closed();
        let mark = self.open.map.words().committed();
        self.check_mark(mark);
        if !closed {
            self.check_allocation();
        }
        let limit = self.open.committed();
        let mut at = HEADER_BYTES;
        let mut unpacked = Vec::new();
        while at < limit {
            match self.reader.read(at, limit) {
                Ok(block) => {
                    self.check_records(&block, &mut unpacked);
                    at = block.end();
                }
                Err(reason) => {
                    self.breach("S2", Some(at), reason);
                    self.reader.forget();
                    let next = self.reader.find_valid(at + BLOCK_ALIGN, limit);
                    at = next.map_or(limit, |block| block.offset());
                }
            }
        }
    }

    fn check_mark(&mut self, mark: u64) {
        if mark < HEADER_BYTES || !mark.is_multiple_of(BLOCK_ALIGN) {
            self.breach("S1", None, "the committed mark is not at a block's end");
        }
        // The padding of the last block may be missing.
        if mark > self.open.file_bytes.next_multiple_of(BLOCK_ALIGN) {
            self.breach("S1", None, "the committed mark is beyond the file's end");
        }
        if self.open.map.words().synced() > mark {
            self.breach("S6", None, "more is called durable than was committed");
        }
    }

    /// A segment that is still written must not lack space later.
    fn check_allocation(&mut self) {
        let Ok(metadata) = self.reader.file().metadata() else { return };
        let wanted = self.open.header.segment_bytes;
        if metadata.len() < wanted {
            self.breach("S3", None, "the file is shorter than its header says");
        } else if metadata.blocks() * 512 < wanted {
            self.breach("S3", None, "the file is not allocated whole");
        }
    }

    fn check_records(&mut self, block: &BlockHeader, unpacked: &mut Vec<u8>) {
        match walk(&self.reader, block, self.name.kind, unpacked) {
            Ok(()) => {}
            Err(reason) => self.breach("S2", Some(block.offset()), reason),
        }
    }

    fn breach(&mut self, invariant: &'static str, offset: Option<u64>, what: &str) {
        let place = match offset {
            Some(offset) => format!("{} at {offset:#x}", self.name),
            None => self.name.to_string(),
        };
        self.found.push(Breach { invariant, place, what: what.to_owned() });
    }
}

/// Do the block's records fill it, as many as it says, each behind what it names as its predecessor?
fn walk(
    reader: &BlockReader,
    block: &BlockHeader,
    kind: LaneKind,
    unpacked: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let raw = reader.raw(block, unpacked)?;
    let mut at = 0;
    for ordinal in 0..block.records {
        let placed = record::decode(raw, at)?;
        let pos = match kind {
            LaneKind::Media => {
                RecordPos::media(block.seq, block.offset() + BLOCK_HEADER_BYTES + at as u64)
            }
            LaneKind::Signalling => RecordPos::signalling(block.seq, block.block, ordinal),
        };
        if placed.meta.prev >= pos {
            return Err("a record names a later one as its predecessor");
        }
        if !(block.first_ts_ns..=block.last_ts_ns).contains(&placed.meta.ts_ns) {
            return Err("a record's time is outside of its block's");
        }
        at = placed.next;
    }
    if at == raw.len() { Ok(()) } else { Err("bytes behind the block's last record") }
}
