//! What capture may do at the start, and that it may do nothing of it afterwards.
//!
//! Each capability is asked for by the source that needs it, so that a machine which grants less can still use the
//! other sources.
#![expect(unsafe_code, reason = "prctl has no safe form")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::{fs, io};

use caps::{CapSet, Capability};
use thiserror::Error;

/// Why capture needs a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    pub capability: Capability,
    pub purpose: &'static str,
}

/// To give everything away at the end, including what a later `execve` could get back.
const GIVE_AWAY: Need =
    Need { capability: Capability::CAP_SETPCAP, purpose: "empty the bounding set" };
const LOCK: Need = Need { capability: Capability::CAP_IPC_LOCK, purpose: "lock rings in memory" };
const RAW: Need = Need { capability: Capability::CAP_NET_RAW, purpose: "open packet sockets" };
const BPF: Need =
    Need { capability: Capability::CAP_BPF, purpose: "load the XDP program and its maps" };
const PERFMON: Need = Need {
    capability: Capability::CAP_PERFMON,
    purpose: "let the verifier accept the program's pointer arithmetic",
};
const ADMIN: Need =
    Need { capability: Capability::CAP_NET_ADMIN, purpose: "attach the XDP program" };

/// What every source needs.
pub const NEEDED_ALWAYS: &[Need] = &[RAW, LOCK, GIVE_AWAY];
/// What sources with an XDP program need besides.
pub const NEEDED_FOR_XDP: &[Need] = &[BPF, PERFMON, ADMIN];

#[derive(Debug, Error)]
pub enum PrivilegeError {
    #[error("missing {}", describe(missing))]
    Missing { missing: Vec<Need> },
    #[error("cannot read or change capabilities: {source}")]
    Capabilities {
        #[from]
        source: caps::errors::CapsError,
    },
    #[error("cannot set {what}: {source}")]
    Prctl { what: &'static str, source: io::Error },
    /// Capabilities belong to threads: one that runs already would keep its own.
    #[error("{threads} threads run before capabilities are dropped")]
    TooEarlyThreads { threads: usize },
}

/// Makes what is permitted effective, and says what is missing of `needs`.
///
/// # Errors
/// [`PrivilegeError::Missing`] with the remedy.
pub fn take(needs: &[Need]) -> Result<(), PrivilegeError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    let missing: Vec<Need> =
        needs.iter().filter(|need| !permitted.contains(&need.capability)).copied().collect();
    if !missing.is_empty() {
        return Err(PrivilegeError::Missing { missing });
    }
    for need in needs {
        caps::raise(None, CapSet::Effective, need.capability)?;
    }
    Ok(())
}

/// Drops all capabilities from all five sets, forbids new ones, and lets nobody look into the process.
///
/// # Errors
/// Any failure is fatal: capture does not run with a privilege it did not mean to keep.
pub fn drop_all() -> Result<(), PrivilegeError> {
    let threads = thread_count();
    if threads != 1 {
        return Err(PrivilegeError::TooEarlyThreads { threads });
    }
    // The bounding set first: it takes CAP_SETPCAP to empty it.
    for set in [CapSet::Bounding, CapSet::Ambient, CapSet::Inheritable] {
        caps::clear(None, set)?;
    }
    // Effective cannot outlast permitted.
    caps::clear(None, CapSet::Effective)?;
    caps::clear(None, CapSet::Permitted)?;
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, "no_new_privs")?;
    prctl(libc::PR_SET_DUMPABLE, 0, "not dumpable")
}

fn prctl(
    option: libc::c_int,
    value: libc::c_ulong,
    what: &'static str,
) -> Result<(), PrivilegeError> {
    // SAFETY: both options take numbers only.
    if unsafe { libc::prctl(option, value, 0, 0, 0) } == 0 {
        return Ok(());
    }
    Err(PrivilegeError::Prctl { what, source: io::Error::last_os_error() })
}

fn thread_count() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// Names what is missing and how to grant everything.
fn describe(missing: &[Need]) -> String {
    let mut text = String::new();
    for (at, need) in missing.iter().enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}{} (to {})", need.capability, need.purpose);
    }
    let all: BTreeSet<String> = NEEDED_ALWAYS
        .iter()
        .chain(NEEDED_FOR_XDP)
        .map(|need| need.capability.to_string())
        .collect();
    let list: Vec<&str> = all.iter().map(String::as_str).collect();
    let file = std::env::current_exe().map_or_else(
        |_| "/usr/bin/earwitness-capture".to_owned(),
        |path| path.display().to_string(),
    );
    let _ = write!(
        text,
        "; as root: setcap {}=ep {file}, or in the systemd unit: AmbientCapabilities={}",
        list.join(",").to_lowercase(),
        list.join(" ")
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OPS-3: who lacks a capability reads which, why, and both remedies.
    #[test]
    fn missing_names_the_remedy() {
        let text = PrivilegeError::Missing { missing: vec![RAW, BPF] }.to_string();
        assert!(text.starts_with("missing CAP_NET_RAW (to open packet sockets), CAP_BPF (to load"));
        assert!(text.contains("setcap cap_bpf,cap_ipc_lock,cap_net_admin,"), "{text}");
        assert!(text.contains("AmbientCapabilities=CAP_BPF CAP_IPC_LOCK CAP_NET_ADMIN"), "{text}");
    }
}
