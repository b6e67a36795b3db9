//! Memory that is wiped when it is given back. What passes the door may be media that is kept from every disk (CAP-9): on its
//! way it lies in buffers of many kinds for a moment, whose pages the kernel may write to swap at any later time. Both
//! processes allocate by this, so that nothing of it is left in what is free.
#![expect(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;

/// Another allocator, whose memory is zeroed before it has it back. What moves because it grows is wiped where it was.
#[derive(Debug)]
pub struct Wiping<A>(pub A);

// SAFETY: all is the other allocator's but `dealloc`, which writes only to what its caller gives back, and `realloc`, which
// is the trait's own: allocate, copy, give back.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Wiping<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's memory, of this size, which nobody else uses any more. That it is looked at afterwards must
        // be believed, or the compiler leaves out what nobody reads.
        unsafe {
            place.write_bytes(0, layout.size());
            self.0.dealloc(black_box(place), layout);
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
        let wiping = Wiping(Keeping(Cell::default()));
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
        assert_eq!(wiping.0.0.take(), [vec![0; 300], vec![0; 700]]);
    }
}
