//! Why the catalog cannot do what it was asked.

use std::path::PathBuf;

/// An error of the catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("cannot open the catalog {path}")]
    Open { path: PathBuf, source: sqlx::Error },
    #[error("there is no catalog {path}")]
    Missing { path: PathBuf },
    #[error("the catalog {path} has a schema that this version does not know")]
    Migrate { path: PathBuf, source: sqlx::migrate::MigrateError },
    #[error("the catalog refused to {what}")]
    Query { what: &'static str, source: sqlx::Error },
    #[error("the catalog refused to write")]
    Write { source: rusqlite::Error },
    #[error("a row of the catalog is not readable: {id}")]
    Row { id: String, source: serde_json::Error },
    #[error("no recording begins with id {id}: see `earwitness recordings list`")]
    NoRecording { id: String },
    #[error("{count} recordings begin with id {id}: give more of it")]
    Ambiguous { id: String, count: usize },
}
