//! Same input, same output: replaying twice gives the same rows and the same files.

use std::collections::BTreeMap;

use earwitness_fixtures::codec::Codec;
use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::{CallSpec, Scenario, Trouble};
use earwitness_tests::program::{Container, Replayed};
use serde_json::Value;

fn scene() -> Scene {
    let specs = (0..60_u32).map(|index| {
        let turn = index as usize;
        CallSpec {
            start_ms: u64::from(index) * 40,
            talk_ms: 1_800,
            scenario: Scenario::ALL[turn % Scenario::ALL.len()],
            trouble: Trouble::ALL[turn % Trouble::ALL.len()],
            ..CallSpec::new(index).codec(Codec::ALL[turn % Codec::ALL.len()])
        }
    });
    Scene::new(specs.collect())
}

/// Each recording's row with the bytes of its file, by Call-ID.
fn results(replayed: &Replayed) -> BTreeMap<String, (Value, Vec<u8>)> {
    let rows = replayed.recordings.iter().map(|row| {
        let audio = std::fs::read(replayed.audio(row)).expect("a recording has its file");
        (row["call_id"].to_string(), (row.clone(), audio))
    });
    rows.collect()
}

/// The pipeline's promise for replay, on calls of every scenario, trouble and codec.
#[test]
fn twice_is_the_same() {
    let scene = scene();
    let replay = || Replayed::of(scene.frames(), Container::default(), None);
    let (first, second) = (replay(), replay());
    let (a, b) = (results(&first), results(&second));
    assert!(a.len() > 40, "only {} recordings", a.len());
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (call_id, (row, audio)) in &a {
        let (other_row, other_audio) = &b[call_id];
        assert_eq!(row, other_row, "{call_id}");
        assert!(audio == other_audio, "{call_id}: the files differ");
    }
    let by_id = |replayed: &Replayed| {
        let rows = replayed.calls.iter().map(|row| (row["call_id"].to_string(), row.clone()));
        rows.collect::<BTreeMap<_, _>>()
    };
    assert_eq!(by_id(&first), by_id(&second));
}
