//! The allocator of this program: the system's, counting for each thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what a thread allocates. Other threads do not disturb the count, nor does it slow them down.
#[derive(Debug)]
pub struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

/// How often this thread has allocated, or made an allocation larger.
#[must_use]
pub fn count() -> u64 {
    ALLOCATIONS.get()
}

/// Bytes that this thread has allocated and not freed. What another thread freed still counts.
#[must_use]
pub fn bytes() -> i64 {
    BYTES.get()
}

fn note(allocations: u64, bytes: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get() + allocations);
    BYTES.set(BYTES.get() + bytes);
}

// SAFETY: every call goes to the system's allocator as it came. Counting allocates nothing: the counters are
// constants at first and have no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(0, -(layout.size() as i64));
        // SAFETY: `at` came from `System`, with this layout, as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        note(1, bytes as i64 - layout.size() as i64);
        // SAFETY: as above; the new size is the caller's promise.
        unsafe { System.realloc(at, layout, bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_thread_allocates_is_counted() {
        let (before, bytes_before) = (count(), bytes());
        let kept = std::hint::black_box(vec![0_u8; 1000]);
        assert_eq!((count() - before, bytes() - bytes_before), (1, 1000));
        drop(kept);
        assert_eq!((count() - before, bytes() - bytes_before), (1, 0));
    }
}
