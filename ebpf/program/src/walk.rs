//! The walk over headers, each step of it a program that the verifier looks at by itself (a global function): once, whatever came
//! before, and not once for each of so many steps.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::xdp_md;
use earwitness_wire::limits::HEADERS_MAX;
use earwitness_wire::{Parsed, Reject, Way};

use crate::packet::Packet;
use crate::tables::Settings;

const WORDS: usize = size_of::<Way>() / size_of::<u64>();
const _: () =
    assert!(size_of::<Way>() == WORDS * size_of::<u64>() && align_of::<Way>() <= align_of::<u64>());

/// A [`Way`], of which the kernel need only know how long it is.
#[repr(C)]
pub(crate) struct Place([u64; WORDS]);

/// The innermost flow of a frame.
#[inline(always)]
pub(crate) fn parse(packet: &Packet) -> Result<Parsed, Reject> {
    let mut place = MaybeUninit::<Place>::uninit();
    let place = place.as_mut_ptr();
    for at in 0..WORDS {
        // SAFETY: within the place. Kernels before 6.3 want every byte written that the other program may read. Each word by itself: all
        // at once is a call, and a loop over bytes.
        unsafe { place.cast::<u64>().add(at).write_volatile(0) };
    }
    let way = place.cast::<Way>();
    // SAFETY: as long as a way, and aligned as one.
    unsafe { way.write(Way::new(packet)) };
    for _ in 0..HEADERS_MAX {
        if parse_step(packet.ctx(), place) != 0 {
            break;
        }
    }
    // SAFETY: `parse_step` leaves a way there.
    unsafe { (*way).end() }
}

/// One step; not 0 if it was the last.
#[inline(never)]
#[unsafe(no_mangle)]
pub(crate) extern "C" fn parse_step(ctx: *mut xdp_md, place: *mut Place) -> u32 {
    if place.is_null() {
        return 1;
    }
    // SAFETY: `parse` has put a way there.
    let way = unsafe { &mut *place.cast::<Way>() };
    u32::from(way.step(&Packet::new(ctx), &Settings).is_break())
}
