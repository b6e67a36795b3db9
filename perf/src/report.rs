//! Results as a table for people and as JSON in `perf/results/`, or `target/perf/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::figure::Figure;
use crate::machine::{self, Machine};

/// One run of one group of measurements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Names the file: `stages` is `perf/results/stages.json`.
    pub name: String,
    /// What makes it anew.
    pub command: String,
    pub machine: Machine,
    pub figures: Vec<Figure>,
    /// What could not be measured, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
}

impl Report {
    #[must_use]
    pub fn new(name: &str) -> Self {
        let command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
        Self {
            name: name.to_owned(),
            command: format!("cargo run --release -p earwitness-perf -- {command}"),
            machine: machine::describe(),
            figures: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// A line each: name, median, spread, unit.
    #[must_use]
    pub fn table(&self) -> String {
        let width = self.figures.iter().map(|figure| figure.name.len()).max().unwrap_or_default();
        let line = |figure: &Figure| {
            let Figure { name, unit, spread } = figure;
            format!(
                "{name:width$}  {:>14}  {unit}  ({} to {}, {} rounds)\n",
                digits(spread.median),
                digits(spread.min),
                digits(spread.max),
                spread.rounds
            )
        };
        self.figures.iter().map(line).collect()
    }

    /// Writes `NAME.json` into a folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        let path = folder.join(format!("{}.json", self.name));
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    }
}

/// Where results are kept that claims stand on: those of whole measurements.
#[must_use]
pub fn results() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results")
}

/// Where those are that were for a look.
#[must_use]
pub fn looks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target").join("perf")
}

/// Four significant digits: no measurement here is better than that.
fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = (3 - value.abs().log10().floor() as i32).max(0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits_are_shown() {
        assert_eq!(digits(0.30617), "0.3062");
        assert_eq!(digits(72.0), "72.00");
        assert_eq!(digits(5_300_000.0), "5300000");
        assert_eq!(digits(0.0), "0");
    }
}
