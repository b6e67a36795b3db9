//! Payloads that are overwritten where they lie: what stays, and what a crash leaves (CAP-9, S1, S2, S6).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use earwitness_segment::disk::Disk;
use earwitness_segment::disk_faults::{FaultDisk, Operation};
use earwitness_segment::{
    Cursor, Erasure, Follower, LaneId, LaneKind, Log, RecordClass, RecordMeta, RecordPos,
    SegmentWriter, WriterOptions, verify,
};

const LANE: LaneId = LaneId(3);
const MASKED: u8 = 2;
const RECORDS: u64 = 3_000;

fn keep(payload: &mut [u8]) -> usize {
    payload.len().min(4)
}

fn secret(number: u64) -> Vec<u8> {
    format!("head secret number {number} of them all").into_bytes()
}

fn meta(number: u64, prev: RecordPos) -> RecordMeta {
    RecordMeta {
        ts_ns: 1_000 + number,
        prev,
        flow: 1,
        frame_len: 0,
        wire_len: 0,
        l3: 0,
        payload: 0,
        payload_len: secret(number).len() as u16,
        class: RecordClass::Media,
        link: 0,
        source: 0,
        verdict: 1,
    }
}

/// Segments of a mebibyte, so that there are several.
fn write(disk: &Arc<dyn Disk>, dir: &Path) -> (SegmentWriter, Vec<RecordPos>) {
    let options = WriterOptions { segment_bytes: 1 << 20, ..WriterOptions::default() };
    let disk = Arc::clone(disk);
    let mut writer =
        SegmentWriter::open_on(disk, dir, LANE, LaneKind::Media, options).expect("a lane");
    let mut places: Vec<RecordPos> = Vec::new();
    for number in 0..RECORDS {
        let mut frame = secret(number);
        // Longer than its payload: what is behind that goes, too.
        frame.resize(frame.len() + 600, b'p');
        let prev = places.last().copied().unwrap_or(RecordPos::NONE);
        places.push(writer.append(&meta(number, prev), &frame).expect("room"));
    }
    writer.flush();
    (writer, places)
}

fn payloads(dir: &Path) -> Vec<(RecordPos, u8, Vec<u8>)> {
    let mut follower = Follower::open(dir, LANE, Cursor::default()).expect("a lane");
    let mut all = Vec::new();
    while let Some(record) = follower.next().expect("whole blocks") {
        all.push((record.pos, record.meta.verdict, record.payload().to_vec()));
    }
    all
}

/// The numbers of all secrets that any file of the folder holds.
fn secrets_in(dir: &Path) -> BTreeSet<u64> {
    const BEFORE: &[u8] = b"secret number ";
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let content = fs::read(entry.expect("an entry").path()).expect("a file");
        let begins = content.iter().enumerate().filter(|(_, byte)| **byte == BEFORE[0]);
        for (at, _) in begins {
            let Some(rest) = content[at..].strip_prefix(BEFORE) else { continue };
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
            found.insert(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')));
        }
    }
    found
}

fn check(dir: &Path, places: &[RecordPos], erased: std::ops::Range<u64>) {
    let there = payloads(dir);
    assert_eq!(there.len(), places.len());
    for (number, (pos, verdict, payload)) in (0..).zip(&there) {
        assert_eq!(*pos, places[number as usize]);
        if erased.contains(&number) {
            assert_eq!((*verdict, payload.as_slice()), (MASKED, &b"head"[..]), "{number}");
        } else {
            assert_eq!((*verdict, payload), (1, &secret(number)), "{number}");
        }
    }
    assert!(secrets_in(dir).iter().all(|number| !erased.contains(number)));
    assert_eq!(verify(dir).expect("readable"), []);
}

fn redo(dir: &Path) -> std::path::PathBuf {
    dir.join("0003.redo")
}

/// CAP-9, S1: over the seam of two segments, and in the block that was written last; what is beside it is untouched.
#[test]
fn payloads_go_and_all_else_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk: Arc<dyn Disk> = Arc::new(FaultDisk::new());
    let (mut writer, places) = write(&disk, folder.path());
    let seam = places.windows(2).position(|two| two[0].seq() != two[1].seq()).expect("two") as u64;
    let keeper = writer.keeper();
    let chain = |last: u64, from: u64, until: u64| Erasure {
        last: places[last as usize],
        from_ns: 1_000 + from,
        until_ns: 1_000 + until,
    };
    let erasures = [chain(RECORDS - 1, seam - 20, seam + 20), chain(seam + 10, 0, 0)];
    assert_eq!(keeper.erase(&erasures, keep, MASKED).expect("erased"), [40, 0]);
    check(folder.path(), &places, seam - 20..seam + 20);
    assert_eq!(keeper.erase(&erasures, keep, MASKED).expect("nothing left"), [0, 0]);
    assert!(!redo(folder.path()).exists());
    let end = [chain(RECORDS - 1, RECORDS - 5, RECORDS)];
    assert_eq!(keeper.erase(&end, keep, MASKED).expect("erased"), [5]);
    // The writer goes on where it was.
    let next = writer.append(&meta(RECORDS, places[RECORDS as usize - 1]), &secret(RECORDS));
    writer.flush();
    let there = payloads(folder.path());
    assert_eq!(there.last().map(|last| last.0), next.ok());
    assert!(!secrets_in(folder.path()).contains(&(RECORDS - 3)));
    // Chains are read as before.
    let mut log = Log::open(folder.path()).expect("a log");
    let last = places[RECORDS as usize - 1];
    let chain = log.chain(LANE, RecordPos::NONE, last, usize::MAX).expect("whole");
    assert_eq!(chain, places);
}

/// S2: a process that ends while it overwrites leaves old blocks, or what makes the new ones of them.
#[test]
fn a_crash_leaves_whole_blocks() {
    // Writes: the images into the redo file, then each into its segment.
    for fails_at in 0..6 {
        let folder = tempfile::tempdir().expect("a folder");
        let faults = Arc::new(FaultDisk::new());
        let disk: Arc<dyn Disk> = Arc::clone(&faults) as Arc<dyn Disk>;
        let (writer, places) = write(&disk, folder.path());
        let erasure =
            Erasure { last: places[2_500], from_ns: 1_000 + 2_300, until_ns: 1_000 + 2_400 };
        faults.fail(Operation::Write, libc::EIO, fails_at, u32::MAX);
        let result = writer.keeper().erase(&[erasure], keep, MASKED);
        faults.heal();
        drop(writer);
        if result.is_err() && redo(folder.path()).exists() {
            // Half of what was being overwritten when the process ended.
            let images = fs::read(redo(folder.path())).expect("the redo file");
            assert!(!images.is_empty());
        }
        // The next start.
        let options = WriterOptions { segment_bytes: 1 << 20, ..WriterOptions::default() };
        let writer =
            SegmentWriter::open(folder.path(), LANE, LaneKind::Media, options).expect("a lane");
        assert!(!redo(folder.path()).exists());
        assert_eq!(verify(folder.path()).expect("readable"), []);
        writer.keeper().erase(&[erasure], keep, MASKED).expect("erased");
        check(folder.path(), &places, 2_300..2_400);
    }
}

/// S2: a block that is half old and half new is made new by what the redo file says of it.
#[test]
fn a_torn_block_is_mended() {
    let folder = tempfile::tempdir().expect("a folder");
    let faults = Arc::new(FaultDisk::new());
    let disk: Arc<dyn Disk> = Arc::clone(&faults) as Arc<dyn Disk>;
    let (writer, places) = write(&disk, folder.path());
    let erasure = Erasure { last: places[100], from_ns: 1_000 + 10, until_ns: 1_000 + 20 };
    // The segment's sync fails: the redo file stays.
    faults.fail(Operation::SyncFile, libc::EIO, 1, u32::MAX);
    let _ = writer.keeper().erase(&[erasure], keep, MASKED);
    faults.heal();
    assert!(redo(folder.path()).exists(), "the redo file stays until the block is durable");
    drop(writer);
    let segment = folder.path().join("0003-m-00000001.seg");
    let mut content = fs::read(&segment).expect("a segment");
    content[5_000..9_000].fill(0x55);
    fs::write(&segment, content).expect("written");
    let options = WriterOptions { segment_bytes: 1 << 20, ..WriterOptions::default() };
    let writer =
        SegmentWriter::open(folder.path(), LANE, LaneKind::Media, options).expect("a lane");
    drop(writer);
    check(folder.path(), &places, 10..20);
}

/// E2: whoever reads while blocks are overwritten never takes one for broken.
#[test]
fn readers_wait_for_an_erasure() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk: Arc<dyn Disk> = Arc::new(FaultDisk::new());
    let (writer, places) = write(&disk, folder.path());
    let keeper = writer.keeper();
    let places = &places;
    std::thread::scope(|scope| {
        let erasing = scope.spawn(move || {
            for number in (0..RECORDS).step_by(37) {
                let erasure = Erasure {
                    last: places[number as usize],
                    from_ns: 1_000 + number,
                    until_ns: 1_001 + number,
                };
                let erased = keeper.erase(&[erasure], keep, MASKED);
                assert_eq!(erased.expect("erased"), [1]);
            }
        });
        while !erasing.is_finished() {
            assert_eq!(payloads(folder.path()).len(), places.len());
            let mut log = Log::open(folder.path()).expect("a log");
            for pos in places.iter().step_by(97) {
                log.read(LANE, *pos).expect("a record");
            }
        }
    });
}
