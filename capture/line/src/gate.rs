//! A line and what waits in it.
//!
//! ```text
//!   released            scanned              published
//!  ────┬───────────────────┬────────────────────┬────
//!      │ w . . w w . w . . │ not looked at yet  │          w waits, . has left
//!  ────┴───────────────────┴────────────────────┴────
//! ```
//!
//! Records leave in any order, room is given back in theirs: everything before the first that waits.
//! A decided record leaves as soon as it is looked at; it does not wait behind an undecided one.

use earwitness_wire::{Endpoint, Verdict};

use crate::{
    bounded::Hash,
    exit::{Exit, Reason},
    hash::Pair,
    held::{DelayLine, Held, Hint},
    limits::{
        BATCH_RECORDS, LINE_FREE_DIVISOR, RELEASE_RECORDS, WAITING_MAX, WAITING_RECORD_BYTES,
    },
    waiting::{Waiter, Waiting},
};

/// The consumer's side of one line.
#[derive(Debug)]
pub(crate) struct Gate<L> {
    line: L,
    scanned: u64,
    waiting: Waiting,
}

impl<L: DelayLine> Gate<L> {
    pub(crate) fn new(line: L) -> Self {
        let records = usize::try_from(line.capacity()).unwrap_or(usize::MAX) / WAITING_RECORD_BYTES;
        let scanned = line.released();
        Self { line, scanned, waiting: Waiting::new(records.clamp(1, WAITING_MAX)) }
    }

    pub(crate) fn line(&self) -> &L {
        &self.line
    }

    /// Looks at everything published since the last time.
    #[inline]
    pub(crate) fn scan(&mut self, exit: &mut Exit) {
        self.line.refresh();
        let mut looked_at = 0;
        loop {
            let mut hashes = [Hash::default(); BATCH_RECORDS];
            let count = self.look_ahead(exit, &mut hashes);
            if count == 0 {
                break;
            }
            hashes[..count].iter().for_each(|hash| self.scan_one(exit, *hash));
            looked_at += count;
            if looked_at % RELEASE_RECORDS == 0 {
                self.release();
            }
        }
        if looked_at > 0 {
            self.press(exit);
        }
    }

    /// Looks at some records, so that the flows of all of them are on their way into the cache before the first is
    /// wanted. Gives how many there are.
    #[inline]
    fn look_ahead(&self, exit: &Exit, hashes: &mut [Hash; BATCH_RECORDS]) -> usize {
        let mut count = 0;
        let mut at = self.scanned;
        while count < BATCH_RECORDS
            && let Some(held) = self.line.peek(at)
        {
            self.line.look_ahead(at);
            if held.meta.hint == Hint::Media
                && let Some(pair) = held.pair()
            {
                hashes[count] = exit.flows.expect(&pair);
            }
            at = held.next;
            count += 1;
        }
        // What has no flow asks for one that nobody wants.
        hashes[..count].iter().for_each(|hash| exit.flows.prefetch(*hash));
        count
    }

    /// The record stays in registers all the way: it is lent to nobody here.
    #[inline(always)]
    fn scan_one(&mut self, exit: &mut Exit, hash: Hash) {
        let Some(held) = self.line.peek(self.scanned) else { return };
        let (position, next, ts_ns) = (held.at, held.next, held.meta.ts_ns);
        if held.meta.hint == Hint::Media {
            if let Some(pair) = exit.arrive(&held, hash) {
                self.wait(Waiter { position, ts_ns }, &pair, exit);
            }
        } else {
            self.scan_other(exit);
        }
        self.scanned = next;
    }

    #[inline(never)]
    fn wait(&mut self, waiter: Waiter, pair: &Pair, exit: &mut Exit) {
        if self.waiting.is_full() {
            leave_first(&self.line, &mut self.waiting, exit, Reason::Pressed);
        }
        self.waiting.push(waiter, &pair.dst);
    }

    #[inline(never)]
    fn scan_other(&self, exit: &mut Exit) {
        let Some(held) = self.line.peek(self.scanned) else { return };
        match held.meta.hint {
            Hint::Signalling => exit.signalling(&held),
            Hint::Fragment => exit.fragment(&held),
            Hint::Media => {}
        }
    }

    /// What waits for a verdict on `dst` leaves, if there is one now.
    pub(crate) fn decide(&mut self, dst: &Endpoint, exit: &mut Exit) {
        if matches!(exit.verdicts.get(dst), None | Some(Verdict::Undecided)) {
            return;
        }
        let line = &self.line;
        self.waiting.take(dst, |waiter| {
            let (held, pair) = look(line, &waiter);
            exit.depart(&held, &pair, Reason::Decided);
        });
        self.release();
    }

    /// What came at or before `until_ns` has waited long enough.
    pub(crate) fn expire(&mut self, until_ns: u64, exit: &mut Exit) {
        let mut left = false;
        while self.waiting.front().is_some_and(|first| first.ts_ns <= until_ns) {
            leave_first(&self.line, &mut self.waiting, exit, Reason::Expired);
            left = true;
        }
        if left {
            self.release();
        }
    }

    /// Everything leaves: the line is closed.
    pub(crate) fn empty(&mut self, exit: &mut Exit) {
        while self.waiting.front().is_some() {
            leave_first(&self.line, &mut self.waiting, exit, Reason::Pressed);
        }
        self.release();
    }

    /// Counts, by source, the packets that nobody looked at yet.
    pub(crate) fn unseen(&mut self, mut each: impl FnMut(u8, u64)) {
        self.line.refresh();
        let mut at = self.scanned;
        while let Some(held) = self.line.peek(at) {
            each(held.meta.source, held.meta.packets.into());
            at = held.next;
        }
    }

    /// Keeps a part of the line free: what waits longest leaves before its time.
    fn press(&mut self, exit: &mut Exit) {
        let capacity = self.line.capacity();
        let used_max = capacity - capacity / LINE_FREE_DIVISOR;
        self.release();
        while self.scanned - self.line.released() > used_max {
            leave_first(&self.line, &mut self.waiting, exit, Reason::Pressed);
            self.release();
        }
    }

    fn release(&mut self) {
        let first = self.waiting.front().map(|first| first.position);
        self.line.release(first.unwrap_or(self.scanned));
    }
}

/// The one that waits longest leaves.
fn leave_first<L: DelayLine>(line: &L, waiting: &mut Waiting, exit: &mut Exit, reason: Reason) {
    let Some(first) = waiting.front() else { return };
    let (held, pair) = look(line, &first);
    exit.depart(&held, &pair, reason);
    waiting.pop(&pair.dst);
}

fn look<'l, L: DelayLine>(line: &'l L, waiter: &Waiter) -> (Held<'l>, Pair) {
    let held = line.peek(waiter.position).expect("what waits is not released");
    let pair = held.pair().expect("it had endpoints when it began to wait");
    (held, pair)
}
