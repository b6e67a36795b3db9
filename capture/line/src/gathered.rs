//! Records of a line that may be written and wait for others of their flow, so that a flow's records lie together in
//! the log: a call is read from it in few pieces.
//!
//! For replay, where nobody waits for what was written. Each record keeps its place in the line meanwhile; how long,
//! and how much of the line they may take, is the owner's to say.

use crate::exit::Pass;

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
        let mut records = std::mem::take(&mut self.records);
        (self.first, self.bytes) = (None, 0);
        // The numbers of a call's flows lie side by side.
        records.sort_by_key(|record| record.pass.flow);
        records
    }

    /// Gives memory back that [`Self::take`] gave out.
    pub(crate) fn reuse(&mut self, mut records: Vec<Admitted>) {
        records.clear();
        self.records = records;
    }
}
