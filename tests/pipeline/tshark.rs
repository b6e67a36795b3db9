//! An independent judge: what tshark reads from a capture file is what a replay of it says, message by message
//! and stream by stream. tshark shares no code with the product, nor with the generator that made the calls.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use earwitness_fixtures::codec::Codec;
use earwitness_fixtures::encapsulation::{Encapsulation, Family};
use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::sip::Style;
use earwitness_fixtures::spec::{CallSpec, Digits, Scenario, Transport, Trouble};
use earwitness_tests::check::milliseconds;
use earwitness_tests::program::{Container, Replayed};
use serde_json::Value;

const CALLS: u32 = 60;
/// tshark may show a message over TCP with the segment that ends its headers; for us it is there with its last.
const SEGMENTS_MS_MAX: i64 = 5;
/// Each of these turns up in turn; that their numbers differ makes them meet. Without WebSocket: tshark 4.0 does
/// not join continued frames.
const TRANSPORTS: [Transport; 5] = [
    Transport::Udp,
    Transport::Tcp,
    Transport::UdpFragmented,
    Transport::Tcp,
    Transport::UdpOddPort,
];
const CODECS: [Codec; 7] = [
    Codec::Pcmu,
    Codec::Pcma,
    Codec::G722,
    Codec::Gsm,
    Codec::Opus,
    Codec::G729,
    Codec::AmrAligned,
];
const SCENARIOS: [Scenario; 11] = [
    Scenario::Basic,
    Scenario::Busy,
    Scenario::NoBye,
    Scenario::Cancelled,
    Scenario::Challenged,
    Scenario::EarlyMedia,
    Scenario::DelayedOffer,
    Scenario::Forked,
    Scenario::CancelRace,
    Scenario::PortChange,
    Scenario::Retransmitted,
];
const TROUBLES: [Trouble; 6] = [
    Trouble::None,
    Trouble::Loss(5),
    Trouble::BurstLoss,
    Trouble::Reorder(2),
    Trouble::SequenceWrap,
    Trouble::SsrcChange,
];
const ENCAPSULATIONS: [Encapsulation; 4] =
    [Encapsulation::Plain, Encapsulation::Vlan, Encapsulation::Gre, Encapsulation::Plain];

fn scene() -> Scene {
    let specs = (0..CALLS).map(|index| {
        let turn = index as usize;
        let encapsulation = ENCAPSULATIONS[turn % ENCAPSULATIONS.len()];
        CallSpec {
            start_ms: u64::from(index) * 40,
            talk_ms: 1_600,
            scenario: SCENARIOS[turn % SCENARIOS.len()],
            trouble: TROUBLES[turn % TROUBLES.len()],
            transport: TRANSPORTS[turn % TRANSPORTS.len()],
            // Not folded: tshark 4.0 overlooks an address after a tab, which RFC 3261 section 25.1 allows.
            style: [Style::Canonical, Style::Compact][turn % 2],
            family: [Family::V4, Family::V6][turn / 2 % 2],
            digits: if turn % 9 == 4 { Digits::Events("5".into()) } else { Digits::None },
            ..CallSpec::new(index).codec(CODECS[turn % CODECS.len()])
        }
        .inside(encapsulation)
    });
    Scene::new(specs.collect())
}

/// A call as signalling tells it.
#[derive(Debug, Default)]
struct Told {
    from: String,
    to: String,
    started_ms: i64,
    answered_ms: Option<i64>,
    /// When and why it ended, if a message says so.
    ended: Option<(i64, String)>,
}

impl Told {
    fn agrees(&self, ours: &Self) -> bool {
        let near = |theirs: Option<i64>, ours: Option<i64>| match (theirs, ours) {
            (Some(theirs), Some(ours)) => (0..=SEGMENTS_MS_MAX).contains(&(ours - theirs)),
            (theirs, ours) => theirs == ours,
        };
        let ended = |told: &Self| told.ended.clone().unzip();
        let ((their_end, their_reason), (our_end, our_reason)) = (ended(self), ended(ours));
        (&self.from, &self.to, their_reason) == (&ours.from, &ours.to, our_reason)
            && near(Some(self.started_ms), Some(ours.started_ms))
            && near(self.answered_ms, ours.answered_ms)
            && near(their_end, our_end)
    }
}

type Stream = (u32, SocketAddr, SocketAddr);

/// Packets received and lost.
type Packets = (u64, u64);

fn tshark(capture: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(capture)
        .args(["-o", "tcp.reassemble_out_of_order:TRUE", "-o", "rtp.heuristic_rtp:TRUE"])
        .args(arguments)
        .output()
        .expect("tshark is installed: scripts/setup.sh test");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark {arguments:?}: {}\n{stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A field of a dissection, wherever it stands in the tree.
fn field<'v>(tree: &'v Value, name: &str) -> Option<&'v str> {
    match tree {
        Value::Object(fields) => fields
            .get(name)
            .and_then(Value::as_str)
            .or_else(|| fields.values().find_map(|value| field(value, name))),
        Value::Array(values) => values.iter().find_map(|value| field(value, name)),
        _ => None,
    }
}

/// Every SIP message that tshark finds, with its time in milliseconds.
fn messages(capture: &Path) -> Vec<(i64, Value)> {
    let json =
        tshark(capture, &["-Y", "sip", "-T", "json", "-J", "frame sip", "--no-duplicate-keys"]);
    let frames: Vec<Value> = serde_json::from_str(&json).expect("tshark prints JSON");
    let of_frame = |frame: &Value| {
        let layers = &frame["_source"]["layers"];
        let time = field(&layers["frame"], "frame.time_epoch").expect("a frame has its time");
        let (seconds, fraction) = time.split_once('.').expect("seconds and nanoseconds");
        let ms = format!("{seconds}{}", &fraction[..3]).parse().expect("a number");
        // Several messages may end in one segment.
        let messages = match &layers["sip"] {
            Value::Array(messages) => messages.clone(),
            message => vec![message.clone()],
        };
        messages.into_iter().map(move |message| (ms, message)).collect::<Vec<_>>()
    };
    frames.iter().flat_map(of_frame).collect()
}

/// What these messages say of calls, by the rules that anyone would read them by (RFC 3261 sections 9, 13, 15).
fn told_by(messages: &[(i64, Value)]) -> BTreeMap<String, Told> {
    let mut calls: BTreeMap<String, (String, Told)> = BTreeMap::new();
    for (ms, message) in messages {
        let text = |name: &str| field(message, name).unwrap_or_default().to_owned();
        let address = |name: &str| text(name).trim_start_matches("sip:").to_owned();
        let method = text("sip.Method");
        if method == "INVITE" && !calls.contains_key(&text("sip.Call-ID")) {
            let (from, to) = (address("sip.from.addr"), address("sip.to.addr"));
            let told = Told { from, to, started_ms: *ms, ..Told::default() };
            calls.insert(text("sip.Call-ID"), (text("sip.from.tag"), told));
        }
        let Some((caller, call)) = calls.get_mut(&text("sip.Call-ID")) else { continue };
        let of_invite = text("sip.CSeq.method") == "INVITE";
        match text("sip.Status-Code").parse::<u16>().ok() {
            Some(200..=299) if of_invite => {
                call.answered_ms = call.answered_ms.or(Some(*ms));
                call.ended = None;
            }
            Some(code @ 300..) if of_invite && call.answered_ms.is_none() => {
                let why = if code == 487 { "cancelled".into() } else { format!("rejected_{code}") };
                call.ended = call.ended.take().or(Some((*ms, why)));
            }
            // Another attempt, with credentials.
            None if method == "INVITE" && call.answered_ms.is_none() => call.ended = None,
            None if method == "BYE" => {
                let by = if text("sip.from.tag") == *caller { "bye_caller" } else { "bye_callee" };
                call.ended = call.ended.take().or(Some((*ms, by.to_owned())));
            }
            _ => {}
        }
    }
    calls.into_iter().map(|(id, (_, told))| (id, told)).collect()
}

/// What the replay says of them.
fn told_by_replay(calls: &[Value]) -> BTreeMap<String, Told> {
    let told = |call: &Value| {
        let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
        let ms = |name: &str| call[name].as_str().and_then(milliseconds);
        let why = text("end_reason");
        let silent = ["capture_end", "media_idle"].contains(&why.as_str());
        let told = Told {
            from: text("from"),
            to: text("to"),
            started_ms: ms("started_at").expect("a call began"),
            answered_ms: ms("answered_at"),
            ended: if silent { None } else { ms("ended_at").map(|ms| (ms, why)) },
        };
        (text("call_id"), told)
    };
    let map: BTreeMap<String, Told> = calls.iter().map(told).collect();
    assert_eq!(map.len(), calls.len(), "a call is one row");
    map
}

/// The table of `-z rtp,streams`: `start end src port dst port 0xSSRC payload… packets lost (percent%) …`.
fn streams(capture: &Path) -> BTreeMap<Stream, (Packets, String)> {
    let table = tshark(capture, &["-q", "-z", "rtp,streams"]);
    let stream = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ssrc = words.get(6)?.strip_prefix("0x")?;
        let percent = words.iter().position(|word| word.starts_with('('))?;
        let at = |address: &str, port: &str| -> Option<SocketAddr> {
            Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, port.parse().ok()?))
        };
        let key =
            (u32::from_str_radix(ssrc, 16).ok()?, at(words[2], words[3])?, at(words[4], words[5])?);
        // It counts to the number that came last, not to the highest: after a late one, less than none is lost.
        let lost: i64 = words[percent - 1].parse().ok()?;
        let packets = (words[percent - 2].parse().ok()?, lost.max(0) as u64);
        Some((key, (packets, words[7..percent - 2].join(" "))))
    };
    table.lines().filter_map(stream).collect()
}

fn streams_of_replay(calls: &[Value]) -> BTreeMap<Stream, (Packets, String)> {
    let rows = calls.iter().flat_map(|call| call["streams"].as_array().into_iter().flatten());
    let stream = |row: &Value| {
        assert_eq!(row["heard"], true, "{row}");
        let at = |name: &str| row[name].as_str().unwrap_or_default().parse().expect("an address");
        let count = |name: &str| row["packets"][name].as_u64().expect("a count");
        let ssrc = row["ssrc"].as_u64().expect("an SSRC") as u32;
        let codecs = row["codecs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let codecs: Vec<&str> = codecs.collect();
        ((ssrc, at("src"), at("dst")), ((count("received"), count("lost")), codecs.join(" ")))
    };
    rows.map(stream).collect()
}

/// Both programs' names of a codec; where tshark did not tie a stream to its SDP, the number is its name.
fn same_codec(theirs: &str, ours: &str) -> bool {
    let mut named = theirs.split([',', ' ']).filter(|name| !name.is_empty());
    let first = named.find(|name| *name != "telephone-event").unwrap_or_default();
    let by_number = |number: &str| {
        let number: u8 = number.parse().ok()?;
        CODECS.into_iter().find(|codec| codec.payload_type() == number).map(Codec::rtpmap)
    };
    let expected = match first.strip_prefix("RTPType-") {
        Some(number) => by_number(number).unwrap_or_default(),
        None if first == "g711U" => "PCMU",
        None if first == "g711A" => "PCMA",
        None => first,
    };
    let name = expected.split('/').next().unwrap_or_default().to_lowercase();
    !name.is_empty() && ours.to_lowercase().starts_with(&name)
}

/// CAP-4, CALL-1, CALL-2, CALL-7: another program finds the same calls and the same streams in a capture.
#[test]
fn tshark_says_the_same() {
    let scene = scene();
    let replayed = Replayed::of(scene.frames(), Container::default(), None);
    let capture = replayed.dir.path().join("capture.pcap");

    let messages = messages(&capture);
    let (theirs, ours) = (told_by(&messages), told_by_replay(&replayed.calls));
    assert_eq!(theirs.len(), CALLS as usize, "tshark reads every INVITE");
    let ids = |calls: &BTreeMap<String, Told>| calls.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(ids(&theirs), ids(&ours));
    for (id, told) in &theirs {
        assert!(told.agrees(&ours[id]), "{id}: tshark\n{told:?}, we\n{:?}", ours[id]);
    }

    let (theirs, ours) = (streams(&capture), streams_of_replay(&replayed.calls));
    assert!(theirs.len() > CALLS as usize, "tshark finds {} streams", theirs.len());
    assert!(theirs.values().any(|((_, lost), _)| *lost > 0), "some packets are lost");
    for (stream, (packets, codec)) in &theirs {
        let Some((our_packets, our_codec)) = ours.get(stream) else {
            panic!("{stream:?} {packets:?} {codec}: tshark alone finds it")
        };
        assert_eq!(packets, our_packets, "{stream:?}: tshark, then we");
        assert!(same_codec(codec, our_codec), "{stream:?}: tshark {codec}, we {our_codec}");
    }
    let missed: Vec<&Stream> = ours.keys().filter(|stream| !theirs.contains_key(stream)).collect();
    assert!(missed.is_empty(), "we alone find {missed:?}");
}

/// REC-8: the exported packets of a call hold its whole signalling, whatever carried it: tshark reads as many
/// messages from them as from the capture, and as many packets of each stream.
#[test]
fn tshark_reads_an_export() {
    let transports =
        Transport::ALL.into_iter().filter(|transport| *transport != Transport::TcpOddPort);
    let specs = transports.enumerate().map(|(index, transport)| CallSpec {
        start_ms: index as u64 * 40,
        talk_ms: 900,
        transport,
        ..CallSpec::new(index as u32)
    });
    let scene = Scene::new(specs.collect());
    let replayed = Replayed::of(scene.frames(), Container::default(), None);
    let capture = replayed.dir.path().join("capture.pcap");
    let (all, all_streams) = (messages(&capture), streams(&capture));
    for recording in &replayed.recordings {
        let (id, call_id) = (&recording["id"], recording["call_id"].as_str().unwrap_or_default());
        let export = replayed.export(id.as_str().unwrap_or_default(), "pcapng");
        let of_call = |(_, message): &&(i64, Value)| field(message, "sip.Call-ID") == Some(call_id);
        let (exported, exported_streams) = (messages(&export), streams(&export));
        let expected = all.iter().filter(of_call).count();
        assert!(expected >= 6, "{call_id}: tshark reads {expected} messages from the capture");
        assert_eq!(exported.iter().filter(of_call).count(), expected, "{call_id}");
        assert_eq!(exported.len(), expected, "{call_id}: messages of other calls");
        assert_eq!(exported_streams.len(), 2, "{call_id}");
        for (stream, packets) in &exported_streams {
            assert_eq!(Some(packets), all_streams.get(stream), "{call_id}");
        }
    }
    assert_eq!(replayed.recordings.len(), scene.specs.len());
}
