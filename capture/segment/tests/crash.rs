//! What is left of a lane after a crash, however the machine went down.

mod traffic;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use earwitness_segment::{Cursor, Follower, LaneKind, RecordPos, recover, verify};
use proptest::prelude::*;
use traffic::{Kept, LANE, crash_copy, drain_over_holes, follow, open, options, segment, write};

const HEADER_BYTES: u64 = 4096;
const COMMITTED_AT: u64 = 128;

fn overwrite(path: &Path, offset: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, offset).unwrap();
}

fn mark(path: &Path) -> u64 {
    let mut word = [0; 8];
    std::fs::File::open(path).unwrap().read_exact_at(&mut word, COMMITTED_AT).unwrap();
    u64::from_le_bytes(word)
}

/// A lane of one segment with a block for each `lengths`, killed before it could close.
fn crashed_lane(kind: LaneKind, lengths: &[(u64, usize)]) -> (tempfile::TempDir, Vec<Kept>) {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), kind);
    let mut flows = [RecordPos::NONE; 5];
    let mut written = Vec::new();
    let mut number = 0;
    for &(count, length) in lengths {
        written.extend(write(&mut writer, number..number + count, length, &mut flows));
        number += count;
        writer.flush();
    }
    // Written, not committed: lost with the process, and never seen.
    write(&mut writer, number..number + 1, 100, &mut flows);
    (crash_copy(dir.path()), written)
}

fn kinds() -> impl Strategy<Value = LaneKind> {
    prop_oneof![Just(LaneKind::Media), Just(LaneKind::Signalling)]
}

fn lengths() -> impl Strategy<Value = Vec<(u64, usize)>> {
    prop::collection::vec((1u64..20, 0usize..1_500), 1..12)
}

/// What a power loss may do to the tail.
#[derive(Clone, Debug)]
enum Damage {
    /// The file ends here.
    Truncated(prop::sample::Index),
    /// These bytes from here on.
    Garbled(prop::sample::Index, Vec<u8>),
    /// Pages that never reached the disk.
    Zeroed(prop::sample::Index, u64),
    /// The mark is that of an earlier or later moment.
    Mark(u64),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Damage::Truncated),
        (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..200))
            .prop_map(|(at, bytes)| Damage::Garbled(at, bytes)),
        (any::<prop::sample::Index>(), 1u64..8).prop_map(|(at, pages)| Damage::Zeroed(at, pages)),
        (0u64..1 << 21).prop_map(Damage::Mark),
    ]
}

/// Does it, and says what range of the file is damaged.
fn apply(damage: &Damage, path: &Path) -> std::ops::Range<u64> {
    let end = mark(path);
    let place =
        |at: &prop::sample::Index| HEADER_BYTES + at.index((end - HEADER_BYTES) as usize) as u64;
    match damage {
        Damage::Truncated(at) => {
            let at = place(at);
            OpenOptions::new().write(true).open(path).unwrap().set_len(at).unwrap();
            at..u64::MAX
        }
        Damage::Garbled(at, bytes) => {
            overwrite(path, place(at), bytes);
            place(at)..place(at) + bytes.len() as u64
        }
        Damage::Zeroed(at, pages) => {
            let at = place(at) / 4096 * 4096;
            let count = pages * 4096;
            overwrite(path, at, &vec![0; count as usize]);
            at..at + count
        }
        Damage::Mark(mark) => {
            overwrite(path, COMMITTED_AT, &mark.to_le_bytes());
            u64::MAX..u64::MAX
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// S2, CAP-3: whatever happens to the tail, every record whose block is whole is read back equal and in
    /// order, nothing else is, and the lane goes on.
    #[test]
    fn whole_blocks_survive(kind in kinds(), lengths in lengths(), damage in damage()) {
        let (dir, written) = crashed_lane(kind, &lengths);
        let path = segment(dir.path(), kind, 1);
        let before = mark(&path);
        let damaged = apply(&damage, &path);

        let report = recover(dir.path()).unwrap();
        prop_assert_eq!(report.changed, 1);
        let mut follower = Follower::open(dir.path(), LANE, Cursor::default()).unwrap();
        let (read, holes) = drain_over_holes(&mut follower);
        // Everything of blocks that end before the damage, a subset of the rest, in order.
        let mut left = written.iter();
        for kept in &read {
            prop_assert!(left.any(|one| one == kept), "read what was not written");
        }
        // Blocks are at most 8 KiB here: what lies that far before the damage is in a whole block.
        let safe = |kept: &&Kept| kept.pos.offset(kind) + (9 << 10) < damaged.start;
        let safe_count = written.iter().filter(safe).count();
        prop_assert_eq!(&read[..safe_count], &written[..safe_count]);
        if matches!(damage, Damage::Mark(_)) {
            prop_assert_eq!(&read, &written);
            prop_assert_eq!(mark(&path), before);
        }
        prop_assert_eq!(verify(dir.path()).unwrap().len(), holes as usize);

        // Recovering again changes nothing, and the lane can be continued.
        prop_assert_eq!(recover(dir.path()).unwrap().changed, 0);
        let mut writer = open(dir.path(), kind);
        let more = write(&mut writer, 0..10, 200, &mut [RecordPos::NONE; 5]);
        writer.flush();
        let (after, _) = drain_over_holes(
            &mut Follower::open(dir.path(), LANE, Cursor::default()).unwrap(),
        );
        prop_assert_eq!(&after[..read.len()], &read[..]);
        prop_assert_eq!(&after[read.len()..], &more[..]);
    }

    /// S9: a header page of any bytes gives an error or is made again, and reading never panics.
    #[test]
    fn any_header_is_survived(kind in kinds(), at in 0u64..400, bytes in prop::collection::vec(any::<u8>(), 1..64)) {
        let (dir, written) = crashed_lane(kind, &[(5, 300), (5, 300)]);
        let path = segment(dir.path(), kind, 1);
        overwrite(&path, at, &bytes);
        let _ = verify(dir.path()).unwrap();
        if let Ok(mut follower) = Follower::open(dir.path(), LANE, Cursor::default()) {
            for _ in 0..20 {
                if follower.next().is_err() {
                    follower.skip_block();
                }
            }
        }
        let fixed_or_mark = at < 136;
        recover(dir.path()).unwrap();
        if fixed_or_mark && at + bytes.len() as u64 <= 192 {
            prop_assert_eq!(follow(dir.path(), Cursor::default()).unwrap().0, written);
            prop_assert_eq!(verify(dir.path()).unwrap(), []);
        }
    }
}

/// S2: a killed process loses only what it had not committed, and its lane is clean after the next start.
#[test]
fn a_killed_writer_loses_nothing_committed() {
    for kind in [LaneKind::Media, LaneKind::Signalling] {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = open(dir.path(), kind);
        let mut flows = [RecordPos::NONE; 5];
        let mut written = Vec::new();
        for round in 0..40u64 {
            written.extend(write(&mut writer, round * 100..round * 100 + 100, 900, &mut flows));
            writer.flush();
            if round % 3 == 0 {
                writer.prepare_next().unwrap();
            }
            if round % 5 == 0 {
                writer.sync().unwrap();
            }
            let crashed = crash_copy(dir.path());
            assert_eq!(verify(crashed.path()).unwrap(), []);
            let mut next = open(crashed.path(), kind);
            assert_eq!(verify(crashed.path()).unwrap(), []);
            let (read, cursor) = follow(crashed.path(), Cursor::default()).unwrap();
            assert_eq!(read, written);
            let more = write(&mut next, 0..3, 50, &mut [RecordPos::NONE; 5]);
            next.flush();
            assert_eq!(follow(crashed.path(), cursor).unwrap().0, more);
        }
    }
}

/// S2: a segment prepared ahead and not used before the crash is the next one's; nothing is left over.
#[test]
fn a_prepared_segment_is_adopted() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = open(dir.path(), LaneKind::Media);
    write(&mut writer, 0..10, 100, &mut [RecordPos::NONE; 5]);
    writer.flush();
    writer.prepare_next().unwrap();
    let crashed = crash_copy(dir.path());
    let mut follower = Follower::open(crashed.path(), LANE, Cursor::default()).unwrap();
    traffic::drain(&mut follower).unwrap();

    let mut writer = open(crashed.path(), LaneKind::Media);
    let more = write(&mut writer, 10..20, 100, &mut [RecordPos::NONE; 5]);
    writer.flush();
    assert_eq!(more[0].pos.seq(), 2);
    assert_eq!(traffic::drain(&mut follower).unwrap(), more);
}

/// S2: where the header page never reached the disk it is made again from the blocks; where nothing did, the
/// file goes and its number is free.
#[test]
fn a_lost_header_is_made_again() {
    let (dir, written) = crashed_lane(LaneKind::Media, &[(20, 400), (7, 20)]);
    let path = segment(dir.path(), LaneKind::Media, 1);
    overwrite(&path, 0, &[0; 4096]);
    assert_eq!(verify(dir.path()).unwrap()[0].invariant, "S2");
    recover(dir.path()).unwrap();
    assert_eq!(follow(dir.path(), Cursor::default()).unwrap().0, written);
    assert_eq!(verify(dir.path()).unwrap(), []);

    let empty = tempfile::tempdir().unwrap();
    for (seq, length) in [(1, options().segment_bytes), (2, 100), (3, 0)] {
        let file = std::fs::File::create(segment(empty.path(), LaneKind::Media, seq)).unwrap();
        file.set_len(length).unwrap();
    }
    assert_eq!(recover(empty.path()).unwrap().removed, 3);
    drop(open(empty.path(), LaneKind::Media));
}

/// OPS: `check` names the invariant, the file and the offset, on one line for each breach.
#[test]
fn verify_names_each_breach() {
    let (dir, written) = crashed_lane(LaneKind::Media, &[(3, 4_000), (3, 4_000), (3, 4_000)]);
    let path = segment(dir.path(), LaneKind::Media, 1);
    overwrite(&path, written[1].pos.offset(LaneKind::Media) + 100, b"x");
    overwrite(&path, written[7].pos.offset(LaneKind::Media) + 100, b"x");
    let lines: Vec<_> = verify(dir.path()).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0], "S2 0003-m-00000001.seg at 0x1000: block checksum is wrong");

    let end = mark(&path);
    overwrite(&path, COMMITTED_AT, &(end + 8).to_le_bytes());
    assert!(verify(dir.path()).unwrap().iter().any(|breach| breach.invariant == "S1"));
    overwrite(&path, COMMITTED_AT, &(1u64 << 30).to_le_bytes());
    assert!(verify(dir.path()).unwrap().iter().any(|breach| breach.invariant == "S1"));
    overwrite(&path, COMMITTED_AT, &end.to_le_bytes());
    overwrite(&path, 320, &(end + 64).to_le_bytes());
    assert!(verify(dir.path()).unwrap().iter().any(|breach| breach.invariant == "S6"));
    OpenOptions::new().write(true).open(&path).unwrap().set_len(end).unwrap();
    assert!(verify(dir.path()).unwrap().iter().any(|breach| breach.invariant == "S3"));
}
