//! Interfaces go down, vanish and come back.

use earwitness_wire::Verdict;

use crate::capture::Capture;
use crate::frames::{media_of, rtp};
use crate::wire::{FAR, TAP, Wire};

/// S9: a link that goes down is told, and used again once it is up.
fn survives_down(source: &str) {
    let (wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    let capture = Capture::start(&wire, folder.path(), &["--source", source]);
    let mut control = capture.connect();
    control.hello();
    control.decide(media_of(1), Verdict::Record);
    wire.send(&rtp(1, 0));
    control.await_stats("the first", |stats| stats.stored == 1);
    wire.set(TAP, "down");
    control.await_error("tap0 is down");
    wire.set(TAP, "up");
    wire.set(FAR, "up");
    control.await_error("tap0 is up");
    wire.send(&rtp(1, 1));
    control.await_stats("the second", |stats| stats.stored == 2);
    capture.stop();
}

#[test]
fn bpf_ring_survives_down() {
    survives_down("bpf_ring");
}

#[test]
fn af_xdp_survives_down() {
    survives_down("af_xdp");
}

#[test]
fn af_packet_survives_down() {
    survives_down("af_packet");
}

/// S9: an interface that was made anew is used again where that needs no privilege.
#[test]
fn af_packet_survives_a_new_interface() {
    let (mut wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    let capture = Capture::start(&wire, folder.path(), &["--source", "af_packet"]);
    let mut control = capture.connect();
    control.hello();
    control.decide(media_of(1), Verdict::Record);
    wire.replace();
    control.await_error("tap0 is gone");
    control.await_error("tap0 is up");
    // The receiver is told right after: what comes before it has bound the new interface is nobody's.
    let stored = (0..500).any(|at| {
        wire.send(&rtp(1, at));
        control.await_stats("the next", |_| true).stored > 0
    });
    assert!(stored);
    capture.stop();
}

/// S9: where it needs a privilege, it is told, and the end is in order.
#[test]
fn xdp_tells_of_a_new_interface() {
    let (mut wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    let capture = Capture::start(&wire, folder.path(), &["--source", "bpf_ring"]);
    let mut control = capture.connect();
    control.hello();
    wire.replace();
    control.await_error("tap0 is gone");
    control.await_error("restart capture");
    capture.stop();
}
