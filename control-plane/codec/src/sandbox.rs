//! The cell that the program `earwitness-codec` locks itself into before it reads foreign bytes.
//!
//! From then on it can compute, ask for memory, talk on the descriptors it was started with, and
//! end. The reasons for each entry are in `design/codec.md`.

#![expect(unsafe_code, reason = "setrlimit, close_range and prctl have no safe wrapper here")]

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::limits::{WORKER_CPU_MAX_S, WORKER_MEMORY_BYTES_MAX};

/// Why a process could not be locked in. It must end, then.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("cannot set limit {limit}")]
    Limit {
        limit: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("cannot give up capabilities")]
    Capabilities(#[source] caps::errors::CapsError),
    #[error("cannot {action}")]
    Process {
        action: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("cannot install the system call filter")]
    Filter(#[source] seccompiler::Error),
    #[error("no system call filter for this architecture")]
    Architecture,
}

/// System calls that are always allowed.
const ALLOWED: &[libc::c_long] = &[
    // Talk on descriptors that are already open.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_close,
    // Memory, but for mmap and mprotect (below).
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Locks inside the process.
    libc::SYS_futex,
    libc::SYS_sched_yield,
    // Seeds of hash tables.
    libc::SYS_getrandom,
    // Its own processor time, told with each answer.
    libc::SYS_clock_gettime,
    // An orderly end.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
];

/// Locks the calling process in for good: limits, no capabilities, no new privileges, a filter of
/// system calls on all its threads. A forbidden call ends the process with `SIGSYS`.
pub fn enter() -> Result<(), SandboxError> {
    let filter = filter()?;
    close_descriptors()?;
    limit_resources()?;
    for set in [
        caps::CapSet::Ambient,
        caps::CapSet::Effective,
        caps::CapSet::Permitted,
        caps::CapSet::Inheritable,
    ] {
        caps::clear(None, set).map_err(SandboxError::Capabilities)?;
    }
    // Not dumpable: no core file, and no tracing by others of the same user.
    // SAFETY: PR_SET_DUMPABLE takes numbers only.
    check("forbid dumps", unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })?;
    // This sets no_new_privs first.
    seccompiler::apply_filter_all_threads(&filter).map_err(SandboxError::Filter)
}

fn filter() -> Result<BpfProgram, SandboxError> {
    let architecture =
        TargetArch::try_from(std::env::consts::ARCH).map_err(|_| SandboxError::Architecture)?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    let not_executable = || {
        let exec = SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64);
        SeccompCondition::new(2, SeccompCmpArgLen::Dword, exec, 0)
            .and_then(|condition| SeccompRule::new(vec![condition]))
    };
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let rule = not_executable()
            .map_err(|error| SandboxError::Filter(seccompiler::Error::Backend(error)))?;
        rules.insert(call, vec![rule]);
    }
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture)
        .and_then(BpfProgram::try_from)
        .map_err(|error| SandboxError::Filter(seccompiler::Error::Backend(error)))
}

/// Closes whatever a parent left open beyond the standard descriptors.
fn close_descriptors() -> Result<(), SandboxError> {
    // SAFETY: nothing in this process uses a descriptor past 2 yet: `enter` comes first.
    check("close descriptors", unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) as i32
    })
}

fn limit_resources() -> Result<(), SandboxError> {
    for (name, resource, bound) in [
        ("address space", libc::RLIMIT_AS, WORKER_MEMORY_BYTES_MAX),
        ("processor time", libc::RLIMIT_CPU, WORKER_CPU_MAX_S),
        ("file size", libc::RLIMIT_FSIZE, 0),
        ("core size", libc::RLIMIT_CORE, 0),
        ("open files", libc::RLIMIT_NOFILE, 0),
        ("processes", libc::RLIMIT_NPROC, 0),
    ] {
        let limit = libc::rlimit { rlim_cur: bound, rlim_max: bound };
        // SAFETY: `limit` lives across the call, which only reads it.
        if unsafe { libc::setrlimit(resource, &raw const limit) } != 0 {
            return Err(SandboxError::Limit { limit: name, source: io::Error::last_os_error() });
        }
    }
    Ok(())
}

fn check(action: &'static str, result: i32) -> Result<(), SandboxError> {
    if result == 0 {
        Ok(())
    } else {
        Err(SandboxError::Process { action, source: io::Error::last_os_error() })
    }
}
