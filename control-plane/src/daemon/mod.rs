//! `earwitness run`: capture, calls, recordings, metrics, until it is told to stop.
//!
//! One thread follows the log and owns the calls; recordings are finished on threads of their own; one thread
//! keeps the catalog; one serves HTTP. The capture process is another process (`capture`).

mod bookmark;
mod capture;
pub mod desk;
pub mod errand;
mod orphans;
mod process;
mod reload;
mod watch;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use earwitness_catalog::{CallRow, Catalog, CatalogError, Timestamp};

use crate::config::{Config, ConfigError};
use crate::finish::ClerkError;
use crate::follow::{self, CURSORS, FollowError, Note};
use crate::http::{self, HttpError};
use crate::metrics::Metrics;
use crate::rules::{self, By, RulesError};
use crate::setup::{self, DataDirError};
pub use capture::CaptureError;

/// How long before the place where reading begins a call may have ended and still have packets behind it.
const PAST_MARGIN_NS: u64 = 120_000_000_000;

/// Why the daemon could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Rules(#[from] RulesError),
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Clerk(#[from] ClerkError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("cannot {what}: {source}")]
    System { what: &'static str, source: std::io::Error },
    #[error(
        "the thread that follows the calls has panicked; what it had not finished is read again at the next start"
    )]
    Panicked,
}

impl DaemonError {
    /// Whether configuration or use was wrong, not the machine.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Config(_) => true,
            Self::Rules(error) => error.is_usage(),
            _ => false,
        }
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Something that is needed cannot be had; the text names it and the remedy.
pub fn run(config: &Config) -> Result<(), DaemonError> {
    if config.capture.interfaces.is_empty() {
        return Err(DaemonError::Config(ConfigError::Value {
            key: "capture.interfaces",
            value: "[]".to_owned(),
            remedy: "name at least one tap, such as [\"eth1\"]",
        }));
    }
    let system = |what| move |source| DaemonError::System { what, source };
    let _lock = setup::take_data_dir(&config.data_dir)?;
    let metrics = Arc::new(Metrics::new());
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(system("watch for signals"))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("http")
        .on_thread_start(give_up_capabilities)
        .enable_all()
        .build()
        .map_err(system("start the HTTP server's runtime"))?;
    let by = (By::Start, &*rules::who(None));
    let rules = rules::keep(config, &config.data_dir, by)?.rules;
    let past = runtime.block_on(past(config))?;
    let listener = runtime.block_on(http::listen(config.http.listen))?;
    is_writable_without_capabilities(&config.data_dir)?;
    let capture = capture::Capture::start(config, &config.data_dir, &metrics)?;
    // Each thread has its own, those of who starts it: from here on none has any.
    give_up_capabilities();
    let reload =
        reload::Reload::start(config, &rules, &metrics).map_err(system("watch for SIGHUP"))?;
    metrics.policy(&rules);
    let watcher = watch::Watcher::start(config, past, capture, (rules, reload), &metrics)?;
    let watching = {
        let stop = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("calls".to_owned())
            .spawn(move || watcher.run(&stop))
            .map_err(system("start the thread that follows the calls"))?
    };
    tracing::info!(address = %config.http.listen, data_dir = %config.data_dir.display(), "running");
    let ended = {
        let stop = Arc::clone(&stop);
        async move {
            while !stop.load(Ordering::Relaxed) {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    };
    let served = runtime.block_on(http::serve(listener, Arc::clone(&metrics), ended));
    stop.store(true, Ordering::Relaxed);
    let watched = watching.join().map_err(|_| DaemonError::Panicked)?;
    watched?;
    served?;
    tracing::info!("stopped");
    Ok(())
}

/// What an earlier process left: where to begin again, and what is finished already.
#[derive(Debug, Default)]
struct Past {
    note: Note,
    /// Ids and Call-IDs of calls that are finished, as far as they can turn up again.
    finished: Vec<(String, String)>,
    /// Rows of calls that it did not finish.
    open: Vec<CallRow>,
}

async fn past(config: &Config) -> Result<Past, CatalogError> {
    let catalog = Catalog::open(&config.data_dir).await?;
    let remembered = catalog.memory(CURSORS).await?;
    let note = remembered.as_deref().map(follow::from_bytes).unwrap_or_default();
    let since_ns = note.at_ns.saturating_sub(PAST_MARGIN_NS);
    let finished = catalog.finished_since(Timestamp::from_ns(since_ns)).await?;
    let open = catalog.open_calls().await?;
    catalog.close().await;
    Ok(Past { note, finished, open })
}

/// As root a folder of another user can be written as long as there are capabilities: that must not fail later.
fn is_writable_without_capabilities(data_dir: &Path) -> Result<(), DataDirError> {
    let try_it = || {
        give_up_capabilities();
        let probe = data_dir.join(".probe");
        std::fs::File::create(&probe).and_then(|_| std::fs::remove_file(&probe))
    };
    let tried = std::thread::scope(|scope| scope.spawn(try_it).join());
    let tried = tried.unwrap_or_else(|_| Err(std::io::Error::other("the attempt has panicked")));
    tried.map_err(|source| DataDirError::NotOurs { path: data_dir.to_owned(), source })
}

/// The control plane needs no privilege: as root it lays its capabilities down. Those of a capture process that it
/// starts again come with the program, not from here.
fn give_up_capabilities() {
    for set in [caps::CapSet::Effective, caps::CapSet::Permitted, caps::CapSet::Inheritable] {
        if let Err(error) = caps::clear(None, set) {
            tracing::debug!(%error, ?set, "capabilities are not laid down");
        }
    }
}
