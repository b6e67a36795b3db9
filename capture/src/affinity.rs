//! Cores: which there are for us, and a thread's place on one.
#![expect(unsafe_code, reason = "libc is C")]

use std::io;
use std::mem::{size_of, zeroed};

/// The cores that this process may use.
pub(crate) fn cores() -> Vec<usize> {
    // SAFETY: a set is numbers only, for which zeros are valid.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    // SAFETY: the kernel writes at most the size of `set`.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if result != 0 {
        return vec![0];
    }
    let size = libc::CPU_SETSIZE as usize;
    // SAFETY: `core` is less than the number of bits in a set.
    (0..size).filter(|&core| unsafe { libc::CPU_ISSET(core, &set) }).collect()
}

/// Keeps the calling thread on a core.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    // SAFETY: as above.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    if core >= libc::CPU_SETSIZE as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: `core` was just checked.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the kernel reads the size of `set`.
    match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
