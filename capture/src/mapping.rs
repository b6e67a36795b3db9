//! Memory that is shared with the kernel: rings of sockets and of BPF maps.
#![expect(unsafe_code, reason = "maps memory, and gives it back")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

/// A mapping that is ours alone in this process. The kernel writes to it at any time, so nobody makes references to
/// what it may write; owners say in their own words which bytes are whose.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the memory belongs to the process, not to a thread; all access goes through raw pointers whose users say
// why they may.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

/// What may be done with the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

impl Mapping {
    /// Maps a part of a file that is no file: a socket or a BPF map.
    pub(crate) fn of(
        fd: BorrowedFd<'_>,
        bytes: usize,
        offset: u64,
        access: Access,
    ) -> io::Result<Self> {
        let protection = match access {
            Access::Read => libc::PROT_READ,
            Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        };
        let offset = libc::off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: a new mapping at an address the kernel chooses touches no memory that exists.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), bytes, protection, flags, fd.as_raw_fd(), offset)
        };
        Self::taken(start, bytes)
    }

    /// Memory of no file, in huge pages where `huge` says so and the machine has them ready.
    pub(crate) fn anonymous(bytes: usize, huge: Huge) -> io::Result<Self> {
        let huge = match huge {
            Huge::Wanted => libc::MAP_HUGETLB,
            Huge::No => 0,
        };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE | huge;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: as above.
        let start = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, flags, -1, 0) };
        Self::taken(start, bytes)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The address of byte `at`.
    ///
    /// # Panics
    /// When `at + length` is beyond the end.
    #[inline]
    pub(crate) fn at(&self, at: usize, length: usize) -> *mut u8 {
        assert!(at <= self.bytes && length <= self.bytes - at, "within the mapping");
        // SAFETY: `at` is within the mapping, or just behind it.
        unsafe { self.start.as_ptr().add(at) }
    }

    fn taken(start: *mut libc::c_void, bytes: usize) -> io::Result<Self> {
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { start, bytes })
    }
}

/// Whether to ask for huge pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Huge {
    Wanted,
    No,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and whoever had a pointer into it borrowed it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
