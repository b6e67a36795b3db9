//! Memory that is wiped when it is given back. What passes the door may be media that is kept from every disk (CAP-9): on its
//! way it lies in buffers of many kinds for a moment, whose pages the kernel may write to swap at any later time. Both
//! processes allocate by this, so that nothing of it is left in what is free.
#![expect(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Another allocator, whose memory is zeroed before it has it back. What moves because it grows is wiped where it was.
#[derive(Debug)]
pub struct Wiping<A> {
    allocator: A,
    wipes: AtomicBool,
}

impl<A> Wiping<A> {
    /// From the first piece on.
    pub const fn new(allocator: A) -> Self {
        Self { allocator, wipes: AtomicBool::new(true) }
    }

    /// Not before [`Wiping::begin`]: for a program most of whose tasks have nothing to hide.
    pub const fn idle(allocator: A) -> Self {
        Self { allocator, wipes: AtomicBool::new(false) }
    }

    /// What is given back from now on is wiped.
    pub fn begin(&self) {
        self.wipes.store(true, Ordering::Relaxed);
    }

    fn wipes(&self) -> bool {
        self.wipes.load(Ordering::Relaxed)
    }
}

// SAFETY: all is the other allocator's, but that `dealloc` writes to what its caller gives back, and that `realloc` may be
// made of the others: allocate, copy, give back.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Wiping<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { self.allocator.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { self.allocator.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's memory, of this size, which nobody else uses any more. That it is looked at afterwards must
        // be believed, or the compiler leaves out what nobody reads.
        unsafe {
            if self.wipes() {
                place.write_bytes(0, layout.size());
            }
            self.allocator.dealloc(black_box(place), layout);
        }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises: the new size is no overflow, and what is copied lies in both pieces, which are
        // two.
        unsafe {
            if !self.wipes() {
                return self.allocator.realloc(place, layout, size);
            }
            let grown = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !grown.is_null() {
                ptr::copy_nonoverlapping(place, grown, layout.size().min(size));
                self.dealloc(place, layout);
            }
            grown
        }
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::System;
    use std::cell::Cell;

    use super::*;

    /// What was given back, as it was then.
    struct Keeping(Cell<Vec<Vec<u8>>>);

    // SAFETY: the system's allocator, which is told of nothing that is not true.
    unsafe impl GlobalAlloc for Keeping {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: as the caller promises.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
            let mut kept = self.0.take();
            // SAFETY: the memory is still the caller's, and was written.
            kept.push(unsafe { std::slice::from_raw_parts(place, layout.size()) }.to_vec());
            self.0.set(kept);
            // SAFETY: as the caller promises.
            unsafe { System.dealloc(place, layout) }
        }
    }

    /// CAP-9: nothing is left of what is freed, nor where it was before it grew.
    #[test]
    fn nothing_is_left() {
        let wiping = Wiping::idle(Keeping(Cell::default()));
        wiping.begin();
        let layout = Layout::from_size_align(300, 8).expect("a layout");
        // SAFETY: written within its size, grown and given back once, each with its layout.
        let grown = unsafe {
            let place = wiping.alloc(layout);
            place.write_bytes(0x5a, 300);
            let place = wiping.realloc(place, layout, 700);
            let grown = std::slice::from_raw_parts(place, 300).to_vec();
            place.write_bytes(0x5a, 700);
            wiping.dealloc(place, Layout::from_size_align(700, 8).expect("a layout"));
            grown
        };
        assert_eq!(grown, [0x5a; 300]);
        assert_eq!(wiping.allocator.0.take(), [vec![0; 300], vec![0; 700]]);
    }

    /// Who has nothing to hide does not pay for it.
    #[test]
    fn an_idle_one_leaves_what_was_there() {
        let idle = Wiping::idle(Keeping(Cell::default()));
        let layout = Layout::from_size_align(30, 8).expect("a layout");
        // SAFETY: written within its size and given back once.
        unsafe {
            let place = idle.alloc(layout);
            place.write_bytes(0x5a, 30);
            idle.dealloc(place, layout);
        }
        assert_eq!(idle.allocator.0.take(), [vec![0x5a; 30]]);
    }
}
