//! Into a ring of this CPU, or to a socket of this queue. How records lie in a ring: `earwitness_abi::ring`.

use core::arch::asm;

use aya_ebpf::bindings::xdp_action::XDP_REDIRECT;
use aya_ebpf::helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_ns};
use earwitness_abi::limits::FRAME_BYTES_MAX;
use earwitness_abi::record::{Class, FLAG_TRUNCATED, RecordHeader, ring_index};
use earwitness_abi::ring::{CHUNK_BYTES, Control, RECORD_ALIGN, next_position, record_bytes};
use earwitness_abi::{Counter, settings};
use earwitness_wire::{Bytes, Kind, Parsed, Verdict};

use crate::copy;
use crate::maps::{CHUNKS, CONTROLS, Counters, OUTPUT, SOCKETS, SOCKETS_PER_QUEUE};
use crate::packet::Packet;

/// Where in a chunk a record may begin.
const PLACE_MASK: u32 = (CHUNK_BYTES - 1) & !(RECORD_ALIGN - 1);

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
        let index = ring_index(cpu, self.class);
        let Some(control) = CONTROLS.get_ptr_mut(index) else { return Counter::RingMissing };
        let (length, flags) = match self.packet.length() {
            length @ ..=FRAME_BYTES_MAX => (length, 0),
            _ => {
                counters.add(Counter::Truncated, 1);
                (FRAME_BYTES_MAX, FLAG_TRUNCATED)
            }
        };
        if !take(control) {
            return self.full();
        }
        let end = self.write(control, length, flags);
        leave(control);
        end
    }

    /// Writes the record and shows it. The ring is taken.
    #[inline(always)]
    fn write(&self, control: *mut Control, length: u32, flags: u8) -> Counter {
        // SAFETY: a live map value, of which this program alone stores the producer's words.
        let head = unsafe { (&raw const (*control).producer.head).read_volatile() };
        let next = next_position(head, record_bytes(length));
        if !has_room(control, next) {
            return self.full();
        }
        let Some(chunk) = CHUNKS.get_ptr_mut(chunk_of(control, head)) else {
            return Counter::RingMissing;
        };
        let record = place(chunk.cast(), head);
        // SAFETY: `place` leaves room for the longest record, and nobody else sees this one before it is published.
        unsafe { record.cast::<RecordHeader>().write(self.header(length, flags)) };
        // SAFETY: as above.
        if !copy::frame(self.packet, unsafe { record.add(RecordHeader::BYTES) }, length) {
            return Counter::CopyFailed;
        }
        publish(control, next);
        self.taken()
    }

    #[inline(always)]
    fn full(&self) -> Counter {
        if self.class == Class::Media {
            Counter::MediaRingFull
        } else {
            Counter::SignallingRingFull
        }
    }

    #[inline(always)]
    fn header(&self, length: u32, flags: u8) -> RecordHeader {
        RecordHeader {
            // SAFETY: reads a clock.
            ts_ns: unsafe { bpf_ktime_get_ns() },
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

/// Takes the ring; false if another program of this CPU has it, which this one has interrupted. Whoever interrupts between
/// the two is done when this one goes on, and what the ring holds is read after that.
#[inline(always)]
fn take(control: *mut Control) -> bool {
    // SAFETY: a live map value, of which programs of this CPU alone store the producer's words.
    unsafe {
        let busy = &raw mut (*control).producer.busy;
        if busy.read_volatile() != 0 {
            return false;
        }
        busy.write_volatile(1);
    }
    true
}

/// Gives it back; what was written is published.
#[inline(always)]
fn leave(control: *mut Control) {
    // SAFETY: as in `take`.
    unsafe { (&raw mut (*control).producer.busy).write_volatile(0) };
}

/// Whether a record that ends at `next` finds room.
#[inline(always)]
fn has_room(control: *mut Control, next: u64) -> bool {
    // SAFETY: as in `take`; the consumer's word is only loaded. No store goes before that load: what is written from here on
    // depends on it.
    unsafe {
        let bytes = (&raw const (*control).size.bytes).read();
        let seen = &raw mut (*control).producer.tail_seen;
        if next - seen.read() > bytes {
            seen.write((&raw const (*control).consumer.tail).read_volatile());
        }
        next - seen.read() <= bytes
    }
}

/// The chunk of a position, among those of all rings.
#[inline(always)]
fn chunk_of(control: *const Control, position: u64) -> u32 {
    // SAFETY: a live map value; user space has stored this before.
    let (bytes, first) = unsafe {
        ((&raw const (*control).size.bytes).read(), (&raw const (*control).size.first_chunk).read())
    };
    (first + (position & bytes.wrapping_sub(1)) / u64::from(CHUNK_BYTES)) as u32
}

/// Where the record of a position begins in its chunk.
#[inline(always)]
fn place(chunk: *mut u8, position: u64) -> *mut u8 {
    let mut place = position;
    // In assembly, so that the verifier sees the mask whatever the compiler knows.
    // SAFETY: arithmetic: a chunk has room for the longest record behind its last place.
    unsafe {
        asm!("{place} &= {mask}", place = inout(reg) place, mask = const PLACE_MASK,
            options(nostack, pure, nomem));
        chunk.add(place as usize)
    }
}

/// Shows the consumer everything before `head`. x86 keeps stores in their order: a store is enough, and does not wait until
/// those before it, of lines that another core had, have reached the cache.
#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
fn publish(control: *mut Control, head: u64) {
    // SAFETY: stores one word of a live map value, which only this program stores. The compiler takes it for a store to any
    // memory, and moves none behind it.
    unsafe {
        asm!(
            "*(u64 *)({place} + 0) = {head}",
            place = in(reg) &raw mut (*control).producer.head,
            head = in(reg) head,
            options(nostack)
        );
    }
}

/// As above. An exchange, because the kernel's compiler for each processor orders it behind the stores before; the
/// assembler knows it only for later targets than this program is built for.
#[cfg(not(bpf_target_arch = "x86_64"))]
#[inline(always)]
fn publish(control: *mut Control, head: u64) {
    // SAFETY: stores one word of a live map value, which only this program stores.
    // `r2 = xchg_64(r1 + 0, r2)`: class STX | ATOMIC | DW, registers, offset 0, BPF_XCHG.
    unsafe {
        asm!(
            ".8byte {instruction}",
            instruction = const 0x0000_00e1_0000_21db_u64,
            in("r1") &raw mut (*control).producer.head,
            inout("r2") head => _,
            options(nostack)
        );
    }
}
