//! The ring of blocks that a packet socket and its owner hand to each other.
//!
//! P1 A block is the kernel's while its status is 0, and ours while it is `TP_STATUS_USER`: then the kernel neither
//!    reads nor writes it.
//! P2 The status is read with acquire order before the block, and written with release order after it.
#![expect(unsafe_code, reason = "shares memory with the kernel, by the rules P1 and P2")]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use super::block::{Packets, STATUS_AT};
use crate::limits::PACKET_BLOCK_BYTES;
use crate::mapping::{Access, Mapping};

#[derive(Debug)]
pub(super) struct BlockRing {
    memory: Mapping,
    blocks: u32,
    next: u32,
}

/// A block that is ours; the kernel gets it back when this is dropped.
#[derive(Debug)]
pub(super) struct Block<'r> {
    bytes: *mut u8,
    ring: &'r mut BlockRing,
}

impl BlockRing {
    pub(super) fn map(socket: &OwnedFd, blocks: u32) -> io::Result<Self> {
        let bytes = blocks as usize * PACKET_BLOCK_BYTES as usize;
        let memory = Mapping::of(socket.as_fd(), bytes, 0, Access::ReadWrite)?;
        Ok(Self { memory, blocks, next: 0 })
    }

    /// The next block, if the kernel has handed it over.
    pub(super) fn take(&mut self) -> Option<Block<'_>> {
        let at = self.next as usize * PACKET_BLOCK_BYTES as usize;
        let bytes = self.memory.at(at, PACKET_BLOCK_BYTES as usize);
        // SAFETY: within the mapping and aligned, since blocks are; the kernel writes it as one word, too.
        let status = unsafe { AtomicU32::from_ptr(bytes.add(STATUS_AT).cast()) };
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        Some(Block { bytes, ring: self })
    }
}

impl Block<'_> {
    pub(super) fn packets(&mut self) -> Packets<'_> {
        // SAFETY: P1: the block is ours until this is dropped, and the exclusive borrow lasts no longer.
        let bytes =
            unsafe { std::slice::from_raw_parts_mut(self.bytes, PACKET_BLOCK_BYTES as usize) };
        Packets::new(bytes)
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        // SAFETY: as in `take`; nobody has a reference into the block any more.
        let status = unsafe { AtomicU32::from_ptr(self.bytes.add(STATUS_AT).cast()) };
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.ring.next = (self.ring.next + 1) % self.ring.blocks;
    }
}
