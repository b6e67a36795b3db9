//! What policies make of a conversation whose parties change, and by which of their names they know them.

use earwitness_fixtures::ensemble::Ensemble;
use earwitness_fixtures::spec::Party::{Callee, Caller};
use earwitness_tests::program::Replayed;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ALICE, BOB, CAROL, LEFT, RIGHT, Sound, brief, leg, parties, replay, talk};

/// Where the trunk is, and the way out again.
const CARRIER: u8 = 50;
const MOBILE: u8 = 51;
/// The telephone system, whose name is the tenant's domain.
const HOME: u8 = 2;

const STRANGER: &str = "+4930555123";
const STRANGERS_MOBILE: &str = "+491709999";

fn tenant(more: &Value) -> Value {
    let mut tenant = json!({
        "id": "acme",
        "domains": { "onnet": ["10.9.0.2", "10.9.0.3"] },
        "trunks": [{ "id": "carrier", "addresses": ["10.9.0.50", "10.9.0.51"] }],
    });
    for (key, value) in more.as_object().expect("an object") {
        tenant[key] = value.clone();
    }
    tenant
}

fn ruled(ensemble: Ensemble, more: &Value) -> Replayed {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("policy.json");
    let policy = json!({ "tenants": [tenant(more)] }).to_string();
    std::fs::write(&file, policy).expect("the test's folder can be written");
    let config = format!("[recording]\ndefault = \"none\"\n[policy]\nfiles = [{file:?}]\n");
    replay(ensemble, Some(&config))
}

/// A stranger calls Bob, who gives the call to `to` at `host`; what was said until then, and after that.
fn handed_on(ensemble: &mut Ensemble, to: &str, host: u8) -> [std::ops::Range<u64>; 2] {
    let line =
        |name: &str, user: &str, host: u8| leg(name, [STRANGER, user], [CARRIER, host], [4000; 2]);
    let mut first = line("first", "bob", HOME);
    ensemble.call(&mut first);
    let before = talk(ensemble, &first, [ALICE, BOB], 2_000);
    ensemble.refer(&mut first, Callee, &format!("sip:{to}@10.9.0.{host}"), 202);
    let mut second = line("second", to, host);
    ensemble.call(&mut second);
    ensemble.notify(&mut first, Caller, 200);
    ensemble.hang_up(&mut first, Callee);
    let after = talk(ensemble, &second, [ALICE, CAROL], 2_000);
    ensemble.hang_up(&mut second, Caller);
    [before, after]
}

/// The recording holds what was said before the call was handed on, and ends there, or goes on.
#[track_caller]
fn is_recorded(replayed: &Replayed, [before, after]: [std::ops::Range<u64>; 2], goes_on: bool) {
    let told: Vec<String> = replayed.calls.iter().map(brief).collect();
    assert_eq!((replayed.calls.len(), replayed.recordings.len()), (1, 1), "{}", told.join("\n"));
    let call = &replayed.calls[0];
    let sound = Sound::of(replayed, call);
    sound.has(LEFT, ALICE, before.clone());
    sound.has(RIGHT, BOB, before.clone());
    let duration_ms = replayed.recordings[0]["duration_ms"].as_u64().expect("a number");
    if goes_on {
        sound.has(RIGHT, CAROL, after);
    } else {
        let longest_ms = after.start - before.start;
        assert!(duration_ms <= longest_ms, "{duration_ms} ms of {longest_ms}\n{}", brief(call));
    }
}

/// POL-1: who answers is who the answer asserts (RFC 3325), whatever number was dialled.
#[test]
fn the_answer_says_who_answers() {
    let users = json!({ "users": [
        { "id": "sally", "identities": ["sally@10.9.0.2"], "record": "on" },
        { "id": "otto", "identities": ["otto@10.9.0.2"], "record": "off" },
    ] });
    for (user, recordings) in [("sally", 1), ("otto", 0)] {
        let mut ensemble = Ensemble::default();
        let mut line = leg("first", [STRANGER, "9000"], [CARRIER, HOME], [4000; 2]);
        line.later.push(("P-Asserted-Identity", format!("<sip:{user}@10.9.0.2>")));
        ensemble.call(&mut line);
        let said = talk(&mut ensemble, &line, [ALICE, BOB], 2_000);
        ensemble.hang_up(&mut line, Caller);
        let replayed = ruled(ensemble, &users);
        assert_eq!(replayed.recordings.len(), recordings, "{}", brief(&replayed.calls[0]));
        if recordings > 0 {
            Sound::of(&replayed, &replayed.calls[0]).has(RIGHT, BOB, said);
        }
    }
}

/// POL-9: the agent hands a stranger on to another stranger: between two external numbers nothing is recorded, where the
/// tenant says so, and it is where it does not.
#[test]
fn between_external_numbers_recording_stops() {
    let all = json!({ "account": { "any": { "any": { "enabled": true } } } });
    for goes_on in [false, true] {
        let mut ensemble = Ensemble::default();
        let said = handed_on(&mut ensemble, STRANGERS_MOBILE, MOBILE);
        let more = json!({
            "call_recording": all,
            "record_calls_between_external_numbers": goes_on,
            "users": [{ "id": "bob", "identities": ["bob@10.9.0.2"] }],
        });
        let replayed = ruled(ensemble, &more);
        is_recorded(&replayed, said, goes_on);
        let expected = [(STRANGER, "bob"), (STRANGER, STRANGERS_MOBILE)];
        assert_eq!(parties(&replayed.calls[0]), expected, "{}", brief(&replayed.calls[0]));
    }
}

/// POL-10: calls from outside are recorded for both colleagues, internal ones are not: what is transferred is internal.
#[test]
fn what_is_transferred_to_a_colleague_is_internal() {
    let user = |id: &str, host: u8, internal: bool| {
        let inbound = json!({ "offnet": { "enabled": true }, "onnet": { "enabled": internal } });
        json!({
            "id": id,
            "identities": [format!("{id}@10.9.0.{host}")],
            "call_recording": { "inbound": inbound },
        })
    };
    for internal in [false, true] {
        let mut ensemble = Ensemble::default();
        let said = handed_on(&mut ensemble, "carol", 3);
        let more = json!({ "users": [user("bob", HOME, internal), user("carol", 3, internal)] });
        is_recorded(&ruled(ensemble, &more), said, internal);
    }
}

/// POL-1: who hides behind From is known by what the telephone system asserts (RFC 3325).
#[test]
fn an_asserted_identity_is_trusted_before_from() {
    for (field, recorded) in
        [("P-Asserted-Identity", true), ("Remote-Party-ID", true), ("X-Nobody", false)]
    {
        let mut ensemble = Ensemble::default();
        let mut line = leg("hidden", ["anonymous", "carol"], [HOME, 3], [4000; 2])
            .with(field, "\"Alice\" <sip:alice@10.9.0.2>");
        ensemble.call(&mut line);
        ensemble.talk(&line, [ALICE, CAROL], 1_500, 0);
        ensemble.wait(1_500);
        ensemble.hang_up(&mut line, Caller);
        let alice = json!({
            "id": "alice",
            "identities": ["alice@10.9.0.2"],
            "call_recording": { "outbound": { "onnet": { "enabled": true } } },
        });
        let replayed = ruled(ensemble, &json!({ "users": [alice] }));
        assert_eq!(
            replayed.recordings.len(),
            usize::from(recorded),
            "{field}: {}",
            brief(&replayed.calls[0])
        );
    }
}

/// How a phone registered before it called.
struct Registration {
    about: &'static str,
    /// For how long, and what the registrar answered, in their order.
    registers: &'static [(u32, u16)],
    recorded: bool,
}

/// POL-1: who hides behind From is known by the registration of the phone that calls, while it is in force; so is a phone
/// that is called by a number of nobody. A registrar that refused has registered nobody.
#[test]
fn a_phone_is_known_by_its_registration() {
    for Registration { about, registers, recorded } in [
        Registration { about: "none", registers: &[], recorded: false },
        Registration { about: "registered", registers: &[(60, 401), (60, 200)], recorded: true },
        Registration { about: "refused", registers: &[(60, 403)], recorded: false },
        Registration { about: "taken back", registers: &[(60, 200), (0, 200)], recorded: false },
        Registration { about: "run out", registers: &[(1, 200)], recorded: false },
    ] {
        let mut ensemble = Ensemble::default();
        let mut own = leg("phone", ["alice", "home"], [21, HOME], [4000; 2]);
        for (expires_s, code) in registers {
            ensemble.register(&mut own, *expires_s, *code);
            ensemble.wait(200);
        }
        ensemble.wait(1_000);
        let mut out = leg("out", ["anonymous", "100"], [21, HOME], [4000; 2]);
        let mut into = leg("into", ["carol", "hotline"], [HOME, 21], [4000; 2]);
        into.uris[1] = "sip:hotline@10.9.0.99".to_owned();
        for line in [&mut out, &mut into] {
            ensemble.call(line);
            ensemble.talk(line, [ALICE, CAROL], 1_000, 0);
            ensemble.wait(1_000);
            ensemble.hang_up(line, Caller);
            ensemble.wait(2_000);
        }
        let alice = json!({
            "id": "alice",
            "identities": ["alice@10.9.0.2"],
            "record_audio_calls": "on",
        });
        let replayed = ruled(ensemble, &json!({ "users": [alice] }));
        let told: Vec<String> = replayed.calls.iter().map(brief).collect();
        let count = if recorded { 2 } else { 0 };
        assert_eq!(replayed.recordings.len(), count, "{about}: {}", told.join("\n"));
        for call in replayed.calls.iter().filter(|_| recorded) {
            let by = "is user alice of acme, by registration";
            assert!(brief(call).contains(by), "{}", brief(call));
        }
    }
}
