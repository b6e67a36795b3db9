//! Bytes of a frame, with the checks that the verifier wants.

use core::arch::asm;

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::generated::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes};
use earwitness_wire::Bytes;
use earwitness_wire::limits::HEADER_BYTES_MAX;

use crate::maps::{forget, zero};
use crate::request;

/// No header begins beyond `HEADER_BYTES_MAX`, and no look at a payload reaches further than this behind it.
const REACH_BYTES: u32 = 512;
/// The verifier must see that an offset is small: a mask says so where no branch does.
const OFFSET_MASK: u32 = 0x7ff;
const _: () = assert!(HEADER_BYTES_MAX + REACH_BYTES <= OFFSET_MASK);

#[cfg(not(target_endian = "little"))]
compile_error!(
    "numbers of one to eight bytes are kept in the low bytes of a register: little-endian only"
);

/// Loads a number of any alignment in one instruction. The target's own feature for that would misalign the stack as
/// well, which the verifier refuses. The address was checked by whoever made it.
macro_rules! load {
    ($start:expr, $width:literal) => {
        load!($start, $width, 0)
    };
    ($start:expr, $width:literal, $behind:literal) => {{
        let value: u64;
        // SAFETY: `Packet::direct` has compared the address with the end of the packet, `Request::place` with that
        // of its buffer.
        unsafe {
            asm!(
                concat!("{value} = *(", $width, " *)({start} + ", $behind, ")"),
                value = out(reg) value,
                start = in(reg) $start,
                options(nostack, readonly, preserves_flags)
            );
        }
        value
    }};
}
pub(crate) use load;

/// Four words, one behind the other, in the order of the network.
macro_rules! four_words {
    ($start:expr) => {{
        let start = $start;
        [
            load!(start, "u64", 0),
            load!(start, "u64", 8),
            load!(start, "u64", 16),
            load!(start, "u64", 24),
        ]
        .map(u64::from_be)
    }};
}
pub(crate) use four_words;

pub(crate) struct Packet {
    ctx: *mut xdp_md,
    data: usize,
    end: usize,
    length: u32,
    /// For `forget`.
    zero: u64,
}

impl Packet {
    /// The frame, as far as the first buffer has it.
    #[inline(always)]
    pub(crate) fn new(ctx: *mut xdp_md) -> Self {
        // SAFETY: the context is the one the kernel gave us.
        let (data, end) = unsafe { ((*ctx).data as usize, (*ctx).data_end as usize) };
        Self { ctx, data, end, length: (end - data) as u32, zero: zero() }
    }

    /// With what lies in other buffers. A frame that ends with its IPv4 datagram, right behind the Ethernet header, has none: the
    /// kernel need not be asked.
    #[inline(always)]
    pub(crate) fn whole(mut self) -> Self {
        if !self.is_one_datagram() {
            // SAFETY: the context is the one the kernel gave us.
            self.length = unsafe { bpf_xdp_get_buff_len(self.ctx) } as u32;
        }
        self
    }

    #[inline(always)]
    fn is_one_datagram(&self) -> bool {
        let Some(start) = self.direct(12, 6) else { return false };
        let ether_type = u16::from_be(load!(start, "u16") as u16);
        let total = u16::from_be(load!(start, "u16", 4) as u16);
        ether_type == 0x0800 && u32::from(total) + 14 == self.length
    }

    #[inline(always)]
    pub(crate) fn ctx(&self) -> *mut xdp_md {
        self.ctx
    }

    /// The receive queue.
    #[inline(always)]
    pub(crate) fn queue(&self) -> u32 {
        // SAFETY: the context is the one the kernel gave us.
        unsafe { (*self.ctx).rx_queue_index }
    }

    /// The index of the interface.
    #[inline(always)]
    pub(crate) fn interface(&self) -> u32 {
        // SAFETY: the context is the one the kernel gave us.
        unsafe { (*self.ctx).ingress_ifindex }
    }

    /// Where `length` bytes at an offset can be read directly: in the first buffer.
    #[inline(always)]
    pub(crate) fn direct(&self, at: u32, length: usize) -> Option<usize> {
        let start: usize;
        // In assembly, so that what is compared with the end is this very pointer, and not another that the compiler
        // finds equal.
        // SAFETY: arithmetic.
        unsafe {
            asm!(
                "{start} &= {mask}",
                "{start} += {data}",
                start = inout(reg) u64::from(at) => start,
                data = in(reg) self.data,
                mask = const OFFSET_MASK,
                options(nostack, pure, nomem)
            );
        }
        if start + length <= self.end { Some(start) } else { None }
    }

    /// Reads what the first buffer does not hold.
    #[inline(always)]
    fn indirect(&self, at: u32, length: usize) -> Option<u64> {
        let mut value = 0_u64;
        // SAFETY: `value` has room for `length`, which is at most eight; the kernel checks the offset.
        let result = unsafe {
            bpf_xdp_load_bytes(self.ctx, at & OFFSET_MASK, (&raw mut value).cast(), length as u32)
        };
        if result == 0 { Some(value) } else { None }
    }
}

impl Bytes for Packet {
    #[inline(always)]
    fn length(&self) -> u32 {
        self.length
    }

    #[inline(always)]
    fn u8_at(&self, at: u32) -> Option<u8> {
        match self.direct(at, 1) {
            Some(start) => Some(load!(start, "u8") as u8),
            None => Some(self.indirect(at, 1)? as u8),
        }
    }

    #[inline(always)]
    fn u16_at(&self, at: u32) -> Option<u16> {
        match self.direct(at, 2) {
            Some(start) => Some(u16::from_be(load!(start, "u16") as u16)),
            None => Some(u16::from_be(self.indirect(at, 2)? as u16)),
        }
    }

    #[inline(always)]
    fn u32_at(&self, at: u32) -> Option<u32> {
        match self.direct(at, 4) {
            Some(start) => Some(u32::from_be(load!(start, "u32") as u32)),
            None => Some(u32::from_be(self.indirect(at, 4)? as u32)),
        }
    }

    #[inline(always)]
    fn u64_at(&self, at: u32) -> Option<u64> {
        match self.direct(at, 8) {
            Some(start) => Some(u64::from_be(load!(start, "u64"))),
            None => Some(u64::from_be(self.indirect(at, 8)?)),
        }
    }

    /// The walk reads what lies in several buffers.
    #[inline(always)]
    fn four_words_at(&self, at: u32) -> Option<[u64; 4]> {
        Some(four_words!(self.direct(at, 32)?))
    }

    #[inline(always)]
    fn forget(&self, value: u32) -> u32 {
        forget(value, self.zero)
    }

    #[inline(always)]
    fn may_offer_sip(&self, at: u32, length: u32) -> bool {
        request::may_offer_sip(self.ctx, at, length)
    }
}
