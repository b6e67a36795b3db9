//! The ring between the thread that receives and the thread that writes: one producer, one
//! consumer, records of any length in one locked region, no lock, allocation or system call per
//! packet (CAP-2).
//!
//! Positions count bytes since the ring was made and never wrap; `position % capacity` is the place.
//! A record is a 32-byte header and the frame, rounded up to 8 bytes, and never wraps: where the
//! region's end is too near, a filler takes what is left.
//!
//! ```text
//!      released            the consumer looks anywhere here          published      written
//!  ───────┬──────────────────────────────────────────────────────────────┬─────────────┬───────
//!   free  │ record │ record │ record │ filler │ record │ record │ record │ a batch     │  free
//!  ───────┴──────────────────────────────────────────────────────────────┴─────────────┴───────
//!       tail (consumer stores, release)                     head (producer stores, release)
//! ```
//!
//! R1 The producer writes only outside `[tail, head)`, the consumer reads only inside.
//! R2 `head` moves with release order after the bytes; the consumer loads it with acquire order.
//! R3 `tail` moves with release order after the last read; the producer loads it with acquire order
//!    before it writes over what was released.
//! R4 Each side keeps the other's index of the last look, and looks again only when that is not enough.
//! R5 A full ring loses the new packet, counts it, and says so; it never waits.
//!
//! Not here: what a record means. That is steering before and the verdict after.
#![expect(unsafe_code, reason = "shares one region between two threads, by the rules R1 to R3")]

use crossbeam_utils::CachePadded;
use thiserror::Error;

use crate::{
    held::{Held, Hint},
    limits::FRAME_BYTES_MAX,
    region::{Plain, Region, Residence},
    sync::{Arc, AtomicU64, Ordering},
};

/// What the producer says of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    pub ts_ns: u64,
    /// Length on the wire, of which the frame may be the beginning.
    pub wire_len: u32,
    /// Offset of the innermost IP header.
    pub l3: u16,
    /// Offset of the payload of UDP or TCP.
    pub payload: u16,
    pub payload_len: u16,
    /// How many packets this record stands for: the fragments of a datagram put together, else 1.
    pub packets: u16,
    /// `wire::LinkType` as stored in segments.
    pub link: u8,
    /// Interface or file.
    pub source: u8,
    pub hint: Hint,
}

/// Why a frame did not enter the ring. It is counted in [`Overflow`] either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PushError {
    #[error("the ring is full")]
    Full,
    #[error("the frame is longer than a record can be")]
    TooLarge,
}

/// What found no room since the ring was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overflow {
    pub packets: u64,
    pub bytes: u64,
}

/// The producer's end.
#[derive(Debug)]
pub struct Sender {
    shared: Arc<Shared>,
    /// Where the next record goes: `head` once published.
    written: u64,
    published: u64,
    /// The consumer's `tail` when last looked at (R4).
    tail_seen: u64,
    /// The next record goes to the region's start.
    rewinds: bool,
}

/// The consumer's end.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    released: u64,
    /// The producer's `head` when last looked at (R4).
    head_seen: u64,
}

/// Makes a ring of a region.
#[must_use]
pub fn ring(region: Region) -> (Sender, Receiver) {
    let frame_bytes_max = (region.bytes() / 2).saturating_sub(HEADER_BYTES).min(FRAME_BYTES_MAX);
    let shared = Arc::new(Shared {
        mask: region.bytes() as u64 - 1,
        frame_bytes_max,
        region,
        head: CachePadded::new(AtomicU64::new(0)),
        tail: CachePadded::new(AtomicU64::new(0)),
        heard_ns: CachePadded::new(AtomicU64::new(0)),
        lost: CachePadded::new(Lost { packets: AtomicU64::new(0), bytes: AtomicU64::new(0) }),
    });
    let sender = Sender {
        shared: Arc::clone(&shared),
        written: 0,
        published: 0,
        tail_seen: 0,
        rewinds: false,
    };
    (sender, Receiver { shared, released: 0, head_seen: 0 })
}

impl Sender {
    /// Copies a frame in. The consumer sees it after [`Sender::publish`].
    ///
    /// # Errors
    /// [`PushError`]; the packet is then counted in the ring's [`Overflow`].
    #[inline]
    pub fn push(&mut self, meta: &Meta, frame: &[u8]) -> Result<(), PushError> {
        let shared = &*self.shared;
        if frame.len() > shared.frame_bytes_max {
            return Err(shared.lose(meta, PushError::TooLarge));
        }
        let span = span_of(frame.len());
        let place = self.written & shared.mask;
        let to_end = shared.capacity() - place;
        let filler = if span > to_end || self.rewinds { to_end } else { 0 };
        let next = self.written + filler + span;
        if next - self.tail_seen > shared.capacity() {
            // R3: acquire, so that the consumer's reads of the released bytes lie behind.
            self.tail_seen = shared.tail.load(Ordering::Acquire);
            if next - self.tail_seen > shared.capacity() {
                return Err(shared.lose(meta, PushError::Full));
            }
        }
        let header = Header::new(meta, span as u32, frame.len() as u32);
        // SAFETY: R1: everything written lies in `[written, next)`, which is outside `[tail, head)`:
        // `next` is within one capacity of a tail that the consumer only moves forward. Both pieces
        // are in bounds because a span never crosses the end. Places are multiples of 8.
        unsafe {
            let mut place = place as usize;
            if filler > 0 {
                shared.region.store(place, Filler { span: filler as u32, mark: FILLER });
                place = 0;
            }
            shared.region.store(place, header);
            shared.region.write(place + HEADER_BYTES, frame);
        }
        self.written = next;
        self.rewinds = false;
        Ok(())
    }

    /// Where nothing is held, and more than `room` bytes of the region were used, goes on at its start: the same
    /// memory again, which is in the caches still, instead of all that there is, one lap after the other. Until
    /// the consumer has looked again, only what was used so far can be used: `room` at least.
    pub fn rewind(&mut self, room: u64) {
        let place = self.written & self.shared.mask;
        let is_far = place > room && self.shared.capacity() <= u64::from(FILLER);
        self.rewinds = is_far && self.used_bytes() == 0;
    }

    /// Shows the consumer everything pushed so far.
    #[inline]
    pub fn publish(&mut self) {
        if self.published != self.written {
            // R2: release, so that the records lie before.
            self.shared.head.store(self.written, Ordering::Release);
            self.published = self.written;
        }
    }

    /// Says that everything that came before `ts_ns` is published.
    #[inline]
    pub fn set_heard(&mut self, ts_ns: u64) {
        // Release, so that whoever sees the time sees the head that lies before it, too.
        self.shared.heard_ns.store(ts_ns, Ordering::Release);
    }

    /// Bytes pushed and not yet released, as far as this side knows.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.written - self.shared.tail.load(Ordering::Relaxed)
    }

    /// What found no room.
    #[must_use]
    pub fn overflow(&self) -> Overflow {
        self.shared.overflow()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.publish();
    }
}

impl Receiver {
    /// Looks for newly published records. Gives the position behind the last one.
    #[inline]
    pub fn refresh(&mut self) -> u64 {
        // R2: acquire, so that the records are there to be read.
        self.head_seen = self.shared.head.load(Ordering::Acquire);
        self.head_seen
    }

    /// The time before which everything that came is seen by the next [`Receiver::refresh`].
    #[inline]
    #[must_use]
    pub fn heard_ns(&self) -> u64 {
        self.shared.heard_ns.load(Ordering::Acquire)
    }

    /// The record at a position that is not yet released; none at the end of what
    /// [`Receiver::refresh`] saw.
    ///
    /// # Panics
    /// When the position is not the start of a record: the ring's arithmetic is broken.
    #[inline]
    #[must_use]
    pub fn peek(&self, position: u64) -> Option<Held<'_>> {
        assert!(self.released <= position && position <= self.head_seen, "outside of the ring");
        if position == self.head_seen {
            return None;
        }
        let shared = &*self.shared;
        let mut position = position;
        let mut place = (position & shared.mask) as usize;
        // SAFETY: R1, R2: `position` lies in `[tail, head)`, where the producer writes nothing until
        // this side moves `tail`, which needs `&mut self` and so outlives the borrow. The asserts
        // keep what follows in bounds. A filler or header lies at each place reached, by `push`.
        unsafe {
            let filler: Filler = shared.region.load(place);
            if filler.mark == FILLER {
                position += u64::from(filler.span);
                place = 0;
                assert!(position & shared.mask == 0, "a filler ends where the region ends");
            }
            assert!(position + HEADER_BYTES as u64 <= self.head_seen, "a record is whole");
            let header: Header = shared.region.load(place);
            let next = position + u64::from(header.span);
            assert!(
                next <= self.head_seen
                    && u64::from(header.span) == span_of(header.frame_len as usize),
                "a record is whole"
            );
            let frame = shared.region.slice(place + HEADER_BYTES, header.frame_len as usize);
            Some(header.held(frame, position, next))
        }
    }

    /// Asks the cache for the record at `position`.
    #[inline]
    pub fn expect(&self, position: u64) {
        let shared = &*self.shared;
        shared.region.expect((position & shared.mask) as usize);
    }

    /// Gives everything before `position` back to the producer.
    ///
    /// # Panics
    /// When `position` goes backwards or beyond what was seen.
    #[inline]
    pub fn release(&mut self, position: u64) {
        assert!(self.released <= position && position <= self.head_seen, "outside of the ring");
        if position != self.released {
            self.released = position;
            // R3: release, so that the reads lie before.
            self.shared.tail.store(position, Ordering::Release);
        }
    }

    /// The first position not yet released.
    #[must_use]
    pub fn released(&self) -> u64 {
        self.released
    }

    /// The size of the region.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.shared.capacity()
    }

    /// What found no room.
    #[must_use]
    pub fn overflow(&self) -> Overflow {
        self.shared.overflow()
    }

    /// Whether the region can be swapped.
    #[must_use]
    pub fn residence(&self) -> Residence {
        self.shared.region.residence()
    }
}

#[derive(Debug)]
struct Shared {
    region: Region,
    mask: u64,
    frame_bytes_max: usize,
    head: CachePadded<AtomicU64>,
    tail: CachePadded<AtomicU64>,
    heard_ns: CachePadded<AtomicU64>,
    lost: CachePadded<Lost>,
}

#[derive(Debug)]
struct Lost {
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl Shared {
    fn capacity(&self) -> u64 {
        self.mask + 1
    }

    #[cold]
    fn lose(&self, meta: &Meta, why: PushError) -> PushError {
        // Only the producer writes here; relaxed, because nothing is ordered by a statistic.
        let packets = self.lost.packets.load(Ordering::Relaxed) + u64::from(meta.packets);
        self.lost.packets.store(packets, Ordering::Relaxed);
        let bytes = self.lost.bytes.load(Ordering::Relaxed) + u64::from(meta.wire_len);
        self.lost.bytes.store(bytes, Ordering::Relaxed);
        why
    }

    fn overflow(&self) -> Overflow {
        Overflow {
            packets: self.lost.packets.load(Ordering::Relaxed),
            bytes: self.lost.bytes.load(Ordering::Relaxed),
        }
    }
}

const HEADER_BYTES: usize = size_of::<Header>();
const FILLER: u32 = u32::MAX;

const _: () = assert!(HEADER_BYTES == 32 && FRAME_BYTES_MAX < FILLER as usize);

/// A record's first bytes in the ring.
#[repr(C)]
#[derive(Clone, Copy)]
struct Header {
    span: u32,
    frame_len: u32,
    ts_ns: u64,
    wire_len: u32,
    l3: u16,
    payload: u16,
    payload_len: u16,
    packets: u16,
    link: u8,
    source: u8,
    hint: u8,
    pad: u8,
}

/// The first eight bytes of a header, or all of a filler.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Filler {
    span: u32,
    mark: u32,
}

// SAFETY: integers without padding (32 bytes, asserted above).
unsafe impl Plain for Header {}
// SAFETY: two integers, no padding.
unsafe impl Plain for Filler {}

impl Header {
    #[inline]
    fn new(meta: &Meta, span: u32, frame_len: u32) -> Self {
        Self {
            span,
            frame_len,
            ts_ns: meta.ts_ns,
            wire_len: meta.wire_len,
            l3: meta.l3,
            payload: meta.payload,
            payload_len: meta.payload_len,
            packets: meta.packets,
            link: meta.link,
            source: meta.source,
            hint: meta.hint as u8,
            pad: 0,
        }
    }

    #[inline]
    fn held<'a>(&self, frame: &'a [u8], at: u64, next: u64) -> Held<'a> {
        let meta = Meta {
            ts_ns: self.ts_ns,
            wire_len: self.wire_len,
            l3: self.l3,
            payload: self.payload,
            payload_len: self.payload_len,
            packets: self.packets,
            link: self.link,
            source: self.source,
            hint: Hint::from_stored(self.hint),
        };
        Held { meta, frame, at, next }
    }
}

#[inline]
fn span_of(frame_len: usize) -> u64 {
    (HEADER_BYTES + frame_len).next_multiple_of(8) as u64
}

#[cfg(all(test, not(loom)))]
mod tests;
