//! Masked media in which keys may be, for who decides: it is kept in memory until it is fetched, and written nowhere.

use std::collections::{VecDeque, vec_deque};

use earwitness_ipc::Overheard;

use crate::{hash::Pair, held::Held, limits::OVERHEARD_MAX};

/// A queue with a bound.
#[derive(Debug)]
pub(crate) struct Ears {
    /// Longer packets are none of its.
    bytes_max: usize,
    queue: VecDeque<Overheard>,
}

impl Ears {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, queue: VecDeque::new() }
    }

    /// Takes a packet, if it is short enough; the oldest goes where there are too many.
    pub(crate) fn push(&mut self, held: &Held<'_>, pair: &Pair) {
        let payload = held.payload();
        if payload.len() > self.bytes_max {
            return;
        }
        if self.queue.len() == OVERHEARD_MAX {
            self.queue.pop_front();
        }
        let (src, dst, ts_ns) = (pair.src, pair.dst, held.meta.ts_ns);
        self.queue.push_back(Overheard { src, dst, ts_ns, payload: payload.to_vec() });
    }

    pub(crate) fn take(&mut self) -> vec_deque::Drain<'_, Overheard> {
        self.queue.drain(..)
    }
}
