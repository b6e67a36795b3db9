//! Kinds of payloads, and where frames go.

mod frames;

use std::collections::{HashMap, HashSet};

use earwitness_wire::{
    Decision, Endpoint, Kind, LinkType, Reject, Steer, Tables, Verdict, decide, kind, parse,
};
use proptest::prelude::*;

#[derive(Default)]
struct Known {
    verdicts: HashMap<Endpoint, Verdict>,
    connections: HashSet<(Endpoint, Endpoint)>,
}

impl Tables for Known {
    fn verdict(&self, dst: &Endpoint) -> Option<Verdict> {
        self.verdicts.get(dst).copied()
    }

    fn ignores(&self) -> bool {
        true
    }

    fn sip_port(&self, port: u16) -> bool {
        port == 5060
    }

    fn tcp_signalling(&self, src: &Endpoint, dst: &Endpoint) -> bool {
        self.connections.contains(&(*src, *dst)) || self.connections.contains(&(*dst, *src))
    }
}

fn decide_frame(frame: &[u8], known: &Known) -> Result<Decision, Reject> {
    let parsed = parse(frame, LinkType::Ethernet)?;
    let payload = &frame[usize::from(parsed.payload)..][..usize::from(parsed.payload_len)];
    Ok(decide(&parsed, payload, known))
}

fn steer_frame(frame: &[u8], known: &Known) -> Steer {
    decide_frame(frame, known).unwrap().steer
}

fn payload_frame(wanted: &str) -> Vec<u8> {
    let all = frames::payloads();
    all.into_iter().find(|(name, _)| *name == wanted).expect("a payload's name").1
}

/// CAP-1, CALL-6: without any verdict, SIP and what looks like media are taken on every port.
#[test]
fn payloads_are_steered_by_their_first_bytes() {
    let known = Known::default();
    let undecided = Steer::Media(Verdict::Undecided);
    for (name, steer) in [
        ("rtp", undecided),
        ("rtp with extension", undecided),
        ("rtp with a longer extension", Steer::Unmatched),
        ("rtp, low port", Steer::Unmatched),
        ("rtcp", undecided),
        ("stun", undecided),
        ("stun, low port", undecided),
        ("dtls", undecided),
        ("dns", Steer::Unmatched),
        ("sip", Steer::Signalling),
        ("sip from its port", Steer::Signalling),
        ("sip elsewhere", Steer::Signalling),
        ("sip response elsewhere", Steer::Signalling),
        ("sip after line ends", Steer::Signalling),
        ("sip keep-alive", Steer::Signalling),
        ("empty keep-alive", Steer::Signalling),
        ("ssdp", Steer::Unmatched),
        ("rtsp", Steer::Unmatched),
        ("sip over tcp", Steer::Signalling),
        ("tcp before it is known", Steer::Unmatched),
        ("sip over tcp elsewhere", Steer::Signalling),
        ("http", Steer::Signalling),
        ("websocket for sip", Steer::Signalling),
        ("https", Steer::Unmatched),
        ("tcp without data", Steer::Signalling),
    ] {
        assert_eq!(steer_frame(&payload_frame(name), &known), steer, "{name}");
    }
}

/// CAP-9: the verdict of the destination decides, and SIP is signalling whatever the verdict.
#[test]
fn verdicts_decide_media() {
    let mut known = Known::default();
    let dst = Endpoint::v4(frames::DST, 30_000);
    for (verdict, steer) in [
        (Verdict::Undecided, Steer::Media(Verdict::Undecided)),
        (Verdict::Record, Steer::Media(Verdict::Record)),
        (Verdict::Mask, Steer::Media(Verdict::Mask)),
        (Verdict::Ignore, Steer::Ignored),
    ] {
        known.verdicts.insert(dst, verdict);
        for payload in [frames::rtp(), b"anything".to_vec(), Vec::new()] {
            assert_eq!(steer_frame(&frames::plain(40_000, 30_000, &payload), &known), steer);
        }
        let sip = frames::plain(40_000, 30_000, frames::INVITE);
        assert_eq!(steer_frame(&sip, &known), Steer::Signalling);
    }
    // A call on a low port is one that SDP announced.
    known.verdicts.insert(Endpoint::v4(frames::DST, 1000), Verdict::Record);
    let low = payload_frame("rtp, low port");
    assert_eq!(steer_frame(&low, &known), Steer::Media(Verdict::Record));
}

/// CAP-7: a connection that begins like SIP is learned once, and known from then on in both directions.
#[test]
fn connections_are_learned() {
    let mut known = Known::default();
    let first = decide_frame(&payload_frame("sip over tcp elsewhere"), &known).unwrap();
    assert_eq!((first.steer, first.learn, first.kind), (Steer::Signalling, true, Kind::Sip));
    let client = Endpoint::v4(frames::SRC, 40_000);
    let server = Endpoint::v4(frames::DST, 15_061);
    known.connections.insert((client, server));
    let again = decide_frame(&payload_frame("sip over tcp elsewhere"), &known).unwrap();
    assert_eq!((again.steer, again.learn), (Steer::Signalling, false));
    let rest = payload_frame("tcp before it is known");
    assert_eq!(steer_frame(&rest, &known), Steer::Signalling);
    // An HTTP request is handed up, and its connection learned if it may become a WebSocket for SIP.
    for (name, learn) in [("http", false), ("http, cut", true), ("websocket for sip", true)] {
        let http = decide_frame(&payload_frame(name), &known).unwrap();
        assert_eq!((http.steer, http.learn, http.kind), (Steer::Signalling, learn, Kind::Http));
    }
}

/// CAP-1: fragments go to reassembly if they could carry a flow.
#[test]
fn fragments_go_to_reassembly() {
    let known = Known::default();
    for (name, frame) in frames::oddities() {
        let steer = match name {
            "fragment of icmp" => Steer::Unmatched,
            _ if name.contains("fragment") => Steer::Fragment,
            _ => continue,
        };
        assert_eq!(steer_frame(&frame, &known), steer, "{name}");
    }
}

/// CALL-6: every method and every response is SIP; protocols that resemble it are not.
#[test]
fn sip_is_told_from_its_relatives() {
    for method in [
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "OPTIONS",
        "REGISTER",
        "INFO",
        "PRACK",
        "UPDATE",
        "NOTIFY",
        "SUBSCRIBE",
        "PUBLISH",
        "MESSAGE",
        "REFER",
    ] {
        assert_eq!(kind(format!("{method} sip:a@b SIP/2.0\r\n").as_bytes()), Kind::Sip, "{method}");
        assert_eq!(kind(format!("{method} tel:+49 SIP/2.0\r\n").as_bytes()), Kind::Sip, "{method}");
        assert_eq!(kind(format!("{method} * HTTP/1.1\r\n").as_bytes()), Kind::Other, "{method}");
        assert_eq!(kind(format!("{method} rtsp://a RTSP/1.0\r\n").as_bytes()), Kind::Other);
        assert_eq!(kind(format!("{method}X sip:a@b SIP/2.0\r\n").as_bytes()), Kind::Other);
    }
    assert_eq!(kind(b"SIP/2.0 100 Trying\r\n"), Kind::Sip);
    assert_eq!(kind(b"SIP/3.0 100 Trying\r\n"), Kind::Other);
    assert_eq!(kind(b"RTSP/1.0 200 OK\r\n"), Kind::Other);
    assert_eq!(kind(b"GET / HTTP/1.1\r\n"), Kind::Http);
    assert_eq!(kind(b"INVITE "), Kind::Other);
}

/// CALL-6: RFC 7983 tells the protocols of one port apart, by form and not by first byte alone.
#[test]
fn media_is_told_by_form() {
    assert_eq!(kind(&frames::rtp()), Kind::Rtp);
    assert_eq!(kind(&frames::rtcp()), Kind::Rtcp);
    assert_eq!(kind(&frames::stun()), Kind::Stun);
    assert_eq!(kind(&frames::dtls()), Kind::Dtls);
    assert_eq!(kind(&[]), Kind::Other);
    let change = |packet: Vec<u8>, at: usize, byte: u8| {
        let mut packet = packet;
        packet[at] = byte;
        kind(&packet)
    };
    // Version 1; a payload type that only RTCP could have; sources beyond the end.
    assert_eq!(change(frames::rtp(), 0, 0x40), Kind::Other);
    assert_eq!(change(frames::rtp(), 1, 72), Kind::Other);
    assert_eq!(kind(&frames::rtp()[..11]), Kind::Other);
    assert_eq!(change(frames::rtp()[..71].to_vec(), 0, 0x8f), Kind::Other);
    assert_eq!(change(frames::rtp()[..72].to_vec(), 0, 0x8f), Kind::Rtp);
    // The marker bit belongs to RTP's payload type, unless that makes it RTCP.
    assert_eq!(change(frames::rtp(), 1, 0x80 | 96), Kind::Rtp);
    assert_eq!(change(frames::rtp(), 1, 0x80 | 72), Kind::Rtcp);
    assert_eq!(change(frames::rtcp(), 3, 7), Kind::Other);
    assert_eq!(change(frames::stun(), 4, 0), Kind::Other);
    assert_eq!(change(frames::stun(), 3, 9), Kind::Other);
    assert_eq!(change(frames::stun(), 3, 12), Kind::Other);
    assert_eq!(change(frames::dtls(), 2, 0xfe), Kind::Other);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// S9: any payload has a kind; and bytes behind its end do not change it.
    #[test]
    fn any_payload_has_a_kind(payload in prop::collection::vec(any::<u8>(), 0..80)) {
        let alone = kind(&payload);
        let mut frame = frames::plain(40_000, 30_000, &payload);
        frame.extend([0xff; 64]);
        let decision = decide_frame(&frame, &Known::default()).unwrap();
        prop_assert_eq!(decision.kind, alone);
    }
}
