//! Each source receives what was sent, and writes exactly that of it which it shall.

use earwitness_ipc::{Mark, SourceMode};
use earwitness_wire::Verdict;

use crate::capture::{Capture, read};
use crate::frames::{fragments, media_of, other, rtp, sip, tagged};
use crate::wire::{Driver, Wire};

const SIP: u16 = 40;
const RTP: u16 = 300;
const IGNORED: u16 = 100;
const UNDECIDED: u16 = 50;
const OTHER: u16 = 30;
const TAGGED: u16 = 20;
const IN_FRAGMENTS: u16 = 10;

/// Everything of one source, from frames on the wire to records in the log.
fn receives(flags: &[&str], mode: SourceMode) {
    receives_from(&Wire::new(), flags, mode);
}

fn receives_from(wire: &Wire, flags: &[&str], mode: SourceMode) {
    let folder = tempfile::tempdir().unwrap();
    let flags = [&["--hold-ms", "400"], flags].concat();
    let capture = Capture::start(wire, folder.path(), &flags);
    let mut control = capture.connect();
    let sources = control.hello();
    assert_eq!(sources.len(), 1);
    assert_eq!(sources[0].mode, mode, "{}", sources[0].reason);
    for kept in [1, 4, 5] {
        control.decide(media_of(kept), Verdict::Record);
    }
    control.decide(media_of(2), Verdict::Ignore);

    let sips: Vec<_> = (0..SIP).map(sip).collect();
    let kept: Vec<_> = (0..RTP).map(|at| rtp(1, at)).collect();
    let tags: Vec<_> = (0..TAGGED).map(|at| tagged(&rtp(4, at), 100)).collect();
    let parts: Vec<_> = (0..IN_FRAGMENTS).flat_map(|at| fragments(&rtp(5, at), at)).collect();
    let ignored: Vec<_> = (0..IGNORED).map(|at| rtp(2, at)).collect();
    let undecided: Vec<_> = (0..UNDECIDED).map(|at| rtp(3, at)).collect();
    let others: Vec<_> = (0..OTHER).map(other).collect();
    let sent: u64 = [&sips, &kept, &tags, &parts, &ignored, &undecided, &others]
        .map(|some| wire.send_all(some))
        .iter()
        .sum();

    let stored = u64::from(SIP + RTP + TAGGED + 2 * IN_FRAGMENTS);
    let stats = control
        .await_stats("everything is judged", |stats| stats.received >= sent && stats.held == 0);
    assert_eq!(stats.received, sent, "{stats:#?}");
    assert_eq!(stats.stored, stored, "{stats:#?}");
    assert_eq!(stats.ignored, u64::from(IGNORED));
    assert_eq!(stats.unmatched, u64::from(UNDECIDED + OTHER));
    assert_eq!(stats.lost.total(), 0, "{stats:#?}");
    assert!(control.flows.iter().any(|flow| flow.dst == media_of(3) && flow.ssrc == Some(3)));
    assert_eq!(control.errors, Vec::<String>::new());
    drop(control);
    capture.stop();

    let mut written = read(folder.path());
    written.signalling.sort();
    assert_eq!(written.signalling, sorted(sips), "{:#?}", written.segments);
    assert_eq!(written.media.remove(&1).unwrap(), kept);
    assert_eq!(written.media.remove(&4).unwrap(), tags);
    // Datagrams of one flow may go to different lanes: fragments do not all tell their ports.
    // What was put together begins with its IP header.
    let whole = written.media.remove(&5).unwrap().into_iter().map(|frame| frame[20..].to_vec());
    let datagrams = (0..IN_FRAGMENTS).map(|at| rtp(5, at)[34..].to_vec());
    assert_eq!(sorted(whole.collect()), sorted(datagrams.collect()));
    assert!(written.media.is_empty(), "CAP-9: nothing else is on the disk");
    assert!(matches!(written.marks.first(), Some(Mark::Start { .. })));
    assert!(matches!(written.marks.last(), Some(Mark::Stop { .. })));
}

fn sorted(mut frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    frames.sort();
    frames
}

/// CAP-1, CAP-2, CAP-4, CAP-8, CAP-9: the program copies into BPF ring buffers.
#[test]
fn bpf_ring_receives() {
    receives(&["--source", "bpf_ring"], SourceMode::BpfRing);
}

/// CAP-4: `auto` on a driver without zero-copy.
#[test]
fn auto_takes_the_ring_on_veth() {
    receives(&["--source", "auto"], SourceMode::BpfRing);
}

/// CAP-1, CAP-4: the program redirects to AF_XDP sockets; veth has no zero-copy.
#[test]
fn af_xdp_receives() {
    receives(&["--source", "af_xdp"], SourceMode::AfXdpCopy);
}

/// CAP-4: several sockets share a queue, each with a lane.
#[test]
fn af_xdp_receives_with_sockets_that_share() {
    let flags = ["--source", "af_xdp", "--sockets-per-queue", "2", "--lanes", "2"];
    receives(&flags, SourceMode::AfXdpCopy);
}

/// CAP-4: packet sockets, without XDP.
#[test]
fn af_packet_receives() {
    receives(&["--source", "af_packet"], SourceMode::AfPacket);
}

/// CAP-4: several packet sockets share the flows of an interface.
#[test]
fn af_packet_receives_with_fanout() {
    receives(&["--source", "af_packet", "--lanes", "2"], SourceMode::AfPacket);
}

/// CAP-1: on a port that a live host uses, frames are copied and go on.
#[test]
fn passing_still_receives() {
    receives(&["--source", "bpf_ring", "--unmatched", "pass"], SourceMode::BpfRing);
}

/// CAP-4: where the driver runs no XDP program, the network stack does.
#[test]
fn bpf_ring_receives_in_generic_mode() {
    let wire = Wire::with(Driver::Generic);
    receives_from(&wire, &["--source", "bpf_ring"], SourceMode::BpfRingGeneric);
}

/// CAP-4: the same for AF_XDP sockets.
#[test]
fn af_xdp_receives_in_generic_mode() {
    let wire = Wire::with(Driver::Generic);
    receives_from(&wire, &["--source", "af_xdp"], SourceMode::AfXdpGeneric);
}

/// CAP-4: and `auto` comes to it by itself.
#[test]
fn auto_takes_the_generic_ring_where_the_driver_cannot() {
    let wire = Wire::with(Driver::Generic);
    receives_from(&wire, &["--source", "auto"], SourceMode::BpfRingGeneric);
}
