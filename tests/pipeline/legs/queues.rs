//! Calls of a queue whose account is not recorded: what queue, agent and bridge make of them (POL-4, POL-6).

use std::ops::Range;

use earwitness_fixtures::ensemble::Ensemble;
use earwitness_fixtures::spec::Party::Callee;
use earwitness_fixtures::spec::SCENE_START_NS;
use earwitness_tests::needles::Needles;
use earwitness_tests::program::{Container, Replayed};
use serde_json::{Value, json};

use super::{ALICE, CAROL, LEFT, MS, MUSIC, RIGHT, Sound, brief, leg, text};

const CARRIER: u8 = 50;
const BOX: u8 = 10;
const AGENT: u8 = 21;

/// What was said while the caller waited, and with the agent.
struct Queued {
    replayed: Replayed,
    waits: Range<u64>,
    talks: Range<u64>,
    /// The media of the wait.
    music: Needles,
}

/// A stranger calls the queue, which answers and plays music; then an agent takes the call.
fn queued(queue: &Value) -> Queued {
    let mut ensemble = Ensemble::default();
    let mut caller = leg("caller", ["+4930555123", "700"], [CARRIER, BOX], [4000, 6000]);
    let mut agent = leg("agent", ["+4930555123", "agent"], [BOX, AGENT], [6002, 4000]);
    ensemble.call(&mut caller);
    let waits = ensemble.now_ms()..ensemble.now_ms() + 4_000;
    ensemble.say(MUSIC, (caller.media[1], caller.media[0]), waits.clone(), 0);
    ensemble.wait(3_000);
    ensemble.invite(&mut agent);
    ensemble.ring(&agent);
    ensemble.wait(1_000);
    ensemble.answer(&mut agent);
    ensemble.wait(100);
    let talks = ensemble.now_ms()..ensemble.now_ms() + 3_000;
    ensemble.talk(&caller, [ALICE, CAROL], 3_000, 5);
    ensemble.talk(&agent, [ALICE, CAROL], 3_000, 0);
    ensemble.wait(3_040);
    ensemble.hang_up(&mut agent, Callee);
    ensemble.hang_up(&mut caller, Callee);
    let frames = ensemble.frames();
    let window = SCENE_START_NS + waits.start * MS..SCENE_START_NS + (waits.end - 100) * MS;
    let of_wait = frames.iter().filter(|frame| window.contains(&frame.ts_ns));
    let music = Needles::of_frames(of_wait.cloned());
    let policy = json!({ "tenants": [{
        "id": "acme",
        "domains": { "onnet": ["10.9.0.10", "10.9.0.21"] },
        "trunks": [{ "id": "carrier", "addresses": ["10.9.0.50"] }],
        "call_recording": { "account": { "any": { "any": { "enabled": false } } } },
        "users": [{ "id": "agent", "identities": ["agent@10.9.0.21"] }],
        "queues": [queue],
    }] });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("policy.json");
    std::fs::write(&file, policy.to_string()).expect("the test's folder can be written");
    let config = format!("[recording]\ndefault = \"none\"\n[policy]\nfiles = [{file:?}]\n");
    let replayed = Replayed::of(frames.into_iter(), Container::default(), Some(&config));
    assert_eq!(replayed.calls.len(), 1, "{:#?}", replayed.calls);
    Queued { replayed, waits, talks, music }
}

fn queue(more: &Value) -> Value {
    let mut queue = json!({ "id": "support", "numbers": ["700"], "agents": [{ "user": "agent" }] });
    for (key, value) in more.as_object().expect("an object") {
        queue[key] = value.clone();
    }
    queue
}

impl Queued {
    /// Which parts are in the only recording.
    #[track_caller]
    fn has(&self, waiting: bool, talking: bool) {
        let call = &self.replayed.calls[0];
        let told = brief(call);
        let count = usize::from(waiting || talking);
        assert_eq!(self.replayed.recordings.len(), count, "{told}");
        if count == 1 {
            let sound = Sound::of(&self.replayed, call);
            if waiting {
                sound.has(RIGHT, MUSIC, self.waits.start + 60..self.waits.end - 200);
            }
            if talking {
                let talks = self.talks.start + 60..self.talks.end;
                sound.has(LEFT, ALICE, talks.clone());
                sound.has(RIGHT, CAROL, talks);
            }
            let [least_ms, most_ms] = match (waiting, talking) {
                (true, true) => [7_000, 7_400],
                (true, false) => [3_800, 4_200],
                _ => [2_900, 3_200],
            };
            let length_ms = sound.wav.duration_ms();
            assert!((least_ms..most_ms).contains(&length_ms), "{length_ms} ms\n{told}");
        }
        if !waiting {
            assert!(self.music.count() > 50, "{}", self.music.count());
            for (path, found) in self.music.found_below(&self.replayed.data_dir()) {
                assert_eq!(found, 0, "{}: {found} pieces of the music", path.display());
            }
        }
    }
}

/// POL-6: an account that is off, a queue that is on: its calls are recorded, wait and talk.
#[test]
fn a_queue_wins_over_its_account() {
    queued(&queue(&json!({}))).has(false, false);
    let on = queued(&queue(&json!({ "record": "on" })));
    on.has(true, true);
    assert_eq!(text(&on.replayed.calls[0]["decision"], "rule"), "acme: queue support");
}

/// POL-6: an agent's own setting wins over the queue's, from when the agent has the call.
#[test]
fn an_agent_wins_over_the_queue() {
    let agent = |record: &str| json!([{ "user": "agent", "record": record }]);
    queued(&queue(&json!({ "agents": agent("on") }))).has(false, true);
    let off = queued(&queue(&json!({ "record": "on", "agents": agent("off") })));
    off.has(true, false);
    assert_eq!(text(&off.replayed.recordings[0], "end_reason"), "stopped_by_policy");
}

/// POL-4: `record_on_bridge` of a queue begins when an agent has answered, not when the queue has; `record_on_answer`
/// when the queue has.
#[test]
fn recording_starts_on_bridge() {
    let begins = |when: &str| {
        let inbound = json!({ "any": { "enabled": true, when: true } });
        queue(&json!({ "call_recording": { "inbound": inbound } }))
    };
    queued(&begins("record_on_bridge")).has(false, true);
    queued(&begins("record_on_answer")).has(true, true);
}
