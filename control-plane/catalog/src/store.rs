//! The catalog's storage: SQLite, every write in a transaction that is synced; with a write-ahead log, but for one that is
//! filled by a process that has it alone.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::DeserializeOwned;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::error::CatalogError;
use crate::{CallRow, Entry, RecordingRow, Timestamp, Write, batch};

/// Connections: one writes, the others read meanwhile.
const CONNECTIONS_MAX: u32 = 4;
/// How long a writer of another process is waited for.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
/// Memory for pages of the file, in KiB, for each connection: random ids touch many pages of their index.
const CACHE_KIB: u32 = 16 << 10;
/// Bytes of a page of a new catalog: rows of one to three KiB fill it with little waste, and each page is a system
/// call to write, twice in the log.
const PAGE_BYTES: u32 = 16 << 10;

/// How what a transaction changes can be taken back, after a crash too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Journal {
    /// News go to a log first, and into the file later: who reads meanwhile does not wait for who writes.
    WriteAhead,
    /// What was there before is kept aside, news go into the file: of a new catalog nearly all is news, and is written
    /// once.
    Rollback,
}

/// An open catalog.
#[derive(Debug, Clone)]
pub struct Catalog {
    pool: SqlitePool,
    path: PathBuf,
    journal: Journal,
}

impl Catalog {
    /// Opens the catalog of a data folder; makes it if it is missing.
    ///
    /// # Errors
    /// The file cannot be opened, or has a schema of a later version.
    pub async fn open(data_dir: &Path) -> Result<Self, CatalogError> {
        Self::open_file(data_dir.join(crate::FILE_NAME), true, Journal::WriteAhead).await
    }

    /// As [`Self::open`], for a process that writes much at once and reads nothing. Where there was no catalog, who reads
    /// it before [`Self::close`] may have to wait.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_to_fill(data_dir: &Path) -> Result<Self, CatalogError> {
        let path = data_dir.join(crate::FILE_NAME);
        let journal = if path.exists() { Journal::WriteAhead } else { Journal::Rollback };
        Self::open_file(path, true, journal).await
    }

    /// Opens the catalog of a data folder that has one.
    ///
    /// # Errors
    /// As [`Self::open`]; that there is none is [`CatalogError::Missing`].
    pub async fn open_existing(data_dir: &Path) -> Result<Self, CatalogError> {
        let path = data_dir.join(crate::FILE_NAME);
        if !path.exists() {
            return Err(CatalogError::Missing { path });
        }
        Self::open_file(path, false, Journal::WriteAhead).await
    }

    async fn open_file(
        path: PathBuf,
        create: bool,
        journal: Journal,
    ) -> Result<Self, CatalogError> {
        let failed = |source| CatalogError::Open { path: path.clone(), source };
        let (mode, connections) = match journal {
            Journal::WriteAhead => (SqliteJournalMode::Wal, CONNECTIONS_MAX),
            Journal::Rollback => (SqliteJournalMode::Delete, 1),
        };
        let options = SqliteConnectOptions::from_str("sqlite:")
            .map_err(failed)?
            .filename(&path)
            .create_if_missing(create)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .page_size(PAGE_BYTES)
            .pragma("cache_size", format!("-{CACHE_KIB}"))
            .journal_mode(mode)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new()
            .max_connections(connections)
            .connect_with(options)
            .await
            .map_err(failed)?;
        sqlx::migrate!()
            .run(&pool)
            .await
            .map_err(|source| CatalogError::Migrate { path: path.clone(), source })?;
        Ok(Self { pool, path, journal })
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// The catalog's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As [`Self::write_entries`], of rows as they were made.
    ///
    /// # Errors
    /// Nothing of the batch was written.
    pub async fn write(&self, batch: &[Write]) -> Result<(), CatalogError> {
        let entries: Result<Vec<Entry>, _> = batch.iter().cloned().map(Entry::try_from).collect();
        self.write_entries(&entries?).await
    }

    /// Writes a batch in one transaction; when this returns, it is durable. Within it calls are written
    /// before recordings, and of two rows with one id the later stays. It is for a thread that may wait: SQLite does
    /// its work in it.
    ///
    /// # Errors
    /// Nothing of the batch was written.
    pub async fn write_entries(&self, batch: &[Entry]) -> Result<(), CatalogError> {
        let refused = |source| CatalogError::Query { what: "write", source };
        let mut connection = self.pool.acquire().await.map_err(refused)?;
        let mut handle = connection.lock_handle().await.map_err(refused)?;
        batch::write(&mut handle, batch).map_err(|source| CatalogError::Write { source })
    }

    /// What was remembered under `name`.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn memory(&self, name: &str) -> Result<Option<Vec<u8>>, CatalogError> {
        sqlx::query_scalar("SELECT value FROM memory WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map_err(|source| CatalogError::Query { what: "read its memory", source })
    }

    /// Where the packets of a call lie in the log.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn places(&self, call: &str) -> Result<Option<Vec<u8>>, CatalogError> {
        sqlx::query_scalar("SELECT places FROM place WHERE call = ?")
            .bind(call)
            .fetch_optional(&self.pool)
            .await
            .map_err(|source| CatalogError::Query { what: "find the packets of a call", source })
    }

    /// The call with this id.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn call(&self, id: &str) -> Result<Option<CallRow>, CatalogError> {
        let row: Option<String> = sqlx::query_scalar("SELECT row FROM call WHERE id = ?")
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(|source| CatalogError::Query { what: "find a call", source })?;
        row.map(|text| read_row(id, &text)).transpose()
    }

    /// The calls whose id begins with `id`, or whose Call-ID it is; ten at most.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn calls_named(&self, id: &str) -> Result<Vec<CallRow>, CatalogError> {
        let rows: Vec<String> = sqlx::query_scalar(
            // The first condition is for the index, as below.
            "SELECT row FROM call WHERE (id >= ?1 AND substr(id, 1, length(?1)) = ?1) \
             UNION SELECT row FROM call WHERE call_id = ?1 LIMIT 10",
        )
        .bind(id)
        .fetch_all(&self.pool)
        .await
        .map_err(|source| CatalogError::Query { what: "find a call", source })?;
        rows.iter().map(|text| read_row(id, text)).collect()
    }

    /// Whether the call is finished: nothing of it is to be done again.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn is_finished(&self, id: &str) -> Result<bool, CatalogError> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM call WHERE id = ? AND state = 'ended')")
            .bind(id)
            .fetch_one(&self.pool)
            .await
            .map_err(|source| CatalogError::Query { what: "find a call", source })
    }

    /// Ids and Call-IDs of the calls that were finished and ended at `since` or later.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn finished_since(
        &self,
        since: Timestamp,
    ) -> Result<Vec<(String, String)>, CatalogError> {
        sqlx::query_as("SELECT id, call_id FROM call WHERE state = 'ended' AND ended_ms >= ?")
            .bind(since.0)
            .fetch_all(&self.pool)
            .await
            .map_err(|source| CatalogError::Query { what: "list what is finished", source })
    }

    /// Calls that are not finished, as they were written last.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn open_calls(&self) -> Result<Vec<CallRow>, CatalogError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT id, row FROM call WHERE state <> 'ended'")
                .fetch_all(&self.pool)
                .await
                .map_err(|source| CatalogError::Query { what: "list what is open", source })?;
        rows.iter().map(|(id, text)| read_row(id, text)).collect()
    }

    /// The recording whose id begins with `id`.
    ///
    /// # Errors
    /// None does, several do, or the catalog cannot be read.
    pub async fn recording(&self, id: &str) -> Result<RecordingRow, CatalogError> {
        let rows: Vec<String> = sqlx::query_scalar(
            // The first condition is for the index, the second for what sorts behind but does not begin so.
            "SELECT row FROM recording WHERE id >= ?1 AND substr(id, 1, length(?1)) = ?1 \
             ORDER BY id LIMIT 10",
        )
        .bind(id)
        .fetch_all(&self.pool)
        .await
        .map_err(|source| CatalogError::Query { what: "find a recording", source })?;
        match rows.as_slice() {
            [] => Err(CatalogError::NoRecording { id: id.to_owned() }),
            [row] => read_row(id, row),
            several => Err(CatalogError::Ambiguous { id: id.to_owned(), count: several.len() }),
        }
    }

    /// Closes all connections, so that the write-ahead log is merged.
    pub async fn close(&self) {
        if self.journal == Journal::Rollback {
            // From now on others read and write it. Where one does already, who opens it next does this.
            let _ = sqlx::query("PRAGMA journal_mode = WAL").execute(&self.pool).await;
        }
        self.pool.close().await;
    }
}

pub(crate) fn read_row<T: DeserializeOwned>(id: &str, text: &str) -> Result<T, CatalogError> {
    serde_json::from_str(text).map_err(|source| CatalogError::Row { id: id.to_owned(), source })
}
