//! Recordings of real phones that are paused, resumed, stopped and begun again while they talk, by every way there is; and
//! commands that are refused.

mod recorded;
mod secrets;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use earwitness_fixtures::codec::mu_law;
use earwitness_fixtures::live::{Pace, Sender};
use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::{CallSpec, Party};
use earwitness_fixtures::truth::Truth;
use earwitness_tests::check::Wav;
use earwitness_tests::needles::Needles;
use earwitness_tests::program::run;
use serde_json::Value;
use tempfile::TempDir;

use crate::daemon::{Daemon, Metrics, PATIENCE, list};
use crate::script::play;
use crate::space::Space;
use crate::wire::{Spoken, Wire, releases};
use recorded::{Recorded, SAMPLE_US, Side};
use secrets::{Sent, pieces};

/// How far a silence may be from where it was asked for.
const APART_US: i64 = 20_000;
const APART_MS: i64 = APART_US / 1_000;
const PER_MS: i64 = 8;

const ALICE: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 1);
const BOB: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 2);
const CAROL: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 3);
const DAVE: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 4);

/// Where in alice.wav the last keys of `*48` and `*49` are released, in samples.
const TONES_END: [i64; 2] = [3_200 * PER_MS, 8_200 * PER_MS];
/// Where in it she talks, before: of this every piece is unique.
const TALK: std::ops::Range<usize> = 8_000..8_160;

/// What the script played, and what Earwitness made of it.
struct Played {
    folder: TempDir,
    wire: Wire,
    calls: Vec<Value>,
    recordings: Vec<Value>,
    log: String,
}

/// When something was asked for: between these two times, in µs; on the wire they are the same.
type Asked = (i64, i64);

/// A pause: by which means, when it was asked for, and when it was asked to end.
struct Pause {
    by: &'static str,
    begin: Asked,
    end: Asked,
}

impl Played {
    fn by_script() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        play("control.sh", &[folder.path().to_str().expect("a path that can be written down")]);
        let data_dir = folder.path().join("data");
        let log = std::fs::read_to_string(folder.path().join("log")).expect("the daemon's log");
        let wire = Wire::read(&folder.path().join("wire.pcap"));
        let (calls, recordings) = (list(&data_dir, "calls"), list(&data_dir, "recordings"));
        Self { wire, calls, recordings, log, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data_dir(&self) -> PathBuf {
        self.file("data")
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).expect("the script left it")
    }

    fn call(&self, caller: &str) -> &Value {
        let its =
            |call: &&Value| call["from"].as_str().is_some_and(|from| from.starts_with(caller));
        self.calls.iter().find(its).expect("there is such a call")
    }

    /// Details of a call's events of a kind.
    fn trace(&self, caller: &str, what: &str) -> Vec<&str> {
        let events = self.call(caller)["events"].as_array().expect("a list");
        let of = events.iter().filter(|event| event["what"] == what);
        of.filter_map(|event| event["detail"].as_str()).collect()
    }

    /// A caller's recordings, in order of time.
    fn recorded(&self, caller: &str) -> Vec<Recorded> {
        let its = |row: &&Value| row["from"].as_str().is_some_and(|from| from.starts_with(caller));
        let rows = self.recordings.iter().filter(its);
        let mut found: Vec<_> = rows.map(|row| Recorded::read(row, &self.data_dir())).collect();
        found.sort_by_key(|recorded| recorded.began_us);
        found
    }

    /// What the command line was told: operations, and between which times.
    fn moments(&self) -> Vec<Asked> {
        let us = |ns: &str| ns.parse::<i64>().expect("a number") / 1_000;
        let text = self.text("moments");
        let moment = |line: &str| {
            let mut fields = line.split(' ').skip(1).map(us);
            (fields.next().expect("a begin"), fields.next().expect("an end"))
        };
        text.lines().map(moment).collect()
    }

    /// When requests of a host came in whose text has `part`.
    fn requests(&self, host: Ipv4Addr, method: &str, part: &str) -> Vec<Asked> {
        let requests = self.wire.requests(host, method).into_iter();
        let its = requests.filter(|(_, text)| text.contains(part));
        its.map(|(at_us, _)| (at_us, at_us)).collect()
    }

    fn pauses_of_alice(&self) -> Vec<Pause> {
        let tones = TONES_END.map(|sample| {
            let at_us = spoken_at(&self.wire.voice(ALICE), &self.file("alice.wav"), sample);
            (at_us, at_us)
        });
        let keys = releases(&self.wire.pressed(ALICE));
        assert_eq!(keys.len(), 6, "two codes of three keys");
        let moments = self.moments();
        let messages = ["pause", "resume"]
            .map(|word| self.requests(ALICE, "MESSAGE", &format!(":\"{word}\""))[0]);
        vec![
            Pause { by: "tone", begin: tones[0], end: tones[1] },
            Pause { by: "rtp_event", begin: (keys[2], keys[2]), end: (keys[5], keys[5]) },
            Pause { by: "socket", begin: moments[0], end: moments[1] },
            Pause { by: "dialog_message", begin: messages[0], end: messages[1] },
        ]
    }

    fn pauses_of_carol(&self) -> Vec<Pause> {
        let messages = ["pause", "resume"]
            .map(|word| self.requests(CAROL, "MESSAGE", &format!(":\"{word}\""))[0]);
        let keys = self.requests(CAROL, "INFO", "");
        assert_eq!(keys.len(), 6, "two codes of three keys");
        let dialled = ["INVITE sip:*48@", "INVITE sip:%2A49@"]
            .map(|start| self.requests(CAROL, "INVITE", start)[0]);
        vec![
            Pause { by: "message", begin: messages[0], end: messages[1] },
            Pause { by: "info", begin: keys[2], end: keys[5] },
            Pause { by: "dialled", begin: dialled[0], end: dialled[1] },
        ]
    }
}

/// When a sample of a microphone's file was heard on the wire.
fn spoken_at(voice: &[Spoken], file: &Path, sample: i64) -> i64 {
    let spoken = Wav::read(file).expect("what was spoken");
    let talk: Vec<u8> = spoken.channels[0][TALK].iter().map(|sample| mu_law(*sample)).collect();
    let sent: Vec<u8> = voice.iter().flat_map(|packet| packet.encoded.iter().copied()).collect();
    let place = sent.windows(talk.len()).position(|piece| piece == talk);
    let timestamp = sample + place.expect("the phone sends the file") as i64 - TALK.start as i64;
    let before = voice.iter().rev().find(|packet| packet.timestamp <= timestamp);
    let before = before.expect("it was spoken");
    before.at_us + (timestamp - before.timestamp) * SAMPLE_US
}

/// POL-7, POL-8, CAP-9: real phones pause for five seconds by each of the seven ways. The recording has silence of that
/// length there, all else is in it to the sample, and of what was said meanwhile no encoded byte is in any file or log.
/// What may not be obeyed is refused, counted and told, and changes nothing. What is stopped and begun again is two whole
/// recordings.
#[test]
fn phones_pause_by_each_of_the_seven_ways() {
    let played = Played::by_script();
    assert_eq!((played.calls.len(), played.recordings.len()), (2, 3), "{:#?}", played.calls);
    let (alice, carol) = (played.recorded("alice"), played.recorded("carol"));
    let sides = |recorded, hosts: [Ipv4Addr; 2]| {
        Party::BOTH
            .map(|party| Recorded::side(recorded, party, played.wire.voice(hosts[party.index()])))
    };
    let talks = [
        (&alice[0], [ALICE, BOB], played.pauses_of_alice()),
        (&carol[0], [CAROL, DAVE], played.pauses_of_carol()),
        (&alice[1], [ALICE, BOB], Vec::new()),
    ];
    for (recorded, hosts, pauses) in &talks {
        let sides = sides(recorded, *hosts);
        check_pauses(recorded, &sides, pauses);
        sides.iter().for_each(Side::check_sound);
    }
    check_traces(&played);
    check_refusals(&played);
    let sent = Sent::of(&played, [(&alice, [ALICE, BOB]), (&carol, [CAROL, DAVE])]);
    sent.check_files(&played);
    sent.check_memory(&played);
}

/// Pauses are where they were asked for, and silence of their length.
fn check_pauses(recorded: &Recorded, sides: &[Side<'_>; 2], pauses: &[Pause]) {
    let spans = recorded.pauses();
    assert_eq!(spans.len(), pauses.len(), "{:?}", recorded.hidden);
    for (span, pause) in spans.iter().zip(pauses) {
        let Pause { by, begin, end } = pause;
        assert!(span.begun_by.starts_with(by), "{span:?} is not by {by}");
        let is_near = |at_us: i64, asked: &Asked, more_us: i64| {
            (asked.0 - APART_US - more_us..=asked.1 + APART_US + more_us).contains(&at_us)
        };
        assert!(is_near(span.from_us, begin, 0), "{by}: {span:?}, asked for at {begin:?}");
        assert!(is_near(span.until_us, end, 0), "{by}: {span:?}, to end at {end:?}");
        assert!(span.until_us - span.from_us > 4_950_000, "{by}: {span:?}");
        // A caller's keys are silent on that side, with what is around them.
        let first = usize::from(matches!(*by, "tone" | "rtp_event"));
        for side in &sides[first..] {
            let (from_us, until_us) = side.silence_around(span);
            let late_us = side.late_us(span);
            assert!(is_near(from_us, begin, late_us), "{by}: silent from {from_us} on, {span:?}");
            assert!(is_near(until_us, end, late_us), "{by}: silent until {until_us}, {span:?}");
        }
    }
}

/// What was done is in the call's trace and in the log; keys are told nowhere.
fn check_traces(played: &Played) {
    let by_alice = ["tone", "rtp_event", "socket", "dialog_message"];
    let by_carol = ["message", "info", "dialled"];
    for (caller, ways) in [("alice", &by_alice[..]), ("carol", &by_carol[..])] {
        let trace = played.trace(caller, "recording");
        for by in ways {
            for operation in ["pause", "resume"] {
                let line = format!("{operation}: {by}, ");
                assert!(trace.iter().any(|told| told.starts_with(&line)), "no {line} in {trace:?}");
                let line = format!("operation=\"{operation}\" by=\"{by}\" result=\"done\"");
                assert_eq!(played.log.matches(&line).count(), 1, "{line}: {}", played.log);
            }
        }
    }
    let trace = played.trace("alice", "recording");
    for line in ["stop: dialog_message, ", "start: dialog_message, "] {
        assert!(trace.iter().any(|told| told.starts_with(line)), "no {line} in {trace:?}");
    }
    assert_eq!(played.call("carol")["dtmf"], serde_json::json!([]));
    // Keys that were refused are keys like others.
    let keys = played.call("alice")["dtmf"].as_array().expect("a list");
    let by_callee = keys.iter().filter(|key| key["side"] == "callee").count();
    assert_eq!((by_callee, keys.len()), (3, 3), "{keys:?}");
    assert!(!played.log.contains("*48") && !played.log.contains("*49"), "{}", played.log);
}

/// Each refusal is in the log, in the metrics, and in the call's trace where there is one. That it changed nothing, the
/// sound of the recordings shows.
fn check_refusals(played: &Played) {
    let refused = [
        ("message", "not_allowed", "the peer is not in control.allow", Some("carol")),
        ("message", "unknown_session", "no call has this session id", None),
        ("dialog_message", "malformed", "the command cannot be read", Some("carol")),
        (
            "rtp_event",
            "wrong_side",
            "the other party may not do this (control.from)",
            Some("alice"),
        ),
    ];
    let metrics = Metrics::of_answer(&played.text("metrics"));
    let counted: Vec<(&str, f64)> = metrics.series("earwitness_control_refused_total").collect();
    assert_eq!(counted.len(), refused.len(), "{counted:?}");
    for (by, label, why, caller) in refused {
        let series = format!("{{by=\"{by}\",reason=\"{label}\"}}");
        assert!(counted.contains(&(&series, 1.0)), "no {series} in {counted:?}");
        let line = format!("by=\"{by}\" result=\"refused\" reason=\"{why}\"");
        assert_eq!(played.log.matches(&line).count(), 1, "{line}: {}", played.log);
        let Some(caller) = caller else { continue };
        let told = played.trace(caller, "control");
        let is_it = |line: &&str| line.contains(&format!(": {by}, ")) && line.ends_with(why);
        assert_eq!(told.into_iter().filter(is_it).count(), 1, "{why}");
    }
    let all = ["alice", "carol"].map(|caller| played.trace(caller, "control").len());
    assert_eq!(all, [1, 2], "nothing else was refused");
    let results = |label: &str| {
        let series = metrics.series("earwitness_control_commands_total");
        series.filter(|(labels, _)| labels.contains(label)).map(|(_, value)| value).sum::<f64>()
    };
    assert_eq!(results("result=\"refused\""), 4.0);
    assert_eq!(results("result=\"done\""), 16.0);
}

/// Pauses of a recording, in ms from its begin.
fn pauses(recording: &Recorded) -> Vec<(i64, i64)> {
    let ms = |at_us: i64| (at_us - recording.began_us) / 1_000;
    recording.pauses().iter().map(|span| (ms(span.from_us), ms(span.until_us))).collect()
}

/// Every eight bytes in a row of what a phone sent between two moments, wherever its packets began.
fn encoded(spoken: &[i16]) -> Needles {
    let bytes: Vec<u8> = spoken.iter().map(|sample| mu_law(*sample)).collect();
    pieces(std::iter::once(&bytes[..]))
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
    let recorded = Recorded::read(&recordings[0], &data_dir);
    let [(from, until)] = pauses(&recorded)[..] else { panic!("{recordings:#?}") };
    assert!(until - from > 300, "{from} to {until} ms");
    for channel in &recorded.wav.channels {
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
