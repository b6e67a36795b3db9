//! Full and broken disks: the writer stays usable, and nothing that was committed is lost.

mod traffic;

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use earwitness_segment::disk::Disk;
use earwitness_segment::disk_faults::{FaultDisk, Operation};
use earwitness_segment::{
    AppendError, Cursor, Follower, LaneKind, Log, Packing, Placing, ReadError, RecordPos,
    SegmentError, SegmentWriter, SyncReport, WriterOptions, verify,
};
use traffic::{LANE, drain, follow, frame, meta, options, segment, write};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;
const FOREVER: u32 = u32::MAX;

fn open_on(disk: &Arc<FaultDisk>, dir: &std::path::Path, kind: LaneKind) -> SegmentWriter {
    let disk = Arc::clone(disk);
    SegmentWriter::open_on(disk, dir, LANE, kind, options()).unwrap()
}

/// Appends until refused.
fn fill(writer: &mut SegmentWriter) -> (Vec<traffic::Kept>, AppendError) {
    let mut written = Vec::new();
    for number in 0.. {
        let frame = frame(number, 1_000);
        let meta = meta(number, &frame, RecordPos::NONE);
        match writer.append(&meta, &frame) {
            Ok(pos) => written.push(traffic::Kept { pos, meta, frame }),
            Err(error) => return (written, error),
        }
    }
    unreachable!()
}

/// S3: a disk that refuses to be written block by block leaves the mapping, which has room; nothing is lost.
#[test]
fn a_refused_write_goes_through_the_mapping() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultDisk::new());
    let options = WriterOptions { placing: Placing::Written, ..options() };
    let seam = Arc::clone(&disk) as Arc<dyn Disk>;
    let mut writer =
        SegmentWriter::open_on(seam, dir.path(), LANE, LaneKind::Media, options).unwrap();
    disk.fail(Operation::Write, EIO, 3, 40);
    let written = write(&mut writer, 0..3_000, 500, &mut [RecordPos::NONE; 5]);
    writer.flush();
    assert_eq!(follow(dir.path(), Cursor::default()).unwrap().0, written);
    assert_eq!(verify(dir.path()).unwrap(), []);
}

/// S3: on a full disk appends are refused without a system call each; what was written stays readable, and
/// when there is space again writing goes on.
#[test]
fn a_full_disk_refuses_and_recovers() {
    for kind in [LaneKind::Media, LaneKind::Signalling] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultDisk::new());
        let mut writer = open_on(&disk, dir.path(), kind);
        disk.fail(Operation::Create, ENOSPC, 0, FOREVER);
        let (mut written, refused) = fill(&mut writer);
        assert!(matches!(refused, AppendError::NoSpace { lane: LANE }));
        assert!(written.len() > 500);
        disk.heal();
        // Space alone changes nothing: only prepare_next looks.
        let short = frame(0, 1_000);
        let again = writer.append(&meta(0, &short, RecordPos::NONE), &short);
        assert!(matches!(again, Err(AppendError::NoSpace { .. })));
        assert_eq!(writer.stats().refused, 2);
        assert_eq!(follow(dir.path(), Cursor::default()).unwrap().0, written);
        writer.prepare_next().unwrap();
        written.extend(write(&mut writer, 0..10, 100, &mut [RecordPos::NONE; 5]));
        writer.flush();
        assert_eq!(follow(dir.path(), Cursor::default()).unwrap().0, written);
        assert_eq!(verify(dir.path()).unwrap(), []);
    }
}

/// CAP-3, S3: blocks that are stored as they are read back like packed ones; one that the file refuses goes through
/// the mapping.
#[test]
fn plain_blocks_are_read_back_and_a_refused_write_loses_none() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultDisk::new());
    disk.fail(Operation::Write, EIO, 2, 3);
    let options = WriterOptions { packing: Packing::Plain, ..options() };
    let kind = LaneKind::Signalling;
    let mut writer = SegmentWriter::open_on(disk, dir.path(), LANE, kind, options).unwrap();
    let written = write(&mut writer, 0..3_000, 700, &mut [RecordPos::NONE; 5]);
    writer.flush();
    assert!(writer.stats().segments > 1 && writer.stats().blocks > 200);
    assert_eq!(follow(dir.path(), Cursor::default()).unwrap().0, written);
    let mut log = Log::open(dir.path()).unwrap();
    for kept in written.iter().rev() {
        assert_eq!(log.read(LANE, kept.pos).unwrap().frame, kept.frame);
    }
    assert_eq!(verify(dir.path()).unwrap(), []);
}

/// S3: a disk that is full from the start is waited for.
#[test]
fn a_disk_full_at_the_start_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultDisk::new());
    disk.fail(Operation::Create, ENOSPC, 0, 2);
    let mut writer = open_on(&disk, dir.path(), LaneKind::Media);
    let (written, refused) = fill(&mut writer);
    assert!(written.is_empty() && matches!(refused, AppendError::NoSpace { .. }));
    writer.flush();
    writer.sync().unwrap();
    assert!(matches!(writer.prepare_next(), Err(SegmentError::NoSpace { .. })));
    writer.prepare_next().unwrap();
    assert_eq!(write(&mut writer, 0..1, 10, &mut [RecordPos::NONE; 5])[0].pos.seq(), 1);
}

/// S9: whatever fails while a segment is made, no half of one is left under its name.
#[test]
fn a_segment_is_made_whole_or_not_at_all() {
    for operation in [Operation::Create, Operation::SyncFile, Operation::Rename, Operation::SyncDir]
    {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultDisk::new());
        let mut writer = open_on(&disk, dir.path(), LaneKind::Media);
        disk.fail(operation, EIO, 0, 1);
        let (written, refused) = fill(&mut writer);
        let is_io = matches!(refused, AppendError::Io { .. });
        assert!(is_io, "{operation:?}: {refused}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "{operation:?}");
        writer.prepare_next().unwrap();
        writer.flush();
        assert_eq!(follow(dir.path(), Cursor::default()).unwrap().0, written);
    }
}

/// S9: a released file that cannot be faulted in is not used again; a new one is made.
#[test]
fn a_bad_free_segment_is_replaced() {
    for operation in [Operation::Populate, Operation::Open, Operation::Rename] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultDisk::new());
        let mut writer = open_on(&disk, dir.path(), LaneKind::Media);
        write(&mut writer, 0..1_200, 1_000, &mut [RecordPos::NONE; 5]);
        // Held open, so that its inode is not given to another file.
        let old = std::fs::File::open(segment(dir.path(), LaneKind::Media, 1)).unwrap();
        let inode = old.metadata().unwrap().ino();
        let next = writer.stats().segments as u32 + 1;
        writer.release(1).unwrap();
        disk.fail(operation, EIO, 0, 1);
        writer.prepare_next().unwrap();
        let made = std::fs::metadata(segment(dir.path(), LaneKind::Media, next)).unwrap();
        assert_ne!(made.ino(), inode, "{operation:?}");
    }
}

/// S6: after a failed sync of the segment being written, the writer goes on in another, and what the first
/// held is written again under its name: positions hold, followers and log see no difference.
#[test]
fn a_failed_sync_moves_the_data() {
    for kind in [LaneKind::Media, LaneKind::Signalling] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultDisk::new());
        let mut writer = open_on(&disk, dir.path(), kind);
        let mut flows = [RecordPos::NONE; 5];
        let mut written = write(&mut writer, 0..100, 1_000, &mut flows);
        writer.flush();
        let path = segment(dir.path(), kind, 1);
        let inode = std::fs::metadata(&path).unwrap().ino();
        let mut follower = Follower::open(dir.path(), LANE, Cursor::default()).unwrap();
        let mut seen = Vec::new();
        for _ in 0..30 {
            let record = follower.next().unwrap().unwrap();
            seen.push(traffic::Kept {
                pos: record.pos,
                meta: record.meta,
                frame: record.frame.to_vec(),
            });
        }
        let mut log = Log::open(dir.path()).unwrap();
        log.read(LANE, written[0].pos).unwrap();

        disk.fail(Operation::SyncFile, EIO, 0, 1);
        let report = writer.sync().unwrap();
        assert_eq!(report, SyncReport { rewritten: 1, ..SyncReport::default() });
        assert_ne!(std::fs::metadata(&path).unwrap().ino(), inode);
        written.extend(write(&mut writer, 100..110, 1_000, &mut flows));
        writer.flush();
        assert_eq!(written[100].pos.seq(), 2);

        seen.extend(drain(&mut follower).unwrap());
        assert_eq!(seen, written);
        for kept in &written {
            assert_eq!(log.read(LANE, kept.pos).unwrap().frame, kept.frame);
        }
        assert_eq!(verify(dir.path()).unwrap(), []);
        assert_eq!(writer.sync().unwrap(), SyncReport { synced: 1, ..SyncReport::default() });
    }
}

/// S6: where the keeper's sync fails, its file is not synced again; the writer leaves it at its next flush
/// and the next sync writes it again.
#[test]
fn the_keeper_waits_for_the_writer_to_leave() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultDisk::new());
    let mut writer = open_on(&disk, dir.path(), LaneKind::Media);
    let keeper = writer.keeper();
    let mut flows = [RecordPos::NONE; 5];
    let mut written = write(&mut writer, 0..50, 1_000, &mut flows);
    writer.flush();
    disk.fail(Operation::SyncFile, EIO, 0, 1);
    assert!(matches!(keeper.sync(), Err(SegmentError::Sync { seq: 1, .. })));
    assert!(matches!(keeper.sync(), Err(SegmentError::Sync { seq: 1, .. })));
    written.extend(write(&mut writer, 50..51, 1_000, &mut flows));
    writer.flush();
    written.extend(write(&mut writer, 51..52, 1_000, &mut flows));
    writer.flush();
    let report = keeper.sync().unwrap();
    assert_eq!((report.rewritten, report.synced, report.bytes_lost), (1, 1, 0));
    assert_eq!(follow(dir.path(), Cursor::default()).unwrap().0, written);
}

/// S6: if writing it again fails, too, that is told, and tried with another new file at the next sync.
#[test]
fn a_failed_rewrite_is_tried_again_elsewhere() {
    for operation in [Operation::Create, Operation::Write, Operation::SyncFile, Operation::Rename] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultDisk::new());
        let mut writer = open_on(&disk, dir.path(), LaneKind::Media);
        let written = write(&mut writer, 0..50, 1_000, &mut [RecordPos::NONE; 5]);
        writer.prepare_next().unwrap();
        disk.fail(Operation::SyncFile, EIO, 0, 1);
        disk.fail(operation, EIO, 0, 1);
        assert!(matches!(writer.sync(), Err(SegmentError::Sync { seq: 1, .. })), "{operation:?}");
        disk.heal();
        assert_eq!(writer.sync().unwrap().rewritten, 1, "{operation:?}");
        assert_eq!(follow(dir.path(), Cursor::default()).unwrap().0, written);
        assert_eq!(verify(dir.path()).unwrap(), []);
    }
}

/// S10: closed segments that nobody syncs are bounded: the writer then syncs the oldest itself.
#[test]
fn unsynced_segments_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultDisk::new());
    let mut writer = open_on(&disk, dir.path(), LaneKind::Media);
    write(&mut writer, 0..900, 100_000, &mut [RecordPos::NONE; 5]);
    assert!(writer.stats().segments > 80);
    let synced = writer.sync().unwrap().synced as usize;
    assert_eq!(synced, earwitness_segment::limits::UNSYNCED_MAX + 1);
}

/// S9: a sector that cannot be read is an error that names its block, for follower and log, never a SIGBUS.
#[test]
fn an_unreadable_sector_is_an_error() {
    for kind in [LaneKind::Media, LaneKind::Signalling] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultDisk::new());
        let mut writer = open_on(&disk, dir.path(), kind);
        let written = write(&mut writer, 0..50, 1_000, &mut [RecordPos::NONE; 5]);
        writer.flush();
        disk.fail(Operation::Read, EIO, 0, 2);
        let reader: Arc<FaultDisk> = Arc::clone(&disk);
        let mut follower = Follower::open_on(reader, dir.path(), LANE, Cursor::default()).unwrap();
        let error = follower.next().unwrap_err();
        assert!(matches!(error, ReadError::Corrupt { seq: 1, offset: 4096, .. }), "{error}");
        let reader: Arc<FaultDisk> = Arc::clone(&disk);
        let mut log = Log::open_on(reader, dir.path()).unwrap();
        assert!(matches!(log.read(LANE, written[0].pos), Err(ReadError::Corrupt { .. })));
        // It was the weather: both go on.
        assert_eq!(drain(&mut follower).unwrap(), written);
        assert_eq!(log.read(LANE, written[0].pos).unwrap().frame, written[0].frame);
    }
}
