//! Hostile messages among good calls: the good calls are right, each bad message is counted by its kind.

use std::collections::BTreeMap;

use earwitness_fixtures::codec::Codec;
use earwitness_fixtures::scene::{Scene, merged};
use earwitness_fixtures::spec::{CallSpec, SCENE_START_NS, Transport};
use earwitness_fixtures::torture;
use earwitness_tests::program::{Container, Replayed};

use crate::verdict::assert_right;

const MS: u64 = 1_000_000;
const MUTANTS: usize = 5_000;

fn good_calls() -> Scene {
    let specs = (0..24_u32).map(|index| {
        let turn = index as usize;
        CallSpec {
            start_ms: u64::from(index) * 50,
            talk_ms: 2_000,
            transport: Transport::ALL[turn % Transport::ALL.len()],
            ..CallSpec::new(index).codec([Codec::Pcmu, Codec::Pcma, Codec::G722][turn % 3])
        }
    });
    Scene::new(specs.collect())
}

fn rejected(replayed: &Replayed) -> BTreeMap<String, u64> {
    by_kind(replayed, "sip_rejected")
}

fn by_kind(replayed: &Replayed, counter: &str) -> BTreeMap<String, u64> {
    let kinds = replayed.summary[counter].as_object().cloned().unwrap_or_default();
    let counts = kinds.into_iter().map(|(kind, count)| (kind, count.as_u64().unwrap_or(0)));
    counts.filter(|(_, count)| *count > 0).collect()
}

fn counted<'a>(kinds: impl Iterator<Item = &'a str>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for kind in kinds {
        *counts.entry(kind.to_owned()).or_insert(0) += 1;
    }
    counts
}

/// Every message of RFC 4475, one each 20 ms from the first INVITE on (CALL-1, S9).
#[test]
fn rfc_4475_among_good_calls() {
    let scene = good_calls();
    let messages = torture::messages();
    let refused = counted(messages.iter().filter_map(|message| message.refused));
    let flaws = counted(messages.iter().flat_map(|message| message.flaws.iter().copied()));
    let bytes = messages.iter().map(|message| &message.bytes[..]);
    let bad = torture::frames(bytes, SCENE_START_NS + 5 * MS, 20 * MS);
    let frames = merged(scene.frames(), bad.into_iter());
    let replayed = Replayed::of(frames, Container::default(), None);
    assert_right("RFC 4475", &scene.truths(), &replayed);
    assert_eq!(rejected(&replayed), refused);
    assert_eq!(by_kind(&replayed, "sip_flaws"), flaws, "good calls have none");
}

/// Mutations of them, a hundred to a good message: none harms a call, those that are no SIP are counted.
#[test]
fn mutants_among_good_calls() {
    let scene = good_calls();
    let mutants = torture::mutants(4_475, MUTANTS);
    let bytes = mutants.iter().map(|mutant| &mutant[..]);
    let bad = torture::frames(bytes, SCENE_START_NS, MS / 2);
    let frames = merged(scene.frames(), bad.into_iter());
    let replayed = Replayed::of(frames, Container::default(), None);
    assert_right("mutants", &scene.truths(), &replayed);
    let rejected = rejected(&replayed);
    assert!(rejected.len() >= 10, "few kinds of rejection: {rejected:?}");
    let total: u64 = rejected.values().sum();
    assert!((MUTANTS as u64 / 5..MUTANTS as u64).contains(&total), "{total} rejected");
}
