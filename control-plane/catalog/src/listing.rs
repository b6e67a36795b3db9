//! Listings: a page at a time, so that a catalog of any size is read in bounded memory.

use serde::de::DeserializeOwned;
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::error::CatalogError;
use crate::store::read_row;
use crate::{CallRow, Catalog, RecordingRow, Timestamp};

/// Rows that one page of a listing has at most.
pub const PAGE_ROWS_MAX: u32 = 1000;

/// Where a page of a listing goes on: behind the row of this start and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    pub started_ms: i64,
    pub id: String,
}

impl From<&CallRow> for After {
    fn from(row: &CallRow) -> Self {
        Self { started_ms: row.started_at.0, id: row.id.clone() }
    }
}

impl From<&RecordingRow> for After {
    fn from(row: &RecordingRow) -> Self {
        Self { started_ms: row.started_at.0, id: row.id.clone() }
    }
}

/// Order of a listing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    OldestFirst,
    NewestFirst,
}

/// What a listing shows: rows for which everything holds that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Started then or later.
    pub from: Option<Timestamp>,
    /// Started before.
    pub until: Option<Timestamp>,
    /// Occurs in one of the parties.
    pub party: Option<String>,
    /// SIP Call-ID of the first leg.
    pub call_id: Option<String>,
    /// For calls only: there is a recording, or is none.
    pub recorded: Option<bool>,
    /// For calls only.
    pub state: Option<String>,
    pub order: Order,
}

/// A table that can be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Call,
    Recording,
}

impl Catalog {
    /// Calls by start, oldest first, at most [`PAGE_ROWS_MAX`].
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn calls(&self, after: Option<&After>) -> Result<Vec<CallRow>, CatalogError> {
        self.find_calls(&Filter::default(), after, PAGE_ROWS_MAX).await
    }

    /// Recordings by start, oldest first, at most [`PAGE_ROWS_MAX`].
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn recordings(
        &self,
        after: Option<&After>,
    ) -> Result<Vec<RecordingRow>, CatalogError> {
        self.find_recordings(&Filter::default(), after, PAGE_ROWS_MAX).await
    }

    /// The calls that `filter` names, at most `rows_max` and [`PAGE_ROWS_MAX`].
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn find_calls(
        &self,
        filter: &Filter,
        after: Option<&After>,
        rows_max: u32,
    ) -> Result<Vec<CallRow>, CatalogError> {
        self.page(Table::Call, filter, after, rows_max).await
    }

    /// The recordings that `filter` names, at most `rows_max` and [`PAGE_ROWS_MAX`].
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn find_recordings(
        &self,
        filter: &Filter,
        after: Option<&After>,
        rows_max: u32,
    ) -> Result<Vec<RecordingRow>, CatalogError> {
        self.page(Table::Recording, filter, after, rows_max).await
    }

    async fn page<T: DeserializeOwned>(
        &self,
        table: Table,
        filter: &Filter,
        after: Option<&After>,
        rows_max: u32,
    ) -> Result<Vec<T>, CatalogError> {
        let mut query = query(table, filter, after, rows_max.min(PAGE_ROWS_MAX));
        let rows = query
            .build()
            .fetch_all(self.pool())
            .await
            .map_err(|source| CatalogError::Query { what: "list", source })?;
        rows.iter().map(|row| read_row(row.get(0), row.get(1))).collect()
    }
}

/// Every value is bound; only words of this function become SQL.
fn query(table: Table, filter: &Filter, after: Option<&After>, rows: u32) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(match table {
        Table::Call => "SELECT id, row FROM call WHERE TRUE",
        Table::Recording => "SELECT id, row FROM recording WHERE TRUE",
    });
    if let Some(after) = after {
        query.push(match filter.order {
            Order::OldestFirst => " AND (started_ms, id) > (",
            Order::NewestFirst => " AND (started_ms, id) < (",
        });
        query.push_bind(after.started_ms).push(", ").push_bind(after.id.clone()).push(")");
    }
    if let Some(from) = filter.from {
        query.push(" AND started_ms >= ").push_bind(from.0);
    }
    if let Some(until) = filter.until {
        query.push(" AND started_ms < ").push_bind(until.0);
    }
    if let Some(party) = &filter.party {
        query.push(" AND (instr(from_party, ").push_bind(party.clone());
        query.push(") OR instr(to_party, ").push_bind(party.clone()).push("))");
    }
    if let Some(call_id) = &filter.call_id {
        query.push(" AND call_id = ").push_bind(call_id.clone());
    }
    if table == Table::Call {
        if let Some(recorded) = filter.recorded {
            query.push(" AND recorded = ").push_bind(recorded);
        }
        if let Some(state) = &filter.state {
            query.push(" AND state = ").push_bind(state.clone());
        }
    }
    query.push(match filter.order {
        Order::OldestFirst => " ORDER BY started_ms, id LIMIT ",
        Order::NewestFirst => " ORDER BY started_ms DESC, id DESC LIMIT ",
    });
    query.push_bind(rows);
    query
}
