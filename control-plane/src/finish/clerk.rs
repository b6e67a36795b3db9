//! The thread that writes the catalog: everything that waits goes into one transaction.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use earwitness_catalog::{Catalog, CatalogError, Entry, Write};

use crate::metrics::Metrics;

/// Batches that may wait.
const QUEUE_BATCHES: usize = 1024;
/// Rows of one transaction, about.
const TRANSACTION_ROWS: usize = 2000;
/// How long rows wait for others to share their transaction: each costs the disk a sync.
const GATHER: Duration = Duration::from_millis(20);
/// Rows that go to the thread at once where nobody waits for them. Pages of indexes are written once for all of
/// them.
const PILE_ROWS: usize = 8000;
/// Piles that may wait: memory for a KiB or two a row.
const QUEUE_PILES: usize = 1;
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

/// Whether somebody waits for the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// They are in the catalog as soon as may be.
    Prompt,
    /// All that counts is that they are there when the clerk has finished.
    Piled,
}

/// Hands writes to the thread. Batches are written in the order in which they were handed in.
#[derive(Debug)]
pub struct Clerk {
    pace: Pace,
    /// What was handed in and waits for more.
    pile: Vec<Entry>,
    batches: Option<Sender<Vec<Entry>>>,
    thread: Option<JoinHandle<Result<(), CatalogError>>>,
}

impl Clerk {
    /// Opens the catalog of `data_dir` on a thread of its own.
    ///
    /// # Errors
    /// The catalog cannot be opened.
    pub fn start(data_dir: &Path, pace: Pace, metrics: &Arc<Metrics>) -> Result<Self, ClerkError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| ClerkError::Thread { source })?;
        let open = async {
            match pace {
                Pace::Prompt => Catalog::open(data_dir).await,
                Pace::Piled => Catalog::open_to_fill(data_dir).await,
            }
        };
        let catalog = runtime.block_on(open).map_err(|source| ClerkError::Catalog { source })?;
        let (batches, queue) = bounded(match pace {
            Pace::Prompt => QUEUE_BATCHES,
            Pace::Piled => QUEUE_PILES,
        });
        let metrics = Arc::clone(metrics);
        let thread = std::thread::Builder::new()
            .name("catalog".to_owned())
            .spawn(move || runtime.block_on(keep(&catalog, &queue, &metrics)))
            .map_err(|source| ClerkError::Thread { source })?;
        Ok(Self { pace, pile: Vec::new(), batches: Some(batches), thread: Some(thread) })
    }

    /// Hands a batch over; waits only when very many wait already.
    ///
    /// # Errors
    /// A row cannot be written as text, or the thread has given up.
    pub fn write(&mut self, batch: impl IntoIterator<Item = Write>) -> Result<(), ClerkError> {
        for write in batch {
            let entry = Entry::try_from(write);
            self.pile.push(entry.map_err(|source| ClerkError::Catalog { source })?);
        }
        match self.pace {
            Pace::Piled if self.pile.len() < PILE_ROWS => Ok(()),
            Pace::Prompt | Pace::Piled => self.hand_over(),
        }
    }

    fn hand_over(&mut self) -> Result<(), ClerkError> {
        if self.pile.is_empty() {
            return Ok(());
        }
        let batches = self.batches.as_ref().ok_or(ClerkError::Ended)?;
        batches.send(std::mem::take(&mut self.pile)).map_err(|_| ClerkError::Ended)
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// Something could not be written.
    pub fn finish(mut self) -> Result<(), ClerkError> {
        // Where the thread has given up, it says why.
        let _ = self.hand_over();
        self.batches = None;
        let thread = self.thread.take().ok_or(ClerkError::Ended)?;
        let result = thread.join().map_err(|_| ClerkError::Ended)?;
        result.map_err(|source| ClerkError::Catalog { source })
    }
}

async fn keep(
    catalog: &Catalog,
    queue: &Receiver<Vec<Entry>>,
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

async fn write(catalog: &Catalog, batch: &[Entry], metrics: &Metrics) -> Result<(), CatalogError> {
    let mut tries = 0;
    loop {
        let Err(error) = catalog.write_entries(batch).await else { return Ok(()) };
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
        let mut clerk = Clerk::start(folder.path(), Pace::Prompt, &metrics).unwrap();
        // Of a call that is not there.
        clerk.write(vec![Write::Places { call: "none".to_owned(), places: Vec::new() }]).unwrap();
        let began = Instant::now();
        while metrics.catalog_errors.get() < 2 {
            assert!(began.elapsed() < Duration::from_secs(60), "no error was counted twice");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    /// CALL-6: what was piled up is in the catalog when the clerk has finished, and not before the pile is high enough.
    #[test]
    fn piles_are_written_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut clerk =
            Clerk::start(folder.path(), Pace::Piled, &Arc::new(Metrics::new())).unwrap();
        clerk.write([Write::Memory { name: "cursors", value: vec![7] }]).unwrap();
        assert_eq!(clerk.pile.len(), 1);
        clerk.finish().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let kept = runtime.block_on(async {
            let catalog = Catalog::open_existing(folder.path()).await.unwrap();
            catalog.memory("cursors").await.unwrap()
        });
        assert_eq!(kept, Some(vec![7]));
    }
}
