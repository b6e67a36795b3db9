//! Policies are changed while calls run.

use std::collections::BTreeMap;
use std::path::Path;

use earwitness_fixtures::live::{Pace, Sender};
use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::CallSpec;
use earwitness_tests::program::run;
use serde_json::{Value, json};

use crate::daemon::{Daemon, list};
use crate::space::Space;

const CALLS: u32 = 500;
const SPACING_MS: u64 = 4;
const TALK_MS: u32 = 9_000;

/// What the second set says of recordings that run.
const LIMIT_S: u64 = 6;

fn write_policy(path: &Path, is_first: bool) {
    let tenant = |id: &str, parameters: Value| {
        json!({ "id": id, "domains": { "onnet": [format!("{id}.example")] },
            "call_recording": { "account": { "any": { "any": parameters } } } })
    };
    let on = json!({ "enabled": true });
    let limited = json!({ "enabled": true, "time_limit": LIMIT_S, "format": "opus" });
    let document = json!({ "tenants": [
        tenant("changed", json!({ "enabled": is_first })),
        tenant("limited", if is_first { on.clone() } else { limited }),
        tenant("other", on),
    ] });
    std::fs::write(path, document.to_string()).expect("there is room");
}

/// POL-1, POL-4, OPS-2: a change takes effect for the calls that it concerns, while they run, also of limit and format, and no
/// other call has a gap; a set with a fault changes nothing.
#[test]
fn a_change_is_for_those_it_concerns() {
    let folder = tempfile::tempdir().expect("there is room");
    let policy = folder.path().join("policy.json");
    write_policy(&policy, true);
    let more = format!("[recording]\ndefault = \"none\"\n[policy]\nfiles = [{policy:?}]\n");
    let daemon = Daemon::start(Space::new("pl"), folder.path(), &more);
    let specs = (0..CALLS).map(|index| {
        let tenant = ["changed", "other", "changed", "limited"][index as usize % 4];
        let spec = CallSpec { talk_ms: TALK_MS, ..CallSpec::new(index) };
        CallSpec { start_ms: u64::from(index) * SPACING_MS, ..spec }
            .between(&format!("{index}@{tenant}.example"), "+4930555123@carrier.example")
    });
    let scene = Scene::new(specs.collect());
    let frames: Vec<_> = scene.frames().collect();
    let sender = daemon.space.sending(move || {
        let sender = Sender::open("span").expect("the span port is there");
        sender.play(frames, Pace::Times(1.0)).expect("frames can be sent")
    });
    daemon.await_metrics("all calls run", |metrics| {
        metrics.sum("earwitness_calls_started_total") >= f64::from(CALLS)
    });
    std::fs::write(&policy, "{ \"tenants\": [{ \"id\": 7 }] }").expect("there is room");
    daemon.reload();
    daemon.await_metrics("the set with a fault is refused", |metrics| {
        let of = |(labels, value): (&str, f64)| labels.contains("refused") && value == 1.0;
        metrics.series("earwitness_policy_loads_total").any(of)
    });
    write_policy(&policy, false);
    daemon.reload();
    daemon.await_metrics("the next one is in force", |metrics| {
        metrics.sum("earwitness_policy_version") == 2.0
    });
    sender.join().expect("all was sent");
    let data_dir = daemon.stop_when_finished();
    let recordings = list(&data_dir, "recordings");
    let by_call: BTreeMap<String, &Value> =
        recordings.iter().map(|row| (row["call"].to_string(), row)).collect();
    assert_eq!(by_call.len(), recordings.len(), "one recording a call");
    for call in list(&data_dir, "calls") {
        match by_call.get(&call["id"].to_string()) {
            Some(recording) => check(&call, recording),
            None => is_answered_too_late(&call),
        }
    }
}

const ON: &str = r#"{ "tenants": [{ "id": "acme", "domains": { "onnet": ["acme.example"] },
    "call_recording": { "account": { "any": { "any": { "enabled": true } } } } }] }"#;

/// What the command line says of the daemon's policies: exit code, standard output, standard error.
fn policy(data_dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = data_dir.display().to_string();
    let output = run(&[&["policy"], arguments, &["--data-dir", &folder]].concat());
    let text = |bytes| String::from_utf8(bytes).expect("it writes text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The file names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("it can be read").file_name().into_string().expect("a name")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

/// POL-1: policies are changed by the command line while a call runs. A set with faults is refused with each of them, and
/// nothing is otherwise, on the disk neither; a good one is in force for the call when the command ends, and after a restart;
/// the history says who put it there.
#[test]
fn changed_by_the_command_line() {
    let folder = tempfile::tempdir().expect("there is room");
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies).expect("there is room");
    std::fs::write(policies.join("acme.json"), ON).expect("there is room");
    let more = format!("[recording]\ndefault = \"none\"\n[policy]\nfiles = [{policies:?}]\n");
    let mut daemon = Daemon::start(Space::new("pc"), folder.path(), &more);
    let data_dir = daemon.data_dir.clone();
    let spec = CallSpec { talk_ms: TALK_MS, ..CallSpec::new(1) };
    let scene = Scene::new(vec![spec.between("alice@acme.example", "bob@acme.example")]);
    let frames: Vec<_> = scene.frames().collect();
    let sender = daemon.space.sending(move || {
        let sender = Sender::open("span").expect("the span port is there");
        sender.play(frames, Pace::Times(1.0)).expect("frames can be sent")
    });
    daemon.await_metrics("the call is recorded", |metrics| {
        metrics.sum("earwitness_capture_stored_packets_total") > 50.0
    });
    refused(&data_dir, folder.path());
    applied(&data_dir, folder.path());
    assert_eq!(daemon.metrics().sum("earwitness_policy_version"), 2.0, "when the command ends");
    sender.join().expect("all was sent");
    daemon.await_metrics("the call is finished", |metrics| {
        metrics.sum("earwitness_recordings_total") == 1.0
    });
    daemon.restart(|_| ());
    daemon.await_metrics("the set outlives the daemon", |metrics| {
        metrics.sum("earwitness_policy_version") == 2.0
    });
    removed(&data_dir);
    let data_dir = daemon.stop_when_finished();
    let (code, _, why) = policy(&data_dir, &["reload"]);
    assert_eq!((code, why.lines().count()), (Some(1), 1), "{why}");
    assert!(why.contains("is `earwitness run` running"), "{why}");
    let calls = list(&data_dir, "calls");
    let version = calls[0]["decision"]["policy"].as_str().expect("a version");
    assert!(version.starts_with("2-"), "{version}");
    assert_eq!(list(&data_dir, "recordings")[0]["end_reason"], "stopped_by_policy");
}

/// Sets with faults, of a file that is given, and of one that was changed where it lies.
fn refused(data_dir: &Path, folder: &Path) {
    let policies = folder.join("policies");
    let on = policies.join("acme.json");
    let bad =
        r#"{ "tenants": [{ "id": "acme" }, { "id": "b", "call_recording": { "account": 7 } }] }"#;
    let given = folder.join("bad.json").display().to_string();
    std::fs::write(&given, bad).expect("there is room");
    let (code, faults, why) = policy(data_dir, &["apply", &given]);
    assert_eq!((code, why.lines().count()), (Some(2), 1), "{faults}{why}");
    assert!(faults.contains(&format!("{given}: tenants[1].call_recording.account")), "{faults}");
    assert_eq!(names(&policies), ["acme.json"]);
    std::fs::write(&on, bad.replace("\"acme\"", "8")).expect("there is room");
    let (code, faults, why) = policy(data_dir, &["reload"]);
    assert_eq!(code, Some(2), "{faults}{why}");
    let places = ["tenants[0].id", "tenants[1].call_recording.account"];
    let told = |place: &str| faults.contains(&format!("{}: {place}", on.display()));
    assert!(places.into_iter().all(told), "{faults}");
    assert!(why.contains("set 1-"), "{why}");
    std::fs::write(&on, ON).expect("there is room");
    let (code, text, why) = policy(data_dir, &["reload"]);
    assert_eq!(code, Some(0), "{text}{why}");
    assert!(text.starts_with("nothing is otherwise: policies 1-"), "{text}");
}

/// One file in the place of another, and one that is new.
fn applied(data_dir: &Path, folder: &Path) {
    let files = ["acme.json", "b.toml"].map(|name| folder.join(name).display().to_string());
    std::fs::write(&files[0], ON.replace("true", "false")).expect("there is room");
    std::fs::write(&files[1], "[[tenants]]\nid = \"b\"\n").expect("there is room");
    let (code, text, why) = policy(data_dir, &["apply", &files[0], &files[1], "--json"]);
    assert_eq!(code, Some(0), "{text}{why}");
    let answer: Value = serde_json::from_str(&text).expect("a line of JSON");
    assert_eq!(answer["changed"], json!(["tenant acme"]));
    assert_eq!(answer["added"], json!(["tenant b"]));
    assert_eq!(names(&folder.join("policies")), ["acme.json", "b.toml"]);
    assert!(!folder.join(".policies.next").exists());
}

/// One file less; and who did it all.
fn removed(data_dir: &Path) {
    let (code, text, why) = policy(data_dir, &["remove", "b.toml"]);
    assert_eq!((code, text.contains("removed tenant b")), (Some(0), true), "{text}{why}");
    let (code, _, why) = policy(data_dir, &["remove", "b.toml"]);
    assert_eq!((code, why.contains("it has acme.json")), (Some(2), true), "{why}");
    let (_, rows, _) = policy(data_dir, &["history", "--json"]);
    let rows: Vec<Value> =
        rows.lines().map(|row| serde_json::from_str(row).expect("a line of JSON")).collect();
    let by: Vec<&Value> = rows.iter().map(|row| &row["by"]).collect();
    assert_eq!(by, ["start", "apply", "remove"]);
    assert!(rows.iter().all(|row| row["who"] == "root"), "{rows:#?}");
}

/// A call has no recording if the set that stops it came before anybody spoke.
fn is_answered_too_late(call: &Value) {
    let events = call["events"].as_array().expect("a list");
    let stop = events.iter().find(|event| event["detail"].to_string().contains("stop: policy"));
    let stopped_at = stop.and_then(|event| event["at"].as_str());
    let answered_at = call["answered_at"].as_str();
    assert!(stopped_at.is_some() && answered_at >= stopped_at, "no recording: {call:#}");
}

/// What the second set has made of a call's recording.
fn check(call: &Value, recording: &Value) {
    let duration_ms = recording["duration_ms"].as_u64().expect("a number");
    let events = call["events"].to_string();
    match call["tenant"].as_str() {
        Some("changed") => {
            assert!(duration_ms < u64::from(TALK_MS) - 2_000, "{duration_ms} ms: {call:#}");
            assert_eq!(recording["end_reason"], "stopped_by_policy");
            let version = call["decision"]["policy"].as_str().map(|version| &version[..2]);
            assert_eq!(version, Some("2-"));
            assert!(events.contains("account outbound.offnet is off"), "{events}");
        }
        Some("limited") => {
            // One that was longer already ended when the set came into force.
            let is_exceeded = events.contains("longer than the policies in force allow");
            let limit_ms = LIMIT_S * 1_000;
            let most_ms = if is_exceeded { u64::from(TALK_MS) } else { limit_ms + 300 };
            let fits = (limit_ms - 300..=most_ms).contains(&duration_ms);
            assert!(fits, "{duration_ms} ms: {call:#}");
            assert_eq!(recording["end_reason"], "time_limit");
            assert_eq!(recording["format"], "opus");
            assert!(events.contains("recording 1 goes on by policy 2-"), "{events}");
        }
        _ => {
            // A busy machine sends late, and then faster.
            assert!(duration_ms + 1_500 > u64::from(TALK_MS), "{duration_ms} ms: {call:#}");
            assert_eq!(call["gaps"], json!([]));
            assert_eq!(recording["packets"]["lost"], 0);
            assert!(!events.contains("stop:"), "{events}");
        }
    }
}
