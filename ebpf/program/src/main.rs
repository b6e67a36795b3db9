//! The XDP program: finds the flow of each frame, and drops, copies, redirects or passes it.
//!
//! What a frame is, and where it goes, is decided by `earwitness-wire`, which user space runs as well; here is only
//! what needs the kernel.
//!
//! - [`packet`]: bytes of a frame, with the checks that the verifier wants.
//! - [`maps`]: the maps and settings.
//! - [`tables`]: what steering asks of the maps.
//! - [`request`]: an HTTP request, which may ask for SIP over WebSocket.
//! - [`walk`]: over headers, whatever they are.
//! - [`output`]: into a ring or to a socket. [`copy`]: the bytes of a frame.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod copy;
mod maps;
mod output;
mod packet;
mod request;
mod tables;
mod walk;

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use earwitness_abi::record::Class;
use earwitness_abi::{Counter, settings};
use earwitness_wire::{Bytes, Parsed, Steer, Verdict, decide_bytes, parse_plain};

use crate::maps::{Counters, UNMATCHED};
use crate::output::Frame;
use crate::packet::Packet;
use crate::tables::{MapTables, Settings};

/// Aborts only if an array lacks its first element, which cannot be.
///
/// `frags`: a frame may lie in several buffers, or no jumbo MTU would be allowed.
#[xdp(frags)]
#[inline(always)]
fn earwitness(ctx: XdpContext) -> u32 {
    let Some(tables) = MapTables::get() else { return XDP_ABORTED };
    let Some(counters) = Counters::get() else { return XDP_ABORTED };
    let packet = Packet::new(ctx.ctx);
    let judge = Judge { tables, counters };
    match parse_plain(&packet, &Settings) {
        Some(parsed) => judge.frame(&packet, &parsed),
        None => judge.walk(&packet.whole()),
    }
}

/// What the program has at hand for each frame.
struct Judge {
    tables: MapTables,
    counters: Counters,
}

impl Judge {
    /// A frame of any headers.
    #[inline(always)]
    fn walk(&self, packet: &Packet) -> u32 {
        match walk::parse(packet) {
            Ok(parsed) => self.frame(packet, &parsed),
            Err(reject) => {
                self.count(packet);
                self.counters.reject(reject);
                unmatched()
            }
        }
    }

    /// A frame whose flow is known.
    #[inline(always)]
    fn frame(&self, packet: &Packet, parsed: &Parsed) -> u32 {
        self.count(packet);
        let decision = decide_bytes(parsed, packet, u32::from(parsed.payload), &self.tables);
        if decision.learn && self.tables.learn(parsed) {
            self.counters.add(Counter::Learned, 1);
        }
        let (class, verdict) = match decision.steer {
            Steer::Signalling => (Class::Signalling, Verdict::Undecided),
            Steer::Fragment => (Class::Fragment, Verdict::Undecided),
            Steer::Media(verdict) => (Class::Media, verdict),
            Steer::Ignored => {
                self.counters.add(Counter::Ignored, 1);
                return unmatched();
            }
            Steer::Unmatched => {
                self.counters.add(Counter::Unmatched, 1);
                return unmatched();
            }
        };
        Frame { packet, parsed, class, verdict, kind: decision.kind }
            .put(self.counters, unmatched())
    }

    #[inline(always)]
    fn count(&self, packet: &Packet) {
        self.counters.add(Counter::Received, 1);
        self.counters.add(Counter::ReceivedBytes, u64::from(packet.length()));
    }
}

/// What becomes of a frame that nobody wants, and of one that was copied.
#[inline(always)]
fn unmatched() -> u32 {
    if UNMATCHED.load() == settings::UNMATCHED_PASS { XDP_PASS } else { XDP_DROP }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing here can panic: were there a call to this, the verifier would refuse the endless loop.
    loop {}
}

/// Helpers that programs of another licence may not call are called here.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
