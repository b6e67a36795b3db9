//! Flows that were heard lately, by the number that their writer gave them: what was read out of one packet's headers
//! need not be read out of the next one's.
//!
//! A number is a hint only, for writers begin anew. That a record names as the one before it the very record that was
//! seen last is proof: it is of the same flow.

use earwitness_segment::{LaneId, Record, RecordPos};
use earwitness_wire::Endpoint;

use crate::call::binding::Found;

/// Flows that are remembered: two for each of 4,000 calls. One of the same place takes it over.
const FLOWS_MAX: usize = 8192;

const _: () = assert!(FLOWS_MAX.is_power_of_two());

/// One flow.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    lane: LaneId,
    /// Its last record.
    last: RecordPos,
    pub src: Endpoint,
    pub dst: Endpoint,
    /// What the destination was found to be.
    pub found: Found,
}

/// The table.
#[derive(Debug)]
pub struct Recent {
    flows: Vec<Option<Known>>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { flows: vec![None; FLOWS_MAX] }
    }
}

impl Recent {
    /// The record's flow, which has come to this record now; `parse` tells the endpoints of one that is not known.
    pub fn flow(
        &mut self,
        lane: LaneId,
        record: &Record<'_>,
        parse: impl FnOnce() -> Option<(Endpoint, Endpoint)>,
    ) -> Option<&mut Known> {
        let place = &mut self.flows[record.meta.flow as usize % FLOWS_MAX];
        let prev = record.meta.prev;
        let goes_on = |known: &Known| !prev.is_none() && (known.lane, known.last) == (lane, prev);
        if !place.as_ref().is_some_and(goes_on) {
            let (src, dst) = parse()?;
            let known = Known { lane, last: record.pos, src, dst, found: Found::default() };
            return Some(place.insert(known));
        }
        let known = place.as_mut()?;
        known.last = record.pos;
        Some(known)
    }
}

#[cfg(test)]
mod tests {
    use earwitness_segment::{RecordClass, RecordMeta};

    use super::*;

    fn record(flow: u32, pos: u64, prev: RecordPos) -> Record<'static> {
        let meta = RecordMeta {
            ts_ns: 0,
            prev,
            flow,
            frame_len: 0,
            wire_len: 0,
            l3: 0,
            payload: 0,
            payload_len: 0,
            class: RecordClass::Media,
            link: 0,
            source: 0,
            verdict: 0,
        };
        Record { meta, frame: &[], pos: RecordPos::media(1, pos) }
    }

    /// CALL-3: a flow is known by its chain, never by its number alone.
    #[test]
    fn a_flow_is_known_by_its_chain() {
        let mut recent = Recent::default();
        let (lane, other) = (LaneId(3), LaneId(5));
        let pair = |host| (Endpoint::v4([10, 0, 0, host], 10), Endpoint::v4([10, 0, 0, host], 20));
        let mut src = |lane, record: &Record<'_>, host: u8| {
            let mut read = false;
            let known = recent.flow(lane, record, || {
                read = true;
                (host > 0).then(|| pair(host))
            });
            (known.map(|known| known.src), read)
        };
        let first = record(7, 4160, RecordPos::NONE);
        assert_eq!(src(lane, &first, 1), (Some(pair(1).0), true));
        let second = record(7, 4400, first.pos);
        assert_eq!(src(lane, &second, 9), (Some(pair(1).0), false));
        // The same number, from the beginning, in another lane, and of another chain.
        assert_eq!(src(lane, &record(7, 4800, RecordPos::NONE), 2), (Some(pair(2).0), true));
        assert!(src(other, &record(7, 4880, RecordPos::media(1, 4800)), 3).1);
        assert_eq!(
            src(lane, &record(7, 4960, RecordPos::media(1, 4800)), 4),
            (Some(pair(4).0), true)
        );
        // Another number in the same place, and one that cannot be read.
        let far = 7 + FLOWS_MAX as u32;
        assert!(src(lane, &record(far, 5040, RecordPos::media(1, 5000)), 5).1);
        assert_eq!(src(lane, &record(7, 5120, RecordPos::media(1, 4960)), 0), (None, true));
    }
}
