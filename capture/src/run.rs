//! Capture from start to end: the main thread, which opens everything, gives its privileges away, and then carries
//! messages between the door and the threads.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use earwitness_ipc::{CaptureStats, Command, DoorError, Event, Fault, FlowSeen, LostBy};
use earwitness_line::Door;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use thiserror::Error;

use crate::balance::{Books, Until, of_program};
use crate::clock::now_ns;
use crate::door::{Doorkeeper, Introduction};
use crate::keeper::{Chore, KeeperThread};
use crate::limits::{STATS_INTERVAL, STOP_TIMEOUT, TICK, UNHEARD_MAX};
use crate::link::LinkWatch;
use crate::options::RunOptions;
use crate::sandbox::{self, Folders, SandboxError};
use crate::setup::{self, SetupError};
use crate::steering::Steering;
use crate::tapping::Tapping;
use crate::thread::{Content, Crew, Order};

const KNOCK: Token = Token(0);
const GUEST: Token = Token(1);
const SIGNAL: Token = Token(2);
const LINKS: Token = Token(3);
const WAKE: Token = Token(4);

#[derive(Debug, Error)]
pub enum RunError {
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("the sandbox: {0}")]
    Sandbox(#[from] SandboxError),
    #[error("cannot {operation}: {source}")]
    Io { operation: &'static str, source: io::Error },
    /// Capture ended, but not all that was decided is durable.
    #[error("the end: {text}")]
    End { text: String },
}

impl RunError {
    /// Another capture process serves the folder.
    #[must_use]
    pub const fn is_in_use(&self) -> bool {
        matches!(self, Self::Setup(SetupError::Door { source: DoorError::InUse { .. } }))
    }
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leave {
    Signal,
    Command,
}

/// The main thread.
#[derive(Debug)]
struct Capture {
    poll: Poll,
    doorkeeper: Doorkeeper,
    signals: UnixStream,
    links: LinkWatch,
    taps: Vec<Tapping>,
    steering: Steering,
    crew: Crew,
    receivers: Vec<usize>,
    writers: Vec<usize>,
    keeper: KeeperThread,
    /// Latest statistics, by thread and source, and how often each thread has sent some.
    counted: Vec<Vec<CaptureStats>>,
    reports: Vec<u64>,
    books: Vec<Books>,
    /// Flows that a control plane was to be told of when it had just gone; the next one is.
    unheard: Vec<FlowSeen>,
    /// Announcements that found no room there.
    announcements_dropped: u64,
    /// What the threads were last told.
    door: Option<(Door, bool)>,
}

/// Captures until it is told to stop.
///
/// # Errors
/// [`RunError`]; its text names the remedy where there is one.
pub fn run(options: &RunOptions) -> Result<(), RunError> {
    let failed = |operation| move |source| RunError::Io { operation, source };
    let poll = Poll::new().map_err(failed("make an event loop"))?;
    let waker = Waker::new(poll.registry(), WAKE).map_err(failed("make a waker"))?;
    let signals = signal_pipe().map_err(failed("catch signals"))?;
    let mut opened = setup::open(options, Arc::new(waker))?;
    register(&poll, &opened.listener, KNOCK).map_err(failed("watch the door"))?;
    register(&poll, &signals, SIGNAL).map_err(failed("watch signals"))?;
    register(&poll, &opened.links, LINKS).map_err(failed("watch links"))?;
    let steering = Steering::default();
    // Nothing is opened from here on.
    let entered = sandbox::enter(&opened.segments, &opened.run_dir)?;
    if entered.folders != Folders::Enforced {
        tracing::warn!(landlock = ?entered.folders, "this kernel does not enforce all of the sandbox");
    }
    let go = Arc::new(Barrier::new(opened.crew.len() + 1));
    opened.crew.start(&go).map_err(failed("start threads"))?;
    let keeper =
        KeeperThread::start(opened.keepers, &opened.crew).map_err(failed("start the keeper"))?;
    entered.seal()?;
    go.wait();
    let introduction = Introduction {
        config_digest: options.config_digest,
        sources: opened.taps.iter().map(|tap| tap.info.clone()).collect(),
        lanes: opened.lanes,
    };
    let hold = Duration::from_millis(options.hold_ms);
    let threads = opened.crew.len();
    let capture = Capture {
        poll,
        doorkeeper: Doorkeeper::new(opened.listener, GUEST, introduction, hold),
        signals,
        links: opened.links,
        counted: vec![Vec::new(); threads],
        reports: vec![0; threads],
        books: opened.taps.iter().map(|_| Books::default()).collect(),
        taps: opened.taps,
        steering,
        crew: opened.crew,
        receivers: opened.receivers,
        writers: opened.writers,
        keeper,
        unheard: Vec::new(),
        announcements_dropped: 0,
        door: None,
    };
    tracing::info!(pid = std::process::id(), "capturing");
    capture.work()
}

impl Capture {
    fn work(mut self) -> Result<(), RunError> {
        let mut events = Events::with_capacity(64);
        let mut told = Instant::now();
        let why = loop {
            match self.poll.poll(&mut events, Some(TICK)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(RunError::Io { operation: "wait for events", source: error });
                }
                _ => {}
            }
            // mio tells edges, and a full queue may have kept us from reading: everything is looked at each time.
            self.read_reports();
            let command = self.read_door();
            if let Some(why) = self.signalled().or(command) {
                break why;
            }
            self.read_links();
            self.tell_door();
            if told.elapsed() >= STATS_INTERVAL {
                told = Instant::now();
                self.tell_stats(Until::Now);
            }
        };
        tracing::info!(?why, "stopping");
        self.stop()
    }

    fn signalled(&mut self) -> Option<Leave> {
        let mut bytes = [0; 8];
        match self.signals.read(&mut bytes) {
            Ok(count) if count > 0 => Some(Leave::Signal),
            _ => None,
        }
    }

    /// Reads the door for as long as what it says finds room.
    fn read_door(&mut self) -> Option<Leave> {
        // Who is in comes first: if it has gone, the next may enter.
        loop {
            while self.crew.has_room() && self.keeper.has_room() {
                match self.doorkeeper.receive(self.poll.registry()) {
                    Some(Command::Shutdown) => return Some(Leave::Command),
                    Some(command) => self.obey(command),
                    None => break,
                }
            }
            self.doorkeeper.flush(self.poll.registry());
            if !self.doorkeeper.admit(self.poll.registry()) {
                return None;
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Release(segments) => self.keeper.ask(Chore::Release(segments)),
            Command::Erase(erasures) => self.keeper.ask(Chore::Erase(erasures)),
            // One lane's log says it.
            Command::Note(_) => {
                if let Some(&first) = self.writers.first() {
                    self.crew.order(first, Order::Command(Arc::new(command)));
                }
            }
            Command::Verdicts(_) | Command::LearnTcp(_) => {
                for fault in self.steering.apply(&command, &self.taps) {
                    self.doorkeeper.send(fault);
                }
                self.crew.order_all(&Order::Command(Arc::new(command)));
            }
            Command::Hello { .. } | Command::Shutdown => {}
        }
    }

    fn read_reports(&mut self) {
        while let Ok(report) = self.crew.reports().try_recv() {
            match report.content {
                Content::Flows(flows) => self.tell_flows(flows),
                Content::Stats(stats) => {
                    self.counted[report.thread] = stats;
                    self.reports[report.thread] += 1;
                }
                Content::Fault { fault, text } => {
                    tracing::warn!(?fault, "{text}");
                    self.doorkeeper.send(Event::error(fault, &text));
                }
                Content::Overheard(packets) => _ = self.doorkeeper.send(Event::Overheard(packets)),
                Content::Erased(erased) => _ = self.doorkeeper.send(Event::Erased(erased)),
                // Only asked for by `stop`, which reads by itself.
                Content::Stopped { stats, .. } => self.counted[report.thread] = stats,
            }
        }
    }

    fn tell_flows(&mut self, mut flows: Vec<FlowSeen>) {
        if self.doorkeeper.is_greeted() && self.doorkeeper.send(Event::FlowsSeen(flows.clone())) {
            return;
        }
        let room = UNHEARD_MAX.saturating_sub(self.unheard.len());
        self.announcements_dropped += flows.len().saturating_sub(room) as u64;
        flows.truncate(room);
        self.unheard.append(&mut flows);
    }

    fn read_links(&mut self) {
        let news = match self.links.read() {
            Ok(news) => news,
            Err(error) => {
                tracing::warn!(%error, "news of interfaces were lost");
                return;
            }
        };
        for link in news {
            let Some(tap) = self.taps.iter_mut().find(|tap| tap.interface.name == link.name) else {
                continue;
            };
            if let Some(text) = tap.learn(&link) {
                tracing::warn!("{text}");
                self.doorkeeper.send(Event::error(Fault::Source, &text));
            }
            if tap.renew(&link) {
                let (source, index) = (tap.interface.source, link.index);
                for &thread in &self.receivers {
                    self.crew.order(thread, Order::Renew { source, index });
                }
            }
        }
    }

    /// Tells the threads whether somebody decides, when that changes.
    fn tell_door(&mut self) {
        let door = if self.doorkeeper.decides() { Door::Connected } else { Door::Absent };
        let announce = self.doorkeeper.is_greeted();
        if announce && !self.unheard.is_empty() {
            let flows = std::mem::take(&mut self.unheard);
            self.tell_flows(flows);
        }
        if self.door != Some((door, announce)) && self.crew.has_room() {
            self.door = Some((door, announce));
            self.crew.order_all(&Order::Door { door, announce });
        }
    }

    fn tell_stats(&mut self, until: Until) -> Vec<CaptureStats> {
        let ts_ns = now_ns();
        let mut elsewhere = LostBy::default();
        let mut statements = Vec::new();
        for at in 0..self.taps.len() {
            let tap = &mut self.taps[at];
            let mut parts = CaptureStats::default();
            // Threads first: what the program counts later is under way.
            for of_thread in &self.counted {
                if let Some(stats) = of_thread.get(at) {
                    parts.add(stats);
                }
            }
            if at == 0 {
                parts.events_dropped += self.announcements_dropped;
            }
            let mut before = tap.lost();
            parts.received += before.nic;
            parts.lost.add(&before);
            if let Some(program) = tap.counters() {
                let counted = of_program(&program);
                before.add(&counted.lost);
                parts.add(&counted);
            }
            before.fill_ring += parts.lost.fill_ring;
            before.receive_ring += parts.lost.receive_ring;
            before.reassembly += self.reassembly_lost(at);
            elsewhere.add(&before);
            let mut stats = self.books[at].close(parts, &self.reports, until);
            stats.source = at as u8;
            stats.ts_ns = ts_ns;
            self.doorkeeper.send(Event::Stats(Box::new(stats.clone())));
            statements.push(stats);
        }
        // For one lane's log; the others would say it again.
        if let Some(&first) = self.writers.first() {
            self.crew.order(first, Order::Lost(elsewhere));
        }
        statements
    }

    /// What receivers gave up of fragments: writers count their own.
    fn reassembly_lost(&self, source: usize) -> u64 {
        let of = |&thread: &usize| self.counted[thread].get(source);
        self.receivers.iter().filter_map(of).map(|stats| stats.lost.reassembly).sum()
    }

    /// No more comes; what is decided is written, and the log says that capture ended.
    fn stop(mut self) -> Result<(), RunError> {
        let deadline = Instant::now() + STOP_TIMEOUT;
        self.taps.iter_mut().for_each(Tapping::detach);
        let mut failures = Vec::new();
        let receivers = std::mem::take(&mut self.receivers);
        self.end(&receivers, deadline, &mut failures);
        self.receivers = receivers;
        // The last losses go into the log before it closes.
        self.tell_stats(Until::Now);
        let writers = std::mem::take(&mut self.writers);
        self.end(&writers, deadline, &mut failures);
        for stats in self.tell_stats(Until::End) {
            tracing::info!(
                source = stats.source,
                received = stats.received,
                stored = stats.stored,
                ignored = stats.ignored,
                unmatched = stats.unmatched,
                lost = stats.lost.total(),
                "stopped"
            );
        }
        self.doorkeeper.flush(self.poll.registry());
        self.keeper.stop();
        if failures.is_empty() { Ok(()) } else { Err(RunError::End { text: failures.join("; ") }) }
    }

    /// Stops threads, and waits for their last words.
    fn end(&mut self, threads: &[usize], deadline: Instant, failures: &mut Vec<String>) {
        let mut waited_for: Vec<usize> = threads.to_vec();
        let mut unordered = threads.to_vec();
        while !waited_for.is_empty() {
            unordered.retain(|&thread| !self.crew.order(thread, Order::Stop));
            let Ok(report) = self.crew.reports().recv_timeout(TICK) else {
                if Instant::now() >= deadline {
                    failures.push(format!("{} threads did not end in time", waited_for.len()));
                    return;
                }
                continue;
            };
            match report.content {
                Content::Stopped { stats, failure } => {
                    self.counted[report.thread] = stats;
                    waited_for.retain(|&thread| thread != report.thread);
                    failures.extend(failure);
                }
                Content::Stats(stats) => self.counted[report.thread] = stats,
                Content::Flows(flows) => self.tell_flows(flows),
                Content::Overheard(packets) => _ = self.doorkeeper.send(Event::Overheard(packets)),
                Content::Erased(erased) => _ = self.doorkeeper.send(Event::Erased(erased)),
                Content::Fault { fault, text } => {
                    self.doorkeeper.send(Event::error(fault, &text));
                }
            }
        }
    }
}

/// SIGTERM and SIGINT, as bytes in a pipe.
fn signal_pipe() -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
    }
    Ok(read)
}

fn register(poll: &Poll, of: &impl AsRawFd, token: Token) -> io::Result<()> {
    poll.registry().register(&mut SourceFd(&of.as_raw_fd()), token, Interest::READABLE)
}
