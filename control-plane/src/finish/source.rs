//! A call's packets out of the segment log: each flow's chain walked backwards, then read forwards in place.

use std::cell::RefCell;
use std::rc::Rc;

use earwitness_catalog::Packets;
use earwitness_recording::{MediaPacket, PacketSource, SourceError};
use earwitness_segment::{LaneId, Log, ReadError, RecordPos};
use earwitness_voip::rtp::{Header, Stats, Timing};

use crate::call::media::{Chain, Flow, ssrc_of};

/// Records of one flow may leave the ring in another order than they arrived, but never by more than this.
const DISORDER_MAX_NS: u64 = 2_000_000_000;

/// Where one RTP packet lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    lane: LaneId,
    pos: RecordPos,
    ts_ns: u64,
    ssrc: u32,
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
    pub fn walk(log: &mut Log, flow: &Flow) -> Self {
        let mut records = Self::default();
        for chain in &flow.chains {
            if let Err(error) = records.walk_chain(log, flow, *chain) {
                records.broken.push(error.to_string());
            }
        }
        // Backwards within each chain; a stable sort keeps the order of arrival where times are equal.
        records.places.reverse();
        records.places.sort_by_key(|place| place.ts_ns);
        records
    }

    /// What came of one SSRC of the flow up to a time, by its sequence numbers (RFC 3550 appendix A.3).
    pub fn count(&self, log: &mut Log, ssrc: u32, until_ns: Option<u64>) -> Packets {
        let mut stats = Stats::new(0);
        for place in self.places.iter().filter(|place| place.is_of(ssrc, until_ns)) {
            if let Ok(record) = log.read(place.lane, place.pos)
                && let Ok(header) = Header::parse(record.payload())
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

    fn walk_chain(&mut self, log: &mut Log, flow: &Flow, chain: Chain) -> Result<(), ReadError> {
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
                self.places.push(Place { lane: chain.lane, pos, ts_ns, ssrc });
            }
            pos = record.meta.prev;
        }
        Ok(())
    }
}

/// The packets of one stream; they stay where they are, in the mapped segments.
#[derive(Debug)]
pub struct LogPackets {
    log: Rc<RefCell<Log>>,
    places: Vec<Place>,
}

impl LogPackets {
    /// The packets of a voice: of each part its SSRC, up to a time if there is one.
    pub fn of_voice<'a>(
        log: &Rc<RefCell<Log>>,
        parts: impl Iterator<Item = (&'a FlowRecords, u32, Option<u64>)>,
    ) -> Self {
        let of_part = |(records, ssrc, until_ns): (&'a FlowRecords, u32, Option<u64>)| {
            records.places.iter().filter(move |place| place.is_of(ssrc, until_ns)).copied()
        };
        let mut places: Vec<Place> = parts.flat_map(of_part).collect();
        places.sort_by_key(|place| place.ts_ns);
        Self { log: Rc::clone(log), places }
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
        let mut log = self.log.borrow_mut();
        let record = log
            .read(place.lane, place.pos)
            .map_err(|source| SourceError::Unreadable { index, source: Box::new(source) })?;
        visit(MediaPacket { arrival_ns: place.ts_ns, payload: record.payload() });
        Ok(())
    }
}
