//! The catalog's storage: SQLite with a write-ahead log, every write in a transaction that is synced.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::LazyLock;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::CatalogError;
use crate::insert::{Insert, portions};
use crate::{CallRow, RecordingRow, Timestamp};

/// Connections: one writes, the others read meanwhile.
const CONNECTIONS_MAX: u32 = 4;
/// How long a writer of another process is waited for.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
/// Memory for pages of the file, in KiB, for each connection: random ids touch many pages of their index.
const CACHE_KIB: u32 = 16 << 10;
/// Bytes of a page of a new catalog: rows of one to three KiB fill it with little waste, and each page is a system
/// call to write, twice in the log.
const PAGE_BYTES: u32 = 16 << 10;

/// One thing to write. A batch is written whole or not at all, in its order.
#[derive(Debug, Clone)]
pub enum Write {
    /// Takes the place of the row with the same id.
    Call(Box<CallRow>),
    /// Its file and sidecars are durable (S4), its call was written before.
    Recording(Box<RecordingRow>),
    /// Where the packets of a call lie in the log; the call was written before.
    Places { call: String, places: Vec<u8> },
    /// The call is in the catalog under another id: its row goes, if it is still open.
    Superseded { call: String },
    /// What the control plane must remember, by name.
    Memory { name: &'static str, value: Vec<u8> },
}

/// An open catalog.
#[derive(Debug, Clone)]
pub struct Catalog {
    pool: SqlitePool,
    path: PathBuf,
}

impl Catalog {
    /// Opens the catalog of a data folder; makes it if it is missing.
    ///
    /// # Errors
    /// The file cannot be opened, or has a schema of a later version.
    pub async fn open(data_dir: &Path) -> Result<Self, CatalogError> {
        Self::open_file(data_dir.join(crate::FILE_NAME), true).await
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
        Self::open_file(path, false).await
    }

    async fn open_file(path: PathBuf, create: bool) -> Result<Self, CatalogError> {
        let failed = |source| CatalogError::Open { path: path.clone(), source };
        let options = SqliteConnectOptions::from_str("sqlite:")
            .map_err(failed)?
            .filename(&path)
            .create_if_missing(create)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .page_size(PAGE_BYTES)
            .pragma("cache_size", format!("-{CACHE_KIB}"))
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .connect_with(options)
            .await
            .map_err(failed)?;
        sqlx::migrate!()
            .run(&pool)
            .await
            .map_err(|source| CatalogError::Migrate { path: path.clone(), source })?;
        Ok(Self { pool, path })
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// The catalog's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a batch in one transaction; when this returns, it is durable. Within it calls are written
    /// before recordings, and of two rows with one id the later stays.
    ///
    /// # Errors
    /// Nothing of the batch was written.
    pub async fn write(&self, batch: &[Write]) -> Result<(), CatalogError> {
        let failed = |source| CatalogError::Query { what: "write", source };
        let mut calls = Vec::new();
        let mut recordings = Vec::new();
        let mut places = Vec::new();
        let mut superseded = Vec::new();
        let mut memories = Vec::new();
        for write in batch {
            match write {
                Write::Call(row) => calls.push(&**row),
                Write::Recording(row) => recordings.push(&**row),
                Write::Places { call, places: of_it } => {
                    places.push((call.as_str(), of_it.as_slice()));
                }
                Write::Superseded { call } => superseded.push(call),
                Write::Memory { name, value } => memories.push((*name, value.as_slice())),
            }
        }
        // The lock is taken at once: a transaction that turned from reading to writing could not wait for it.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        for rows in portions(&calls) {
            write_calls(&mut transaction, rows).await?;
        }
        for rows in portions(&recordings) {
            write_recordings(&mut transaction, rows).await?;
        }
        for rows in portions(&places) {
            write_places(&mut transaction, rows).await?;
        }
        for call in superseded {
            sqlx::query("DELETE FROM call WHERE id = ? AND state <> 'ended'")
                .bind(call)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        for (name, value) in memories {
            sqlx::query(
                "INSERT INTO memory (name, value) VALUES (?, ?) \
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(name)
            .bind(value)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
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
        self.pool.close().await;
    }
}

pub(crate) fn read_row<T: DeserializeOwned>(id: &str, text: &str) -> Result<T, CatalogError> {
    serde_json::from_str(text).map_err(|source| CatalogError::Row { id: id.to_owned(), source })
}

async fn write_calls(
    transaction: &mut Transaction<'_, Sqlite>,
    rows: &[&CallRow],
) -> Result<(), CatalogError> {
    // What replay or a restart says of a call that has ended already is older than what is known.
    static INSERT: LazyLock<Insert> = LazyLock::new(|| {
        Insert::new::<9>(
            "call (id, call_id, started_ms, ended_ms, state, from_party, to_party, recorded, row)",
            "(id) DO UPDATE SET call_id = excluded.call_id, started_ms = excluded.started_ms, \
             ended_ms = excluded.ended_ms, state = excluded.state, from_party = excluded.from_party, \
             to_party = excluded.to_party, recorded = excluded.recorded, row = excluded.row \
             WHERE call.state <> 'ended' OR excluded.state = 'ended'",
        )
    });
    let mut query = sqlx::query(INSERT.of(rows.len()));
    for row in rows {
        query = query.bind(&row.id).bind(&row.call_id).bind(row.started_at.0);
        query = query.bind(row.ended_at.map(|at| at.0)).bind(&row.state);
        query = query.bind(&row.from).bind(&row.to).bind(row.recorded).bind(text(&row.id, row)?);
    }
    let done = query.execute(&mut **transaction).await;
    done.map(drop).map_err(|source| CatalogError::Query { what: "write calls", source })
}

async fn write_recordings(
    transaction: &mut Transaction<'_, Sqlite>,
    rows: &[&RecordingRow],
) -> Result<(), CatalogError> {
    static INSERT: LazyLock<Insert> = LazyLock::new(|| {
        Insert::new::<8>(
            "recording (id, call, call_id, started_ms, from_party, to_party, path, row)",
            "(id) DO UPDATE SET call = excluded.call, call_id = excluded.call_id, \
             started_ms = excluded.started_ms, from_party = excluded.from_party, \
             to_party = excluded.to_party, path = excluded.path, row = excluded.row",
        )
    });
    let mut query = sqlx::query(INSERT.of(rows.len()));
    for row in rows {
        query = query.bind(&row.id).bind(&row.call).bind(&row.call_id).bind(row.started_at.0);
        query = query.bind(&row.from).bind(&row.to).bind(&row.path).bind(text(&row.id, row)?);
    }
    let done = query.execute(&mut **transaction).await;
    done.map(drop).map_err(|source| CatalogError::Query { what: "write recordings", source })
}

async fn write_places(
    transaction: &mut Transaction<'_, Sqlite>,
    rows: &[(&str, &[u8])],
) -> Result<(), CatalogError> {
    static INSERT: LazyLock<Insert> = LazyLock::new(|| {
        Insert::new::<2>("place (call, places)", "(call) DO UPDATE SET places = excluded.places")
    });
    let mut query = sqlx::query(INSERT.of(rows.len()));
    for (call, places) in rows {
        query = query.bind(*call).bind(*places);
    }
    let done = query.execute(&mut **transaction).await;
    done.map(drop).map_err(|source| CatalogError::Query { what: "write places", source })
}

fn text(id: &str, row: &impl Serialize) -> Result<String, CatalogError> {
    serde_json::to_string(row).map_err(|source| CatalogError::Row { id: id.to_owned(), source })
}
