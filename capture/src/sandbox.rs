//! The cage: after start-up capture holds no capability, sees two folders, and may make the system calls of one
//! list. Whatever hostile bytes make of it, it cannot open a socket, start a program or read another file.
//!
//! It closes in two steps, because capabilities and Landlock belong to threads and are inherited by those that a
//! thread starts, while the filter can be put on all threads at once and then forbids starting any:
//! [`enter`] by the only thread there is, then threads are started, then [`Entered::seal`].

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, PathFdError,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope,
};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch,
};
use thiserror::Error;

use crate::privilege::{self, PrivilegeError};
use crate::syscalls;

/// The newest that is known here; an older kernel enforces what it knows.
const LANDLOCK: ABI = ABI::V6;

#[derive(Debug, Error)]
pub enum SandboxError {
    #[error("capabilities: {source}")]
    Privilege {
        #[from]
        source: PrivilegeError,
    },
    #[error("landlock: {path}: {source}")]
    Folder { path: PathBuf, source: PathFdError },
    #[error("landlock: {source}")]
    Landlock {
        #[from]
        source: RulesetError,
    },
    #[error("seccomp: {source}")]
    Filter {
        #[from]
        source: BackendError,
    },
    #[error("seccomp: {source}")]
    Install {
        #[from]
        source: seccompiler::Error,
    },
}

/// How much of Landlock this kernel enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folders {
    Enforced,
    /// The kernel knows less than we ask for.
    Partly,
    /// The kernel has no Landlock: files are kept from us by their permissions only.
    NotEnforced,
}

/// No capability is left. Threads started now are as caged; the filter comes with [`Entered::seal`].
#[derive(Debug)]
#[must_use = "the filter is missing until `seal`"]
pub struct Entered {
    filter: BpfProgram,
    pub folders: Folders,
}

/// Gives up every capability, and every file but those beneath `segments` and `run`.
///
/// # Errors
/// [`SandboxError`]; capture must not go on.
pub fn enter(segments: &Path, run: &Path) -> Result<Entered, SandboxError> {
    // Compiled before, so that nothing can fail in between.
    let filter = filter()?;
    privilege::drop_all()?;
    let status = restrict(segments, run)?;
    let folders = match status.ruleset {
        RulesetStatus::FullyEnforced => Folders::Enforced,
        RulesetStatus::PartiallyEnforced => Folders::Partly,
        RulesetStatus::NotEnforced => Folders::NotEnforced,
    };
    Ok(Entered { filter, folders })
}

impl Entered {
    /// Puts the filter on all threads of the process. A call that is not on the list ends the process by SIGSYS.
    ///
    /// # Errors
    /// [`SandboxError::Install`].
    pub fn seal(self) -> Result<(), SandboxError> {
        Ok(seccompiler::apply_filter_all_threads(&self.filter)?)
    }
}

fn restrict(segments: &Path, run: &Path) -> Result<RestrictionStatus, SandboxError> {
    let write: BitFlags<AccessFs> = AccessFs::ReadFile
        | AccessFs::WriteFile
        | AccessFs::ReadDir
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
        | AccessFs::Truncate;
    // The socket's file is removed at the end.
    let remove: BitFlags<AccessFs> = AccessFs::ReadDir | AccessFs::RemoveFile;
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .add_rule(PathBeneath::new(folder(segments)?, write))?
        .add_rule(PathBeneath::new(folder(run)?, remove))?;
    Ok(ruleset.restrict_self()?)
}

fn folder(path: &Path) -> Result<PathFd, SandboxError> {
    PathFd::new(path).map_err(|source| SandboxError::Folder { path: path.to_owned(), source })
}

fn filter() -> Result<BpfProgram, SandboxError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        syscalls::ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    for (call, conditions) in syscalls::conditional()? {
        rules.entry(call).or_default().push(SeccompRule::new(conditions)?);
    }
    let target = TargetArch::try_from(ARCH)?;
    let (otherwise, listed) = (SeccompAction::KillProcess, SeccompAction::Allow);
    Ok(SeccompFilter::new(rules, otherwise, listed, target)?.try_into()?)
}
