//! Legs that were recorded, paused and stopped apart, before anything said that they are one conversation (CALL-5, POL-7,
//! POL-8, CAP-9): what is in the recording, and what is in no file.

use std::ops::Range;

use earwitness_fixtures::call::Frame;
use earwitness_fixtures::ensemble::{Ensemble, Line};
use earwitness_fixtures::sdp::Direction;
use earwitness_fixtures::spec::Party::{Callee, Caller};
use earwitness_fixtures::spec::SCENE_START_NS;
use earwitness_tests::needles::Needles;
use earwitness_tests::program::{Container, Replayed};
use serde_json::{Value, json};

use super::boxes::{hang_up, lines, set_up};
use super::{
    ALICE, BOB, CAROL, LEFT, MS, MUSIC, RIGHT, Sound, both, brief, escaped, joined_by, leg,
    only_call, parties, sip, text, through,
};

const ALLOW: &str = "[control]\nallow = [\"10.9.0.0/24\"]\n";
const SESSION: &str = "ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000";

/// What makes the two legs one.
#[derive(Debug, Clone, Copy)]
enum Later {
    /// A header of an INVITE in the dialog.
    Header,
    /// A 2xx: until then the caller heard the other side only, as early media.
    Answer,
}

/// A command about the session of a leg.
fn word(ensemble: &mut Ensemble, line: &Line, operation: &str, session: &str) {
    let body = format!(r#"{{"operation":"{operation}","session_id":"{session}"}}"#);
    ensemble.message(line, Caller, "application/x-media-control+json", &body);
}

/// Two legs through a box that nobody can tell to be one, and what is said on them for nine seconds.
struct Apart {
    ensemble: Ensemble,
    legs: [Line; 2],
    later: Later,
    begin_ms: u64,
}

const TALK_MS: u64 = 9_000;

impl Apart {
    fn new(later: Later) -> Self {
        let mut ensemble = Ensemble::default();
        let [one, two] = lines(true);
        let mut legs = [one.with("X-Session-Id", "one"), two.with("X-Session-Id", "two")];
        legs[1].uris = ["sip:main@10.9.0.2".to_owned(), "sip:desk@10.9.0.2".to_owned()];
        legs[1].hosts[0] = sip(11);
        match later {
            Later::Header => set_up(&mut ensemble, &mut legs),
            Later::Answer => {
                ensemble.invite(&mut legs[0]);
                legs[1].later.push(("Session-ID", SESSION.to_owned()));
                ensemble.call(&mut legs[1]);
            }
        }
        let begin_ms = ensemble.now_ms();
        let all = begin_ms..begin_ms + TALK_MS;
        for (line, late_ms) in legs.iter().zip([0, 7]) {
            ensemble.say(BOB, (line.media[1], line.media[0]), all.clone(), late_ms);
            if line.call_id == legs[1].call_id || matches!(later, Later::Header) {
                ensemble.say(ALICE, (line.media[0], line.media[1]), all.clone(), late_ms);
            }
        }
        Self { ensemble, legs, later, begin_ms }
    }

    /// Time comes to so many ms of what is said.
    fn until(&mut self, ms: u64) -> &mut Self {
        let now_ms = self.ensemble.now_ms();
        self.ensemble.wait(self.begin_ms + ms - now_ms);
        self
    }

    fn word(&mut self, leg: usize, operation: &str) {
        let session = ["one", "two"][leg];
        word(&mut self.ensemble, &self.legs[leg], operation, session);
    }

    /// It turns out that the legs are one.
    fn join(&mut self) {
        let Self { ensemble, legs, later, .. } = self;
        match later {
            Later::Header => {
                for line in legs {
                    line.later.push(("Session-ID", SESSION.to_owned()));
                    ensemble.reinvite(line, Caller, Direction::SendRecv);
                }
            }
            Later::Answer => {
                legs[0].later.push(("Session-ID", SESSION.to_owned()));
                ensemble.answer(&mut legs[0]);
            }
        }
    }

    /// The rest of it, and what was said between.
    fn play(self, hidden: Range<u64>) -> (Replayed, Needles) {
        self.play_with(hidden, ALLOW)
    }

    fn play_with(mut self, hidden: Range<u64>, config: &str) -> (Replayed, Needles) {
        self.until(TALK_MS);
        hang_up(&mut self.ensemble, &mut self.legs);
        let hidden = self.ms(hidden);
        with_config(self.ensemble, hidden, config)
    }

    fn ms(&self, ms: Range<u64>) -> Range<u64> {
        self.begin_ms + ms.start..self.begin_ms + ms.end
    }
}

/// What the trace says of commands.
fn told<'v>(call: &'v Value, what: &str) -> Vec<&'v str> {
    let events = call["events"].as_array().expect("a list");
    events.iter().filter(|event| event["what"] == what).map(|event| text(event, "detail")).collect()
}

/// POL-8: the id of any leg names the call that the legs have become, as header and as Session-ID; what is said once is
/// done once.
#[test]
fn the_session_of_any_leg_names_the_call() {
    let mut play = Apart::new(Later::Header);
    play.until(1_000).join();
    let half = SESSION.split(';').next().expect("a half").to_uppercase();
    for (ms, operation, session) in [
        (2_000, "pause", "two"),
        (4_000, "resume", "one"),
        (5_000, "pause", &*half),
        (7_000, "resume", "two"),
    ] {
        play.until(ms);
        word(&mut play.ensemble, &play.legs[0], operation, session);
    }
    let spoken = [0..2_000, 4_000..5_000, 7_000..TALK_MS].map(|ms| play.ms(ms));
    let silent = [2_000..4_000, 5_000..7_000].map(|ms| play.ms(ms));
    let (replayed, secret) = play.play(2_030..3_970);
    let call = only_call(&replayed);
    let commands = told(call, "recording");
    let of = |word: &str| commands.iter().filter(|line| line.starts_with(word)).count();
    assert_eq!((of("pause: message"), of("resume: message")), (2, 2), "{commands:?}");
    assert_eq!(told(call, "control"), [""; 0]);
    let sound = Sound::of(&replayed, call);
    both_speak(&sound, spoken);
    both_are_silent(&sound, silent);
    is_in_no_file(&secret, &replayed);
}

/// POL-8: who answers behind a box is a party of the call, by the name that only that leg has: a code that it dials is for
/// the call, and its word is the callee's.
#[test]
fn an_agent_behind_a_box_dials_a_code() {
    for (from, is_obeyed) in [("callee", true), ("caller", false)] {
        let mut play = Apart::new(Later::Header);
        play.until(1_000).join();
        for (ms, name, code) in [(3_000, "code-1", "*48"), (5_000, "code-2", "*49")] {
            play.until(ms);
            let mut line = leg(name, ["desk", code], [2, 10], [5_010, 6_010]);
            play.ensemble.invite(&mut line);
        }
        let paused = [play.ms(3_000..5_000)];
        let config = format!("{ALLOW}from = \"{from}\"\n");
        let (replayed, secret) = play.play_with(3_030..4_970, &config);
        if is_obeyed {
            let call = only_call(&replayed);
            both_are_silent(&Sound::of(&replayed, call), paused);
            is_in_no_file(&secret, &replayed);
        } else {
            // A code that is not obeyed is a call, and that of the other side says why.
            let call =
                replayed.calls.iter().find(|call| text(call, "call_id").starts_with("to-box"));
            let call = call.expect("the call has a row");
            let refused = told(call, "control");
            assert!(
                refused[0].contains("dialled") && refused[0].contains("control.from"),
                "{refused:?}"
            );
            assert_eq!(told(call, "recording"), ["both legs' recordings are one"]);
            assert!(replayed.calls.len() > 1);
        }
    }
}

/// POL-8: a session of several calls: what is asked for is done to all of them, and each says so.
#[test]
fn a_session_of_several_calls() {
    let mut ensemble = Ensemble::default();
    let phones = |name: &str, users: [&str; 2], hosts: [u8; 2]| {
        leg(name, users, hosts, [4000; 2]).with("X-Session-Id", "shared")
    };
    let mut lines =
        [phones("first", ["alice", "bob"], [1, 2]), phones("second", ["carol", "dave"], [3, 4])];
    lines.iter_mut().for_each(|line| ensemble.call(line));
    let begin_ms = ensemble.now_ms();
    for (line, voices) in lines.iter().zip([[ALICE, BOB], [CAROL, MUSIC]]) {
        ensemble.talk(line, voices, 5_000, 0);
    }
    ensemble.wait(2_000);
    word(&mut ensemble, &lines[0], "pause", "shared");
    ensemble.wait(2_000);
    word(&mut ensemble, &lines[0], "resume", "shared");
    ensemble.wait(1_000);
    lines.iter_mut().for_each(|line| ensemble.hang_up(line, Caller));
    let config = format!("[calls]\ncorrelate_headers = []\n{ALLOW}");
    let replayed = super::replay(ensemble, Some(&config));
    assert_eq!((replayed.calls.len(), replayed.recordings.len()), (2, 2));
    for call in &replayed.calls {
        let commands = told(call, "control");
        let of_both =
            |word: &str| format!("{word}: 2 calls have this session id: it is for all of them");
        assert_eq!(commands, [of_both("pause"), of_both("resume")], "{}", brief(call));
        let sound = Sound::of(&replayed, call);
        for side in [LEFT, RIGHT] {
            sound.is_silent(side, begin_ms + 2_060..begin_ms + 3_940);
        }
    }
}

fn replayed(ensemble: Ensemble, hidden_ms: Range<u64>) -> (Replayed, Needles) {
    with_config(ensemble, hidden_ms, ALLOW)
}

fn with_config(ensemble: Ensemble, hidden_ms: Range<u64>, config: &str) -> (Replayed, Needles) {
    let frames = ensemble.frames();
    let hidden = SCENE_START_NS + hidden_ms.start * MS..SCENE_START_NS + hidden_ms.end * MS;
    let is_hidden = |frame: &&Frame| hidden.contains(&frame.ts_ns);
    let secret = Needles::of_frames(frames.iter().filter(is_hidden).cloned());
    (Replayed::of(frames.into_iter(), Container::default(), Some(config)), secret)
}

#[track_caller]
fn both_speak<const N: usize>(sound: &Sound, stretches: [Range<u64>; N]) {
    for stretch in stretches {
        sound.has(LEFT, ALICE, stretch.clone());
        sound.has(RIGHT, BOB, stretch);
    }
}

#[track_caller]
fn both_are_silent<const N: usize>(sound: &Sound, stretches: [Range<u64>; N]) {
    for stretch in stretches {
        sound.is_silent(LEFT, stretch.start + 60..stretch.end - 60);
        sound.is_silent(RIGHT, stretch.start + 60..stretch.end - 60);
    }
}

#[track_caller]
fn is_in_no_file(secret: &Needles, replayed: &Replayed) {
    assert!(secret.count() > 50, "{}", secret.count());
    for (path, found) in secret.found_below(&replayed.data_dir()) {
        assert_eq!(found, 0, "{} has {found} pieces of the secret", path.display());
    }
}

/// POL-8, CAP-9: one leg was paused and resumed before it was known that the other says the same: it is silent there,
/// and what was written of the other is destroyed.
#[test]
fn paused_on_one_leg() {
    for later in [Later::Header, Later::Answer] {
        let mut play = Apart::new(later);
        play.until(2_000).word(1, "pause");
        play.until(4_000).word(1, "resume");
        play.until(6_000).join();
        let [before, paused, after] =
            [0..2_000, 2_000..4_000, 4_000..TALK_MS].map(|ms| play.ms(ms));
        let (replayed, secret) = play.play(2_030..3_970);
        let call = only_call(&replayed);
        assert_eq!(joined_by(call), ["-", "session_id"], "{later:?} {}", brief(call));
        let sound = Sound::of(&replayed, call);
        both_speak(&sound, [before, after]);
        both_are_silent(&sound, [paused]);
        let hidden = replayed.recordings[0]["hidden"].as_array().expect("a list");
        assert_eq!(hidden.len(), 1, "{hidden:?}");
        is_in_no_file(&secret, &replayed);
    }
}

/// POL-8: each leg was paused in its time, the second still is when they become one: one word ends it.
#[test]
fn paused_on_both_legs() {
    let mut play = Apart::new(Later::Header);
    play.until(1_000).word(0, "pause");
    play.until(2_500).word(0, "resume");
    play.until(3_000).word(1, "pause");
    play.until(5_000).join();
    play.until(6_500).word(0, "resume");
    let spoken = [0..1_000, 2_500..3_000, 6_500..TALK_MS].map(|ms| play.ms(ms));
    let silent = [1_000..2_500, 3_000..6_500].map(|ms| play.ms(ms));
    let (replayed, secret) = play.play(3_030..6_470);
    let call = only_call(&replayed);
    let sound = Sound::of(&replayed, call);
    both_speak(&sound, spoken);
    both_are_silent(&sound, silent);
    is_in_no_file(&secret, &replayed);
}

/// POL-7: one leg was stopped and begun again while the other was recorded: the conversation is one recording, in which
/// nothing is missing and nothing is twice.
#[test]
fn stopped_and_begun_on_one_leg() {
    for leg in [0, 1] {
        let mut play = Apart::new(Later::Header);
        play.until(2_000).word(leg, "stop");
        play.until(4_000).word(leg, "start");
        play.until(6_000).join();
        // The box is late by some milliseconds: each stretch is of one leg.
        let all = [0..2_000, 2_000..4_000, 4_000..TALK_MS].map(|ms| play.ms(ms));
        let (replayed, _) = play.play(0..1);
        let call = only_call(&replayed);
        let sound = Sound::of(&replayed, call);
        both_speak(&sound, all);
        assert!((8_900..9_100).contains(&sound.wav.duration_ms()), "{}", brief(call));
        assert_eq!(replayed.recordings[0]["take"]["number"], 1);
    }
}

/// POL-7: who stopped one leg has stopped the conversation, from when it is known to be one; what the other leg has until
/// then stays.
#[test]
fn stopped_on_one_leg() {
    for leg in [0, 1] {
        let mut play = Apart::new(Later::Header);
        play.until(1_000).word(leg, "stop");
        play.until(5_000).join();
        let kept = [0..1_000, 1_000..5_000].map(|ms| play.ms(ms));
        let (replayed, secret) = play.play(5_060..TALK_MS);
        let call = only_call(&replayed);
        let sound = Sound::of(&replayed, call);
        both_speak(&sound, kept);
        let length_ms = sound.wav.duration_ms();
        assert!((4_950..5_060).contains(&length_ms), "{length_ms} ms\n{}", brief(call));
        assert_eq!(text(&replayed.recordings[0], "end_reason"), "stopped_by_message");
        is_in_no_file(&secret, &replayed);
    }
}

/// POL-1: a rule wanted one leg and none the other: the conversation is recorded as the rules want that of who speaks, from
/// the beginning of the leg that was recorded.
#[test]
fn recorded_on_one_leg_by_a_rule() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("policy.json");
    // `to-box` is the first call, and goes on; `desk` is whom only the second one names.
    for (user, leg) in [("desk", 1), ("4930111", 0)] {
        let host = if leg == 1 { 2 } else { 10 };
        let user = json!({ "id": user, "identities": [format!("{user}@10.9.0.{host}")],
            "record_audio_calls": "on" });
        let policy = json!({ "tenants": [{ "id": "acme", "users": [user] }] });
        std::fs::write(&file, policy.to_string()).expect("the test's folder can be written");
        let config = format!("[recording]\ndefault = \"none\"\n[policy]\nfiles = [{file:?}]\n");
        let mut play = Apart::new(Later::Header);
        play.until(5_000).join();
        let all = [0..5_000, 5_000..TALK_MS].map(|ms| play.ms(ms));
        let (replayed, _) = play.play_with(0..1, &config);
        let call = only_call(&replayed);
        assert_eq!(parties(call), [("4930111", "desk")], "{}", brief(call));
        let sound = Sound::of(&replayed, call);
        both_speak(&sound, all);
    }
}

/// CALL-5: an attended transfer inside a box joins two conversations that were recorded by themselves: the consultation
/// stays recorded, but where it was paused.
#[test]
fn a_consultation_that_was_paused() {
    let mut ensemble = Ensemble::default();
    let mut alice = leg("alice-box", ["alice", "bob"], [1, 10], [4000, 6000]);
    let mut bob = leg("box-bob", ["alice", "bob"], [10, 2], [6002, 4000]);
    let mut asks =
        leg("bob-box", ["bob", "carol"], [2, 10], [4002, 6004]).with("X-Session-Id", "asks");
    let mut carol = leg("box-carol", ["bob", "carol"], [10, 3], [6006, 4000]);
    through(&mut ensemble, &mut alice, &mut bob);
    let before = both(&mut ensemble, [&alice, &bob], [ALICE, BOB], 1_500);
    ensemble.wait(1_500);
    ensemble.reinvite(&mut bob, Callee, Direction::SendOnly);
    let held = ensemble.now_ms()..ensemble.now_ms() + 5_000;
    ensemble.say(MUSIC, (alice.media[1], alice.media[0]), held, 0);
    through(&mut ensemble, &mut asks, &mut carol);
    let asked = both(&mut ensemble, [&asks, &carol], [BOB, CAROL], 4_500);
    ensemble.wait(1_000);
    word(&mut ensemble, &asks, "pause", "asks");
    let paused = ensemble.now_ms()..ensemble.now_ms() + 2_000;
    ensemble.wait(2_000);
    word(&mut ensemble, &asks, "resume", "asks");
    let resumed = ensemble.now_ms()..asked.end;
    ensemble.wait(1_500);
    let escaped = escaped(&asks.replaces(Callee));
    ensemble.refer(&mut bob, Callee, &format!("sip:carol@10.9.0.10?Replaces={escaped}"), 202);
    ensemble.notify(&mut bob, Caller, 200);
    ensemble.hang_up(&mut bob, Callee);
    ensemble.hang_up(&mut asks, Callee);
    let after = both(&mut ensemble, [&alice, &carol], [ALICE, CAROL], 1_500);
    ensemble.wait(1_540);
    ensemble.hang_up(&mut carol, Callee);
    ensemble.hang_up(&mut alice, Callee);
    let (replayed, secret) = replayed(ensemble, paused.start + 30..paused.end - 30);
    let call = only_call(&replayed);
    let sound = Sound::of(&replayed, call);
    for (stretch, left, right) in [
        (before, ALICE, BOB),
        (asked.start..paused.start, CAROL, BOB),
        (resumed, CAROL, BOB),
        (after, ALICE, CAROL),
    ] {
        sound.has(LEFT, left, stretch.start + 40..stretch.end - 40);
        sound.has(RIGHT, right, stretch.start + 40..stretch.end - 40);
    }
    both_are_silent(&sound, [paused]);
    is_in_no_file(&secret, &replayed);
}
