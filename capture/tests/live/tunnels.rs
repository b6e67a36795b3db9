//! VXLAN on the ports that are named, and on no other.

use earwitness_wire::Verdict;

use crate::capture::{Capture, read};
use crate::frames::{media_of, rtp, sip, vxlan};
use crate::wire::Wire;

const NAMED: [u16; 2] = [8472, 6081];
/// The default, which is not among them.
const NOT_NAMED: u16 = 4789;

/// CAP-5: what is in a tunnel to a named port is found by every stage: the program, the producer, the exit.
fn finds(source: &str) {
    let (wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    let [a, b] = NAMED.map(|port| port.to_string());
    let flags = ["--source", source, "--vxlan-port", &a, "--vxlan-port", &b];
    let capture = Capture::start(&wire, folder.path(), &flags);
    let mut control = capture.connect();
    control.hello();
    control.decide(media_of(1), Verdict::Record);
    let found: Vec<_> = NAMED.into_iter().map(|port| vxlan(port, &sip(port))).collect();
    let media: Vec<_> = (0..10).map(|at| vxlan(NAMED[usize::from(at) % 2], &rtp(1, at))).collect();
    let missed = [vxlan(NOT_NAMED, &sip(1)), vxlan(NOT_NAMED, &rtp(1, 1))].to_vec();
    let sent: u64 = [&found, &media, &missed].map(|some| wire.send_all(some)).iter().sum();
    let stats = control
        .await_stats("everything is judged", |stats| stats.received >= sent && stats.held == 0);
    assert_eq!((stats.stored, stats.unmatched), (12, 2), "{stats:#?}");
    drop(control);
    capture.stop();
    let mut written = read(folder.path());
    written.signalling.sort();
    let mut found = found;
    found.sort();
    assert_eq!(written.signalling, found);
    let mut written = written.media.remove(&1).unwrap();
    written.sort();
    let mut media = media;
    media.sort();
    assert_eq!(written, media);
}

/// CAP-5: by the program's settings.
#[test]
fn bpf_ring_finds_named_vxlan_ports() {
    finds("bpf_ring");
}

/// CAP-5: by the program's settings, and the producer's options.
#[test]
fn af_xdp_finds_named_vxlan_ports() {
    finds("af_xdp");
}

/// CAP-5: by the producer's options.
#[test]
fn af_packet_finds_named_vxlan_ports() {
    finds("af_packet");
}
