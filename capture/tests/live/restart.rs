//! Killed at any moment, capture goes on in the same lanes.

use earwitness_ipc::{EXIT_IN_USE, Mark};
use earwitness_wire::Verdict;

use crate::capture::{Capture, await_committed, read};
use crate::frames::{media_of, rtp, sip};
use crate::wire::Wire;

/// CAP-3, S2: what was committed before `kill -9` is there, and the next start writes behind it.
#[test]
fn lanes_go_on_after_a_kill() {
    let (wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    let half = 100;
    for round in 0..2 {
        let capture = Capture::start(&wire, folder.path(), &["--source", "bpf_ring"]);
        let mut control = capture.connect();
        control.hello();
        control.decide(media_of(1), Verdict::Record);
        let first = round * half;
        wire.send_all(&(first..first + half).map(|at| rtp(1, at)).collect::<Vec<_>>());
        wire.send_all(&(first..first + half).map(sip).collect::<Vec<_>>());
        let sent = u64::from(2 * half);
        control.await_stats("everything is stored", |stats| stats.stored == sent);
        await_committed(folder.path(), usize::from((round + 1) * 2 * half));
        if round == 0 {
            capture.kill();
        } else {
            capture.stop();
        }
    }
    let written = read(folder.path());
    let media: Vec<_> = (0..2 * half).map(|at| rtp(1, at)).collect();
    assert_eq!(written.media[&1], media);
    assert_eq!(written.signalling.len(), usize::from(2 * half));
    let starts = written.marks.iter().filter(|mark| matches!(mark, Mark::Start { .. })).count();
    let stops = written.marks.iter().filter(|mark| matches!(mark, Mark::Stop { .. })).count();
    assert_eq!(starts, 2 * stops, "each lane began twice, and ended once");
}

/// S2: two captures never write one folder.
#[test]
fn one_capture_for_each_folder() {
    let (wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    let first = Capture::start(&wire, folder.path(), &["--source", "af_packet"]);
    let mut second = Capture::spawn(&wire, folder.path(), &["--source", "af_packet"], &[]);
    assert_eq!(second.wait().code(), Some(EXIT_IN_USE.into()));
    assert!(second.rest().contains("is served already"), "{}", second.rest());
    first.stop();
}
