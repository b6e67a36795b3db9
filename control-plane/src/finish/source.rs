//! A call's packets out of the segment log: each flow's chain walked backwards, then handed on forwards.

use std::cell::RefCell;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::rc::Rc;

use earwitness_catalog::Packets;
use earwitness_recording::{MediaPacket, PacketSource, SourceError};
use earwitness_segment::{LaneId, Log, ReadError, RecordPos};
use earwitness_voip::rtp::{Header, Stats, Timing};

use crate::call::media::{Chain, Flow, ssrc_of};

/// Records of one flow may leave the ring in another order than they arrived, but never by more than this.
const DISORDER_MAX_NS: u64 = 2_000_000_000;

/// Payloads that are kept when chains are walked, in bytes: five minutes of ten calls. What is beyond is read from
/// the log again, twice.
const KEPT_BYTES_MAX: usize = 48 << 20;

/// The log, as the calls share it that are finished one after the other.
pub type SharedLog = Rc<RefCell<Log>>;

/// Where one RTP packet lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    lane: LaneId,
    kept: Option<Kept>,
    pos: RecordPos,
    ts_ns: u64,
    ssrc: u32,
}

/// Where a payload lies among those that are kept.
#[derive(Debug, Clone, Copy)]
struct Kept {
    at: u32,
    length: u16,
}

/// What was read of the log for one call.
#[derive(Debug)]
pub struct Shelf {
    log: SharedLog,
    payloads: RefCell<Vec<u8>>,
}

impl Shelf {
    /// Nothing is kept yet.
    #[must_use]
    pub fn new(log: &SharedLog) -> Rc<Self> {
        Rc::new(Self { log: Rc::clone(log), payloads: RefCell::default() })
    }

    /// Hands a packet's payload to `visit`.
    fn payload<T>(&self, place: &Place, visit: impl FnOnce(&[u8]) -> T) -> Result<T, ReadError> {
        match place.kept {
            Some(Kept { at, length }) => {
                Ok(visit(&self.payloads.borrow()[at as usize..][..usize::from(length)]))
            }
            None => Ok(visit(self.log.borrow_mut().read(place.lane, place.pos)?.payload())),
        }
    }

    fn keep(&self, payload: &[u8]) -> Option<Kept> {
        let mut payloads = self.payloads.borrow_mut();
        let kept = Kept {
            at: u32::try_from(payloads.len()).ok()?,
            length: u16::try_from(payload.len()).ok()?,
        };
        payloads.extend_from_slice(payload);
        Some(kept)
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
    /// What came of one SSRC of the flow up to a time, by its sequence numbers (RFC 3550 appendix A.3).
    pub fn count(&self, shelf: &Shelf, ssrc: u32, until_ns: Option<u64>) -> Packets {
        let mut stats = Stats::new(0);
        for place in self.places.iter().filter(|place| place.is_of(ssrc, until_ns)) {
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
    fn is_of(&self, ssrc: u32, until_ns: Option<u64>) -> bool {
        self.ssrc == ssrc && until_ns.is_none_or(|until_ns| self.ts_ns < until_ns)
    }
}

/// Walks the chains of flows, all at once and backwards through the log: where calls lie side by side in it, what
/// was read for one is at hand for the next.
#[derive(Debug, Default)]
pub struct Walk<'c> {
    steps: BinaryHeap<Step>,
    flows: Vec<Walked<'c>>,
}

#[derive(Debug)]
struct Walked<'c> {
    flow: &'c Flow,
    shelf: Rc<Shelf>,
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
    /// Adds a flow; its records are at the returned place in what [`Self::run`] gives.
    pub fn add(&mut self, flow: &'c Flow, shelf: &Rc<Shelf>) -> usize {
        let at = self.flows.len();
        let walked = Walked { flow, shelf: Rc::clone(shelf), records: FlowRecords::default() };
        self.flows.push(walked);
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
    pub fn run(mut self, log: &mut Log) -> Vec<FlowRecords> {
        let mut room = KEPT_BYTES_MAX;
        while let Some(mut step) = self.steps.peek_mut() {
            match self.flows[step.flow].take(log, &step, &mut room) {
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
    fn take(&mut self, log: &mut Log, step: &Step, room: &mut usize) -> Option<RecordPos> {
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
            let kept = if payload.len() <= *room { self.shelf.keep(payload) } else { None };
            *room -= kept.map_or(0, |kept| usize::from(kept.length));
            self.records.places.push(Place { lane, kept, pos, ts_ns, ssrc });
        }
        Some(record.meta.prev)
    }

    fn in_order(mut self) -> FlowRecords {
        // Backwards within each chain; a stable sort keeps the order of arrival where times are equal.
        self.records.places.reverse();
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
    /// The packets of a voice: of each part its SSRC, up to a time if there is one.
    pub fn of_voice<'a>(
        shelf: &Rc<Shelf>,
        parts: impl Iterator<Item = (&'a FlowRecords, u32, Option<u64>)>,
    ) -> Self {
        let of_part = |(records, ssrc, until_ns): (&'a FlowRecords, u32, Option<u64>)| {
            records.places.iter().filter(move |place| place.is_of(ssrc, until_ns)).copied()
        };
        let mut places: Vec<Place> = parts.flat_map(of_part).collect();
        places.sort_by_key(|place| place.ts_ns);
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
