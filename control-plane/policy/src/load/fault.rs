//! What is wrong with a set of policies: file, path, problem.

use std::fmt;

use crate::limits::FAULTS_MAX;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Fault {
    pub file: String,
    /// Where in the file, such as `tenants[0].users[3].call_recording.inbound`; empty: the file as a whole.
    pub path: String,
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, path, problem } = self;
        if path.is_empty() {
            return write!(f, "{file}: {problem}");
        }
        write!(f, "{file}: {path}: {problem}")
    }
}

/// Why a set is refused: everything that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    pub faults: Vec<Fault>,
    /// Further ones, past the bound of those that are named.
    pub left_out: usize,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len() + self.left_out;
        write!(f, "policy refused, {count} faults")?;
        for fault in &self.faults {
            write!(f, "; {fault}")?;
        }
        if self.left_out > 0 {
            write!(f, "; and {} more", self.left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Where faults are gathered.
#[derive(Debug, Default)]
pub struct Findings {
    faults: Vec<Fault>,
    left_out: usize,
}

impl Findings {
    /// Adds a fault, but of a place of which something was told already.
    pub fn add(&mut self, file: &str, path: impl fmt::Display, problem: impl fmt::Display) {
        let path = path.to_string();
        if self.faults.iter().any(|known| known.file == file && is_at(&known.path, &path)) {
            return;
        }
        if self.faults.len() >= FAULTS_MAX {
            self.left_out += 1;
            return;
        }
        let (file, problem) = (file.to_owned(), problem.to_string());
        self.faults.push(Fault { file, path, problem });
    }

    /// Whether no more are named.
    pub const fn is_full(&self) -> bool {
        self.faults.len() >= FAULTS_MAX
    }

    /// # Errors
    /// There are faults.
    pub fn none(&mut self) -> Result<(), Faults> {
        if self.faults.is_empty() {
            return Ok(());
        }
        let faults = std::mem::take(&mut self.faults);
        Err(Faults { faults, left_out: std::mem::take(&mut self.left_out) })
    }
}

/// Whether `path` is `known`, or in it.
fn is_at(known: &str, path: &str) -> bool {
    let Some(rest) = path.strip_prefix(known) else { return false };
    !known.is_empty() && (rest.is_empty() || rest.starts_with(['.', '[']))
}
