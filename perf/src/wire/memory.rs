//! A file, allocated and mapped.
#![expect(unsafe_code, reason = "mappings and fallocate have no safe interface in std")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

/// Nobody else has the file; it is unmapped when this is dropped.
#[derive(Debug)]
pub struct Mapped {
    start: *mut u8,
    bytes: usize,
}

impl Mapped {
    /// Makes the file with all its blocks.
    ///
    /// # Errors
    /// There is no room, or no right.
    pub fn new(path: &Path, bytes: usize) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        // SAFETY: no memory is passed.
        let result = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, bytes as libc::off_t) };
        if result != 0 {
            return Err(io::Error::from_raw_os_error(result));
        }
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let fd = file.as_raw_fd();
        // SAFETY: a new mapping where the kernel likes: nothing else is there.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), bytes, rights, libc::MAP_SHARED, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { start: start.cast(), bytes })
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: so many bytes are mapped until this is dropped; whoever has `&mut self` is alone.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.bytes) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: it was mapped by `new`, and no slice of it is left.
        unsafe { libc::munmap(self.start.cast(), self.bytes) };
    }
}
