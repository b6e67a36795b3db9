//! The files of one lane, as its writer and its housekeeper share them: the segment prepared ahead, those
//! that wait for a sync, those that wait for use again.
//!
//! `state` is held for moments only and never across a system call, so the writer takes it at each change
//! of segment without waiting. `work` makes one at a time of those who prepare, sync or release.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Access, Disk};
use crate::erase::{erase, redo};
use crate::file_name::{self, FileName, Role};
use crate::header::Header;
use crate::limits::{SEQ_MAX, UNSYNCED_MAX};
use crate::map::{Extent, Pen, WriteMap};
use crate::rewrite::rewrite;
use crate::{
    AppendError, Erasure, Keep, LaneId, LaneKind, SegmentError, SyncReport, WriterOptions,
};

/// A segment of this lane that is being written, or waits for a sync.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: Header,
    pub(crate) file: Arc<File>,
    pub(crate) map: Arc<WriteMap>,
}

impl Segment {
    pub(crate) fn seq(&self) -> u32 {
        self.header.seq
    }

    /// The same with no more than its header mapped: what was written stays the kernel's affair, and is none of
    /// this process's memory.
    fn without_contents(&self) -> io::Result<Self> {
        let map = Arc::new(self.map.of_header(&self.file)?);
        Ok(Self { header: self.header, file: Arc::clone(&self.file), map })
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.map.words().synced() >= self.map.words().committed()
    }
}

#[derive(Debug)]
pub(crate) struct Depot {
    pub(crate) dir: PathBuf,
    pub(crate) lane: LaneId,
    pub(crate) kind: LaneKind,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) options: WriterOptions,
    /// Held for as long as the lane is ours.
    _lock: File,
    work: Mutex<()>,
    state: Mutex<State>,
    /// There is a spare in `state`; lets an append that lacks a segment look without a lock.
    spare_ready: AtomicBool,
    /// The last attempt to make a segment failed.
    blocked: AtomicBool,
}

#[derive(Debug)]
struct State {
    next_seq: u32,
    current: Option<Arc<Segment>>,
    spare: Option<Arc<Segment>>,
    /// Closed, oldest first.
    unsynced: VecDeque<Arc<Segment>>,
    /// Of those, dropped without a sync since the last report.
    given_up: u32,
    free: Vec<FileName>,
    /// Of the last attempt to make a segment, where that failed.
    blocked_by: io::ErrorKind,
    /// The lane's writer is gone: nothing is prepared for it any more.
    finished: bool,
}

impl Depot {
    pub(crate) fn open(
        dir: &Path,
        lane: LaneId,
        kind: LaneKind,
        options: WriterOptions,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, SegmentError> {
        disk.create_dir(dir).map_err(|source| SegmentError::io("create", dir, source))?;
        let lock = lock(dir, lane)?;
        redo(&disk, dir, lane)?;
        let mut next_seq = 1;
        let mut free = Vec::new();
        for name in file_name::list(&*disk, dir)?.into_iter().filter(|name| name.lane == lane) {
            if name.kind != kind {
                return Err(SegmentError::Kind { lane, found: name.kind, wanted: kind });
            }
            next_seq = next_seq.max(name.seq + 1);
            match name.role {
                Role::Live => {}
                Role::Free => free.push(name),
                Role::Partial => {
                    let path = name.in_dir(dir);
                    disk.remove(&path).map_err(|e| SegmentError::io("remove", &path, e))?;
                }
            }
        }
        let state = State {
            next_seq,
            current: None,
            spare: None,
            unsynced: VecDeque::new(),
            given_up: 0,
            free,
            blocked_by: io::ErrorKind::Other,
            finished: false,
        };
        Ok(Self {
            dir: dir.to_owned(),
            lane,
            kind,
            disk,
            options,
            _lock: lock,
            work: Mutex::new(()),
            state: Mutex::new(state),
            spare_ready: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
        })
    }

    pub(crate) fn live_name(&self, seq: u32) -> FileName {
        FileName::live(self.lane, self.kind, seq)
    }

    /// A closed segment that a former run left, not known to be durable.
    pub(crate) fn push_unsynced(&self, seq: u32) -> Result<(), SegmentError> {
        let segment = self.reopen(seq, Extent::HeaderPage)?;
        self.state().unsynced.push_back(Arc::new(segment));
        self.sync_overdue();
        Ok(())
    }

    /// An empty segment that a former run prepared becomes the spare.
    pub(crate) fn adopt(&self, seq: u32) -> Result<(), SegmentError> {
        let segment = self.reopen(seq, Extent::Whole)?;
        self.state().spare = Some(Arc::new(segment));
        self.spare_ready.store(true, Ordering::Release);
        Ok(())
    }

    fn reopen(&self, seq: u32, extent: Extent) -> Result<Segment, SegmentError> {
        let path = self.live_name(seq).in_dir(&self.dir);
        let open = || {
            let file = Arc::new(self.disk.open(&path, Access::Write)?);
            let bytes = file.metadata()?.len();
            let map = Arc::new(WriteMap::new(&file, extent, bytes)?);
            let header = Header::decode(&map.words().fixed()).map_err(io::Error::other)?;
            Ok(Segment { header, file, map })
        };
        open().map_err(|source| SegmentError::io("open", &path, source))
    }

    /// The segment to write into next: the spare, or one made now. Fails at once, without a system
    /// call, while the last attempt to make one failed.
    pub(crate) fn take_next(&self, heard_ns: u64) -> Result<Pen, AppendError> {
        if !self.spare_ready.load(Ordering::Acquire) {
            if self.blocked.load(Ordering::Acquire) {
                return Err(self.refusal());
            }
            self.prepare_next().map_err(|_| self.refusal())?;
        }
        let mut state = self.state();
        let Some(next) = state.spare.take() else {
            drop(state);
            return Err(self.refusal());
        };
        self.spare_ready.store(false, Ordering::Release);
        let pen = Pen::new(Arc::clone(&next.map), Arc::clone(&next.file), &next.header);
        pen.set_heard(heard_ns);
        let old = state.current.replace(next);
        drop(state);
        if let Some(old) = old {
            self.retire(old);
        }
        Ok(pen)
    }

    fn refusal(&self) -> AppendError {
        let lane = self.lane;
        match self.state().blocked_by {
            io::ErrorKind::StorageFull => AppendError::NoSpace { lane },
            kind => AppendError::Io { lane, kind },
        }
    }

    /// Closes a segment: the next one is there already, so that a follower finds it.
    fn retire(&self, old: Arc<Segment>) {
        old.map.close();
        let waiting = old.without_contents().map_or(old, Arc::new);
        self.state().unsynced.push_back(waiting);
        self.sync_overdue();
    }

    /// Ends the lane: nobody has seen the spare, since the current segment is not closed yet.
    pub(crate) fn finish(&self) {
        let _work = self.work();
        let mut state = self.state();
        let spare = state.spare.take();
        let current = state.current.take();
        state.finished = true;
        drop(state);
        self.spare_ready.store(false, Ordering::Release);
        if let Some(spare) = spare {
            let path = self.live_name(spare.seq()).in_dir(&self.dir);
            // If it stays it is adopted at the next start.
            let _ = self.disk.remove(&path);
        }
        if let Some(current) = current {
            current.map.close();
        }
    }

    pub(crate) fn prepare_next(&self) -> Result<(), SegmentError> {
        if self.spare_ready.load(Ordering::Acquire) {
            return Ok(());
        }
        let _work = self.work();
        if self.spare_ready.load(Ordering::Acquire) || self.state().finished {
            return Ok(());
        }
        let made = self.make_segment();
        let mut state = self.state();
        match made {
            Ok(segment) => {
                state.spare = Some(Arc::new(segment));
                self.blocked.store(false, Ordering::Release);
                self.spare_ready.store(true, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                state.blocked_by = error.io_kind();
                self.blocked.store(true, Ordering::Release);
                Err(error)
            }
        }
    }

    /// Under `work`.
    fn make_segment(&self) -> Result<Segment, SegmentError> {
        let mut state = self.state();
        let seq = state.next_seq;
        let free = state.free.pop();
        drop(state);
        if seq > SEQ_MAX {
            return Err(SegmentError::Exhausted { lane: self.lane });
        }
        let segment = match free.and_then(|free| self.recycle(free, seq)) {
            Some(segment) => segment,
            None => self.create(seq)?,
        };
        self.state().next_seq = seq + 1;
        Ok(segment)
    }

    fn create(&self, seq: u32) -> Result<Segment, SegmentError> {
        let partial = self.live_name(seq).as_role(Role::Partial).in_dir(&self.dir);
        let bytes = self.options.segment_bytes;
        let created = self.disk.create(&partial, bytes);
        let file = created.map_err(|e| SegmentError::allocation(&partial, bytes, e))?;
        self.furnish(file, &partial, seq, self.options.prefault).inspect_err(|_| {
            // That error says more than a failure to clean up behind it.
            let _ = self.disk.remove(&partial);
        })
    }

    /// Uses a released file again. Its pages may have to be read before they can be written, so all are
    /// faulted in here, where an error is an error. Whatever fails: the file goes, and a new one is made.
    fn recycle(&self, free: FileName, seq: u32) -> Option<Segment> {
        let path = free.in_dir(&self.dir);
        let reused = self.disk.open(&path, Access::Write).ok().and_then(|file| {
            let whole = file.metadata().ok()?.len() == self.options.segment_bytes;
            if whole { self.furnish(file, &path, seq, true).ok() } else { None }
        });
        if reused.is_none() {
            let _ = self.disk.remove(&path);
        }
        reused
    }

    /// Maps a file, gives it the identity of segment `seq`, makes that durable, and last its name.
    fn furnish(
        &self,
        file: File,
        path: &Path,
        seq: u32,
        prefault: bool,
    ) -> Result<Segment, SegmentError> {
        let bytes = self.options.segment_bytes;
        let map = WriteMap::new(&file, Extent::Whole, bytes)
            .map_err(|source| SegmentError::io("map", path, source))?;
        let header = self.header(seq);
        map.initialise(&header);
        if prefault {
            map.populate(&*self.disk, &file)
                .map_err(|e| SegmentError::allocation(path, bytes, e))?;
        }
        let final_path = self.live_name(seq).in_dir(&self.dir);
        let publish = || {
            self.disk.sync_file(&file)?;
            self.disk.rename(path, &final_path)
        };
        publish().map_err(|e| SegmentError::allocation(path, bytes, e))?;
        if let Err(source) = self.disk.sync_dir(&self.dir) {
            let _ = self.disk.remove(&final_path);
            return Err(SegmentError::io("sync", &self.dir, source));
        }
        Ok(Segment { header, file: Arc::new(file), map: Arc::new(map) })
    }

    fn header(&self, seq: u32) -> Header {
        Header {
            lane: self.lane,
            kind: self.kind,
            seq,
            segment_bytes: self.options.segment_bytes,
            epoch: self.options.epoch,
            block_bytes: self.options.block_bytes,
        }
    }

    /// Makes durable what was committed when it was called. All are tried; the first error is told.
    pub(crate) fn sync(&self) -> Result<SyncReport, SegmentError> {
        let _work = self.work();
        let mut state = self.state();
        let given_up = std::mem::take(&mut state.given_up);
        let waiting: Vec<_> = state.unsynced.iter().cloned().collect();
        let current = state.current.clone();
        drop(state);

        let mut report = SyncReport { given_up, ..SyncReport::default() };
        let mut first_error = None;
        for segment in waiting {
            match self.sync_closed(&segment, &mut report) {
                Ok(()) => self.forget_unsynced(&segment),
                Err(error) => _ = first_error.get_or_insert(error),
            }
        }
        if let Some(current) = current
            && !current.is_durable()
        {
            match self.sync_once(&current) {
                Ok(()) => report.synced += 1,
                Err(error) => _ = first_error.get_or_insert(error),
            }
        }
        first_error.map_or(Ok(report), Err)
    }

    /// Keeps the list of those that wait within bounds.
    fn sync_overdue(&self) {
        let state = self.state();
        let overdue = state.unsynced.len() > UNSYNCED_MAX;
        let Some(oldest) = state.unsynced.front().filter(|_| overdue).cloned() else { return };
        drop(state);
        let _work = self.work();
        if self.sync_closed(&oldest, &mut SyncReport::default()).is_err() {
            // Recording goes on; the next report says that this segment may go with the machine.
            self.state().given_up += 1;
        }
        self.forget_unsynced(&oldest);
    }

    fn forget_unsynced(&self, segment: &Arc<Segment>) {
        self.state().unsynced.retain(|waiting| !Arc::ptr_eq(waiting, segment));
    }

    /// Under `work`.
    fn sync_closed(&self, old: &Segment, report: &mut SyncReport) -> Result<(), SegmentError> {
        if old.is_durable() {
            return Ok(());
        }
        if self.sync_once(old).is_ok() {
            report.synced += 1;
            return Ok(());
        }
        report.bytes_lost += rewrite(self, old)?;
        report.rewritten += 1;
        Ok(())
    }

    /// Under `work`.
    fn sync_once(&self, segment: &Segment) -> Result<(), SegmentError> {
        let (lane, seq) = (self.lane, segment.seq());
        if segment.map.is_failed() {
            let source = io::Error::other("an earlier sync failed");
            return Err(SegmentError::Sync { lane, seq, source });
        }
        let committed = segment.map.words().committed();
        if let Err(source) = self.disk.sync_file(&segment.file) {
            // S6: the kernel may have dropped the pages it could not write and call the next sync good.
            segment.map.set_failed();
            return Err(SegmentError::Sync { lane, seq, source });
        }
        segment.map.set_synced(committed);
        Ok(())
    }

    pub(crate) fn release(&self, seq: u32) -> Result<(), SegmentError> {
        let _work = self.work();
        let mut state = self.state();
        let in_use = [&state.current, &state.spare]
            .into_iter()
            .any(|held| held.as_ref().is_some_and(|held| held.seq() == seq));
        if in_use {
            return Err(SegmentError::NotReleasable { lane: self.lane, seq });
        }
        state.unsynced.retain(|segment| segment.seq() != seq);
        let keep = state.free.len() < self.options.recycle_max as usize;
        drop(state);

        let name = self.live_name(seq);
        let path = name.in_dir(&self.dir);
        let free = name.as_role(Role::Free);
        let released = if keep {
            self.disk.rename(&path, &free.in_dir(&self.dir))
        } else {
            self.disk.remove(&path)
        };
        match released {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SegmentError::NotReleasable { lane: self.lane, seq });
            }
            Err(source) => return Err(SegmentError::io("release", &path, source)),
        }
        if keep {
            self.state().free.push(free);
        }
        Ok(())
    }

    pub(crate) fn erase(
        &self,
        erasures: &[Erasure],
        keep: Keep,
        verdict: u8,
    ) -> Result<Vec<u64>, SegmentError> {
        if self.kind != LaneKind::Media {
            return Err(SegmentError::Kind {
                lane: self.lane,
                found: self.kind,
                wanted: LaneKind::Media,
            });
        }
        let _work = self.work();
        erase(self, erasures, keep, verdict)
    }

    /// A segment of this lane, written or not; none if it is not there. Under `work`.
    pub(crate) fn segment(&self, seq: u32) -> Result<Option<Arc<Segment>>, SegmentError> {
        let state = self.state();
        let mut known = state.unsynced.iter().chain(&state.current);
        if let Some(known) = known.rfind(|known| known.seq() == seq) {
            return Ok(Some(Arc::clone(known)));
        }
        drop(state);
        match self.reopen(seq, Extent::HeaderPage) {
            Ok(segment) => Ok(Some(Arc::new(segment))),
            Err(error) if error.io_kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What was overwritten is durable then, here or, where that fails, elsewhere (S6). Under `work`.
    pub(crate) fn sync_erased(&self, segment: &Segment) -> Result<(), SegmentError> {
        let Err(error) = self.sync_once(segment) else { return Ok(()) };
        if segment.map.words().is_closed() { rewrite(self, segment).map(drop) } else { Err(error) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> MutexGuard<'_, ()> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the lane for this process.
pub(crate) fn lock(dir: &Path, lane: LaneId) -> Result<File, SegmentError> {
    let path = file_name::lock_path(dir, lane);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|source| SegmentError::io("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SegmentError::Locked { lane }),
        Err(TryLockError::Error(source)) => Err(SegmentError::io("lock", &path, source)),
    }
}
