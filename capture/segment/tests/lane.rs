//! A lane from the outside: what is written is read, in order and by position.

mod traffic;

use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

use earwitness_segment::{
    AppendError, Cursor, Follower, LaneId, LaneKind, Log, Placing, ReadError, RecordPos,
    SegmentError, SegmentWriter, WriterOptions, limits, verify,
};
use traffic::{LANE, follow, meta, open, options, segment, write};

const KINDS: [LaneKind; 2] = [LaneKind::Media, LaneKind::Signalling];

/// CAP-3: across many blocks and segments a follower sees every record once, in order, and the log finds
/// each at the position that append gave.
#[test]
fn reads_back_in_order_and_by_position() {
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = open(dir.path(), kind);
        let mut flows = [RecordPos::NONE; 5];
        let mut written = write(&mut writer, 0..6_000, 700, &mut flows);
        written.extend(write(&mut writer, 6_000..6_003, 100_000, &mut flows));
        writer.flush();
        let (read, cursor) = follow(dir.path(), Cursor::default()).unwrap();
        assert_eq!(read, written);
        assert!(writer.stats().segments > 1 && cursor.seq == writer.stats().segments as u32);

        let mut log = Log::open(dir.path()).unwrap();
        assert_eq!(log.lanes().unwrap(), [(LANE, kind)]);
        assert_eq!(log.segments(LANE).unwrap().len(), writer.stats().segments as usize);
        for kept in written.iter().rev().chain(&written) {
            let record = log.read(LANE, kept.pos).unwrap();
            assert_eq!((record.meta, record.frame), (kept.meta, &kept.frame[..]));
        }
        let chain = log.chain(LANE, RecordPos::NONE, flows[2], usize::MAX).unwrap();
        let expected: Vec<_> =
            written.iter().filter(|kept| kept.meta.flow == 2).map(|kept| kept.pos).collect();
        assert_eq!(chain, expected);
        assert_eq!(log.chain(LANE, expected[3], flows[2], 10).unwrap().len(), 10);
        assert_eq!(log.chain(LANE, expected[3], expected[6], 10).unwrap(), expected[4..7]);
        assert_eq!(verify(dir.path()).unwrap(), []);
    }
}

/// CAP-3: however records come into their segment, it has the same bytes.
#[test]
fn placing_changes_no_byte() {
    let files = [Placing::Mapped, Placing::Written].map(|placing| {
        let dir = tempfile::tempdir().unwrap();
        let options = WriterOptions { placing, ..options() };
        let mut writer = SegmentWriter::open(dir.path(), LANE, LaneKind::Media, options).unwrap();
        let mut flows = [RecordPos::NONE; 5];
        for number in (0..3_000).step_by(50) {
            write(&mut writer, number..number + 50, 500, &mut flows);
            writer.flush();
        }
        write(&mut writer, 3_000..3_003, 100_000, &mut flows);
        writer.sync().unwrap();
        assert_eq!(verify(dir.path()).unwrap(), []);
        [1, 2].map(|seq| std::fs::read(segment(dir.path(), LaneKind::Media, seq)).unwrap())
    });
    assert!(files[0] == files[1]);
}

/// S1: a record is invisible until its block closes, to the follower and to the log.
#[test]
fn nothing_is_visible_above_the_mark() {
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = open(dir.path(), kind);
        let mut follower = Follower::open(dir.path(), LANE, Cursor::default()).unwrap();
        let mut log = Log::open(dir.path()).unwrap();
        let frame = traffic::frame(1, 200);
        let pos = writer.append(&meta(1, &frame, RecordPos::NONE), &frame).unwrap();
        assert!(follower.next().unwrap().is_none());
        assert!(matches!(log.read(LANE, pos), Err(ReadError::NoRecord { .. })));
        writer.flush();
        assert_eq!(follower.next().unwrap().unwrap().frame, frame);
        assert_eq!(log.read(LANE, pos).unwrap().frame, frame);
        assert!(follower.next().unwrap().is_none());
    }
}

/// CAP-3: from the cursor behind any record, reading goes on at the next; a cursor is eight bytes.
#[test]
fn resumes_at_every_record() {
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = open(dir.path(), kind);
        let written = write(&mut writer, 0..900, 2_000, &mut [RecordPos::NONE; 5]);
        drop(writer);
        let mut follower = Follower::open(dir.path(), LANE, Cursor::default()).unwrap();
        for at in 0..written.len() {
            assert_eq!(follower.next().unwrap().unwrap().pos, written[at].pos);
            let cursor = Cursor::from_u64(follower.cursor().to_u64());
            assert_eq!(cursor, follower.cursor());
            if at % 37 == 0 {
                let (rest, _) = follow(dir.path(), cursor).unwrap();
                assert_eq!(rest, written[at + 1..]);
            }
        }
        assert!(follower.next().unwrap().is_none());
    }
}

/// S1: a follower on another thread sees whole records in order while the writer runs.
#[test]
fn follows_a_running_writer() {
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = open(dir.path(), kind);
        let keeper = writer.keeper();
        let done = AtomicBool::new(false);
        let count = 40_000;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut flows = [RecordPos::NONE; 5];
                for number in (0..count).step_by(7) {
                    write(&mut writer, number..count.min(number + 7), 300, &mut flows);
                    if number % 3 == 0 {
                        writer.flush();
                    }
                }
                writer.flush();
                done.store(true, Ordering::Release);
            });
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    keeper.prepare_next().unwrap();
                    keeper.sync().unwrap();
                }
            });
            let mut follower = Follower::open(dir.path(), LANE, Cursor::default()).unwrap();
            let mut next = 0;
            while next < count {
                let Some(record) = follower.next().unwrap() else {
                    std::hint::spin_loop();
                    continue;
                };
                let expected = traffic::frame(next, 300 + (next % 3) as usize);
                assert_eq!(record.frame, expected, "{next}");
                next += 1;
            }
            assert!(follower.next().unwrap().is_none());
        });
        assert_eq!(verify(dir.path()).unwrap(), []);
    }
}

/// S5: a released file is used again, and nobody takes its former contents for the new segment's.
#[test]
fn recycling_fools_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let kind = LaneKind::Media;
    let mut writer = open(dir.path(), kind);
    let mut flows = [RecordPos::NONE; 5];
    let first = write(&mut writer, 0..1, 500, &mut flows)[0].clone();
    writer.flush();
    let inode = std::fs::metadata(segment(dir.path(), kind, 1)).unwrap().ino();
    let mut late = Follower::open(dir.path(), LANE, Cursor::default()).unwrap();
    let mut log = Log::open(dir.path()).unwrap();
    log.read(LANE, first.pos).unwrap();

    write(&mut writer, 1..3_000, 500, &mut flows);
    assert_eq!(writer.stats().segments, 2);
    writer.release(1).unwrap();
    assert!(matches!(writer.release(1), Err(SegmentError::NotReleasable { .. })));
    assert!(matches!(writer.release(2), Err(SegmentError::NotReleasable { .. })));
    writer.prepare_next().unwrap();
    let recycled = segment(dir.path(), kind, 3);
    assert_eq!(std::fs::metadata(&recycled).unwrap().ino(), inode);

    let gone = late.next().unwrap_err();
    assert!(matches!(gone, ReadError::Gone { seq: 1, oldest: Some(2), .. }), "{gone}");
    let gone = log.read(LANE, first.pos).unwrap_err();
    assert!(matches!(gone, ReadError::Gone { seq: 1, oldest: Some(2), .. }), "{gone}");
    let gone = Follower::open(dir.path(), LANE, Cursor { seq: 1, block: 64, ordinal: 0 });
    assert!(matches!(gone, Err(ReadError::Gone { .. })));

    let more = write(&mut writer, 3_000..4_000, 500, &mut flows);
    writer.flush();
    assert_eq!(more.last().unwrap().pos.seq(), 3);
    let (read, _) = follow(dir.path(), Cursor { seq: 3, block: 0, ordinal: 0 }).unwrap();
    assert!(more.ends_with(&read) && !read.is_empty());
    assert_eq!(verify(dir.path()).unwrap(), []);
    // A crash now: what the former use left behind the mark is not found by recovery either.
    let crashed = traffic::crash_copy(dir.path());
    drop(open(crashed.path(), kind));
    let (again, _) = follow(crashed.path(), Cursor { seq: 3, block: 0, ordinal: 0 }).unwrap();
    assert_eq!(again, read);
}

/// S10: released segments beyond the bound are deleted, and the next run uses what was kept.
#[test]
fn keeps_no_more_free_segments_than_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let options = WriterOptions { recycle_max: 1, ..options() };
    let make = || SegmentWriter::open(dir.path(), LANE, LaneKind::Media, options.clone()).unwrap();
    let free = || {
        let names = std::fs::read_dir(dir.path()).unwrap();
        names
            .filter(|name| name.as_ref().unwrap().path().extension().is_some_and(|e| e == "free"))
            .count()
    };
    let mut writer = make();
    write(&mut writer, 0..7_000, 500, &mut [RecordPos::NONE; 5]);
    assert!(writer.stats().segments >= 4);
    for seq in 1..4 {
        writer.release(seq).unwrap();
    }
    assert_eq!(free(), 1);
    drop(writer);
    drop(make());
    assert_eq!(free(), 0);
}

/// CAP-3: a lane goes on in a new segment when it is opened again; it has one writer and one kind.
#[test]
fn opening_again_continues() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), LaneKind::Media);
    let mut written = write(&mut writer, 0..10, 100, &mut [RecordPos::NONE; 5]);
    let locked = SegmentWriter::open(dir.path(), LANE, LaneKind::Media, options());
    assert!(matches!(locked, Err(SegmentError::Locked { lane: LANE })));
    drop(writer);
    let other = SegmentWriter::open(dir.path(), LANE, LaneKind::Signalling, options());
    assert!(matches!(other, Err(SegmentError::Kind { found: LaneKind::Media, .. })));
    let mut writer = open(dir.path(), LaneKind::Media);
    written.extend(write(&mut writer, 10..20, 100, &mut [RecordPos::NONE; 5]));
    assert_eq!(written[10].pos.seq(), 2);
    writer.flush();
    assert_eq!(follow(dir.path(), Cursor::default()).unwrap().0, written);
}

/// CAP-3: what keeps house may outlive the writer, and then prepares nothing more.
#[test]
fn nothing_is_prepared_for_a_lane_that_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let writer = open(dir.path(), LaneKind::Media);
    let keeper = writer.keeper();
    keeper.prepare_next().unwrap();
    drop(writer);
    keeper.prepare_next().unwrap();
    let left = Log::open(dir.path()).unwrap().segments(LANE).unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].closed);
}

/// S10: what is out of bounds is refused, and the writer goes on.
#[test]
fn refuses_what_is_out_of_bounds() {
    let dir = tempfile::tempdir().unwrap();
    for wrong in [
        WriterOptions { segment_bytes: 4096, ..options() },
        WriterOptions { segment_bytes: (1 << 20) + 1, ..options() },
        WriterOptions { segment_bytes: limits::SEGMENT_BYTES_MAX + 4096, ..options() },
        WriterOptions { block_bytes: 1, ..options() },
        WriterOptions { block_bytes: limits::BLOCK_BYTES_MAX + 1, ..options() },
        WriterOptions { recycle_max: u32::MAX, ..options() },
    ] {
        let refused = SegmentWriter::open(dir.path(), LANE, LaneKind::Media, wrong);
        assert!(matches!(refused, Err(SegmentError::Option { .. })));
    }
    let mut writer = open(dir.path(), LaneKind::Media);
    let long = vec![0; limits::FRAME_BYTES_MAX as usize + 1];
    let refused = writer.append(&meta(0, &long, RecordPos::NONE), &long);
    assert!(matches!(refused, Err(AppendError::TooLarge { .. })));
    let longest = &long[1..];
    let pos = writer.append(&meta(0, longest, RecordPos::NONE), longest).unwrap();
    writer.flush();
    let mut log = Log::open(dir.path()).unwrap();
    assert_eq!(log.read(LANE, pos).unwrap().frame, longest);
    for nonsense in [
        RecordPos::NONE,
        RecordPos(1),
        RecordPos::media(1, 0),
        RecordPos::media(1, pos.locator() + 8),
        RecordPos::media(1, pos.locator() - 8),
        RecordPos::media(1, (1 << 40) - 8),
        RecordPos::media(limits::SEQ_MAX, 4096),
    ] {
        assert!(log.read(LANE, nonsense).is_err(), "{nonsense}");
        assert!(log.read(LaneId(9), nonsense).is_err());
    }
    assert_eq!(log.read(LANE, pos).unwrap().frame, longest);
}
