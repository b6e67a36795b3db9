//! Telephone events (RFC 4733): many packets become one event.

use std::collections::VecDeque;

use crate::limits::{DTMF_EVENTS_PER_PACKET_MAX, DTMF_RECENT_MAX};

/// One event, from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// The number of the event (RFC 4733 section 3.2).
    pub code: u8,
    /// RTP timestamp of its start.
    pub timestamp: u32,
    /// In units of the RTP clock.
    pub duration: u32,
    /// Power below 0 dBm0, in dB: 0 to 63.
    pub volume: u8,
    /// Its end was seen. Otherwise the duration is as far as it was seen.
    pub is_complete: bool,
}

impl TelephoneEvent {
    /// `0`–`9`, `*`, `#`, `A`–`D`, `!` for flash; none for other events.
    #[must_use]
    pub const fn digit(&self) -> Option<char> {
        match self.code {
            code @ 0..=9 => Some((b'0' + code) as char),
            10 => Some('*'),
            11 => Some('#'),
            code @ 12..=15 => Some((b'A' + code - 12) as char),
            16 => Some('!'),
            _ => None,
        }
    }
}

/// One of the reports of a packet (RFC 4733 section 2.3).
#[derive(Clone, Copy, Debug)]
struct Block {
    code: u8,
    is_end: bool,
    volume: u8,
    duration: u16,
}

/// An event that has not ended.
#[derive(Clone, Copy, Debug)]
struct Current {
    event: TelephoneEvent,
    /// Timestamp and duration of the segment that the last packet reported.
    segment: u32,
    segment_duration: u16,
    /// Duration of what lies before: earlier segments, or wraps of the field.
    before: u32,
}

/// Joins the packets of one stream into events.
///
/// Give it every packet of the telephone-event payload types in the order of sequence numbers, or as near to it
/// as may be; an event comes out when its end is seen, when the next one begins, or at
/// [`EventDecoder::finish`].
#[derive(Clone, Debug, Default)]
pub struct EventDecoder {
    current: Option<Current>,
    /// Code and segment timestamps of what came out.
    recent: VecDeque<(u8, u32)>,
}

impl EventDecoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the payload of one packet with this RTP timestamp.
    pub fn push(&mut self, timestamp: u32, payload: &[u8], sink: &mut impl FnMut(TelephoneEvent)) {
        let mut start = timestamp;
        for bytes in payload.chunks_exact(4).take(DTMF_EVENTS_PER_PACKET_MAX) {
            let block = Block {
                code: bytes[0],
                is_end: bytes[1] & 0x80 != 0,
                volume: bytes[1] & 0x3f,
                duration: u16::from_be_bytes([bytes[2], bytes[3]]),
            };
            self.block(start, block, sink);
            // RFC 4733 section 2.5.1.5: the next event of a packet starts where this one ends.
            start = start.wrapping_add(u32::from(block.duration));
        }
    }

    /// Whether an event has begun and its end was not seen.
    #[must_use]
    pub const fn is_pressed(&self) -> bool {
        self.current.is_some()
    }

    /// Ends what has not ended: silence came back, or the stream is over.
    pub fn finish(&mut self, sink: &mut impl FnMut(TelephoneEvent)) {
        if let Some(current) = self.current.take() {
            self.give_out(current, sink);
        }
    }

    fn block(&mut self, start: u32, block: Block, sink: &mut impl FnMut(TelephoneEvent)) {
        // RFC 4733 section 2.5.1.4: the end is sent three times.
        if self.recent.contains(&(block.code, start)) {
            return;
        }
        match &mut self.current {
            Some(current) if current.continues(start, block) => current.extend(start, block),
            _ => {
                self.finish(sink);
                self.current = Some(Current::begin(start, block));
            }
        }
        if block.is_end
            && let Some(mut current) = self.current.take()
        {
            current.event.is_complete = true;
            self.give_out(current, sink);
        }
    }

    fn give_out(&mut self, current: Current, sink: &mut impl FnMut(TelephoneEvent)) {
        for timestamp in [current.event.timestamp, current.segment] {
            if self.recent.len() == DTMF_RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back((current.event.code, timestamp));
        }
        sink(current.event);
    }
}

impl Current {
    fn begin(start: u32, block: Block) -> Self {
        Self {
            event: TelephoneEvent {
                code: block.code,
                timestamp: start,
                duration: u32::from(block.duration),
                volume: block.volume,
                is_complete: false,
            },
            segment: start,
            segment_duration: block.duration,
            before: 0,
        }
    }

    /// Whether a block reports the same event: its start is that of the segment, or where the segment ends
    /// (RFC 4733 section 2.5.1.3: long events are sent in segments).
    fn continues(&self, start: u32, block: Block) -> bool {
        let elapsed = start.wrapping_sub(self.segment);
        block.code == self.event.code && (elapsed == 0 || elapsed == u32::from(u16::MAX))
    }

    fn extend(&mut self, start: u32, block: Block) {
        let grown = block.duration.wrapping_sub(self.segment_duration);
        if start != self.segment {
            self.before = self.before.saturating_add(u32::from(u16::MAX));
            self.segment = start;
        } else if grown > u16::MAX / 2 {
            // An older packet that came late.
            return;
        } else if block.duration < self.segment_duration {
            // The sender lets the field wrap instead of starting a segment.
            self.before = self.before.saturating_add(u32::from(u16::MAX) + 1);
        }
        self.segment_duration = block.duration;
        self.event.duration = self.before.saturating_add(u32::from(block.duration));
        self.event.volume = block.volume;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{EventDecoder, TelephoneEvent};

    /// (timestamp, code, end, duration)
    type Report = (u32, u8, bool, u16);

    fn block(code: u8, is_end: bool, duration: u16) -> Vec<u8> {
        let mut bytes = vec![code, if is_end { 0x8a } else { 0x0a }];
        bytes.extend(duration.to_be_bytes());
        bytes
    }

    fn run(packets: &[Report]) -> Vec<TelephoneEvent> {
        let (mut decoder, mut events) = (EventDecoder::new(), Vec::new());
        for (timestamp, code, is_end, duration) in packets {
            decoder.push(*timestamp, &block(*code, *is_end, *duration), &mut |e| events.push(e));
        }
        decoder.finish(&mut |e| events.push(e));
        events
    }

    fn event(code: u8, timestamp: u32, duration: u32, is_complete: bool) -> TelephoneEvent {
        TelephoneEvent { code, timestamp, duration, volume: 10, is_complete }
    }

    /// A digit as senders send it: every 20 ms, the end three times.
    fn digit(timestamp: u32, code: u8) -> Vec<Report> {
        let mut packets: Vec<Report> = (1..=5).map(|n| (timestamp, code, false, n * 160)).collect();
        packets.extend([(timestamp, code, true, 800); 3]);
        packets
    }

    // CALL-8: one digit, its end sent three times, is one event; the same digit again is another.
    #[test]
    fn digits_are_events() {
        let packets = [digit(1000, 5), digit(3000, 5), digit(5000, 11)].concat();
        let events = run(&packets);
        assert_eq!(
            events,
            [event(5, 1000, 800, true), event(5, 3000, 800, true), event(11, 5000, 800, true)]
        );
        assert_eq!(events.iter().filter_map(TelephoneEvent::digit).collect::<String>(), "55#");
        assert_eq!(event(16, 0, 0, true).digit(), Some('!'));
        assert_eq!(event(15, 0, 0, true).digit(), Some('D'));
        assert_eq!(event(32, 0, 0, true).digit(), None);
    }

    // CALL-8: start lost, end lost, all but one lost.
    #[test]
    fn lost_packets_do_not_lose_digits() {
        assert_eq!(run(&digit(9, 1)[6..]), [event(1, 9, 800, true)]);
        assert_eq!(
            run(&[&digit(9, 1)[..3], &digit(4000, 1)].concat()),
            [event(1, 9, 480, false), event(1, 4000, 800, true)]
        );
        assert_eq!(run(&digit(9, 1)[..1]), [event(1, 9, 160, false)]);
        // Ended before its end came: that is no second one.
        let (mut decoder, mut events) = (EventDecoder::new(), Vec::new());
        for (number, (timestamp, code, is_end, duration)) in digit(9, 1).into_iter().enumerate() {
            decoder.push(timestamp, &block(code, is_end, duration), &mut |e| events.push(e));
            assert_eq!(decoder.is_pressed(), number <= 2);
            if number == 2 {
                decoder.finish(&mut |e| events.push(e));
            }
        }
        assert_eq!(events, [event(1, 9, 480, false)]);
    }

    // CALL-8: reordered within the event and after its end, over the wrap of the timestamp.
    #[test]
    fn late_packets_change_nothing() {
        let mut packets = digit(u32::MAX - 100, 7);
        packets.swap(1, 3);
        let late = packets[2];
        packets.push(late);
        packets.extend(digit(2000, 8));
        packets.push(late);
        assert_eq!(run(&packets), [event(7, u32::MAX - 100, 800, true), event(8, 2000, 800, true)]);
    }

    // CALL-8: RFC 4733 section 2.5.1.3: long events in segments; and by senders that let the duration wrap.
    #[test]
    fn long_events_are_one() {
        let steps = || (1..=409u32).map(|n| n * 160);
        let mut segments: Vec<Report> = steps().map(|d| (50, 3, false, d as u16)).collect();
        segments.push((50, 3, false, u16::MAX));
        segments.extend((1..=10).map(|n| (50 + 65_535, 3, false, n * 160)));
        segments.extend([(50 + 65_535, 3, true, 1600); 3]);
        assert_eq!(run(&segments), [event(3, 50, 65_535 + 1600, true)]);
        let mut wrapping: Vec<Report> =
            (1..=1000u32).map(|n| (50, 3, false, (n * 160) as u16)).collect();
        wrapping.push((50, 3, true, 160_000u32 as u16));
        assert_eq!(run(&wrapping), [event(3, 50, 160_000, true)]);
    }

    // CALL-8: RFC 4733 section 2.5.1.5: several events in one packet.
    #[test]
    fn several_events_in_one_packet() {
        let payload = [block(1, true, 400), block(2, true, 480), block(3, false, 80)].concat();
        let (mut decoder, mut events) = (EventDecoder::new(), Vec::new());
        decoder.push(100, &payload, &mut |e| events.push(e));
        decoder.push(100, &payload, &mut |e| events.push(e));
        decoder.push(980, &block(3, true, 400), &mut |e| events.push(e));
        assert_eq!(
            events,
            [event(1, 100, 400, true), event(2, 500, 480, true), event(3, 980, 400, true)]
        );
    }

    proptest! {
        // S9: any payload: no panic, no more events than blocks.
        #[test]
        fn any_payloads(packets in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..80)), 0..40)) {
            let (mut decoder, mut count) = (EventDecoder::new(), 0);
            for (timestamp, payload) in &packets {
                decoder.push(*timestamp, payload, &mut |_| count += 1);
            }
            decoder.finish(&mut |_| count += 1);
            prop_assert!(count <= packets.iter().map(|(_, p)| p.len() / 4).sum::<usize>());
        }
    }
}
