//! Into a ring of this CPU, or to a socket of this queue.

use aya_ebpf::bindings::{BPF_RB_NO_WAKEUP, xdp_action::XDP_REDIRECT};
use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_ktime_get_tai_ns, bpf_xdp_load_bytes,
};
use earwitness_abi::limits::{
    FRAME_BYTES_JUMBO, FRAME_BYTES_MAX, FRAME_BYTES_MTU, FRAME_BYTES_SMALL, FRAME_BYTES_TUNNEL,
};
use earwitness_abi::record::{Class, FLAG_TRUNCATED, RecordHeader, ring_index};
use earwitness_abi::{Counter, settings};
use earwitness_wire::{Bytes, Kind, Parsed, Verdict};

use crate::maps::{Counters, OUTPUT, RINGS, Ring, SOCKETS, SOCKETS_PER_QUEUE};
use crate::packet::Packet;

/// Nobody sleeps on a ring: a wake-up costs more than the copy.
const NO_WAKEUP: u64 = BPF_RB_NO_WAKEUP as u64;

/// A record of one size, as it lies in a ring.
#[repr(C)]
struct Record<const FRAME_BYTES: usize> {
    header: RecordHeader,
    frame: [u8; FRAME_BYTES],
}

/// A frame that somebody wants.
pub(crate) struct Frame<'a> {
    pub(crate) packet: &'a Packet,
    pub(crate) parsed: &'a Parsed,
    pub(crate) class: Class,
    pub(crate) verdict: Verdict,
    pub(crate) kind: Kind,
}

impl Frame<'_> {
    /// Hands the frame over, counts its exit, and gives the action.
    #[inline(always)]
    pub(crate) fn put(&self, counters: Counters, action: u32) -> u32 {
        if OUTPUT.load() == settings::OUTPUT_SOCKET {
            return self.redirect(counters, action);
        }
        counters.add(self.copy(counters), 1);
        action
    }

    /// The exit of a frame that was taken.
    #[inline(always)]
    fn taken(&self) -> Counter {
        match self.class {
            Class::Signalling => Counter::Signalling,
            Class::Fragment => Counter::Fragment,
            Class::Media => Counter::Media,
        }
    }

    /// Several sockets share a queue where one core cannot keep up; a flow stays with one of them.
    #[inline(always)]
    fn redirect(&self, counters: Counters, action: u32) -> u32 {
        let sockets = SOCKETS_PER_QUEUE.load().max(1);
        let slot = self.packet.queue() * sockets + self.parsed.flow_hash() % sockets;
        match SOCKETS.redirect(slot, u64::from(action)) {
            Ok(_) => {
                counters.add(self.taken(), 1);
                XDP_REDIRECT
            }
            Err(action) => {
                counters.add(Counter::SocketMissing, 1);
                action
            }
        }
    }

    #[inline(always)]
    fn copy(&self, counters: Counters) -> Counter {
        // SAFETY: reads the number of the CPU.
        let cpu = unsafe { bpf_get_smp_processor_id() } as u32;
        let Some(ring) = RINGS.get(ring_index(cpu, self.class)) else {
            return Counter::RingMissing;
        };
        let length = self.packet.length();
        if length <= FRAME_BYTES_SMALL {
            self.copy_as::<{ FRAME_BYTES_SMALL as usize }>(ring, length, 0)
        } else if length <= FRAME_BYTES_TUNNEL {
            self.copy_as::<{ FRAME_BYTES_TUNNEL as usize }>(ring, length, 0)
        } else if length <= FRAME_BYTES_MTU {
            self.copy_as::<{ FRAME_BYTES_MTU as usize }>(ring, length, 0)
        } else if length <= FRAME_BYTES_MAX {
            self.copy_as::<{ FRAME_BYTES_JUMBO as usize }>(ring, length, 0)
        } else {
            counters.add(Counter::Truncated, 1);
            self.copy_as::<{ FRAME_BYTES_JUMBO as usize }>(ring, FRAME_BYTES_MAX, FLAG_TRUNCATED)
        }
    }

    #[inline(always)]
    fn copy_as<const FRAME_BYTES: usize>(&self, ring: &Ring, length: u32, flags: u8) -> Counter {
        let Some(mut record) = ring.reserve_untyped::<Record<FRAME_BYTES>>(0) else {
            return if self.class == Class::Media {
                Counter::MediaRingFull
            } else {
                Counter::SignallingRingFull
            };
        };
        let place = record.as_mut_ptr();
        // SAFETY: `place` is a whole record that nobody else sees before it is submitted.
        unsafe { (&raw mut (*place).header).write(self.header(length, flags)) };
        // Said again for the verifier, which has lost what the compiler knows.
        let length = self.packet.forget(length).clamp(1, FRAME_BYTES as u32);
        // SAFETY: `frame` has FRAME_BYTES bytes, which `length` does not exceed; the kernel checks the packet.
        let copied = unsafe {
            bpf_xdp_load_bytes(self.packet.ctx(), 0, (&raw mut (*place).frame).cast(), length)
        };
        if copied != 0 {
            record.discard(NO_WAKEUP);
            return Counter::CopyFailed;
        }
        record.submit(NO_WAKEUP);
        self.taken()
    }

    #[inline(always)]
    fn header(&self, length: u32, flags: u8) -> RecordHeader {
        RecordHeader {
            // SAFETY: reads a clock.
            ts_ns: unsafe { bpf_ktime_get_tai_ns() },
            wire_len: self.packet.length(),
            cap_len: length,
            interface: self.packet.interface(),
            flow_hash: self.parsed.flow_hash(),
            queue: self.packet.queue() as u16,
            l3: self.parsed.l3,
            payload: self.parsed.payload,
            payload_len: self.parsed.payload_len,
            src_port: self.parsed.src.port,
            dst_port: self.parsed.dst.port,
            class: self.class as u8,
            verdict: self.verdict as u8,
            kind: self.kind as u8,
            flags,
        }
    }
}
