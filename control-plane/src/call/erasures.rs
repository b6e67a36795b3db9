//! Payloads that capture is asked to overwrite: a decision came later than the media that it concerns (CAP-9).
//!
//! Each is asked for until capture has said that it is done. A process that ends before finds in the log what made it
//! ask, and asks again: the log is read from before the oldest that is not done.

use std::collections::BTreeMap;

use earwitness_ipc::{Erased, Erasure};
use earwitness_segment::{LaneId, RecordPos};

use super::binding::TsNs;

/// What is asked for and not done.
#[derive(Debug, Default)]
pub struct Erasures {
    /// Of the last that was asked for.
    number: u64,
    fresh: Vec<Erasure>,
    asked: BTreeMap<u64, Erasure>,
}

impl Erasures {
    /// Of the chain that ends at `last`, what came in a time.
    pub fn chain(&mut self, lane: LaneId, last: RecordPos, from_ns: TsNs, until_ns: TsNs) {
        self.number += 1;
        let (number, lane, last) = (self.number, lane.0, last.0);
        self.fresh.push(Erasure { number, lane, last, from_ns, until_ns });
    }

    /// One record, which names `prev` as the one before it. Those that follow each other are asked for together.
    pub fn record(&mut self, lane: LaneId, pos: RecordPos, prev: RecordPos, at_ns: TsNs) {
        let before = |known: &&mut Erasure| known.lane == lane.0 && known.last == prev.0;
        if let Some(known) = self.fresh.iter_mut().rfind(before) {
            known.last = pos.0;
            known.until_ns = known.until_ns.max(at_ns + 1);
        } else {
            self.chain(lane, pos, at_ns, at_ns + 1);
        }
    }

    /// What is asked for now.
    pub fn take(&mut self) -> Vec<Erasure> {
        let fresh = std::mem::take(&mut self.fresh);
        self.asked.extend(fresh.iter().map(|erasure| (erasure.number, *erasure)));
        fresh
    }

    /// What was asked for and not done: for a capture process that was not there, or could not do it.
    #[must_use]
    pub fn again(&self) -> Vec<Erasure> {
        self.asked.values().copied().collect()
    }

    /// It is done.
    pub fn done(&mut self, erased: &[Erased]) {
        for one in erased {
            self.asked.remove(&one.number);
        }
    }

    /// From when on the log is needed for what is not done.
    #[must_use]
    pub fn oldest_ns(&self) -> Option<TsNs> {
        let waiting = self.fresh.iter().chain(self.asked.values());
        waiting.map(|erasure| erasure.from_ns).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: LaneId = LaneId(3);

    fn pos(at: u64) -> RecordPos {
        RecordPos::media(1, at)
    }

    /// CAP-9: what is asked for is asked for again until it is done, and until then the log is needed.
    #[test]
    fn asked_for_until_it_is_done() {
        let mut erasures = Erasures::default();
        erasures.chain(LANE, pos(4160), 500, 900);
        erasures.record(LANE, pos(4400), pos(4160), 950);
        erasures.record(LANE, pos(4800), pos(4400), 970);
        erasures.record(LANE, pos(9000), pos(8000), 400);
        let asked = erasures.take();
        let spans: Vec<_> = asked.iter().map(|one| (one.last, one.from_ns, one.until_ns)).collect();
        assert_eq!(spans, [(pos(4800).0, 500, 971), (pos(9000).0, 400, 401)]);
        assert_eq!(erasures.take(), []);
        assert_eq!(erasures.oldest_ns(), Some(400));
        erasures.done(&[Erased { number: asked[1].number, records: 1 }]);
        assert_eq!(erasures.again(), asked[..1]);
        assert_eq!(erasures.oldest_ns(), Some(500));
        erasures.done(&[Erased { number: asked[0].number, records: 9 }]);
        assert_eq!((erasures.again(), erasures.oldest_ns()), (Vec::new(), None));
    }
}
