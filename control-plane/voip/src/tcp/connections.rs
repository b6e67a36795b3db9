//! The table of directions, bounded in number and bytes.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use crate::limits::{TCP_BYTES_MAX, TCP_STREAMS_MAX};

/// One direction of a connection: from where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Direction {
    pub src: SocketAddr,
    pub dst: SocketAddr,
}

impl Direction {
    /// The other direction of the same connection.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { src: self.dst, dst: self.src }
    }
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    touched: u64,
    bytes: usize,
}

/// State of each direction, the one touched longest ago given up first (S10).
#[derive(Debug)]
pub struct Connections<T> {
    entries: HashMap<Direction, Entry<T>>,
    /// Who was touched when, in order of touching.
    order: BTreeMap<u64, Direction>,
    touches: u64,
    bytes: usize,
    entries_max: usize,
    evicted: u64,
}

impl<T> Default for Connections<T> {
    fn default() -> Self {
        Self::with_capacity(TCP_STREAMS_MAX)
    }
}

impl<T> Connections<T> {
    /// A table for at most so many directions.
    #[must_use]
    pub fn with_capacity(entries_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            touches: 0,
            bytes: 0,
            entries_max: entries_max.max(1),
            evicted: 0,
        }
    }

    /// The state of a direction, made by `make` where there is none, and touched. Afterwards say with
    /// [`Connections::account`] how many bytes it holds.
    pub fn touch(&mut self, direction: Direction, make: impl FnOnce() -> T) -> &mut T {
        if !self.entries.contains_key(&direction) && self.entries.len() >= self.entries_max {
            self.evict_oldest();
        }
        self.touches += 1;
        let touched = self.touches;
        let entry = self.entries.entry(direction).or_insert_with(|| Entry {
            value: make(),
            touched,
            bytes: 0,
        });
        if entry.touched != touched {
            self.order.remove(&entry.touched);
            entry.touched = touched;
        }
        self.order.insert(touched, direction);
        &mut entry.value
    }

    /// Notes how many bytes a direction holds; gives up others where all together hold too many.
    pub fn account(&mut self, direction: Direction, bytes: usize) {
        if let Some(entry) = self.entries.get_mut(&direction) {
            self.bytes = self.bytes - entry.bytes + bytes;
            entry.bytes = bytes;
        }
        while self.bytes > TCP_BYTES_MAX && self.entries.len() > 1 {
            self.evict_oldest();
        }
    }

    /// The state of a direction, untouched.
    #[must_use]
    pub fn get(&self, direction: Direction) -> Option<&T> {
        self.entries.get(&direction).map(|entry| &entry.value)
    }

    /// Forgets a direction.
    pub fn remove(&mut self, direction: Direction) -> Option<T> {
        let entry = self.entries.remove(&direction)?;
        self.order.remove(&entry.touched);
        self.bytes -= entry.bytes;
        Some(entry.value)
    }

    /// All directions with their state, in no order that means anything.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Direction, &mut T)> {
        self.entries.iter_mut().map(|(direction, entry)| (*direction, &mut entry.value))
    }

    /// All directions with their state, the one touched longest ago first.
    pub fn by_age(&self) -> impl Iterator<Item = (Direction, &T)> {
        self.order.values().filter_map(|direction| Some((*direction, self.get(*direction)?)))
    }

    /// How many directions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many were given up for want of room.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn evict_oldest(&mut self) {
        if let Some((_, direction)) = self.order.first_key_value() {
            let direction = *direction;
            self.remove(direction);
            self.evicted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::{Connections, Direction};

    fn direction(port: u16) -> Direction {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Direction { src: at(port), dst: at(5060) }
    }

    // S10: the direction that was silent longest goes first, by number and by bytes.
    #[test]
    fn the_longest_silent_is_given_up() {
        let mut table = Connections::with_capacity(2);
        for port in [1, 2, 1, 3] {
            *table.touch(direction(port), || 0) += 1;
        }
        assert_eq!((table.len(), table.evicted()), (2, 1));
        assert_eq!(table.get(direction(1)), Some(&2));
        assert!(table.by_age().eq([(direction(1), &2), (direction(3), &1)]));
        assert!(table.get(direction(2)).is_none());
        table.account(direction(1), 200 << 20);
        table.account(direction(3), 200 << 20);
        assert_eq!((table.len(), table.evicted()), (1, 2));
        assert!(table.get(direction(1)).is_none());
        assert_eq!(table.remove(direction(3)), Some(1));
        assert!(table.is_empty());
        assert_eq!(direction(7).reversed().dst.port(), 7);
    }
}
