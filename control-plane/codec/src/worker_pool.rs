//! Client of the sandboxed program `earwitness-codec`: bounded processes, streams on them.
//!
//! A stream goes to a process of its own while there are processes to start; past that, streams
//! share. Requests on one process take turns. A process that crashes, hangs or answers nonsense is
//! killed and counted; its streams learn of it at their next request. The caller's process is never
//! at risk: answers are checked like any foreign bytes.

mod process;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::limits::{OPENINGS_MAX, STREAMS_PER_WORKER_MAX, WORKER_CPU_RETIRE_MS};
use crate::protocol::{Direction, Reply, Request, StreamFormat};
use process::Process;

/// The environment variable that names the program.
pub const PROGRAM_VARIABLE: &str = "EARWITNESS_CODEC";
/// The program's name, looked for beside the running executable.
pub const PROGRAM_NAME: &str = "earwitness-codec";

/// How worker processes are run.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// The program; without it [`PROGRAM_VARIABLE`], then [`PROGRAM_NAME`] beside this executable.
    pub program: Option<PathBuf>,
    /// Processes at one time, at most (and at least 1). Streams beyond that share them.
    pub workers_max: usize,
    /// Time for one request; past it the worker is killed.
    pub request_timeout: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self { program: None, workers_max: 4, request_timeout: Duration::from_secs(20) }
    }
}

/// How a worker process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    Exited {
        code: i32,
    },
    /// By a signal; `SIGSYS` is a forbidden system call.
    Killed {
        signal: i32,
    },
    /// It did not answer in time and was killed.
    TimedOut,
    /// It answered what no worker answers and was killed.
    Protocol {
        what: &'static str,
    },
    /// The socket to it broke.
    Pipe {
        kind: std::io::ErrorKind,
    },
}

/// A worker process ended with the streams it held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("worker process {pid} ended: {cause:?}")]
pub struct WorkerDied {
    pub pid: u32,
    pub cause: Death,
    /// The worker ended over another stream's request: this stream is not to blame.
    pub bystander: bool,
}

/// Why no worker could take a stream.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("no worker program at {}", searched.display())]
    Missing { searched: PathBuf },
    #[error("cannot start {}", program.display())]
    Spawn {
        program: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("all workers hold {streams_max} streams each")]
    Busy { streams_max: usize },
    #[error("refused: {reason}")]
    Refused { reason: String },
    #[error(transparent)]
    Died(#[from] WorkerDied),
}

/// What the pool has done since it was made; all but the first two only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkerCounters {
    /// Processes now.
    pub workers: u64,
    /// Streams now.
    pub streams: u64,
    pub spawned: u64,
    /// Replaced after their share of work.
    pub retired: u64,
    /// Crashed, hung, or gone astray.
    pub died: u64,
    /// Of those, the ones that hung.
    pub timed_out: u64,
    pub requests: u64,
    pub frames: u64,
    /// Frames that a codec refused.
    pub frames_refused: u64,
}

#[derive(Debug, Default)]
struct Counters {
    spawned: AtomicU64,
    retired: AtomicU64,
    died: AtomicU64,
    timed_out: AtomicU64,
    requests: AtomicU64,
    frames: AtomicU64,
    frames_refused: AtomicU64,
}

/// Bounded worker processes, started when needed and kept while idle.
#[derive(Debug)]
pub struct WorkerPool {
    options: WorkerOptions,
    slots: Mutex<Vec<Arc<Slot>>>,
    counters: Counters,
}

impl WorkerPool {
    /// A pool without processes yet; they start with the first stream that needs one.
    #[must_use]
    pub fn new(options: WorkerOptions) -> Self {
        Self { options, slots: Mutex::default(), counters: Counters::default() }
    }

    /// How it was set up.
    #[must_use]
    pub fn options(&self) -> &WorkerOptions {
        &self.options
    }

    /// The program that is started as worker.
    pub fn program(&self) -> Result<PathBuf, WorkerError> {
        let named = self.options.program.clone().or_else(|| {
            std::env::var_os(PROGRAM_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
        });
        let program = named.unwrap_or_else(|| {
            let here = std::env::current_exe().unwrap_or_default();
            here.parent().unwrap_or(Path::new("/")).join(PROGRAM_NAME)
        });
        if program.is_file() {
            Ok(program)
        } else {
            Err(WorkerError::Missing { searched: program })
        }
    }

    /// What it has done.
    #[must_use]
    pub fn counters(&self) -> WorkerCounters {
        let slots = lock(&self.slots);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        WorkerCounters {
            workers: slots.iter().filter_map(|slot| slot.pid()).count() as u64,
            streams: slots.iter().map(|slot| slot.load() as u64).sum(),
            spawned: read(&self.counters.spawned),
            retired: read(&self.counters.retired),
            died: read(&self.counters.died),
            timed_out: read(&self.counters.timed_out),
            requests: read(&self.counters.requests),
            frames: read(&self.counters.frames),
            frames_refused: read(&self.counters.frames_refused),
        }
    }

    /// Process ids of the workers there are.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        lock(&self.slots).iter().filter_map(|slot| slot.pid()).collect()
    }

    /// Opens a stream on the least busy worker.
    pub(crate) fn open(
        self: &Arc<Self>,
        direction: Direction,
        format: StreamFormat,
    ) -> Result<Session, WorkerError> {
        let program = self.program()?;
        for _ in 1..OPENINGS_MAX {
            // A worker may end over another stream between being chosen and being asked.
            match self.open_once(&program, direction, format) {
                Err(WorkerError::Died(WorkerDied { bystander: true, .. })) => {}
                result => return result,
            }
        }
        self.open_once(&program, direction, format)
    }

    fn open_once(
        self: &Arc<Self>,
        program: &Path,
        direction: Direction,
        format: StreamFormat,
    ) -> Result<Session, WorkerError> {
        let (slot, stream) = self.place()?;
        let session = Session { pool: Arc::clone(self), slot, stream };
        session.start(program)?;
        let request = Request::Open { stream, direction, format };
        match session.ask(&request)? {
            Reply::Opened => Ok(session),
            Reply::Refused { reason } => Err(WorkerError::Refused { reason }),
            Reply::Done { .. } | Reply::Closed => {
                Err(session.astray("another answer than to an opening").into())
            }
        }
    }

    /// A worker for one more stream: an idle one, a new one, or the one with the fewest.
    fn place(&self) -> Result<(Arc<Slot>, u32), WorkerError> {
        let mut slots = lock(&self.slots);
        slots.retain(|slot| {
            let cpu_ms = slot.cpu_ms.load(Ordering::Relaxed);
            let worn = slot.load() == 0 && cpu_ms > WORKER_CPU_RETIRE_MS;
            if worn {
                self.counters.retired.fetch_add(1, Ordering::Relaxed);
            }
            !worn
        });
        let least = slots.iter().min_by_key(|slot| slot.load());
        let room = slots.len() < self.options.workers_max.max(1);
        let slot = match least {
            Some(slot) if slot.load() == 0 || !room => Arc::clone(slot),
            _ => {
                slots.push(Arc::default());
                Arc::clone(&slots[slots.len() - 1])
            }
        };
        let mut streams = lock(&slot.streams);
        if streams.open.len() >= STREAMS_PER_WORKER_MAX {
            return Err(WorkerError::Busy { streams_max: STREAMS_PER_WORKER_MAX });
        }
        streams.last = streams.last.wrapping_add(1);
        let stream = streams.last;
        streams.open.insert(stream);
        drop(streams);
        Ok((slot, stream))
    }

    fn remove(&self, gone: &Arc<Slot>) {
        lock(&self.slots).retain(|slot| !Arc::ptr_eq(slot, gone));
    }
}

/// A place for one process.
///
/// `state` is held for as long as a request takes: nobody waits for it who holds the pool's slots.
#[derive(Debug, Default)]
struct Slot {
    state: Mutex<State>,
    streams: Mutex<Streams>,
    /// Of the running process, or 0.
    pid: AtomicU32,
    cpu_ms: AtomicU64,
}

impl Slot {
    fn pid(&self) -> Option<u32> {
        Some(self.pid.load(Ordering::Relaxed)).filter(|&pid| pid != 0)
    }

    fn enter(&self, process: Option<&Process>) {
        self.pid.store(process.map_or(0, Process::pid), Ordering::Relaxed);
    }

    fn load(&self) -> usize {
        lock(&self.streams).open.len()
    }
}

#[derive(Debug, Default)]
struct Streams {
    open: HashSet<u32>,
    last: u32,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Vacant,
    Running(Process),
    Dead(WorkerDied),
}

/// One stream on a worker; dropped, it is closed there.
#[derive(Debug)]
pub(crate) struct Session {
    pool: Arc<WorkerPool>,
    slot: Arc<Slot>,
    stream: u32,
}

impl Session {
    /// Has the worker decode or encode items, in order. One result for each: bytes, or none where
    /// the codec refused the item.
    pub(crate) fn work(&self, items: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, WorkerDied> {
        let request = Request::Work { stream: self.stream, items: items.to_vec() };
        let results = match self.ask(&request)? {
            Reply::Done { results, .. } if results.len() == items.len() => results,
            _ => return Err(self.astray("another answer than to work")),
        };
        let refused = results.iter().filter(|result| result.is_none()).count() as u64;
        self.pool.counters.frames.fetch_add(items.len() as u64, Ordering::Relaxed);
        self.pool.counters.frames_refused.fetch_add(refused, Ordering::Relaxed);
        Ok(results)
    }

    /// Ends a worker that answered what it should not.
    pub(crate) fn astray(&self, what: &'static str) -> WorkerDied {
        let mut state = lock(&self.slot.state);
        self.bury(&mut state, Death::Protocol { what })
    }

    fn start(&self, program: &Path) -> Result<(), WorkerError> {
        let mut state = lock(&self.slot.state);
        if matches!(&*state, State::Vacant) {
            match Process::spawn(program, self.pool.options.request_timeout) {
                Ok(process) => {
                    self.slot.enter(Some(&process));
                    *state = State::Running(process);
                    self.pool.counters.spawned.fetch_add(1, Ordering::Relaxed);
                }
                Err(source) => {
                    drop(state);
                    self.pool.remove(&self.slot);
                    return Err(WorkerError::Spawn { program: program.to_owned(), source });
                }
            }
        }
        Ok(())
    }

    fn ask(&self, request: &Request<'_>) -> Result<Reply, WorkerDied> {
        let mut state = lock(&self.slot.state);
        self.pool.counters.requests.fetch_add(1, Ordering::Relaxed);
        let cause = match &mut *state {
            State::Running(process) => match process.ask(request) {
                Ok(reply) => {
                    self.slot.cpu_ms.store(process.cpu_ms(), Ordering::Relaxed);
                    return Ok(reply);
                }
                Err(cause) => cause,
            },
            State::Dead(died) => return Err(WorkerDied { bystander: true, ..*died }),
            // A spawn failed for the stream that shared this place.
            State::Vacant => Death::Pipe { kind: std::io::ErrorKind::NotConnected },
        };
        Err(self.bury(&mut state, cause))
    }

    /// Kills and reaps the process, and takes its place out of the pool.
    fn bury(&self, state: &mut MutexGuard<'_, State>, cause: Death) -> WorkerDied {
        let died = match std::mem::take(&mut **state) {
            State::Running(mut process) => {
                let (pid, cause) = (process.pid(), process.end(cause));
                self.pool.counters.died.fetch_add(1, Ordering::Relaxed);
                if cause == Death::TimedOut {
                    self.pool.counters.timed_out.fetch_add(1, Ordering::Relaxed);
                }
                WorkerDied { pid, cause, bystander: false }
            }
            State::Vacant => WorkerDied { pid: 0, cause, bystander: true },
            State::Dead(died) => WorkerDied { bystander: true, ..died },
        };
        **state = State::Dead(died);
        self.slot.enter(None);
        self.pool.remove(&self.slot);
        died
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.slot.pid().is_some() {
            // Whether it can still be told makes no difference to a stream that ends.
            let _ = self.ask(&Request::Close { stream: self.stream });
        }
        lock(&self.slot.streams).open.remove(&self.stream);
    }
}

/// A lock whose holder panicked guards nothing that could be half done: each change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
