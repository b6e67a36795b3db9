//! Puts IP fragments together (CAP-7), within bounds, and says what became of each (CAP-8).
//!
//! A datagram that is whole becomes one frame that begins with its IP header and is steered again:
//! a tunnel's packet then shows what is inside, and fragmented media obeys its verdict.
//!
//! Overlaps. An exact repetition is a duplicate, as mirrored ports make them, and harmless. IPv4: the
//! bytes that came first stay, overlaps are counted. IPv6 (RFC 5722 section 4): the datagram is
//! given up. Pieces that no sender makes (not a multiple of eight before the last, beyond 65,535
//! bytes, two different ends, data behind the end) are refused without harm to what is there.
//!
//! Not here: which frames are fragments (`wire`), and what the datagram holds (steering).

mod assembly;

use std::collections::VecDeque;

use earwitness_wire::{LinkType, Parsed, Transport};

use crate::{
    bounded::Bounded,
    frame::Frame,
    hash::{Key, Pair, Seed},
    limits::{DATAGRAM_BYTES_TOTAL_MAX, DATAGRAM_NS_MAX, DATAGRAMS_MAX, FRAGMENTS_MAX},
};
use assembly::{Assembly, Piece, Refusal};

/// What became of the packets that carried fragments. `given = held + whole + lost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReassemblyStats {
    /// Packets given to reassembly.
    pub given: u64,
    /// Packets whose datagram is not whole yet.
    pub held: u64,
    /// Packets that became part of whole datagrams.
    pub whole: u64,
    /// Packets whose datagram did not become whole, or that were refused.
    pub lost: u64,
    /// Datagrams put together.
    pub datagrams: u64,
    /// Datagrams given up: the rest did not come in time.
    pub timeouts: u64,
    /// Datagrams given up for newer ones.
    pub evicted: u64,
    /// Pieces that overlapped others with other bounds.
    pub overlaps: u64,
    /// Pieces that no sender makes.
    pub refused: u64,
}

/// A datagram that is whole: a frame that begins with its IP header.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    pub frame: Frame<'a>,
    /// How many packets it was put together from.
    pub packets: u16,
}

/// Datagrams being put together. One thread owns it (S8).
#[derive(Debug)]
pub struct Reassembly {
    datagrams: Bounded<DatagramKey, u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Births, oldest first; an entry whose birth is not its slot's is stale.
    births: VecDeque<(u32, u64)>,
    born: u64,
    bytes: usize,
    stats: ReassemblyStats,
}

#[derive(Debug)]
struct Slot {
    birth: u64,
    key: DatagramKey,
    assembly: Assembly,
}

/// RFC 791 section 3.2: source, destination, protocol, identification. RFC 8200 section 4.5 leaves
/// the protocol out; with it, two datagrams of one identification do no harm to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DatagramKey {
    addresses: Pair,
    id: u32,
    protocol: u8,
}

impl Key for DatagramKey {
    fn hash(&self, seed: Seed) -> u32 {
        let mut addresses = self.addresses;
        // The ports are unused here; they carry the rest of the key into the mixing.
        addresses.src.port = self.id as u16;
        addresses.dst.port = (self.id >> 16) as u16 ^ u16::from(self.protocol) << 8;
        addresses.hash(seed)
    }
}

impl Default for Reassembly {
    fn default() -> Self {
        Self::new()
    }
}

impl Reassembly {
    #[must_use]
    pub fn new() -> Self {
        Self {
            datagrams: Bounded::new(DATAGRAMS_MAX),
            slots: Vec::new(),
            free: Vec::new(),
            births: VecDeque::new(),
            born: 0,
            bytes: 0,
            stats: ReassemblyStats::default(),
        }
    }

    /// Takes a fragment, which stands for `packets` packets. Where the datagram is whole it is copied
    /// to `whole` and given back.
    pub fn offer<'w>(
        &mut self,
        frame: &Frame<'_>,
        parsed: &Parsed,
        packets: u16,
        whole: &'w mut Vec<u8>,
    ) -> Option<Datagram<'w>> {
        self.expire(frame.ts_ns);
        self.stats.given += u64::from(packets);
        let Some(piece) = Piece::of(frame.bytes, parsed) else {
            return self.refuse(packets);
        };
        let slot = self.slot_of(key_of(parsed), frame.ts_ns);
        let assembly = &mut self.slots[slot as usize].assembly;
        let before = assembly.bytes();
        let added = assembly.add(&piece);
        match added {
            Ok(overlap) => {
                assembly.packets = assembly.packets.saturating_add(packets);
                self.stats.held += u64::from(packets);
                self.stats.overlaps += u64::from(overlap);
            }
            Err(Refusal::Piece) => {
                if assembly.packets == 0 {
                    self.drop_datagram(slot);
                }
                return self.refuse(packets);
            }
            Err(Refusal::Datagram) => {
                self.stats.overlaps += 1;
                self.stats.lost += u64::from(packets);
                self.give_up(slot);
                return None;
            }
        }
        self.bytes = self.bytes - before + assembly.bytes();
        if assembly.packets > FRAGMENTS_MAX {
            self.give_up(slot);
            return None;
        }
        let datagram = self.finish(slot, frame, whole);
        self.shrink();
        datagram
    }

    /// Gives up datagrams whose rest did not come in time.
    pub fn expire(&mut self, now_ns: u64) {
        while let Some(slot) = self.oldest() {
            let age_ns = now_ns.saturating_sub(self.slots[slot as usize].assembly.begun_ns);
            if age_ns < DATAGRAM_NS_MAX {
                break;
            }
            self.stats.timeouts += 1;
            self.give_up(slot);
        }
    }

    /// Gives up everything: the input has ended.
    pub fn abandon(&mut self) {
        self.expire(u64::MAX);
    }

    #[must_use]
    pub fn stats(&self) -> ReassemblyStats {
        self.stats
    }

    fn finish<'w>(
        &mut self,
        slot: u32,
        frame: &Frame<'_>,
        whole: &'w mut Vec<u8>,
    ) -> Option<Datagram<'w>> {
        let assembly = &self.slots[slot as usize].assembly;
        if !assembly.is_whole() {
            return None;
        }
        let packets = assembly.packets;
        if !assembly.write_to(whole) {
            self.give_up(slot);
            return None;
        }
        self.drop_datagram(slot);
        self.stats.held -= u64::from(packets);
        self.stats.whole += u64::from(packets);
        self.stats.datagrams += 1;
        let frame = Frame {
            ts_ns: frame.ts_ns,
            bytes: whole,
            wire_len: whole.len() as u32,
            link: LinkType::RawIp,
            source: frame.source,
        };
        Some(Datagram { frame, packets })
    }

    fn refuse<T>(&mut self, packets: u16) -> Option<T> {
        self.stats.refused += 1;
        self.stats.lost += u64::from(packets);
        None
    }

    fn slot_of(&mut self, key: DatagramKey, ts_ns: u64) -> u32 {
        if let Some(&slot) = self.datagrams.get(&key) {
            return slot;
        }
        if self.datagrams.len() == DATAGRAMS_MAX {
            self.evict_oldest();
        }
        self.born += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { birth: 0, key, assembly: Assembly::default() });
            self.slots.len() as u32 - 1
        });
        let place = &mut self.slots[slot as usize];
        (place.birth, place.key) = (self.born, key);
        place.assembly.begin(ts_ns);
        self.births.push_back((slot, self.born));
        self.datagrams.entry(key, || slot);
        if self.births.len() > 2 * DATAGRAMS_MAX {
            let slots = &self.slots;
            self.births.retain(|&(slot, birth)| slots[slot as usize].birth == birth);
        }
        slot
    }

    fn shrink(&mut self) {
        while self.bytes > DATAGRAM_BYTES_TOTAL_MAX {
            self.evict_oldest();
        }
    }

    fn evict_oldest(&mut self) {
        if let Some(slot) = self.oldest() {
            self.stats.evicted += 1;
            self.give_up(slot);
        }
    }

    fn oldest(&mut self) -> Option<u32> {
        while let Some(&(slot, birth)) = self.births.front() {
            if self.slots[slot as usize].birth == birth {
                return Some(slot);
            }
            self.births.pop_front();
        }
        None
    }

    fn give_up(&mut self, slot: u32) {
        let packets = u64::from(self.slots[slot as usize].assembly.packets);
        self.stats.held -= packets;
        self.stats.lost += packets;
        self.drop_datagram(slot);
    }

    fn drop_datagram(&mut self, slot: u32) {
        let place = &mut self.slots[slot as usize];
        self.bytes -= place.assembly.bytes();
        place.birth = 0;
        place.assembly.clear();
        let key = place.key;
        self.datagrams.remove(&key);
        self.free.push(slot);
    }
}

fn key_of(parsed: &Parsed) -> DatagramKey {
    let protocol = match parsed.transport {
        Transport::Udp => 17,
        Transport::Tcp => 6,
        Transport::Other(protocol) => protocol,
    };
    let id = parsed.fragment.map_or(0, |fragment| fragment.id);
    let addresses = Pair { src: parsed.src.with_port(0), dst: parsed.dst.with_port(0) };
    DatagramKey { addresses, id, protocol }
}

#[cfg(test)]
mod tests;
