//! Policies through the whole pipeline: the recordings on disk are the proof.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use earwitness_fixtures::address::ends;
use earwitness_fixtures::call::Frame;
use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::{CallSpec, Digits, Party, Scenario};
use earwitness_fixtures::truth::Truth;
use earwitness_tests::check::Wav;
use earwitness_tests::needles::Needles;
use earwitness_tests::program::{Container, Replayed, run};
use serde_json::{Value, json};
use tempfile::TempDir;

const ALICE: &str = "alice@acme.example";
const BOB: &str = "bob@acme.example";
const OUTSIDE: &str = "+4930555123@carrier.example";

/// What a policy made of calls between these parties, in their order.
struct Outcome {
    replayed: Replayed,
    call_ids: Vec<String>,
    _policy: TempDir,
}

impl Outcome {
    fn of(policy: &str, calls: Vec<CallSpec>) -> Self {
        Self::with(policy, calls, "")
    }

    /// With `more` configuration.
    fn with(policy: &str, calls: Vec<CallSpec>, more: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("policy.json");
        std::fs::write(&file, policy).expect("the test's folder can be written");
        let scene = Scene::new(calls);
        let config =
            format!("[recording]\ndefault = \"none\"\n[policy]\nfiles = [{file:?}]\n{more}");
        let replayed = Replayed::of(scene.frames(), Container::default(), Some(&config));
        let call_ids = scene.truths().into_iter().map(|truth| truth.call_id).collect();
        Self { replayed, call_ids, _policy: folder }
    }

    fn call(&self, index: usize) -> &Value {
        let is_it = |call: &&Value| call["call_id"] == self.call_ids[index].as_str();
        self.replayed.calls.iter().find(is_it).expect("every call has a row")
    }

    fn recordings(&self, index: usize) -> Vec<&Value> {
        let is_it = |row: &&Value| row["call_id"] == self.call_ids[index].as_str();
        self.replayed.recordings.iter().filter(is_it).collect()
    }

    /// Which calls have a recording; each has one, with its file, and what is not wanted has none.
    fn recorded(&self) -> Vec<bool> {
        let mut files = files_below(&self.replayed.data_dir().join("recordings"));
        let recorded = (0..self.call_ids.len()).map(|index| {
            let rows = self.recordings(index);
            assert!(rows.len() <= 1, "a call is recorded once: {rows:?}");
            assert_eq!(self.call(index)["decision"]["recorded"], !rows.is_empty());
            for row in &rows {
                for key in ["path", "json_path", "xml_path"] {
                    let path = self.replayed.data_dir().join(row[key].as_str().expect("a path"));
                    assert!(files.remove(&path), "{} is missing", path.display());
                }
                assert!(row["duration_ms"].as_u64().expect("a number") > 900, "{row}");
            }
            !rows.is_empty()
        });
        let recorded = recorded.collect();
        assert_eq!(files, BTreeSet::new(), "files of no recording");
        recorded
    }
}

fn files_below(folder: &std::path::Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return files };
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() { files.extend(files_below(&path)) } else { files.extend([path]) }
    }
    files
}

fn calls(parties: &[(&str, &str)]) -> Vec<CallSpec> {
    let call = |(index, (from, to)): (usize, &(&str, &str))| {
        let index = index as u32;
        let start_ms = u64::from(index) * 30;
        CallSpec { start_ms, talk_ms: 1_000, ..CallSpec::new(index) }.between(from, to)
    };
    parties.iter().enumerate().map(call).collect()
}

/// The columns of the matrices: onnet to onnet, onnet to offnet, offnet to onnet.
const COLUMNS: [(&str, &str); 3] = [(ALICE, BOB), (ALICE, OUTSIDE), (OUTSIDE, BOB)];

fn on(setting: &str) -> Value {
    let (direction, network) = setting.split_once('.').expect("two words");
    json!({ direction: { network: { "enabled": true } } })
}

/// POL-3: "Account Settings", through the pipeline.
#[test]
fn account_settings_on_disk() {
    for (setting, expected) in [
        ("inbound.onnet", [true, true, false]),
        ("inbound.offnet", [false, false, true]),
        ("outbound.onnet", [true, false, true]),
        ("outbound.offnet", [false, true, false]),
    ] {
        let policy = json!({ "tenants": [{ "id": "acme", "domains": { "onnet": ["acme.example"] },
            "call_recording": { "account": on(setting) } }] });
        let outcome = Outcome::of(&policy.to_string(), calls(&COLUMNS));
        assert_eq!(outcome.recorded(), expected, "{setting}");
        let directions = [0, 1, 2].map(|index| outcome.call(index)["direction"].clone());
        assert_eq!(directions, ["internal", "outbound", "inbound"]);
        assert_eq!(outcome.call(0)["tenant"], "acme");
    }
}

/// POL-3: "Endpoint Settings", through the pipeline: of the endpoint that calls, for outbound, or is called.
#[test]
fn endpoint_settings_on_disk() {
    for (setting, expected) in [
        ("inbound.onnet", [true, false, false]),
        ("inbound.offnet", [false, false, true]),
        ("outbound.onnet", [true, false, false]),
        ("outbound.offnet", [false, true, false]),
    ] {
        // Of a call between two endpoints one is asked by each setting; of the others there is one.
        let users = [("alice", ALICE), ("bob", BOB)].map(|(id, identity)| {
            json!({ "id": id, "identities": [identity], "call_recording": on(setting) })
        });
        let policy = json!({ "tenants": [{ "id": "acme", "domains": { "onnet": ["acme.example"] }, "users": users }] });
        let outcome = Outcome::of(&policy.to_string(), calls(&COLUMNS));
        assert_eq!(outcome.recorded(), expected, "{setting}");
    }
}

macro_rules! example {
    ($name:literal) => {
        include_str!(concat!("../../control-plane/policy/examples/", $name))
    };
}

const SALLY: &str = "sally@acme.example";
const SAM: &str = "sam@acme.example";
const OTTO: &str = "otto@acme.example";

fn story(policy: &str, told: &[(&str, &str, bool)]) -> Outcome {
    let parties: Vec<(&str, &str)> = told.iter().map(|(from, to, _)| (*from, *to)).collect();
    let outcome = Outcome::of(policy, calls(&parties));
    let expected: Vec<bool> = told.iter().map(|(_, _, recorded)| *recorded).collect();
    assert_eq!(outcome.recorded(), expected, "{told:?}");
    outcome
}

/// 001: "Sales wants calls to and from customers to be recorded but not calls within the account."
#[test]
fn sales() {
    let told = [
        (OUTSIDE, SALLY, true),
        (SALLY, OUTSIDE, true),
        (SALLY, SAM, false),
        (OTTO, OUTSIDE, false),
    ];
    let outcome = story(example!("sales.json"), &told);
    let paths = [0, 1].map(|index| outcome.recordings(index)[0]["path"].to_string());
    assert!(paths[0].contains("/recordin/") && paths[1].contains("/recordout/"), "{paths:?}");
}

/// 002: "An administrator wants to establish global settings for account-wide call recording processes."
#[test]
fn account_wide() {
    let lawyer = "+4930555999@carrier.example";
    let told =
        [(OUTSIDE, OTTO, true), (OTTO, OUTSIDE, true), (OTTO, SALLY, false), (OTTO, lawyer, false)];
    let outcome = story(example!("account-wide.json"), &told[2..]);
    assert_eq!(outcome.call(1)["decision"]["rule"], "acme: do-not-record list lawyers");
    // Calls of less than two seconds are deleted, and MP3 is asked for.
    let longer: Vec<CallSpec> = calls(&told.map(|(from, to, _)| (from, to)))
        .into_iter()
        .enumerate()
        .map(|(index, call)| CallSpec { talk_ms: if index == 1 { 1_000 } else { 3_000 }, ..call })
        .collect();
    let outcome = Outcome::of(example!("account-wide.json"), longer);
    assert_eq!(outcome.recordings(0)[0]["format"], "mp3");
    assert!(outcome.recordings(1).is_empty(), "too short");
    let events = outcome.call(1)["events"].to_string();
    assert!(events.contains("is not kept"), "{events}");
    assert!(outcome.recordings(2).is_empty() && outcome.recordings(3).is_empty());
}

/// 002: "An administrator wants to record all support calls in a Call Center queue".
#[test]
fn support_queue() {
    let told = [(OUTSIDE, "700@acme.example", true), (OUTSIDE, OTTO, false)];
    story(example!("support-queue.json"), &told);
}

/// 002: "A user wants to record calls only on his/her office phone but not on her cell phone".
#[test]
fn office_phone_only() {
    let (office, cell) = ("sally-office@acme.example", "sally-cell@acme.example");
    let told = [(OUTSIDE, office, true), (OUTSIDE, cell, false), (cell, OUTSIDE, false)];
    story(example!("office-phone-only.json"), &told);
}

/// 002, POL-7: "A user wants to be able to initiate a call recording session after the call has started": by the code of
/// the tenant, and not without it.
#[test]
fn on_demand() {
    let mut specs = calls(&[(SALLY, OUTSIDE), (SALLY, OUTSIDE)]);
    for spec in &mut specs {
        spec.talk_ms = 4_000;
    }
    specs[1].digits = Digits::Info("*7".to_owned());
    let outcome =
        Outcome::with(example!("on-demand.json"), specs, "[control]\nallow = [\"10.0.0.0/8\"]\n");
    assert_eq!(outcome.recorded(), [false, true]);
    let recording = outcome.recordings(1)[0];
    assert!(recording["duration_ms"].as_u64().expect("a number") < 3_900, "{recording:#}");
    assert_eq!(recording["decision"]["rule"], "acme: on demand");
}

/// 002: "A support team wants to record incoming calls to track content/effectiveness of calls".
#[test]
fn support_team() {
    let told =
        [(OUTSIDE, "600@acme.example", true), (OUTSIDE, SALLY, true), (SALLY, OUTSIDE, false)];
    story(example!("support-team.json"), &told);
}

fn account(parameters: Value) -> String {
    let mut parameters = parameters;
    parameters["enabled"] = true.into();
    json!({ "tenants": [{ "id": "acme", "catch_all": true,
        "call_recording": { "account": { "any": { "any": parameters } } } }] })
    .to_string()
}

/// POL-4: format, sample rate and destination are as set.
#[test]
fn form_is_as_set() {
    let policy = account(
        json!({ "format": "opus", "record_sample_rate": 16000, "url": "https://archive.example/put" }),
    );
    let outcome = Outcome::of(&policy, calls(&[(ALICE, OUTSIDE)]));
    let recording = outcome.recordings(0)[0];
    assert_eq!(recording["format"], "opus");
    assert_eq!(recording["sample_rate"], 16_000);
    assert_eq!(recording["destination"]["url"], "https://archive.example/put");
    let sidecar =
        outcome.replayed.data_dir().join(recording["json_path"].as_str().expect("a path"));
    let sidecar = std::fs::read_to_string(sidecar).expect("a sidecar");
    assert!(sidecar.contains("https://archive.example/put"), "{sidecar}");
}

/// POL-4: a recording of at least its minimum is kept, a longer one than its limit ends there and says so.
#[test]
fn length_is_as_set() {
    let policy = account(json!({ "record_min_sec": 1, "time_limit": 2 }));
    let mut specs = calls(&[(ALICE, OUTSIDE), (ALICE, BOB), (BOB, OUTSIDE)]);
    for (spec, talk_ms) in specs.iter_mut().zip([600, 1_600, 4_000]) {
        spec.talk_ms = talk_ms;
    }
    let outcome = Outcome::of(&policy, specs.clone());
    let counts = [0, 1, 2].map(|index| outcome.recordings(index).len());
    assert_eq!(counts, [0, 1, 1]);
    let limited = outcome.recordings(2)[0];
    let duration_ms = limited["duration_ms"].as_u64().expect("a number");
    assert!((1_980..=2_020).contains(&duration_ms), "{duration_ms} ms");
    assert_eq!(limited["end_reason"], "time_limit");
    // Both are told, what is too short has left no file, and what is past the limit is in none.
    let told = [0, 2].map(|index| outcome.call(index)["events"].to_string());
    assert!(told[0].contains("at least 1000 ms are asked for"), "{}", told[0]);
    assert!(
        told[1].contains("stop: time_limit, the recording has its longest length"),
        "{}",
        told[1]
    );
    let files = files_below(&outcome.replayed.data_dir().join("recordings"));
    assert_eq!(files.len(), 2 * 3, "{files:?}");
    let begin_ns = Truth::of(&specs[2]).sides.iter().map(|side| side.first_ns).min();
    let begin_ns = begin_ns.expect("both speak");
    let of_both =
        |frame: &Frame| Party::BOTH.into_iter().any(|party| is_said(frame, &specs[2], party));
    let beyond = Scene::new(specs.clone());
    let beyond =
        beyond.frames().filter(|frame| frame.ts_ns > begin_ns + 2_060 * MS && of_both(frame));
    is_in_no_file(&Needles::of_frames(beyond), &outcome);
}

const MS: u64 = 1_000_000;

/// Whether the frame is media of a party of the call.
fn is_said(frame: &Frame, spec: &CallSpec, party: Party) -> bool {
    let media = ends(spec)[party.index()].media;
    let std::net::IpAddr::V4(host) = media.ip() else { panic!("the calls here are IPv4") };
    frame.bytes.len() > 54
        && frame.bytes[26..30] == host.octets()
        && frame.bytes[34..36] == media.port().to_be_bytes()
}

#[track_caller]
fn is_in_no_file(secret: &Needles, outcome: &Outcome) {
    assert!(secret.count() > 20, "{}", secret.count());
    for (path, found) in secret.found_below(&outcome.replayed.data_dir()) {
        assert_eq!(found, 0, "{} has {found} pieces of what is not wanted", path.display());
    }
}

/// POL-4: `record_caller` of a call flow records the caller alone: the other side is silent, and in no file.
#[test]
fn the_caller_alone_is_recorded() {
    let policy = json!({ "tenants": [{ "id": "acme", "domains": { "onnet": ["acme.example"] },
        "callflows": [{ "id": "voicemail", "numbers": ["500"],
            "record_caller": { "format": "wav", "method": "post", "url": "https://mail.example/box" } }] }] });
    let specs = calls(&[(OUTSIDE, "500@acme.example"), (OUTSIDE, BOB)]);
    let outcome = Outcome::of(&policy.to_string(), specs.clone());
    assert_eq!(outcome.recorded(), [true, false]);
    let recording = outcome.recordings(0)[0];
    assert_eq!(recording["destination"]["url"], "https://mail.example/box");
    assert_eq!(recording["destination"]["method"], "post");
    let wav = Wav::read(&outcome.replayed.audio(recording)).expect("a recording");
    let loudest = |channel: usize| {
        wav.channels[channel].iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)
    };
    assert!(loudest(0) > 1_000 && loudest(1) == 0, "{} and {}", loudest(0), loudest(1));
    let scene = Scene::new(specs.clone());
    let of_callee = scene.frames().filter(|frame| is_said(frame, &specs[0], Party::Callee));
    is_in_no_file(&Needles::of_frames(of_callee), &outcome);
}

/// POL-4: so many percent of all calls, the same ones whenever they are asked for, and all of them in a larger sample.
#[test]
fn a_sample_is_recorded() {
    const CALLS: usize = 60;
    let parties = [(OUTSIDE, BOB); CALLS];
    let sample = |percent: u32| -> Vec<bool> {
        let policy = json!({ "tenants": [{ "id": "acme", "domains": { "onnet": ["acme.example"] },
            "sampling_percent": percent }] });
        let outcome = Outcome::of(&policy.to_string(), calls(&parties));
        let recorded = outcome.recorded();
        for (index, recorded) in recorded.iter().enumerate().filter(|(_, recorded)| **recorded) {
            let rule = outcome.call(index)["decision"]["rule"].to_string();
            assert!(*recorded && rule.contains("sampling"), "{rule}");
        }
        recorded
    };
    let some = sample(30);
    let count = some.iter().filter(|recorded| **recorded).count();
    assert!((8..=30).contains(&count), "{count} of {CALLS}");
    assert_eq!(sample(30), some);
    let more = sample(60);
    assert!(some.iter().zip(&more).all(|(some, more)| !some || *more), "{some:?} {more:?}");
    assert!(more.iter().filter(|recorded| **recorded).count() > count);
}

/// POL-4, CAP-9: what is before the answer is in no file where recording starts on answer; from there on all is.
#[test]
fn recording_starts_on_answer() {
    for (early, on_answer) in [(true, false), (true, true), (false, true)] {
        let scenario = if early { Scenario::EarlyMedia } else { Scenario::Basic };
        let spec = CallSpec { talk_ms: 2_000, scenario, ..CallSpec::new(0) };
        let truth = Truth::of(&spec);
        let policy = account(json!({ "record_on_answer": on_answer }));
        let outcome = Outcome::of(&policy, vec![spec.clone()]);
        let recording = outcome.recordings(0)[0];
        let talk_ms = 2_000;
        let duration_ms = recording["duration_ms"].as_u64().expect("a number");
        if on_answer {
            assert!((talk_ms - 40..=talk_ms + 40).contains(&duration_ms), "{duration_ms} ms");
            let answered = recording["answered_at"].as_str().expect("a time").to_owned();
            let started = recording["started_at"].as_str().expect("a time").to_owned();
            assert!(started >= answered, "{started} is before {answered}");
        } else {
            assert!(duration_ms > talk_ms + 100, "{duration_ms} ms");
        }
        if early && on_answer {
            let answered_ns = truth.answered_ns.expect("it was answered");
            let is_early =
                |frame: &Frame| frame.ts_ns < answered_ns && is_said(frame, &spec, Party::Callee);
            let early = Scene::new(vec![spec.clone()]);
            let early = early.frames().filter(is_early);
            is_in_no_file(&Needles::of_frames(early), &outcome);
        }
    }
}

/// CAP-9: what a rule forbids is in no file, while what another allows is.
#[test]
fn what_is_forbidden_is_in_no_file() {
    let told = [(SALLY, SAM, false)];
    let parties: Vec<(&str, &str)> = told.iter().map(|(from, to, _)| (*from, *to)).collect();
    let specs = calls(&parties);
    let needles = Needles::of(&Scene::new(specs.clone()));
    let outcome = Outcome::of(example!("sales.json"), specs);
    let files = needles.found_below(&outcome.replayed.data_dir());
    assert!(files.iter().all(|(_, found)| *found == 0), "{files:?}");
}

/// CALL-6: each call names the set that decided, and `policy` explains it; the history has the set.
#[test]
fn decisions_are_explained() {
    let outcome = story(example!("sales.json"), &[(SALLY, OUTSIDE, true), (SALLY, SAM, false)]);
    let version = outcome.call(0)["decision"]["policy"].as_str().expect("a version").to_owned();
    let data_dir = outcome.replayed.data_dir().display().to_string();
    let ask = |arguments: &[&str]| {
        let output = run(&[&["policy"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let history: Value =
        serde_json::from_str(&ask(&["history", "--data-dir", &data_dir, "--json"])).expect("a row");
    assert_eq!(
        format!("{}-{}", history["number"], history["hash"].as_str().expect("text")),
        version
    );
    assert_eq!(history["added"], json!(["tenant acme"]));
    let explain = ["explain", "--call", &outcome.call_ids[0], "--data-dir", &data_dir];
    let text = ask(&explain);
    assert!(text.contains("yes: recorded: acme: user sally: outbound.offnet"), "{text}");
    assert!(text.contains("sally@acme.example is user sally of acme, by From"), "{text}");
    let answer: Value =
        serde_json::from_str(&ask(&[&explain[..], &["--json"]].concat())).expect("JSON");
    assert_eq!(answer["tree"]["result"], "yes");
    assert_eq!(answer["decision"]["policy"], version.as_str());
    // A call that nobody made, by the configuration.
    let config = outcome.replayed.dir.path().join("earwitness.toml").display().to_string();
    let between = ["explain", "--from", SALLY, "--to", "+4930555123", "--config", &config];
    let answer: Value =
        serde_json::from_str(&ask(&[&between[..], &["--json"]].concat())).expect("JSON");
    assert_eq!((&answer["recorded"], &answer["direction"]), (&json!(true), &json!("outbound")));
    let spoofed = ask(&[
        "explain",
        "--from",
        SALLY,
        "--to",
        SAM,
        "--direction",
        "inbound",
        "--config",
        &config,
    ]);
    assert!(spoofed.contains("sally@acme.example is outside"), "{spoofed}");
}

/// POL-1: a set with a fault is refused as a whole, by exit code 2, and every fault is named.
#[test]
fn a_set_with_faults_is_refused() {
    let folder = TempDir::new().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("the test's folder can be written");
        path.display().to_string()
    };
    let good = write("a.json", r#"{ "tenants": [{ "id": "a" }] }"#);
    let bad =
        write("b.json", r#"{ "tenants": [{ "id": "a", "colour": 1, "sampling_percent": 200 }] }"#);
    assert_eq!(run(&["policy", "check", &good]).status.code(), Some(0));
    let output = run(&["policy", "check", &good, &bad]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: BTreeMap<usize, &str> = text.lines().enumerate().collect();
    assert_eq!(lines.len(), 3, "{text}");
    for part in ["tenants[0].colour", "tenants[0].sampling_percent", "tenants[0].id"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let config = write("earwitness.toml", &format!("[policy]\nfiles = [{good:?}, {bad:?}]\n"));
    let capture = folder.path().join("capture.pcap");
    let scene = Scene::new(calls(&[(ALICE, BOB)]));
    earwitness_tests::program::write_capture(&capture, Container::default(), scene.frames());
    let data_dir = folder.path().join("data").display().to_string();
    let capture = capture.display().to_string();
    let output = run(&["replay", &capture, "--data-dir", &data_dir, "--config", &config]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("colour") && error.contains("sampling_percent"), "{error}");
    // With the faults mended the same files are taken.
    write("b.json", r#"{ "tenants": [{ "id": "b" }] }"#);
    let output = run(&["replay", &capture, "--data-dir", &data_dir, "--config", &config]);
    assert_eq!(output.status.code(), Some(0));
}
