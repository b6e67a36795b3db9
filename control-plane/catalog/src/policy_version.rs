//! The history of policies: a row for each set that came into force.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::store::read_row;
use crate::{Catalog, CatalogError, Timestamp};

/// A set that came into force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersionRow {
    /// From 1, in the order in which they came.
    pub number: i64,
    /// Of the texts of all files.
    pub hash: String,
    /// When it came into force.
    pub since: Timestamp,
    /// Who put it there: a user of the machine.
    pub who: String,
    /// By what: a start, a reload, a replay.
    pub by: String,
    pub files: Vec<String>,
    /// What is otherwise than in the set before.
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
    /// A hash of each part, by name, to compare the next set with.
    pub parts: BTreeMap<String, String>,
}

impl Catalog {
    /// The set that came last.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn last_policy_version(&self) -> Result<Option<PolicyVersionRow>, CatalogError> {
        let query = "SELECT row FROM policy_version ORDER BY number DESC LIMIT 1";
        let row: Option<String> = sqlx::query_scalar(query)
            .fetch_optional(self.pool())
            .await
            .map_err(|source| CatalogError::Query { what: "read the policies' history", source })?;
        row.map(|text| read_row("policy_version", &text)).transpose()
    }

    /// All sets, oldest first.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn policy_versions(&self) -> Result<Vec<PolicyVersionRow>, CatalogError> {
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT row FROM policy_version ORDER BY number")
                .fetch_all(self.pool())
                .await
                .map_err(|source| CatalogError::Query {
                    what: "read the policies' history",
                    source,
                })?;
        rows.iter().map(|text| read_row("policy_version", text)).collect()
    }

    /// Adds a set to the history; its number must be the next one.
    ///
    /// # Errors
    /// The number is taken, or the catalog cannot be written.
    pub async fn keep_policy_version(&self, row: &PolicyVersionRow) -> Result<(), CatalogError> {
        let text = serde_json::to_string(row)
            .map_err(|source| CatalogError::Row { id: row.hash.clone(), source })?;
        sqlx::query("INSERT INTO policy_version (number, hash, since_ms, row) VALUES (?, ?, ?, ?)")
            .bind(row.number)
            .bind(&row.hash)
            .bind(row.since.0)
            .bind(text)
            .execute(self.pool())
            .await
            .map(drop)
            .map_err(|source| CatalogError::Query { what: "keep a policy", source })
    }
}
