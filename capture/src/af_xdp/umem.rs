//! The frames of one receive queue.
//!
//! U1 A frame is either the kernel's (in the fill ring or in a driver) or ours: from when its descriptor is taken out
//!    of a receive ring until its address is put into the fill ring.
#![expect(unsafe_code, reason = "reads frames that the kernel wrote, by the rule U1")]

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::ring::{Descriptor, Producer};
use crate::limits::{UMEM_FRAME_BYTES, UMEM_FRAMES, XDP_COMPLETION_ENTRIES, XDP_FILL_ENTRIES};
use crate::mapping::{Huge, Mapping};
use crate::socket;

/// The kernel may put a frame's start anywhere in it, but not its number.
const FRAME_MASK: u64 = !(UMEM_FRAME_BYTES as u64 - 1);

#[derive(Debug)]
pub struct Umem {
    memory: Mapping,
    /// Of the queue. A lock for each batch, contended only where several sockets share a queue.
    fill: Mutex<Producer>,
}

impl Umem {
    /// Registers memory with the first socket of a queue.
    pub(super) fn register(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let bytes = UMEM_FRAMES as usize * UMEM_FRAME_BYTES as usize;
        let memory = Mapping::anonymous(bytes, Huge::Wanted)
            .or_else(|_| Mapping::anonymous(bytes, Huge::No))?;
        let request = socket::zeroed(|request: &mut libc::xdp_umem_reg| {
            request.addr = memory.at(0, bytes) as u64;
            request.len = memory.bytes() as u64;
            request.chunk_size = UMEM_FRAME_BYTES;
        });
        socket::set(socket, libc::SOL_XDP, libc::XDP_UMEM_REG, &request)?;
        // Nothing is ever sent, but the kernel wants a ring for what was.
        let completions = XDP_COMPLETION_ENTRIES;
        socket::set(socket, libc::SOL_XDP, libc::XDP_UMEM_COMPLETION_RING, &completions)?;
        let fill = Mutex::new(Producer::fill_ring(socket, XDP_FILL_ENTRIES)?);
        Ok(Self { memory, fill })
    }

    /// Gives every frame to the kernel, once.
    pub(super) fn fill_all(&self) {
        let addresses =
            (0..UMEM_FRAMES).map(|frame| u64::from(frame) * u64::from(UMEM_FRAME_BYTES));
        self.fill().put(addresses);
    }

    /// The bytes of a frame that is ours.
    pub(super) fn frame(&self, descriptor: &Descriptor) -> &[u8] {
        let (at, length) = (descriptor.address as usize, descriptor.length as usize);
        // SAFETY: `at` checks both ends; U1: the kernel does not write a frame that it has handed over, and whoever
        // gives it back does so after its last use.
        unsafe { std::slice::from_raw_parts(self.memory.at(at, length), length) }
    }

    /// Gives frames back to the kernel.
    pub(super) fn give_back(&self, descriptors: &[Descriptor]) {
        self.fill().put(descriptors.iter().map(|descriptor| descriptor.address & FRAME_MASK));
    }

    pub(super) fn needs_wakeup(&self) -> bool {
        self.fill().needs_wakeup()
    }

    fn fill(&self) -> MutexGuard<'_, Producer> {
        // A panic ends the process: the ring behind a poisoned lock is not used again.
        self.fill.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
