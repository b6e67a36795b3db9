//! What the control socket is asked about the policies, and what it answers.

use std::path::PathBuf;

use earwitness_policy::Faults;
use earwitness_policy::load::Fault;
use serde::{Deserialize, Serialize};

use crate::rules::{By, Change, Kept, RulesError};

/// Names of one kind that an answer has; the history has all.
const NAMES_MAX: usize = 50;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Errand {
    /// Which files the daemon reads.
    Files,
    /// That it reads them again.
    Reload,
    /// The same, as some were put there.
    Apply,
    /// The same, as some were taken away.
    Remove,
}

impl Errand {
    /// As the history names it; none, if nothing is to be read.
    pub(super) const fn by(self) -> Option<By> {
        match self {
            Self::Files => None,
            Self::Reload => Some(By::Reload),
            Self::Apply => Some(By::Apply),
            Self::Remove => Some(By::Remove),
        }
    }
}

/// A line to the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRequest {
    pub policies: Errand,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyResult {
    /// Another set is in force.
    Done,
    /// It is the set that was in force.
    Unchanged,
    /// The set has faults; the one before stays.
    Refused,
    /// The daemon could not; the one before stays.
    Failed,
}

/// The line that comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyAnswer {
    pub result: PolicyResult,
    /// Why it failed.
    pub reason: Option<String>,
    /// Number and hash of the set in force; none, if there are no policies.
    pub version: Option<String>,
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
    /// Further ones, past the bound of those that are named.
    pub names_left_out: usize,
    pub faults: Vec<Fault>,
    pub faults_left_out: usize,
    /// Files and folders that the daemon reads.
    pub files: Vec<PathBuf>,
}

impl PolicyAnswer {
    pub(crate) const fn new(result: PolicyResult, version: Option<String>) -> Self {
        Self {
            result,
            reason: None,
            version,
            added: Vec::new(),
            changed: Vec::new(),
            removed: Vec::new(),
            names_left_out: 0,
            faults: Vec::new(),
            faults_left_out: 0,
            files: Vec::new(),
        }
    }

    pub(crate) fn files(files: &[PathBuf]) -> Self {
        Self { files: files.to_vec(), ..Self::new(PolicyResult::Unchanged, None) }
    }

    pub(crate) fn failed(reason: &str, version: Option<String>) -> Self {
        Self { reason: Some(reason.to_owned()), ..Self::new(PolicyResult::Failed, version) }
    }

    pub(super) fn kept(kept: &Kept) -> Self {
        let version = kept.rules.version.as_ref().map(ToString::to_string);
        let Some(Change { added, changed, removed }) = &kept.change else {
            return Self::new(PolicyResult::Unchanged, version);
        };
        let told = |names: &[String]| names.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>();
        let left_out = |names: &[String]| names.len().saturating_sub(NAMES_MAX);
        Self {
            added: told(added),
            changed: told(changed),
            removed: told(removed),
            names_left_out: left_out(added) + left_out(changed) + left_out(removed),
            ..Self::new(PolicyResult::Done, version)
        }
    }

    pub(super) fn refused(error: RulesError, version: Option<String>) -> Self {
        match error {
            RulesError::Refused(Faults { faults, left_out }) => Self {
                faults,
                faults_left_out: left_out,
                ..Self::new(PolicyResult::Refused, version)
            },
            // With all its causes.
            error => Self::failed(&format!("{:#}", anyhow::Error::new(error)), version),
        }
    }
}

#[cfg(test)]
mod tests {
    use earwitness_policy::Fallback;

    use super::*;
    use crate::rules::Rules;

    /// POL-1, S10: an answer names what changed as far as it has room, and says how much more there is.
    #[test]
    fn many_names_are_counted() {
        let names = |count: usize| (0..count).map(|at| format!("tenant {at}")).collect::<Vec<_>>();
        let rules = Rules::without_policies(crate::config::RecordDefault::All);
        assert_eq!(rules.fallback, Fallback::RecordAll);
        let change = Change { added: names(NAMES_MAX + 7), changed: names(2), removed: names(0) };
        let answer = PolicyAnswer::kept(&Kept { rules, change: Some(change) });
        assert_eq!(answer.result, PolicyResult::Done);
        assert_eq!((answer.added.len(), answer.changed.len()), (NAMES_MAX, 2));
        assert_eq!(answer.names_left_out, 7);
    }
}
