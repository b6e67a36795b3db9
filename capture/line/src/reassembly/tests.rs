//! Datagrams cut, shuffled, repeated, bent; and the counters that must add up.

use earwitness_wire::{Endpoint, parse};
use proptest::prelude::*;

use super::*;
use crate::{limits::DATAGRAM_BYTES_MAX, sample};

const V4: (Endpoint, Endpoint) =
    (Endpoint::v4([192, 0, 2, 1], 5060), Endpoint::v4([192, 0, 2, 2], 5060));
const V6: (Endpoint, Endpoint) = (Endpoint::v6([1; 16], 5060), Endpoint::v6([2; 16], 5060));

struct Bench {
    reassembly: Reassembly,
    whole: Vec<u8>,
    out: Vec<(Vec<u8>, u16)>,
}

impl Bench {
    fn new() -> Self {
        Self { reassembly: Reassembly::new(), whole: Vec::new(), out: Vec::new() }
    }

    /// Gives one packet of IP; whole datagrams are kept, and the counters must add up.
    fn give(&mut self, ts_ns: u64, packet: &[u8]) {
        let bytes = sample::ethernet(packet);
        let frame = sample::frame(ts_ns, &bytes, LinkType::Ethernet);
        let parsed = parse(&bytes, LinkType::Ethernet).expect("a packet");
        assert!(parsed.fragment.is_some());
        if let Some(datagram) = self.reassembly.offer(&frame, &parsed, 1, &mut self.whole) {
            assert_eq!(datagram.frame.link, LinkType::RawIp);
            self.out.push((datagram.frame.bytes.to_vec(), datagram.packets));
        }
        let stats = self.reassembly.stats();
        assert_eq!(stats.given, stats.held + stats.whole + stats.lost, "{stats:?}");
        assert!(self.reassembly.bytes <= DATAGRAM_BYTES_TOTAL_MAX);
        assert!(self.reassembly.births.len() <= 2 * DATAGRAMS_MAX);
    }
}

fn payload(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 256 + salt) as u8).collect()
}

/// CAP-7: a fragmented INVITE over IPv4 and IPv6 comes out as the packet that was sent.
#[test]
fn an_invite_in_fragments() {
    for (src, dst) in [V4, V6] {
        let packet = sample::udp(src, dst, &payload(3000, 1));
        let mut bench = Bench::new();
        for fragment in sample::fragments(&packet, 1480, 77) {
            bench.give(5, &fragment);
        }
        assert_eq!(bench.out, [(sample::numbered(&packet, 77), 3)]);
        let (bytes, _) = &bench.out[0];
        let parsed = parse(bytes, LinkType::RawIp).expect("whole");
        assert_eq!((parsed.src, parsed.dst, parsed.payload_len), (src, dst, 3000));
        let wanted = ReassemblyStats { given: 3, whole: 3, datagrams: 1, ..Default::default() };
        assert_eq!(bench.reassembly.stats(), wanted);
    }
}

/// CAP-7: extension headers before the fragment header stay, and the last one announces what the
/// fragment header announced.
#[test]
fn extension_headers_before_the_fragment_header() {
    let packet = sample::udp(V6.0, V6.1, &payload(40, 1));
    let mut bench = Bench::new();
    for mut fragment in sample::fragments(&packet, 24, 9) {
        // RFC 8200 section 4.3: a hop-by-hop header with only padding.
        fragment.splice(40..40, [44, 0, 1, 4, 0, 0, 0, 0]);
        fragment[6] = 0;
        let length = fragment.len() as u16 - 40;
        fragment[4..6].copy_from_slice(&length.to_be_bytes());
        bench.give(5, &fragment);
    }
    let (bytes, packets) = &bench.out[0];
    assert_eq!((*packets, bytes[6], bytes[40]), (2, 0, 17));
    let parsed = parse(bytes, LinkType::RawIp).expect("whole");
    assert_eq!((parsed.dst, parsed.payload, parsed.payload_len), (V6.1, 56, 40));
}

/// CAP-7: overlaps in IPv4 keep what came first and are counted; in IPv6 they end the datagram
/// (RFC 5722 section 4).
#[test]
fn overlaps() {
    for ((src, dst), whole) in [(V4, 1), (V6, 0)] {
        let packet = sample::udp(src, dst, &payload(40, 1));
        let header = if src.is_v4() { 20 } else { 40 };
        let (header, body) = packet.split_at(header);
        let mut bench = Bench::new();
        bench.give(1, &sample::fragment(header, 16, true, 3, &body[16..32]));
        bench.give(1, &sample::fragment(header, 8, true, 3, &[[0xee; 8], [0xee; 8]].concat()));
        bench.give(1, &sample::fragment(header, 0, true, 3, &body[..16]));
        bench.give(1, &sample::fragment(header, 32, false, 3, &body[32..]));
        assert_eq!(bench.out.len(), whole);
        let stats = bench.reassembly.stats();
        if src.is_v4() {
            assert_eq!((stats.overlaps, stats.lost, stats.whole), (2, 0, 4));
            let mut expected = sample::numbered(&packet, 3);
            expected[20 + 8..20 + 16].fill(0xee);
            assert_eq!(bench.out[0].0, expected, "bytes 8 to 16 came with the second piece");
        } else {
            assert_eq!((stats.overlaps, stats.lost), (1, 2));
        }
    }
}

/// S9: pieces that no sender makes are refused, and the datagram around them becomes whole.
#[test]
fn nonsense_is_refused() {
    let packet = sample::udp(V4.0, V4.1, &payload(40, 1));
    let (header, body) = packet.split_at(20);
    let mut bench = Bench::new();
    bench.give(1, &sample::fragment(header, 0, true, 3, &body[..40]));
    // Teardrop: a last piece that ends within what is there.
    bench.give(1, &sample::fragment(header, 24, false, 3, &body[24..28]));
    // Not a multiple of eight; nothing at all; beyond the longest packet.
    bench.give(1, &sample::fragment(header, 40, true, 3, &body[40..45]));
    bench.give(1, &sample::fragment(header, 40, true, 3, &[]));
    bench.give(1, &sample::fragment(header, 65_528, false, 3, &[0; 9]));
    bench.give(1, &sample::fragment(header, 40, false, 3, &body[40..]));
    assert_eq!(bench.out, [(sample::numbered(&packet, 3), 2)]);
    // A second end, and data behind the end.
    bench.give(1, &sample::fragment(header, 40, false, 4, &body[40..]));
    bench.give(1, &sample::fragment(header, 40, false, 4, &[0; 16]));
    bench.give(1, &sample::fragment(header, 80, true, 4, &[0; 16]));
    bench.give(1, &sample::fragment(header, 0, true, 4, &body[..40]));
    assert_eq!(bench.out.len(), 2);
    assert_eq!(bench.reassembly.stats().refused, 6);
}

/// CAP-8: what never becomes whole is given up in time, or for newer ones, and counted packet by
/// packet.
#[test]
fn time_and_room_are_bounded() {
    let packet = sample::udp(V4.0, V4.1, &payload(4000, 1));
    let first = |id| sample::fragments(&packet, 1480, id).swap_remove(0);
    let mut bench = Bench::new();
    bench.give(0, &first(1));
    bench.give(DATAGRAM_NS_MAX - 1, &first(2));
    assert_eq!((bench.reassembly.stats().held, bench.reassembly.stats().timeouts), (2, 0));
    bench.reassembly.expire(DATAGRAM_NS_MAX);
    assert_eq!((bench.reassembly.stats().held, bench.reassembly.stats().lost), (1, 1));
    for id in 0..DATAGRAMS_MAX as u32 + 10 {
        bench.give(DATAGRAM_NS_MAX, &first(1000 + id));
    }
    let stats = bench.reassembly.stats();
    assert_eq!((stats.held, stats.evicted), (DATAGRAMS_MAX as u64, 11));
    bench.reassembly.abandon();
    assert_eq!((bench.reassembly.stats().held, bench.reassembly.bytes), (0, 0));

    let mut bench = Bench::new();
    let (header, _) = packet.split_at(20);
    for id in 0..600 {
        bench.give(1, &sample::fragment(header, 64_000, true, id, &[0; 1400]));
    }
    let stats = bench.reassembly.stats();
    let fit = DATAGRAM_BYTES_TOTAL_MAX / 65_400;
    assert_eq!((stats.held, stats.lost), (fit as u64, 600 - fit as u64));
}

/// CAP-8: a datagram longer than a packet can be is lost, not cut.
#[test]
fn a_datagram_beyond_the_longest_packet() {
    let packet = sample::udp(V4.0, V4.1, &payload(40, 1));
    let (header, _) = packet.split_at(20);
    let mut bench = Bench::new();
    bench.give(1, &sample::fragment(header, 65_528, false, 3, &[0; 7]));
    for at in (0..65_528).step_by(1024) {
        let len = (65_528 - at).min(1024);
        bench.give(1, &sample::fragment(header, at as u16, true, 3, &vec![0; len]));
    }
    assert_eq!((bench.out.len(), bench.reassembly.stats().lost), (0, 65));
    const { assert!(DATAGRAM_BYTES_MAX == 65_535) };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// CAP-7: cut anyhow, in any order, with repetitions and other datagrams between: out comes
    /// what was sent, once, and every packet is accounted for.
    #[test]
    fn any_order_gives_the_datagram(
        cuts in prop::collection::vec((1usize..40, 1usize..1500), 1..5),
        ipv6 in any::<bool>(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 200),
    ) {
        let (src, dst) = if ipv6 { V6 } else { V4 };
        let mut packets = Vec::new();
        let mut pieces = Vec::new();
        for (id, (piece, len)) in cuts.iter().enumerate() {
            let packet = sample::udp(src, dst, &payload(piece * 8 + len, id));
            let mut cut = sample::fragments(&packet, piece * 8, id as u32);
            cut.truncate(200);
            if cut.len() < 2 || (8 + piece * 8 + len).div_ceil(piece * 8) > 200 { continue; }
            packets.push((sample::numbered(&packet, id as u32), cut.len()));
            pieces.append(&mut cut);
        }
        let mut bench = Bench::new();
        let mut left = pieces;
        for at in order.iter().cycle() {
            if left.is_empty() { break; }
            let at = at.index(left.len());
            let piece = left.swap_remove(at);
            bench.give(1, &piece);
        }
        prop_assert_eq!(bench.reassembly.stats().lost, 0);
        prop_assert_eq!(bench.out.len(), packets.len());
        for (packet, pieces) in packets {
            prop_assert!(bench.out.contains(&(packet, pieces as u16)));
        }
    }

    /// S9: any pieces with any bounds keep the counters right and the bounds kept.
    #[test]
    fn any_pieces_are_survived(
        pieces in prop::collection::vec(
            (0u16..64, any::<bool>(), 0u32..4, 0usize..80, any::<bool>()), 0..200
        ),
    ) {
        let mut bench = Bench::new();
        let headers = [V4, V6].map(|(src, dst)| sample::udp(src, dst, &[]));
        for (at, (offset, more, id, len, ipv6)) in pieces.into_iter().enumerate() {
            let header = if ipv6 { &headers[1][..40] } else { &headers[0][..20] };
            if offset == 0 && !more { continue; }
            let piece = sample::fragment(header, offset * 8, more, id, &payload(len, at));
            bench.give(at as u64, &piece);
        }
        bench.reassembly.abandon();
        prop_assert_eq!(bench.reassembly.stats().held, 0);
        prop_assert_eq!(bench.reassembly.bytes, 0);
    }
}
