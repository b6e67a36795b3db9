//! Hosts that are not a party of a call: keys that they press in it, and more registrations than there is room for.

use std::net::SocketAddr;

use earwitness_fixtures::address::{ends, stranger};
use earwitness_fixtures::call::Frame;
use earwitness_fixtures::encapsulation::{Encapsulation, Family};
use earwitness_fixtures::ip::{self, Shape};
use earwitness_fixtures::live::{Pace, Sender};
use earwitness_fixtures::rtp::{self, Header, TELEPHONE_EVENT, event, event_code};
use earwitness_fixtures::scene::Scene;
use earwitness_fixtures::spec::{CallSpec, Party};
use earwitness_fixtures::truth::Truth;
use serde_json::json;

use crate::daemon::{Daemon, list};
use crate::space::Space;

const MS: u64 = 1_000_000;
/// Packets of one key, 20 ms each, and the pause behind it.
const KEY_PACKETS: u16 = 5;
const KEY_MS: u64 = 200;
/// The configuration's code for a pause.
const CODE: &str = "*48";

/// S10: what there is room for.
const DEVICES_MAX: u32 = 1 << 17;
/// So many more register.
const TOO_MANY: u32 = 3_000;
/// Between two phones.
const PHONE_NS: u64 = 60_000;

fn frame(ts_ns: u64, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Frame {
    let packets = ip::udp(from, to, payload, Shape::Plain, 7);
    Frame { ts_ns, bytes: Encapsulation::Plain.frame(&packets[0], 1) }
}

/// Plays the frames in the order of their times; how many there were.
fn play(daemon: &Daemon, mut frames: Vec<Frame>) -> u64 {
    frames.sort_by_key(|frame| frame.ts_ns);
    let sender = daemon.space.sending(move || {
        let sender = Sender::open("span").expect("the span port is there");
        sender.play(frames, Pace::Times(1.0)).expect("frames can be sent")
    });
    sender.join().expect("all was sent")
}

/// The code in telephone events, from a host to where the callee receives.
fn keys(from: SocketAddr, to: SocketAddr, at_ns: u64) -> Vec<Frame> {
    let keys = (0..).zip(CODE.chars());
    let packets = keys.flat_map(|(number, key)| (0..KEY_PACKETS).map(move |at| (number, key, at)));
    let packet = |(number, key, at): (u64, char, u16)| {
        let header = Header {
            payload_type: TELEPHONE_EVENT,
            marker: at == 0,
            sequence: number as u16 * KEY_PACKETS + at,
            timestamp: number as u32 * KEY_MS as u32 * 8,
            ssrc: 0x5eed,
        };
        let payload = event(event_code(key), at + 1 == KEY_PACKETS, (at + 1) * 160);
        let ts_ns = at_ns + (number * KEY_MS + u64::from(at) * 20) * MS;
        frame(ts_ns, from, to, &rtp::packet(header, &payload))
    };
    packets.map(packet).collect()
}

/// POL-8: a feature code in telephone events from a host that is no party of the call, though all networks are allowed, is
/// refused, counted, told in the call's trace, and without effect.
#[test]
fn keys_of_a_stranger() {
    let folder = tempfile::tempdir().expect("there is room");
    let daemon =
        Daemon::start(Space::new("hk"), folder.path(), "[control]\nallow = [\"0.0.0.0/0\"]\n");
    let spec = CallSpec { talk_ms: 4_000, ..CallSpec::new(3) };
    let first_ns = Truth::of(&spec).side(Party::Caller).first_ns;
    let to = ends(&spec)[Party::Callee.index()].media;
    let mut frames: Vec<Frame> = Scene::new(vec![spec]).frames().collect();
    frames.extend(keys(stranger(Family::V4), to, first_ns + 1_500 * MS));
    play(&daemon, frames);
    let metrics = daemon.await_metrics("the code is refused", |metrics| {
        metrics.sum("earwitness_control_refused_total") >= 1.0
    });
    let refused: Vec<_> = metrics.series("earwitness_control_refused_total").collect();
    assert_eq!(refused, [("{by=\"rtp_event\",reason=\"spoofed\"}", 1.0)]);
    let data_dir = daemon.stop_when_finished();
    let calls = list(&data_dir, "calls");
    let told = calls[0]["events"].to_string();
    assert!(told.contains("the keys did not come from the party's own address"), "{told}");
    let recordings = list(&data_dir, "recordings");
    assert_eq!((recordings.len(), &recordings[0]["hidden"]), (1, &json!([])));
    assert!(recordings[0]["duration_ms"].as_u64().expect("a number") > 3_500, "{recordings:#?}");
}

/// A phone that registers, and its registrar's answer.
fn registration(number: u32, at_ns: u64) -> [Frame; 2] {
    let registrar = SocketAddr::from(([10, 200, 0, 1], 5060));
    let phone = SocketAddr::from(((0x0b00_0000 + number).to_be_bytes(), 5060));
    let fields = format!(
        "Via: SIP/2.0/UDP {phone};branch=z9hG4bKr{number}\r\nFrom: <sip:u{number}@home>;tag={number}\r\n\
         To: <sip:u{number}@home>\r\nCall-ID: r{number}\r\nCSeq: 1 REGISTER\r\n\
         Contact: <sip:u{number}@{phone}>;expires=3600\r\nContent-Length: 0\r\n\r\n"
    );
    let request = format!("REGISTER sip:home SIP/2.0\r\n{fields}");
    let answer = format!("SIP/2.0 200 OK\r\n{fields}");
    [
        frame(at_ns, phone, registrar, request.as_bytes()),
        frame(at_ns + PHONE_NS / 2, registrar, phone, answer.as_bytes()),
    ]
}

/// S10, CAP-8: of more registrations than there is room for, those past the bound are counted; no packet is lost, and a call
/// meanwhile is recorded whole.
#[test]
fn a_flood_of_registrations() {
    let folder = tempfile::tempdir().expect("there is room");
    let daemon = Daemon::start(Space::new("hr"), folder.path(), "");
    let phones = u64::from(DEVICES_MAX + TOO_MANY);
    let talk_ms = 5_000;
    let spec = CallSpec { talk_ms, ..CallSpec::new(4) };
    let mut frames: Vec<Frame> = Scene::new(vec![spec]).frames().collect();
    let first_ns = frames[0].ts_ns;
    frames.extend(
        (0..DEVICES_MAX + TOO_MANY)
            .flat_map(|number| registration(number, first_ns + u64::from(number) * PHONE_NS)),
    );
    let sent = play(&daemon, frames) as f64;
    assert!(sent > 2.0 * phones as f64);
    let known = |metrics: &crate::daemon::Metrics| {
        ["earwitness_registrations", "earwitness_registrations_left_out_total"]
            .map(|name| metrics.sum(name))
    };
    let metrics = daemon.await_metrics("all have registered", |metrics| {
        known(metrics).iter().sum::<f64>() >= phones as f64
    });
    assert_eq!(known(&metrics), [f64::from(DEVICES_MAX), f64::from(TOO_MANY)]);
    assert_eq!(metrics.sum("earwitness_capture_lost_packets_total"), 0.0);
    let data_dir = daemon.stop_when_finished();
    let recordings = list(&data_dir, "recordings");
    assert_eq!(recordings.len(), 1, "{recordings:#?}");
    assert_eq!(recordings[0]["packets"]["lost"], 0, "{recordings:#?}");
    let duration_ms = recordings[0]["duration_ms"].as_u64().expect("a number");
    assert!(duration_ms + 500 > u64::from(talk_ms), "{duration_ms} ms");
}
