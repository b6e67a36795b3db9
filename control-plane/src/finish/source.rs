//! A call's packets out of the segment log: each flow's chain walked backwards, then handed on forwards.

use std::cell::RefCell;
use std::rc::Rc;

use earwitness_catalog::Packets;
use earwitness_recording::{MediaPacket, PacketSource, SourceError};
use earwitness_segment::{LaneId, Log, ReadError, RecordPos};
use earwitness_voip::rtp::{Header, Stats, Timing};

use crate::call::media::{Chain, Flow, ssrc_of};

/// Records of one flow may leave the ring in another order than they arrived, but never by more than this.
const DISORDER_MAX_NS: u64 = 2_000_000_000;

/// Payloads of a call that are kept when its chains are walked, in bytes: a quarter of an hour of both voices.
/// What is beyond is read from the log again, twice.
const KEPT_BYTES_MAX: usize = 16 << 20;

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

/// The log, and what was read of it for one call.
#[derive(Debug)]
pub struct Shelf<'l> {
    log: &'l mut Log,
    payloads: Vec<u8>,
}

impl<'l> Shelf<'l> {
    /// Nothing is kept yet.
    pub fn new(log: &'l mut Log) -> Self {
        Self { log, payloads: Vec::new() }
    }

    /// A packet's payload.
    fn payload(&mut self, place: &Place) -> Result<&[u8], ReadError> {
        match place.kept {
            Some(Kept { at, length }) => Ok(&self.payloads[at as usize..][..usize::from(length)]),
            None => Ok(self.log.read(place.lane, place.pos)?.payload()),
        }
    }
}

/// Keeps a payload, if there is room.
fn keep(payloads: &mut Vec<u8>, payload: &[u8]) -> Option<Kept> {
    let length = u16::try_from(payload.len()).ok()?;
    if payloads.len() + payload.len() > KEPT_BYTES_MAX {
        return None;
    }
    let at = payloads.len() as u32;
    payloads.extend_from_slice(payload);
    Some(Kept { at, length })
}

impl Place {
    fn is_of(&self, ssrc: u32, until_ns: Option<u64>) -> bool {
        self.ssrc == ssrc && until_ns.is_none_or(|until_ns| self.ts_ns < until_ns)
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
    /// Walks the chains of `flow`.
    pub fn walk(shelf: &mut Shelf<'_>, flow: &Flow) -> Self {
        let mut records = Self::default();
        for chain in &flow.chains {
            if let Err(error) = records.walk_chain(shelf, flow, *chain) {
                records.broken.push(error.to_string());
            }
        }
        // Backwards within each chain; a stable sort keeps the order of arrival where times are equal.
        records.places.reverse();
        records.places.sort_by_key(|place| place.ts_ns);
        records
    }

    /// What came of one SSRC of the flow up to a time, by its sequence numbers (RFC 3550 appendix A.3).
    pub fn count(&self, shelf: &mut Shelf<'_>, ssrc: u32, until_ns: Option<u64>) -> Packets {
        let mut stats = Stats::new(0);
        for place in self.places.iter().filter(|place| place.is_of(ssrc, until_ns)) {
            if let Ok(payload) = shelf.payload(place)
                && let Ok(header) = Header::parse(payload)
            {
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

    fn walk_chain(
        &mut self,
        shelf: &mut Shelf<'_>,
        flow: &Flow,
        chain: Chain,
    ) -> Result<(), ReadError> {
        let Shelf { log, payloads } = shelf;
        let mut pos = chain.last;
        while !pos.is_none() && pos.seq() >= chain.first_seq {
            let record = log.read(chain.lane, pos)?;
            let ts_ns = record.meta.ts_ns;
            if ts_ns.saturating_add(DISORDER_MAX_NS) < flow.first_ns {
                break;
            }
            if (flow.first_ns..=flow.last_ns).contains(&ts_ns)
                && let Some(ssrc) = ssrc_of(record.payload())
            {
                let kept = keep(payloads, record.payload());
                self.places.push(Place { lane: chain.lane, kept, pos, ts_ns, ssrc });
            }
            pos = record.meta.prev;
        }
        Ok(())
    }
}

/// The packets of one stream.
#[derive(Debug)]
pub struct LogPackets<'l> {
    shelf: Rc<RefCell<Shelf<'l>>>,
    places: Vec<Place>,
}

impl<'l> LogPackets<'l> {
    /// The packets of a voice: of each part its SSRC, up to a time if there is one.
    pub fn of_voice<'a>(
        shelf: &Rc<RefCell<Shelf<'l>>>,
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

impl PacketSource for LogPackets<'_> {
    fn count(&self) -> usize {
        self.places.len()
    }

    fn read(
        &self,
        index: usize,
        visit: &mut dyn FnMut(MediaPacket<'_>),
    ) -> Result<(), SourceError> {
        let place = self.places[index];
        let mut shelf = self.shelf.borrow_mut();
        let payload = shelf
            .payload(&place)
            .map_err(|source| SourceError::Unreadable { index, source: Box::new(source) })?;
        visit(MediaPacket { arrival_ns: place.ts_ns, payload });
        Ok(())
    }
}
