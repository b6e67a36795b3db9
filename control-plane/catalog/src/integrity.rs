//! What `earwitness check` asks of the catalog itself. Whether the files of a recording are there is asked by
//! those who know files.

use crate::Catalog;
use crate::error::CatalogError;

/// Each gives one line for each row that breaks a rule of the schema.
const RULES: [&str; 4] = [
    // The schema forbids it; a file written to by something else may have it all the same.
    "SELECT 'recording ' || id || ' has no call' FROM recording WHERE call NOT IN (SELECT id FROM call)",
    "SELECT 'call ' || id || ' is recorded, but has no recording' FROM call \
     WHERE recorded AND NOT EXISTS (SELECT 1 FROM recording WHERE recording.call = call.id)",
    // The columns that are searched say what the row says.
    "SELECT 'call ' || id || ' has columns that differ from its row' FROM call \
     WHERE NOT json_valid(row) OR json_extract(row, '$.id') IS NOT id \
     OR json_extract(row, '$.state') IS NOT state OR json_extract(row, '$.from') IS NOT from_party \
     OR json_extract(row, '$.to') IS NOT to_party",
    "SELECT 'recording ' || id || ' has columns that differ from its row' FROM recording \
     WHERE NOT json_valid(row) OR json_extract(row, '$.id') IS NOT id \
     OR json_extract(row, '$.call') IS NOT call OR json_extract(row, '$.path') IS NOT path",
];

impl Catalog {
    /// What is wrong, one line each; nothing when it is whole.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub async fn integrity(&self) -> Result<Vec<String>, CatalogError> {
        let failed = |source| CatalogError::Query { what: "check itself", source };
        let own: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
            .fetch_all(self.pool())
            .await
            .map_err(failed)?;
        let mut lines: Vec<String> = own.into_iter().filter(|line| line != "ok").collect();
        for rule in RULES {
            let breaches: Vec<String> =
                sqlx::query_scalar(rule).fetch_all(self.pool()).await.map_err(failed)?;
            lines.extend(breaches);
        }
        Ok(lines)
    }
}
