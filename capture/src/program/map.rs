//! Elements of maps, and rings: the few commands of `bpf(2)` that are needed while capture runs.
//!
//! aya looks up the number of CPUs in a file with each access to a per-CPU map, which the sandbox forbids; and it
//! makes no map that is not in the object.
#![expect(unsafe_code, reason = "bpf(2) has no wrapper in libc")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use earwitness_abi::ring::{CHUNK_BYTES, CHUNK_STRIDE};

use crate::program::ProgramError;

/// `enum bpf_cmd` of linux/bpf.h.
const MAP_CREATE: i32 = 0;
const MAP_LOOKUP_ELEM: i32 = 1;
const MAP_UPDATE_ELEM: i32 = 2;
const MAP_DELETE_ELEM: i32 = 3;
/// `enum bpf_map_type`.
const MAP_TYPE_ARRAY: u32 = 2;
/// Flags of maps: user space maps the elements; maps within another map may differ in how many they have.
const MMAPABLE: u32 = 1 << 10;
const INNER_MAP: u32 = 1 << 12;

/// The part of `union bpf_attr` that MAP_*_ELEM read.
#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The part of `union bpf_attr` that MAP_CREATE reads, as far as rings need it.
#[repr(C)]
struct CreateAttr {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: [u8; 16],
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
        bpf(command, &attr).map(drop)
    }

    fn failed(&self, action: &'static str, source: io::Error) -> ProgramError {
        ProgramError::Map { name: self.name, action, source }
    }
}

/// Makes the chunks of a ring; the kernel keeps them in memory that is never swapped.
pub(super) fn create_ring(bytes: u32, cpu: u32) -> Result<OwnedFd, ProgramError> {
    let mut map_name = [0; 16];
    map_name[..4].copy_from_slice(b"ring");
    let attr = CreateAttr {
        map_type: MAP_TYPE_ARRAY,
        key_size: size_of::<u32>() as u32,
        value_size: CHUNK_STRIDE,
        max_entries: bytes / CHUNK_BYTES,
        map_flags: MMAPABLE | INNER_MAP,
        inner_map_fd: 0,
        numa_node: 0,
        map_name,
    };
    let fd = bpf(MAP_CREATE, &attr).map_err(|source| ProgramError::Ring { cpu, bytes, source })?;
    // SAFETY: the kernel has just made this descriptor for us, with close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf<T>(command: i32, attr: &T) -> io::Result<RawFd> {
    // SAFETY: `attr` is the beginning of the kernel's union, with its size; keys and values that it points at have
    // the sizes of the map, by the contract of `ElementMap`.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as RawFd) }
}

/// That there is no such element is an answer, not an error.
fn found(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}
