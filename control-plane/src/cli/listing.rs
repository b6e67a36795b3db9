//! `calls list` and `recordings list`: tables for people, JSON Lines for programs.

use std::io::{self, Write};
use std::path::PathBuf;

use earwitness_catalog::{After, CallRow, Catalog, CatalogError, RecordingRow};
use serde::Serialize;

/// Why a listing ended early.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("cannot write the listing: {source}")]
    Write { source: io::Error },
}

impl ListError {
    /// The reader went away.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Write { source } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// A row that can be listed.
trait Listed: Serialize {
    const HEADER: &'static str;
    fn line(&self) -> String;
    fn after(&self) -> After;
}

impl Listed for CallRow {
    const HEADER: &'static str = "STARTED                   STATE     RECORDED  FROM → TO                                 REASON";

    fn line(&self) -> String {
        let recorded = if self.recorded { "yes" } else { "no" };
        let why = if self.recorded || !self.decision.recorded {
            self.decision.rule.as_str()
        } else {
            "no audio"
        };
        format!(
            "{:24}  {:8}  {recorded:8}  {:40}  {} ({why})",
            self.started_at,
            self.state,
            parties(self.from.as_deref(), self.to.as_deref()),
            self.end_reason.as_deref().unwrap_or("in progress"),
        )
    }

    fn after(&self) -> After {
        After { started_ms: self.started_at.0, id: self.id.clone() }
    }
}

impl Listed for RecordingRow {
    const HEADER: &'static str = "ID                STARTED                   DURATION  FROM → TO                                 PATH";

    fn line(&self) -> String {
        let seconds = self.duration_ms as f64 / 1000.0;
        format!(
            "{:16}  {:24}  {seconds:7.2}s  {:40}  {}",
            self.id,
            self.started_at,
            parties(self.from.as_deref(), self.to.as_deref()),
            self.path,
        )
    }

    fn after(&self) -> After {
        After { started_ms: self.started_at.0, id: self.id.clone() }
    }
}

fn parties(from: Option<&str>, to: Option<&str>) -> String {
    format!("{} → {}", from.unwrap_or("unknown"), to.unwrap_or("unknown"))
}

/// Prints every call, oldest first.
///
/// # Errors
/// The catalog cannot be read, or the output is closed.
pub async fn calls_list(data_dir: PathBuf, json: bool) -> Result<(), ListError> {
    let catalog = Catalog::open(&data_dir).await?;
    let mut printer = Printer::new(json);
    let mut after = None;
    loop {
        let page = catalog.calls(after.as_ref()).await?;
        let Some(last) = page.last().map(Listed::after) else { return printer.finish() };
        printer.page(&page)?;
        after = Some(last);
    }
}

/// Prints every recording, oldest first.
///
/// # Errors
/// The catalog cannot be read, or the output is closed.
pub async fn recordings_list(data_dir: PathBuf, json: bool) -> Result<(), ListError> {
    let catalog = Catalog::open(&data_dir).await?;
    let mut printer = Printer::new(json);
    let mut after = None;
    loop {
        let page = catalog.recordings(after.as_ref()).await?;
        let Some(last) = page.last().map(Listed::after) else { return printer.finish() };
        printer.page(&page)?;
        after = Some(last);
    }
}

struct Printer {
    out: io::BufWriter<io::Stdout>,
    json: bool,
    rows: u64,
}

impl Printer {
    fn new(json: bool) -> Self {
        Self { out: io::BufWriter::new(io::stdout()), json, rows: 0 }
    }

    fn page<T: Listed>(&mut self, rows: &[T]) -> Result<(), ListError> {
        let result = rows.iter().try_for_each(|row| self.row(row));
        result.map_err(|source| ListError::Write { source })
    }

    fn row<T: Listed>(&mut self, row: &T) -> io::Result<()> {
        if self.json {
            serde_json::to_writer(&mut self.out, row)?;
            return self.out.write_all(b"\n");
        }
        if self.rows == 0 {
            writeln!(self.out, "{}", T::HEADER)?;
        }
        self.rows += 1;
        writeln!(self.out, "{}", row.line())
    }

    fn finish(mut self) -> Result<(), ListError> {
        let nothing = !self.json && self.rows == 0;
        let result = if nothing { writeln!(self.out, "nothing yet") } else { Ok(()) };
        result.and_then(|()| self.out.flush()).map_err(|source| ListError::Write { source })
    }
}
