//! Either process killed at any moment, under live calls: storage stays clean, and every call is known.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use earwitness_catalog::{CallRow, Catalog, Write};
use earwitness_fixtures::address;
use earwitness_fixtures::live::{Pace, Sender};
use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::{CallSpec, Transport};
use earwitness_fixtures::truth::Truth;
use earwitness_segment::{Cursor, Follower, LaneKind, Log, RecordClass};
use earwitness_tests::program::run;
use earwitness_wire::{LinkType, Options, parse_bytes};
use serde_json::Value;

use crate::daemon::{Daemon, PATIENCE, list};
use crate::space::Space;

/// How often one of the two is killed; `EARWITNESS_KILLS` asks for another number.
const KILLS: u32 = 16;
const CALLS: u32 = 60;
const TALK_MS: u32 = 6_000;

/// Small, and the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What the log has of each call.
#[derive(Debug, Default, Clone, Copy)]
struct Committed {
    invited: bool,
    answered: bool,
    /// RTP for either party.
    packets: u64,
}

fn committed(data_dir: &Path, specs: &[CallSpec]) -> Vec<Committed> {
    let call_ids: Vec<Vec<u8>> =
        specs.iter().map(|spec| Truth::of(spec).call_id.into_bytes()).collect();
    let mut by_address: HashMap<SocketAddr, usize> = HashMap::new();
    for (index, spec) in specs.iter().enumerate() {
        by_address.extend(address::ends(spec).map(|ends| (ends.media, index)));
    }
    let mut found = vec![Committed::default(); specs.len()];
    let segments = data_dir.join("segments");
    let lanes = Log::open(&segments).expect("the log is there").lanes().expect("it can be listed");
    for (lane, kind) in lanes {
        let mut follower = Follower::open(&segments, lane, Cursor::default()).expect("it begins");
        while let Some(record) = follower.next().expect("every committed block is whole") {
            if kind == LaneKind::Media {
                let parsed = parse_bytes(record.frame, LinkType::Ethernet, &Options::default())
                    .expect("capture wrote what it could read");
                if let Some(&index) = by_address.get(&parsed.dst.to_socket_addr()) {
                    found[index].packets += 1;
                }
            } else if record.meta.class == RecordClass::Signalling {
                let has = |part: &[u8]| record.payload().windows(part.len()).any(|at| at == part);
                let Some(index) = call_ids.iter().position(|id| has(id)) else { continue };
                found[index].invited |= record.payload().starts_with(b"INVITE ");
                found[index].answered |=
                    record.payload().starts_with(b"SIP/2.0 200") && has(b"m=audio");
            }
        }
    }
    found
}

/// CAP-3, CALL-6, S1 to S5: after kills at random moments `check` is clean, every call whose packets were committed has
/// its one recording with all of them, and the ledgers tell of the time in which capture did not run.
#[test]
fn killed_at_any_moment_storage_is_clean() {
    let kills =
        std::env::var("EARWITNESS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let folder = tempfile::tempdir().expect("there is room");
    let more = "ring_mib = 8\n[calls]\nmedia_idle_ms = 3000\n";
    let mut daemon = Daemon::start(Space::new("k"), folder.path(), more);
    // Calls begin all the time that killing takes, about 1.6 s a kill.
    let spacing_ms = (u64::from(kills) * 1_600 / u64::from(CALLS)).max(20);
    let specs: Vec<CallSpec> = (0..CALLS)
        .map(|index| CallSpec {
            start_ms: u64::from(index) * spacing_ms,
            talk_ms: TALK_MS,
            ..CallSpec::new(index)
        })
        .collect();
    let scene = Scene::new(specs.clone());
    let frames: Vec<_> = scene.frames().collect();
    let playing = daemon.space.sending(move || {
        let sender = Sender::open("span").expect("the span port is there");
        sender.play(frames, Pace::Times(1.0)).expect("frames can be sent")
    });
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for kill in 0..kills {
        std::thread::sleep(Duration::from_millis(300 + random.below(1_500)));
        if kill % 2 == 0 { daemon.kill_capture() } else { daemon.kill_control_plane() }
    }
    playing.join().expect("all was sent");
    daemon.wait_for_capture();
    let data_dir = daemon.stop_when_finished();
    let checked = run(&["check", "--data-dir", &data_dir.display().to_string()]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let (calls, recordings) = (list(&data_dir, "calls"), list(&data_dir, "recordings"));
    let mut whole = 0;
    for (spec, of_log) in specs.iter().zip(committed(&data_dir, &specs)) {
        let call_id = Truth::of(spec).call_id;
        let own = |rows: &[Value]| -> Vec<Value> {
            rows.iter().filter(|row| row["call_id"] == call_id.as_str()).cloned().collect()
        };
        let (calls, recordings) = (own(&calls), own(&recordings));
        if of_log.invited {
            assert_eq!(calls.len(), 1, "{call_id}: {of_log:?}, but in the catalog {calls:#?}");
        }
        assert!(recordings.len() <= 1, "{call_id} has two recordings");
        if of_log.invited && of_log.answered && of_log.packets > 0 {
            whole += 1;
            assert_eq!(recordings.len(), 1, "{call_id}: {of_log:?}, but no recording: {calls:#?}");
            let packets = &recordings[0]["packets"];
            assert_eq!(packets["received"], of_log.packets, "{call_id}: {packets}");
        }
    }
    assert!(whole > 0, "no call came through the kills");
    let gaps = calls.iter().filter_map(|call| call["gaps"].as_array()).flatten();
    let told = gaps.filter(|gap| gap["place"] == "capture was not running").count();
    assert!(told > 0, "no ledger tells of the kills of capture");
}

/// OPS-6: a control plane that is killed while its capture process is starting leaves it to the next one, which starts none
/// beside it; and when that ends, it ends.
#[test]
fn a_capture_that_is_starting_is_taken_over() {
    let folder = tempfile::tempdir().expect("there is room");
    let mut daemon = Daemon::start(Space::new("s"), folder.path(), "");
    for _ in 0..4 {
        let [before] = daemon.capture_pids()[..] else { panic!("{:?}", daemon.capture_pids()) };
        daemon.kill_capture();
        let began = Instant::now();
        while daemon.capture_pids().first().is_none_or(|pid| *pid == before) {
            assert!(began.elapsed() < PATIENCE, "capture is not started again");
            std::thread::sleep(Duration::from_millis(1));
        }
        daemon.kill_control_plane();
        daemon.await_metrics("capture answers", |metrics| {
            metrics.sum("earwitness_capture_connected") == 1.0
        });
        std::thread::sleep(Duration::from_secs(1));
        let metrics = daemon.metrics();
        assert_eq!(metrics.sum("earwitness_capture_connected"), 1.0);
        assert_eq!(metrics.sum("earwitness_capture_restarts_total"), 0.0);
        assert_eq!(daemon.capture_pids().len(), 1);
    }
    daemon.stop();
}

/// OPS-6: a capture process that was taken over, which is no child of the daemon, and hangs when the daemon is to stop is
/// killed: none goes on without one.
#[test]
fn a_capture_that_hangs_ends_with_the_daemon() {
    let folder = tempfile::tempdir().expect("there is room");
    let mut daemon = Daemon::start(Space::new("h"), folder.path(), "");
    let captures = daemon.capture_pids();
    daemon.kill_control_plane();
    daemon.await_metrics("it is taken over", |metrics| {
        metrics.sum("earwitness_capture_connected") == 1.0
    });
    assert_eq!(daemon.capture_pids(), captures);
    daemon.halt_capture();
    daemon.stop();
}

/// CAP-7, OPS-6: a capture process that starts in the middle of a call over WebSocket has not seen the handshake, and
/// nothing in the frames says what they are; yet the BYE is heard.
#[test]
fn a_websocket_is_followed_across_a_kill_of_capture() {
    let folder = tempfile::tempdir().expect("there is room");
    let daemon = Daemon::start(Space::new("w"), folder.path(), "");
    // Capture may take seconds to come back on a busy machine, and must before the BYE.
    let talk_ms = 2 * TALK_MS;
    let spec = CallSpec { transport: Transport::WebSocket, talk_ms, ..CallSpec::new(0) };
    let scene = Scene::new(vec![spec]);
    let frames: Vec<_> = scene.frames().collect();
    let playing = daemon.space.sending(move || {
        let sender = Sender::open("span").expect("the span port is there");
        sender.play(frames, Pace::Times(1.0)).expect("frames can be sent")
    });
    let answered =
        || list(&daemon.data_dir, "calls").iter().any(|call| !call["answered_at"].is_null());
    let began = Instant::now();
    while !answered() {
        assert!(began.elapsed() < Duration::from_millis(talk_ms.into()), "no call is answered");
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon.kill_capture();
    playing.join().expect("all was sent");
    let data_dir = daemon.stop_when_finished();
    let calls = list(&data_dir, "calls");
    assert_eq!(calls.len(), 1, "{calls:#?}");
    assert_eq!(calls[0]["end_reason"], "bye_caller", "{calls:#?}");
    let gaps = calls[0]["gaps"].as_array().expect("a ledger");
    assert!(gaps.iter().any(|gap| gap["place"] == "capture was not running"), "{gaps:#?}");
}

/// CALL-6: rows of open calls that the log does not tell of do not stay open for ever: a call that has another id now
/// is there once, one that the log has lost is over.
#[test]
fn rows_that_the_log_does_not_tell_of_are_ended() {
    let folder = tempfile::tempdir().expect("there is room");
    let mut daemon = Daemon::start(Space::new("o"), folder.path(), "");
    let spec = CallSpec { talk_ms: TALK_MS, ..CallSpec::new(0) };
    let scene = Scene::new(vec![spec]);
    let frames: Vec<_> = scene.frames().collect();
    let playing = daemon.space.sending(move || {
        let sender = Sender::open("span").expect("the span port is there");
        sender.play(frames, Pace::Times(1.0)).expect("frames can be sent")
    });
    let began = Instant::now();
    while list(&daemon.data_dir, "calls").is_empty() {
        assert!(began.elapsed() < Duration::from_millis(TALK_MS.into()), "no call is seen");
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon.restart(leave_rows);
    playing.join().expect("all was sent");
    let data_dir = daemon.stop_when_finished();
    let calls = list(&data_dir, "calls");
    let mut ends: Vec<&str> =
        calls.iter().map(|call| call["end_reason"].as_str().unwrap_or_default()).collect();
    ends.sort_unstable();
    assert_eq!(ends, ["bye_caller", "log_lost"], "{calls:#?}");
    assert_eq!(list(&data_dir, "recordings").len(), 1);
}

/// Rows as a process could have left them: of the open call by another id, and of one that is nowhere else.
fn leave_rows(data_dir: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let catalog = Catalog::open_existing(data_dir).await.expect("the catalog is there");
        let open = catalog.open_calls().await.expect("it can be read");
        let [row] = open.as_slice() else { panic!("not one open call: {open:#?}") };
        let other = CallRow { id: "000000000000-0".to_owned(), ..row.clone() };
        let lost =
            CallRow { call_id: "lost".to_owned(), id: "000000000000-1".to_owned(), ..row.clone() };
        let rows = [other, lost].map(|row| Write::Call(Box::new(row)));
        catalog.write(&rows).await.expect("rows can be written");
        catalog.close().await;
    });
}
