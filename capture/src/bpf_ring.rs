//! A BPF ring buffer that the XDP program fills, as a delay line: the kernel is the producer, and records stay where
//! the program put them until their verdict is known.
//!
//! ```text
//!  mapped:  consumer page (read, write) │ producer page (read) │ data (read) │ data once more
//! ```
//!
//! B1 The kernel writes only outside `[consumer, producer)` of the data; we read only inside.
//! B2 A record's first word holds its length, and a bit while the program writes it. The kernel clears the bit with
//!    release order after the bytes; we load it with acquire order before them.
//! B3 The consumer's position moves with release order after the last read.
//! B4 The data is mapped twice in a row, so that no record ever wraps.
//!
//! Nobody wakes us: a wake-up costs more than a copy. Who owns the line naps.
#![expect(unsafe_code, reason = "shares memory with the kernel, by the rules B1 to B4")]

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use earwitness_abi::{Class, RecordHeader};
use earwitness_line::held::{DelayLine, Held, Hint};
use earwitness_line::ring::{Meta, Overflow};
use earwitness_wire::LinkType;

use crate::clock::{Clock, Stamp, now_ns};
use crate::mapping::{Access, Mapping};

/// linux/bpf.h: `BPF_RINGBUF_BUSY_BIT`, `BPF_RINGBUF_DISCARD_BIT`, `BPF_RINGBUF_HDR_SZ`.
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const HEADER_BYTES: u64 = 8;

/// The consumer's end of one ring buffer.
#[derive(Debug)]
pub struct BpfRing {
    consumer: Mapping,
    /// The producer page, and the data twice.
    data: Mapping,
    page_bytes: usize,
    ring_bytes: u64,
    /// The producer's position when last looked at.
    seen: u64,
    released: u64,
    clock: Clock,
    /// The number of the only interface that fills this ring.
    source: u8,
}

impl BpfRing {
    /// Maps the ring buffer behind `map`, which has `ring_bytes`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn map(map: BorrowedFd<'_>, ring_bytes: u32, source: u8) -> io::Result<Self> {
        let page_bytes = page_bytes();
        let data_bytes = page_bytes + 2 * ring_bytes as usize;
        let consumer = Mapping::of(map, page_bytes, 0, Access::ReadWrite)?;
        let data = Mapping::of(map, data_bytes, page_bytes as u64, Access::Read)?;
        let mut ring = Self {
            consumer,
            data,
            page_bytes,
            ring_bytes: u64::from(ring_bytes),
            seen: 0,
            released: 0,
            clock: Clock::new(Stamp::Tai),
            source,
        };
        ring.released = ring.position(&ring.consumer).load(Ordering::Relaxed);
        ring.seen = ring.released;
        Ok(ring)
    }

    /// The first word of a page of positions.
    fn position<'r>(&self, page: &'r Mapping) -> &'r AtomicU64 {
        // SAFETY: aligned, since a page is; lives as long as the mapping; the kernel uses it as one word, too. Of the
        // producer page, which is mapped for reading, it is only loaded.
        unsafe { AtomicU64::from_ptr(page.at(0, 8).cast()) }
    }

    /// Where the data of a position begins.
    fn place(&self, position: u64) -> usize {
        self.page_bytes + (position & (self.ring_bytes - 1)) as usize
    }

    /// The record at a position, and the position behind it; none if the program is still writing it. No bytes if it
    /// was discarded.
    #[inline]
    fn record(&self, position: u64) -> Option<(Option<&[u8]>, u64)> {
        if position >= self.seen {
            return None;
        }
        let place = self.place(position);
        // SAFETY: within the mapping, which `at` checks; aligned, since records are, to 8.
        let word = unsafe { AtomicU32::from_ptr(self.data.at(place, 4).cast()) };
        let word = word.load(Ordering::Acquire);
        if word & BUSY != 0 {
            return None;
        }
        let length = u64::from(word & !(BUSY | DISCARDED));
        let next = position + (HEADER_BYTES + length).next_multiple_of(8);
        assert!(next <= self.seen, "the kernel reserves whole records");
        if word & DISCARDED != 0 {
            return Some((None, next));
        }
        let start = self.data.at(place + HEADER_BYTES as usize, length as usize);
        // SAFETY: B1: the record lies inside `[released, seen)`, and is released only through `&mut self`; B2: the
        // program is done with it; B4: it does not wrap, and `at` has checked its end.
        let bytes = unsafe { std::slice::from_raw_parts(start, length as usize) };
        Some((Some(bytes), next))
    }
}

impl DelayLine for BpfRing {
    #[inline]
    fn refresh(&mut self) -> u64 {
        self.seen = self.position(&self.data).load(Ordering::Acquire);
        self.clock.keep(now_ns());
        self.seen
    }

    /// The program publishes each record as it stamps it.
    #[inline]
    fn heard_ns(&self, now_ns: u64) -> u64 {
        now_ns
    }

    #[inline]
    fn peek(&self, mut position: u64) -> Option<Held<'_>> {
        loop {
            let (bytes, next) = self.record(position)?;
            position = next;
            let Some((header, frame)) = bytes.and_then(RecordHeader::split) else { continue };
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
            return Some(Held { meta, frame, next });
        }
    }

    #[inline]
    fn release(&mut self, position: u64) {
        if position == self.released {
            return;
        }
        assert!(position > self.released && position <= self.seen, "released in order");
        self.released = position;
        self.position(&self.consumer).store(position, Ordering::Release);
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

fn page_bytes() -> usize {
    // SAFETY: asks for a number.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).expect("pages have a size")
}
