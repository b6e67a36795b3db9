//! Legs of one conversation are one call, recorded once (CALL-5): boxes with two legs, transfers, queues, conferences; and
//! what looks like that and is not.

mod boxes;
mod controlled;
mod queues;
mod ruled;
mod several;
mod transfers;
mod traps;

use std::net::SocketAddr;
use std::ops::Range;

use earwitness_fixtures::ensemble::{Ensemble, Line, PACKET_MS, said};
use earwitness_fixtures::spec::SCENE_START_NS;
use earwitness_tests::check::{Wav, nearest, started_ns};
use earwitness_tests::program::{Container, Replayed};
use serde_json::Value;

const MS: u64 = 1_000_000;
const ALICE: u64 = 11;
const BOB: u64 = 22;
const CAROL: u64 = 33;
const MUSIC: u64 = 99;

/// A person's voice in a recording is what was said, to the sample; a little less, where two legs meet.
const SAME_MIN: f64 = 0.98;
/// Strangers have that much in common by chance.
const FOREIGN_MAX: f64 = 0.3;
/// A relay is late by some milliseconds, and rows tell time in milliseconds.
const REACH_SAMPLES: i64 = 240;
const LEFT: usize = 0;
const RIGHT: usize = 1;

/// Where a host signals, and where it receives media.
fn sip(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 9, 0, host], 5060))
}

fn media(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 9, 0, host], port))
}

/// A line between two hosts, with these ports for media.
fn leg(name: &str, users: [&str; 2], hosts: [u8; 2], ports: [u16; 2]) -> Line {
    let ends = [media(hosts[0], ports[0]), media(hosts[1], ports[1])];
    Line::new(name, users, hosts.map(sip), ends)
}

/// Both ends of a line speak for so long; when that was.
fn talk(ensemble: &mut Ensemble, line: &Line, voices: [u64; 2], ms: u64) -> Range<u64> {
    let stretch = ensemble.now_ms()..ensemble.now_ms() + ms;
    ensemble.talk(line, voices, ms, 0);
    ensemble.wait(ms);
    stretch
}

/// A box rings behind it for who called in front of it, and both are answered.
fn through(ensemble: &mut Ensemble, one: &mut Line, other: &mut Line) {
    ensemble.invite(one);
    ensemble.wait(10);
    ensemble.invite(other);
    ensemble.wait(200);
    ensemble.answer(other);
    ensemble.answer(one);
}

/// What both ends say for so long from now on, in front of a box and behind it; when that is.
fn both(ensemble: &mut Ensemble, lines: [&Line; 2], voices: [u64; 2], ms: u64) -> Range<u64> {
    let stretch = ensemble.now_ms()..ensemble.now_ms() + ms;
    ensemble.talk(lines[0], voices, ms, 5);
    ensemble.talk(lines[1], voices, ms, 0);
    stretch
}

/// As it stands in a URI.
fn escaped(replaces: &str) -> String {
    replaces.replace(';', "%3B").replace('=', "%3D").replace('@', "%40")
}

fn replay(ensemble: Ensemble, config: Option<&str>) -> Replayed {
    Replayed::of(ensemble.frames().into_iter(), Container::default(), config)
}

fn text<'v>(row: &'v Value, name: &str) -> &'v str {
    row[name].as_str().unwrap_or_default()
}

/// The only call of a replay.
fn only_call(replayed: &Replayed) -> &Value {
    let told: Vec<String> = replayed.calls.iter().map(brief).collect();
    assert_eq!(replayed.calls.len(), 1, "{}", told.join("\n"));
    assert_eq!(replayed.recordings.len(), 1, "{}", told.join("\n"));
    assert_eq!(replayed.recordings[0]["call"], replayed.calls[0]["id"]);
    assert_eq!(replayed.recordings[0]["id"], replayed.calls[0]["recordings"][0]);
    &replayed.calls[0]
}

/// A call for people who read a failure.
fn brief(call: &Value) -> String {
    let legs = call["legs"].as_array().into_iter().flatten();
    let legs: Vec<String> = legs
        .map(|leg| {
            format!(
                "\n  {} {} by {} {}",
                leg["call_id"], leg["role"], leg["joined_by"], leg["end_reason"]
            )
        })
        .collect();
    let events = call["events"].as_array().into_iter().flatten();
    let events: Vec<String> = events
        .map(|event| format!("\n    {} {} {}", event["at"], event["what"], event["detail"]))
        .collect();
    let streams = call["streams"].as_array().into_iter().flatten();
    let streams: Vec<String> = streams.map(|stream| format!("\n    {stream}")).collect();
    format!(
        "{} {} > {} {}{}{}{}",
        call["call_id"],
        call["from"],
        call["to"],
        call["end_reason"],
        legs.concat(),
        events.concat(),
        streams.concat()
    )
}

/// How each leg came to the call.
fn joined_by(call: &Value) -> Vec<&str> {
    let legs = call["legs"].as_array().expect("a call has legs");
    legs.iter().map(|leg| leg["joined_by"].as_str().unwrap_or("-")).collect()
}

/// Who spoke with whom, by user.
fn parties(call: &Value) -> Vec<(&str, &str)> {
    let user = |row: &'_ Value, name: &str| {
        row[name].as_str().map_or("", |at| at.split('@').next().unwrap_or("")).to_owned().leak()
            as &str
    };
    let rows = call["parties"].as_array().expect("a call has parties");
    rows.iter().map(|row| (user(row, "caller"), user(row, "callee"))).collect()
}

/// A recording, to be listened to.
struct Sound {
    wav: Wav,
    started_ns: u64,
    about: String,
}

impl Sound {
    fn of(replayed: &Replayed, call: &Value) -> Self {
        let id = &call["recordings"][0];
        let row = replayed.recordings.iter().find(|row| row["id"] == *id).expect("a recording");
        let wav = Wav::read(&replayed.audio(row)).expect("a WAV file");
        Self { wav, started_ns: started_ns(row).expect("it began"), about: brief(call) }
    }

    /// How much what is in a channel at a time is what a voice said then.
    fn likeness(&self, channel: usize, voice: u64, ms: &Range<u64>) -> f64 {
        // Packets begin and end within a packet's time of it.
        let ms = ms.start + 2 * PACKET_MS..ms.end - 2 * PACKET_MS;
        let part = said(voice, ms.clone());
        let from_ns = (SCENE_START_NS + ms.start * MS) as i64 - self.started_ns as i64;
        let at = from_ns * 8 / MS as i64;
        nearest(&self.wav.channels[channel], &part, at, REACH_SAMPLES).1
    }

    #[track_caller]
    fn has(&self, channel: usize, voice: u64, ms: Range<u64>) {
        let found = self.likeness(channel, voice, &ms);
        assert!(
            found > SAME_MIN,
            "voice {voice} at {ms:?} in channel {channel}: {found}\n{}",
            self.about
        );
    }

    #[track_caller]
    fn has_not(&self, channel: usize, voice: u64, ms: Range<u64>) {
        let found = self.likeness(channel, voice, &ms);
        assert!(
            found < FOREIGN_MAX,
            "voice {voice} at {ms:?} in channel {channel}: {found}\n{}",
            self.about
        );
    }

    /// Nothing but silence.
    #[track_caller]
    fn is_silent(&self, channel: usize, ms: Range<u64>) {
        let at = |ms: u64| ((SCENE_START_NS + ms * MS - self.started_ns) / MS * 8) as usize;
        let samples = &self.wav.channels[channel][at(ms.start)..at(ms.end)];
        let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        assert!(loudest < 16, "{loudest} at {ms:?} in channel {channel}\n{}", self.about);
    }
}
