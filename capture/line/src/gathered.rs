//! Records of a line that may be written and wait for others of their flow, so that a flow's records lie together in
//! the log: a call is read from it in few pieces.
//!
//! For replay, where nobody waits for what was written. Each record keeps its place in the line meanwhile; how long,
//! and how much of the line they may take, is the owner's to say.

use crate::exit::Pass;

/// Numbers of flows for each record up to which they are counted.
const RANGE_FACTOR: usize = 4;

/// A record that may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) pass: Pass,
    /// In the line.
    pub(crate) position: u64,
}

/// What was gathered since the last time that all was written.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    records: Vec<Admitted>,
    /// Of the earliest in the line.
    first: Option<u64>,
    bytes: usize,
    /// Memory for sorting.
    sorted: Vec<Admitted>,
    places: Vec<u32>,
}

impl Gathered {
    /// Adds a record, which takes `bytes` of the line.
    #[inline]
    pub(crate) fn push(&mut self, record: Admitted, bytes: usize) {
        let first = self.first.map_or(record.position, |first| first.min(record.position));
        self.first = Some(first);
        self.bytes += bytes;
        self.records.push(record);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The position of the earliest in the line.
    #[inline]
    pub(crate) fn first(&self) -> Option<u64> {
        self.first
    }

    /// Takes all of them, flow by flow, those of each in the order in which they came. They go back to
    /// [`Self::reuse`].
    pub(crate) fn take(&mut self) -> Vec<Admitted> {
        (self.first, self.bytes) = (None, 0);
        self.sort();
        std::mem::take(&mut self.records)
    }

    /// By flow, the numbers of a call's flows lying side by side; those of each stay in their order.
    fn sort(&mut self) {
        let Self { records, sorted, places, .. } = self;
        let flows = records.iter().map(|record| record.pass.flow);
        let (Some(least), Some(most)) = (flows.clone().min(), flows.clone().max()) else { return };
        if (most - least) as usize > RANGE_FACTOR * records.len() {
            return records.sort_by_key(|record| record.pass.flow);
        }
        // As many numbers as records, about: where those of each number begin is counted.
        places.clear();
        places.resize((most - least) as usize + 2, 0);
        flows.for_each(|flow| places[(flow - least) as usize + 1] += 1);
        for at in 1..places.len() {
            places[at] += places[at - 1];
        }
        sorted.clone_from(records);
        for record in sorted.iter() {
            let place = &mut places[(record.pass.flow - least) as usize];
            records[*place as usize] = *record;
            *place += 1;
        }
    }

    /// Gives memory back that [`Self::take`] gave out.
    pub(crate) fn reuse(&mut self, mut records: Vec<Admitted>) {
        records.clear();
        self.records = records;
    }
}

#[cfg(test)]
mod tests {
    use earwitness_wire::Verdict;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// REC-8: by flow, each in its order, however far the numbers are apart.
        #[test]
        fn sorted_by_flow(flows in prop::collection::vec(0u32..40, 0..300), apart in 1u32..5000) {
            let mut gathered = Gathered::default();
            for (position, flow) in (0..).zip(&flows) {
                let pass = Pass { flow: 7 + flow * apart, verdict: Verdict::Record };
                gathered.push(Admitted { pass, position }, 10);
            }
            prop_assert_eq!(gathered.bytes(), 10 * flows.len());
            prop_assert_eq!(gathered.first(), (!flows.is_empty()).then_some(0));
            let taken = gathered.take();
            let keys = taken.iter().map(|record| (record.pass.flow, record.position));
            let mut wanted: Vec<(u32, u64)> =
                (0..).zip(&flows).map(|(position, flow)| (7 + flow * apart, position)).collect();
            wanted.sort_unstable();
            prop_assert_eq!(keys.collect::<Vec<_>>(), wanted);
            prop_assert_eq!((gathered.bytes(), gathered.first()), (0, None));
            gathered.reuse(taken);
        }
    }
}
