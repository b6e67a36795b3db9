//! Policies are read again on SIGHUP and when the control socket is asked to, on a thread of their own: a large set takes
//! seconds, and calls do not wait.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use signal_hook::consts::SIGHUP;
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;

use super::desk::GUESTS_MAX;
use super::errand::PolicyAnswer;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::rules::{self, By, Kept, Rules};

/// Each guest of the socket waits for one answer at most; one more is for the signal.
const ASKS_MAX: usize = GUESTS_MAX + 1;

/// Somebody wants the files to be read.
#[derive(Debug)]
pub(super) struct Ask {
    pub by: By,
    pub who: String,
    /// Who waits for the answer; none, if it was a signal.
    pub guest: Option<u64>,
}

/// They were read.
#[derive(Debug)]
pub(super) struct Done {
    /// None: those in force stay.
    pub rules: Option<Rules>,
    pub guest: Option<u64>,
    pub answer: PolicyAnswer,
}

/// The thread, and what it has read.
#[derive(Debug)]
pub(super) struct Reload {
    signals: SignalsInfo<WithOrigin>,
    /// Who sent a signal that is not served yet.
    hung_up: Option<String>,
    asks: Option<Sender<Ask>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
}

impl Reload {
    /// Listens from now on.
    ///
    /// # Errors
    /// Signals cannot be watched, or there is no thread.
    pub fn start(config: &Config, rules: &Rules, metrics: &Arc<Metrics>) -> std::io::Result<Self> {
        let signals = SignalsInfo::<WithOrigin>::new([SIGHUP])?;
        let (asks, asked) = bounded(ASKS_MAX);
        // What was not taken yet is older than the next: who reads waits for it to be taken.
        let (sender, done) = bounded(1);
        let mut reader = Reader {
            config: config.clone(),
            version: rules.version.as_ref().map(ToString::to_string),
            metrics: Arc::clone(metrics),
        };
        let work = move || {
            for ask in asked {
                if sender.send(reader.read(&ask)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("policy".to_owned()).spawn(work)?;
        Ok(Self { signals, hung_up: None, asks: Some(asks), done, thread: Some(thread) })
    }

    /// Has the files read, some time after all that was asked before; gives what is to be answered if nobody reads any
    /// more.
    pub fn ask(&self, ask: Ask) -> Option<Done> {
        let Ask { who, guest, .. } = self.asks.as_ref()?.try_send(ask).err()?.into_inner();
        tracing::error!(who, "policies are not read any more: their thread has panicked");
        let reason = "the thread that reads policies has panicked: start earwitness again";
        Some(Done { rules: None, guest, answer: PolicyAnswer::failed(reason, None) })
    }

    /// Sees to signals; gives what was read meanwhile.
    pub fn attend(&mut self) -> Option<Done> {
        for origin in self.signals.pending() {
            self.hung_up = Some(rules::who(origin.process.map(|process| process.uid)));
        }
        // A reading that is asked for already begins later than the signal came.
        let is_free = self.asks.as_ref().is_some_and(Sender::is_empty);
        let hung_up = self.hung_up.take_if(|_| is_free);
        let failed = hung_up.and_then(|who| self.ask(Ask { by: By::Reload, who, guest: None }));
        failed.or_else(|| self.done.try_recv().ok())
    }
}

impl Drop for Reload {
    fn drop(&mut self) {
        self.asks = None;
        // Whoever waits with rules that nobody takes ends, too.
        self.done = crossbeam_channel::never();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that reads policies has panicked");
        }
    }
}

/// What the thread has.
struct Reader {
    config: Config,
    /// The set in force.
    version: Option<String>,
    metrics: Arc<Metrics>,
}

impl Reader {
    /// Reads the set again. One that is refused changes nothing: the set that was in force stays.
    fn read(&mut self, ask: &Ask) -> Done {
        let config = &self.config;
        let who = &*ask.who;
        let guest = ask.guest;
        let files: Vec<&PathBuf> = config.policy.files.iter().collect();
        if files.is_empty() {
            tracing::error!(who, "there are no policies to read: `[policy] files` names none");
            let reason = "its configuration names no files in [policy]: name a folder there, and start it again";
            return Done { rules: None, guest, answer: PolicyAnswer::failed(reason, None) };
        }
        match rules::keep(config, &config.data_dir, (ask.by, who)) {
            Ok(kept) => {
                self.metrics.policy_loads.with_label_values(&["taken"]).inc();
                let answer = PolicyAnswer::kept(&kept);
                self.version.clone_from(&answer.version);
                let Kept { rules, change } = kept;
                Done { rules: change.map(|_| rules), guest, answer }
            }
            Err(error) => {
                self.metrics.policy_loads.with_label_values(&["refused"]).inc();
                tracing::error!(%error, ?files, who, "policies are refused; those in force stay");
                let answer = PolicyAnswer::refused(error, self.version.clone());
                Done { rules: None, guest, answer }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::errand::PolicyResult;

    /// POL-1: calls go on when policies cannot be read any more, and who asks for it is told.
    #[test]
    fn who_asks_is_told_that_nobody_reads() {
        let (asks, _) = bounded(ASKS_MAX);
        let reload = Reload {
            signals: SignalsInfo::<WithOrigin>::new([SIGHUP]).unwrap(),
            hung_up: None,
            asks: Some(asks),
            done: crossbeam_channel::never(),
            thread: None,
        };
        let ask = Ask { by: By::Apply, who: "somebody".to_owned(), guest: Some(7) };
        let done = reload.ask(ask).expect("nobody takes it");
        assert_eq!((done.guest, done.answer.result), (Some(7), PolicyResult::Failed));
        assert!(done.rules.is_none());
    }
}
