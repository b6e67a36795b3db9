//! A call of two real phones whose recording is paused, resumed, stopped and begun again while they talk.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use earwitness_fixtures::codec::mu_law;
use earwitness_fixtures::live::{Pace, Sender};
use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::{CallSpec, Party};
use earwitness_fixtures::truth::Truth;
use earwitness_tests::check::{Wav, milliseconds, nearest};
use earwitness_tests::needles::Needles;
use earwitness_tests::program::{binary, run};
use serde_json::Value;

use crate::daemon::{Daemon, PATIENCE, list};
use crate::space::Space;

/// How far a silence may be from where it was asked for.
const APART_MS: i64 = 20;
const PER_MS: i64 = 8;

/// POL-7, POL-8, CAP-9: pauses by feature code and by the command line are silence of their length, of what was said in
/// them no encoded byte is in any file, and what was stopped and begun again by SIP MESSAGE is two whole recordings.
#[test]
fn phones_pause_stop_and_go_on() {
    let folder = tempfile::tempdir().expect("there is room");
    let programs = binary().parent().map(Path::to_owned).expect("a program lies in a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("system/control.sh");
    let output = Command::new(script)
        .arg(folder.path())
        .env("EARWITNESS_BIN_DIR", programs)
        .output()
        .expect("the script can be started");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("clean"), "{out}\n{err}");

    let data_dir = folder.path().join("data");
    let (calls, recordings) = (list(&data_dir, "calls"), list(&data_dir, "recordings"));
    assert_eq!((calls.len(), recordings.len()), (1, 2), "{calls:#?}");
    let events = calls[0]["events"].as_array().expect("a list");
    let told = |what: &str, by: &str| {
        let line = format!("{what}: {by}");
        let is_it = |event: &&Value| {
            event["what"] == "recording"
                && event["detail"].as_str().is_some_and(|detail| detail.starts_with(&line))
        };
        assert!(events.iter().any(|event| is_it(&event)), "no {line} in {events:#?}");
    };
    for (what, by) in [
        ("pause", "rtp_event"),
        ("resume", "rtp_event"),
        ("pause", "socket"),
        ("resume", "socket"),
        ("stop", "dialog_message"),
        ("start", "dialog_message"),
    ] {
        told(what, by);
    }
    assert_eq!(calls[0]["dtmf"], serde_json::json!([]), "keys of a code are told nowhere");
    for recording in &recordings {
        let length_ms = recording["duration_ms"].as_i64().expect("a number");
        assert!(length_ms > 1_500, "{recording:#}");
        assert_eq!(recording["packets"]["lost"], 0, "{recording:#}");
    }
    let log = std::fs::read_to_string(folder.path().join("log")).expect("the daemon's log");
    assert!(!log.contains("*48") && log.matches("control").count() >= 6, "{log}");
    check_silences(&data_dir, &recordings[0]);
    check_secrets(folder.path(), &data_dir, &recordings[0]);
}

/// Pauses of a recording, in ms from its begin.
fn pauses(recording: &Value) -> Vec<(i64, i64)> {
    let time = |at: &Value| milliseconds(at.as_str().expect("a text")).expect("a time");
    let began_ms = time(&recording["started_at"]);
    let hidden = recording["hidden"].as_array().expect("a list");
    let of = hidden.iter().filter(|span| span["what"] == "pause");
    let ms = |at: &Value| time(at) - began_ms;
    of.map(|span| (ms(&span["from"]), ms(&span["until"]))).collect()
}

fn check_silences(data_dir: &Path, recording: &Value) {
    let wav = Wav::read(&data_dir.join(recording["path"].as_str().expect("a path")))
        .expect("a recording");
    let pauses = pauses(recording);
    assert_eq!(pauses.len(), 2, "{recording:#}");
    for (from, until) in pauses {
        assert!(until - from >= 5_000, "{from} to {until} ms");
        // The caller's keys are hidden with what is around them; a code that ends a pause is pressed in it.
        for (channel, heard_within_ms) in wav.channels.iter().zip([400, 2 * APART_MS]) {
            let part = |from: i64, until: i64| {
                &channel[(from * PER_MS) as usize..(until * PER_MS) as usize]
            };
            let inside = part(from + APART_MS, until - APART_MS);
            assert!(inside.iter().all(|sample| *sample == 0), "heard between {from} and {until}");
            let is_heard = |part: &[i16]| part.iter().any(|sample| *sample != 0);
            assert!(is_heard(part(until, until + heard_within_ms)), "silent after {until} ms");
        }
        // The keys before it are hidden on the caller's side only.
        let before = (from - APART_MS * 2) * PER_MS;
        let callee = &wav.channels[1][before as usize..(from * PER_MS) as usize];
        assert!(callee.iter().any(|sample| *sample != 0), "silent before {from} ms");
    }
}

/// Every eight bytes in a row of what a phone sent between two moments, wherever its packets began.
fn encoded(spoken: &[i16]) -> Needles {
    let bytes: Vec<u8> = spoken.iter().map(|sample| mu_law(*sample)).collect();
    Needles::of_pieces(bytes.windows(8).map(|piece| piece.try_into().expect("eight bytes")))
}

fn check_secrets(folder: &Path, data_dir: &Path, recording: &Value) {
    let wav = Wav::read(&data_dir.join(recording["path"].as_str().expect("a path")))
        .expect("a recording");
    for (channel, name) in wav.channels.iter().zip(["alice", "bob"]) {
        let spoken = Wav::read(&folder.join(format!("{name}.wav"))).expect("what was spoken");
        let spoken = &spoken.channels[0];
        // Where in what was spoken the recording begins.
        let piece_at = (PER_MS * 500) as usize;
        let piece = &channel[piece_at..piece_at + 1_600];
        let (begin, alike) = nearest(spoken, piece, piece_at as i64, 8_000);
        assert!(alike > 0.9, "{name} is not heard in the recording: {alike}");
        let said = |from: i64, until: i64| {
            let place = |ms: i64| (begin + ms * PER_MS) as usize;
            encoded(&spoken[place(from)..place(until).min(spoken.len())])
        };
        let open: usize = said(300, 1_000).found_below(data_dir).iter().map(|file| file.1).sum();
        assert!(open > 1_000, "{name}: the search does not find what is there: {open}");
        for (from, until) in pauses(recording) {
            let secret = said(from + 100, until - 100);
            assert!(secret.count() > 10_000, "{}", secret.count());
            for (path, found) in secret.found_below(data_dir) {
                assert_eq!(found, 0, "{name}: {} has {found} pieces", path.display());
            }
        }
    }
}

/// POL-8, idea 1: a pause from the command line is in the log; a daemon that is killed and starts again goes on in it.
#[test]
fn a_pause_outlives_the_daemon() {
    let folder = tempfile::tempdir().expect("there is room");
    let mut daemon = Daemon::start(Space::new("p"), folder.path(), "");
    let spec = CallSpec { talk_ms: 6_000, ..CallSpec::new(5) };
    let frames: Vec<_> = Scene::new(vec![spec.clone()]).frames().collect();
    let truth = Truth::of(&spec);
    let sender = daemon.space.sending(move || {
        let sender = Sender::open("span").expect("the span port is there");
        sender.play(frames, Pace::Times(1.0)).expect("frames can be sent")
    });
    let data_dir = daemon.data_dir.clone();
    let order = |operation: &str, expected: &str| {
        let folder = data_dir.display().to_string();
        let began = Instant::now();
        loop {
            let output = run(&["call", operation, &truth.call_id, "--data-dir", &folder]);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.success() {
                assert!(said.contains(expected), "{operation}: {said}");
                return;
            }
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(began.elapsed() < PATIENCE, "{error}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    daemon.await_metrics("the call's media is read", |metrics| {
        metrics.sum("earwitness_media_packets_total") > 60.0
    });
    order("pause", "done");
    daemon.kill_control_plane();
    // The next one knows it from the log.
    order("pause", "already paused");
    daemon.await_metrics("more comes", |metrics| {
        metrics.sum("earwitness_media_packets_total") > 250.0
    });
    order("resume", "done");
    sender.join().expect("all was sent");
    let data_dir = daemon.stop_when_finished();
    let recordings = list(&data_dir, "recordings");
    assert_eq!(recordings.len(), 1, "{recordings:#?}");
    let [(from, until)] = pauses(&recordings[0])[..] else { panic!("{recordings:#?}") };
    assert!(until - from > 300, "{from} to {until} ms");
    let wav = Wav::read(&data_dir.join(recordings[0]["path"].as_str().expect("a path")))
        .expect("a recording");
    for channel in &wav.channels {
        let inside = (from + APART_MS) * PER_MS..(until - APART_MS) * PER_MS;
        let inside = &channel[inside.start as usize..inside.end as usize];
        assert!(inside.iter().all(|sample| *sample == 0), "heard between {from} and {until} ms");
    }
    // What was said a second before it is there, and nothing of what was said in it.
    let spoken = truth.side(Party::Callee).pcm();
    let said = |from: i64, until: i64| {
        encoded(&spoken[(from * PER_MS) as usize..(until * PER_MS) as usize])
    };
    let open: usize = said(0, from - 200).found_below(&data_dir).iter().map(|file| file.1).sum();
    assert!(open > 1_000, "the search does not find what is there: {open}");
    for (path, found) in said(from + 200, until - 200).found_below(&data_dir) {
        assert_eq!(found, 0, "{} has {found} pieces", path.display());
    }
}
