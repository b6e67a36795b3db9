//! Both ends of the door, over a real socket.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use earwitness_ipc::{
    CaptureDoor, Command, ControlDoor, DoorError, Event, Fault, FlowSeen, LaneInfo, Listener,
    Message, MessageError, SourceInfo, SourceMode, VERSION, VerdictChange, limits,
};
use earwitness_segment::{LaneId, LaneKind};
use earwitness_wire::{Endpoint, Verdict};

fn hello() -> Command {
    Command::Hello { version: VERSION, config_digest: [7; 32] }
}

fn answer() -> Event {
    Event::Hello {
        version: VERSION,
        pid: 1,
        config_digest: [7; 32],
        sources: vec![SourceInfo {
            interface: "eth1".to_owned(),
            source: 0,
            mode: SourceMode::BpfRing,
            reason: "the driver has no zero-copy".to_owned(),
        }],
        lanes: vec![LaneInfo { lane: LaneId(1), kind: LaneKind::Media }],
    }
}

fn pair(path: &Path) -> (Listener, CaptureDoor, ControlDoor) {
    let listener = Listener::bind(path).unwrap();
    assert!(listener.accept().unwrap().is_none());
    let control = ControlDoor::connect(path).unwrap();
    let capture = listener.accept().unwrap().expect("it has connected");
    (listener, capture, control)
}

/// All that is there now.
fn receive_all<S: Message, R: Message>(door: &mut earwitness_ipc::Door<S, R>) -> Vec<R> {
    std::iter::from_fn(|| door.receive().unwrap()).collect()
}

/// Sends bytes that no `Door` would.
fn send_raw(door: &ControlDoor, bytes: &[u8]) {
    let file = File::from(door.as_fd().try_clone_to_owned().unwrap());
    (&file).write_all(bytes).unwrap();
}

/// The door: commands and events pass both ways, in order, and only the group may connect.
#[test]
fn passes_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/capture.sock");
    let (_listener, mut capture, mut control) = pair(&path);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    assert!(control.receive().unwrap().is_none());
    control.send(hello()).unwrap();
    assert_eq!(receive_all(&mut capture), [hello()]);
    capture.send(answer()).unwrap();
    capture.send(Event::error(Fault::Disk, &"ß".repeat(2_000))).unwrap();
    let events = receive_all(&mut control);
    assert_eq!(events[0], answer());
    let Event::Error { fault: Fault::Disk, text } = &events[1] else { panic!() };
    assert_eq!(text.len(), limits::TEXT_BYTES_MAX);
    let learn =
        Command::LearnTcp(vec![(Endpoint::default(), Endpoint { port: 1, ..Endpoint::default() })]);
    control.send(learn.clone()).unwrap();
    control.send(Command::Shutdown).unwrap();
    assert_eq!(receive_all(&mut capture), [learn, Command::Shutdown]);
}

/// The door, S10: a batch beyond a message goes in several; what waits for a reader is bounded, and a full
/// queue loses nothing that was accepted.
#[test]
fn batches_and_a_slow_reader() {
    let dir = tempfile::tempdir().unwrap();
    let (_listener, mut capture, mut control) = pair(&dir.path().join("s"));
    control.send(hello()).unwrap();
    let change = |port: u16| {
        let verdict = port.is_multiple_of(2).then_some(Verdict::Record);
        VerdictChange::now(Endpoint { addr: [9; 16], port }, verdict)
    };
    let batch: Vec<_> = (0..60_000).map(change).collect();
    let mut accepted = Vec::new();
    let messages = loop {
        match control.send(Command::Verdicts(batch.clone())) {
            Ok(()) => accepted.extend(batch.iter().copied()),
            Err(DoorError::Full { messages }) => break messages,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(messages <= limits::OUTGOING_MESSAGES_MAX && control.wants_write());
    let mut received = Vec::new();
    while control.wants_write() || received.len() < accepted.len() {
        for command in receive_all(&mut capture) {
            if let Command::Verdicts(part) = command {
                received.extend(part);
            }
        }
        control.flush().unwrap();
    }
    assert!(received == accepted);
    let flows =
        vec![FlowSeen { src: Endpoint::default(), dst: Endpoint::default(), ts_ns: 1, ssrc: None }];
    capture.send(answer()).unwrap();
    capture.send(Event::FlowsSeen(flows.clone())).unwrap();
    assert_eq!(receive_all(&mut control)[1], Event::FlowsSeen(flows));
}

/// The door: either side notices that the other has gone, after reading what it had said.
#[test]
fn notices_a_peer_that_has_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let (listener, mut capture, mut control) = pair(&path);
    control.send(hello()).unwrap();
    drop(control);
    assert_eq!(capture.receive().unwrap(), Some(hello()));
    assert!(matches!(capture.receive(), Err(DoorError::Closed)));
    assert!(matches!(capture.send(answer()), Err(DoorError::Closed)));

    let mut control = ControlDoor::connect(&path).unwrap();
    drop(listener.accept().unwrap().unwrap());
    assert!(matches!(control.receive(), Err(DoorError::Closed)));
    drop(listener);
    assert!(matches!(ControlDoor::connect(&path), Err(DoorError::Path { .. })));
}

/// The door: another version, or no hello at all, is an error of its own.
#[test]
fn checks_the_version() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let (listener, mut capture, mut control) = pair(&path);
    control.send(Command::Hello { version: VERSION + 1, config_digest: [0; 32] }).unwrap();
    let theirs = VERSION + 1;
    assert!(matches!(capture.receive(), Err(DoorError::Version { theirs: t }) if t == theirs));

    // A later version may have other fields behind the version.
    let later = ControlDoor::connect(&path).unwrap();
    send_raw(&later, &[0, theirs as u8]);
    let mut capture = listener.accept().unwrap().unwrap();
    assert!(matches!(capture.receive(), Err(DoorError::Version { theirs: t }) if t == theirs));

    let mut rude = ControlDoor::connect(&path).unwrap();
    let mut capture = listener.accept().unwrap().unwrap();
    rude.send(Command::Shutdown).unwrap();
    assert!(matches!(capture.receive(), Err(DoorError::NoHello)));
}

/// S9: a malformed message is an error, and the next one is read.
#[test]
fn survives_malformed_messages() {
    let dir = tempfile::tempdir().unwrap();
    let (_listener, mut capture, mut control) = pair(&dir.path().join("s"));
    control.send(hello()).unwrap();
    assert!(capture.receive().unwrap().is_some());
    for bytes in [&[99][..], &[1, 200], &[4, 200], &[6, 0], &[0]] {
        send_raw(&control, bytes);
        let error = capture.receive().unwrap_err();
        assert!(matches!(error, DoorError::Message(_)), "{bytes:?}: {error}");
    }
    send_raw(&control, &vec![0; limits::MESSAGE_BYTES_MAX + 1]);
    let error = capture.receive().unwrap_err();
    assert!(matches!(error, DoorError::Message(MessageError::TooLong { .. })), "{error}");
    control.send(Command::Shutdown).unwrap();
    assert_eq!(capture.receive().unwrap(), Some(Command::Shutdown));
}

/// The door: a socket file left by a dead capture is replaced, a live one's is not, and neither is a file
/// that is no socket.
#[test]
fn replaces_only_what_is_stale() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = Listener::bind(&path).unwrap();
    assert!(matches!(Listener::bind(&path), Err(DoorError::InUse { .. })));
    drop(listener);
    assert!(!path.exists());

    // As if killed: the file stays, nobody listens.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let (_listener, mut capture, mut control) = pair(&path);
    control.send(hello()).unwrap();
    assert_eq!(capture.receive().unwrap(), Some(hello()));

    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(matches!(Listener::bind(&file), Err(DoorError::NotASocket { .. })));
    let long = dir.path().join("x".repeat(200));
    assert!(matches!(Listener::bind(&long), Err(DoorError::Path { .. })));
}
