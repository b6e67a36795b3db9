//! A segment writer with patience: what the disk refuses is told to the caller, and tried again after
//! an interval, without a system call for each packet in between.

use earwitness_segment::{AppendError, Keeper, RecordMeta, RecordPos, SegmentError, SegmentWriter};

/// One lane of the log, as the exit writes it.
#[derive(Debug)]
pub(crate) struct Lane {
    writer: SegmentWriter,
    /// Something was written since the last flush.
    dirty: bool,
    flushed_ns: u64,
    /// The writer has no segment; not before this time is it asked for one again.
    retry_at_ns: Option<u64>,
}

/// Why a record was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Disk,
    Oversize,
}

impl Lane {
    pub(crate) fn new(writer: SegmentWriter) -> Self {
        Self { writer, dirty: false, flushed_ns: 0, retry_at_ns: None }
    }

    /// Writes a record.
    ///
    /// # Errors
    /// [`Refusal::Disk`] where there is no segment, at once and without a system call until
    /// `make_room` has found one.
    #[inline]
    pub(crate) fn append(&mut self, meta: &RecordMeta, frame: &[u8]) -> Result<RecordPos, Refusal> {
        match self.writer.append(meta, frame) {
            Ok(position) => {
                self.dirty = true;
                Ok(position)
            }
            Err(AppendError::TooLarge { .. }) => Err(Refusal::Oversize),
            Err(AppendError::NoSpace { .. } | AppendError::Io { .. }) => {
                self.retry_at_ns.get_or_insert(0);
                Err(Refusal::Disk)
            }
        }
    }

    /// Makes what was written visible, if `interval_ns` has passed since the last time.
    #[inline]
    pub(crate) fn flush(&mut self, now_ns: u64, interval_ns: u64) {
        if self.dirty && now_ns.saturating_sub(self.flushed_ns) >= interval_ns {
            self.writer.flush();
            self.dirty = false;
            self.flushed_ns = now_ns;
        }
    }

    /// Tells readers up to when everything is visible.
    #[inline]
    pub(crate) fn set_heard(&mut self, ts_ns: u64) {
        self.writer.set_heard(ts_ns);
    }

    /// Whether the disk refused, and the time to try again has come.
    pub(crate) fn wants_room(&self, now_ns: u64) -> bool {
        self.retry_at_ns.is_some_and(|at| now_ns >= at)
    }

    /// Whether the disk refused when it was last asked.
    pub(crate) fn is_blocked(&self) -> bool {
        self.retry_at_ns.is_some()
    }

    /// Makes the next segment ready. After a failure, the next attempt is due `retry_ns` later.
    pub(crate) fn make_room(&mut self, now_ns: u64, retry_ns: u64) {
        self.retry_at_ns = match self.writer.prepare_next() {
            Ok(()) => None,
            Err(_) => Some(now_ns.saturating_add(retry_ns)),
        };
    }

    pub(crate) fn keeper(&self) -> Keeper {
        self.writer.keeper()
    }

    pub(crate) fn release(&mut self, seq: u32) -> Result<(), SegmentError> {
        self.writer.release(seq)
    }

    /// Makes everything durable.
    pub(crate) fn sync(&mut self) -> Result<(), SegmentError> {
        self.writer.sync().map(|_| ())
    }

    pub(crate) fn number(&self) -> u16 {
        self.writer.lane().0
    }
}
