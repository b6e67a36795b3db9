//! Which records of a media line wait for a verdict: in the order of arrival, and linked by
//! destination, so that a verdict finds its records without a search.
//!
//! Not here: the records themselves, which stay in the line, and what becomes of them.

use earwitness_wire::Endpoint;

use crate::{bounded::Bounded, limits::WAITING_DESTINATIONS_MAX};

/// A record that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiter {
    /// In the line.
    pub(crate) position: u64,
    pub(crate) ts_ns: u64,
}

/// A queue with a bound. Its memory is reserved at the start and touched as it fills.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// A ring; an entry's number modulo the length is its place.
    entries: Vec<Entry>,
    /// A power of two.
    capacity: u64,
    first: u64,
    next: u64,
    chains: Bounded<Endpoint, Chain>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    waiter: Waiter,
    /// Number of the next entry with this destination; 0 is none.
    next: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Chained,
    /// There were too many destinations; a verdict is only asked for when the time is up.
    Unchained,
    Gone,
}

/// Entries of one destination.
#[derive(Debug, Clone, Copy)]
struct Chain {
    first: u64,
    last: u64,
}

impl Waiting {
    pub(crate) fn new(capacity: usize) -> Self {
        Self::with_destinations(capacity, WAITING_DESTINATIONS_MAX)
    }

    fn with_destinations(capacity: usize, destinations: usize) -> Self {
        let capacity = capacity.next_power_of_two();
        Self {
            entries: Vec::with_capacity(capacity),
            capacity: capacity as u64,
            // Numbers start at 1, so that 0 can be none.
            first: 1,
            next: 1,
            chains: Bounded::new(destinations),
        }
    }

    pub(crate) fn is_full(&mut self) -> bool {
        // What is gone at the front takes no place.
        self.front();
        self.next - self.first == self.capacity
    }

    /// # Panics
    /// When it is full: the caller makes room first.
    pub(crate) fn push(&mut self, waiter: Waiter, dst: &Endpoint) {
        assert!(!self.is_full(), "room was made before");
        let number = self.next;
        let state = self.link(number, dst);
        let entry = Entry { waiter, next: 0, state };
        let place = self.place(number);
        if place == self.entries.len() {
            self.entries.push(entry);
        } else {
            self.entries[place] = entry;
        }
        self.next += 1;
    }

    /// The one that waits longest.
    pub(crate) fn front(&mut self) -> Option<Waiter> {
        while self.first != self.next {
            let entry = &self.entries[self.place(self.first)];
            if entry.state != State::Gone {
                return Some(entry.waiter);
            }
            self.first += 1;
        }
        None
    }

    /// Takes the front away; `dst` is its destination.
    pub(crate) fn pop(&mut self, dst: &Endpoint) {
        if self.front().is_none() {
            return;
        }
        let entry = self.entries[self.place(self.first)];
        if entry.state == State::Chained {
            // The front is the first of its chain: what came before it is gone.
            match self.chains.get_mut(dst) {
                Some(chain) if entry.next != 0 => chain.first = entry.next,
                Some(_) => drop(self.chains.remove(dst)),
                None => unreachable!("a chained entry has a chain"),
            }
        }
        self.first += 1;
    }

    /// Takes away everything that waits for a verdict on `dst`, first come first.
    pub(crate) fn take(&mut self, dst: &Endpoint, mut each: impl FnMut(Waiter)) {
        let Some(chain) = self.chains.remove(dst) else { return };
        let mut number = chain.first;
        while number != 0 {
            let place = self.place(number);
            let entry = &mut self.entries[place];
            entry.state = State::Gone;
            number = entry.next;
            each(entry.waiter);
        }
    }

    fn link(&mut self, number: u64, dst: &Endpoint) -> State {
        if let Some(chain) = self.chains.get_mut(dst) {
            let last = std::mem::replace(&mut chain.last, number);
            let place = self.place(last);
            self.entries[place].next = number;
            return State::Chained;
        }
        match self.chains.insert(*dst, Chain { first: number, last: number }, |_| false) {
            Ok(()) => State::Chained,
            Err(_) => State::Unchained,
        }
    }

    #[inline]
    fn place(&self, number: u64) -> usize {
        ((number - 1) & (self.capacity - 1)) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Push(u8),
        Pop,
        Take(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0u8..5).prop_map(Step::Push),
            1 => Just(Step::Pop),
            1 => (0u8..5).prop_map(Step::Take),
        ]
    }

    fn dst(host: u8) -> Endpoint {
        Endpoint::v4([10, 0, 0, host], 4000)
    }

    /// What waits, and whether it is chained.
    #[derive(Default)]
    struct Model {
        queue: VecDeque<(u8, Waiter, bool)>,
        destinations: usize,
    }

    impl Model {
        fn push(&mut self, host: u8, waiter: Waiter) {
            let chained: BTreeSet<u8> =
                self.queue.iter().filter(|entry| entry.2).map(|entry| entry.0).collect();
            let chain = chained.contains(&host) || chained.len() < self.destinations;
            self.queue.push_back((host, waiter, chain));
        }

        fn take(&mut self, host: u8) -> Vec<Waiter> {
            let is_taken = |entry: &(u8, Waiter, bool)| -> bool { entry.0 == host && entry.2 };
            let taken = self.queue.iter().filter(|entry| is_taken(entry));
            let taken = taken.map(|entry| entry.1).collect();
            self.queue.retain(|entry| !is_taken(entry));
            taken
        }
    }

    proptest! {
        /// CAP-9, S10: a verdict finds the records of its destination, in order, as far as there is
        /// room for destinations; the others wait on in theirs.
        #[test]
        fn a_queue_with_chains(
            steps in prop::collection::vec(step(), 1..200),
            capacity in 1usize..20,
            destinations in 1usize..7,
        ) {
            let mut waiting = Waiting::with_destinations(capacity, destinations);
            let mut model = Model { destinations, ..Model::default() };
            for (step, position) in steps.into_iter().zip(0..) {
                match step {
                    Step::Push(host) if !waiting.is_full() => {
                        let waiter = Waiter { position, ts_ns: position * 2 };
                        waiting.push(waiter, &dst(host));
                        model.push(host, waiter);
                    }
                    Step::Push(_) => {
                        let held = model.queue.len();
                        prop_assert!(0 < held && held <= capacity.next_power_of_two());
                    }
                    Step::Pop => match model.queue.pop_front() {
                        Some((host, waiter, _)) => {
                            prop_assert_eq!(waiting.front(), Some(waiter));
                            waiting.pop(&dst(host));
                        }
                        None => prop_assert_eq!(waiting.front(), None),
                    },
                    Step::Take(host) => {
                        let mut taken = Vec::new();
                        waiting.take(&dst(host), |waiter| taken.push(waiter));
                        prop_assert_eq!(taken, model.take(host));
                    }
                }
                prop_assert_eq!(waiting.front(), model.queue.front().map(|entry| entry.1));
            }
        }
    }
}
