//! What a line does with frames, verdicts, time, full rings and full disks; read back from the log.

mod accounting;
mod bench;
mod disk;
mod verdict;

use earwitness_ipc::{Command, FlowSeen, Mark, SourceInfo, SourceMode, decode};
use earwitness_segment::RecordClass;
use earwitness_wire::{Endpoint, LinkType, Steer, Verdict};

use crate::{limits::DATAGRAM_NS_MAX, sample};
use bench::{A, B, Bench, SECOND, SIP_A, SIP_B, options};

/// CAP-7: signalling does not wait, whatever waits before it, and is visible after the run.
#[test]
fn signalling_does_not_wait() {
    let mut bench = Bench::new(options());
    bench.media(1, A, B, b"undecided");
    assert_eq!(
        bench.udp(2, SIP_A, SIP_B, b"INVITE sip:b@example.org SIP/2.0\r\n"),
        Steer::Signalling
    );
    bench.line.run(2);
    let records = bench.signalling();
    assert_eq!(records.len(), 1);
    let (meta, frame) = (&records[0].meta, &records[0].frame);
    assert_eq!((meta.class, meta.ts_ns, meta.link), (RecordClass::Signalling, 2, 0));
    let payload = &frame[usize::from(meta.payload)..][..usize::from(meta.payload_len)];
    assert!(payload.starts_with(b"INVITE"));
    assert_eq!(frame[usize::from(meta.l3)], 0x45);
}

/// CAP-7: a TCP connection that begins like SIP on a port nobody configured stays signalling, both
/// ways; so does one that the control plane names.
#[test]
fn tcp_connections_are_learned() {
    let (one, other) = (Endpoint::v4([10, 0, 0, 1], 6060), Endpoint::v4([10, 0, 0, 2], 40_000));
    let mut bench = Bench::new(options());
    assert_eq!(bench.tcp(1, other, one, b"rest of a body"), Steer::Unmatched);
    assert_eq!(
        bench.tcp(2, other, one, b"REGISTER sip:example.org SIP/2.0\r\n"),
        Steer::Signalling
    );
    assert_eq!(bench.tcp(3, other, one, b"rest of a body"), Steer::Signalling);
    assert_eq!(bench.tcp(4, one, other, b""), Steer::Signalling);
    let (browser, server) = (other.with_port(1000), one.with_port(443));
    assert_eq!(bench.tcp(5, browser, server, b"\x81\x05hello"), Steer::Unmatched);
    bench.line.apply(&Command::LearnTcp(vec![(server, browser)])).expect("no segments in it");
    assert_eq!(bench.tcp(6, browser, server, b"\x81\x05hello"), Steer::Signalling);
    bench.line.run(6);
    assert_eq!((bench.signalling().len(), bench.line.stats().unmatched), (4, 2));
}

/// CAP-7, CAP-9: fragments show only when whole what they are: an INVITE is logged at once, and
/// fragmented media obeys its verdict; each counts as the packets it came in.
#[test]
fn fragments_obey_verdicts() {
    let mut bench = Bench::new(options());
    let invite = [b"INVITE sip:b@example.org SIP/2.0\r\n".as_slice(), &[b' '; 3000]].concat();
    bench.fragments(1, &sample::udp(SIP_A, SIP_B, &invite), 1480, 1);
    bench.verdict(B, Some(Verdict::Ignore));
    bench.fragments(2, &sample::udp(A, B, &sample::rtp(1, 7, &[0xee; 2000])), 1480, 2);
    bench.verdict(A, Some(Verdict::Record));
    let kept = sample::udp(B, A, &sample::rtp(1, 7, &[0x11; 2000]));
    bench.fragments(3, &kept, 1480, 3);
    bench.line.run(4);
    let stats = bench.line.stats();
    assert_eq!((stats.received, stats.stored, stats.ignored), (7, 5, 2));
    let signalling = bench.signalling();
    assert_eq!((signalling.len(), signalling[0].meta.link), (1, LinkType::RawIp as u8));
    let media = bench.media_records();
    assert_eq!(media[0].frame, sample::numbered(&kept, 3));
    assert!(!bench.disk_holds(&[0xee; 64]));
}

/// CAP-7, CAP-5: a fragment inside a fragmented tunnel is put together too, down to a bound.
#[test]
fn fragments_within_fragments() {
    let inner = sample::udp(SIP_A, SIP_B, &[b' '; 3000]);
    let mut bench = Bench::new(options());
    for (at, fragment) in sample::fragments(&inner, 1480, 9).iter().enumerate() {
        // RFC 2003: IP in IP.
        let outer = sample::ip(A, B, 4, fragment);
        bench.fragments(1, &outer, 800, 100 + at as u32);
    }
    bench.line.run(1);
    let signalling = bench.signalling();
    assert_eq!(signalling.len(), 1);
    assert_eq!(signalling[0].frame, sample::numbered(&inner, 9));
    let stats = bench.line.stats();
    assert_eq!((stats.received, stats.stored, stats.held), (5, 5, 0));
}

/// CAP-8: fragments whose rest never comes are held, then lost, and the log says so.
#[test]
fn incomplete_datagrams_are_lost() {
    let mut bench = Bench::new(options());
    let packet = sample::udp(SIP_A, SIP_B, &[b' '; 3000]);
    let fragments = sample::fragments(&packet, 1480, 1);
    bench.offer(1, &sample::ethernet(&fragments[0]));
    bench.offer(1, &sample::ethernet(&fragments[1]));
    bench.line.run(2);
    assert_eq!((bench.line.stats().held, bench.line.stats().lost.total()), (2, 0));
    bench.line.run(1 + DATAGRAM_NS_MAX);
    assert_eq!((bench.line.stats().held, bench.line.stats().lost.reassembly), (0, 2));
    let [Mark::Gap { lost, .. }] = &bench.marks()[..] else { panic!("a gap") };
    assert_eq!((lost.reassembly, lost.total()), (2, 2));
}

/// CAP-8: the log itself says when capture began, what was missed and when it ended.
#[test]
fn the_log_says_when_capture_ran() {
    let mut bench = Bench::new(options());
    let source = SourceInfo {
        interface: "tap0".into(),
        source: 0,
        mode: SourceMode::Pcap,
        reason: "a file".into(),
    };
    bench.line.start(77, 5, vec![source.clone()]).expect("room");
    let start = Mark::Start { epoch: 77, ts_ns: 5, sources: vec![source] };
    assert_eq!(bench.marks(), std::slice::from_ref(&start), "visible at once");
    let dir = bench.finish(SECOND);
    assert_eq!(bench::marks(&dir), [start, Mark::Stop { ts_ns: SECOND }]);
}

/// CAP-8: frames that are nothing to us are counted, those that cannot be parsed by cause.
#[test]
fn what_is_nothing_is_counted() {
    let mut bench = Bench::new(options());
    assert_eq!(bench.offer(1, &[0; 60]), Steer::Unmatched);
    assert_eq!(bench.offer(1, &[0; 3]), Steer::Unmatched);
    assert_eq!(bench.udp(1, A, B, b"no media, no signalling"), Steer::Unmatched);
    bench.line.run(1);
    let stats = bench.line.stats();
    assert_eq!((stats.received, stats.unmatched, stats.rejected.total()), (3, 3, 2));
    assert_eq!(stats.rejected.of(earwitness_wire::Reject::NotIp), 1);
    assert_eq!(stats.received_bytes, 60 + 3 + 14 + 20 + 8 + 23);
}

/// S6 of the contract with the control plane: an undecided flow is announced with its first packet,
/// once, with its SSRC if it is RTP.
#[test]
fn undecided_flows_are_announced() {
    let mut bench = Bench::new(options());
    for at in 1..5 {
        bench.media(at, A, B, b"x");
    }
    // RFC 8489 section 5: a STUN binding request.
    let stun = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    bench.udp(5, B, A, &stun);
    bench.line.run(5);
    let seen: Vec<FlowSeen> = bench.line.events().collect();
    let there = FlowSeen { src: A, dst: B, ts_ns: 1, ssrc: Some(0x0102_0304) };
    assert_eq!(seen, [there, FlowSeen { src: B, dst: A, ts_ns: 5, ssrc: None }]);
    bench.verdict(B, Some(Verdict::Record));
    bench.media(6, A, B, b"x");
    bench.line.run(6);
    assert_eq!(bench.line.events().count(), 0);
    bench.verdict(B, None);
    bench.media(7, A, B, b"x");
    bench.line.run(7);
    assert_eq!(bench.line.events().count(), 1, "undecided again");
    assert_eq!(bench.line.stats().flows_seen, 3);
}

/// Marks are records of the signalling lane that decode.
#[test]
fn marks_decode() {
    let mut bench = Bench::new(options());
    bench.line.start(1, 2, Vec::new()).expect("room");
    let records = bench.signalling();
    assert_eq!(records[0].meta.class, RecordClass::Mark);
    let mark: Mark = decode(&records[0].frame).expect("a mark");
    assert_eq!(mark, Mark::Start { epoch: 1, ts_ns: 2, sources: Vec::new() });
}
