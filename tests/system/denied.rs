//! Calls that nobody wants recorded, live: the driver drops their media, and no byte of it is on a disk (CAP-9).

use earwitness_fixtures::live::{Pace, Sender};
use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::CallSpec;
use earwitness_tests::needles::Needles;

use crate::daemon::{Daemon, list};
use crate::space::Space;

const CALLS: u32 = 1_000;
const SPACING_MS: u64 = 10;
/// What a call takes to be heard, decided and told to the driver is a small part of this.
const TALK_MS: u32 = 1_200;
/// The rest came before its verdict, and waited for it in memory.
const DROPPED_BY_DRIVER_MIN: f64 = 0.6;

/// CAP-1, CAP-8, CAP-9: of a thousand denied calls no media is in any file, most of it never left the driver, and every
/// packet is accounted for.
#[test]
fn the_driver_drops_denied_media() {
    let folder = tempfile::tempdir().expect("there is room");
    let daemon = Daemon::start(Space::new("n"), folder.path(), "[recording]\ndefault = \"none\"\n");
    let specs = (0..CALLS).map(|index| CallSpec {
        start_ms: u64::from(index) * SPACING_MS,
        talk_ms: TALK_MS,
        ..CallSpec::new(index)
    });
    let scene = Scene::new(specs.collect());
    let needles = Needles::of(&scene);
    assert!(needles.count() > 50_000, "only {} needles", needles.count());
    let frames: Vec<_> = scene.frames().collect();
    let sender = daemon.space.sending(move || {
        let sender = Sender::open("span").expect("the span port is there");
        sender.play(frames, Pace::Times(1.0)).expect("frames can be sent")
    });
    let sent = sender.join().expect("all was sent") as f64;
    let metrics = daemon.await_metrics("everything is judged", |metrics| {
        metrics.sum("earwitness_capture_received_packets_total") >= sent
            && metrics.sum("earwitness_capture_held_packets") == 0.0
    });
    let of = |what: &str| metrics.sum(&format!("earwitness_capture_{what}_packets_total"));
    assert_eq!(of("lost"), 0.0, "the machine was too slow for this test");
    assert_eq!(of("received"), of("stored") + of("ignored") + of("unmatched"), "CAP-8");
    assert!(
        metrics.series("earwitness_capture_source").any(|(labels, _)| labels.contains("bpf_ring"))
    );
    let by_driver = of("ignored_in_driver");
    assert!(by_driver > DROPPED_BY_DRIVER_MIN * of("ignored"), "{by_driver} of {}", of("ignored"));

    let data_dir = daemon.stop_when_finished();
    let calls = list(&data_dir, "calls");
    assert_eq!(calls.len(), CALLS as usize, "calls are listed all the same");
    assert!(calls.iter().all(|call| call["decision"]["recorded"] == false));
    assert_eq!(list(&data_dir, "recordings").len(), 0);
    for (path, found) in needles.found_below(&data_dir) {
        assert_eq!(found, 0, "{}: {found} pieces of denied media", path.display());
    }
}
