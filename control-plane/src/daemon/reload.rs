//! Policies are read again on SIGHUP, on a thread of their own: a large set takes seconds, and calls do not wait.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use signal_hook::consts::SIGHUP;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::{Handle, SignalsInfo};

use crate::config::Config;
use crate::metrics::Metrics;
use crate::rules::{self, By, Rules};

/// The thread, and what it has read.
#[derive(Debug)]
pub(super) struct Reload {
    rules: Receiver<Rules>,
    signals: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Reload {
    /// Listens from now on.
    ///
    /// # Errors
    /// Signals cannot be watched, or there is no thread.
    pub fn start(config: &Config, metrics: &Arc<Metrics>) -> std::io::Result<Self> {
        let mut signals = SignalsInfo::<WithOrigin>::new([SIGHUP])?;
        let handle = signals.handle();
        // One that was not taken yet is older than the next: who reads waits for it to be taken.
        let (sender, rules) = bounded(1);
        let (config, metrics) = (config.clone(), Arc::clone(metrics));
        let work = move || {
            for origin in &mut signals {
                let who = rules::who(origin.process.map(|process| process.uid));
                if read(&config, &who, &metrics, &sender).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("policy".to_owned()).spawn(work)?;
        Ok(Self { rules, signals: handle, thread: Some(thread) })
    }

    /// Rules that have come into force.
    pub fn take(&self) -> Option<Rules> {
        self.rules.try_recv().ok()
    }
}

impl Drop for Reload {
    fn drop(&mut self) {
        self.signals.close();
        // Whoever waits with rules that nobody takes ends, too.
        self.rules = crossbeam_channel::never();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that reads policies has panicked");
        }
    }
}

/// Reads the set again. One that is refused changes nothing: the set that was in force stays.
///
/// # Errors
/// Nobody takes rules any more.
fn read(
    config: &Config,
    who: &str,
    metrics: &Metrics,
    sender: &Sender<Rules>,
) -> Result<(), crossbeam_channel::SendError<Rules>> {
    match rules::keep(config, &config.data_dir, (By::Reload, who)) {
        Ok(rules) => {
            metrics.policy_loads.with_label_values(&["taken"]).inc();
            sender.send(rules)
        }
        Err(error) => {
            metrics.policy_loads.with_label_values(&["refused"]).inc();
            let files: Vec<&PathBuf> = config.policy.files.iter().collect();
            tracing::error!(%error, ?files, who, "policies are refused; those in force stay");
            Ok(())
        }
    }
}
