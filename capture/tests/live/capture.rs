//! The binary under test, the door to it, and what it wrote.
#![expect(unsafe_code, reason = "signals and poll have no safe interface in std")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use earwitness_ipc::{
    CaptureStats, Command as Order, ControlDoor, Event, FlowSeen, Mark, SourceInfo, VERSION,
    VerdictChange, decode,
};
use earwitness_segment::{Cursor, Follower, Log, RecordClass, SegmentInfo};
use earwitness_wire::{Endpoint, Verdict};

use crate::wire::{TAP, Wire};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Capture {
    pub child: Child,
    pub data_dir: PathBuf,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Capture {
    /// Starts capture, and waits until it captures.
    pub fn start(wire: &Wire, data_dir: &Path, flags: &[&str]) -> Self {
        Self::start_as(wire, data_dir, flags, &[])
    }

    /// As `start`, by way of another program.
    pub fn start_as(wire: &Wire, data_dir: &Path, flags: &[&str], by: &[&str]) -> Self {
        let mut capture = Self::spawn(wire, data_dir, flags, by);
        capture.await_line("capturing");
        capture
    }

    pub fn spawn(wire: &Wire, data_dir: &Path, flags: &[&str], by: &[&str]) -> Self {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &wire.namespace])
            .args(by)
            .arg(env!("CARGO_BIN_EXE_earwitness-capture"))
            .args(["run", "--interface", TAP, "--ring-mib", "1", "--segment-mib", "1"])
            .arg("--data-dir")
            .arg(data_dir)
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .expect("ip starts it");
        let stderr = child.stderr.take().expect("it is piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, data_dir: data_dir.to_owned(), lines, said: Vec::new() }
    }

    /// Waits for a line on stderr.
    pub fn await_line(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(_) => panic!("{part:?} was never said, but:\n{}", self.said.join("\n")),
            }
        }
    }

    /// `ip netns exec` becomes the program that it starts.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: signals a child that has not been waited for.
        let result = unsafe { libc::kill(self.pid(), signal) };
        assert_eq!(result, 0);
    }

    /// Halts every thread of it; returns once they stand still.
    pub fn halt(&self) {
        self.signal(libc::SIGSTOP);
        self.until_state('T');
    }

    pub fn resume(&self) {
        self.signal(libc::SIGCONT);
    }

    /// SIGTERM; it must end in order.
    pub fn stop(mut self) {
        self.signal(libc::SIGTERM);
        let status = self.wait();
        assert!(status.success(), "{status}:\n{}", self.rest());
    }

    pub fn kill(mut self) {
        self.signal(libc::SIGKILL);
        self.wait();
    }

    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                return status;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not end:\n{}", self.rest());
    }

    /// All that it said.
    pub fn rest(&mut self) -> String {
        while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(200)) {
            self.said.push(line);
        }
        self.said.join("\n")
    }

    pub fn connect(&self) -> Control {
        let door = ControlDoor::connect(&self.data_dir.join("run/capture.sock")).unwrap();
        let mut control = Control { door, stats: None, flows: Vec::new(), errors: Vec::new() };
        control.send(Order::Hello { version: VERSION, config_digest: [0; 32] });
        control
    }

    fn until_state(&self, state: char) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
            let stands = |task: std::fs::DirEntry| {
                let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with(state))
            };
            if tasks.flatten().all(stands) {
                return;
            }
            thread::yield_now();
        }
        panic!("it does not halt");
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Only where the test failed before it ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The control plane's end.
pub struct Control {
    door: ControlDoor,
    pub stats: Option<CaptureStats>,
    pub flows: Vec<FlowSeen>,
    pub errors: Vec<String>,
}

impl Control {
    pub fn send(&mut self, order: Order) {
        self.door.send(order).unwrap();
        assert!(self.door.flush().unwrap(), "the socket has room");
    }

    pub fn decide(&mut self, dst: Endpoint, verdict: Verdict) {
        self.send(Order::Verdicts(vec![VerdictChange::now(dst, Some(verdict))]));
    }

    pub fn hello(&mut self) -> Vec<SourceInfo> {
        loop {
            if let Event::Hello { version, sources, lanes, .. } = self.next() {
                assert_eq!(version, VERSION);
                assert!(lanes.len() >= 2);
                return sources;
            }
        }
    }

    /// Reads until the statistics please.
    pub fn await_stats(
        &mut self,
        what: &str,
        wanted: impl Fn(&CaptureStats) -> bool,
    ) -> CaptureStats {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Event::Stats(stats) = self.next() {
                assert_eq!(stats.unaccounted(), 0, "CAP-8: {stats:?}");
                if wanted(&stats) {
                    return *stats;
                }
            }
        }
        panic!("{what}: {:#?}; errors: {:?}", self.stats, self.errors);
    }

    pub fn await_error(&mut self, part: &str) {
        while !self.errors.iter().any(|error| error.contains(part)) {
            self.next();
        }
    }

    fn next(&mut self) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(event) = self.door.receive().unwrap() {
                match &event {
                    Event::FlowsSeen(flows) => self.flows.extend(flows),
                    Event::Stats(stats) => self.stats = Some((**stats).clone()),
                    Event::Error { text, .. } => self.errors.push(text.clone()),
                    Event::Hello { .. } | Event::Erased(_) | Event::Overheard(_) => {}
                }
                return event;
            }
            assert!(Instant::now() < deadline, "capture says nothing");
            let mut wait =
                libc::pollfd { fd: self.door.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one structure, which lives through the call.
            unsafe { libc::poll(&raw mut wait, 1, 1000) };
        }
    }
}

/// Everything in the log of a data folder.
#[derive(Debug, Default)]
pub struct Written {
    pub signalling: Vec<Vec<u8>>,
    /// By the last byte of the destination's address, in order.
    pub media: BTreeMap<u8, Vec<Vec<u8>>>,
    pub marks: Vec<Mark>,
    pub segments: Vec<SegmentInfo>,
}

/// Waits until so many packets can be read: what is stored is committed a moment later.
pub fn await_committed(data_dir: &Path, packets: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let written = read(data_dir);
        let found = written.signalling.len() + written.media.values().map(Vec::len).sum::<usize>();
        if found >= packets {
            return;
        }
        assert!(Instant::now() < deadline, "{found} of {packets} packets: {:#?}", written.segments);
        thread::sleep(Duration::from_millis(20));
    }
}

pub fn read(data_dir: &Path) -> Written {
    let folder = data_dir.join("segments");
    assert_eq!(
        earwitness_segment::verify(&folder).expect("the log can be listed"),
        [],
        "the log is sound"
    );
    let mut written = Written::default();
    let mut media = Vec::new();
    let log = Log::open(&folder).unwrap();
    for (lane, _) in log.lanes().unwrap() {
        written.segments.extend(log.segments(lane).unwrap());
        let mut follower =
            Follower::open(&folder, lane, Cursor { seq: 0, block: 0, ordinal: 0 }).unwrap();
        while let Some(record) = follower.next().unwrap() {
            match record.meta.class {
                RecordClass::Signalling => written.signalling.push(record.frame.to_vec()),
                RecordClass::Media => {
                    let key = record.frame[usize::from(record.meta.l3) + 19];
                    media.push((record.meta.ts_ns, key, record.frame.to_vec()));
                }
                RecordClass::Mark => written.marks.push(decode(record.frame).unwrap()),
            }
        }
    }
    // The sender moves between cores, and each core has its lane.
    media.sort_by_key(|(ts_ns, ..)| *ts_ns);
    for (_, key, frame) in media {
        written.media.entry(key).or_default().push(frame);
    }
    written
}
