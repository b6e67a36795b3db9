//! System calls that the standard library lacks, as safe functions.
#![expect(unsafe_code, reason = "libc is C")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Reserves `bytes` from the file's start, so that no later write can lack space (S3).
pub(crate) fn fallocate(file: &File, bytes: u64) -> io::Result<()> {
    let length = libc::off_t::try_from(bytes).map_err(|_| io::ErrorKind::InvalidInput)?;
    loop {
        // SAFETY: the descriptor is open for as long as `file` is borrowed; no memory is passed.
        let done = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, length) };
        if done == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Whether a file lies in memory (tmpfs); false where that cannot be known.
pub(crate) fn is_in_memory(file: &File) -> bool {
    // SAFETY: numbers only, for which zeros are valid.
    let mut about: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open for as long as `file` is borrowed; the kernel writes one `statfs`, which lives on
    // this frame.
    let done = unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut about) };
    done == 0 && about.f_type == libc::TMPFS_MAGIC
}

/// Asks a copy-on-write file system (btrfs) to overwrite in place: a write into reserved space would
/// else need new space. Others refuse, which does no harm.
pub(crate) fn overwrite_in_place(file: &File) {
    const FS_NOCOW_FL: libc::c_long = 0x0080_0000;
    let mut flags: libc::c_long = 0;
    // SAFETY: FS_IOC_GETFLAGS writes one `int` (some file systems a `long`) into `flags`, which lives on
    // this frame and is as long as the longer of the two.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &raw mut flags) };
    if done != 0 {
        return;
    }
    flags |= FS_NOCOW_FL;
    // SAFETY: FS_IOC_SETFLAGS only reads `flags`.
    unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_SETFLAGS, &raw const flags) };
}

/// Asks the kernel to read no more of a file than is asked for: its writer may not have written the rest. A kernel that
/// does not know it reads ahead.
pub(crate) fn read_no_further(file: &File) {
    // SAFETY: the descriptor is open for as long as `file` is borrowed; no memory is passed.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM) };
}
