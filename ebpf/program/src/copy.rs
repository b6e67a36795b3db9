//! The bytes of a frame into a record.
//!
//! Most frames are twenty milliseconds of sound: 64 to 256 bytes. They are copied here, as many from the front as from the back,
//! which overlap: two comparisons with the packet's end, no loop, no call. To call the kernel takes several returns from
//! functions, each of which costs as much as a dozen words where the processor's speculation is fenced in.

use core::arch::asm;

use aya_ebpf::helpers::generated::bpf_xdp_load_bytes;
use earwitness_abi::limits::FRAME_BYTES_MAX;
use earwitness_wire::Bytes;

use crate::packet::Packet;

/// What is copied from the front and from the back.
const SMALL: u32 = 64;
const LARGE: u32 = 128;

/// Copies the first `length` bytes of the packet to `to`, where there is room for `FRAME_BYTES_MAX`; whether that worked.
#[inline(always)]
pub(crate) fn frame(packet: &Packet, to: *mut u8, length: u32) -> bool {
    if (LARGE..=2 * LARGE).contains(&length) && ends::<LARGE>(packet, to, length) {
        return true;
    }
    if (SMALL..=2 * SMALL).contains(&length) && ends::<SMALL>(packet, to, length) {
        return true;
    }
    // Said again for the verifier, which has lost what the compiler knows.
    let length = packet.forget(length).clamp(1, FRAME_BYTES_MAX);
    // SAFETY: `to` has room for the longest; the kernel checks the packet.
    unsafe { bpf_xdp_load_bytes(packet.ctx(), 0, to.cast(), length) == 0 }
}

/// The first `END` bytes, and the last. False if they do not lie in the first buffer.
#[inline(always)]
fn ends<const END: u32>(packet: &Packet, to: *mut u8, length: u32) -> bool {
    let Some(front) = packet.direct(0, END as usize) else { return false };
    let Some(back) = packet.direct(length - END, END as usize) else { return false };
    let behind: *mut u8;
    // In assembly, so that the verifier sees the bound of what is added.
    // SAFETY: arithmetic: not more than `END`, of which there is room twice.
    unsafe {
        asm!(
            "{place} &= {mask}",
            "{place} += {to}",
            place = inout(reg) u64::from(length - END) => behind,
            to = in(reg) to,
            mask = const 2 * LARGE - 1,
            options(nostack, pure, nomem)
        );
    }
    words::<END>(front, to);
    words::<END>(back, behind);
    true
}

/// Loads and stores a word of any alignment, each in one instruction.
macro_rules! word {
    ($at:literal) => {
        concat!("{word} = *(u64 *)({from} + ", $at, ")\n*(u64 *)({to} + ", $at, ") = {word}")
    };
}

macro_rules! copy {
    ($from:expr, $to:expr, $($at:literal)*) => {
        // SAFETY: `frame` has compared the one with the packet's end, and has room for the other.
        unsafe {
            asm!(
                $(word!($at),)*
                word = out(reg) _,
                from = in(reg) $from,
                to = in(reg) $to,
                options(nostack, preserves_flags)
            );
        }
    };
}

#[inline(always)]
fn words<const BYTES: u32>(from: usize, to: *mut u8) {
    copy!(from, to, 0 8 16 24 32 40 48 56);
    if BYTES == LARGE {
        copy!(from, to, 64 72 80 88 96 104 112 120);
    }
}

const _: () = assert!(SMALL == 64 && LARGE == 2 * SMALL);
