//! What the control plane may do: read from /proc while it runs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::chown;

use crate::daemon::{Daemon, refused};
use crate::space::Space;

/// The sets that a thread may use, or give on; and what they hold.
fn capabilities(pid: libc::pid_t) -> BTreeSet<(String, String, String)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten();
    let of_task = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        ["CapInh:", "CapPrm:", "CapEff:"].map(|set| (value("Name:"), set.to_owned(), value(set)))
    };
    tasks.flat_map(of_task).collect()
}

/// Security: no thread of the control plane has a capability, whoever started it, and capture is started again without.
#[test]
fn the_control_plane_has_none() {
    let folder = tempfile::tempdir().expect("there is room");
    let policy = folder.path().join("policy.json");
    fs::write(&policy, r#"{ "tenants": [{ "id": "nobody" }] }"#).expect("there is room");
    let more = format!("[policy]\nfiles = [{policy:?}]\n");
    let daemon = Daemon::start(Space::new("v"), folder.path(), &more);
    daemon.kill_capture();
    daemon.await_metrics("capture is started again", |metrics| {
        metrics.sum("earwitness_capture_restarts_total") == 1.0
            && metrics.sum("earwitness_capture_connected") == 1.0
    });
    let capabilities = capabilities(daemon.control_plane_pid());
    let threads: BTreeSet<&str> = capabilities.iter().map(|(name, ..)| &**name).collect();
    for name in ["calls", "catalog", "finish-0", "http", "policy"] {
        assert!(threads.contains(name), "{threads:?}");
    }
    for (name, set, value) in &capabilities {
        assert_eq!(u64::from_str_radix(value, 16), Ok(0), "{set} of {name}");
    }
    daemon.stop();
}

/// Security: a folder that only a capability lets it write is refused at once, with the remedy, not when the first call is over.
#[test]
fn a_folder_of_another_user_is_refused() {
    let folder = tempfile::tempdir().expect("there is room");
    let data_dir = folder.path().join("data");
    fs::create_dir(&data_dir).expect("there is room");
    chown(&data_dir, Some(65_534), Some(65_534)).expect("the test is root");
    let said = refused(&Space::new("y"), folder.path());
    assert!(said.contains("cannot be written without capabilities"), "{said}");
    assert!(said.contains("give it to the user who runs earwitness"), "{said}");
}
