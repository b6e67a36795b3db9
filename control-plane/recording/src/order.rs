//! The packets of one stream in the order they were sent, each once.
//!
//! Both passes run this over the same packets and see the same. In memory are only the positions of
//! packets that wait behind a missing one; payloads stay with the source.

use std::collections::VecDeque;

use earwitness_voip::rtp;

use crate::codecs::{Codecs, Kind};
use crate::limits::{JUMP_NS, NS_PER_MS, NS_PER_S, REORDER_NS_MAX, REORDER_PACKETS_MAX};
use crate::report::PacketTotals;
use crate::sequence::{Agreement, Place, Sequence, Verdict};
use crate::stream::{MediaPacket, SourceError, StreamInput};

/// One RTP packet, by reference.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Slot {
    /// Position in the source.
    pub(crate) index: usize,
    pub(crate) place: Place,
    pub(crate) arrival_ns: u64,
    pub(crate) timestamp: u32,
    pub(crate) payload_type: u8,
    /// Position in the stream's payload types; `None` where nothing explains the number.
    pub(crate) codec: Option<u8>,
    /// Audio in it, on the RTP clock; 0 where its length does not say.
    pub(crate) duration_ticks: u32,
    start: u16,
    end: u16,
}

impl Slot {
    /// The RTP payload within the packet.
    pub(crate) fn payload<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        packet.get(usize::from(self.start)..usize::from(self.end)).unwrap_or(b"")
    }
}

/// Which of the last numbers of an epoch came.
#[derive(Debug)]
struct Seen {
    epoch: u32,
    highest: i64,
    bits: [u64; Self::WORDS],
}

impl Seen {
    const WORDS: usize = 64;
    const SPAN: i64 = Self::WORDS as i64 * 64;

    fn new() -> Self {
        Self { epoch: 0, highest: 0, bits: [0; Self::WORDS] }
    }

    /// Notes the number; `true` if it had been noted.
    fn note(&mut self, place: Place) -> bool {
        if place.epoch < self.epoch {
            return false;
        }
        if place.epoch > self.epoch || place.number - self.highest >= Self::SPAN {
            *self = Self { epoch: place.epoch, highest: place.number, bits: [0; Self::WORDS] };
        }
        while self.highest < place.number {
            self.highest += 1;
            let (word, bit) = Self::position(self.highest);
            self.bits[word] &= !bit;
        }
        let (word, bit) = Self::position(place.number);
        let was = self.bits[word] & bit != 0;
        self.bits[word] |= bit;
        was && self.highest - place.number < Self::SPAN
    }

    fn position(number: i64) -> (usize, u64) {
        let at = number.rem_euclid(Self::SPAN) as usize;
        (at / 64, 1 << (at % 64))
    }
}

/// Interarrival jitter, RFC 3550 section 6.4.1 and appendix A.8, in nanoseconds.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Jitter {
    now_ns: f64,
    pub(crate) max_ns: f64,
    sum_ns: f64,
    count: u64,
}

impl Jitter {
    fn note(&mut self, difference_ns: f64) {
        self.now_ns += (difference_ns.abs() - self.now_ns) / 16.0;
        self.max_ns = self.max_ns.max(self.now_ns);
        self.sum_ns += self.now_ns;
        self.count += 1;
    }

    pub(crate) fn mean_ns(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum_ns / self.count as f64 }
    }
}

/// The highest packet so far, for comparison with the next.
#[derive(Copy, Clone, Debug)]
struct Highest {
    arrival_ns: u64,
    timestamp: u32,
    clock_hz: u32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Ordered<'a> {
    input: StreamInput<'a>,
    codecs: &'a Codecs,
    next: usize,
    count: usize,
    sequence: Sequence,
    seen: Seen,
    highest: Option<Highest>,
    waiting: VecDeque<Slot>,
    held: Option<Slot>,
    released: Option<Place>,
    newest_ns: u64,
    pub(crate) totals: PacketTotals,
    pub(crate) jitter: Jitter,
    pub(crate) arrivals_ns: Option<(u64, u64)>,
}

/// A stream's very first packet waits so long for one that was sent before it.
const FIRST_WAIT_NS: u64 = 200 * NS_PER_MS;
/// A late packet's timestamp is earlier by no more than this.
const LATE_NS: f64 = 15.0 * NS_PER_S as f64;
/// Over a stretch of loss, timestamp and arrival advance alike within this.
const LOSS_SKEW_NS: f64 = 2.0 * NS_PER_S as f64;

impl<'a> Ordered<'a> {
    pub(crate) fn new(input: StreamInput<'a>, codecs: &'a Codecs, count: usize) -> Self {
        Self {
            input,
            codecs,
            next: 0,
            count,
            sequence: Sequence::default(),
            seen: Seen::new(),
            highest: None,
            waiting: VecDeque::new(),
            held: None,
            released: None,
            newest_ns: 0,
            totals: PacketTotals::default(),
            jitter: Jitter::default(),
            arrivals_ns: None,
        }
    }

    /// The next packet in sending order.
    pub(crate) fn next(&mut self) -> Result<Option<Slot>, SourceError> {
        loop {
            if let Some(head) = self.waiting.front()
                && self.ripe(head)
            {
                let slot = self.waiting.pop_front();
                self.released = slot.map(|slot| slot.place);
                return Ok(slot);
            }
            if self.next == self.count {
                if self.held.take().is_some() {
                    self.totals.stray += 1;
                }
                if self.waiting.is_empty() {
                    return Ok(None);
                }
                continue;
            }
            if let Some(slot) = self.admit()? {
                self.released = Some(slot.place);
                return Ok(Some(slot));
            }
        }
    }

    /// Whether the head of the queue needs to wait no longer.
    fn ripe(&self, head: &Slot) -> bool {
        let waited_ns = self.newest_ns.saturating_sub(head.arrival_ns);
        let (follows, patience_ns) = match self.released {
            None => (false, FIRST_WAIT_NS),
            Some(last) => (follows(last, head.place), REORDER_NS_MAX),
        };
        follows
            || waited_ns > patience_ns
            || self.waiting.len() >= REORDER_PACKETS_MAX
            || self.next == self.count
    }

    /// Reads one packet. Returns it if its turn has come; else it waits, or is counted out.
    fn admit(&mut self) -> Result<Option<Slot>, SourceError> {
        let index = self.next;
        self.next += 1;
        let mut found = None;
        let read = self.input.packets.read(index, &mut |packet| {
            found = self.slot(index, &packet);
        });
        self.totals.received += 1;
        match read {
            Ok(()) => {}
            Err(SourceError::Unreadable { .. }) => {
                self.totals.unreadable += 1;
                return Ok(None);
            }
            Err(error @ SourceError::Failed { .. }) => return Err(error),
        }
        let Some((slot, sequence)) = found else {
            self.totals.malformed += 1;
            return Ok(None);
        };
        self.newest_ns = self.newest_ns.max(slot.arrival_ns);
        let (first_ns, last_ns) = self.arrivals_ns.unwrap_or((slot.arrival_ns, slot.arrival_ns));
        self.arrivals_ns = Some((first_ns.min(slot.arrival_ns), last_ns.max(slot.arrival_ns)));
        Ok(self.place(slot, sequence))
    }

    /// What is kept of a packet, without a place yet, and its sequence number.
    fn slot(&self, index: usize, packet: &MediaPacket<'_>) -> Option<(Slot, u16)> {
        let header = rtp::Header::parse(packet.payload).ok()?;
        if header.ssrc != self.input.key.ssrc {
            return None;
        }
        let codec = self.codecs.find(header.payload_type, packet.arrival_ns);
        let slot = Slot {
            index,
            place: Place::default(),
            arrival_ns: packet.arrival_ns,
            timestamp: header.timestamp,
            payload_type: header.payload_type,
            codec,
            duration_ticks: self.codecs.duration_ticks(codec, header.payload(packet.payload)),
            start: header.payload_start,
            end: header.payload_end,
        };
        Some((slot, header.sequence))
    }

    fn place(&mut self, mut slot: Slot, sequence: u16) -> Option<Slot> {
        let clock_hz = self.codecs.clock_hz(slot.codec);
        let agreement = self.agreement(&slot, clock_hz);
        let verdict = self.sequence.place(sequence, agreement);
        if self.held.is_some() && !self.sequence.holds() && !confirms(verdict) {
            self.held = None;
            self.totals.stray += 1;
        }
        match verdict {
            Verdict::At(place) => slot.place = place,
            Verdict::Hold => {
                self.totals.stray += u64::from(self.held.replace(slot).is_some());
                return None;
            }
            Verdict::HeldAgain => {
                self.totals.duplicate += 1;
                return None;
            }
            Verdict::Stray => {
                self.totals.stray += 1;
                return None;
            }
            Verdict::Confirmed { held, this } => {
                if let Some(mut first) = self.held.take() {
                    first.place = held;
                    let due = self.queue(first);
                    self.waiting.extend(due);
                }
                slot.place = this;
            }
        }
        self.note(&slot, clock_hz);
        self.queue(slot)
    }

    /// Jitter in order of arrival, and what the next packet is compared with.
    fn note(&mut self, slot: &Slot, clock_hz: u32) {
        if clock_hz == 0 || self.codecs.kind(slot.codec) == Kind::Event {
            return;
        }
        if let Some(last) = self.highest
            && last.clock_hz == clock_hz
        {
            let media_ns = media_ns(slot.timestamp.wrapping_sub(last.timestamp) as i32, clock_hz);
            let arrival_ns = slot.arrival_ns.wrapping_sub(last.arrival_ns) as i64 as f64;
            // A larger difference is a pause or a jump of the timestamp, not jitter.
            if (arrival_ns - media_ns).abs() < JUMP_NS as f64 {
                self.jitter.note(arrival_ns - media_ns);
            }
        }
        if self.seen.highest <= slot.place.number || self.seen.epoch < slot.place.epoch {
            self.highest =
                Some(Highest { arrival_ns: slot.arrival_ns, timestamp: slot.timestamp, clock_hz });
        }
    }

    fn agreement(&self, slot: &Slot, clock_hz: u32) -> Agreement {
        let Some(last) = self.highest.filter(|_| clock_hz != 0) else {
            return Agreement::Forward;
        };
        let media_ns = media_ns(slot.timestamp.wrapping_sub(last.timestamp) as i32, clock_hz);
        let arrival_ns = slot.arrival_ns.wrapping_sub(last.arrival_ns) as i64 as f64;
        if media_ns > 0.0 && (media_ns - arrival_ns).abs() < LOSS_SKEW_NS {
            Agreement::Forward
        } else if media_ns <= 0.0 && media_ns > -LATE_NS {
            Agreement::Backward
        } else {
            Agreement::Neither
        }
    }

    /// Into the queue, unless it is a duplicate or too late; out again at once if it is next.
    fn queue(&mut self, slot: Slot) -> Option<Slot> {
        let ahead = self.seen.highest > slot.place.number || self.seen.epoch > slot.place.epoch;
        if self.seen.note(slot.place) {
            self.totals.duplicate += 1;
            return None;
        }
        if let Some(last) = self.released {
            if slot.place <= last {
                self.totals.late += 1;
                return None;
            }
            if self.waiting.is_empty() && follows(last, slot.place) {
                return Some(slot);
            }
        }
        let at = self.waiting.partition_point(|other| other.place < slot.place);
        if self.waiting.get(at).is_some_and(|other| other.place == slot.place) {
            self.totals.duplicate += 1;
            return None;
        }
        self.totals.reordered += u64::from(ahead);
        self.waiting.insert(at, slot);
        None
    }
}

fn follows(last: Place, next: Place) -> bool {
    last.epoch == next.epoch && last.number + 1 == next.number
}

fn confirms(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Confirmed { .. } | Verdict::Hold)
}

fn media_ns(ticks: i32, clock_hz: u32) -> f64 {
    f64::from(ticks) * (1e9 / f64::from(clock_hz))
}
