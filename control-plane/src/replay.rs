//! `earwitness replay`: the whole pipeline over capture files, on packet time, in one process.
//!
//! The same line, log, intake and finishing as in live capture; what the door carries there goes by call here.
//! Nothing depends on the speed of the machine: the line runs, and the intake reads, at fixed steps of packet
//! time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use earwitness_ipc::{Command, Erased, Erasure, SourceInfo, SourceMode};
use earwitness_line::limits::OVERHEARD_TONES_BYTES_MAX;
use earwitness_line::pcap::{Merge, Omissions, PcapError, Reader};
use earwitness_line::region::Residence;
use earwitness_line::{Door, Line, LineError, LineOptions, Unmatched};
use earwitness_segment::{Packing, Placing};

use crate::call::Call;
use crate::config::{Config, ConfigError, UnmatchedMedia};
use crate::finish::{Clerk, ClerkError, Done, FinishPool, JobError, Outcome, Pace};
use crate::follow::{FollowError, LogFollower};
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::rules::{self, By, RulesError};
use crate::setup::{self, DataDirError};

/// How much packet time passes between two runs of the line.
const STEP_NS: u64 = 10_000_000;
/// Without a frame for so long, time goes on before the next one: the intake looks at timeouts this often.
const PAUSE_NS: u64 = 250_000_000;
/// Without a frame for so long, capture was off or its clock was set: silence that nobody listened to. What the
/// next frame says is heard first.
const HOLE_NS: u64 = 3_600_000_000_000;
/// Calls that may wait for the finishing threads before reading pauses.
const PENDING_MAX: usize = 256;
/// For so long a call that is over waits for others, with which it is finished together.
const TOGETHER_NS: u64 = 5_000_000_000;
/// So many calls do not wait.
const TOGETHER_MAX: usize = 1024;
/// Packets between two looks at the clock, for progress.
const PACKETS_BETWEEN_LOOKS: u64 = 4096;
/// The segment that is written is in memory, and here nobody waits for the next one.
const SEGMENT_MIB_MAX: u32 = 16;
/// Blocks of the media lane: what calls that are finished together share with others at the ends of theirs is read twice.
const BLOCK_BYTES: u32 = 32 << 10;
/// Media that is sorted by flows before it is written: a quarter of a second of 1,000 calls.
const GATHER_BYTES_MAX: usize = 8 * MIB;
/// Of the media ring, the part in which it waits at most.
const GATHER_DIVISOR: usize = 4;
/// Memory of the ring that holds undecided media.
const MIB: usize = 1 << 20;

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(transparent)]
    Capture { source: PcapError },
    #[error("the line from packets to the log failed")]
    Line { source: LineError },
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Clerk(#[from] ClerkError),
    #[error("call {call} could not be finished")]
    Finish { call: String, source: JobError },
}

impl ReplayError {
    /// Whether the command or the configuration was wrong, not the machine.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Config(_) => true,
            Self::DataDir(error) => error.is_usage(),
            Self::Rules(error) => error.is_usage(),
            _ => false,
        }
    }
}

/// What a replay did.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Summary {
    pub packets: u64,
    pub calls: u64,
    pub recordings: u64,
    pub stored_packets: u64,
    pub ignored_packets: u64,
    pub unmatched_packets: u64,
    pub lost_packets: u64,
    /// Records cut off by the end of a file, and packets of unknown link types.
    pub truncated_records: u64,
    pub unknown_link_packets: u64,
    /// SIP messages that could not be read, by what was wrong.
    pub sip_rejected: BTreeMap<String, u64>,
    /// Rules of SIP that messages broke and were used all the same, by rule.
    pub sip_flaws: BTreeMap<String, u64>,
    /// SIP bodies that said they were SDP and are not.
    pub sdp_rejected: u64,
}

/// Who wants to know how far it is.
pub trait Progress {
    /// Bytes read of how many, if that is known, and calls seen so far.
    fn at(&mut self, bytes: u64, of: Option<u64>, calls: u64);
    /// A call is finished.
    fn done(&mut self, done: &Done);
}

/// Replays `files` into `data_dir`.
///
/// # Errors
/// The files cannot be read, the data folder cannot be used, or a recording could not be made.
pub fn replay(
    files: &[PathBuf],
    data_dir: &Path,
    config: &Config,
    progress: &mut dyn Progress,
) -> Result<Summary, ReplayError> {
    let metrics = Arc::new(Metrics::new());
    let mut input = open(files)?;
    let _lock = setup::take_data_dir(data_dir)?;
    let by = (By::Replay, &*rules::who(None));
    let rules = rules::keep(config, data_dir, by)?.rules;
    let cursors = LogFollower::newest(data_dir)?;
    let line = open_line(config, data_dir)?;
    let mut run = Run {
        follower: LogFollower::open(data_dir, &cursors, &metrics)?,
        intake: setup::intake(config, rules, &metrics),
        // Most calls are finished when reading has ended, or while it waits.
        pool: setup::finish_pool(config, data_dir, &metrics, setup::cores())?,
        over: Vec::new(),
        results: Results {
            clerk: Clerk::start(data_dir, Pace::Piled, &metrics)?,
            summary: Summary::default(),
            progress,
        },
        line,
        now_ns: 0,
    };
    let sources =
        files.iter().enumerate().map(|(number, file)| source_info(number, file)).collect();
    let read = run.read(&mut input, sources);
    let omissions = input.omissions();
    let summary = run.finish(omissions, config.capture.hold_ms * 1_000_000)?;
    read?;
    Ok(with_rejections(summary, &metrics))
}

fn open(files: &[PathBuf]) -> Result<Merge, ReplayError> {
    let open = |(number, file): (usize, &PathBuf)| {
        let number = number.min(usize::from(u8::MAX)) as u8;
        if file.as_os_str() == "-" {
            return Reader::from_input(
                "standard input".to_owned(),
                Box::new(std::io::stdin()),
                number,
            );
        }
        Reader::open(file, number)
    };
    let readers: Result<Vec<Reader>, PcapError> = files.iter().enumerate().map(open).collect();
    readers.map(Merge::new).map_err(|source| ReplayError::Capture { source })
}

fn source_info(number: usize, file: &Path) -> SourceInfo {
    SourceInfo {
        interface: file
            .file_name()
            .map_or_else(|| "-".into(), |name| name.to_string_lossy())
            .into_owned(),
        source: number.min(usize::from(u8::MAX)) as u8,
        mode: SourceMode::Pcap,
        reason: "replay of a capture file".to_owned(),
    }
}

fn open_line(config: &Config, data_dir: &Path) -> Result<Line, ReplayError> {
    let capture = &config.capture;
    let mut options = LineOptions::new(data_dir.to_owned());
    options.steering.sip_ports.clone_from(&capture.sip_ports);
    options.steering.wire = setup::wire_options(config);
    options.rings.media_bytes = (capture.ring_mib as usize * MIB).next_power_of_two();
    options.drain.hold_ns = capture.hold_ms * 1_000_000;
    options.drain.unmatched = match capture.unmatched_media {
        UnmatchedMedia::Drop => Unmatched::Drop,
        UnmatchedMedia::Keep => Unmatched::Keep,
    };
    if config.control.tones {
        options.drain.overheard_bytes = OVERHEARD_TONES_BYTES_MAX;
    }
    options.drain.media.segment_bytes = u64::from(capture.segment_mib.min(SEGMENT_MIB_MAX)) << 20;
    // What is packed would be unpacked a moment later.
    options.drain.signalling.packing = Packing::Plain;
    options.drain.media.placing = Placing::Written;
    options.drain.media.block_bytes = BLOCK_BYTES;
    options.drain.gather_bytes = GATHER_BYTES_MAX.min(options.rings.media_bytes / GATHER_DIVISOR);
    // Nothing is lost by paging here: the files wait. Most replays use little of the ring.
    options.rings.residence = Residence::Pageable;
    Line::open(options).map_err(|source| ReplayError::Line { source })
}

struct Run<'p> {
    line: Line,
    follower: LogFollower,
    intake: Intake,
    pool: FinishPool,
    /// Calls that are over, until some are finished together.
    #[expect(clippy::vec_box, reason = "calls move from queue to queue in their boxes")]
    over: Vec<Box<Call>>,
    results: Results<'p>,
    now_ns: u64,
}

/// What came of the calls so far, and who is told of it.
struct Results<'p> {
    clerk: Clerk,
    summary: Summary,
    progress: &'p mut dyn Progress,
}

impl Run<'_> {
    /// Reads to the end, or to where a file is not what it should be; what came before counts all the same.
    fn read(&mut self, input: &mut Merge, sources: Vec<SourceInfo>) -> Result<(), ReplayError> {
        let mut sources = Some(sources);
        let mut stepped_ns = 0;
        let mut told = Instant::now();
        loop {
            let next = input.next().map_err(|source| ReplayError::Capture { source });
            let Some(frame) = next? else { return Ok(()) };
            let ts_ns = frame.ts_ns;
            if let Some(sources) = sources.take() {
                self.line.set_door(Door::Connected);
                // The epoch names this run; packet time makes it the same each time.
                self.line
                    .start(ts_ns, ts_ns, sources)
                    .map_err(|source| ReplayError::Line { source })?;
                stepped_ns = ts_ns;
            } else if ts_ns >= stepped_ns + STEP_NS {
                // Before the frame: what was said until now is heard before time goes on.
                stepped_ns = ts_ns;
                self.step()?;
                self.pass(ts_ns)?;
            }
            self.line.offer(&frame);
            self.results.summary.packets += 1;
            self.now_ns = self.now_ns.max(ts_ns);
            if self.results.summary.packets.is_multiple_of(PACKETS_BETWEEN_LOOKS)
                && told.elapsed() > Duration::from_millis(200)
            {
                told = Instant::now();
                let (bytes, of) = input.progress();
                self.results.progress.at(bytes, of, self.results.summary.calls);
            }
        }
    }

    /// Moves the line to now and lets the intake read what it wrote.
    fn step(&mut self) -> Result<(), ReplayError> {
        if self.intake.is_tick_due(self.now_ns) {
            // Timeouts ask when media was last heard.
            self.line.settle(self.now_ns);
        } else {
            self.line.run(self.now_ns);
        }
        self.follow()?;
        self.intake.tick(self.now_ns);
        self.command()?;
        self.finish_calls()
    }

    /// Nothing came until `ts_ns`: what was waited for in between did not happen, whatever the next frame says.
    fn pass(&mut self, ts_ns: u64) -> Result<(), ReplayError> {
        if ts_ns < self.now_ns + PAUSE_NS {
            return Ok(());
        }
        // Media whose verdict has just become known leaves the ring first.
        self.line.settle(self.now_ns);
        self.step()?;
        let paused_ns = ts_ns - self.now_ns;
        if paused_ns >= HOLE_NS {
            self.intake.hole(paused_ns);
            return Ok(());
        }
        self.intake.tick(ts_ns);
        self.command()?;
        self.finish_calls()
    }

    fn follow(&mut self) -> Result<(), ReplayError> {
        self.follower.signalling(u64::MAX, usize::MAX, &mut self.intake);
        for seen in self.line.events() {
            self.intake.flow_seen(&seen);
        }
        let overheard: Vec<_> = self.line.overheard().collect();
        self.intake.overheard(&overheard);
        self.command()?;
        self.follower.media(usize::MAX, &mut self.intake);
        Ok(())
    }

    fn command(&mut self) -> Result<(), ReplayError> {
        for command in self.intake.take_commands() {
            self.line.apply(&command).map_err(|source| ReplayError::Line { source })?;
            if let Command::Erase(erasures) = command {
                let done = |one: &Erasure| Erased { number: one.number, records: 0 };
                self.intake.erased(&erasures.iter().map(done).collect::<Vec<_>>());
            }
        }
        Ok(())
    }

    fn finish_calls(&mut self) -> Result<(), ReplayError> {
        // Only what is finished is written here: no row is there to be taken back.
        drop(self.intake.table.take_superseded());
        while let Some(call) = self.intake.next_finished() {
            if call.media.flows.is_empty() {
                self.pool.submit(call);
                self.results.keep(self.pool.poll())?;
            } else {
                self.over.push(call);
            }
        }
        let since_ns = self.over.first().map_or(self.now_ns, |first| first.over_ns());
        let is_due = since_ns.saturating_add(TOGETHER_NS) < self.now_ns;
        if is_due || self.over.len() >= TOGETHER_MAX {
            submit(&mut self.over, &mut self.pool);
        }
        self.results.keep(self.pool.poll())?;
        while self.pool.pending() > PENDING_MAX {
            self.results.keep(self.pool.wait(Duration::from_millis(100)))?;
        }
        Ok(())
    }

    /// The files are at their end: what waits for a verdict has waited long enough, calls that are open end. What
    /// was done goes to the catalog, whatever failed.
    fn finish(mut self, omissions: Omissions, hold_ns: u64) -> Result<Summary, ReplayError> {
        let stepped = self.step();
        let Self { line, mut follower, mut intake, mut pool, mut over, mut results, now_ns } = self;
        let [_, media] = line.keepers();
        let end = || {
            let stats = line.finish(now_ns + hold_ns);
            let stats = stats.map_err(|source| ReplayError::Line { source })?;
            follower.rest(&mut intake)?;
            intake.end_of_input("capture_end");
            for command in intake.take_commands() {
                if let Command::Erase(erasures) = command {
                    let erased = earwitness_line::drain::erase(&media, &erasures);
                    erased.map_err(|source| ReplayError::Line { source: source.into() })?;
                }
            }
            over.extend(std::iter::from_fn(|| intake.next_finished()));
            submit(&mut over, &mut pool);
            while pool.pending() > 0 {
                results.keep(pool.wait(Duration::from_millis(100)))?;
            }
            Ok(stats)
        };
        let ended = stepped.and_then(|()| end());
        results.clerk.finish()?;
        let stats = ended?;
        Ok(Summary {
            stored_packets: stats.stored,
            ignored_packets: stats.ignored,
            unmatched_packets: stats.unmatched,
            lost_packets: stats.lost.total(),
            truncated_records: omissions.truncated,
            unknown_link_packets: omissions.unknown_link,
            ..results.summary
        })
    }
}

/// Hands calls to the pool so that those come one after the other whose packets lie side by side in the log: in the
/// order in which their media began.
#[expect(clippy::vec_box, reason = "calls move from queue to queue in their boxes")]
fn submit(calls: &mut Vec<Box<Call>>, pool: &mut FinishPool) {
    calls.sort_by_cached_key(|call| {
        let begins = call.media.flows.iter().map(|flow| flow.first_ns).min();
        let ends = call.media.flows.iter().flat_map(|flow| &flow.chains).map(|chain| chain.last);
        (begins, ends.max())
    });
    calls.drain(..).for_each(|call| pool.submit(call));
}

impl Results<'_> {
    fn keep(&mut self, outcomes: Vec<Outcome>) -> Result<(), ReplayError> {
        let mut failure = None;
        for outcome in outcomes {
            match outcome {
                Outcome::Done(done) => {
                    self.progress.done(&done);
                    self.summary.calls += 1;
                    self.summary.recordings += done.recordings.len() as u64;
                    self.clerk.write(done.into_writes())?;
                }
                Outcome::Failed { call, error } => {
                    failure = Some(ReplayError::Finish { call, source: error });
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

fn with_rejections(mut summary: Summary, metrics: &Metrics) -> Summary {
    summary.sip_rejected = metrics.sip_rejections();
    summary.sip_flaws = metrics.sip_flaw_counts();
    summary.sdp_rejected = metrics.sdp_rejected.get();
    summary
}
