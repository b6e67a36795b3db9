//! More than there is room for: every packet is stored, or lost at a place that has a name.

use earwitness_ipc::{CaptureStats, Mark};
use earwitness_wire::Verdict;

use crate::capture::{Capture, read};
use crate::frames::{media_of, rtp, sip};
use crate::wire::Wire;

/// More than any of the rings of 1 MiB holds, and more than an AF_XDP ring has entries.
const BURST: u16 = 40_000;
const SIP: u16 = 10;

/// While all threads stand still, a burst fills every ring. What `place` lost is what is missing in the log.
fn overflows(source: &str, place: fn(&CaptureStats) -> u64) {
    let (wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    let capture = Capture::start(&wire, folder.path(), &["--source", source]);
    let mut control = capture.connect();
    control.hello();
    control.decide(media_of(1), Verdict::Record);
    // The verdict has arrived once media is stored by it.
    wire.send(&rtp(1, 0));
    control.await_stats("the first is stored", |stats| stats.stored == 1);
    capture.halt();
    wire.send_all(&(0..SIP).map(sip).collect::<Vec<_>>());
    let burst: Vec<_> = (1..=BURST).map(|at| rtp(1, at)).collect();
    wire.send_all(&burst);
    capture.resume();
    let sent = u64::from(BURST + SIP) + 1;
    let stats = control
        .await_stats("everything is judged", |stats| stats.received >= sent && stats.held == 0);
    assert_eq!(stats.received, sent, "{stats:#?}");
    assert!(place(&stats) > 0, "{stats:#?}");
    assert_eq!(stats.stored + stats.lost.total(), sent, "{stats:#?}");
    assert_eq!(stats.lost.total(), place(&stats), "one place lost: {stats:#?}");
    drop(control);
    capture.stop();
    let written = read(folder.path());
    let records = written.signalling.len() + written.media[&1].len();
    assert_eq!(records as u64, stats.stored, "what is stored is in the log");
    let gaps = written.marks.iter().filter_map(|mark| match mark {
        Mark::Gap { lost, .. } => Some(lost.total()),
        _ => None,
    });
    assert_eq!(gaps.sum::<u64>(), stats.lost.total(), "the log knows what it lacks");
}

/// CAP-8: the BPF ring buffer is full.
#[test]
fn bpf_ring_overflows() {
    overflows("bpf_ring", |stats| stats.lost.core_ring);
}

/// CAP-8: the socket's receive ring is full.
#[test]
fn af_xdp_overflows() {
    overflows("af_xdp", |stats| {
        stats.lost.receive_ring + stats.lost.fill_ring + stats.lost.core_ring
    });
}

/// CAP-8: the packet socket's ring is full.
#[test]
fn af_packet_overflows() {
    overflows("af_packet", |stats| stats.lost.receive_ring + stats.lost.core_ring);
}
