//! Disks that are full or broken: what can still be written is, the rest is counted, and it ends.

use std::sync::Arc;

use earwitness_ipc::Mark;
use earwitness_segment::{
    disk::Disk,
    disk_faults::{FaultDisk, Operation},
};
use earwitness_wire::Verdict;

use super::bench::{A, B, Bench, SECOND, SIP_A, SIP_B, options};
use crate::Drain;

fn full_disk() -> (Arc<FaultDisk>, Arc<dyn Disk>) {
    let disk = Arc::new(FaultDisk::new());
    (Arc::clone(&disk), disk)
}

/// CAP-8: on a full disk media is lost and counted while signalling goes on in its reserve; when
/// there is room again both go on, and the log says what was lost.
#[test]
fn a_full_disk() {
    let (faults, disk) = full_disk();
    let mut bench = Bench::on(&disk, options());
    bench.verdict(B, Some(Verdict::Record));
    faults.fail(Operation::Create, libc::ENOSPC, 0, u32::MAX);
    let mut at = 0;
    while bench.line.stats().lost.disk == 0 {
        at += 1;
        bench.media(at, A, B, &[0x55; 1400]);
        bench.line.run(at);
        assert!(at < 10_000, "a segment has an end");
    }
    let written = bench.line.stats().stored;
    for _ in 0..100 {
        bench.media(at, A, B, &[0x55; 1400]);
        bench.udp(at, SIP_A, SIP_B, b"OPTIONS sip:b@example.org SIP/2.0\r\n");
        bench.line.run(at);
    }
    let stats = bench.line.stats();
    assert_eq!((stats.lost.disk, stats.stored), (101, written + 100), "signalling goes on");
    faults.heal();
    bench.media(at, A, B, &[0x66; 1400]);
    bench.line.run(at + SECOND / 2);
    assert_eq!(bench.line.stats().lost.disk, 102, "too soon");
    bench.line.run(at + 2 * SECOND);
    bench.media(at, A, B, b"there is room again");
    bench.line.run(at + 2 * SECOND);
    assert_eq!(bench.line.stats().lost.disk, 102);
    assert!(bench.disk_holds(b"there is room again"));
    let noted = bench.marks().iter().fold(0, |sum, mark| match mark {
        Mark::Gap { lost, .. } => sum + lost.disk,
        _ => sum,
    });
    assert_eq!(noted, 102);
}

/// CAP-8: signalling comes first: while its next segment finds no room, media gets none.
#[test]
fn signalling_has_the_reserve() {
    let (faults, disk) = full_disk();
    let mut bench = Bench::on(&disk, options());
    bench.verdict(B, Some(Verdict::Record));
    faults.fail(Operation::Create, libc::ENOSPC, 0, u32::MAX);
    // Nothing that could be compressed.
    let mut state = 1u32;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    });
    let noise: Vec<u8> = noise.take(1400).collect();
    let message = [b"INFO sip:b@example.org SIP/2.0\r\n".as_slice(), &noise].concat();
    let mut at = 0;
    // Past its first segment: the reserve is in use.
    while bench.line.stats().stored < 1000 {
        at += 1;
        bench.udp(at, SIP_A, SIP_B, &message);
        bench.line.run(at);
        assert!(at < 2000, "the reserve holds as much again");
    }
    while bench.line.stats().lost.disk == 0 {
        bench.media(at, A, B, &[0x55; 1400]);
        bench.line.run(at);
    }
    faults.heal();
    // Room for one segment only.
    faults.fail(Operation::Create, libc::ENOSPC, 1, u32::MAX);
    bench.line.run(at + 2 * SECOND);
    bench.media(at, A, B, &[0x66; 1400]);
    bench.line.run(at + 2 * SECOND);
    assert!(!bench.disk_holds(&[0x66; 1400]), "no room for media");
    let lost = bench.line.stats().lost.disk;
    for _ in 0..800 {
        bench.udp(at, SIP_A, SIP_B, &message);
        bench.line.run(at + 2 * SECOND);
    }
    assert_eq!(bench.line.stats().lost.disk, lost, "all signalling found room");
}

/// CAP-8: a disk without room at the start is no error; capture begins to write when there is some.
#[test]
fn no_room_at_the_start() {
    let (faults, disk) = full_disk();
    faults.fail(Operation::Create, libc::ENOSPC, 0, u32::MAX);
    let mut bench = Bench::on(&disk, options());
    assert!(bench.line.start(1, 1, Vec::new()).is_err(), "the log cannot say that capture began");
    bench.udp(1, SIP_A, SIP_B, b"OPTIONS sip:b@example.org SIP/2.0\r\n");
    bench.line.run(1);
    assert_eq!(bench.line.stats().lost.disk, 1);
    faults.heal();
    bench.line.run(2 * SECOND);
    bench.udp(2 * SECOND, SIP_A, SIP_B, b"OPTIONS sip:b@example.org SIP/2.0\r\n");
    bench.line.run(2 * SECOND);
    assert_eq!((bench.line.stats().lost.disk, bench.line.stats().stored), (1, 1));
}

/// S9: a disk that breaks while lanes are opened is an error that says what could not be done.
#[test]
fn a_broken_disk_at_the_start() {
    let (faults, disk) = full_disk();
    faults.fail(Operation::Create, libc::EIO, 0, u32::MAX);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut chosen = options().drain;
    chosen.data_dir = dir.path().into();
    let error = Drain::<crate::ring::Receiver>::open_on(&disk, chosen).expect_err("broken");
    assert!(matches!(error, crate::LineError::Segment { .. }), "{error}");
}
