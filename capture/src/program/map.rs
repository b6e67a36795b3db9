//! Elements of maps: the few commands of `bpf(2)` that are needed while capture runs.
//!
//! aya looks up the number of CPUs in a file with each access to a per-CPU map, which the sandbox forbids.
#![expect(unsafe_code, reason = "bpf(2) has no wrapper in libc")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::program::ProgramError;

/// `enum bpf_cmd` of linux/bpf.h.
const MAP_LOOKUP_ELEM: i32 = 1;
const MAP_UPDATE_ELEM: i32 = 2;
const MAP_DELETE_ELEM: i32 = 3;
/// The part of `union bpf_attr` that MAP_*_ELEM read.
#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// A map whose elements are looked up, updated and deleted. Who calls passes keys and values of the map's own size:
/// for a per-CPU map, values of all CPUs that are possible.
#[derive(Debug)]
pub(super) struct ElementMap {
    name: &'static str,
    fd: OwnedFd,
}

impl ElementMap {
    pub(super) fn new(name: &'static str, fd: OwnedFd) -> Self {
        Self { name, fd }
    }

    /// Another descriptor of the map, to map its elements.
    pub(super) fn share(&self) -> Result<OwnedFd, ProgramError> {
        self.fd.try_clone().map_err(|source| self.failed("share", source))
    }

    /// Whether there was such an element; `value` is its copy then.
    pub(super) fn lookup(&self, key: &[u8], value: &mut [u8]) -> Result<bool, ProgramError> {
        found(self.call(MAP_LOOKUP_ELEM, key, value.as_mut_ptr() as u64))
            .map_err(|source| self.failed("lookup", source))
    }

    /// Inserts or replaces.
    pub(super) fn update(&self, key: &[u8], value: &[u8]) -> Result<(), ProgramError> {
        self.call(MAP_UPDATE_ELEM, key, value.as_ptr() as u64)
            .map_err(|source| self.failed("update", source))
    }

    /// Whether there was such an element.
    pub(super) fn delete(&self, key: &[u8]) -> Result<bool, ProgramError> {
        found(self.call(MAP_DELETE_ELEM, key, 0)).map_err(|source| self.failed("delete", source))
    }

    fn call(&self, command: i32, key: &[u8], value: u64) -> io::Result<()> {
        let attr = ElementAttr {
            map_fd: self.fd.as_raw_fd() as u32,
            _pad: 0,
            key: key.as_ptr() as u64,
            value,
            flags: 0,
        };
        bpf(command, &attr)
    }

    fn failed(&self, action: &'static str, source: io::Error) -> ProgramError {
        ProgramError::Map { name: self.name, action, source }
    }
}

fn bpf<T>(command: i32, attr: &T) -> io::Result<()> {
    // SAFETY: `attr` is the beginning of the kernel's union, with its size; keys and values that it points at have
    // the sizes of the map, by the contract of `ElementMap`.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// That there is no such element is an answer, not an error.
fn found(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}
