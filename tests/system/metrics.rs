//! Every metric moves: what stands still for ever tells an operator nothing (OPS-1).

use std::path::Path;
use std::time::{Duration, Instant};

use earwitness_fixtures::live::{Pace, Sender};
use earwitness_fixtures::scene::{Scene, merged};
use earwitness_fixtures::spec::{CallSpec, SCENE_START_NS, Transport, Trouble};
use earwitness_fixtures::torture;
use earwitness_segment::{LaneId, LaneKind, RecordClass, RecordMeta, RecordPos, SegmentWriter};

use crate::daemon::{Daemon, PATIENCE};
use crate::space::Space;

const MS: u64 = 1_000_000;
const CALLS: u32 = 48;
/// Fewer than there are calls at once: the one that was silent longest is given up.
const CALLS_MAX: u32 = 40;
/// A lane that no thread of capture writes.
const STRANGE_LANE: LaneId = LaneId(60);

/// What stands still here, and the test in which it moves.
const ELSEWHERE: [(&str, &str); 12] = [
    ("earwitness_control_commands_total", "tests/system/control.rs"),
    ("earwitness_control_refused_total", "tests/system/control.rs"),
    ("earwitness_erased_packets_total", "tests/system/control.rs"),
    ("earwitness_capture_ignored_packets_total", "tests/system/denied.rs"),
    ("earwitness_capture_ignored_in_driver_packets_total", "tests/system/denied.rs"),
    ("earwitness_capture_lost_packets_total", "capture/tests/live/overload.rs"),
    ("earwitness_capture_table_evictions_total", "capture/line/src/announcements.rs"),
    ("earwitness_catalog_errors_total", "control-plane/src/finish/clerk.rs"),
    ("earwitness_legs_joined_total", "control-plane/src/intake/signalling/scenarios.rs"),
    ("earwitness_registrations", "control-plane/src/intake/registrations.rs"),
    ("earwitness_registrations_left_out_total", "control-plane/src/intake/registrations.rs"),
    ("earwitness_legs_apart_total", "control-plane/src/intake/signalling/scenarios.rs"),
];

/// Another writer's lane, with a block that is not what its checksum says.
fn damaged_lane(data_dir: &Path) {
    let folder = data_dir.join("segments");
    let options = earwitness_segment::WriterOptions {
        segment_bytes: 1 << 20,
        ..earwitness_segment::WriterOptions::default()
    };
    let mut writer = SegmentWriter::open(&folder, STRANGE_LANE, LaneKind::Media, options)
        .expect("the folder can be written");
    let frame = [7; 400];
    let meta = RecordMeta {
        ts_ns: SCENE_START_NS,
        prev: RecordPos::NONE,
        flow: 1,
        frame_len: 400,
        wire_len: 400,
        l3: 14,
        payload: 42,
        payload_len: 358,
        class: RecordClass::Media,
        link: 0,
        source: 0,
        verdict: 1,
    };
    writer.append(&meta, &frame).expect("there is room");
    writer.flush();
    let file = folder.join(format!("{:04}-m-00000001.seg", STRANGE_LANE.0));
    let mut bytes = std::fs::read(&file).expect("it was written");
    let place = bytes.windows(frame.len()).position(|at| at == frame).expect("the frame is there");
    bytes[place] ^= 1;
    std::fs::write(&file, bytes).expect("it can be written");
}

/// OPS-1: after calls over every transport, troubles, hostile messages, a kill and a damaged block, no metric of the
/// scrape is 0 but those that move in another test; and all are on the page that describes them.
#[test]
fn every_metric_moves() {
    let folder = tempfile::tempdir().expect("there is room");
    std::fs::create_dir_all(folder.path().join("data/segments")).expect("there is room");
    damaged_lane(&folder.path().join("data"));
    let policy = folder.path().join("policy.json");
    std::fs::write(&policy, r#"{ "tenants": [{ "id": "nobody" }] }"#).expect("there is room");
    let more = format!(
        "segment_mib = 1\nlog_mib_max = 4\n[calls]\ncalls_max = {CALLS_MAX}\nunanswered_ms = 3000\nmedia_idle_ms = 3000\n[policy]\nfiles = [{policy:?}]\n"
    );
    let daemon = Daemon::start(Space::new("m"), folder.path(), &more);
    let specs = (0..CALLS).map(|index| CallSpec {
        start_ms: u64::from(index) * 40,
        talk_ms: 5_000,
        transport: Transport::ALL[index as usize % Transport::ALL.len()],
        trouble: [Trouble::None, Trouble::Duplicate, Trouble::Loss(5), Trouble::Spoof]
            [index as usize % 4],
        ..CallSpec::new(index)
    });
    let scene = Scene::new(specs.collect());
    let messages = torture::messages();
    let mutants = torture::mutants(11, 400);
    let bytes = messages.iter().map(|message| &message.bytes[..]);
    let bytes = bytes.chain(mutants.iter().map(|mutant| &mutant[..]));
    let bad = torture::frames(bytes, SCENE_START_NS + 5 * MS, 10 * MS);
    let frames: Vec<_> = merged(scene.frames(), bad.into_iter()).collect();
    let sender = daemon.space.sending(move || {
        let sender = Sender::open("span").expect("the span port is there");
        // Cut off within its header.
        sender
            .send(&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0])
            .expect("a frame can be sent");
        sender.play(frames, Pace::Times(1.0)).expect("frames can be sent");
    });
    let names: Vec<String> = daemon.metrics().names().into_iter().map(str::to_owned).collect();
    let page = include_str!("../../docs/metrics.md");
    for name in &names {
        assert!(
            page.contains(name.trim_start_matches("earwitness_capture_")),
            "{name} is not described"
        );
    }
    let mut still = names;
    still.retain(|name| !ELSEWHERE.iter().any(|(known, _)| known == name));
    let began = Instant::now();
    let mut told = false;
    while !still.is_empty() {
        // Gauges come and go: each must have been above 0 at some time.
        let metrics = daemon.metrics();
        still.retain(|name| metrics.sum(name) + metrics.sum(&format!("{name}_count")) == 0.0);
        if sender.is_finished() && !std::mem::replace(&mut told, true) {
            daemon.kill_capture();
            daemon.reload();
        }
        if still == ["earwitness_capture_faults_total"] {
            daemon.space.tap_down();
        }
        assert!(began.elapsed() < PATIENCE, "{still:?} never moved");
        std::thread::sleep(Duration::from_millis(50));
    }
    sender.join().expect("all was sent");
}
