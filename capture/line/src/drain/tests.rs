//! The drain on lines that others fill: another thread, a kernel.

use std::cell::Cell;

use earwitness_ipc::{Command, VerdictChange};
use earwitness_segment::WriterOptions;
use earwitness_wire::{Endpoint, LinkType, Verdict};

use super::*;
use crate::{
    Held, Hint,
    ring::{Meta, Overflow},
    sample,
};

const A: Endpoint = Endpoint::v4([192, 0, 2, 1], 4000);
const B: Endpoint = Endpoint::v4([192, 0, 2, 2], 4002);

fn options(dir: &Path) -> DrainOptions {
    let small = WriterOptions { segment_bytes: 1 << 20, ..WriterOptions::default() };
    DrainOptions {
        signalling: small.clone(),
        media: small,
        flush_ns: 0,
        ..DrainOptions::new(dir.into())
    }
}

fn rings(bytes: usize) -> RingOptions {
    RingOptions { media_bytes: bytes, signalling_bytes: bytes, residence: Residence::Pageable }
}

fn verdict(dst: Endpoint, verdict: Verdict) -> Command {
    Command::Verdicts(vec![VerdictChange::now(dst, Some(verdict))])
}

/// CAP-2, CAP-8: one thread receives, another writes; between them nothing is lost uncounted.
#[test]
fn producer_and_drain_on_two_threads() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let steering = SteeringOptions { sip_ports: vec![5060], ..SteeringOptions::default() };
    let (mut producer, receivers) = open_rings(&rings(64 << 10), &steering).expect("memory");
    let mut drain = Drain::open(options(dir.path())).expect("lanes");
    receivers.into_iter().for_each(|receiver| drain.add_line(receiver));
    producer.apply(&verdict(B, Verdict::Record));
    drain.apply(&verdict(B, Verdict::Record)).expect("no segments in it");
    let receiving = std::thread::spawn(move || {
        for number in 0..20_000u64 {
            let (src, dst) = if number % 3 == 0 { (B, A) } else { (A, B) };
            let payload = sample::rtp(number as u16, 7, &[0x55; 160]);
            let bytes = sample::ethernet(&sample::udp(src, dst, &payload));
            producer.offer(&sample::frame(number, &bytes, LinkType::Ethernet));
            if number % 16 == 0 {
                producer.publish();
            }
        }
        producer.publish();
        producer
    });
    let mut now_ns = 0;
    while !receiving.is_finished() {
        now_ns += 1;
        drain.run(now_ns);
    }
    let producer = receiving.join().expect("a good end");
    drain.run(now_ns);
    let mut stats = producer.stats();
    stats.add(&drain.stats());
    assert_eq!((stats.received, stats.unaccounted()), (20_000, 0), "{stats:?}");
    assert!(stats.stored > 0 && stats.held > 0, "{stats:?}");
}

/// A line that a kernel fills: frames with the class it gave them, some records not done yet.
#[derive(Debug)]
struct KernelLine {
    records: Vec<(Hint, Vec<u8>)>,
    /// The first record that the kernel is not done with.
    busy: Cell<usize>,
    released: u64,
}

impl DelayLine for KernelLine {
    fn refresh(&mut self) -> u64 {
        self.records.len() as u64
    }

    fn heard_ns(&self, now_ns: u64) -> u64 {
        now_ns
    }

    fn peek(&self, position: u64) -> Option<Held<'_>> {
        assert!(position >= self.released, "released");
        if position as usize >= self.busy.get() {
            return None;
        }
        let (hint, frame) = self.records.get(position as usize)?;
        let parsed = earwitness_wire::parse(frame, LinkType::Ethernet).expect("a packet");
        let meta = Meta {
            ts_ns: position,
            wire_len: frame.len() as u32,
            l3: parsed.l3,
            payload: parsed.payload,
            payload_len: parsed.payload_len,
            packets: 1,
            link: LinkType::Ethernet as u8,
            source: 3,
            hint: *hint,
        };
        Some(Held { meta, frame, at: position, next: position + 1 })
    }

    fn release(&mut self, position: u64) {
        assert!(position >= self.released, "backwards");
        self.released = position;
    }

    fn released(&self) -> u64 {
        self.released
    }

    fn capacity(&self) -> u64 {
        1 << 20
    }

    fn overflow(&self) -> Overflow {
        Overflow::default()
    }
}

fn kernel_line(records: Vec<(Hint, Vec<u8>)>) -> KernelLine {
    let busy = Cell::new(records.len());
    KernelLine { records, busy, released: 0 }
}

fn fragments(src: Endpoint, dst: Endpoint, id: u32) -> impl Iterator<Item = (Hint, Vec<u8>)> {
    let packet = sample::udp(src, dst, &sample::rtp(1, 7, &[id as u8; 2000]));
    let fragments = sample::fragments(&packet, 1480, id);
    fragments.into_iter().map(|fragment| (Hint::Fragment, sample::ethernet(&fragment)))
}

/// CAP-7, CAP-9: fragments that a kernel's line brings are put together behind it, and obey
/// verdicts; a line may hold any class of record.
#[test]
fn fragments_of_a_kernels_line() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut drain = Drain::open(options(dir.path())).expect("lanes");
    let steering = SteeringOptions { sip_ports: vec![5060], ..SteeringOptions::default() };
    drain.assemble_fragments(&rings(64 << 10), &steering).expect("memory");
    let whole = sample::udp(A, B, &sample::rtp(1, 7, b"whole"));
    let mut records = vec![(Hint::Media, sample::ethernet(&whole))];
    records.extend(fragments(A, B, 0xaa));
    records.extend(fragments(B, A, 0xbb));
    drain.add_line(kernel_line(records));
    drain.apply(&verdict(A, Verdict::Ignore)).expect("no segments in it");
    drain.run(10);
    let stats = drain.stats();
    assert_eq!((stats.held, stats.ignored, stats.stored), (3, 2, 0));
    drain.apply(&verdict(B, Verdict::Record)).expect("no segments in it");
    let stats = drain.stats();
    assert_eq!((stats.held, stats.ignored, stats.stored), (0, 2, 3));
    assert_eq!((drain.stats_of(3).stored, drain.stats_of(0).stored), (3, 0));
    drain.finish(10).expect("a good end");
}

/// CAP-8: without rings of their own, fragments are lost and counted.
#[test]
fn fragments_without_reassembly() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut drain = Drain::open(options(dir.path())).expect("lanes");
    drain.add_line(kernel_line(fragments(A, B, 1).collect()));
    drain.run(1);
    assert_eq!(drain.stats().lost.reassembly, 2);
}

/// CAP-2: a record that the kernel is not done with is waited for; those behind it wait, too.
#[test]
fn a_record_that_is_not_done() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut drain = Drain::open(options(dir.path())).expect("lanes");
    let packet = sample::ethernet(&sample::udp(A, B, &sample::rtp(1, 7, b"x")));
    let line = kernel_line(vec![(Hint::Media, packet); 3]);
    line.busy.set(1);
    drain.add_line(line);
    drain.apply(&verdict(B, Verdict::Record)).expect("no segments in it");
    drain.run(1);
    assert_eq!((drain.stats().stored, drain.gates[0].line().released), (1, 1));
    drain.gates[0].line().busy.set(3);
    drain.run(2);
    assert_eq!((drain.stats().stored, drain.gates[0].line().released), (3, 3));
}

/// S9: what a line says of a frame is checked before it is used: media without a UDP header inside
/// is not written.
#[test]
fn a_line_that_lies() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut drain = Drain::open(options(dir.path())).expect("lanes");
    let short = sample::ethernet(&sample::ip(A, B, 1, &[]));
    drain.add_line(kernel_line(vec![(Hint::Media, short)]));
    drain.run(1);
    assert_eq!((drain.stats().unmatched, drain.stats().held), (1, 0));
}

/// S5: segments of this drain are released on command, others are refused, and the rest is done.
#[test]
fn segments_are_released() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut drain = Drain::open(options(dir.path())).expect("lanes");
    let packet = sample::ethernet(&sample::udp(A, B, &sample::rtp(1, 7, &[0x55; 1400])));
    drain.add_line(kernel_line(vec![(Hint::Media, packet); 1600]));
    drain.apply(&verdict(B, Verdict::Record)).expect("no segments in it");
    drain.run(1);
    let both = Command::Release(vec![(7, 1), (1, 1)]);
    let error = drain.apply(&both).expect_err("no such lane");
    assert!(matches!(error, LineError::LaneUnknown { lane: 7 }));
    let again = drain.apply(&Command::Release(vec![(1, 1)])).expect_err("released before");
    assert!(matches!(again, LineError::Segment { .. }), "{again}");
}
