//! What capture may do: read from /proc while it runs.

use std::fs;

use crate::capture::Capture;
use crate::wire::Wire;

const ENOUGH: &str = "--bounding-set=-all,+bpf,+perfmon,+net_admin,+net_raw,+ipc_lock,+setpcap";

/// Security: after start-up no thread holds a capability, may get one, or is without the filter.
fn is_caged(source: &str) {
    let (wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    // No more than what is documented; with all of root's this would not show what is needed.
    let by = ["setpriv", ENOUGH, "--inh-caps=-all"];
    let capture = Capture::start_as(&wire, folder.path(), &["--source", source], &by);
    let mut threads = 0;
    for task in fs::read_dir(format!("/proc/{}/task", capture.pid())).unwrap().flatten() {
        let status = fs::read_to_string(task.path().join("status")).unwrap();
        let value = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().to_owned()
        };
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(u64::from_str_radix(&value(set), 16), Ok(0), "{set} of\n{status}");
        }
        assert_eq!((value("NoNewPrivs:"), value("Seccomp:")), ("1".into(), "2".into()));
        threads += 1;
    }
    assert!(threads >= 3, "main, keeper and writer");
    capture.stop();
}

#[test]
fn bpf_ring_is_caged() {
    is_caged("bpf_ring");
}

#[test]
fn af_xdp_is_caged() {
    is_caged("af_xdp");
}

#[test]
fn af_packet_is_caged() {
    is_caged("af_packet");
}

/// OPS-3: who lacks capabilities reads which, and how to get them; the exit code is 1.
#[test]
fn missing_capabilities_are_named() {
    let (wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    let by = ["setpriv", "--bounding-set=-all,+net_raw", "--inh-caps=-all"];
    let mut capture = Capture::spawn(&wire, folder.path(), &[], &by);
    assert_eq!(capture.wait().code(), Some(1));
    let said = capture.rest();
    assert!(said.contains("missing CAP_IPC_LOCK") && said.contains("CAP_SETPCAP"), "{said}");
    assert!(!said.contains("CAP_NET_RAW (to"), "{said}");
    assert!(said.contains("setcap cap_bpf,"), "{said}");
}

/// CAP-4: `auto` without the capabilities for XDP takes packet sockets, and says why.
#[test]
fn auto_falls_back_without_bpf() {
    let (wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    let by = ["setpriv", "--bounding-set=-all,+net_raw,+ipc_lock,+setpcap", "--inh-caps=-all"];
    let capture = Capture::start_as(&wire, folder.path(), &[], &by);
    let sources = capture.connect().hello();
    assert_eq!(sources[0].mode, earwitness_ipc::SourceMode::AfPacket);
    assert!(sources[0].reason.contains("CAP_BPF"), "{}", sources[0].reason);
    capture.stop();
}

/// OPS-2: wrong use is exit code 2, an unknown interface 1, each with one line that helps.
#[test]
fn exit_codes() {
    let (wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    let mut wrong = Capture::spawn(&wire, folder.path(), &["--sip-port", "70000"], &[]);
    assert_eq!(wrong.wait().code(), Some(2));
    let mut twice = Capture::spawn(&wire, folder.path(), &["--interface", "tap0"], &[]);
    assert_eq!(twice.wait().code(), Some(2));
    assert!(twice.rest().contains("named twice"), "{}", twice.rest());
    let mut unknown = Capture::spawn(&wire, folder.path(), &["--interface", "no-such"], &[]);
    assert_eq!(unknown.wait().code(), Some(1));
    assert!(unknown.rest().contains("interface no-such: "), "{}", unknown.rest());
}
