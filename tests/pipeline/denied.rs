//! Media that policy denies never reaches a disk (CAP-9): after a thousand calls that may not be recorded, no
//! byte of their media is in any file of the data folder.

use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::CallSpec;
use earwitness_tests::needles::Needles;
use earwitness_tests::program::{Container, Replayed};

const DENY: &str = "[capture]\ninterfaces = [\"none\"]\n[recording]\ndefault = \"none\"\n";

fn scene() -> Scene {
    let specs = (0..1_000).map(|index| CallSpec {
        start_ms: u64::from(index) * 2,
        talk_ms: 2_500,
        ..CallSpec::new(index)
    });
    Scene::new(specs.collect())
}

#[test]
fn no_byte_of_denied_media_is_on_disk() {
    let scene = scene();
    let needles = Needles::of(&scene);
    assert!(needles.count() > 100_000, "only {} needles", needles.count());
    let replayed = Replayed::of(scene.frames(), Container::default(), Some(DENY));
    assert_eq!(replayed.recordings.len(), 0);
    assert_eq!(replayed.calls.len(), 1_000, "calls are listed all the same");
    for call in &replayed.calls {
        assert_eq!(call["decision"]["recorded"], false, "{call}");
        assert!(!call["decision"]["rule"].as_str().unwrap_or_default().is_empty(), "{call}");
    }
    let files = needles.found_below(&replayed.data_dir());
    assert!(!files.is_empty());
    for (path, found) in files {
        assert_eq!(found, 0, "{}: {found} pieces of denied media", path.display());
    }
}

/// The search finds what is there: the same calls, recorded, are full of needles.
#[test]
fn the_search_finds_media() {
    let scene = Scene::new(vec![CallSpec::new(0)]);
    let needles = Needles::of(&scene);
    let replayed = Replayed::of(scene.frames(), Container::default(), None);
    let found: usize =
        needles.found_below(&replayed.data_dir()).into_iter().map(|(_, found)| found).sum();
    assert!(found >= needles.count(), "{found} of {} needles", needles.count());
}
