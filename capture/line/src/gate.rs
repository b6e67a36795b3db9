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
    exit::{Arrival, Exit, Reason, Stay},
    flow_key::FlowKey,
    gathered::{Admitted, Gathered},
    held::{DelayLine, Hint},
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
    /// For a verdict.
    waiting: Waiting,
    /// Masked, until it is too late for another word.
    masked: Waiting,
    gathered: Gathered,
}

impl<L: DelayLine> Gate<L> {
    pub(crate) fn new(line: L) -> Self {
        let records = usize::try_from(line.capacity()).unwrap_or(usize::MAX) / WAITING_RECORD_BYTES;
        let records = records.clamp(1, WAITING_MAX);
        let scanned = line.released();
        let (waiting, masked) = (Waiting::new(records), Waiting::new(records));
        Self { line, scanned, waiting, masked, gathered: Gathered::default() }
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
            let mut media = [None; BATCH_RECORDS];
            let count = self.look_ahead(exit, &mut media);
            if count == 0 {
                break;
            }
            media[..count].iter().for_each(|media| self.scan_one(exit, media.as_ref()));
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
    fn look_ahead(
        &self,
        exit: &Exit,
        media: &mut [Option<(FlowKey, Hash)>; BATCH_RECORDS],
    ) -> usize {
        let mut count = 0;
        let mut at = self.scanned;
        while count < BATCH_RECORDS
            && let Some(held) = self.line.peek(at)
        {
            if held.meta.hint == Hint::Media
                && let Some(key) = held.flow_key()
            {
                media[count] = Some((key, exit.flows.expect(&key)));
            }
            at = held.next;
            count += 1;
        }
        media[..count].iter().flatten().for_each(|(_, hash)| exit.flows.prefetch(*hash));
        count
    }

    /// The record stays in registers all the way: it is lent to nobody here.
    #[inline(always)]
    fn scan_one(&mut self, exit: &mut Exit, media: Option<&(FlowKey, Hash)>) {
        let Some(held) = self.line.peek(self.scanned) else { return };
        let (position, next, ts_ns) = (held.at, held.next, held.meta.ts_ns);
        // Here, where most of the time passes: `look_ahead` would be there before what it asked for.
        self.line.look_ahead(position);
        match media {
            Some((key, hash)) => match exit.arrive(&held, key, *hash) {
                Arrival::Left => {}
                Arrival::Stays(stay) => self.wait(Waiter { position, ts_ns }, key, stay, exit),
                Arrival::Admitted(pass) => {
                    self.gathered.push(Admitted { pass, position }, (next - position) as usize);
                }
            },
            None => self.scan_other(exit),
        }
        self.scanned = next;
    }

    #[inline(never)]
    fn wait(&mut self, waiter: Waiter, key: &FlowKey, stay: Stay, exit: &mut Exit) {
        let Self { line, waiting, masked, gathered, .. } = self;
        let waiting = match stay {
            Stay::Undecided => waiting,
            Stay::Masked => masked,
        };
        if waiting.is_full() {
            leave_first(line, waiting, gathered, exit, Reason::Pressed);
        }
        waiting.push(waiter, &key.pair().dst);
    }

    #[inline(never)]
    fn scan_other(&self, exit: &mut Exit) {
        let Some(held) = self.line.peek(self.scanned) else { return };
        match held.meta.hint {
            Hint::Signalling => exit.signalling(&held),
            Hint::Fragment => exit.fragment(&held),
            Hint::Media => exit.no_flow(&held),
        }
    }

    /// What waits for a verdict on `dst` leaves, if there is one now.
    pub(crate) fn decide(&mut self, dst: &Endpoint, exit: &mut Exit) {
        if matches!(exit.verdicts.get(dst), None | Some(Verdict::Undecided)) {
            return;
        }
        let Self { line, waiting, masked, gathered, .. } = self;
        leave_all(line, waiting, gathered, dst, exit);
        if exit.verdicts.get(dst) != Some(Verdict::Mask) {
            leave_all(line, masked, gathered, dst, exit);
        }
        self.release();
    }

    /// The verdict on `dst` is about to be withdrawn: what is masked by it leaves while it is known.
    pub(crate) fn conclude(&mut self, dst: &Endpoint, exit: &mut Exit) {
        leave_all(&self.line, &mut self.masked, &mut self.gathered, dst, exit);
        self.release();
    }

    /// What came undecided at or before `until_ns` has waited long enough.
    pub(crate) fn expire(&mut self, until_ns: u64, exit: &mut Exit) {
        if leave_until(&self.line, &mut self.waiting, &mut self.gathered, until_ns, exit) {
            self.release();
        }
    }

    /// The same of what is masked.
    pub(crate) fn expire_masked(&mut self, until_ns: u64, exit: &mut Exit) {
        if leave_until(&self.line, &mut self.masked, &mut self.gathered, until_ns, exit) {
            self.release();
        }
    }

    /// Everything leaves: the line is closed.
    pub(crate) fn empty(&mut self, exit: &mut Exit) {
        for waiting in [&mut self.waiting, &mut self.masked] {
            while waiting.front().is_some() {
                leave_first(&self.line, waiting, &mut self.gathered, exit, Reason::Pressed);
            }
        }
        self.settle(exit);
        self.release();
    }

    /// Bytes of the line that wait for others of their flow.
    pub(crate) fn gathered_bytes(&self) -> usize {
        self.gathered.bytes()
    }

    /// What was gathered leaves, flow by flow.
    pub(crate) fn settle(&mut self, exit: &mut Exit) {
        if self.gathered.bytes() == 0 {
            return;
        }
        let line = &self.line;
        let records = self.gathered.take();
        let mut ahead = records.iter().skip(BATCH_RECORDS);
        for of_flow in records.chunk_by(|one, next| one.pass.flow == next.pass.flow) {
            let Some(key) = line.peek(of_flow[0].position).and_then(|held| held.flow_key()) else {
                unreachable!("what was let in has endpoints")
            };
            let held = of_flow.iter().map(|record| {
                ahead.next().inspect(|next| line.expect(next.position));
                let held = line.peek(record.position).expect("what is gathered is not released");
                (held, record.pass.verdict)
            });
            exit.write(&key, held);
        }
        self.gathered.reuse(records);
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
        if self.scanned - self.line.released() > used_max {
            self.settle(exit);
        }
        while self.scanned - self.line.released() > used_max {
            let [undecided, masked] = self.fronts();
            let waiting = if masked < undecided { &mut self.masked } else { &mut self.waiting };
            leave_first(&self.line, waiting, &mut self.gathered, exit, Reason::Pressed);
            self.settle(exit);
            self.release();
        }
    }

    /// Where in the line the first undecided and the first masked record lie.
    #[inline]
    fn fronts(&mut self) -> [u64; 2] {
        let position = |first: Option<Waiter>| first.map_or(u64::MAX, |first| first.position);
        [position(self.waiting.front()), position(self.masked.front())]
    }

    fn release(&mut self) {
        let [undecided, masked] = self.fronts();
        let gathered = self.gathered.first().unwrap_or(u64::MAX);
        self.line.release(undecided.min(masked).min(gathered).min(self.scanned));
    }
}

/// What came at or before `until_ns` leaves. Returns whether there was anything.
fn leave_until<L: DelayLine>(
    line: &L,
    waiting: &mut Waiting,
    gathered: &mut Gathered,
    until_ns: u64,
    exit: &mut Exit,
) -> bool {
    let mut left = false;
    while waiting.front().is_some_and(|first| first.ts_ns <= until_ns) {
        leave_first(line, waiting, gathered, exit, Reason::Expired);
        left = true;
    }
    left
}

/// What waits for `dst` leaves, in its order.
fn leave_all<L: DelayLine>(
    line: &L,
    waiting: &mut Waiting,
    gathered: &mut Gathered,
    dst: &Endpoint,
    exit: &mut Exit,
) {
    waiting.take(dst, |waiter| {
        depart(line, &waiter, gathered, exit, Reason::Decided);
    });
}

/// The one that waits longest leaves.
fn leave_first<L: DelayLine>(
    line: &L,
    waiting: &mut Waiting,
    gathered: &mut Gathered,
    exit: &mut Exit,
    reason: Reason,
) {
    let Some(first) = waiting.front() else { return };
    let key = depart(line, &first, gathered, exit, reason);
    waiting.pop(&key.pair().dst);
}

/// A record that waited leaves, or is gathered.
fn depart<L: DelayLine>(
    line: &L,
    waiter: &Waiter,
    gathered: &mut Gathered,
    exit: &mut Exit,
    reason: Reason,
) -> FlowKey {
    let position = waiter.position;
    let held = line.peek(position).expect("what waits is not released");
    let key = held.flow_key().expect("it had endpoints when it began to wait");
    if let Some(pass) = exit.depart(&held, &key, reason) {
        gathered.push(Admitted { pass, position }, (held.next - position) as usize);
    }
    key
}
