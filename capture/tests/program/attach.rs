//! Attached to real interfaces, in a network namespace of the test's own that goes with its thread.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use earwitness_abi::Counter;
use earwitness_capture::program::{AttachMode, AttachReport, AttachedMode, Program};

use crate::frames::INVITE;
use crate::kernel::{Kernel, RINGS, options};

/// Runs in a thread with a network namespace of its own, which ends with it.
fn in_namespace(test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: changes this thread's namespace only.
            let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            assert_eq!(result, 0, "needs root: {}", std::io::Error::last_os_error());
            test();
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn ip(line: &str) -> String {
    let output = Command::new("ip").args(line.split(' ')).output().expect("iproute2");
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `ear0`, where the program listens, and `mouth0`, whose packets for 192.0.2.2 reach it.
fn veth() {
    ip("link set lo up");
    ip("link add ear0 type veth peer name mouth0");
    ip("link set ear0 up");
    ip("link set mouth0 up");
    ip("addr add 192.0.2.1/24 dev mouth0");
    ip("neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev mouth0");
}

/// Waits until the program has seen as many SIP packets.
fn wait_for(kernel: &Kernel, signalling: u64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while kernel.counters().get(Counter::Signalling) < signalling {
        assert!(Instant::now() < deadline, "{:?}", kernel.counters());
        thread::yield_now();
    }
}

fn listens(interface: &str, mode: AttachMode) -> AttachReport {
    let mut kernel = Kernel::load(&options(RINGS));
    let report = kernel.program.attach(interface, mode).unwrap();
    let socket = UdpSocket::bind("192.0.2.1:0").unwrap();
    for _ in 0..3 {
        socket.send_to(INVITE, "192.0.2.2:5060").unwrap();
    }
    wait_for(&kernel, 3);
    let records = kernel.records();
    let (header, frame) = records.iter().find(|(header, _)| header.dst_port == 5060).unwrap();
    let payload = &frame[usize::from(header.payload)..][..usize::from(header.payload_len)];
    assert_eq!(payload, INVITE);
    let index: u32 = fs::read_to_string(format!("/sys/class/net/{interface}/ifindex"))
        .map_or_else(|_| index_by_ip(interface), |text| text.trim().parse().unwrap());
    let by_ip = index_by_ip(interface);
    assert_eq!(header.interface, by_ip, "{index}");
    let counters = kernel.counters();
    assert_eq!(counters.get(Counter::Received), counters.exits());
    report
}

fn index_by_ip(interface: &str) -> u32 {
    let line = ip(&format!("-o link show dev {interface}"));
    line.split(':').next().unwrap().parse().unwrap()
}

/// CAP-4: native where the driver can, and the same frames in generic mode.
#[test]
fn frames_reach_the_program_in_both_modes() {
    in_namespace(|| {
        veth();
        let native = listens("ear0", AttachMode::Auto);
        assert_eq!(native, AttachReport { mode: AttachedMode::Native, reason: None });
        let generic = listens("ear0", AttachMode::Generic);
        assert_eq!(generic, AttachReport { mode: AttachedMode::Generic, reason: None });
    });
}

/// CAP-4, OPS-3: where the driver cannot, the report says why.
#[test]
fn a_driver_without_xdp_is_named() {
    in_namespace(|| {
        ip("link set lo up");
        let mut program = Program::load(&options(RINGS)).unwrap();
        let report = program.attach("lo", AttachMode::Auto).unwrap();
        assert_eq!(report.mode, AttachedMode::Generic);
        let reason = report.reason.expect("a reason");
        assert!(reason.contains("not supported"), "{reason}");
        assert!(program.detach("lo"));
        assert!(!program.detach("lo"));
        assert!(program.attach("lo", AttachMode::Native).is_err());
    });
}

/// CAP-1: jumbo frames do not keep the program from attaching, and are copied whole.
#[test]
fn jumbo_frames_are_received() {
    in_namespace(|| {
        veth();
        for interface in ["ear0", "mouth0"] {
            ip(&format!("link set {interface} mtu 9000"));
        }
        let mut kernel = Kernel::load(&options(RINGS));
        let report = kernel.program.attach("ear0", AttachMode::Native).unwrap();
        assert_eq!(report.mode, AttachedMode::Native);
        let mut message = INVITE.to_vec();
        message.resize(8900, b'a');
        let socket = UdpSocket::bind("192.0.2.1:0").unwrap();
        socket.send_to(&message, "192.0.2.2:5060").unwrap();
        wait_for(&kernel, 1);
        let records = kernel.records();
        let (header, frame) = records.iter().find(|(header, _)| header.dst_port == 5060).unwrap();
        assert_eq!(header.wire_len, 8900 + 42);
        assert_eq!(&frame[42..], message);
    });
}

/// The program goes with its owner, and does not take the place of another's.
#[test]
fn the_program_goes_with_its_owner() {
    in_namespace(|| {
        veth();
        let mut first = Program::load(&options(RINGS)).unwrap();
        first.attach("ear0", AttachMode::Auto).unwrap();
        assert!(ip("-o link show dev ear0").contains("xdp"));
        let mut second = Program::load(&options(RINGS)).unwrap();
        second.attach("ear0", AttachMode::Auto).expect_err("another program is there");
        assert!(ip("-o link show dev ear0").contains("xdp"));
        drop(first);
        assert!(!ip("-o link show dev ear0").contains("xdp"));
        second.attach("ear0", AttachMode::Auto).unwrap();
    });
}
