//! The files of a set: those of the configuration, a folder standing for those in it.

use std::path::{Path, PathBuf};

use earwitness_catalog::CatalogError;
use earwitness_policy::{Faults, Source};

use super::version::Loaded;

/// Why there is no set.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("cannot read policy {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Refused(#[from] Faults),
    #[error("the policies' history")]
    History(#[from] CatalogError),
    #[error("no runtime for the catalog: {source}")]
    Runtime { source: std::io::Error },
}

impl RulesError {
    /// Whether the files were wrong, not the machine.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Refused(_))
    }
}

/// Names and texts of all files; of a folder those that end in `.json` or `.toml`, by name.
///
/// # Errors
/// One cannot be read.
pub fn read(paths: &[PathBuf]) -> Result<Vec<(String, String)>, RulesError> {
    let mut texts = Vec::new();
    for path in paths {
        let failed = |source| RulesError::Read { path: path.clone(), source };
        if path.is_dir() {
            for file in of_folder(path).map_err(failed)? {
                texts.push(text(&file)?);
            }
        } else {
            texts.push(text(path)?);
        }
    }
    Ok(texts)
}

fn of_folder(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries: Result<Vec<PathBuf>, std::io::Error> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect();
    let is_policy = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        path.is_file() && matches!(ending, Some("json" | "toml"))
    };
    let mut files: Vec<PathBuf> = entries?.into_iter().filter(is_policy).collect();
    files.sort();
    Ok(files)
}

fn text(path: &Path) -> Result<(String, String), RulesError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| RulesError::Read { path: path.to_owned(), source })?;
    Ok((path.display().to_string(), text))
}

/// Reads and checks a set as a whole.
///
/// # Errors
/// A file cannot be read, or the set is refused: everything that is wrong is named.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, RulesError> {
    let texts = read(paths)?;
    let sources: Vec<Source<'_>> = texts.iter().map(|(name, text)| Source { name, text }).collect();
    let loaded = earwitness_policy::load(&sources)?;
    Ok(Loaded::new(loaded, &texts))
}
