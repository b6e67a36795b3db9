//! Housekeeping of a lane, for a thread beside the writer's: allocation, syncs, release.

use std::sync::Arc;

use crate::depot::Depot;
use crate::{Erasure, Keep, LaneId, LaneKind, SegmentError};

/// What a sync did.
#[derive(Copy, Clone, Eq, PartialEq, Debug, Default)]
pub struct SyncReport {
    /// Segments synced.
    pub synced: u32,
    /// Segments written again because their sync failed (S6).
    pub rewritten: u32,
    /// Bytes of blocks that could not be read back for that.
    pub bytes_lost: u64,
    /// Segments that could be neither synced nor written again when too many waited.
    pub given_up: u32,
}

/// Does for one lane what may block. Any thread may hold one; the writer does not wait for it, except
/// where it needs a segment that is being prepared at that moment.
#[derive(Clone, Debug)]
pub struct Keeper {
    depot: Arc<Depot>,
}

impl Keeper {
    pub(crate) fn new(depot: Arc<Depot>) -> Self {
        Self { depot }
    }

    /// As [`crate::SegmentWriter::prepare_next`].
    pub fn prepare_next(&self) -> Result<(), SegmentError> {
        self.depot.prepare_next()
    }

    /// Makes durable what is committed now. If the sync of the segment being written fails, the writer
    /// leaves that at its next flush, and the next sync writes it again elsewhere (S6).
    pub fn sync(&self) -> Result<SyncReport, SegmentError> {
        self.depot.sync()
    }

    /// As [`crate::SegmentWriter::release`].
    pub fn release(&self, seq: u32) -> Result<(), SegmentError> {
        self.depot.release(seq)
    }

    /// Overwrites payloads in committed blocks of a media lane, durably, and gives their records `verdict`; `keep` says
    /// what of each payload stays. Returns how many records there were of each. What was released meanwhile is none.
    pub fn erase(
        &self,
        erasures: &[Erasure],
        keep: Keep,
        verdict: u8,
    ) -> Result<Vec<u64>, SegmentError> {
        self.depot.erase(erasures, keep, verdict)
    }

    pub fn lane(&self) -> LaneId {
        self.depot.lane
    }

    pub fn kind(&self) -> LaneKind {
        self.depot.kind
    }
}
