//! The control plane may go and come back.

use std::thread;
use std::time::Duration;

use earwitness_ipc::{Command, ControlDoor, Event, VERSION};
use earwitness_wire::Verdict;

use crate::capture::{Capture, read};
use crate::frames::{media_of, rtp};
use crate::wire::Wire;

const HOLD: Duration = Duration::from_millis(300);

/// CAP-9, S8: while nobody decides, media waits beyond `hold`; who comes back is told of it, and its verdict still
/// finds it.
#[test]
fn media_waits_for_the_control_plane() {
    let (wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    let mut capture =
        Capture::start(&wire, folder.path(), &["--source", "bpf_ring", "--hold-ms", "300"]);
    let mut control = capture.connect();
    control.hello();
    control.await_stats("it is in", |_| true);
    drop(control);
    capture.await_line("the control plane went");

    let media: Vec<_> = (0..50).map(|at| rtp(1, at)).collect();
    wire.send_all(&media);
    // The time itself is what is tested: longer than `hold`, with nobody there.
    thread::sleep(3 * HOLD);
    let mut control = capture.connect();
    control.hello();
    let stats = control.await_stats("it waits", |stats| stats.received == 50);
    assert_eq!((stats.held, stats.unmatched), (50, 0), "{stats:#?}");
    control.decide(media_of(1), Verdict::Record);
    control.await_stats("it is stored", |stats| stats.stored == 50);
    assert_eq!(control.flows.len(), 1, "told once, to who was there");
    drop(control);
    capture.stop();
    assert_eq!(read(folder.path()).media[&1], media);
}

/// The door: one at a time, and who speaks another version is told so.
#[test]
fn strangers_are_turned_away() {
    let (wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    let digest = "ab".repeat(32);
    let flags = ["--source", "af_packet", "--config-digest", &digest];
    let capture = Capture::start(&wire, folder.path(), &flags);
    let mut control = capture.connect();
    control.hello();
    // Another configuration is told.
    control.await_error("another configuration");
    let socket = folder.path().join("run/capture.sock");
    let mut second = ControlDoor::connect(&socket).unwrap();
    assert!(until_closed(&mut second).is_none());
    // The first still has the door.
    control.await_stats("it goes on", |_| true);
    drop(control);
    let mut stranger = ControlDoor::connect(&socket).unwrap();
    stranger.send(Command::Hello { version: VERSION + 1, config_digest: [0; 32] }).unwrap();
    assert!(
        until_closed(&mut stranger).is_none(),
        "its version is not ours, and neither is what it hears"
    );
    capture.stop();
}

/// Waits until the door closes; gives a `Hello`, if one comes.
fn until_closed(door: &mut ControlDoor) -> Option<Event> {
    for _ in 0..2000 {
        match door.receive() {
            Ok(Some(event @ Event::Hello { .. })) => return Some(event),
            Ok(_) => thread::sleep(Duration::from_millis(5)),
            Err(_) => return None,
        }
    }
    panic!("the door does not close");
}
