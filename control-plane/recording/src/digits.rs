//! Keys pressed in one stream, with their place in time.

use std::collections::VecDeque;

use earwitness_voip::dtmf::{EventDecoder, TelephoneEvent};

use crate::limits::{DIGITS_MAX, EVENTS_OPEN_MAX};
use crate::report::Digit;
use crate::stream::Side;

#[derive(Debug)]
pub(crate) struct Digits {
    side: Side,
    decoder: EventDecoder,
    /// Timestamps of the last events, and when their first packet came.
    starts: VecDeque<(u32, u64)>,
    clock_hz: u32,
    found: Vec<Digit>,
}

impl Digits {
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            decoder: EventDecoder::new(),
            starts: VecDeque::new(),
            clock_hz: 0,
            found: Vec::new(),
        }
    }

    /// Takes an event packet, in sending order.
    pub(crate) fn push(&mut self, payload: &[u8], timestamp: u32, at_ns: u64, clock_hz: u32) {
        self.clock_hz = clock_hz;
        if !self.starts.iter().any(|(known, _)| *known == timestamp) {
            if self.starts.len() == EVENTS_OPEN_MAX {
                self.starts.pop_front();
            }
            self.starts.push_back((timestamp, at_ns));
        }
        let Self { side, decoder, starts, found, .. } = self;
        decoder.push(timestamp, payload, &mut |event| note(event, *side, starts, clock_hz, found));
    }

    pub(crate) fn finish(mut self) -> Vec<Digit> {
        let Self { side, starts, found, clock_hz, decoder } = &mut self;
        decoder.finish(&mut |event| note(event, *side, starts, *clock_hz, found));
        self.found
    }
}

fn note(
    event: TelephoneEvent,
    side: Side,
    starts: &VecDeque<(u32, u64)>,
    clock_hz: u32,
    found: &mut Vec<Digit>,
) {
    let Some(digit) = event.digit().filter(|_| found.len() < DIGITS_MAX) else { return };
    let clock_hz = clock_hz.max(1);
    // The packet of this timestamp, or the latest before it: an event may begin within a packet.
    let before = |start: u32| event.timestamp.wrapping_sub(start);
    let nearest = starts.iter().min_by_key(|(start, _)| before(*start));
    let at_ns = nearest.map_or(0, |&(start, at_ns)| {
        let later_ns = u64::from(before(start)) * 1_000_000_000 / u64::from(clock_hz);
        at_ns.saturating_add(later_ns)
    });
    let duration_ms = u64::from(event.duration) * 1_000 / u64::from(clock_hz);
    let duration_ms = u32::try_from(duration_ms).unwrap_or(u32::MAX);
    found.push(Digit { side, digit, at_ns, duration_ms });
}
