//! Records to write, and what must be read back.
#![allow(dead_code, reason = "each test program uses what it needs")]

use std::path::Path;

use earwitness_segment::{
    Cursor, Follower, LaneId, LaneKind, ReadError, RecordClass, RecordMeta, RecordPos,
    SegmentWriter, WriterOptions,
};

pub(crate) const LANE: LaneId = LaneId(3);

/// A record as written or read.
#[derive(Clone, Eq, PartialEq, Debug)]
pub(crate) struct Kept {
    pub(crate) pos: RecordPos,
    pub(crate) meta: RecordMeta,
    pub(crate) frame: Vec<u8>,
}

pub(crate) fn options() -> WriterOptions {
    WriterOptions { segment_bytes: 1 << 20, block_bytes: 8 << 10, epoch: 1, ..Default::default() }
}

pub(crate) fn meta(number: u64, frame: &[u8], prev: RecordPos) -> RecordMeta {
    RecordMeta {
        ts_ns: 1_700_000_000_000_000_000 + number * 1_000,
        prev,
        flow: (number % 5) as u32,
        frame_len: frame.len() as u32,
        wire_len: frame.len() as u32 + 1,
        l3: 14,
        payload: 42,
        payload_len: frame.len().saturating_sub(42) as u16,
        class: RecordClass::Media,
        link: 0,
        source: 1,
        verdict: 1,
    }
}

/// Different for each number; text repeats, so that it compresses.
pub(crate) fn frame(number: u64, length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| if at % 4 == 0 { at } else { number + at / 7 } as u8).collect()
}

/// Appends records `numbers` of that length, chained by flow.
pub(crate) fn write(
    writer: &mut SegmentWriter,
    numbers: std::ops::Range<u64>,
    length: usize,
    flows: &mut [RecordPos; 5],
) -> Vec<Kept> {
    numbers
        .map(|number| {
            let frame = frame(number, length + (number % 3) as usize);
            let prev = &mut flows[(number % 5) as usize];
            let meta = meta(number, &frame, *prev);
            let pos = writer.append(&meta, &frame).expect("there is space");
            *prev = pos;
            Kept { pos, meta, frame }
        })
        .collect()
}

/// All that a follower sees from `cursor` on, and where it stands then.
pub(crate) fn follow(dir: &Path, cursor: Cursor) -> Result<(Vec<Kept>, Cursor), ReadError> {
    let mut follower = Follower::open(dir, LANE, cursor)?;
    let kept = drain(&mut follower)?;
    Ok((kept, follower.cursor()))
}

pub(crate) fn drain(follower: &mut Follower) -> Result<Vec<Kept>, ReadError> {
    let mut kept = Vec::new();
    while let Some(record) = follower.next()? {
        kept.push(Kept { pos: record.pos, meta: record.meta, frame: record.frame.to_vec() });
    }
    Ok(kept)
}

/// As `drain`, going on behind whatever is corrupt; also the number of such places.
pub(crate) fn drain_over_holes(follower: &mut Follower) -> (Vec<Kept>, u32) {
    let mut kept = Vec::new();
    let mut holes = 0;
    loop {
        match follower.next() {
            Ok(Some(record)) => {
                kept.push(Kept { pos: record.pos, meta: record.meta, frame: record.frame.to_vec() })
            }
            Ok(None) => return (kept, holes),
            Err(ReadError::Corrupt { .. }) => {
                holes += 1;
                follower.skip_block();
            }
            Err(other) => panic!("{other}"),
        }
    }
}

pub(crate) fn open(dir: &Path, kind: LaneKind) -> SegmentWriter {
    SegmentWriter::open(dir, LANE, kind, options()).expect("an empty folder can be written to")
}

/// The folder as a crash at this moment leaves it: the page cache survives a killed process.
pub(crate) fn crash_copy(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a temporary folder");
    for entry in std::fs::read_dir(dir).expect("the folder is there") {
        let entry = entry.expect("its entries can be read");
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("space for a copy");
    }
    copy
}

/// Path of a segment of the lane.
pub(crate) fn segment(dir: &Path, kind: LaneKind, seq: u32) -> std::path::PathBuf {
    dir.join(format!("{:04}-{}-{seq:08}.seg", LANE.0, kind.letter()))
}
