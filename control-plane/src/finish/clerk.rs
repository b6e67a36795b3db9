//! The thread that writes the catalog: everything that waits goes into one transaction.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use earwitness_catalog::{Catalog, CatalogError, Write};

use crate::metrics::Metrics;

/// Batches that may wait.
const QUEUE_BATCHES: usize = 1024;
/// Rows of one transaction, about.
const TRANSACTION_ROWS: usize = 2000;
/// How long rows wait for others to share their transaction: each costs the disk a sync.
const GATHER: Duration = Duration::from_millis(20);
/// How long after a failure the same batch is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often; after that the program gives up, because a catalog that cannot be written is no catalog.
const TRIES_MAX: u32 = 60;

/// Why there is no clerk.
#[derive(Debug, thiserror::Error)]
pub enum ClerkError {
    #[error("no thread for the catalog")]
    Thread { source: std::io::Error },
    #[error("the catalog cannot be written")]
    Catalog { source: CatalogError },
    #[error("the catalog's thread has ended")]
    Ended,
}

/// Hands writes to the thread. Batches are written in the order in which they were handed in.
#[derive(Debug)]
pub struct Clerk {
    batches: Option<Sender<Vec<Write>>>,
    thread: Option<JoinHandle<Result<(), CatalogError>>>,
}

impl Clerk {
    /// Opens the catalog of `data_dir` on a thread of its own.
    ///
    /// # Errors
    /// The catalog cannot be opened.
    pub fn start(data_dir: &Path, metrics: &Arc<Metrics>) -> Result<Self, ClerkError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| ClerkError::Thread { source })?;
        let catalog = runtime
            .block_on(Catalog::open(data_dir))
            .map_err(|source| ClerkError::Catalog { source })?;
        let (batches, queue) = bounded(QUEUE_BATCHES);
        let metrics = Arc::clone(metrics);
        let thread = std::thread::Builder::new()
            .name("catalog".to_owned())
            .spawn(move || runtime.block_on(keep(&catalog, &queue, &metrics)))
            .map_err(|source| ClerkError::Thread { source })?;
        Ok(Self { batches: Some(batches), thread: Some(thread) })
    }

    /// Hands a batch over; waits only when very many wait already.
    ///
    /// # Errors
    /// The thread has given up.
    pub fn write(&self, batch: Vec<Write>) -> Result<(), ClerkError> {
        if batch.is_empty() {
            return Ok(());
        }
        let batches = self.batches.as_ref().ok_or(ClerkError::Ended)?;
        batches.send(batch).map_err(|_| ClerkError::Ended)
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// Something could not be written.
    pub fn finish(mut self) -> Result<(), ClerkError> {
        self.batches = None;
        let thread = self.thread.take().ok_or(ClerkError::Ended)?;
        let result = thread.join().map_err(|_| ClerkError::Ended)?;
        result.map_err(|source| ClerkError::Catalog { source })
    }
}

async fn keep(
    catalog: &Catalog,
    queue: &Receiver<Vec<Write>>,
    metrics: &Metrics,
) -> Result<(), CatalogError> {
    while let Ok(mut batch) = queue.recv() {
        let until = Instant::now() + GATHER;
        while batch.len() < TRANSACTION_ROWS
            && let Ok(more) = queue.recv_deadline(until)
        {
            batch.extend(more);
        }
        write(catalog, &batch, metrics).await?;
    }
    catalog.close().await;
    Ok(())
}

async fn write(catalog: &Catalog, batch: &[Write], metrics: &Metrics) -> Result<(), CatalogError> {
    let mut tries = 0;
    loop {
        let Err(error) = catalog.write(batch).await else { return Ok(()) };
        tries += 1;
        metrics.catalog_errors.inc();
        tracing::error!(%error, tries, "the catalog cannot be written; it is tried again");
        if tries >= TRIES_MAX {
            return Err(error);
        }
        tokio::time::sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OPS-1, S4: what the catalog refuses is counted, and tried again.
    #[test]
    fn refusals_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Arc::new(Metrics::new());
        let clerk = Clerk::start(folder.path(), &metrics).unwrap();
        // Of a call that is not there.
        clerk.write(vec![Write::Places { call: "none".to_owned(), places: Vec::new() }]).unwrap();
        let began = Instant::now();
        while metrics.catalog_errors.get() < 2 {
            assert!(began.elapsed() < Duration::from_secs(60), "no error was counted twice");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
