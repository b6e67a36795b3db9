//! From the text of files to a policy in force, or to everything that is wrong with them.

mod check;
mod fault;
mod parse;
mod scope;

pub use fault::{Fault, Faults};

use crate::document::PolicyFile;
use crate::index::Policy;
pub(crate) use check::socket;
pub(crate) use fault::Findings;
pub(crate) use scope::Scope;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    Json,
    Toml,
}

impl Notation {
    /// By the ending of the file's name; JSON unless it says `.toml`.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending);
        match ending {
            Some(ending) if ending.eq_ignore_ascii_case("toml") => Self::Toml,
            _ => Self::Json,
        }
    }
}

/// The text of one file.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// As faults name it.
    pub name: &'a str,
    pub text: &'a str,
}

/// A set that holds, and the documents that it is made of.
#[derive(Debug)]
pub struct Loaded {
    pub policy: Policy,
    /// In the order of the sources.
    pub documents: Vec<PolicyFile>,
}

/// Reads, checks and compiles a set; either all of it holds, or none.
///
/// # Errors
/// Everything that is wrong, each with its file and path.
pub fn load(sources: &[Source<'_>]) -> Result<Loaded, Faults> {
    let mut findings = Findings::default();
    let documents: Vec<PolicyFile> =
        sources.iter().map(|source| parse::document(source, &mut findings)).collect();
    let names: Vec<&str> = sources.iter().map(|source| source.name).collect();
    check::check(&names, &documents, &mut findings);
    // Claims of one against the other are looked for also where something else is wrong, so that all of it is named at once.
    let policy = Policy::compile(&names, &documents, &mut findings);
    findings.none()?;
    Ok(Loaded { policy, documents })
}
