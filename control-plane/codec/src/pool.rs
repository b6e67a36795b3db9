//! The client's side of the decoder processes.

use std::path::PathBuf;

/// Decoder processes for foreign formats; none is started before one is needed.
#[derive(Debug)]
pub struct WorkerPool {
    program: PathBuf,
    workers_max: usize,
}

impl WorkerPool {
    /// `program` is `earwitness-codec`.
    #[must_use]
    pub const fn new(program: PathBuf, workers_max: usize) -> Self {
        Self { program, workers_max }
    }
}
