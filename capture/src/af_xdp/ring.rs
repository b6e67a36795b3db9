//! The rings of an AF_XDP socket: one side is the kernel's, the other ours.
//!
//! X1 Indexes grow and wrap; `index % entries` is the place.
//! X2 The producer's index moves with release order after the entries; the consumer loads it with acquire order, and
//!    moves its own with release order after it has read them.
#![expect(unsafe_code, reason = "shares memory with the kernel, by the rules X1 and X2")]

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::mapping::{Access, Mapping};
use crate::socket;

/// `struct xdp_desc`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) address: u64,
    pub(super) length: u32,
    pub(super) options: u32,
}

/// A ring that is mapped here.
#[derive(Debug)]
struct Shared {
    memory: Mapping,
    producer: usize,
    consumer: usize,
    flags: usize,
    entries_at: usize,
    entries: u32,
}

impl Shared {
    fn map(
        socket: BorrowedFd<'_>,
        offsets: &libc::xdp_ring_offset,
        page_offset: u64,
        entries: u32,
        entry_bytes: usize,
    ) -> io::Result<Self> {
        let bytes = offsets.desc as usize + entries as usize * entry_bytes;
        Ok(Self {
            memory: Mapping::of(socket, bytes, page_offset, Access::ReadWrite)?,
            producer: offsets.producer as usize,
            consumer: offsets.consumer as usize,
            flags: offsets.flags as usize,
            entries_at: offsets.desc as usize,
            entries,
        })
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        // SAFETY: within the mapping, which `at` checks; aligned, as the kernel lays it out; lives as long as the
        // mapping; the kernel uses it as one word, too.
        unsafe { AtomicU32::from_ptr(self.memory.at(at, 4).cast()) }
    }

    fn entry<T>(&self, index: u32) -> *mut T {
        let place = (index & (self.entries - 1)) as usize;
        self.memory.at(self.entries_at + place * size_of::<T>(), size_of::<T>()).cast()
    }
}

/// A ring that the kernel fills: a socket's receive ring.
#[derive(Debug)]
pub(super) struct Consumer {
    shared: Shared,
    next: u32,
}

impl Consumer {
    pub(super) fn receive_ring(socket: BorrowedFd<'_>, entries: u32) -> io::Result<Self> {
        socket::set(socket, libc::SOL_XDP, libc::XDP_RX_RING, &entries)?;
        let offsets = offsets(socket)?;
        let page_offset = libc::XDP_PGOFF_RX_RING as u64;
        let entry_bytes = size_of::<Descriptor>();
        let shared = Shared::map(socket, &offsets.rx, page_offset, entries, entry_bytes)?;
        Ok(Self { shared, next: 0 })
    }

    /// Takes at most `count` descriptors. Their frames are ours until they go into a fill ring.
    pub(super) fn take(&mut self, count: u32, taken: &mut Vec<Descriptor>) {
        let produced = self.shared.word(self.shared.producer).load(Ordering::Acquire);
        let there = produced.wrapping_sub(self.next).min(count);
        for _ in 0..there {
            // SAFETY: X2: the kernel has written the entry, and does not touch it before our index moves.
            taken.push(unsafe { self.shared.entry::<Descriptor>(self.next).read() });
            self.next = self.next.wrapping_add(1);
        }
        if there > 0 {
            self.shared.word(self.shared.consumer).store(self.next, Ordering::Release);
        }
    }
}

/// A ring that we fill: a queue's fill ring.
#[derive(Debug)]
pub(super) struct Producer {
    shared: Shared,
    next: u32,
}

impl Producer {
    pub(super) fn fill_ring(socket: BorrowedFd<'_>, entries: u32) -> io::Result<Self> {
        socket::set(socket, libc::SOL_XDP, libc::XDP_UMEM_FILL_RING, &entries)?;
        let offsets = offsets(socket)?;
        let page_offset = libc::XDP_UMEM_PGOFF_FILL_RING;
        let shared = Shared::map(socket, &offsets.fr, page_offset, entries, size_of::<u64>())?;
        Ok(Self { shared, next: 0 })
    }

    /// Gives frames to the kernel.
    ///
    /// # Panics
    /// When there is no room: the ring has two entries for each frame, of which the kernel has it once at most.
    pub(super) fn put(&mut self, addresses: impl ExactSizeIterator<Item = u64>) {
        let consumed = self.shared.word(self.shared.consumer).load(Ordering::Acquire);
        let used = self.next.wrapping_sub(consumed);
        assert!(
            used as usize + addresses.len() <= self.shared.entries as usize,
            "each frame once, or on its way"
        );
        for address in addresses {
            // SAFETY: X2: the kernel has read what was there, and does not look before our index moves.
            unsafe { self.shared.entry::<u64>(self.next).write(address) };
            self.next = self.next.wrapping_add(1);
        }
        self.shared.word(self.shared.producer).store(self.next, Ordering::Release);
    }

    /// Whether the kernel waits for a call before it looks at the ring.
    pub(super) fn needs_wakeup(&self) -> bool {
        let flags = self.shared.word(self.shared.flags).load(Ordering::Relaxed);
        flags & libc::XDP_RING_NEED_WAKEUP != 0
    }
}

fn offsets(socket: BorrowedFd<'_>) -> io::Result<libc::xdp_mmap_offsets> {
    socket::get(socket, libc::SOL_XDP, libc::XDP_MMAP_OFFSETS)
}
