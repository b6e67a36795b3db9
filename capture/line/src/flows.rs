//! What the exit remembers of each flow: its number, its last record, whether it was announced.

use earwitness_segment::RecordPos;
use earwitness_wire::Verdict;

use crate::{
    bounded::{Bounded, Hash},
    flow_key::FlowKey,
    limits::FLOWS_MAX,
    verdicts::Verdicts,
};

/// Source and destination of media, and what was written of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    /// In records; unique until the numbers wrap. That of the flow back differs in the lowest bit alone. 0 is no flow.
    pub(crate) number: u32,
    /// A `FlowSeen` went out since the flow was last decided.
    pub(crate) announced: bool,
    /// What the table of verdicts said of the destination, and at which of its generations.
    verdict: Verdict,
    generation: u64,
    /// The last record, which the next one points back to.
    pub(crate) last: RecordPos,
}

impl Flow {
    /// The verdict on the flow's destination as it is now; no entry is undecided. The table is asked again only when
    /// it has changed.
    #[inline(always)]
    pub(crate) fn verdict(&mut self, key: &FlowKey, verdicts: &Verdicts) -> Verdict {
        if self.generation != verdicts.generation() {
            self.ask(key, verdicts);
        }
        self.verdict
    }

    #[inline(never)]
    fn ask(&mut self, key: &FlowKey, verdicts: &Verdicts) {
        self.verdict = verdicts.get(&key.pair().dst).unwrap_or(Verdict::Undecided);
        self.generation = verdicts.generation();
    }
}

/// Flows by their endpoints. One thread owns it (S8).
#[derive(Debug)]
pub(crate) struct Flows {
    table: Bounded<FlowKey, Flow>,
    numbered: u32,
}

impl Flows {
    pub(crate) fn new() -> Self {
        Self { table: Bounded::new(FLOWS_MAX), numbered: 0 }
    }

    /// The hash of a flow's key; the cache is asked for where the flow is looked up.
    #[inline]
    pub(crate) fn expect(&self, key: &FlowKey) -> Hash {
        let hash = self.table.hash(key);
        self.table.prefetch_index(hash);
        hash
    }

    /// The cache is asked for the flow itself.
    #[inline]
    pub(crate) fn prefetch(&self, hash: Hash) {
        self.table.prefetch_entry(hash);
    }

    /// The flow, numbered when it is new. A flow that was forgotten begins a new chain.
    #[inline]
    pub(crate) fn of(&mut self, key: &FlowKey) -> &mut Flow {
        let hash = self.table.hash(key);
        self.of_hashed(key, hash)
    }

    /// As [`Flows::of`], where the hash is known.
    #[inline]
    pub(crate) fn of_hashed(&mut self, key: &FlowKey, hash: Hash) -> &mut Flow {
        let numbered = &mut self.numbered;
        self.table.entry_hashed(key, hash, |others| {
            let number = match others.get(&key.reversed()) {
                Some(back) => back.number ^ 1,
                None => {
                    *numbered = numbered.wrapping_add(2).max(2);
                    *numbered
                }
            };
            Flow {
                number,
                announced: false,
                verdict: Verdict::Undecided,
                generation: 0,
                last: RecordPos::NONE,
            }
        })
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.table.evicted()
    }
}
