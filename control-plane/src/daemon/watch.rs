//! The thread that follows the log and owns the calls.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use earwitness_catalog::Write;
use earwitness_ipc::Command;

use super::bookmark::{self, Bookmarks};
use super::capture::Capture;
use super::desk::Desk;
use super::orphans::Orphans;
use super::reload::{Done, Reload};
use super::{DaemonError, Past};
use crate::call::Call;
use crate::config::Config;
use crate::finish::{Clerk, Findings, FinishPool, Outcome, Pace, call_row};
use crate::follow::{self, CURSORS, LogFollower};
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::rules::Rules;
use crate::setup;

/// Records read at one go: of signalling in all, of media from each lane.
const BUDGET: usize = 20_000;
/// Sleep when there was nothing to read.
const NAP: Duration = Duration::from_millis(2);
/// Between two writes of changed calls and cursors.
const WRITE_INTERVAL: Duration = Duration::from_millis(500);
/// Between two looks for new lanes and for segments to release.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks for lanes while capture does not answer: shorter than messages settle.
const LANES_INTERVAL: Duration = Duration::from_millis(20);
/// So long after capture was asked to destroy something it is asked again.
const ERASE_INTERVAL: Duration = Duration::from_secs(10);
/// Beyond `hold`, how far records of one call may lie apart in the log.
const MARGIN_NS: u64 = 2_000_000_000;
/// How long recordings may take to be finished when the daemon stops; the rest is done at the next start.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Everything that the thread owns.
#[derive(Debug)]
pub(super) struct Watcher {
    data_dir: PathBuf,
    follower: LogFollower,
    intake: Intake,
    pool: FinishPool,
    clerk: Clerk,
    capture: Capture,
    desk: Desk,
    bookmarks: Bookmarks,
    reload: Reload,
    margin_ns: u64,
    log_bytes_max: u64,
    /// Calls that an earlier process finished, by id; the log is read again from before their end.
    finished: HashMap<String, String>,
    orphans: Orphans,
    /// Up to when the log is read.
    read_ns: u64,
    looked: Instant,
    wrote: Instant,
    kept_house: Instant,
    asked_again: Instant,
    metrics: Arc<Metrics>,
}

impl Watcher {
    pub(super) fn start(
        config: &Config,
        past: Past,
        capture: Capture,
        (rules, reload): (Rules, Reload),
        metrics: &Arc<Metrics>,
    ) -> Result<Self, DaemonError> {
        let data_dir = config.data_dir.clone();
        // What it counts was counted by the process that read it first.
        let uncounted = Arc::new(Metrics::new());
        let before = setup::intake(config, rules.clone(), &uncounted);
        let before = LogFollower::registrations(&data_dir, &past.note, before, &uncounted)?;
        let mut intake = setup::intake(config, rules, metrics);
        intake.remember_registrations(before);
        Ok(Self {
            follower: LogFollower::open(&data_dir, &past.note.cursors, metrics)?,
            intake,
            pool: setup::finish_pool(config, &data_dir, metrics, setup::cores() - 1)?,
            clerk: Clerk::start(&data_dir, Pace::Prompt, metrics)?,
            capture,
            desk: Desk::open(&data_dir, &config.policy.files).map_err(|source| {
                DaemonError::System { what: "serve run/control.sock in the data folder", source }
            })?,
            bookmarks: Bookmarks::starting_at(past.note),
            reload,
            margin_ns: config.capture.hold_ms * 1_000_000 + MARGIN_NS,
            log_bytes_max: config.capture.log_mib_max << 20,
            looked: Instant::now(),
            wrote: Instant::now(),
            kept_house: Instant::now(),
            asked_again: Instant::now(),
            metrics: Arc::clone(metrics),
            finished: past.finished.into_iter().collect(),
            orphans: Orphans::new(past.open, wall_ns()),
            read_ns: 0,
            data_dir,
        })
    }

    pub(super) fn run(mut self, stop: &AtomicBool) -> Result<(), DaemonError> {
        let result = loop {
            if stop.load(Ordering::Relaxed) {
                break Ok(());
            }
            match self.round() {
                Ok(0) => std::thread::sleep(NAP),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        // Whoever stops us, or what: the HTTP side ends, too.
        stop.store(true, Ordering::Relaxed);
        result?;
        self.stop()
    }

    /// One round; returns how many records were read.
    fn round(&mut self) -> Result<usize, DaemonError> {
        let news = self.capture.attend()?;
        if news.connected {
            let verdicts = self.intake.table.all_verdicts();
            self.capture.tell_all(verdicts, self.intake.all_learned());
            self.erase_again();
        }
        self.intake.erased(&news.erased);
        self.look_for_lanes(news.connected)?;
        self.look_for_policies();
        let until_ns = self.follower.settled_ns(wall_ns());
        let signalling = self.follower.signalling(until_ns, BUDGET, &mut self.intake);
        news.flows.iter().for_each(|seen| self.intake.flow_seen(seen));
        self.intake.overheard(&news.overheard);
        let Self { desk, intake, reload, .. } = self;
        let asks = desk.serve(wall_ns(), |call, command| intake.command(call, command));
        let failed: Vec<Done> = asks.into_iter().filter_map(|ask| reload.ask(ask)).collect();
        failed.into_iter().for_each(|done| self.policies_were_read(done));
        self.command();
        let media = self.follower.media(BUDGET, &mut self.intake);
        let Self { bookmarks, follower, .. } = self;
        bookmarks.note(wall_ns(), || follower.cursors());
        // Time is what was read: after a start the log is ahead.
        self.read_ns = self.follower.read_until(until_ns);
        self.intake.tick(self.read_ns);
        self.command();
        self.finish_calls()?;
        self.write()?;
        self.keep_house()?;
        Ok(signalling + media)
    }

    /// Capture makes its lanes one after the other when it starts, and then receives: all must be known before the first
    /// is read, or the answer in one comes before the request in another.
    fn look_for_lanes(&mut self, just_answered: bool) -> Result<(), DaemonError> {
        let starting = !self.capture.answers() && self.looked.elapsed() >= LANES_INTERVAL;
        if just_answered || starting {
            self.looked = Instant::now();
            self.follower.look_for_lanes(&Vec::new())?;
        }
        Ok(())
    }

    fn look_for_policies(&mut self) {
        if let Some(done) = self.reload.attend() {
            self.policies_were_read(done);
        }
    }

    /// Whoever asked for them is answered when they are in force.
    fn policies_were_read(&mut self, done: Done) {
        if let Some(rules) = done.rules {
            self.metrics.policy(&rules);
            self.intake.table.set_rules(rules, self.read_ns);
        }
        if let Some(guest) = done.guest {
            self.desk.answer(guest, &done.answer);
        }
    }

    /// What capture has not said to be done.
    fn erase_again(&mut self) {
        self.asked_again = Instant::now();
        let again = self.intake.table.erasures.again();
        self.capture.send((!again.is_empty()).then_some(Command::Erase(again)));
    }

    fn command(&mut self) {
        let commands = self.intake.take_commands();
        self.capture.send(commands);
    }

    fn finish_calls(&mut self) -> Result<(), DaemonError> {
        while let Some(call) = self.intake.next_finished() {
            found(&mut self.orphans, &call);
            if !self.is_past(&call) {
                self.pool.submit(call);
            }
        }
        for outcome in self.pool.poll() {
            self.keep(outcome)?;
        }
        Ok(())
    }

    fn is_past(&self, call: &Call) -> bool {
        is_past(&self.finished, call)
    }

    fn keep(&mut self, outcome: Outcome) -> Result<(), DaemonError> {
        match outcome {
            Outcome::Done(done) => {
                for recording in &done.recordings {
                    tracing::info!(
                        id = %recording.id,
                        from = recording.from.as_deref().unwrap_or("unknown"),
                        to = recording.to.as_deref().unwrap_or("unknown"),
                        duration_ms = recording.duration_ms,
                        "recorded"
                    );
                    self.metrics.recorded(recording);
                }
                self.clerk.write(done.into_writes())?;
            }
            Outcome::Failed { call, error } => {
                self.metrics.recordings.with_label_values(&["failed"]).inc();
                let error = anyhow::Error::new(error);
                tracing::error!(%call, error = format!("{error:#}"), "a call is not finished yet; it is tried again");
            }
        }
        Ok(())
    }

    /// Writes rows of calls that changed, and where to begin again.
    fn write(&mut self) -> Result<(), DaemonError> {
        if self.wrote.elapsed() < WRITE_INTERVAL {
            return Ok(());
        }
        self.wrote = Instant::now();
        let Self { intake, finished, orphans, .. } = self;
        let changed = intake.table.take_changed();
        let rows = changed
            .iter()
            .filter_map(|slot| intake.table.get(*slot))
            .inspect(|call| found(orphans, call))
            .filter(|call| !is_past(finished, call));
        let mut batch: Vec<Write> = rows
            .map(|call| Write::Call(Box::new(call_row(call.clone(), &Findings::default()))))
            .collect();
        let joined = self.intake.table.take_superseded();
        batch.extend(joined.into_iter().map(|call| Write::Superseded { call }));
        batch.extend(self.orphans.end(self.read_ns));
        let oldest_ns = self.oldest_ns();
        if let Some(note) = self.bookmarks.begin_again(oldest_ns, self.margin_ns) {
            batch.push(Write::Memory { name: CURSORS, value: follow::to_bytes(note) });
        }
        Ok(self.clerk.write(batch)?)
    }

    /// The start of the oldest call that is not in the catalog as finished.
    fn oldest_ns(&self) -> u64 {
        let open = self.intake.table.iter().map(|call| call.started_ns);
        let erasing = self.intake.table.erasures.oldest_ns();
        open.chain(self.pool.oldest_ns()).chain(erasing).min().unwrap_or_else(wall_ns)
    }

    fn keep_house(&mut self) -> Result<(), DaemonError> {
        if self.kept_house.elapsed() < HOUSEKEEPING_INTERVAL {
            return Ok(());
        }
        self.kept_house = Instant::now();
        if self.asked_again.elapsed() >= ERASE_INTERVAL {
            self.erase_again();
        }
        self.follower.look_for_lanes(&Vec::new())?;
        let oldest_ns = self.oldest_ns();
        if let Some(needed) = self.bookmarks.begin_again(oldest_ns, self.margin_ns) {
            let needed = &needed.cursors;
            let release =
                bookmark::releasable(&self.data_dir, needed, self.log_bytes_max, &self.metrics);
            self.capture.send(release);
        }
        Ok(())
    }

    /// Capture ends first and writes what it has; calls in progress stay in the log for the next start.
    fn stop(mut self) -> Result<(), DaemonError> {
        self.write()?;
        self.capture.stop();
        if let Err(error) = self.follower.rest(&mut self.intake) {
            tracing::error!(%error, "what it has is for the next start");
        }
        self.intake.tick(self.follower.read_until(wall_ns()));
        while let Some(call) = self.intake.next_finished() {
            self.pool.submit(call);
        }
        let asked = Instant::now();
        while self.pool.pending() > 0 && asked.elapsed() < STOP_PATIENCE {
            for outcome in self.pool.wait(Duration::from_millis(50)) {
                if let Outcome::Done(done) = outcome {
                    self.clerk.write(done.into_writes())?;
                }
            }
        }
        Ok(self.clerk.finish()?)
    }
}

/// The log tells of a call, and so of all its legs.
fn found(orphans: &mut Orphans, call: &Call) {
    call.legs.iter().for_each(|leg| orphans.found(&call.id, &leg.call_id));
}

/// Whether an earlier process finished the call, of which all or the end is read again.
fn is_past(finished: &HashMap<String, String>, call: &Call) -> bool {
    finished.contains_key(&call.id)
        || (call.joined_late && finished.values().any(|call_id| *call_id == call.call_id))
}

/// Nanoseconds since the epoch, as capture stamps packets.
fn wall_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
