//! A region of anonymous memory that a ring lives in: mapped, populated, locked, kept out of core
//! dumps. Media that waits for its verdict must reach no disk, neither by swap nor by a dump
//! (CAP-9), so a region that could not be locked says so and the caller decides.
//!
//! Not here: who may touch which byte when. That is the ring's protocol.
#![expect(unsafe_code, reason = "maps memory and hands out raw reads and writes of it")]

use std::ptr::NonNull;

use thiserror::Error;

use crate::prefetch::prefetch;

/// Of a cache.
const LINE_BYTES: usize = 64;
/// 20 ms of speech with its headers.
const EXPECTED_BYTES: usize = 256;

/// Why there is no region.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RegionError {
    #[error("no memory for a ring of {bytes} bytes")]
    Map { bytes: usize, source: std::io::Error },
    #[error(
        "{bytes} bytes cannot be locked in memory; RLIMIT_MEMLOCK is {limit_bytes}, raise it or grant CAP_IPC_LOCK"
    )]
    LockRefused { bytes: usize, limit_bytes: u64, source: std::io::Error },
    #[error("a ring wants a power of two between {min} and {max} bytes, not {bytes}")]
    Size { bytes: usize, min: usize, max: usize },
}

/// The system call that locks pages; a stand-in refuses in tests.
pub trait LockPages {
    /// Faults in and locks `len` bytes from `address`.
    ///
    /// # Errors
    /// What the kernel said, most often `ENOMEM` or `EPERM` for `RLIMIT_MEMLOCK`.
    fn lock(&self, address: *mut u8, len: usize) -> std::io::Result<()>;
}

/// The kernel's `mlock`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kernel;

/// Whether the pages of a region can leave memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residence {
    Locked,
    /// Pages may be swapped: fit for replay and tests, to be warned of in live capture.
    Pageable,
}

/// Zeroed memory, aligned to a page, a power of two long.
#[derive(Debug)]
pub struct Region {
    start: NonNull<u8>,
    bytes: usize,
    residence: Residence,
    #[cfg(loom)]
    shadow: Vec<loom::cell::UnsafeCell<()>>,
}

// SAFETY: a region owns its memory alone; reads and writes go through the unsafe methods below,
// whose callers keep writers and readers of a byte apart.
unsafe impl Send for Region {}
// SAFETY: as above; shared references only give the unsafe methods.
unsafe impl Sync for Region {}

impl Region {
    /// Memory that stays in RAM.
    ///
    /// # Errors
    /// [`RegionError::LockRefused`] when the limit forbids it; [`Region::pageable`] is the way on.
    pub fn locked(bytes: usize) -> Result<Self, RegionError> {
        Self::locked_by(&Kernel, bytes)
    }

    /// [`Region::locked`] through the caller's seam.
    ///
    /// # Errors
    /// As [`Region::locked`].
    pub fn locked_by(kernel: &impl LockPages, bytes: usize) -> Result<Self, RegionError> {
        let region = Self::mapped(bytes, Residence::Locked)?;
        kernel.lock(region.start.as_ptr(), bytes).map_err(|source| RegionError::LockRefused {
            bytes,
            limit_bytes: lock_limit_bytes(),
            source,
        })?;
        Ok(region)
    }

    /// Memory that the kernel may swap. A page of it comes when it is first touched.
    ///
    /// # Errors
    /// [`RegionError::Map`] when there is no memory, [`RegionError::Size`] for an odd size.
    pub fn pageable(bytes: usize) -> Result<Self, RegionError> {
        Self::mapped(bytes, Residence::Pageable)
    }

    /// Its length.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it can be swapped.
    #[must_use]
    pub fn residence(&self) -> Residence {
        self.residence
    }

    fn mapped(bytes: usize, residence: Residence) -> Result<Self, RegionError> {
        use crate::limits::{RING_BYTES_MAX, RING_BYTES_MIN};
        if !bytes.is_power_of_two() || !(RING_BYTES_MIN..=RING_BYTES_MAX).contains(&bytes) {
            return Err(RegionError::Size { bytes, min: RING_BYTES_MIN, max: RING_BYTES_MAX });
        }
        let start =
            backing::map(bytes, residence).map_err(|source| RegionError::Map { bytes, source })?;
        Ok(Self {
            start,
            bytes,
            residence,
            #[cfg(loom)]
            shadow: (0..bytes / 8).map(|_| loom::cell::UnsafeCell::new(())).collect(),
        })
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Safety
    /// `offset + bytes.len()` is at most the region's length, and nobody reads or writes these
    /// bytes meanwhile.
    #[inline]
    pub(crate) unsafe fn write(&self, offset: usize, bytes: &[u8]) {
        debug_assert!(offset + bytes.len() <= self.bytes);
        self.model_write(offset, bytes.len());
        // SAFETY: in bounds and exclusive by the caller's promise; `bytes` is a borrow of other
        // memory, because nobody holds a borrow of the region's bytes here.
        unsafe {
            self.start
                .add(offset)
                .copy_from_nonoverlapping(NonNull::from_ref(bytes).cast::<u8>(), bytes.len());
        }
    }

    /// Stores a header, whose every bit pattern is valid, at `offset`.
    ///
    /// # Safety
    /// As [`Region::write`]; `offset` is a multiple of the header's alignment.
    #[inline]
    pub(crate) unsafe fn store<T: Plain>(&self, offset: usize, value: T) {
        debug_assert!(offset + size_of::<T>() <= self.bytes);
        debug_assert!(offset.is_multiple_of(align_of::<T>()));
        self.model_write(offset, size_of::<T>());
        // SAFETY: in bounds, aligned and exclusive by the caller's promise.
        unsafe { self.start.add(offset).cast::<T>().write(value) }
    }

    /// Loads a header from `offset`.
    ///
    /// # Safety
    /// In bounds, aligned, and no one writes these bytes meanwhile.
    #[inline]
    pub(crate) unsafe fn load<T: Plain>(&self, offset: usize) -> T {
        debug_assert!(offset + size_of::<T>() <= self.bytes);
        debug_assert!(offset.is_multiple_of(align_of::<T>()));
        self.model_read(offset, size_of::<T>());
        // SAFETY: in bounds and aligned by the caller's promise; any bits are a valid `T`.
        unsafe { self.start.add(offset).cast::<T>().read() }
    }

    /// Asks the cache for a small record at `offset`.
    #[inline]
    pub(crate) fn expect(&self, offset: usize) {
        for line in (0..EXPECTED_BYTES).step_by(LINE_BYTES) {
            prefetch(self.start.as_ptr().wrapping_add(offset + line));
        }
    }

    /// Borrows `len` bytes at `offset`.
    ///
    /// # Safety
    /// In bounds, and no one writes these bytes for as long as the borrow lives.
    #[inline]
    pub(crate) unsafe fn slice(&self, offset: usize, len: usize) -> &[u8] {
        debug_assert!(offset + len <= self.bytes);
        self.model_read(offset, len);
        // SAFETY: in bounds, initialised (zeroed when mapped), unwritten while borrowed.
        unsafe { NonNull::slice_from_raw_parts(self.start.add(offset), len).as_ref() }
    }

    #[cfg(loom)]
    fn model_write(&self, offset: usize, len: usize) {
        for granule in &self.shadow[offset / 8..(offset + len).div_ceil(8)] {
            granule.with_mut(|_| ());
        }
    }

    #[cfg(loom)]
    fn model_read(&self, offset: usize, len: usize) {
        for granule in &self.shadow[offset / 8..(offset + len).div_ceil(8)] {
            granule.with(|_| ());
        }
    }

    #[cfg(not(loom))]
    #[inline(always)]
    fn model_write(&self, _offset: usize, _len: usize) {}

    #[cfg(not(loom))]
    #[inline(always)]
    fn model_read(&self, _offset: usize, _len: usize) {}
}

impl Drop for Region {
    fn drop(&mut self) {
        backing::unmap(self.start, self.bytes);
    }
}

/// Types of which every bit pattern is a value, without padding.
///
/// # Safety
/// The implementor promises just that.
pub(crate) unsafe trait Plain: Copy {}

impl LockPages for Kernel {
    fn lock(&self, address: *mut u8, len: usize) -> std::io::Result<()> {
        // SAFETY: locking changes no memory; a wrong range is an error of the call.
        match unsafe { libc::mlock(address.cast(), len) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

fn lock_limit_bytes() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one rlimit into the local variable.
    match unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } {
        0 => limit.rlim_cur,
        _ => 0,
    }
}

#[cfg(not(any(loom, miri)))]
mod backing {
    //! Anonymous pages of the kernel.

    use std::ptr::{NonNull, null_mut};

    use super::Residence;

    pub(super) fn map(bytes: usize, residence: Residence) -> std::io::Result<NonNull<u8>> {
        // SAFETY: a fresh anonymous mapping touches no memory that exists.
        let start = unsafe {
            libc::mmap(
                null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        // Populated after the advice, not by MAP_POPULATE, so that huge pages are used. Each piece
        // of advice may be refused by an older kernel without harm: pages then come when touched.
        let whole = [libc::MADV_DONTDUMP, libc::MADV_HUGEPAGE, libc::MADV_POPULATE_WRITE];
        let advice = match residence {
            Residence::Locked => &whole[..],
            Residence::Pageable => &whole[..1],
        };
        for &advice in advice {
            // SAFETY: the range is the mapping just made, and no advice here discards data.
            unsafe { libc::madvise(start.as_ptr().cast(), bytes, advice) };
        }
        Ok(start)
    }

    pub(super) fn unmap(start: NonNull<u8>, bytes: usize) {
        // SAFETY: the mapping was made by `map` with this length; its owner is being dropped.
        unsafe { libc::munmap(start.as_ptr().cast(), bytes) };
    }
}

#[cfg(any(loom, miri))]
mod backing {
    //! The allocator's memory, which the model checkers understand.

    use std::{
        alloc::{Layout, alloc_zeroed, dealloc},
        ptr::NonNull,
    };

    use super::Residence;

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, 4096).expect("a power of two below the limit")
    }

    pub(super) fn map(bytes: usize, _: Residence) -> std::io::Result<NonNull<u8>> {
        // SAFETY: the layout is not empty, because the region's least size is not.
        let start = unsafe { alloc_zeroed(layout(bytes)) };
        NonNull::new(start).ok_or_else(|| std::io::ErrorKind::OutOfMemory.into())
    }

    pub(super) fn unmap(start: NonNull<u8>, bytes: usize) {
        // SAFETY: allocated by `map` with this layout; its owner is being dropped.
        unsafe { dealloc(start.as_ptr(), layout(bytes)) };
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Refusal;

    impl LockPages for Refusal {
        fn lock(&self, _address: *mut u8, _len: usize) -> std::io::Result<()> {
            Err(std::io::Error::from_raw_os_error(libc::ENOMEM))
        }
    }

    /// CAP-2: a refused lock is a value that names the limit, and the caller can go on without.
    #[test]
    fn a_refused_lock_names_the_limit() {
        let error = Region::locked_by(&Refusal, 1 << 16).expect_err("refused");
        let RegionError::LockRefused { bytes, limit_bytes, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!((*bytes, *limit_bytes), (1 << 16, lock_limit_bytes()));
        assert!(error.to_string().contains("RLIMIT_MEMLOCK"));
        let region = Region::pageable(1 << 16).expect("memory");
        assert_eq!(region.residence(), Residence::Pageable);
    }

    /// CAP-9: the pages of a ring are marked locked and absent from core dumps.
    #[test]
    #[cfg(not(miri))]
    fn a_locked_region_is_locked_and_not_dumped() {
        let region = match Region::locked(1 << 16) {
            Ok(region) => region,
            Err(RegionError::LockRefused { .. }) => return,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(region.residence(), Residence::Locked);
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("smaps");
        let flags = maps
            .lines()
            .skip_while(|line| !covers(line, region.start.as_ptr() as usize))
            .find(|line| line.starts_with("VmFlags"))
            .expect("the region is mapped");
        assert!(flags.contains(" lo") && flags.contains(" dd"), "{flags}");
    }

    /// Whether a line of smaps is the head of the mapping that holds `address`.
    #[cfg(not(miri))]
    fn covers(line: &str, address: usize) -> bool {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let bound = |text| usize::from_str_radix(text, 16).ok();
        range.and_then(|(from, to)| Some((bound(from)?..bound(to)?).contains(&address)))
            == Some(true)
    }

    /// CAP-2: sizes that the ring's arithmetic cannot use are refused.
    #[test]
    fn odd_sizes_are_refused() {
        for bytes in [0, 1, 4095, 4097, 12288] {
            assert!(matches!(Region::pageable(bytes), Err(RegionError::Size { .. })), "{bytes}");
        }
    }
}
