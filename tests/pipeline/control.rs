//! Recordings that are paused, masked, stopped and begun again while the call runs, by every way in which a phone system
//! says so (POL-7, POL-8, POL-12, CAP-9): what is in the files, and what is in none.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;

use earwitness_fixtures::address::ends;
use earwitness_fixtures::call::Frame;
use earwitness_fixtures::codec::mu_law;
use earwitness_fixtures::encapsulation::Encapsulation;
use earwitness_fixtures::ip::{self, Shape};
use earwitness_fixtures::rtp::{TELEPHONE_EVENT, event, event_code};
use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::{CallSpec, Party};
use earwitness_fixtures::truth::Truth;
use earwitness_tests::check::Wav;
use earwitness_tests::needles::Needles;
use earwitness_tests::program::{Container, Replayed, run};
use serde_json::Value;

const MS: u64 = 1_000_000;
const TALK_MS: u32 = 12_000;
/// Ethernet, IPv4, UDP.
const PAYLOAD_AT: usize = 14 + 20 + 8;
const RTP_BYTES: usize = 12;
const KEY_PACKETS: usize = 5;
const GAP_PACKETS: usize = 4;
const SESSION: &str = "8867-session-1";

/// A call of twelve seconds, to which commands are added.
struct Play {
    spec: CallSpec,
    truth: Truth,
    frames: Vec<Frame>,
    /// The caller's first packet.
    begin_ns: u64,
    count: u32,
}

impl Play {
    fn new() -> Self {
        let spec = CallSpec { talk_ms: TALK_MS, ..CallSpec::new(0) };
        let truth = Truth::of(&spec);
        let begin_ns = truth.side(Party::Caller).first_ns;
        let frames = Scene::new(vec![spec.clone()]).frames().collect();
        let mut play = Self { spec, truth, frames, begin_ns, count: 0 };
        play.add_session_id();
        play
    }

    fn at(&self, ms: u64) -> u64 {
        self.begin_ns + ms * MS
    }

    fn signalling(&self, party: Party) -> SocketAddr {
        ends(&self.spec)[party.index()].signalling
    }

    fn frame(&mut self, at_ns: u64, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Frame {
        self.count += 1;
        let packets = ip::udp(from, to, payload, Shape::Plain, 7);
        assert_eq!(packets.len(), 1);
        Frame { ts_ns: at_ns, bytes: Encapsulation::Plain.frame(&packets[0], self.count) }
    }

    fn add(&mut self, at_ns: u64, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
        let frame = self.frame(at_ns, from, to, payload);
        let place = self.frames.partition_point(|other| other.ts_ns <= frame.ts_ns);
        self.frames.insert(place, frame);
    }

    fn text(frame: &Frame) -> Option<String> {
        let text = std::str::from_utf8(frame.bytes.get(PAYLOAD_AT..)?).ok()?;
        text.contains("SIP/2.0").then(|| text.to_owned())
    }

    /// As PortSIP does: in the answer to the INVITE.
    fn add_session_id(&mut self) {
        let place = self.frames.iter().position(|frame| {
            Self::text(frame)
                .is_some_and(|text| text.starts_with("SIP/2.0 200") && text.contains("INVITE\r\n"))
        });
        let place = place.expect("the call is answered");
        let text = Self::text(&self.frames[place]).expect("it was one");
        let text = text.replacen("\r\n", &format!("\r\nX-Session-Id: {SESSION}\r\n"), 1);
        let [caller, callee] = Party::BOTH.map(|party| self.signalling(party));
        self.frames[place] = self.frame(self.frames[place].ts_ns, callee, caller, text.as_bytes());
    }

    /// A header of the INVITE, or of its answer.
    fn header(&self, start: &str, name: &str) -> String {
        let texts = self.frames.iter().filter_map(Self::text);
        let text = texts.into_iter().find(|text| text.starts_with(start)).expect("there is one");
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.expect("it has the header").to_owned()
    }

    /// A request of the caller, in the dialog or out of it.
    fn request(&self, method: &str, in_dialog: bool, number: u32, content: (&str, &str)) -> String {
        let from = self.header("INVITE", "From");
        let (content_type, body) = content;
        let (to, call_id) = if in_dialog {
            (self.header("SIP/2.0 200", "To"), self.header("INVITE", "Call-ID"))
        } else {
            ("<sip:pbx@callee.example>".to_owned(), format!("command-{number}@caller.example"))
        };
        let from = if in_dialog { from } else { from.replace(";tag=", ";tag=other-") };
        format!(
            "{method} sip:pbx@callee.example SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKc{number}\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\nMax-Forwards: 70\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn send(&mut self, ms: u64, text: &str) {
        let [caller, callee] = Party::BOTH.map(|party| self.signalling(party));
        self.add(self.at(ms), caller, callee, text.as_bytes());
    }

    /// A MESSAGE that is asked for credentials, and sent again with them (RFC 3261 section 22).
    fn challenged_message(&mut self, ms: u64, number: u32, body: &str) {
        let content = ("application/x-media-control+json", body);
        let text = self.request("MESSAGE", false, number, content);
        self.send(ms, &text);
        let first_line = text.lines().next().expect("a line");
        let challenge = text.replacen(first_line, "SIP/2.0 401 Unauthorized", 1);
        let [caller, callee] = Party::BOTH.map(|party| self.signalling(party));
        self.add(self.at(ms + 10), callee, caller, challenge.as_bytes());
        let (old, new) = (format!("CSeq: {number} "), format!("CSeq: {} ", number + 1));
        let credentials = "Authorization: Digest username=\"alice\"\r\nContent-Type";
        let again = text.replacen(&old, &new, 1).replacen("Content-Type", credentials, 1);
        self.send(ms + 20, &again.replace("branch=z9hG4bKc", "branch=z9hG4bKd"));
    }

    /// A MESSAGE with JSON, sent again a moment later and seen at a second hop.
    fn message(&mut self, ms: u64, in_dialog: bool, number: u32, body: &str) {
        let content = ("application/x-media-control+json", body);
        let text = self.request("MESSAGE", in_dialog, number, content);
        self.send(ms, &text);
        self.send(ms + 40, &text);
    }

    fn info(&mut self, ms: u64, code: &str, number: u32) {
        for (place, key) in (0..).zip(code.chars()) {
            let body = format!("Signal={key}\r\nDuration=100\r\n");
            let content = ("application/dtmf-relay", body.as_str());
            let text = self.request("INFO", true, number + place, content);
            self.send(ms + u64::from(place) * 150, &text);
        }
    }

    /// Places of a party's audio packets in the frames, from a time on.
    fn packets(&self, party: Party, ms: u64) -> Vec<usize> {
        let from_ns = self.at(ms);
        let media = ends(&self.spec)[party.index()].media.port().to_be_bytes();
        let is_its = |frame: &Frame| {
            frame.ts_ns >= from_ns
                && frame.bytes.len() == PAYLOAD_AT + RTP_BYTES + 160
                && frame.bytes[34..36] == media
                && frame.bytes[26..30] == ipv4(ends(&self.spec)[party.index()].media)
        };
        (0..self.frames.len()).filter(|place| is_its(&self.frames[*place])).collect()
    }

    /// Keys in the caller's media from a time on: `put` changes the packets of one key.
    fn press(&mut self, ms: u64, code: &str, put: fn(&mut Self, usize, char, usize)) -> Range<u64> {
        let places = self.packets(Party::Caller, ms);
        let mut at = 0;
        for key in code.chars() {
            for number in 0..KEY_PACKETS {
                put(self, places[at + number], key, number);
            }
            at += KEY_PACKETS + GAP_PACKETS;
        }
        let last = at - GAP_PACKETS - 1;
        self.frames[places[0]].ts_ns..self.frames[places[last]].ts_ns
    }

    /// RFC 4733; the end is sent once only, as where its repetitions are lost.
    fn event(&mut self, place: usize, key: char, number: usize) {
        let bytes = &self.frames[place].bytes;
        let mut rtp = bytes[PAYLOAD_AT..PAYLOAD_AT + RTP_BYTES].to_vec();
        let timestamp = u32::from_be_bytes([rtp[4], rtp[5], rtp[6], rtp[7]]);
        rtp[1] = TELEPHONE_EVENT | if number == 0 { 0x80 } else { 0 };
        let began = timestamp.wrapping_sub(number as u32 * 160);
        rtp[4..8].copy_from_slice(&began.to_be_bytes());
        let end = number + 1 == KEY_PACKETS;
        rtp.extend(event(event_code(key), end, (number as u16 + 1) * 160));
        let [caller, callee] = Party::BOTH.map(|party| ends(&self.spec)[party.index()].media);
        self.frames[place] = self.frame(self.frames[place].ts_ns, caller, callee, &rtp);
    }

    fn tone(&mut self, place: usize, key: char, number: usize) {
        const KEYS: [&str; 4] = ["123A", "456B", "789C", "*0#D"];
        const ROWS_HZ: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
        const COLUMNS_HZ: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
        let row = KEYS.iter().position(|row| row.contains(key)).expect("a key");
        let column = KEYS[row].find(key).expect("it is in the row");
        let wave = |hz: f64, at: usize| (std::f64::consts::TAU * hz * at as f64 / 8_000.0).sin();
        for at in 0..160 {
            let time = number * 160 + at;
            let sample = 7_000.0 * (wave(ROWS_HZ[row], time) + wave(COLUMNS_HZ[column], time));
            self.frames[place].bytes[PAYLOAD_AT + RTP_BYTES + at] = mu_law(sample as i16);
        }
    }

    fn replay(&self, config: &str) -> Replayed {
        let config = format!("[capture]\ninterfaces = [\"none\"]\n{config}");
        let mut frames = self.frames.clone();
        frames.sort_by_key(|frame| frame.ts_ns);
        Replayed::of(frames.into_iter(), Container::default(), Some(&config))
    }

    /// The payloads of what both said between two times, of the play as it was.
    fn said(&self, between: Range<u64>) -> Needles {
        let scene = Scene::new(vec![self.spec.clone()]);
        Needles::of_frames(scene.frames().filter(|frame| between.contains(&frame.ts_ns)))
    }
}

fn ipv4(address: SocketAddr) -> [u8; 4] {
    match address.ip() {
        std::net::IpAddr::V4(ip) => ip.octets(),
        std::net::IpAddr::V6(_) => panic!("the calls here are IPv4"),
    }
}

const ALLOW: &str = "[control]\nallow = [\"0.0.0.0/0\"]\n";

fn is_event(frame: &Frame) -> bool {
    frame.bytes.len() == PAYLOAD_AT + RTP_BYTES + 4
}

/// When a recording's first sample was.
fn began_ns(play: &Play) -> u64 {
    play.truth.sides.iter().map(|side| side.first_ns).min().expect("two sides")
}

/// Silent times of a channel, in ms from the recording's begin: stretches of zeros of 100 ms at least.
fn silences(channel: &[i16]) -> Vec<Range<i64>> {
    let mut found = Vec::new();
    let mut from = 0;
    for (at, sample) in channel.iter().chain([&1]).enumerate() {
        if *sample != 0 {
            if at - from >= 800 {
                found.push(from as i64 / 8..at as i64 / 8);
            }
            from = at + 1;
        }
    }
    found
}

fn events<'v>(call: &'v Value, what: &str) -> Vec<&'v str> {
    let events = call["events"].as_array().expect("a list");
    let of = events.iter().filter(|event| event["what"] == what);
    of.filter_map(|event| event["detail"].as_str()).collect()
}

/// The recording has silence of `paused` and nothing else is changed; no file has what was said then.
fn check_pause(play: &Play, replayed: &Replayed, paused: &Range<u64>, by: &str) {
    assert_eq!((replayed.calls.len(), replayed.recordings.len()), (1, 1), "{by}");
    let (call, recording) = (&replayed.calls[0], &replayed.recordings[0]);
    let trace = events(call, "recording");
    assert!(trace.iter().any(|line| line.starts_with(&format!("pause: {by}"))), "{trace:?}");
    assert!(trace.iter().any(|line| line.starts_with(&format!("resume: {by}"))), "{trace:?}");
    assert_eq!(call["dtmf"], serde_json::json!([]), "keys of a code are told nowhere");
    let hidden = recording["hidden"].as_array().expect("a list");
    assert_eq!(hidden.iter().filter(|span| span["what"] == "pause").count(), 1, "{hidden:?}");
    let wav = Wav::read(&replayed.audio(recording)).expect("a recording");
    let ms = |at_ns: u64| (at_ns - began_ns(play)) as i64 / MS as i64;
    for (party, channel) in Party::BOTH.into_iter().zip(&wav.channels) {
        let silences = silences(channel);
        let pause = silences.iter().find(|silence| silence.end - silence.start > 4_000);
        let pause = pause.unwrap_or_else(|| panic!("{by}: no pause in {silences:?}"));
        let begins_before = ms(paused.start) + 20 >= pause.start;
        let ends_behind = ms(paused.end) - 20 <= pause.end;
        assert!(begins_before && ends_behind, "{by} {party:?}: {silences:?}");
    }
    // All else is what was said, to the sample; but where the caller pressed keys.
    for (party, pressing_ms) in [(Party::Caller, 600), (Party::Callee, 22)] {
        let side = play.truth.side(party);
        let pcm = side.pcm();
        let first = (((side.first_ns - began_ns(play)) * 8 + MS / 2) / MS) as usize;
        for (at, sample) in wav.channels[party.index()].iter().enumerate().skip(first) {
            let at_ns = began_ns(play) + at as u64 * MS / 8;
            let apart = |edge: u64| {
                at_ns > edge + pressing_ms.min(100) * MS || at_ns + pressing_ms * MS < edge
            };
            if apart(paused.start) && apart(paused.end) {
                let paused = paused.contains(&at_ns);
                let said = if paused { 0 } else { pcm.get(at - first).copied().unwrap_or(0) };
                assert_eq!(*sample, said, "{by} {party:?}: sample {at}, {} ms", at / 8);
            }
        }
    }
    let secret = play.said(paused.start + 20 * MS..paused.end - 20 * MS);
    assert!(secret.count() > 200, "{by}: {}", secret.count());
    for (path, found) in secret.found_below(&replayed.data_dir()) {
        assert_eq!(found, 0, "{by}: {} has {found} pieces of the secret", path.display());
    }
}

/// POL-8: feature codes by telephone events.
#[test]
fn paused_by_events() {
    let mut play = Play::new();
    let pause = play.press(3_000, "*48", Play::event);
    let resume = play.press(8_000, "*49", Play::event);
    let replayed = play.replay(ALLOW);
    check_pause(&play, &replayed, &(pause.end..resume.end), "rtp_event");
    // The keys themselves are silent, where they were pressed and nowhere else.
    let hidden = replayed.recordings[0]["hidden"].as_array().expect("a list");
    let keys: Vec<&Value> = hidden.iter().filter(|span| span["what"] == "keys").collect();
    assert!(!keys.is_empty() && keys.iter().all(|span| span["side"] == "caller"), "{hidden:?}");
}

/// POL-8: a code whose last key has lost its end is obeyed all the same, when no more comes of the key.
#[test]
fn paused_by_an_event_without_end() {
    let mut play = Play::new();
    let pause = play.press(3_000, "*48", Play::event);
    let resume = play.press(8_000, "*49", Play::event);
    let is_lost = |frame: &Frame| [pause.end, resume.end].contains(&frame.ts_ns) && is_event(frame);
    play.frames.retain(|frame| !is_lost(frame));
    let replayed = play.replay(ALLOW);
    check_pause(&play, &replayed, &(pause.end - 20 * MS..resume.end - 20 * MS), "rtp_event");
}

/// POL-8: the same code is obeyed again at once, if another one was pressed between.
#[test]
fn paused_again_at_once() {
    let mut play = Play::new();
    for (ms, code) in [(3_000, "*48"), (3_560, "*49"), (4_120, "*48")] {
        play.press(ms, code, Play::event);
    }
    let replayed = play.replay(ALLOW);
    let hidden = replayed.recordings[0]["hidden"].as_array().expect("a list");
    assert_eq!(hidden.iter().filter(|span| span["what"] == "pause").count(), 2, "{hidden:?}");
    let secret = play.said(play.at(4_700)..u64::MAX);
    let found = secret.found_below(&replayed.data_dir());
    assert!(found.iter().all(|(_, found)| *found == 0), "{found:?}");
}

/// POL-8: feature codes by SIP INFO.
#[test]
fn paused_by_info() {
    let mut play = Play::new();
    play.info(3_000, "*48", 100);
    play.info(8_000, "*49", 200);
    let replayed = play.replay(ALLOW);
    check_pause(&play, &replayed, &(play.at(3_300)..play.at(8_300)), "info");
}

/// POL-8: feature codes as tones in the audio, which the detector is asked for.
#[test]
fn paused_by_tones() {
    let mut play = Play::new();
    let pause = play.press(3_000, "*48", Play::tone);
    let resume = play.press(8_000, "*49", Play::tone);
    let config = format!("{ALLOW}tones = true\n");
    let replayed = play.replay(&config);
    check_pause(&play, &replayed, &(pause.end + 20 * MS..resume.end + 20 * MS), "tone");
    // Without being asked it does not listen.
    let replayed = play.replay(ALLOW);
    assert_eq!(events(&replayed.calls[0], "recording"), Vec::<&str>::new());
}

/// POL-8: a short call to the code.
#[test]
fn paused_by_a_call_to_the_code() {
    let mut play = Play::new();
    for (ms, code, number) in [(3_000, "*48", 31), (8_000, "%2A49;phone-context=example", 32)] {
        let text = play.request("INVITE", false, number, ("text/plain", ""));
        let text = text.replacen("sip:pbx@", &format!("sip:{code}@"), 1);
        play.send(ms, &text);
        play.send(ms + 500, &text);
        let ok = text.replacen(text.lines().next().expect("a line"), "SIP/2.0 200 OK", 1);
        let ok = ok.replace("To: <sip:pbx@callee.example>", "To: <sip:pbx@callee.example>;tag=9");
        let [caller, callee] = Party::BOTH.map(|party| play.signalling(party));
        play.add(play.at(ms + 600), callee, caller, ok.as_bytes());
    }
    let replayed = play.replay(ALLOW);
    check_pause(&play, &replayed, &(play.at(3_000)..play.at(8_000)), "dialled");
}

/// POL-8: a tenant's own codes are dialled, too; the general ones, and those of other tenants, are numbers like any others
/// for its people.
#[test]
fn paused_by_a_call_to_a_tenants_code() {
    let policy = serde_json::json!({ "tenants": [
        { "id": "acme", "catch_all": true,
          "call_recording": { "account": { "any": { "any": { "enabled": true } } } },
          "on_demand": { "feature_codes": { "pause": "*7", "resume": "*8" } } },
        { "id": "other", "on_demand": { "feature_codes": { "pause": "*5" } } } ] });
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("policy.json");
    std::fs::write(&file, policy.to_string()).expect("the test's folder can be written");
    let config = format!("[recording]\ndefault = \"none\"\n[policy]\nfiles = [{file:?}]\n{ALLOW}");
    let dialling = |codes: &[(u64, &str)]| {
        let mut play = Play::new();
        for (number, (ms, code)) in (31..).zip(codes) {
            let text = play.request("INVITE", false, number, ("text/plain", ""));
            play.send(*ms, &text.replacen("sip:pbx@", &format!("sip:{code}@"), 1));
        }
        play
    };
    let play = dialling(&[(3_000, "*7"), (8_000, "*8")]);
    let replayed = play.replay(&config);
    check_pause(&play, &replayed, &(play.at(3_000)..play.at(8_000)), "dialled");
    let play = dialling(&[(3_000, "*48"), (5_000, "*5")]);
    let replayed = play.replay(&config);
    assert_eq!(replayed.calls.len(), 3, "calls like any others: {:#?}", replayed.calls);
    assert!(replayed.recordings.iter().all(|row| row["hidden"] == serde_json::json!([])));
}

/// POL-8: MESSAGE out of a dialog, with the session's id.
#[test]
fn paused_by_message() {
    let mut play = Play::new();
    let body = |word| format!(r#"{{"operation":"{word}","session_id":"{SESSION}"}}"#);
    play.message(3_000, false, 41, &body("pause"));
    play.message(8_000, false, 42, &body("resume"));
    let replayed = play.replay(ALLOW);
    check_pause(&play, &replayed, &(play.at(3_000)..play.at(8_000)), "message");
}

/// POL-8: MESSAGE in the dialog; the words for video are understood.
#[test]
fn paused_by_message_in_the_dialog() {
    let mut play = Play::new();
    play.message(3_000, true, 51, r#"{"operation":"pause-audio-recording"}"#);
    play.message(5_000, true, 52, r#"{"operation":"pause-video-recording"}"#);
    let text = play.request("MESSAGE", true, 53, ("text/plain", "resume-audio-recording"));
    play.send(8_000, &text);
    let replayed = play.replay(ALLOW);
    check_pause(&play, &replayed, &(play.at(3_000)..play.at(8_000)), "dialog_message");
    let refused = events(&replayed.calls[0], "control");
    assert!(refused.iter().any(|line| line.contains("video is not recorded")), "{refused:?}");
}

/// POL-8: who is not on the list, sends what cannot be read, names no session, or is on the wrong side has no effect.
#[test]
fn others_are_refused() {
    let mut play = Play::new();
    let body = |word: &str, id: &str| format!(r#"{{"operation":"{word}","session_id":"{id}"}}"#);
    play.message(2_000, false, 61, &body("pause", SESSION));
    play.press(3_000, "*48", Play::event);
    play.info(5_000, "*48", 300);
    let whole = Play::new();
    let unlisted = "[control]\nallow = [\"192.0.2.1\"]\n";
    let wrong_side = "[control]\nallow = [\"0.0.0.0/0\"]\nfrom = \"callee\"\n";
    for (config, why) in [(unlisted, "control.allow"), (wrong_side, "control.from")] {
        let replayed = play.replay(config);
        let refused = events(&replayed.calls[0], "control");
        assert_eq!(refused.len(), 3, "{refused:?}");
        assert!(refused.iter().all(|line| line.contains(why)), "{refused:?}");
        assert_eq!(events(&replayed.calls[0], "recording"), Vec::<&str>::new());
        assert_eq!(replayed.recordings[0]["hidden"], serde_json::json!([]));
        // Keys that have no effect are keys like others.
        let keys = replayed.calls[0]["dtmf"].as_array().expect("a list");
        let pressed: BTreeSet<&str> = keys.iter().filter_map(|key| key["by"].as_str()).collect();
        assert_eq!((keys.len(), pressed.len()), (6, 2), "{keys:?}");
    }
    let mut play = Play::new();
    play.message(3_000, false, 71, &body("pause", "another"));
    play.message(4_000, false, 72, r#"{"operation":"pause","session_id":"#);
    play.message(5_000, true, 73, r#"{"operation":"erase"}"#);
    let replayed = play.replay(ALLOW);
    let refused = events(&replayed.calls[0], "control");
    assert_eq!(refused.len(), 1, "only one is of this call: {refused:?}");
    assert!(refused[0].contains("cannot be read"), "{refused:?}");
    let whole = whole.replay("");
    assert_eq!(replayed.recordings[0]["sha256"], whole.recordings[0]["sha256"]);
}

/// POL-7: stopped and begun again, a call has two recordings, both whole; the first is what it would have been.
#[test]
fn stopped_and_begun_again() {
    let mut play = Play::new();
    let body = |word: &str| format!(r#"{{"operation":"{word}","session_id":"{SESSION}"}}"#);
    play.message(4_000, false, 81, &body("stop"));
    play.message(7_000, false, 82, &body("toggle"));
    let replayed = play.replay(ALLOW);
    assert_eq!(replayed.recordings.len(), 2);
    let ids: Vec<&Value> = replayed.recordings.iter().map(|row| &row["id"]).collect();
    assert_eq!(replayed.calls[0]["recordings"], serde_json::json!(ids));
    assert_ne!(ids[0], ids[1]);
    let [first, second] = [0, 1].map(|at| &replayed.recordings[at]);
    assert_eq!((&first["take"]["number"], &second["take"]["number"]), (&1.into(), &2.into()));
    assert_eq!(first["end_reason"], "stopped_by_message");
    let lengths = [first, second].map(|row| row["duration_ms"].as_i64().expect("a number"));
    let begin_ms = ((play.begin_ns - began_ns(&play)) / MS) as i64;
    assert!((lengths[0] - 4_000 - begin_ms).abs() <= 25, "{lengths:?}");
    let whole = Play::new().replay("");
    let whole_ms = whole.recordings[0]["duration_ms"].as_i64().expect("a number");
    assert!((lengths[1] - (whole_ms - 7_000 - begin_ms)).abs() <= 25, "{lengths:?} of {whole_ms}");
    // Its id and its beginning are those of the recording that it would have been.
    assert_eq!(first["id"], whole.recordings[0]["id"]);
    let [all, part] =
        [&whole, &replayed].map(|of| Wav::read(&of.audio(&of.recordings[0])).expect("a recording"));
    for (all, part) in all.channels.iter().zip(&part.channels) {
        let length = part.len().min(4_000 * 8);
        assert!(part[..length] == all[..length], "the first part differs");
    }
    let secret = play.said(play.at(4_020)..play.at(6_980));
    for (path, found) in secret.found_below(&replayed.data_dir()) {
        assert_eq!(found, 0, "{} has {found} pieces of what is between", path.display());
    }
}

/// POL-7, POL-8: a command that must be said again with credentials is one command.
#[test]
fn stopped_by_a_challenged_message() {
    let mut play = Play::new();
    let body = format!(r#"{{"operation":"toggle","session_id":"{SESSION}"}}"#);
    play.challenged_message(4_000, 101, &body);
    let replayed = play.replay(ALLOW);
    assert_eq!(replayed.recordings.len(), 1, "{:?}", events(&replayed.calls[0], "recording"));
    assert_eq!(replayed.recordings[0]["end_reason"], "stopped_by_message");
}

/// POL-7, POL-8: what is paused while media is kept for a recording that may be begun is silent in that, and in no file.
#[test]
fn paused_before_it_is_begun() {
    let mut play = Play::new();
    let pause = play.press(3_000, "*48", Play::event);
    let resume = play.press(8_000, "*49", Play::event);
    play.press(10_000, "*1", Play::event);
    let config = format!(
        "[recording]\ndefault = \"none\"\n{ALLOW}start_code = \"*1\"\non_demand = \"call_start\"\n"
    );
    let replayed = play.replay(&config);
    let hidden = replayed.recordings[0]["hidden"].as_array().expect("a list");
    assert_eq!(hidden.iter().filter(|span| span["what"] == "pause").count(), 1, "{hidden:?}");
    let secret = play.said(pause.end + 20 * MS..resume.end - 20 * MS);
    for (path, found) in secret.found_below(&replayed.data_dir()) {
        assert_eq!(found, 0, "{}: {found} pieces of what is between", path.display());
    }
}

/// POL-7: on demand from the word on, and, where it is configured, from the call's beginning; else it is refused.
#[test]
fn begun_on_demand() {
    let mut play = Play::new();
    play.press(4_000, "*1", Play::event);
    let config = |on_demand: &str| {
        format!(
            "[recording]\ndefault = \"none\"\n{ALLOW}start_code = \"*1\"\non_demand = \"{on_demand}\"\n"
        )
    };
    let lengths: Vec<Option<i64>> = ["off", "now", "call_start"]
        .into_iter()
        .map(|on_demand| {
            let replayed = play.replay(&config(on_demand));
            let recordings = replayed.recordings.iter();
            recordings.map(|row| row["duration_ms"].as_i64().expect("a number")).next()
        })
        .collect();
    let [None, Some(from_now), Some(whole)] = lengths[..] else { panic!("{lengths:?}") };
    assert!((whole - from_now - 4_280).abs() < 60, "{lengths:?}");
    // Nobody asked: what was kept for it is in no file.
    let play = Play::new();
    for on_demand in ["off", "now", "call_start"] {
        let replayed = play.replay(&config(on_demand));
        assert_eq!(replayed.recordings.len(), 0);
        let all = play.said(0..u64::MAX);
        for (path, found) in all.found_below(&replayed.data_dir()) {
            assert_eq!(found, 0, "{on_demand}: {}: {found} pieces", path.display());
        }
    }
}

/// POL-4, POL-8: a pause that is cut out, a time limit, a least length.
#[test]
fn cut_limited_and_too_short() {
    let mut play = Play::new();
    let body = |word: &str| format!(r#"{{"operation":"{word}","session_id":"{SESSION}"}}"#);
    play.message(3_000, false, 91, &body("pause"));
    play.message(8_000, false, 92, &body("resume"));
    let length = |config: &str| {
        let replayed = play.replay(config);
        let lengths = replayed.recordings.iter().map(|row| row["duration_ms"].as_i64());
        (lengths.flatten().next(), replayed)
    };
    let (whole, _) = length("");
    let whole = whole.expect("a recording");
    let (cut, _) = length(&format!("{ALLOW}pause = \"cut\"\n"));
    assert!(cut.is_some_and(|cut| (whole - cut - 5_000).abs() <= 20), "{cut:?} of {whole}");
    let (limited, replayed) = length("[recording]\ntime_limit_s = 5\n");
    assert!(limited.is_some_and(|ms| (ms - 5_000).abs() <= 25), "{limited:?}");
    assert_eq!(replayed.recordings[0]["end_reason"], "time_limit");
    let beyond = play.said(play.at(5_100)..u64::MAX);
    let found = beyond.found_below(&replayed.data_dir());
    assert!(found.iter().all(|(_, found)| *found == 0), "{found:?}");
    let (none, replayed) = length("[recording]\nlength_min_s = 20\n");
    assert_eq!(none, None);
    let told = events(&replayed.calls[0], "recording");
    assert!(told.iter().any(|line| line.contains("is not kept")), "{told:?}");
}

/// POL-12: a mask silences whom it names, and keys, where they are to be masked, all who press them.
#[test]
fn masks() {
    let mut play = Play::new();
    let body = |word: &str| {
        format!(r#"{{"operation":"{word}","session_id":"{SESSION}","side":"callee"}}"#)
    };
    play.message(3_000, false, 95, &body("mask"));
    play.message(8_000, false, 96, &body("unmask"));
    let keys = play.press(4_000, "77", Play::event);
    let replayed = play.replay(&format!("{ALLOW}mask_keys = true\n"));
    let wav = Wav::read(&replayed.audio(&replayed.recordings[0])).expect("a recording");
    let long = |channel: usize| {
        let silences = silences(&wav.channels[channel]);
        silences.into_iter().filter(|silence| silence.end - silence.start > 4_000).count()
    };
    assert_eq!((long(0), long(1)), (0, 1));
    assert_eq!(replayed.calls[0]["dtmf"], serde_json::json!([]));
    let hidden = replayed.recordings[0]["hidden"].as_array().expect("a list");
    assert!(hidden.iter().any(|span| span["what"] == "keys"), "{hidden:?}");
    assert!(keys.start < keys.end);
}

/// POL-8: what cannot be done from the command line is one line, and says why.
#[test]
fn without_a_daemon_it_is_told() {
    let folder = tempfile::tempdir().expect("there is room");
    let data_dir = folder.path().display().to_string();
    for operation in ["start", "stop", "toggle", "pause", "resume", "mask", "unmask"] {
        let output = run(&["call", operation, "17", "--data-dir", &data_dir]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert!(told.contains("no daemon serves") && told.contains("earwitness run"), "{told}");
        let help = run(&["call", operation, "--help"]);
        assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:"));
    }
}

/// POL-7, 002: a tenant lets its people begin and end recordings that no rule wants, by a code of its own.
#[test]
fn begun_by_a_tenants_code() {
    let policy = serde_json::json!({ "tenants": [{ "id": "acme", "catch_all": true,
        "on_demand": { "enabled": true, "feature_codes": { "toggle": "*7" } } }] });
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("policy.json");
    std::fs::write(&file, policy.to_string()).expect("the test's folder can be written");
    let config = format!(
        "[recording]\ndefault = \"none\"\n[policy]\nfiles = [{file:?}]\n{ALLOW}toggle_code = \"*1\"\n"
    );
    let mut play = Play::new();
    // The configuration's own code is none of this tenant's.
    play.press(2_000, "*1", Play::event);
    let start = play.press(4_000, "*7", Play::event);
    let stop = play.press(8_000, "*7", Play::event);
    let replayed = play.replay(&config);
    assert_eq!(replayed.recordings.len(), 1, "{:#?}", replayed.calls);
    let length = replayed.recordings[0]["duration_ms"].as_i64().expect("a number");
    let asked = ((stop.end - start.end) / MS) as i64;
    assert!((length - asked).abs() <= 25, "{length} of {asked} ms");
    assert_eq!(replayed.recordings[0]["tenant"], "acme");
    assert_eq!(replayed.recordings[0]["end_reason"], "stopped_by_rtp_event");
    for outside in [0..start.start - 100 * MS, stop.end + 100 * MS..u64::MAX] {
        let secret = play.said(outside);
        let found = secret.found_below(&replayed.data_dir());
        assert!(found.iter().all(|(_, found)| *found == 0), "{found:?}");
    }
}
