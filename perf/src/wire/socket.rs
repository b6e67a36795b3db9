//! The smallest AF_XDP receiver: takes descriptors, gives their frames back, looks at nothing.
#![expect(unsafe_code, reason = "rings shared with the kernel have no safe interface")]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, ensure};

/// As Earwitness has them.
const FRAMES: u32 = 32_768;
const FRAME_BYTES: u32 = 4096;
const RECEIVE_ENTRIES: u32 = 16_384;
const COMPLETION_ENTRIES: u32 = 64;
/// Descriptors taken before their frames are given back.
const BATCH: u32 = 256;

/// Memory shared with the kernel; unmapped when dropped.
#[derive(Debug)]
struct Mapping {
    start: NonNull<libc::c_void>,
    bytes: usize,
}

impl Mapping {
    /// Anonymous where `fd` is none.
    fn new(bytes: usize, fd: Option<(&OwnedFd, libc::off_t)>) -> io::Result<Self> {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let (flags, raw, offset) = match fd {
            Some((fd, offset)) => (libc::MAP_SHARED, fd.as_raw_fd(), offset),
            None => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0),
        };
        let flags = flags | libc::MAP_POPULATE;
        // SAFETY: a new mapping where the kernel likes: nothing else is there.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, rights, flags, raw, offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, bytes })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped by `new`, and nobody has a pointer into it any more.
        unsafe { libc::munmap(self.start.as_ptr(), self.bytes) };
    }
}

/// One ring: who produces and who consumes is for its user to know.
#[derive(Debug)]
struct Ring {
    memory: Mapping,
    offsets: libc::xdp_ring_offset,
    entries: u32,
}

impl Ring {
    fn producer(&self) -> &AtomicU32 {
        self.index(self.offsets.producer)
    }

    fn consumer(&self) -> &AtomicU32 {
        self.index(self.offsets.consumer)
    }

    fn index(&self, offset: u64) -> &AtomicU32 {
        // SAFETY: the kernel says that an aligned index is there; it lives as long as the mapping.
        unsafe { &*self.memory.start.as_ptr().byte_add(offset as usize).cast::<AtomicU32>() }
    }

    /// An entry of type `T`: addresses in the fill ring, descriptors in the receive ring.
    fn entry<T>(&self, number: u32) -> *mut T {
        let at = (number & (self.entries - 1)) as usize;
        // SAFETY: the ring has `entries` of this type, and `at` is less.
        unsafe {
            self.memory.start.as_ptr().byte_add(self.offsets.desc as usize).cast::<T>().add(at)
        }
    }
}

/// A socket at queue 0 of an interface.
#[derive(Debug)]
pub struct DropSocket {
    /// Named first: the kernel lets go of the rings before they are unmapped.
    pub fd: OwnedFd,
    fill: Ring,
    receive: Ring,
    _frames: Mapping,
}

impl DropSocket {
    /// Opens it, in copy mode, with all its frames given to the kernel.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn open(interface: u32) -> anyhow::Result<Self> {
        // SAFETY: no memory is passed.
        let raw = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        ensure!(raw >= 0, "AF_XDP: {}", io::Error::last_os_error());
        // SAFETY: the kernel just made it, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(raw) };
        let frames = Mapping::new((FRAMES * FRAME_BYTES) as usize, None)?;
        // SAFETY: numbers only, for which zeros are valid.
        let mut umem: libc::xdp_umem_reg = unsafe { std::mem::zeroed() };
        umem.addr = frames.start.as_ptr() as u64;
        umem.len = u64::from(FRAMES) * u64::from(FRAME_BYTES);
        umem.chunk_size = FRAME_BYTES;
        set(&fd, libc::XDP_UMEM_REG, &umem).context("frames")?;
        set(&fd, libc::XDP_UMEM_FILL_RING, &FRAMES)?;
        set(&fd, libc::XDP_UMEM_COMPLETION_RING, &COMPLETION_ENTRIES)?;
        set(&fd, libc::XDP_RX_RING, &RECEIVE_ENTRIES)?;
        let offsets = offsets(&fd)?;
        let ring = |offsets: libc::xdp_ring_offset, entries: u32, size: usize, page: u64| {
            let bytes = offsets.desc as usize + entries as usize * size;
            let memory = Mapping::new(bytes, Some((&fd, page as libc::off_t)))?;
            io::Result::Ok(Ring { memory, offsets, entries })
        };
        let page = libc::XDP_UMEM_PGOFF_FILL_RING;
        let fill = ring(offsets.fr, FRAMES, size_of::<u64>(), page)?;
        let page = libc::XDP_PGOFF_RX_RING as u64;
        let receive = ring(offsets.rx, RECEIVE_ENTRIES, size_of::<libc::xdp_desc>(), page)?;
        for number in 0..FRAMES {
            let address = u64::from(number) * u64::from(FRAME_BYTES);
            // SAFETY: the kernel does not look at the entry before it is published.
            unsafe { fill.entry::<u64>(number).write(address) };
        }
        fill.producer().store(FRAMES, Ordering::Release);
        bind(&fd, interface)?;
        Ok(Self { fd, fill, receive, _frames: frames })
    }

    /// Takes what is there, a batch at most, and gives its frames back; how many it was.
    pub fn receive(&mut self) -> u32 {
        let from = self.receive.consumer().load(Ordering::Relaxed);
        let ready = self.receive.producer().load(Ordering::Acquire).wrapping_sub(from).min(BATCH);
        let to = self.fill.producer().load(Ordering::Relaxed);
        for at in 0..ready {
            let descriptor = self.receive.entry::<libc::xdp_desc>(from.wrapping_add(at));
            // SAFETY: the kernel has published the one, and does not look at the other yet; there is always room in
            // the fill ring, which holds every frame.
            unsafe {
                let address = (*descriptor).addr & !u64::from(FRAME_BYTES - 1);
                self.fill.entry::<u64>(to.wrapping_add(at)).write(address);
            }
        }
        self.receive.consumer().store(from.wrapping_add(ready), Ordering::Release);
        self.fill.producer().store(to.wrapping_add(ready), Ordering::Release);
        ready
    }
}

fn set<T>(fd: &OwnedFd, name: libc::c_int, value: &T) -> anyhow::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes of `value`.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_XDP, name, (&raw const *value).cast(), length)
    };
    ensure!(result == 0, "AF_XDP option {name}: {}", io::Error::last_os_error());
    Ok(())
}

fn offsets(fd: &OwnedFd) -> anyhow::Result<libc::xdp_mmap_offsets> {
    // SAFETY: numbers only, for which zeros are valid.
    let mut offsets: libc::xdp_mmap_offsets = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::xdp_mmap_offsets>() as libc::socklen_t;
    let to = (&raw mut offsets).cast();
    // SAFETY: the kernel writes at most `length` bytes to `offsets`.
    let result = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_XDP, libc::XDP_MMAP_OFFSETS, to, &raw mut length)
    };
    ensure!(result == 0, "AF_XDP offsets: {}", io::Error::last_os_error());
    Ok(offsets)
}

fn bind(fd: &OwnedFd, interface: u32) -> anyhow::Result<()> {
    // SAFETY: numbers only, for which zeros are valid.
    let mut address: libc::sockaddr_xdp = unsafe { std::mem::zeroed() };
    address.sxdp_family = libc::AF_XDP as u16;
    address.sxdp_flags = libc::XDP_COPY;
    address.sxdp_ifindex = interface;
    let length = size_of::<libc::sockaddr_xdp>() as libc::socklen_t;
    // SAFETY: `address` lives through the call, and is as long as said.
    let result = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) };
    ensure!(result == 0, "AF_XDP bind: {}", io::Error::last_os_error());
    Ok(())
}
