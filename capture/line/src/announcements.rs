//! Flows that were seen undecided, until someone fetches them. A bound, and a counter past it (S10).

use std::collections::{VecDeque, vec_deque};

use earwitness_ipc::FlowSeen;
use earwitness_wire::{Kind, kind};

use crate::{hash::Pair, held::Held, limits::EVENTS_MAX};

/// A queue of events.
#[derive(Debug)]
pub(crate) struct Announcements {
    queue: VecDeque<FlowSeen>,
    dropped: u64,
}

impl Announcements {
    pub(crate) fn new() -> Self {
        Self { queue: VecDeque::with_capacity(EVENTS_MAX), dropped: 0 }
    }

    /// Announces the flow of a record; false if there is no room, so that a later one tries again.
    pub(crate) fn push(&mut self, held: &Held<'_>, pair: &Pair) -> bool {
        if self.queue.len() == EVENTS_MAX {
            self.dropped += 1;
            return false;
        }
        let (src, dst) = (pair.src, pair.dst);
        self.queue.push_back(FlowSeen { src, dst, ts_ns: held.meta.ts_ns, ssrc: ssrc(held) });
        true
    }

    pub(crate) fn take(&mut self) -> vec_deque::Drain<'_, FlowSeen> {
        self.queue.drain(..)
    }

    /// Announcements that found no room.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// RFC 3550 section 5.1.
fn ssrc(held: &Held<'_>) -> Option<u32> {
    let payload = held.payload();
    let bytes = payload.get(8..)?.first_chunk()?;
    (kind(payload) == Kind::Rtp).then(|| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use earwitness_wire::{Endpoint, LinkType, parse};

    use super::*;
    use crate::{held::Hint, ring::Meta, sample};

    /// S10: past the bound announcements are counted, and find room again once they were fetched.
    #[test]
    fn a_bound_on_announcements() {
        let (src, dst) = (Endpoint::v4([10, 0, 0, 1], 4000), Endpoint::v4([10, 0, 0, 2], 4000));
        let frame = sample::udp(src, dst, &sample::rtp(1, 0xdead_beef, b"sound"));
        let parsed = parse(&frame, LinkType::RawIp).expect("a packet");
        let meta = Meta {
            ts_ns: 7,
            wire_len: 0,
            l3: parsed.l3,
            payload: parsed.payload,
            payload_len: parsed.payload_len,
            packets: 1,
            link: LinkType::RawIp as u8,
            source: 0,
            hint: Hint::Media,
        };
        let held = Held { meta, frame: &frame, at: 0, next: 0 };
        let pair = held.pair().expect("endpoints");
        assert_eq!(pair, Pair { src, dst });
        let mut announcements = Announcements::new();
        for _ in 0..EVENTS_MAX {
            assert!(announcements.push(&held, &pair));
        }
        assert!(!announcements.push(&held, &pair));
        assert_eq!(announcements.dropped(), 1);
        let seen = FlowSeen { src, dst, ts_ns: 7, ssrc: Some(0xdead_beef) };
        assert!(announcements.take().all(|event| event == seen));
        assert!(announcements.push(&held, &pair));
    }
}
