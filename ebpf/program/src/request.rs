//! An HTTP request, copied out of its frame and read by a sub-program: frames without one do not pay for it.

use core::arch::asm;
use core::ffi::c_void;

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::btf_maps::PerCpuArray;
use aya_ebpf::helpers::generated::{bpf_loop, bpf_xdp_load_bytes};
use aya_ebpf::macros::btf_map;
use earwitness_wire::limits::REQUEST_BYTES_MAX;
use earwitness_wire::{Bytes, Walk, upgrade};

use crate::maps::{forget, zero};
use crate::packet::{four_words, load};

/// More than are filled: as many may be read at the last offset that the mask lets through.
const BUFFER_BYTES: usize = REQUEST_BYTES_MAX as usize + 32;
const OFFSET_MASK: u32 = REQUEST_BYTES_MAX - 1;

/// The request of this CPU.
#[btf_map]
static REQUEST: PerCpuArray<[u8; BUFFER_BYTES], 1> = PerCpuArray::new();

/// Whether the request of `length` bytes at `at` may ask for SIP over WebSocket.
///
/// By itself, so that its loop is verified with what it is given here, and not with all that the parser knows.
#[inline(never)]
pub(crate) fn may_offer_sip(ctx: *mut xdp_md, at: u32, length: u32) -> bool {
    let Some(buffer) = REQUEST.get_ptr_mut(0) else { return false };
    let zero = zero();
    let copied = forget(length, zero).clamp(1, REQUEST_BYTES_MAX);
    // SAFETY: the buffer is a live map value of this CPU alone, longer than `copied`; the kernel checks the packet.
    let result = unsafe { bpf_xdp_load_bytes(ctx, at, buffer.cast(), copied) };
    if result != 0 {
        return false;
    }
    let request = Request { buffer: buffer as usize, length: copied, zero };
    upgrade::may_offer_sip(&request, 0, length)
}

/// What was copied.
#[derive(Clone, Copy)]
struct Request {
    buffer: usize,
    length: u32,
    /// For `forget`.
    zero: u64,
}

/// What the kernel's loop hands to each time round.
#[repr(C)]
struct Round<W> {
    request: Request,
    walk: W,
}

/// One time round; 1 ends the loop.
unsafe extern "C" fn round<W: Walk>(_number: u64, round: *mut Round<W>) -> i64 {
    // SAFETY: the kernel hands back the pointer that `walk` gave it, to a value that outlives the loop.
    let round = unsafe { &mut *round };
    i64::from(round.walk.step(&round.request).is_break())
}

impl Request {
    /// Where `length` bytes at an offset are; none beyond the end.
    #[inline(always)]
    fn place(&self, at: u32, length: u32) -> Option<usize> {
        if at > REQUEST_BYTES_MAX || at + length > self.length {
            return None;
        }
        let start: usize;
        // In assembly, so that the verifier sees the mask whatever the compiler knows.
        // SAFETY: arithmetic.
        unsafe {
            asm!(
                "{start} &= {mask}",
                "{start} += {buffer}",
                start = inout(reg) u64::from(at) => start,
                buffer = in(reg) self.buffer,
                mask = const OFFSET_MASK,
                options(nostack, pure, nomem)
            );
        }
        Some(start)
    }
}

impl Bytes for Request {
    #[inline(always)]
    fn length(&self) -> u32 {
        self.length
    }

    #[inline(always)]
    fn u8_at(&self, at: u32) -> Option<u8> {
        Some(load!(self.place(at, 1)?, "u8") as u8)
    }

    #[inline(always)]
    fn u16_at(&self, at: u32) -> Option<u16> {
        Some(u16::from_be(load!(self.place(at, 2)?, "u16") as u16))
    }

    #[inline(always)]
    fn u32_at(&self, at: u32) -> Option<u32> {
        Some(u32::from_be(load!(self.place(at, 4)?, "u32") as u32))
    }

    #[inline(always)]
    fn u64_at(&self, at: u32) -> Option<u64> {
        Some(u64::from_be(load!(self.place(at, 8)?, "u64")))
    }

    #[inline(always)]
    fn four_words_at(&self, at: u32) -> Option<[u64; 4]> {
        Some(four_words!(self.place(at, 32)?))
    }

    #[inline(always)]
    fn forget(&self, value: u32) -> u32 {
        forget(value, self.zero)
    }

    /// A loop of the kernel's: it verifies the step, and not each of so many of them.
    #[inline(always)]
    fn walk<W: Walk>(&self, walk: W, steps_max: u32) -> W {
        let mut state = Round { request: *self, walk };
        let step: unsafe extern "C" fn(u64, *mut Round<W>) -> i64 = round::<W>;
        // SAFETY: `state` is what `round` expects, and outlives the loop.
        unsafe {
            bpf_loop(steps_max, step as *mut c_void, (&raw mut state).cast(), 0);
        }
        state.walk
    }
}
