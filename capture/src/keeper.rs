//! The thread that may wait for the disk, so that writing threads need not: allocates segments ahead, syncs, and gives
//! released ones back.

use std::sync::{Arc, Barrier};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;
use std::{io, iter};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use earwitness_ipc::{Erased, Erasure, Fault};
use earwitness_segment::{Keeper, SegmentError};
use mio::Waker;

use crate::limits::{KEEPER_INTERVAL, ORDERS_MAX, SYNC_INTERVAL};
use crate::thread::{Content, Crew, Report};

/// What the keeper is asked to do.
#[derive(Debug)]
pub(crate) enum Chore {
    /// Give back segments (lane, seq) that nobody needs (S5).
    Release(Vec<(u16, u32)>),
    /// Overwrite payloads.
    Erase(Vec<Erasure>),
}

/// The main thread's end.
#[derive(Debug)]
pub(crate) struct KeeperThread {
    chores: Sender<Chore>,
    handle: JoinHandle<()>,
}

impl KeeperThread {
    /// Starts the thread; it has made every call that starting takes when this returns.
    pub(crate) fn start(keepers: Vec<Keeper>, crew: &Crew) -> io::Result<Self> {
        let (chores, inbox) = bounded(ORDERS_MAX);
        let (reports, waker) = crew.reporter();
        let lanes = keepers.into_iter().map(|keeper| Lane { keeper, failing: false }).collect();
        let house = House { lanes, reports, waker, thread: crew.len() };
        let ready = Arc::new(Barrier::new(2));
        let started = Arc::clone(&ready);
        let handle = Builder::new().name("keeper".into()).spawn(move || {
            started.wait();
            house.run(&inbox);
        })?;
        ready.wait();
        Ok(Self { chores, handle })
    }

    pub(crate) fn has_room(&self) -> bool {
        !self.chores.is_full()
    }

    /// Has something done. Who asks first whether there is room loses nothing.
    pub(crate) fn ask(&self, chore: Chore) {
        // A keeper that has ended leaves it to the next start.
        let _ = self.chores.try_send(chore);
    }

    /// Ends the thread; the lanes are synced by those who wrote them.
    pub(crate) fn stop(self) {
        drop(self.chores);
        // It panicked, and so did the process: nobody gets here.
        let _ = self.handle.join();
    }
}

#[derive(Debug)]
struct House {
    lanes: Vec<Lane>,
    reports: Sender<Report>,
    waker: Arc<Waker>,
    thread: usize,
}

#[derive(Debug)]
struct Lane {
    keeper: Keeper,
    /// What went wrong was told already.
    failing: bool,
}

impl House {
    fn run(mut self, chores: &Receiver<Chore>) {
        let mut synced = Instant::now();
        loop {
            match chores.recv_timeout(KEEPER_INTERVAL) {
                Ok(chore) => {
                    let more = iter::from_fn(|| chores.try_recv().ok());
                    self.work(iter::once(chore).chain(more));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.prepare();
            if synced.elapsed() >= SYNC_INTERVAL {
                synced = Instant::now();
                self.sync();
            }
        }
    }

    fn work(&mut self, chores: impl Iterator<Item = Chore>) {
        let mut erasures = Vec::new();
        for chore in chores {
            match chore {
                Chore::Release(segments) => {
                    segments.into_iter().for_each(|(lane, seq)| self.release(lane, seq));
                }
                Chore::Erase(more) => erasures.extend(more),
            }
        }
        // Of one lane together: each lane syncs once.
        erasures.sort_by_key(|erasure| erasure.lane);
        erasures.chunk_by(|one, next| one.lane == next.lane).for_each(|lane| self.erase(lane));
    }

    fn erase(&self, erasures: &[Erasure]) {
        let Some(number) = erasures.first().map(|erasure| erasure.lane) else { return };
        let found = self.lanes.iter().find(|own| own.keeper.lane().0 == number);
        let failure = match found.map(|own| earwitness_line::drain::erase(&own.keeper, erasures)) {
            Some(Ok(records)) => {
                let done = erasures.iter().zip(records);
                let done = done.map(|(one, records)| Erased { number: one.number, records });
                return self.report(Content::Erased(done.collect()));
            }
            Some(Err(error)) => error.to_string(),
            None => "no such lane here".to_owned(),
        };
        let text = format!("lane {number}: payloads are not overwritten yet: {failure}");
        tracing::error!("{text}");
        self.tell(Fault::Erase, text);
    }

    /// Signalling before media: where only one more segment fits, it is signalling's.
    fn prepare(&mut self) {
        use earwitness_segment::LaneKind::{Media, Signalling};
        let mut full = false;
        for kind in [Signalling, Media] {
            for at in 0..self.lanes.len() {
                if self.lanes[at].keeper.kind() != kind || (kind == Media && full) {
                    continue;
                }
                let result = self.lanes[at].keeper.prepare_next();
                full |= result.is_err();
                self.note(at, result);
            }
        }
    }

    fn sync(&mut self) {
        for at in 0..self.lanes.len() {
            match self.lanes[at].keeper.sync() {
                Ok(report) if report.given_up > 0 || report.bytes_lost > 0 => {
                    let lane = self.lanes[at].keeper.lane().0;
                    let text = format!(
                        "lane {lane}: a sync failed; {} segments given up, {} bytes lost",
                        report.given_up, report.bytes_lost
                    );
                    tracing::error!("{text}");
                    self.tell(Fault::Disk, text);
                }
                Ok(_) => {}
                Err(error) => self.note(at, Err(error)),
            }
        }
    }

    fn release(&mut self, lane: u16, seq: u32) {
        let found = self.lanes.iter().find(|own| own.keeper.lane().0 == lane);
        let failure = match found.map(|own| own.keeper.release(seq)) {
            Some(Ok(())) => return,
            Some(Err(error)) => error.to_string(),
            None => "no such lane here".to_owned(),
        };
        self.tell(Fault::Release, format!("segment {seq} of lane {lane}: {failure}"));
    }

    /// Tells the first failure of a row, and that it is over.
    fn note(&mut self, at: usize, result: Result<(), SegmentError>) {
        let lane = &mut self.lanes[at];
        let number = lane.keeper.lane().0;
        match result {
            Ok(()) if lane.failing => {
                lane.failing = false;
                tracing::info!(lane = number, "segments can be written again");
            }
            Err(error) if !lane.failing => {
                lane.failing = true;
                let text = format!("lane {number}: {error}");
                tracing::error!("{text}");
                self.tell(Fault::Disk, text);
            }
            _ => {}
        }
    }

    fn tell(&self, fault: Fault, text: String) {
        self.report(Content::Fault { fault, text });
    }

    fn report(&self, content: Content) {
        let report = Report { thread: self.thread, content };
        // Where main has no room for it, the log line stands.
        if self.reports.try_send(report).is_ok() {
            let _ = self.waker.wake();
        }
    }
}
