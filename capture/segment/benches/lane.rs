//! What a record costs to write and to read: `cargo bench -p earwitness-segment [FOLDER]`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use earwitness_segment::{
    Cursor, Follower, LaneId, LaneKind, Log, RecordClass, RecordMeta, RecordPos, SegmentWriter,
    WriterOptions,
};

const RECORDS: u64 = 4_000_000;
/// G.711, 20 ms, over Ethernet.
const FRAME_BYTES: usize = 214;
const LANE: LaneId = LaneId(1);
const CALLS: usize = 1_000;

fn main() {
    let root = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    let root = root.map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = root.join(format!("earwitness-bench-{}", std::process::id()));
    for (name, prefault, kind) in [
        ("media", false, LaneKind::Media),
        ("media, prefaulted", true, LaneKind::Media),
        ("signalling, 64 KiB blocks", false, LaneKind::Signalling),
    ] {
        let options = WriterOptions { prefault, ..WriterOptions::default() };
        bench(name, &dir, kind, options);
        std::fs::remove_dir_all(&dir).expect("the folder was made here");
    }
}

fn bench(name: &str, dir: &Path, kind: LaneKind, options: WriterOptions) {
    let mut writer = SegmentWriter::open(dir, LANE, kind, options).expect("a lane");
    let mut flows = vec![RecordPos::NONE; CALLS];
    let mut positions = Vec::with_capacity(RECORDS as usize);
    let frame = [7; FRAME_BYTES];
    let mut preparing = std::time::Duration::ZERO;
    let started = Instant::now();
    for number in 0..RECORDS {
        let flow = number as usize % CALLS;
        let pos = writer.append(&meta(number, flow as u32, flows[flow]), &frame).expect("space");
        flows[flow] = pos;
        positions.push(pos);
        if number % 4_096 == 0 {
            // Another thread's work in the daemon.
            let started = Instant::now();
            writer.prepare_next().expect("space");
            preparing += started.elapsed();
        }
    }
    writer.flush();
    let took = started.elapsed() - preparing;
    report(name, "append", took);
    report(name, "prepare segments (housekeeping)", preparing);

    let started = Instant::now();
    let mut follower = Follower::open(dir, LANE, Cursor::default()).expect("the lane");
    let mut count = 0;
    while follower.next().expect("a clean lane").is_some() {
        count += 1;
    }
    assert_eq!(count, RECORDS);
    report(name, "follow", started.elapsed());
    if kind == LaneKind::Signalling {
        return;
    }
    let mut log = Log::open(dir).expect("the lane");
    for round in ["read by flow, first time", "read by flow, again"] {
        let started = Instant::now();
        for flow in 0..CALLS {
            for pos in positions.iter().skip(flow).step_by(CALLS) {
                let record = log.read(LANE, *pos).expect("a clean lane");
                assert_eq!(record.frame.len(), FRAME_BYTES);
            }
        }
        report(name, round, started.elapsed());
    }
}

fn meta(number: u64, flow: u32, prev: RecordPos) -> RecordMeta {
    RecordMeta {
        ts_ns: number * 1_000,
        prev,
        flow,
        frame_len: FRAME_BYTES as u32,
        wire_len: FRAME_BYTES as u32,
        l3: 14,
        payload: 42,
        payload_len: 172,
        class: RecordClass::Media,
        link: 0,
        source: 0,
        verdict: 1,
    }
}

fn report(name: &str, what: &str, took: std::time::Duration) {
    let each = took.as_nanos() as f64 / RECORDS as f64;
    println!("{name:26} {what:32} {each:7.1} ns a record");
}
