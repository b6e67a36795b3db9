//! A packet in the delay line, and the contract that every delay line keeps: our own ring, or a BPF
//! ring buffer that the kernel fills.
//!
//! The drain needs three things of a line: to see what is published, to look at any record that is
//! not yet released, and to release. How the records came there is the line's own affair.

use crate::{
    flow_key::FlowKey,
    hash::Pair,
    ring::{Meta, Overflow, Receiver},
};

/// Which way a record goes at the exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Hint {
    /// Written at once.
    Signalling = 1,
    /// Asks for its verdict, and waits for it.
    Media = 2,
    /// Part of a datagram, from a source that does not put datagrams together itself.
    Fragment = 3,
}

impl Hint {
    #[inline]
    pub(crate) fn from_stored(stored: u8) -> Self {
        match stored {
            1 => Self::Signalling,
            3 => Self::Fragment,
            // A line only yields what it was given; media is the class that is held back.
            _ => Self::Media,
        }
    }
}

/// A record that has not left its line.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    pub meta: Meta,
    pub frame: &'a [u8],
    /// Position of this record itself: what lies between it and the last one is nobody's.
    pub at: u64,
    /// Position of the record behind this one.
    pub next: u64,
}

impl Held<'_> {
    /// Source and destination of the UDP datagram within, read where steering found them; none if
    /// there is none.
    #[inline]
    #[must_use]
    pub fn pair(&self) -> Option<Pair> {
        Some(self.flow_key()?.pair())
    }

    /// The same, as flows are looked up by it.
    #[inline(always)]
    pub(crate) fn flow_key(&self) -> Option<FlowKey> {
        let headers = self.frame.get(usize::from(self.meta.l3)..usize::from(self.meta.payload))?;
        let (ip, udp) = headers.split_last_chunk()?;
        FlowKey::of_headers(ip, udp)
    }

    /// The payload of UDP or TCP, as far as it was captured.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let start = usize::from(self.meta.payload);
        let end = start + usize::from(self.meta.payload_len);
        self.frame.get(start..end.min(self.frame.len())).unwrap_or_default()
    }
}

/// A line with one producer and one consumer, of which this is the consumer's end.
///
/// Positions grow, a record keeps its position until it is released, and a released record is gone.
pub trait DelayLine {
    /// Looks for newly published records. Gives the position behind the last one.
    fn refresh(&mut self) -> u64;
    /// The time before which everything that came is seen by the next [`DelayLine::refresh`]; `now_ns` where
    /// records are published as they come.
    fn heard_ns(&self, now_ns: u64) -> u64;
    /// The record at `position`; none at the end of what [`DelayLine::refresh`] saw, or where the
    /// producer is not done with a record yet.
    fn peek(&self, position: u64) -> Option<Held<'_>>;
    /// Asks the cache for what lies some records behind `position`.
    fn look_ahead(&self, _position: u64) {}
    /// Asks the cache for the record at `position`.
    fn expect(&self, _position: u64) {}
    /// Gives everything before `position` back to the producer.
    fn release(&mut self, position: u64);
    /// The first position not yet released.
    fn released(&self) -> u64;
    /// How many bytes the line can hold.
    fn capacity(&self) -> u64;
    /// What found no room since the line was made; zero where the producer counts elsewhere.
    fn overflow(&self) -> Overflow;
}

impl DelayLine for Receiver {
    #[inline]
    fn refresh(&mut self) -> u64 {
        Self::refresh(self)
    }

    #[inline]
    fn heard_ns(&self, _now_ns: u64) -> u64 {
        Self::heard_ns(self)
    }

    #[inline]
    fn peek(&self, position: u64) -> Option<Held<'_>> {
        Self::peek(self, position)
    }

    #[inline]
    fn expect(&self, position: u64) {
        Self::expect(self, position);
    }

    #[inline]
    fn release(&mut self, position: u64) {
        Self::release(self, position);
    }

    fn released(&self) -> u64 {
        Self::released(self)
    }

    fn capacity(&self) -> u64 {
        Self::capacity(self)
    }

    fn overflow(&self) -> Overflow {
        Self::overflow(self)
    }
}
