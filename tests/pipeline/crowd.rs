//! A thousand calls at once: each recording exact, nothing of one in another (CALL-3, CALL-4, REC-2).

use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::CallSpec;
use earwitness_tests::program::{Container, Replayed};

use crate::verdict::assert_right;

#[test]
fn a_thousand_calls_at_once() {
    let specs = (0..1_000).map(|index| CallSpec {
        start_ms: u64::from(index) / 2,
        talk_ms: 2_000,
        ..CallSpec::new(index)
    });
    let scene = Scene::new(specs.collect());
    let replayed = Replayed::of(scene.frames(), Container::default(), None);
    assert_right("a thousand calls", &scene.truths(), &replayed);
}
