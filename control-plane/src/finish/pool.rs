//! Threads that finish calls. What cannot be finished now is tried again; nobody waits for it.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, SendError, Sender, bounded};
use earwitness_codec::Decoders;
use earwitness_recording::RenderOptions;
use earwitness_wire::Endpoint;

use super::job::{self, Done, JobError, Workshop};
use super::source::SharedLog;
use crate::call::{Call, Prefer};
use crate::metrics::Metrics;

/// Jobs handed to the threads ahead of their work.
const QUEUE_JOBS: usize = 256;
/// Packets of the calls that are finished together: about what is kept of their payloads in memory.
const BATCH_PACKETS: u64 = 170_000;
/// For so long a thread keeps its log open while there are calls: segments that were removed meanwhile keep their
/// room on the disk until then.
const LOG_HELD_MAX: Duration = Duration::from_secs(10);

/// What all jobs share.
#[derive(Debug)]
pub struct PoolOptions {
    pub data_dir: PathBuf,
    pub threads: usize,
    pub render: RenderOptions,
    pub aliases: Vec<(Endpoint, Endpoint)>,
    pub prefer: Prefer,
    pub decoders: Decoders,
    /// How long after a failure a call is tried again.
    pub retry: Duration,
}

/// What became of a call.
#[derive(Debug)]
pub enum Outcome {
    Done(Box<Done>),
    /// It is tried again later.
    Failed {
        call: String,
        error: JobError,
    },
}

/// What a thread reports. A call is given back only where it must be tried again.
#[derive(Debug)]
enum Answer {
    Done { call: String, done: Box<Done> },
    Failed { call: Box<Call>, error: JobError },
}

/// The threads and what waits for them.
#[derive(Debug)]
pub struct FinishPool {
    options: Arc<PoolOptions>,
    waiting: VecDeque<Box<Call>>,
    /// Calls without media, by their start: finished where they were handed in, and not reported yet.
    ready: Vec<(u64, Box<Done>)>,
    failed: Vec<(Instant, Box<Call>)>,
    /// Starts of calls at the threads, to know from where the log is still needed.
    at_work: HashMap<String, u64>,
    jobs: Option<Sender<Box<Call>>>,
    answers: Receiver<Answer>,
    threads: Vec<JoinHandle<()>>,
    metrics: Arc<Metrics>,
}

impl FinishPool {
    /// Starts the threads.
    #[must_use]
    pub fn start(options: PoolOptions, metrics: &Arc<Metrics>) -> Self {
        let (jobs, queue) = bounded::<Box<Call>>(QUEUE_JOBS);
        let (report, answers) = bounded::<Answer>(2 * QUEUE_JOBS);
        let count = options.threads.max(1);
        let options = Arc::new(options);
        let spawn = |index: usize| {
            let (queue, report) = (queue.clone(), report.clone());
            let (options, metrics) = (Arc::clone(&options), Arc::clone(metrics));
            std::thread::Builder::new()
                .name(format!("finish-{index}"))
                .spawn(move || work(&queue, &report, &options, &metrics))
                .expect("a thread can be started at start-up")
        };
        let threads = (0..count).map(spawn).collect();
        Self {
            options,
            waiting: VecDeque::new(),
            ready: Vec::new(),
            failed: Vec::new(),
            at_work: HashMap::new(),
            jobs: Some(jobs),
            answers,
            threads,
            metrics: Arc::clone(metrics),
        }
    }

    /// Adds a call; it never waits.
    pub fn submit(&mut self, call: Box<Call>) {
        if call.media.flows.is_empty() {
            // Only rows are to be made: less work than to wake a thread.
            let started_ns = call.started_ns;
            let done = job::finish_silent(call, &shop(&self.options));
            self.ready.push((started_ns, Box::new(done)));
            return;
        }
        self.waiting.push_back(call);
        self.hand_out();
    }

    /// Calls that are not finished yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.ready.len() + self.waiting.len() + self.failed.len() + self.at_work.len()
    }

    /// The start of the oldest call that is not finished yet: from there on the log is still needed.
    #[must_use]
    pub fn oldest_ns(&self) -> Option<u64> {
        let waiting = self.waiting.iter().chain(self.failed.iter().map(|(_, call)| call));
        waiting
            .map(|call| call.started_ns)
            .chain(self.ready.iter().map(|(at_ns, _)| *at_ns))
            .chain(self.at_work.values().copied())
            .min()
    }

    /// What was done since the last time.
    pub fn poll(&mut self) -> Vec<Outcome> {
        let now = Instant::now();
        let due = self.failed.extract_if(.., |(at, _)| *at <= now).map(|(_, call)| call);
        self.waiting.extend(due);
        let answers: Vec<Answer> = self.answers.try_iter().collect();
        let mut outcomes: Vec<Outcome> =
            self.ready.drain(..).map(|(_, done)| Outcome::Done(done)).collect();
        outcomes.extend(answers.into_iter().map(|answer| self.take(answer)));
        self.hand_out();
        self.metrics.recordings_pending.set(self.pending() as i64);
        outcomes
    }

    /// Waits a while for something to be done.
    pub fn wait(&mut self, at_most: Duration) -> Vec<Outcome> {
        if !self.ready.is_empty() {
            return self.poll();
        }
        match self.answers.recv_timeout(at_most) {
            Ok(answer) => {
                let mut outcomes = vec![self.take(answer)];
                outcomes.extend(self.poll());
                outcomes
            }
            Err(_) => self.poll(),
        }
    }

    fn take(&mut self, answer: Answer) -> Outcome {
        match answer {
            Answer::Done { call, done } => {
                self.at_work.remove(&call);
                Outcome::Done(done)
            }
            Answer::Failed { call, error } => {
                self.at_work.remove(&call.id);
                let id = call.id.clone();
                self.failed.push((Instant::now() + self.options.retry, call));
                Outcome::Failed { call: id, error }
            }
        }
    }

    fn hand_out(&mut self) {
        let Some(jobs) = &self.jobs else { return };
        while let Some(call) = self.waiting.pop_front() {
            let (id, started_ns) = (call.id.clone(), call.started_ns);
            if let Err(full) = jobs.try_send(call) {
                self.waiting.push_front(full.into_inner());
                return;
            }
            self.at_work.insert(id, started_ns);
        }
    }
}

impl Drop for FinishPool {
    fn drop(&mut self) {
        self.jobs = None;
        // A thread that has something to report must not wait for a reader that is gone.
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            let _ = self.answers.recv_timeout(Duration::from_millis(10));
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread that finishes recordings has panicked");
            }
        }
    }
}

fn shop(options: &PoolOptions) -> Workshop<'_> {
    Workshop {
        data_dir: &options.data_dir,
        options: &options.render,
        aliases: &options.aliases,
        prefer: options.prefer,
        decoders: &options.decoders,
    }
}

fn work(
    queue: &Receiver<Box<Call>>,
    report: &Sender<Answer>,
    options: &PoolOptions,
    metrics: &Metrics,
) {
    let shop = shop(options);
    let mut held = None;
    while let Ok(call) = queue.recv() {
        let calls = batch(call, queue, options.threads);
        if finish(calls, &shop, &mut held, metrics, report).is_err() {
            return;
        }
        if queue.is_empty() {
            held = None;
        }
    }
}

/// Calls that are finished together: this thread's share of those that wait, up to a bound of packets.
#[expect(clippy::vec_box, reason = "calls move from queue to queue in their boxes")]
fn batch(first: Box<Call>, queue: &Receiver<Box<Call>>, threads: usize) -> Vec<Box<Call>> {
    let packets = |call: &Call| call.media.flows.iter().map(|flow| flow.packets).sum::<u64>();
    let mut sum = packets(&first);
    let mut calls = vec![first];
    let share = queue.len() / threads.max(1);
    while calls.len() <= share
        && sum < BATCH_PACKETS
        && let Ok(call) = queue.try_recv()
    {
        sum += packets(&call);
        calls.push(call);
    }
    calls
}

/// A log that is used for one call after the other: a block is checked once for all that have packets in it.
struct HeldLog {
    log: SharedLog,
    opened: Instant,
}

/// Each call is reported as soon as it is done; those that failed, when all are.
#[expect(clippy::vec_box, reason = "calls move from queue to queue in their boxes")]
fn finish(
    calls: Vec<Box<Call>>,
    shop: &Workshop<'_>,
    held: &mut Option<HeldLog>,
    metrics: &Metrics,
    report: &Sender<Answer>,
) -> Result<(), SendError<Answer>> {
    held.take_if(|held| held.opened.elapsed() > LOG_HELD_MAX);
    let open = || shop.open_log().map(|log| HeldLog { log, opened: Instant::now() });
    let log = match held.take().map_or_else(open, Ok) {
        Ok(log) => held.insert(log),
        Err(source) => {
            let failed = |call| {
                let error = JobError::Log { source: Arc::clone(&source) };
                report.send(Answer::Failed { call, error })
            };
            return calls.into_iter().try_for_each(failed);
        }
    };
    let mut errors: Vec<Option<JobError>> = Vec::with_capacity(calls.len());
    let mut began = Instant::now();
    for (call, result) in calls.iter().zip(job::finish(&calls, shop, &log.log)) {
        errors.push(match result {
            Ok(done) => {
                if !done.recordings.is_empty() {
                    metrics.finish_seconds.observe(began.elapsed().as_secs_f64());
                }
                report.send(Answer::Done { call: call.id.clone(), done: Box::new(done) })?;
                None
            }
            Err(error) => Some(error),
        });
        began = Instant::now();
    }
    let failed = calls.into_iter().zip(errors).filter_map(|(call, error)| Some((call, error?)));
    failed.map(|(call, error)| Answer::Failed { call, error }).try_for_each(|a| report.send(a))
}
