//! Who receives: Earwitness in each of its modes, its peers, and the floors below them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use earwitness_ipc::{CaptureStats, SourceMode};
use earwitness_wire::Verdict;

use super::capture::{self, Control, HOLD_MS};
use super::lab::{Driver, Lab, TAP};
use super::process::{self, Kept, PATIENCE, Worker};
use super::stored;

/// Buffer that each receiver has, in MiB.
const BUFFER_MIB: u32 = 64;
/// Segments of Earwitness, as by default.
const SEGMENT_MIB: u32 = 64;
/// Released segments that are kept: all of a run.
const SPARE_MIB: u32 = 16 << 10;

/// After so long stenotype has written a block that is not full, with `--blockage_sec=1`.
const STENOTYPE_WRITES: Duration = Duration::from_secs(3);
/// libpcap asks for blocks that are full, or a second old.
const TCPDUMP_READS: Duration = Duration::from_millis(1_200);
/// What receivers say, in their folder.
const LOG: &str = "log";

/// One receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Earwitness(Source, Verdict),
    Tcpdump,
    Dumpcap,
    NetsniffNg,
    Stenotype,
    /// The frame is dropped by the program in the driver.
    XdpDrop,
    /// An AF_XDP socket, its frames given back unread.
    AfXdpDrop,
}

/// The mode of Earwitness's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    BpfRing,
    AfXdp,
    AfXdpGeneric,
    AfPacket,
}

/// All, in the order of the table.
pub const ALL: [System; 12] = [
    System::XdpDrop,
    System::AfXdpDrop,
    System::Earwitness(Source::BpfRing, Verdict::Ignore),
    System::Earwitness(Source::BpfRing, Verdict::Record),
    System::Earwitness(Source::AfXdp, Verdict::Record),
    System::Earwitness(Source::AfXdpGeneric, Verdict::Record),
    System::Earwitness(Source::AfPacket, Verdict::Record),
    System::Earwitness(Source::AfPacket, Verdict::Ignore),
    System::Tcpdump,
    System::Stenotype,
    System::NetsniffNg,
    System::Dumpcap,
];

/// A receiver at work.
#[derive(Debug)]
pub struct Running {
    system: System,
    process: Process,
    control: Option<Control>,
    /// Of segments that were given back.
    released_bytes: u64,
    folder: PathBuf,
}

#[derive(Debug)]
enum Process {
    Child(Kept),
    Worker(Worker),
}

/// What a receiver took, by its own files and counts.
#[derive(Debug, Default)]
pub struct Taken {
    pub packets: u64,
    /// What it wanted nothing of, and said so.
    pub declined: u64,
    /// What it says that it lost, by place.
    pub lost: Vec<(String, u64)>,
    /// Bytes in its files.
    pub bytes: u64,
}

impl System {
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Earwitness(source, Verdict::Ignore) => {
                format!("earwitness {}, media ignored", source.name())
            }
            Self::Earwitness(source, _) => format!("earwitness {}", source.name()),
            Self::Tcpdump => "tcpdump".to_owned(),
            Self::Dumpcap => "dumpcap".to_owned(),
            Self::NetsniffNg => "netsniff-ng".to_owned(),
            Self::Stenotype => "stenotype".to_owned(),
            Self::XdpDrop => "floor: XDP_DROP".to_owned(),
            Self::AfXdpDrop => "floor: AF_XDP, dropped".to_owned(),
        }
    }

    /// Which driver it is measured on.
    #[must_use]
    pub fn driver(self) -> Driver {
        match self {
            Self::Earwitness(Source::AfXdpGeneric, _) => Driver::Generic,
            _ => Driver::Native,
        }
    }

    /// Whether its files need a file system on a disk: O_DIRECT.
    #[must_use]
    pub fn needs_disk(self) -> bool {
        self == Self::Stenotype
    }

    /// Whether it writes segments, which it uses again.
    #[must_use]
    pub fn writes_segments(self) -> bool {
        matches!(self, Self::Earwitness(_, verdict) if verdict != Verdict::Ignore)
    }

    #[must_use]
    pub fn is_own(self) -> bool {
        matches!(self, Self::Earwitness(..))
    }

    #[must_use]
    pub fn is_peer(self) -> bool {
        !self.is_own() && !matches!(self, Self::XdpDrop | Self::AfXdpDrop)
    }

    /// At what rate its segments are filled that are used again: slow enough for it.
    #[must_use]
    pub fn age_rate(self) -> u64 {
        match self {
            Self::Earwitness(Source::BpfRing, _) => 1_500_000,
            _ => 500_000,
        }
    }

    /// About what a measurement takes beside its packets.
    #[must_use]
    pub fn around(self) -> Duration {
        let seconds = if self == Self::Stenotype { 7 } else { 4 };
        Duration::from_secs(seconds)
    }

    /// Starts it on core 1, in a folder of its own, and waits until it receives.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(self, lab: &Lab, folder: &Path, calls: u64) -> anyhow::Result<Running> {
        let folder = folder.to_owned();
        let (process, control) = match self {
            Self::XdpDrop | Self::AfXdpDrop => {
                let own = std::env::current_exe()?;
                let program = own.to_str().context("a path in UTF-8")?;
                let kind = if self == Self::XdpDrop { "drop" } else { "socket" };
                let words = [program, "wire", "sink", kind, TAP];
                (Process::Worker(Worker::start(pinned(lab, &words))?), None)
            }
            Self::Earwitness(source, verdict) => {
                let (child, mut control) = start_capture(lab, &folder, source)?;
                control.decide(calls, verdict).with_context(|| said(&folder))?;
                (Process::Child(child), Some(control))
            }
            peer => (Process::Child(start_peer(peer, lab, &folder)?), None),
        };
        Ok(Running { system: self, process, control, released_bytes: 0, folder })
    }
}

impl Source {
    fn name(self) -> &'static str {
        self.mode().name()
    }

    fn flag(self) -> &'static str {
        match self {
            Self::BpfRing => "bpf_ring",
            Self::AfXdp | Self::AfXdpGeneric => "af_xdp",
            Self::AfPacket => "af_packet",
        }
    }

    fn mode(self) -> SourceMode {
        match self {
            Self::BpfRing => SourceMode::BpfRing,
            Self::AfXdp => SourceMode::AfXdpCopy,
            Self::AfXdpGeneric => SourceMode::AfXdpGeneric,
            Self::AfPacket => SourceMode::AfPacket,
        }
    }
}

/// What a receiver has said on its standard error.
fn said(folder: &Path) -> String {
    fs::read_to_string(folder.join(LOG)).unwrap_or_default()
}

/// A command in the receiver's namespace, on core 1, before everything that is not real-time.
fn pinned(lab: &Lab, words: &[&str]) -> Command {
    let by = ["taskset", "-c", "1", "chrt", "-f", "40"];
    Lab::command(&lab.receiver, &[&by[..], words].concat())
}

fn start_capture(lab: &Lab, folder: &Path, source: Source) -> anyhow::Result<(Kept, Control)> {
    let program = capture::program()?;
    let program = program.to_str().context("a path in UTF-8")?;
    let mut command = pinned(lab, &[program, "run", "--interface", TAP]);
    command.args(["--source", source.flag(), "--hold-ms", &HOLD_MS.to_string()]);
    command.args(["--ring-mib", &BUFFER_MIB.to_string()]);
    command.args(["--segment-mib", &SEGMENT_MIB.to_string()]);
    command.args(["--spare-mib", &SPARE_MIB.to_string()]);
    command.arg("--data-dir").arg(folder);
    command.stderr(File::create(folder.join(LOG))?);
    let child = Kept(command.spawn()?);
    let control = Control::connect(folder).with_context(|| said(folder))?;
    ensure!(
        control.mode == source.mode(),
        "capture took {} where {} was asked for",
        control.mode,
        source.mode()
    );
    Ok((child, control))
}

/// As `perf/README.md` lists them.
fn start_peer(peer: System, lab: &Lab, folder: &Path) -> anyhow::Result<Kept> {
    let file = folder.join("packets.pcap");
    let file = file.to_str().context("a path in UTF-8")?;
    let dir = format!("--dir={}", folder.display());
    let interface = format!("--iface={TAP}");
    let (kib, blocks) = ((BUFFER_MIB << 10).to_string(), format!("--blocks={BUFFER_MIB}"));
    let (mib, size) = (BUFFER_MIB.to_string(), format!("{BUFFER_MIB}MiB"));
    let stenotype = stenotype();
    let words: Vec<&str> = match peer {
        System::Tcpdump => {
            vec!["tcpdump", "-Z", "root", "-i", TAP, "-w", file, "-n", "-s", "0", "-B", &kib]
        }
        System::Dumpcap => vec!["dumpcap", "-i", TAP, "-w", file, "-B", &mib, "-q", "-P"],
        System::NetsniffNg => {
            let to = ["netsniff-ng", "--in", TAP, "--out", file];
            [&to[..], &["-s", "-S", &size, "-N", "-Q", "-A"]].concat()
        }
        System::Stenotype => {
            for part in ["PKT0", "IDX0"] {
                fs::create_dir_all(folder.join(part))?;
            }
            let threads = ["--threads=1", &blocks, "--aiops=32"];
            let rights = ["--seccomp=none", "--uid=root", "--gid=root"];
            let rest = ["--no_index", "--no_watchdogs", "--blockage_sec=1"];
            [&[&*stenotype, &*interface, &*dir][..], &threads, &rights, &rest].concat()
        }
        other => bail!("{} is no peer", other.name()),
    };
    let log = File::create(folder.join(LOG))?;
    let mut command = pinned(lab, &words);
    let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    let mut child = Kept(child);
    await_packet_socket(&mut child.0, folder)?;
    Ok(child)
}

/// Where it was unpacked by `scripts/setup.sh perf`; else on the path.
fn stenotype() -> String {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/usr/sbin/stenotype");
    if unpacked.is_file() { unpacked.display().to_string() } else { "stenotype".to_owned() }
}

/// A packet socket that is bound and runs: the sixth column says so. There must be no other.
fn await_packet_socket(child: &mut Child, folder: &Path) -> anyhow::Result<()> {
    let path = format!("/proc/{}/net/packet", child.id());
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            bail!("the peer ended, {status}: {}", said(folder));
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let runs = |line: &&str| line.split_whitespace().nth(5) == Some("1");
        let running = text.lines().skip(1).filter(runs).count();
        ensure!(running < 2, "another packet socket receives here, too:\n{text}");
        if running == 1 && is_itself(child) {
            // Bound is not yet reading: filters, files and threads come after.
            std::thread::sleep(Duration::from_millis(500));
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("the peer opens no packet socket: {}", said(folder))
}

/// Whether `ip` has become the program and entered the namespace: before, it sees the sockets of another.
fn is_itself(child: &Child) -> bool {
    let name = fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap_or_default();
    !["ip", "taskset", "chrt"].contains(&name.trim())
}

impl Running {
    #[must_use]
    pub fn pid(&self) -> u32 {
        match &self.process {
            Process::Child(child) => child.0.id(),
            Process::Worker(worker) => worker.pid(),
        }
    }

    /// Waits until what has arrived is done with.
    ///
    /// # Errors
    /// Earwitness's sum does not close.
    pub fn settle(&mut self, arrived: u64) -> anyhow::Result<Option<CaptureStats>> {
        let stats = match &mut self.control {
            Some(control) => Some(control.settle(arrived).with_context(|| said(&self.folder))?),
            None => None,
        };
        process::await_quiet(self.pid());
        Ok(stats)
    }

    /// Lets Earwitness use again what it has written so far.
    ///
    /// # Errors
    /// It keeps something.
    pub fn release(&mut self) -> anyhow::Result<()> {
        if let Some(control) = &mut self.control {
            self.released_bytes += control.release(&self.folder)?;
        }
        Ok(())
    }

    /// Ends it, and counts what it has.
    ///
    /// # Errors
    /// It does not end, or its files cannot be read.
    pub fn finish(self, arrived: u64, stats: Option<CaptureStats>) -> anyhow::Result<Taken> {
        let name = self.system.name();
        match self.process {
            Process::Worker(mut worker) => {
                let packets = worker.ask("how many")?.parse()?;
                // The program that drops counts nothing: the wire does.
                let packets = if self.system == System::XdpDrop { arrived } else { packets };
                Ok(Taken { packets, ..Taken::default() })
            }
            Process::Child(mut child) => {
                drop(self.control);
                if self.system == System::Stenotype {
                    // It ends only when another packet comes. All it has is in its file once the last block timed out.
                    std::thread::sleep(STENOTYPE_WRITES);
                    process::signal(child.0.id(), "KILL");
                } else {
                    if self.system == System::Tcpdump {
                        // What is in a block that has not timed out it would leave unread.
                        std::thread::sleep(TCPDUMP_READS);
                    }
                    process::signal(child.0.id(), "TERM");
                }
                process::wait(&mut child.0, &name)?;
                match stats {
                    Some(stats) => taken_by_capture(&self.folder, &stats, self.released_bytes),
                    None if self.system == System::Stenotype => stored::stenotype(&self.folder),
                    None => stored::pcap(&self.folder.join("packets.pcap"))
                        .with_context(|| said(&self.folder)),
                }
            }
        }
    }
}

fn taken_by_capture(
    folder: &Path,
    stats: &CaptureStats,
    released_bytes: u64,
) -> anyhow::Result<Taken> {
    let lost = stats.lost.places().into_iter().filter(|(_, count)| *count > 0);
    Ok(Taken {
        packets: stats.stored,
        declined: stats.ignored + stats.unmatched,
        lost: lost.map(|(place, count)| (place.to_owned(), count)).collect(),
        bytes: released_bytes + capture::log_bytes(folder)?,
    })
}
