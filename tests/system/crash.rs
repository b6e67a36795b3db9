//! Either process killed at any moment, under live calls: storage stays clean, and every call is known.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use earwitness_fixtures::address;
use earwitness_fixtures::live::{Pace, Sender};
use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::CallSpec;
use earwitness_fixtures::truth::Truth;
use earwitness_segment::{Cursor, Follower, LaneKind, Log, RecordClass};
use earwitness_tests::program::{binary, run};
use earwitness_wire::{LinkType, Options, parse_bytes};
use serde_json::Value;

use crate::space::Space;

/// How often one of the two is killed; `EARWITNESS_KILLS` asks for another number.
const KILLS: u32 = 16;
const CALLS: u32 = 60;
const TALK_MS: u32 = 6_000;

/// The daemon, and what a process list says of the capture process beside it.
struct Daemon {
    space: Space,
    config: PathBuf,
    data_dir: PathBuf,
    child: Child,
}

impl Daemon {
    fn start(space: Space, folder: &Path) -> Self {
        let data_dir = folder.join("data");
        let config = folder.join("earwitness.toml");
        let text = format!(
            "data_dir = {:?}\n[capture]\ninterfaces = [\"tap0\"]\nring_mib = 8\n[calls]\nmedia_idle_ms = 3000\n",
            data_dir.display().to_string()
        );
        std::fs::write(&config, text).expect("the test's folder can be written");
        let child = spawn(&space, &config);
        let daemon = Self { space, config, data_dir, child };
        daemon.wait_for_capture();
        daemon
    }

    fn capture_pid(&self) -> Option<libc::pid_t> {
        let output = std::process::Command::new("pgrep")
            .args(["-f", &format!("earwitness-capture run --data-dir {}", self.data_dir.display())])
            .output()
            .expect("pgrep is installed");
        String::from_utf8_lossy(&output.stdout).lines().next()?.parse().ok()
    }

    /// Waits until capture has its door open.
    fn wait_for_capture(&self) {
        let began = Instant::now();
        while !(self.data_dir.join("run/capture.sock").exists() && self.capture_pid().is_some()) {
            assert!(began.elapsed() < Duration::from_secs(60), "capture does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn kill_capture(&self) {
        if let Some(pid) = self.capture_pid() {
            kill(pid);
        }
    }

    fn kill_control_plane(&mut self) {
        kill(self.control_plane_pid());
        self.child.wait().expect("it has ended");
        self.child = spawn(&self.space, &self.config);
    }

    /// `ip netns exec` becomes the program, so that the child is it.
    fn control_plane_pid(&self) -> libc::pid_t {
        self.child.id().cast_signed()
    }

    fn stop(mut self) -> PathBuf {
        // SAFETY: kill sends a signal to a child of ours that was not waited for, and touches no memory.
        let asked = unsafe { libc::kill(self.control_plane_pid(), libc::SIGTERM) };
        assert_eq!(asked, 0, "the daemon runs");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "the daemon ended with {status}");
        self.data_dir
    }
}

fn spawn(space: &Space, config: &Path) -> Child {
    space
        .command(&binary())
        .args(["run", "--config"])
        .arg(config)
        .stderr(Stdio::null())
        .spawn()
        .expect("the daemon can be started")
}

fn kill(pid: libc::pid_t) {
    // SAFETY: kill sends a signal to a process of ours and touches no memory.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

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

fn list(data_dir: &Path, what: &str) -> Vec<Value> {
    let folder = data_dir.display().to_string();
    let output = run(&[what, "list", "--json", "--data-dir", &folder]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// CAP-3, CALL-6, S1 to S5: after kills at random moments `check` is clean, every call whose packets were committed has
/// its one recording with all of them, and the ledgers tell of the time in which capture did not run.
#[test]
fn killed_at_any_moment_storage_is_clean() {
    let kills =
        std::env::var("EARWITNESS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let folder = tempfile::tempdir().expect("there is room");
    let mut daemon = Daemon::start(Space::new("k"), folder.path());
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
    let data_dir = wait_until_finished(daemon);
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

/// Waits until no call is open any more, then stops the daemon.
fn wait_until_finished(daemon: Daemon) -> PathBuf {
    let began = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let open = list(&daemon.data_dir, "calls")
            .into_iter()
            .filter(|call| call["state"] != "ended")
            .count();
        if open == 0 && began.elapsed() > Duration::from_secs(5) {
            return daemon.stop();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{open} calls are never finished");
    }
}
