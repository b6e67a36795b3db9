//! One direction of a connection.

use std::collections::VecDeque;

use crate::limits::{TCP_PENDING_BYTES_MAX, TCP_PENDING_SEGMENTS_MAX, TCP_WINDOW_BYTES_MAX};

/// TCP flags (RFC 9293 section 3.1) as they are in the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    pub const FIN: Self = Self(0x01);
    pub const SYN: Self = Self(0x02);
    pub const RST: Self = Self(0x04);

    /// Whether all of these are set.
    #[must_use]
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

/// One segment as seen.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    pub ts_ns: u64,
    pub seq: u32,
    pub flags: Flags,
    pub payload: &'a [u8],
}

/// What comes out, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// A new connection begins here (SYN); what was before is over.
    Start,
    /// The next bytes.
    Data(&'a [u8]),
    /// Bytes are missing here and are not waited for any more.
    Gap { bytes: u32 },
    /// FIN or RST: no bytes follow.
    End,
}

/// A segment that waits for the hole before it.
#[derive(Clone, Debug)]
struct Pending {
    seq: u32,
    bytes: Box<[u8]>,
}

/// Puts the segments of one direction in order. Of bytes that come twice, the first count. It holds at most
/// [`TCP_PENDING_BYTES_MAX`] bytes.
#[derive(Clone, Debug, Default)]
pub struct Reassembler {
    /// The next sequence number; none before the first segment and after the end.
    next: Option<u32>,
    /// Sorted by distance from `next`; they neither touch `next` nor overlap.
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    /// Since when there is a hole.
    hole_ns: u64,
    fin: Option<u32>,
    /// Where a segment ended that was too far off; a second one from there on is believed.
    stray: Option<u32>,
}

impl Reassembler {
    /// A direction of which nothing was seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that wait for a hole to close.
    #[must_use]
    pub const fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Takes one segment.
    pub fn push(&mut self, segment: Segment<'_>, sink: &mut impl FnMut(Chunk<'_>)) {
        let mut seq = segment.seq;
        if segment.flags.has(Flags::SYN) {
            seq = seq.wrapping_add(1);
            self.syn(seq, sink);
        }
        let end = seq.wrapping_add(segment.payload.len() as u32);
        let Some(next) = self.start(seq, segment.payload.is_empty()) else {
            return;
        };
        let distance = signed(seq.wrapping_sub(next));
        if distance.unsigned_abs() > TCP_WINDOW_BYTES_MAX {
            self.far(seq, end, segment.payload, sink);
            return;
        }
        if segment.flags.has(Flags::RST) {
            // RFC 5961 section 3.2: one behind the window is not believed.
            if distance >= 0 {
                self.end(sink);
            }
            return;
        }
        if segment.flags.has(Flags::FIN) && signed(end.wrapping_sub(next)) >= 0 {
            self.fin = Some(end);
        }
        if distance <= 0 {
            self.deliver(segment.ts_ns, seq, segment.payload, sink);
        } else {
            self.hold(segment.ts_ns, seq, segment.payload);
        }
        while self.pending_bytes > TCP_PENDING_BYTES_MAX
            || self.pending.len() > TCP_PENDING_SEGMENTS_MAX
        {
            self.skip_hole(segment.ts_ns, sink);
        }
        self.finish(sink);
    }

    /// Gives up holes that have been there for `patience_ns`.
    pub fn tick(&mut self, now_ns: u64, patience_ns: u64, sink: &mut impl FnMut(Chunk<'_>)) {
        while !self.pending.is_empty() && now_ns.saturating_sub(self.hole_ns) >= patience_ns {
            self.skip_hole(now_ns, sink);
            // Further holes are as old as the first at most: they had their time.
        }
        self.finish(sink);
    }

    fn syn(&mut self, first: u32, sink: &mut impl FnMut(Chunk<'_>)) {
        // A SYN sent again is behind or at what is expected; a new connection has another number.
        let is_again = self.next.is_some_and(|next| {
            (0..=i64::from(TCP_WINDOW_BYTES_MAX))
                .contains(&i64::from(signed(next.wrapping_sub(first))))
        });
        if !is_again {
            *self = Self { next: Some(first), ..Self::default() };
            sink(Chunk::Start);
        }
    }

    /// The expected number; the first segment with bytes sets it where capture began later.
    fn start(&mut self, seq: u32, is_empty: bool) -> Option<u32> {
        if self.next.is_none() && !is_empty {
            self.next = Some(seq);
        }
        self.next
    }

    /// A segment too far from what is expected: another connection between the same ports whose SYN was not
    /// seen, or a forgery. It is believed when a second one continues it.
    fn far(&mut self, seq: u32, end: u32, payload: &[u8], sink: &mut impl FnMut(Chunk<'_>)) {
        if payload.is_empty() {
            return;
        }
        if self.stray == Some(seq) {
            *self = Self { next: Some(end), ..Self::default() };
            sink(Chunk::Gap { bytes: 0 });
            sink(Chunk::Data(payload));
        } else {
            self.stray = Some(end);
        }
    }

    /// Gives out the new bytes of a segment without a hole before it; where others that wait have the same
    /// bytes, theirs.
    fn deliver(&mut self, ts_ns: u64, seq: u32, payload: &[u8], sink: &mut impl FnMut(Chunk<'_>)) {
        while let Some(next) = self.next {
            let known = next.wrapping_sub(seq) as usize;
            let Some(fresh) = payload.get(known..).filter(|fresh| !fresh.is_empty()) else {
                return;
            };
            let ahead = self.pending.front().map(|first| first.seq.wrapping_sub(next) as usize);
            let fresh = &fresh[..ahead.unwrap_or(fresh.len()).min(fresh.len())];
            sink(Chunk::Data(fresh));
            self.next = Some(next.wrapping_add(fresh.len() as u32));
            self.drain(ts_ns, sink);
        }
    }

    /// Keeps the parts of a segment that no other one covers.
    fn hold(&mut self, ts_ns: u64, seq: u32, payload: &[u8]) {
        if payload.is_empty() {
            return;
        }
        if self.pending.is_empty() {
            self.hole_ns = ts_ns;
        }
        let Some(next) = self.next else {
            return;
        };
        let offset = |seq: u32| seq.wrapping_sub(next) as usize;
        let (mut from, end) = (offset(seq), offset(seq) + payload.len());
        let base = from;
        let mut index = 0;
        while from < end {
            let (start, stop) = match self.pending.get(index) {
                Some(held) => (offset(held.seq), offset(held.seq) + held.bytes.len()),
                None => (usize::MAX, usize::MAX),
            };
            if from < start {
                let part = &payload[from - base..end.min(start) - base];
                let seq = next.wrapping_add(from as u32);
                self.pending_bytes += part.len();
                self.pending.insert(index, Pending { seq, bytes: part.into() });
                from += part.len();
                index += 1;
            } else {
                from = from.max(stop);
                index += 1;
            }
        }
    }

    /// Gives out what has become contiguous.
    fn drain(&mut self, ts_ns: u64, sink: &mut impl FnMut(Chunk<'_>)) {
        while let (Some(next), Some(first)) = (self.next, self.pending.front()) {
            let ahead = signed(first.seq.wrapping_sub(next));
            if ahead > 0 {
                self.hole_ns = ts_ns;
                return;
            }
            let known = ahead.unsigned_abs() as usize;
            if let Some(fresh) = first.bytes.get(known..).filter(|fresh| !fresh.is_empty()) {
                sink(Chunk::Data(fresh));
                self.next = Some(next.wrapping_add(fresh.len() as u32));
            }
            self.pending_bytes -= first.bytes.len();
            self.pending.pop_front();
        }
    }

    fn skip_hole(&mut self, ts_ns: u64, sink: &mut impl FnMut(Chunk<'_>)) {
        let (Some(next), Some(first)) = (self.next, self.pending.front()) else {
            return;
        };
        let seq = first.seq;
        sink(Chunk::Gap { bytes: seq.wrapping_sub(next) });
        self.next = Some(seq);
        let hole_ns = self.hole_ns;
        self.drain(ts_ns, sink);
        // What waits behind the next hole came no later than now; it has waited as long.
        self.hole_ns = hole_ns;
    }

    fn finish(&mut self, sink: &mut impl FnMut(Chunk<'_>)) {
        if self.fin.is_some() && self.fin == self.next {
            self.end(sink);
        }
    }

    fn end(&mut self, sink: &mut impl FnMut(Chunk<'_>)) {
        *self = Self::default();
        sink(Chunk::End);
    }
}

/// A distance of sequence numbers, which wrap (RFC 9293 section 3.4).
const fn signed(distance: u32) -> i32 {
    distance.cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Chunk, Flags, Reassembler, Segment};

    #[derive(Debug, Default, PartialEq)]
    struct Out {
        bytes: Vec<u8>,
        gaps: u32,
        starts: u32,
        ends: u32,
    }

    impl Out {
        fn take(&mut self, chunk: Chunk<'_>) {
            match chunk {
                Chunk::Start => self.starts += 1,
                Chunk::Data(bytes) => self.bytes.extend_from_slice(bytes),
                Chunk::Gap { bytes } => self.gaps += bytes,
                Chunk::End => self.ends += 1,
            }
        }
    }

    fn segment(seq: u32, payload: &[u8]) -> Segment<'_> {
        Segment { ts_ns: 0, seq, flags: Flags(0x10), payload }
    }

    fn run(segments: &[(u32, &[u8])]) -> Out {
        let (mut tcp, mut out) = (Reassembler::new(), Out::default());
        for (seq, payload) in segments {
            tcp.push(segment(*seq, payload), &mut |chunk| out.take(chunk));
        }
        out
    }

    // CAP-7: out of order, sent again, overlapping, over the wrap of the numbers.
    #[test]
    fn segments_are_put_in_order_over_the_wrap() {
        let base = u32::MAX - 2;
        let at = |offset: u32| base.wrapping_add(offset);
        let out =
            run(&[(at(0), b"ab"), (at(4), b"ef"), (at(0), b"ab"), (at(2), b"cd"), (at(6), b"gh")]);
        assert_eq!((&out.bytes[..], out.gaps), (&b"abcdefgh"[..], 0));
    }

    // CAP-7: of bytes that come twice the first count.
    #[test]
    fn the_first_of_overlapping_bytes_wins() {
        let out = run(&[(0, b"a"), (3, b"DE"), (2, b"cdefg"), (1, b"bX"), (0, b"ABCDEFGHi")]);
        assert_eq!(out.bytes, b"abcDEfgHi");
    }

    // CAP-7, S10: a hole is given up by bytes or by time, and said.
    #[test]
    fn holes_are_given_up() {
        let (mut tcp, mut out) = (Reassembler::new(), Out::default());
        tcp.push(segment(100, b"ab"), &mut |chunk| out.take(chunk));
        tcp.push(Segment { ts_ns: 5, ..segment(105, b"fg") }, &mut |chunk| out.take(chunk));
        tcp.tick(6, 10, &mut |chunk| out.take(chunk));
        assert_eq!(out.gaps, 0);
        tcp.tick(15, 10, &mut |chunk| out.take(chunk));
        assert_eq!((&out.bytes[..], out.gaps), (&b"abfg"[..], 3));

        let big = vec![b'x'; 40_000];
        let out = run(&[(0, b"a"), (10, &big), (50_000, &big), (100_000, &big)]);
        assert_eq!(out.gaps, 9 + 9_990);
        assert_eq!(out.bytes.len(), 80_001);
    }

    // CAP-7: SYN, FIN and RST; a second connection between the same ports.
    #[test]
    fn connections_begin_and_end() {
        let (mut tcp, mut out) = (Reassembler::new(), Out::default());
        let mut push = |tcp: &mut Reassembler, seq, flags, payload| {
            tcp.push(Segment { ts_ns: 0, seq, flags: Flags(flags), payload }, &mut |c| out.take(c));
        };
        push(&mut tcp, 999, 0x02, b"");
        push(&mut tcp, 999, 0x02, b"");
        push(&mut tcp, 1002, 0x11, b"c");
        push(&mut tcp, 1000, 0x10, b"ab");
        push(&mut tcp, 5_000_000, 0x02, b"");
        push(&mut tcp, 5_000_001, 0x10, b"d");
        push(&mut tcp, 4_999_000, 0x04, b"");
        push(&mut tcp, 5_000_002, 0x04, b"");
        assert_eq!((&out.bytes[..], out.starts, out.ends, out.gaps), (&b"abcd"[..], 2, 2, 0));
    }

    // CAP-7: a forged segment far off does not move the stream; a new connection without SYN does.
    #[test]
    fn far_segments_are_believed_when_continued() {
        let out = run(&[(0, b"a"), (1 << 30, b"x"), (1, b"b"), ((1 << 30) + 1, b"y"), (2, b"c")]);
        assert_eq!(out.bytes, b"aby");
        let out = run(&[(0, b"a"), (1 << 30, b"x"), (1, b"b"), (2, b"c")]);
        assert_eq!(out.bytes, b"abc");
    }

    proptest! {
        // CAP-7: whatever the order and repetition, all bytes come out once, in order.
        #[test]
        fn any_order_gives_the_same_bytes(
            base in any::<u32>(),
            text in prop::collection::vec(any::<u8>(), 1..400),
            pieces in prop::collection::vec((0usize..400, 1usize..60), 0..60),
            rotate in 0usize..40,
        ) {
            let mut segments: Vec<(usize, usize)> = text.chunks(10).enumerate().map(|(i, c)| (i * 10, c.len())).collect();
            let first = segments.remove(0);
            segments.extend(pieces.iter().map(|(from, n)| {
                let from = from % text.len();
                (from, (*n).min(text.len() - from))
            }));
            let count = segments.len().max(1);
            segments.rotate_left(rotate % count);
            segments.insert(0, first);
            let (mut tcp, mut out) = (Reassembler::new(), Out::default());
            for (from, n) in segments {
                tcp.push(segment(base.wrapping_add(from as u32), &text[from..from + n]), &mut |c| out.take(c));
            }
            prop_assert_eq!(out.bytes, text);
            prop_assert_eq!(out.gaps, 0);
            prop_assert_eq!(tcp.pending_bytes(), 0);
        }

        // S9, S10: no segments make it panic or grow.
        #[test]
        fn any_segments(segments in prop::collection::vec(
            (any::<u64>(), prop_oneof![any::<u32>(), 0u32..200_000], any::<u8>(), 0usize..3000), 0..100)) {
            let zeros = vec![0u8; 3000];
            let (mut tcp, mut out) = (Reassembler::new(), Out::default());
            for (ts_ns, seq, flags, length) in segments {
                let segment = Segment { ts_ns, seq, flags: Flags(flags & 0x17), payload: &zeros[..length] };
                tcp.push(segment, &mut |c| out.take(c));
                tcp.tick(ts_ns, 1 << 40, &mut |c| out.take(c));
                prop_assert!(tcp.pending_bytes() <= crate::limits::TCP_PENDING_BYTES_MAX);
                let sum: usize = tcp.pending.iter().map(|p| p.bytes.len()).sum();
                prop_assert_eq!(sum, tcp.pending_bytes());
            }
        }
    }
}
