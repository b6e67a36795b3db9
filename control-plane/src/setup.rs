//! From configuration to the parts: what `run` and `replay` build alike.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use earwitness_codec::{Decoders, WorkerOptions, WorkerPool};
use earwitness_recording::{Format, Layout, RenderOptions};
use earwitness_wire::Options;

use crate::call::Prefer;
use crate::call::coverage::Terms;
use crate::call::table::{CallTable, Timing};
use crate::config::{self, Config, ConfigError, FileFormat, RecordedLeg};
use crate::finish::{FinishPool, PoolOptions};
use crate::intake::Intake;
use crate::intake::correlator::Correlation;
use crate::metrics::Metrics;
use crate::programs;
use crate::rules::Rules;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    #[error("cannot make the data folder {path}: {source}")]
    Make { path: PathBuf, source: std::io::Error },
    #[error(
        "the data folder {path} is in use by another earwitness; stop it, or use another folder"
    )]
    InUse { path: PathBuf },
    #[error(
        "the data folder {path} cannot be written without capabilities, which the control plane lays down: \
         give it to the user who runs earwitness ({source})"
    )]
    NotOurs { path: PathBuf, source: std::io::Error },
    #[error("{path} is no data folder of Earwitness: it has no {missing}")]
    Absent { path: PathBuf, missing: &'static str },
}

impl DataDirError {
    /// Whether the command was wrong, not the machine.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Absent { .. })
    }
}

/// Holds a data folder for this process; two that write it would not know of each other.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

/// Makes the data folder if it is missing, and takes it.
///
/// # Errors
/// It cannot be made, or another process has it.
pub fn take_data_dir(data_dir: &Path) -> Result<DataDirLock, DataDirError> {
    let make = |source| DataDirError::Make { path: data_dir.to_owned(), source };
    std::fs::create_dir_all(data_dir.join("run")).map_err(make)?;
    let file = File::create(data_dir.join("run/lock")).map_err(make)?;
    // SAFETY: flock takes a descriptor that `file` keeps open, and touches no memory.
    let taken = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    if taken != 0 {
        return Err(DataDirError::InUse { path: data_dir.to_owned() });
    }
    Ok(DataDirLock { _file: file })
}

/// Asks for small pages: the allocator asks for large ones, of which a replay needs little pieces here and there, and
/// would hold twice the memory.
pub fn use_small_pages() {
    // SAFETY: says how the kernel shall back memory of this process, and touches none. A kernel that does not know
    // it changes nothing.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

/// Refuses a folder that has no catalog: a mistyped name shall not look like an empty one.
///
/// # Errors
/// There is none.
pub fn existing_data_dir(data_dir: &Path) -> Result<(), DataDirError> {
    if data_dir.join(earwitness_catalog::FILE_NAME).is_file() {
        return Ok(());
    }
    Err(DataDirError::Absent { path: data_dir.to_owned(), missing: earwitness_catalog::FILE_NAME })
}

/// Where the log of a data folder is.
#[must_use]
pub fn segments_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("segments")
}

/// What the parser is told.
#[must_use]
pub fn wire_options(config: &Config) -> Options {
    Options::with_vxlan_ports(&config.capture.vxlan_ports)
        .expect("a configuration with more ports is refused")
}

/// The part that follows the log.
#[must_use]
pub fn intake(config: &Config, rules: Rules, metrics: &Arc<Metrics>) -> Intake {
    const MS: u64 = 1_000_000;
    let timing = Timing {
        hold_ns: config.capture.hold_ms * MS,
        trailing_ns: config.calls.trailing_media_ms * MS,
        media_idle_ns: config.calls.media_idle_ms * MS,
        unanswered_ns: config.calls.unanswered_ms * MS,
        length_max_ns: config.calls.length_max_s * 1000 * MS,
    };
    let mut table = CallTable::new(rules, timing, config.calls.calls_max);
    let seconds_ns = |seconds: u64| seconds.saturating_mul(1000 * MS);
    table.set_terms(Terms {
        length_max_ns: Some(config.recording.time_limit_s).filter(|s| *s > 0).map(seconds_ns),
        length_min_ns: seconds_ns(config.recording.length_min_s),
        pause: config.control.pause_style(),
    });
    let settings = config.control.settings().expect("the configuration was checked");
    table.set_on_demand(settings.on_demand);
    let headers = config.calls.correlate_headers.iter();
    let correlation = Correlation {
        headers: headers.map(|name| name.clone().into_bytes()).collect(),
        window_ns: config.calls.correlate_window_ms * MS,
        confidence_min: config.calls.correlate_confidence,
    };
    Intake::new(table, settings, correlation, wire_options(config), Arc::clone(metrics))
}

/// Which leg of a conversation is recorded.
#[must_use]
pub const fn recorded_leg(config: &Config) -> Prefer {
    match config.recording.leg {
        RecordedLeg::Best => Prefer::Best,
        RecordedLeg::First => Prefer::First,
        RecordedLeg::Last => Prefer::Last,
    }
}

/// How recordings are rendered.
#[must_use]
pub fn render_options(config: &Config) -> RenderOptions {
    let recording = &config.recording;
    RenderOptions {
        sample_rate: Some(recording.sample_rate).filter(|rate| *rate != 0),
        layout: match recording.layout {
            config::Layout::Stereo => Layout::Stereo,
            config::Layout::Mono => Layout::MonoMix,
        },
        format: match recording.format {
            FileFormat::Wav => Format::Wav,
            FileFormat::Mp3 => Format::Mp3,
            FileFormat::Opus => Format::OggOpus,
        },
        ..RenderOptions::default()
    }
}

/// The decoder processes. Where the program is missing, calls in formats that need it are recorded as silence,
/// and say so.
#[must_use]
pub fn decoders(config: &Config, workers_max: usize) -> Decoders {
    let program = programs::find(programs::CODEC, &config.recording.codec_program);
    if let Err(error) = &program {
        tracing::warn!(%error, "G.729, GSM, AMR and their like cannot be decoded");
    }
    let options = WorkerOptions { program: program.ok(), workers_max, ..WorkerOptions::default() };
    Decoders::new(Arc::new(WorkerPool::new(options)))
}

/// The cores that this process may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The threads that finish calls: `threads` of them, unless the configuration says how many.
///
/// # Errors
/// A value of the configuration cannot be used.
pub fn finish_pool(
    config: &Config,
    data_dir: &Path,
    metrics: &Arc<Metrics>,
    threads: usize,
) -> Result<FinishPool, ConfigError> {
    let threads = match config.recording.workers {
        0 => threads.max(1),
        workers => workers,
    };
    let options = PoolOptions {
        data_dir: data_dir.to_owned(),
        threads,
        render: render_options(config),
        aliases: config.aliases()?,
        prefer: recorded_leg(config),
        decoders: decoders(config, threads),
        retry: Duration::from_secs(5),
    };
    Ok(FinishPool::start(options, metrics))
}
