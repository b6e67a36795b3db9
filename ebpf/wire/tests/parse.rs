//! The parser over frames built by hand, over mutated ones, and over arbitrary bytes.

mod frames;

use earwitness_wire::limits::{HEADER_BYTES_MAX, TUNNELS_MAX, VXLAN_PORT};
use earwitness_wire::{
    Endpoint, Fragment, LinkType, Options, Parsed, Reject, Transport, parse, parse_bytes,
    parse_plain, parse_walk,
};
use frames::{encapsulations, oddities, payloads};
use proptest::prelude::*;

const OPTIONS: Options = Options { vxlan_ports: [VXLAN_PORT, 8472, 0, 0] };

fn parse_frame(frame: &[u8]) -> Result<Parsed, Reject> {
    parse_bytes(frame, LinkType::Ethernet, &OPTIONS)
}

fn payload<'a>(frame: &'a [u8], parsed: &Parsed) -> &'a [u8] {
    &frame[usize::from(parsed.payload)..][..usize::from(parsed.payload_len)]
}

/// CAP-1, CAP-5: each encapsulation leads to the same inner flow.
#[test]
fn encapsulations_lead_to_the_inner_flow() {
    let media = frames::rtp();
    for (name, frame) in encapsulations(&media) {
        let parsed = parse_frame(&frame).unwrap_or_else(|reject| panic!("{name}: {reject}"));
        let (src, dst) = match frame[usize::from(parsed.l3)] >> 4 {
            4 => (Endpoint::v4(frames::SRC, 40_000), Endpoint::v4(frames::DST, 30_000)),
            6 => (Endpoint::v6(frames::SRC6, 40_000), Endpoint::v6(frames::DST6, 30_000)),
            other => panic!("{name}: an IP header of version {other}"),
        };
        assert_eq!((parsed.src, parsed.dst), (src, dst), "{name}");
        assert_eq!(parsed.transport, Transport::Udp, "{name}");
        assert_eq!(payload(&frame, &parsed), media, "{name}");
        assert_eq!((parsed.fragment, parsed.tcp), (None, None), "{name}");
        let tunnels = match name {
            "vxlan in gre" | "erspan of ip in ip" => 2,
            "mpls pseudowire" => 1,
            _ => u8::from(
                ["gre", "erspan", "vxlan", "ip in", "ipv6 in"]
                    .iter()
                    .any(|tunnel| name.starts_with(tunnel)),
            ),
        };
        assert_eq!(parsed.tunnels, tunnels, "{name}");
    }
}

/// What is read in a few words must be what the walk reads. Gives whether it was.
fn agrees(frame: &[u8]) -> bool {
    let plain = parse_plain(frame, &OPTIONS);
    if let Some(parsed) = plain {
        assert_eq!(parse_walk(frame, LinkType::Ethernet, &OPTIONS), Ok(parsed), "{frame:02x?}");
    }
    plain.is_some()
}

/// CAP-1: frames that are plain, with a tag or without, and each of them with one byte changed or cut.
#[test]
fn a_plain_frame_is_what_the_walk_finds() {
    let mut plain = Vec::new();
    for (name, frame) in encapsulations(&frames::rtp()) {
        if agrees(&frame) {
            plain.push(name);
        }
        for at in 0..frame.len().min(64) {
            for bit in 0..8 {
                let mut changed = frame.clone();
                changed[at] ^= 1 << bit;
                agrees(&changed);
            }
            agrees(&frame[..at]);
        }
    }
    assert_eq!(plain, ["ipv4", "ipv4, do not fragment", "802.1Q", "9100"]);
}

/// CAP-1: tags are counted wherever they are.
#[test]
fn tags_are_counted() {
    let tags = |wanted: &str| {
        let all = encapsulations(&frames::rtp());
        let (_, frame) = all.iter().find(|(name, _)| *name == wanted).unwrap();
        parse_frame(frame).unwrap().vlans
    };
    assert_eq!((tags("ipv4"), tags("802.1Q"), tags("802.1ad"), tags("QinQ")), (0, 1, 2, 2));
    assert_eq!((tags("erspan II"), tags("pppoe over QinQ")), (1, 2));
}

/// CAP-5: what follows Ethernet and its padding is not payload.
#[test]
fn padding_is_not_payload() {
    let mut frame = frames::plain(40_000, 30_000, b"1234");
    frame.resize(60, 0);
    assert_eq!(payload(&frame, &parse_frame(&frame).unwrap()), b"1234");
    // A length beyond the end is cut to what there is.
    let frame = frames::plain(40_000, 30_000, &frames::rtp());
    let parsed = parse_frame(&frame[..100]).unwrap();
    assert_eq!((parsed.payload, parsed.payload_len), (42, 58));
}

fn cause(wanted: &str) -> Result<Transport, Reject> {
    let all = oddities();
    let (_, frame) = all.iter().find(|(name, _)| *name == wanted).expect("an oddity's name");
    parse_frame(frame).map(|parsed| parsed.transport)
}

/// CAP-8: each frame without a flow has its cause.
#[test]
fn rejects_have_their_cause() {
    for (name, reject) in [
        ("arp", Reject::NotIp),
        ("llc", Reject::NotIp),
        ("pppoe discovery", Reject::NotIp),
        ("pppoe lcp", Reject::NotIp),
        ("three tags", Reject::TooManyVlans),
        ("nine labels", Reject::TooManyLabels),
        ("three tunnels", Reject::TooManyTunnels),
        ("nine extensions", Reject::TooManyExtensions),
        ("long extensions", Reject::TooManyHeaders),
        ("gre source route", Reject::BadGre),
        ("erspan of a later version", Reject::BadErspan),
        ("erspan III of something", Reject::BadErspan),
        ("pppoe with a code", Reject::BadPppoe),
        ("tcp, bad offset", Reject::BadTcp),
        ("udp, bad length", Reject::BadUdp),
    ] {
        assert_eq!(cause(name), Err(reject), "{name}");
    }
    let mut frame = frames::plain(1, 2, b"");
    frame[14] = 0x44;
    assert_eq!(parse_frame(&frame), Err(Reject::BadIpv4));
    let mut frame = frames::ethernet(frames::IPV6, &frames::ipv6(frames::UDP, &[0; 8]));
    frame[14] = 0x50;
    assert_eq!(parse_frame(&frame), Err(Reject::BadIpv6));
}

/// CAP-1: what has no ports has a protocol, and tolerated lengths of 0 mean the rest of the frame.
#[test]
fn other_protocols_are_named() {
    for (name, transport) in [
        ("icmp", Transport::Other(1)),
        ("esp", Transport::Other(50)),
        ("pptp", Transport::Other(47)),
        ("gre of something", Transport::Other(47)),
        ("fragment of a tunnel", Transport::Other(47)),
        ("vxlan without its flag", Transport::Udp),
        ("ipv6 jumbogram", Transport::Udp),
        ("segmentation offload", Transport::Udp),
        ("empty udp", Transport::Udp),
    ] {
        assert_eq!(cause(name), Ok(transport), "{name}");
    }
}

/// CAP-1: fragments of one datagram carry its parts, and only the first has ports.
#[test]
fn fragments_are_parts() {
    let whole = frames::udp(40_000, 30_000, &frames::rtp());
    let all = oddities();
    let get = |wanted: &str| {
        let (_, frame) = all.iter().find(|(name, _)| *name == wanted).unwrap();
        (frame.clone(), parse_frame(frame).unwrap())
    };
    let (frame, first) = get("ipv4 first fragment");
    let id = 0x1234;
    assert_eq!(first.fragment, Some(Fragment { id, offset: 0, more: true }));
    assert_eq!((first.src.port, first.dst.port), (40_000, 30_000));
    let (tail, last) = get("ipv4 last fragment");
    assert_eq!(last.fragment, Some(Fragment { id, offset: 96, more: false }));
    assert_eq!((last.src.port, last.dst.port), (0, 0));
    assert_eq!([payload(&frame, &first), payload(&tail, &last)].concat(), whole);
    assert_eq!(first.flow_hash(), last.flow_hash());
    let (frame, first) = get("ipv6 first fragment");
    let (_, last) = get("ipv6 last fragment");
    assert_eq!(first.fragment, Some(Fragment { id: 0xabcd, offset: 0, more: true }));
    assert_eq!(last.fragment, Some(Fragment { id: 0xabcd, offset: 96, more: false }));
    assert_eq!(payload(&frame, &first), whole);
    assert_eq!(first.flow_hash(), last.flow_hash());
    // An outer fragment ends the walk: its inner flow is known once it is whole.
    let (_, tunnel) = get("fragment of a tunnel");
    assert_eq!((tunnel.tunnels, tunnel.dst), (0, Endpoint::v4(frames::DST, 0)));
}

/// CAP-4: captures of cooked and raw links lead to the same flow.
#[test]
fn other_links_lead_to_the_same_flow() {
    let ip = frames::ipv4(frames::UDP, &frames::udp(40_000, 30_000, b"payload"));
    let mut sll = vec![0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0];
    sll.extend(&ip);
    let mut sll2 = vec![8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    sll2.extend(&ip);
    for (link, frame) in [(LinkType::RawIp, ip), (LinkType::Sll, sll), (LinkType::Sll2, sll2)] {
        let parsed = parse(&frame, link).unwrap();
        assert_eq!(parsed.dst, Endpoint::v4(frames::DST, 30_000), "{link:?}");
        assert_eq!(payload(&frame, &parsed), b"payload", "{link:?}");
    }
    assert_eq!(parse(&[0; 15], LinkType::Sll), Err(Reject::TruncatedLink));
    assert_eq!(parse(&[0; 15], LinkType::Sll2), Err(Reject::TruncatedLink));
    assert_eq!(parse(&[0x10; 40], LinkType::RawIp), Err(Reject::NotIp));
    assert_eq!(parse(&[], LinkType::RawIp), Err(Reject::TruncatedNetwork));
}

/// CAP-1: the hash says nothing of direction, and spreads flows.
#[test]
fn flow_hash_has_no_direction() {
    let forth = parse_frame(&frames::plain(40_000, 30_000, b"")).unwrap();
    let mut back = forth;
    (back.src, back.dst) = (forth.dst, forth.src);
    assert_eq!(forth.flow_hash(), back.flow_hash());
    let mut slots = [0; 4];
    for port in 0..1000 {
        let parsed = parse_frame(&frames::plain(40_000, 10_000 + 2 * port, b"")).unwrap();
        slots[parsed.flow_hash() as usize % 4] += 1;
    }
    assert!(slots.iter().all(|count| (150..350).contains(count)), "{slots:?}");
}

/// What must hold of any answer, whatever the bytes.
fn check(frame: &[u8], link: LinkType) {
    let Ok(parsed) = parse_bytes(frame, link, &OPTIONS) else { return };
    let (l3, start) = (usize::from(parsed.l3), usize::from(parsed.payload));
    let end = start + usize::from(parsed.payload_len);
    assert!(l3 < start && start <= frame.len() && end <= frame.len(), "{parsed:?}");
    assert!(parsed.payload <= HEADER_BYTES_MAX as u16 + 2048 + 64, "{parsed:?}");
    assert!(parsed.tunnels <= TUNNELS_MAX, "{parsed:?}");
    assert_eq!(
        parsed.tcp.is_some(),
        parsed.transport == Transport::Tcp && parsed.fragment.is_none()
    );
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let mut all = encapsulations(&frames::rtp());
    all.extend(oddities());
    all.extend(payloads());
    let all: Vec<Vec<u8>> = all.into_iter().map(|(_, frame)| frame).collect();
    prop::sample::select(all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// S9: arbitrary bytes give an answer whose offsets lie within them.
    #[test]
    fn arbitrary_bytes_are_answered(
        frame in prop::collection::vec(any::<u8>(), 0..200),
        link in prop::sample::select(vec![LinkType::Ethernet, LinkType::RawIp, LinkType::Sll, LinkType::Sll2]),
    ) {
        check(&frame, link);
    }

    /// S9: so do frames with changed bytes, cut anywhere.
    #[test]
    fn mutated_frames_are_answered(
        mut frame in any_frame(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        for (at, byte) in changes {
            *at.get_mut(&mut frame[..]) = byte;
        }
        check(&frame, LinkType::Ethernet);
        check(&frame[..cut.index(frame.len() + 1)], LinkType::Ethernet);
    }

    /// CAP-8: a frame cut short has the same flow, or is refused as truncated.
    #[test]
    fn cut_frames_have_the_same_flow(frame in any_frame(), cut in any::<prop::sample::Index>()) {
        let Ok(whole) = parse_frame(&frame) else { return Ok(()) };
        match parse_frame(&frame[..cut.index(frame.len() + 1)]) {
            Ok(part) => {
                // A first fragment may lose its ports, and a VXLAN header that is gone was UDP.
                if whole.fragment.is_none() && whole.tunnels == part.tunnels {
                    prop_assert_eq!((part.src, part.dst, part.l3), (whole.src, whole.dst, whole.l3));
                    prop_assert!(part.payload_len <= whole.payload_len);
                }
            }
            Err(reject) => prop_assert!(reject.name().starts_with("truncated"), "{}", reject),
        }
    }
}
