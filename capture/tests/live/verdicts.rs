//! What policy ignores is dropped where it costs least.

use earwitness_abi::Counter;
use earwitness_capture::bpf_ring::BpfRing;
use earwitness_capture::program::{AttachMode, Output, Program, ProgramOptions};
use earwitness_ipc::Command;
use earwitness_line::DelayLine;
use earwitness_wire::Verdict;

use crate::capture::{Capture, read};
use crate::frames::{media_of, rtp};
use crate::wire::{TAP, Wire};

const BURST: u16 = 20_000;

/// CAP-9: a verdict that came through the door, after all privileges were dropped, makes the driver drop: the ring
/// could not hold what is sent while nobody empties it.
#[test]
fn ignored_media_ends_in_the_driver() {
    let (wire, folder) = (Wire::new(), tempfile::tempdir().unwrap());
    let capture = Capture::start(&wire, folder.path(), &["--source", "bpf_ring"]);
    let mut control = capture.connect();
    control.hello();
    control.decide(media_of(1), Verdict::Ignore);
    wire.send(&rtp(1, 0));
    control.await_stats("the verdict is known", |stats| stats.ignored == 1);
    capture.halt();
    let burst: Vec<_> = (1..=BURST).map(|at| rtp(1, at)).collect();
    let sent = wire.send_all(&burst) + 1;
    capture.resume();
    let stats = control.await_stats("all are counted", |stats| stats.received == sent);
    assert_eq!((stats.ignored, stats.lost.total(), stats.held), (sent, 0, 0), "{stats:#?}");
    // Forgotten, the flow is undecided again.
    let changes = vec![earwitness_ipc::VerdictChange::now(media_of(1), None)];
    control.send(Command::Verdicts(changes));
    control.decide(media_of(9), Verdict::Record);
    wire.send(&rtp(9, 0));
    control.await_stats("the change is known", |stats| stats.stored == 1);
    wire.send(&rtp(1, 1));
    control.await_stats("it waits", |stats| stats.held == 1 || stats.unmatched == 1);
    control.send(Command::Shutdown);
    let mut capture = capture;
    assert!(capture.wait().success());
    assert!(!read(folder.path()).media.contains_key(&1), "CAP-9");
}

/// CAP-1, CAP-9: of an ignored flow the program's counter moves, and the ring does not.
#[test]
fn the_ring_does_not_see_ignored_media() {
    let wire = Wire::new();
    wire.inside(|| {
        let output = Output::Rings { media_bytes: 1 << 20, signalling_bytes: 1 << 20 };
        let mut program = Program::load(&ProgramOptions::new(output)).unwrap();
        program.attach(TAP, AttachMode::Native).unwrap();
        program.set_verdict(&media_of(1), Verdict::Ignore).unwrap();
        let map =
            |rings: &earwitness_capture::program::CpuRings| BpfRing::map(&rings.media, 0).unwrap();
        let mut rings: Vec<_> = program.rings().iter().map(map).collect();
        let mut position = || rings.iter_mut().map(DelayLine::refresh).sum::<u64>();
        wire.send_all(&(0..100).map(|at| rtp(1, at)).collect::<Vec<_>>());
        await_counter(&program, Counter::Ignored, 100);
        assert_eq!(position(), 0);
        wire.send_all(&(0..10).map(|at| rtp(2, at)).collect::<Vec<_>>());
        await_counter(&program, Counter::Media, 10);
        assert!(position() > 0);
        let held: usize = rings
            .iter()
            .map(|ring| {
                let mut at = ring.released();
                let mut count = 0;
                while let Some(held) = ring.peek(at) {
                    assert_eq!(held.frame, rtp(2, held.frame[45].into()));
                    (at, count) = (held.next, count + 1);
                }
                count
            })
            .sum();
        assert_eq!(held, 10);
    });
}

fn await_counter(program: &Program, counter: Counter, wanted: u64) {
    let start = std::time::Instant::now();
    while program.counters().unwrap().get(counter) != wanted {
        assert!(start.elapsed().as_secs() < 20, "{:?}", program.counters());
        std::thread::yield_now();
    }
}
