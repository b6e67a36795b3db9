//! The ring of a CPU that the XDP program fills, as a delay line: records stay where the program put them until their
//! verdict is known. How they lie there: `earwitness_abi::ring`.
//!
//! B1 The program writes only outside `[tail, head)`, and we read only inside.
//! B2 `head` is stored with release order after the bytes; we load it with acquire order before them.
//! B3 `tail` is stored with release order after the last read.
//!
//! Nobody wakes us: a wake-up costs more than a copy. Who owns the line naps.
#![expect(unsafe_code, reason = "shares memory with the kernel, by the rules B1 to B4")]

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use earwitness_abi::ring::{CHUNK_BYTES, CHUNK_STRIDE, Control, next_position, record_bytes};
use earwitness_abi::{Class, RecordHeader};
use earwitness_line::held::{DelayLine, Held, Hint};
use earwitness_line::prefetch::prefetch;
use earwitness_line::ring::{Meta, Overflow};
use earwitness_wire::LinkType;

use crate::clock::{Clock, Stamp, now_ns};
use crate::mapping::{Access, Mapping};
use crate::program::RingMaps;

/// How far ahead of a record the cache is asked for: more small records than are looked at together. And how much: one of them.
const AHEAD_BYTES: u64 = 5 << 10;
const AHEAD_LINES: usize = 4;
const LINE_BYTES: usize = 64;
/// The largest page that a processor of Linux has by default.
const PAGE_BYTES_MAX: u64 = 64 << 10;

/// The consumer's end of one ring.
#[derive(Debug)]
pub struct BpfRing {
    /// Words of all rings.
    controls: Mapping,
    control_at: usize,
    chunks: Mapping,
    /// Where its first chunk lies in that.
    chunks_at: usize,
    ring_bytes: u64,
    /// The producer's position when last looked at.
    seen: u64,
    released: u64,
    clock: Clock,
    /// The number of the only interface that fills this ring.
    source: u8,
}

impl BpfRing {
    /// Maps a ring.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn map(maps: &RingMaps, source: u8) -> io::Result<Self> {
        let control_at = maps.index as usize * Control::BYTES;
        let controls_bytes = control_at + Control::BYTES;
        let chunks_bytes = (maps.bytes / CHUNK_BYTES) as usize * CHUNK_STRIDE as usize;
        // A mapping begins on a page, a ring does not.
        let first = u64::from(maps.first_chunk) * u64::from(CHUNK_STRIDE);
        let chunks_at = (first % PAGE_BYTES_MAX) as usize;
        let chunks = Mapping::of(
            maps.chunks.as_fd(),
            chunks_at + chunks_bytes,
            first - chunks_at as u64,
            Access::Read,
        )?;
        let mut ring = Self {
            controls: Mapping::of(maps.controls.as_fd(), controls_bytes, 0, Access::ReadWrite)?,
            control_at,
            chunks,
            chunks_at,
            ring_bytes: u64::from(maps.bytes),
            seen: 0,
            released: 0,
            clock: Clock::new(Stamp::Monotonic),
            source,
        };
        ring.released = ring.word(Control::TAIL_AT).load(Ordering::Relaxed);
        ring.seen = ring.released;
        Ok(ring)
    }

    /// A word of this ring.
    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: aligned, since the map's values are; lives as long as the mapping; the program loads and stores whole
        // words, too.
        unsafe { AtomicU64::from_ptr(self.controls.at(self.control_at + at, 8).cast()) }
    }

    /// Where a position lies in the mapping.
    #[inline]
    fn place(&self, position: u64) -> usize {
        let chunk_bytes = u64::from(CHUNK_BYTES);
        let chunk = (position & (self.ring_bytes - 1)) / chunk_bytes;
        self.chunks_at + chunk as usize * CHUNK_STRIDE as usize + (position % chunk_bytes) as usize
    }

    /// The record at a position, and the position behind it; none if the program has published none there.
    ///
    /// # Panics
    /// When the position is not that of a record: the ring's arithmetic is broken.
    #[inline]
    #[must_use]
    pub fn record(&self, position: u64) -> Option<(&RecordHeader, &[u8], u64)> {
        if position >= self.seen {
            return None;
        }
        let place = self.place(position);
        // SAFETY: within the mapping, which `at` checks, and aligned, since records are, to 8. B1 and B2: the record lies
        // inside `[released, seen)`, so the program is done with it, and it is released only through `&mut self`.
        // Every pattern of bits is a header.
        let header = unsafe { &*self.chunks.at(place, RecordHeader::BYTES).cast::<RecordHeader>() };
        let length = header.cap_len;
        let frame = self.chunks.at(place + RecordHeader::BYTES, length as usize);
        // SAFETY: as above; `at` has checked the end.
        let frame = unsafe { std::slice::from_raw_parts(frame, length as usize) };
        let next = next_position(position, record_bytes(length));
        assert!(next <= self.seen, "the program publishes whole records");
        Some((header, frame, next))
    }
}

impl DelayLine for BpfRing {
    #[inline]
    fn refresh(&mut self) -> u64 {
        self.seen = self.word(Control::HEAD_AT).load(Ordering::Acquire);
        self.clock.keep(now_ns());
        self.seen
    }

    /// The program publishes each record as it stamps it.
    #[inline]
    fn heard_ns(&self, now_ns: u64) -> u64 {
        now_ns
    }

    #[inline]
    fn peek(&self, position: u64) -> Option<Held<'_>> {
        let (header, frame, next) = self.record(position)?;
        let hint = match Class::from_u8(header.class) {
            Some(Class::Signalling) => Hint::Signalling,
            Some(Class::Fragment) => Hint::Fragment,
            // What is held back is the safe class.
            Some(Class::Media) | None => Hint::Media,
        };
        let meta = Meta {
            ts_ns: self.clock.utc_ns(header.ts_ns),
            wire_len: header.wire_len,
            l3: header.l3,
            payload: header.payload,
            payload_len: header.payload_len,
            packets: 1,
            link: LinkType::Ethernet as u8,
            source: self.source,
            hint,
        };
        Some(Held { meta, frame, at: position, next })
    }

    #[inline]
    fn look_ahead(&self, position: u64) {
        let ahead = position + AHEAD_BYTES;
        // Beyond what is published, the program would have to fetch back what it writes.
        if ahead < self.seen {
            let first = self.chunks.at(self.place(ahead), 0);
            (0..AHEAD_LINES).for_each(|line| prefetch(first.wrapping_add(line * LINE_BYTES)));
        }
    }

    #[inline]
    fn release(&mut self, position: u64) {
        if position == self.released {
            return;
        }
        assert!(position > self.released && position <= self.seen, "released in order");
        self.released = position;
        self.word(Control::TAIL_AT).store(position, Ordering::Release);
    }

    fn released(&self) -> u64 {
        self.released
    }

    fn capacity(&self) -> u64 {
        self.ring_bytes
    }

    /// The program counts what finds no room.
    fn overflow(&self) -> Overflow {
        Overflow::default()
    }
}
