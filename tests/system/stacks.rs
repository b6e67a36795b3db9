//! Calls that real stacks hold, transfer, queue and mix (baresip, Linphone, Kamailio, SIPp), on a tap with XDP: one call each in the
//! list, with who spoke with whom and when, and recordings in which everybody is heard once, on one side, in their time.

use std::collections::BTreeMap;
use std::ops::Range;

use earwitness_tests::check::{Wav, milliseconds};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::daemon::list;
use crate::script::play;

/// How far what the list and the recording say may be from when somebody did it, on a machine that does other things, too.
const APART_MS: i64 = 250;
const FRAME_MS: i64 = 20;
const PER_MS: i64 = 8;
/// How loud every voice is (`vol 0.3`).
const AMPLITUDE: f64 = 0.3 * 32_768.0;
/// As `stacks.sh` has them.
const VOICES: [(&str, f64); 3] = [("alice", 440.0), ("bob", 580.0), ("carol", 1_130.0)];

/// CALL-5: on hold and retrieved, baresip to baresip: one leg, nobody heard in between, both before and after it.
#[test]
fn hold_and_retrieve() {
    let played = Played::new("hold", "");
    let end = played.moment("end");
    played.spoke(&[("alice", "bob", None, end)]);
    let [held, retrieved] = ["hold", "resume"].map(|name| played.moment(name));
    played.is_heard(played.began()..held, [&["alice"], &["bob"]]);
    played.is_heard(held..retrieved, [&[], &[]]);
    played.is_heard(retrieved..end, [&["alice"], &["bob"]]);
    assert_eq!((played.joined_by(), played.end_reason()), (vec!["-"], "bye_caller"));
}

/// CALL-5: the callee transfers blind, phone to phone: who is called then has the callee's side.
#[test]
fn a_blind_transfer() {
    let played = Played::new("direct", "");
    let [transfer, end] = ["transfer", "end"].map(|name| played.moment(name));
    played.spoke(&[("alice", "bob", None, transfer), ("alice", "carol", Some(transfer), end)]);
    played.is_heard(played.began()..transfer, [&["alice"], &["bob"]]);
    played.is_heard(transfer..end, [&["alice"], &["carol"]]);
    assert_eq!((played.joined_by(), played.end_reason()), (vec!["-", "refer"], "bye_callee"));
}

/// CALL-5: the caller transfers blind, all three behind a proxy that they are registered at: who is called then has the
/// caller's side, and who was called hangs up on its own.
#[test]
fn a_blind_transfer_through_a_proxy() {
    let played = Played::new("proxied", "");
    let [transfer, end] = ["transfer", "end"].map(|name| played.moment(name));
    played.spoke(&[("alice", "bob", None, transfer), ("carol", "bob", Some(transfer), end)]);
    played.is_heard(played.began()..transfer, [&["alice"], &["bob"]]);
    played.is_heard(transfer..end, [&["carol"], &["bob"]]);
    assert_eq!((played.joined_by(), played.end_reason()), (vec!["-", "refer"], "bye_callee"));
}

/// CALL-5: attended, REFER with Replaces between three Linphones: Bob asks Carol while Alice waits.
#[test]
fn an_attended_transfer() {
    let played = Played::new("attended", "");
    let [hold, consult, transfer, end] =
        ["hold", "consult", "transfer", "end"].map(|name| played.moment(name));
    played.spoke(&[
        ("alice", "bob", None, transfer),
        ("carol", "bob", Some(consult), transfer),
        ("alice", "carol", Some(transfer), end),
    ]);
    played.is_heard(played.began()..hold, [&["alice"], &["bob"]]);
    played.is_heard(consult..transfer, [&["carol"], &["bob"]]);
    played.is_heard(transfer..end, [&["alice"], &["carol"]]);
    assert_eq!(played.end_reason(), "bye_callee");
}

/// CALL-5: Bob's Linphone mixes his two calls. In the mix, he says nothing himself: his microphone is a file.
#[test]
fn a_conference_on_a_phone() {
    let played = Played::new("conference", "");
    let [hold, consult, retrieve] = ["hold", "consult", "retrieve"].map(|name| played.moment(name));
    let [conference, leave, end] = ["conference", "leave", "end"].map(|name| played.moment(name));
    played.spoke(&[("alice", "bob", None, leave), ("carol", "bob", Some(consult), end)]);
    played.is_heard(played.began()..hold, [&["alice"], &["bob"]]);
    played.is_heard(consult..retrieve, [&["carol"], &["bob"]]);
    played.is_heard(conference..leave, [&["alice"], &["carol"]]);
    played.is_heard(leave..end, [&["carol"], &[]]);
    assert_eq!((played.joined_by(), played.end_reason()), (vec!["-", "mixer"], "bye_caller"));
}

/// CALL-5: a queue behind a box with two legs (baresip), whose agents a proxy tries one after the other (Kamailio): the
/// first is busy (SIPp), the second does not pick up.
#[test]
fn a_queue_call_answered_by_the_third_agent() {
    let played = Played::new("queue", "");
    let end = played.moment("end");
    played.spoke(&[("alice", "agent3", None, end)]);
    played.is_heard(played.began()..end, [&["alice"], &["carol"]]);
    assert_eq!(played.end_reason(), "bye_caller");
    let legs = played.call["legs"].as_array().expect("a call has legs");
    let told = legs.iter().map(|leg| (user(&leg["to"]), leg["answered_at"].is_string()));
    let told: Vec<(&str, bool)> = told.collect();
    assert_eq!(told, [("queue", true), ("agent1", false), ("agent2", false), ("agent3", true)]);
}

/// Who is recorded in the scenario `direct`: Alice comes from outside, over the carrier's trunk, as does Carol if she is
/// `outside`.
fn policy(folder: &TempDir, outside: &[&str], more: &Value) -> String {
    let mut tenant = json!({
        "id": "acme",
        "domains": { "onnet": ["10.20.0.2", "10.20.0.3"] },
        "trunks": [{ "id": "carrier", "addresses": outside }],
    });
    for (key, value) in more.as_object().expect("an object") {
        tenant[key] = value.clone();
    }
    let file = folder.path().join("policy.json");
    let text = json!({ "tenants": [tenant] }).to_string();
    std::fs::write(&file, text).expect("the test's folder can be written");
    format!("[recording]\ndefault = \"none\"\n[policy]\nfiles = [{file:?}]\n")
}

/// The blind transfer again: the recording ends where the call is handed on.
#[track_caller]
fn ends_with_the_transfer(configuration: &str) {
    let played = Played::new("direct", configuration);
    let [transfer, end] = ["transfer", "end"].map(|name| played.moment(name));
    played.spoke(&[("alice", "bob", None, transfer), ("alice", "carol", Some(transfer), end)]);
    played.is_heard(played.began()..transfer, [&["alice"], &["bob"]]);
    let recorded_until = time(&played.recording["ended_at"]);
    assert!(recorded_until.abs_diff(transfer) <= APART_MS as u64, "{:#}", played.recording);
    let heard = played.wav.channels.iter().flat_map(|channel| timeline(channel));
    let carol = heard.filter(|(heard, _)| heard.contains(&"carol")).count();
    assert_eq!(carol, 0, "what is not to be recorded is heard");
}

/// POL-10: calls from outside are recorded for Bob, and not for Carol, to whom he gives one.
#[test]
fn a_transfer_to_whom_is_not_recorded_ends_the_recording() {
    let folder = tempfile::tempdir().expect("there is room");
    let user = |id: &str, address: &str, enabled: bool| {
        let inbound = json!({ "any": { "enabled": enabled } });
        let identity = format!("{id}@{address}");
        json!({ "id": id, "identities": [identity], "call_recording": { "inbound": inbound } })
    };
    let users = [user("bob", "10.20.0.2", true), user("carol", "10.20.0.3", false)];
    ends_with_the_transfer(&policy(&folder, &["10.20.0.1"], &json!({ "users": users })));
}

/// POL-9: Bob gives a call from outside to somebody outside: between the two nothing is recorded.
#[test]
fn a_transfer_to_the_outside_ends_the_recording() {
    let folder = tempfile::tempdir().expect("there is room");
    let more = json!({
        "call_recording": { "account": { "any": { "any": { "enabled": true } } } },
        "record_calls_between_external_numbers": false,
        "domains": { "onnet": ["10.20.0.2"] },
        "users": [{ "id": "bob", "identities": ["bob@10.20.0.2"] }],
    });
    ends_with_the_transfer(&policy(&folder, &["10.20.0.1", "10.20.0.3"], &more));
}

/// What a scenario left.
struct Played {
    _folder: TempDir,
    call: Value,
    recording: Value,
    wav: Wav,
    moments: BTreeMap<String, i64>,
}

impl Played {
    /// Plays it; the script must say that storage is clean, and there must be one call with one recording.
    fn new(scenario: &str, configuration: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let place = folder.path().to_str().expect("a path that can be written down");
        play("stacks.sh", &[scenario, place, configuration]);
        let data_dir = folder.path().join("data");
        let (mut calls, mut recordings) = (list(&data_dir, "calls"), list(&data_dir, "recordings"));
        assert_eq!((calls.len(), recordings.len()), (1, 1), "{calls:#?}");
        let (call, recording) = (calls.remove(0), recordings.remove(0));
        assert_eq!(recording["call"], call["id"]);
        assert_eq!(recording["packets"]["lost"], 0, "{recording:#}");
        let path = data_dir.join(recording["path"].as_str().expect("a path"));
        let wav = Wav::read(&path).expect("a recording");
        let moments = std::fs::read_to_string(folder.path().join("moments")).expect("moments");
        let moment = |line: &str| {
            let (name, at) = line.split_once(' ').expect("a name and a time");
            (name.to_owned(), at.parse().expect("a time"))
        };
        let moments = moments.lines().map(moment).collect();
        Self { _folder: folder, call, recording, wav, moments }
    }

    fn moment(&self, name: &str) -> i64 {
        self.moments[name]
    }

    /// Who spoke with whom, by user: the caller, the callee, from when (none: whenever it was answered) until when.
    #[track_caller]
    fn spoke(&self, expected: &[(&str, &str, Option<i64>, i64)]) {
        let rows = self.call["parties"].as_array().expect("a call has parties");
        let is_about = |at: &Value, expected: i64| time(at).abs_diff(expected) <= APART_MS as u64;
        let fits = rows.iter().zip(expected).all(|(row, (caller, callee, from, until))| {
            (user(&row["caller"]), user(&row["callee"])) == (*caller, *callee)
                && from.is_none_or(|from| is_about(&row["from_at"], from))
                && is_about(&row["until_at"], *until)
        });
        assert!(rows.len() == expected.len() && fits, "not {expected:?}: {rows:#?}");
    }

    /// From shortly after one moment to shortly before another, exactly these are heard on each side.
    #[track_caller]
    fn is_heard(&self, span: Range<i64>, sides: [&[&str]; 2]) {
        let inside = span.start - self.began() + APART_MS..span.end - self.began() - APART_MS;
        assert!(inside.end - inside.start >= 500, "{inside:?} is too short to be heard");
        for (channel, wanted) in self.wav.channels.iter().zip(sides) {
            let line = timeline(channel);
            let is_inside = |(_, frame): &&(Vec<&str>, Range<i64>)| {
                frame.start < inside.end && inside.start < frame.end
            };
            let found: Vec<_> = line.iter().filter(is_inside).map(|(heard, _)| heard).collect();
            assert!(
                found.iter().all(|heard| *heard == wanted) && !found.is_empty(),
                "not {wanted:?} in {inside:?}: {line:?}\n{:#}",
                self.call
            );
        }
    }

    fn began(&self) -> i64 {
        time(&self.recording["started_at"])
    }

    fn end_reason(&self) -> &str {
        self.call["end_reason"].as_str().unwrap_or_default()
    }

    /// How each leg came to the call.
    fn joined_by(&self) -> Vec<&str> {
        let legs = self.call["legs"].as_array().expect("a call has legs");
        legs.iter().map(|leg| leg["joined_by"].as_str().unwrap_or("-")).collect()
    }
}

/// Of `user@host`.
fn user(address: &Value) -> &str {
    address.as_str().and_then(|address| address.split('@').next()).expect("a name")
}

fn time(at: &Value) -> i64 {
    milliseconds(at.as_str().expect("a text")).expect("a time")
}

/// Who is heard from when until when, in ms from the beginning.
fn timeline(channel: &[i16]) -> Vec<(Vec<&'static str>, Range<i64>)> {
    let mut line: Vec<(Vec<&str>, Range<i64>)> = Vec::new();
    let frame_samples = (FRAME_MS * PER_MS) as usize;
    for (at, frame) in (0..).map(|n| n * FRAME_MS).zip(channel.chunks_exact(frame_samples)) {
        let is_heard = |(_, hertz): &&(&str, f64)| loudness(frame, *hertz) > AMPLITUDE / 2.0;
        let heard: Vec<&str> = VOICES.iter().filter(is_heard).map(|(name, _)| *name).collect();
        match line.last_mut() {
            Some((known, span)) if *known == heard => span.end = at + FRAME_MS,
            _ => line.push((heard, at..at + FRAME_MS)),
        }
    }
    line
}

/// The amplitude of a tone in a frame.
fn loudness(frame: &[i16], hertz: f64) -> f64 {
    let turn = std::f64::consts::TAU * hertz / (PER_MS * 1_000) as f64;
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in frame.iter().enumerate() {
        let (sin, cos) = (turn * n as f64).sin_cos();
        re += f64::from(*sample) * cos;
        im += f64::from(*sample) * sin;
    }
    2.0 * re.hypot(im) / frame.len() as f64
}
