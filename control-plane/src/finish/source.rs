//! A call's packets out of the segment log: each flow's chain walked backwards, then handed on forwards.

use std::cell::RefCell;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::ops::Range;
use std::rc::Rc;

use earwitness_catalog::Packets;
use earwitness_recording::{MediaPacket, PacketSource, SourceError};
use earwitness_segment::{LaneId, Log, ReadError, RecordPos};
use earwitness_voip::rtp::{Header, Stats, Timing};

use crate::call::media::{Chain, Flow, ssrc_of};

/// Records of one flow may leave the ring in another order than they arrived, but never by more than this.
const DISORDER_MAX_NS: u64 = 2_000_000_000;

/// Payloads that are kept when chains are walked, in bytes: three minutes of ten calls. What is beyond is read from
/// the log again, twice.
const KEPT_BYTES_MAX: usize = 32 << 20;

/// Each flow keeps its payloads in pieces of this size, so that those lie together that are read together.
const PIECE_BYTES: usize = 16 << 10;

/// Memory for the places of so many packets is reserved at once.
const PLACES_EXPECTED_MAX: usize = 1 << 16;

/// A payload of most codecs with its RTP header, to know how much memory a walk needs.
const PAYLOAD_BYTES: usize = 180;

/// The log, as the calls share it that are finished one after the other.
pub type SharedLog = Rc<Library>;

/// A log, and memory for what is read of it.
#[derive(Debug)]
pub struct Library {
    log: RefCell<Log>,
    /// Used again: fresh memory costs as much as reading does.
    spare: RefCell<Vec<u8>>,
}

impl Library {
    #[must_use]
    pub fn new(log: Log) -> SharedLog {
        Rc::new(Self { log: RefCell::new(log), spare: RefCell::default() })
    }
}

/// Where one RTP packet lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    lane: LaneId,
    kept: Kept,
    pos: RecordPos,
    ts_ns: u64,
    ssrc: u32,
}

/// Where a payload lies among those that are kept; one without a length is not.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    length: u16,
    at: u32,
}

const _: () = assert!(KEPT_BYTES_MAX <= u32::MAX as usize && PIECE_BYTES <= KEPT_BYTES_MAX);

/// What was read of the log for some calls.
#[derive(Debug)]
pub struct Shelf {
    library: SharedLog,
    payloads: RefCell<Payloads>,
}

/// Memory for payloads. What an earlier walk left in it is written over.
#[derive(Debug, Default)]
struct Payloads {
    bytes: Vec<u8>,
    used: usize,
}

impl Shelf {
    /// Nothing is kept yet.
    #[must_use]
    pub fn new(library: &SharedLog) -> Rc<Self> {
        let payloads = Payloads { bytes: library.spare.take(), used: 0 };
        Rc::new(Self { library: Rc::clone(library), payloads: RefCell::new(payloads) })
    }

    /// Hands a packet's payload to `visit`.
    fn payload<T>(&self, place: &Place, visit: impl FnOnce(&[u8]) -> T) -> Result<T, ReadError> {
        let Kept { length, at } = place.kept;
        if length > 0 {
            return Ok(visit(&self.payloads.borrow().bytes[at as usize..][..usize::from(length)]));
        }
        Ok(visit(self.library.log.borrow_mut().read(place.lane, place.pos)?.payload()))
    }

    /// Makes room for this many packets, as far as there may be room.
    fn expect(&self, packets: u64) {
        let bytes = usize::try_from(packets).unwrap_or(usize::MAX).saturating_mul(PAYLOAD_BYTES);
        let payloads = &mut self.payloads.borrow_mut().bytes;
        let wanted = bytes.min(KEPT_BYTES_MAX).saturating_sub(payloads.len());
        payloads.reserve_exact(wanted);
    }

    /// Copies a payload into the flow's piece, or into a new one; `left` says how many of its packets are to come.
    fn keep(&self, piece: &mut Range<usize>, payload: &[u8], left: u64) -> Kept {
        let Payloads { bytes: kept, used } = &mut *self.payloads.borrow_mut();
        if piece.len() < payload.len() {
            let rest = usize::try_from(left).unwrap_or(usize::MAX).saturating_mul(payload.len());
            let bytes = rest.min(PIECE_BYTES).max(payload.len());
            let start = *used;
            if start + bytes > KEPT_BYTES_MAX {
                return Kept::default();
            }
            *used = start + bytes;
            if kept.len() < *used {
                kept.resize(*used, 0);
            }
            *piece = start..start + bytes;
        }
        let at = piece.start;
        let Ok(length) = u16::try_from(payload.len()) else { return Kept::default() };
        kept[at..at + payload.len()].copy_from_slice(payload);
        piece.start += payload.len();
        Kept { length, at: at as u32 }
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        self.library.spare.replace(self.payloads.take().bytes);
    }
}

/// The RTP packets of a flow, by place, in order of arrival.
#[derive(Debug, Default)]
pub struct FlowRecords {
    places: Vec<Place>,
    /// Chains that broke off because a record could not be read: what came before it is missing.
    pub broken: Vec<String>,
}

impl FlowRecords {
    /// The packets that arrived in a time.
    fn came_in(&self, arrived: &Range<u64>) -> &[Place] {
        let from = self.places.partition_point(|place| place.ts_ns < arrived.start);
        let until = self.places.partition_point(|place| place.ts_ns < arrived.end);
        self.places.get(from..until).unwrap_or_default()
    }

    /// What `arrived` of one SSRC of the flow in a window of time, by its sequence numbers (RFC 3550 appendix A.3).
    pub fn count(
        &self,
        shelf: &Shelf,
        ssrc: u32,
        window: &Range<u64>,
        arrived: &Range<u64>,
    ) -> Packets {
        let mut stats = Stats::new(0);
        for place in self.came_in(arrived).iter().filter(|place| place.is_of(ssrc, window)) {
            if let Ok(Ok(header)) = shelf.payload(place, Header::parse) {
                stats.receive(&header, place.ts_ns, Timing::Event);
            }
        }
        let report = stats.report();
        Packets {
            received: report.received.saturating_sub(report.duplicate),
            lost: report.lost,
            duplicate: report.duplicate,
            late: report.late,
        }
    }
}

impl Place {
    fn is_of(&self, ssrc: u32, window: &Range<u64>) -> bool {
        self.ssrc == ssrc && window.contains(&self.ts_ns)
    }
}

/// Walks the chains of flows, all at once and backwards through the log: where calls lie side by side in it, what
/// was read for one is at hand for the next.
#[derive(Debug)]
pub struct Walk<'c> {
    steps: BinaryHeap<Step>,
    flows: Vec<Walked<'c>>,
    shelf: Rc<Shelf>,
}

#[derive(Debug)]
struct Walked<'c> {
    flow: &'c Flow,
    /// Where its next payloads are kept.
    piece: Range<usize>,
    records: FlowRecords,
}

/// The next record of a chain. The latest of a lane comes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    lane: LaneId,
    pos: RecordPos,
    flow: usize,
    first_seq: u32,
}

impl<'c> Walk<'c> {
    /// A walk without flows yet.
    #[must_use]
    pub fn new(library: &SharedLog) -> Self {
        Self { steps: BinaryHeap::new(), flows: Vec::new(), shelf: Shelf::new(library) }
    }

    /// What the walk keeps.
    #[must_use]
    pub fn shelf(&self) -> &Rc<Shelf> {
        &self.shelf
    }

    /// Adds a flow; its records are at the returned place in what [`Self::run`] gives.
    pub fn add(&mut self, flow: &'c Flow) -> usize {
        let at = self.flows.len();
        let records = FlowRecords::default();
        self.flows.push(Walked { flow, piece: 0..0, records });
        let first = |chain: &Chain| Step {
            lane: chain.lane,
            pos: chain.last,
            flow: at,
            first_seq: chain.first_seq,
        };
        self.steps.extend(flow.chains.iter().map(first).filter(Step::is_in_chain));
        at
    }

    /// Walks to the beginning of every flow.
    #[must_use]
    pub fn run(mut self) -> Vec<FlowRecords> {
        let shelf = Rc::clone(&self.shelf);
        let mut log = shelf.library.log.borrow_mut();
        shelf.expect(self.flows.iter().map(|walked| walked.flow.packets).sum());
        while let Some(mut step) = self.steps.peek_mut() {
            match self.flows[step.flow].take(&mut log, &step, &shelf) {
                Some(prev) if (Step { pos: prev, ..*step }).is_in_chain() => step.pos = prev,
                _ => _ = PeekMut::pop(step),
            }
        }
        self.flows.into_iter().map(Walked::in_order).collect()
    }
}

impl Step {
    fn is_in_chain(&self) -> bool {
        !self.pos.is_none() && self.pos.seq() >= self.first_seq
    }
}

impl Walked<'_> {
    /// Takes one record. Returns where the one before it lies; `None` at the flow's beginning.
    fn take(&mut self, log: &mut Log, step: &Step, shelf: &Shelf) -> Option<RecordPos> {
        let (lane, pos) = (step.lane, step.pos);
        let record = match log.read(lane, pos) {
            Ok(record) => record,
            Err(error) => {
                self.records.broken.push(error.to_string());
                return None;
            }
        };
        let ts_ns = record.meta.ts_ns;
        if ts_ns.saturating_add(DISORDER_MAX_NS) < self.flow.first_ns {
            return None;
        }
        let payload = record.payload();
        if (self.flow.first_ns..=self.flow.last_ns).contains(&ts_ns)
            && let Some(ssrc) = ssrc_of(payload)
        {
            let Self { flow, piece, records } = self;
            let left = flow.packets.saturating_sub(records.places.len() as u64);
            if records.places.is_empty() {
                records.places.reserve(usize::try_from(left).unwrap_or(0).min(PLACES_EXPECTED_MAX));
            }
            let kept = shelf.keep(piece, payload, left);
            records.places.push(Place { lane, kept, pos, ts_ns, ssrc });
        }
        Some(record.meta.prev)
    }

    fn in_order(mut self) -> FlowRecords {
        // Backwards within each chain; a stable sort keeps the order of arrival where times are equal.
        self.records.places.reverse();
        if self.flow.chains.len() > 1 {
            // Where calls became one, one chain may lead into what another had.
            self.records.places.sort_by_key(|place| (place.lane, place.pos));
            self.records.places.dedup_by_key(|place| (place.lane, place.pos));
        }
        self.records.places.sort_by_key(|place| place.ts_ns);
        self.records
    }
}

/// The packets of one stream.
#[derive(Debug)]
pub struct LogPackets {
    shelf: Rc<Shelf>,
    places: Vec<Place>,
}

impl LogPackets {
    /// The packets of a voice that `arrived` in a time: of each part its SSRC, in its window of time.
    pub fn of_voice<'a>(
        shelf: &Rc<Shelf>,
        parts: impl Iterator<Item = (&'a FlowRecords, u32, Range<u64>)>,
        arrived: &Range<u64>,
    ) -> Self {
        let of_part = |(records, ssrc, window): (&'a FlowRecords, u32, Range<u64>)| {
            let came = records.came_in(arrived).iter();
            came.filter(move |place| place.is_of(ssrc, &window)).copied()
        };
        let mut places = Vec::new();
        for part in parts {
            // Most flows have one voice.
            places.reserve_exact(part.0.came_in(arrived).len());
            places.extend(of_part(part));
        }
        places.sort_by_key(|place: &Place| place.ts_ns);
        Self { shelf: Rc::clone(shelf), places }
    }
}

impl PacketSource for LogPackets {
    fn count(&self) -> usize {
        self.places.len()
    }

    fn read(
        &self,
        index: usize,
        visit: &mut dyn FnMut(MediaPacket<'_>),
    ) -> Result<(), SourceError> {
        let place = self.places[index];
        let visit = |payload: &[u8]| visit(MediaPacket { arrival_ns: place.ts_ns, payload });
        self.shelf
            .payload(&place, visit)
            .map_err(|source| SourceError::Unreadable { index, source: Box::new(source) })
    }
}

#[cfg(test)]
mod tests {
    use earwitness_segment::{
        LaneKind, RecordClass, RecordMeta, RecordPos, SegmentWriter, WriterOptions,
    };
    use earwitness_wire::Endpoint;

    use super::*;
    use crate::call::Party;
    use crate::call::seldom::Seldom;

    const LANE: LaneId = LaneId(3);

    /// An RTP packet of a length of its own.
    fn packet(flow: u32, number: u64) -> Vec<u8> {
        let mut packet = vec![0x80, 0, 0, number as u8, 0, 0, 0, 0];
        packet.extend(flow.to_be_bytes());
        packet.extend((0..160 + number % 7 * 40).map(|at| (at * 31 + number) as u8 ^ flow as u8));
        packet
    }

    /// Flows whose records lie side by side, as they end in the log.
    fn write(segments: &std::path::Path, flows: u32, packets: u64) -> Vec<Flow> {
        let options = WriterOptions::default();
        let mut writer =
            SegmentWriter::open(segments, LANE, LaneKind::Media, options).expect("a lane");
        let mut last = vec![RecordPos::NONE; flows as usize];
        for number in 0..packets {
            for flow in 0..flows {
                let packet = packet(flow, number);
                let meta = RecordMeta {
                    ts_ns: 1 + number,
                    prev: last[flow as usize],
                    flow,
                    frame_len: 0,
                    wire_len: packet.len() as u32,
                    l3: 0,
                    payload: 0,
                    payload_len: packet.len() as u16,
                    class: RecordClass::Media,
                    link: 0,
                    source: 0,
                    verdict: 0,
                };
                last[flow as usize] = writer.append(&meta, &packet).expect("room");
            }
        }
        writer.flush();
        let flow = |last| Flow {
            src: Endpoint::default(),
            dst: Endpoint::default(),
            receiver: Party::Caller,
            first_ns: 1,
            last_ns: packets,
            packets,
            chains: vec![Chain { lane: LANE, last, first_seq: 1 }],
            ssrcs: Vec::new(),
            mixed: Seldom::new(),
        };
        last.into_iter().map(flow).collect()
    }

    fn check(packets: &LogPackets, flow: u32, count: u64) {
        assert_eq!(packets.count() as u64, count);
        for number in 0..count {
            let mut seen = false;
            let mut visit = |there: MediaPacket<'_>| {
                assert_eq!(there.arrival_ns, 1 + number);
                assert_eq!(there.payload, packet(flow, number), "packet {number} of flow {flow}");
                seen = true;
            };
            packets.read(number as usize, &mut visit).expect("readable");
            assert!(seen);
        }
    }

    /// CAP-3: what is kept of a flow is what the log has of it, packet by packet, and so is what was not kept; the
    /// memory is used again.
    #[test]
    fn each_flow_has_its_own_packets() {
        const FLOWS: u32 = 3;
        const PACKETS: u64 = 500;
        let folder = tempfile::tempdir().expect("a folder");
        let flows = write(folder.path(), FLOWS, PACKETS);
        let library = Library::new(Log::open(folder.path()).expect("a log"));
        for _ in 0..2 {
            let mut walk = Walk::new(&library);
            let shelf = Rc::clone(walk.shelf());
            for flow in &flows {
                walk.add(flow);
            }
            let mut records = walk.run();
            let of_voice = |records: &FlowRecords, flow| {
                LogPackets::of_voice(
                    &shelf,
                    std::iter::once((records, flow, 0..u64::MAX)),
                    &(0..u64::MAX),
                )
            };
            for (flow, records) in (0..).zip(&mut records) {
                assert!(records.places.iter().all(|place| place.kept.length > 0));
                check(&of_voice(records, flow), flow, PACKETS);
                records.places.iter_mut().step_by(3).for_each(|place| place.kept = Kept::default());
                check(&of_voice(records, flow), flow, PACKETS);
            }
            drop(shelf);
            assert!(library.spare.borrow().len() >= (FLOWS as usize) * (PACKETS as usize) * 172);
        }
    }

    /// S10: no more is kept than there may be; what does not fit is read again.
    #[test]
    fn memory_has_a_bound() {
        let folder = tempfile::tempdir().expect("a folder");
        let library = Library::new(Log::open(folder.path()).expect("a log"));
        let shelf = Shelf::new(&library);
        shelf.expect(u64::MAX);
        let payload = vec![7; 60_000];
        let mut piece = 0..0;
        let kept = (0..).take_while(|_| shelf.keep(&mut piece, &payload, u64::MAX).length > 0);
        assert_eq!(kept.count(), KEPT_BYTES_MAX / payload.len());
        assert!(shelf.payloads.borrow().bytes.capacity() <= KEPT_BYTES_MAX);
        // A smaller one may still fit; one of a flow that has room in its piece always does.
        assert_eq!(shelf.keep(&mut piece, &payload[..100], 1).length, 100);
    }
}
