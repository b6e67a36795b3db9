//! The XDP program: finds the flow of each frame, and drops, copies, redirects or passes it.
//!
//! What a frame is, and where it goes, is decided by `earwitness-wire`, which user space runs as well; here is only
//! what needs the kernel.
//!
//! - [`packet`]: bytes of a frame, with the checks that the verifier wants.
//! - [`maps`]: the maps and settings.
//! - [`tables`]: what steering asks of the maps.
//! - [`request`]: an HTTP request, which may ask for SIP over WebSocket.
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

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use earwitness_abi::record::Class;
use earwitness_abi::{Counter, settings};
use earwitness_wire::{Bytes, LinkType, Steer, Verdict, decide_bytes, parse_bytes};

use crate::maps::{Counters, UNMATCHED};
use crate::output::Frame;
use crate::packet::Packet;
use crate::tables::{MapTables, Settings};

/// Aborts only if an array lacks its first element, which cannot be.
///
/// `frags`: a frame may lie in several buffers, or no jumbo MTU would be allowed.
#[xdp(frags)]
fn earwitness(ctx: XdpContext) -> u32 {
    let Some(tables) = MapTables::get() else { return XDP_ABORTED };
    let Some(counters) = Counters::get() else { return XDP_ABORTED };
    let packet = Packet::new(&ctx);
    counters.add(Counter::Received, 1);
    counters.add(Counter::ReceivedBytes, u64::from(packet.length()));
    let action = if UNMATCHED.load() == settings::UNMATCHED_PASS { XDP_PASS } else { XDP_DROP };
    let parsed = match parse_bytes(&packet, LinkType::Ethernet, &Settings) {
        Ok(parsed) => parsed,
        Err(reject) => {
            counters.reject(reject);
            return action;
        }
    };
    let decision = decide_bytes(&parsed, &packet, u32::from(parsed.payload), &tables);
    if decision.learn && tables.learn(&parsed) {
        counters.add(Counter::Learned, 1);
    }
    let (class, verdict) = match decision.steer {
        Steer::Signalling => (Class::Signalling, Verdict::Undecided),
        Steer::Fragment => (Class::Fragment, Verdict::Undecided),
        Steer::Media(verdict) => (Class::Media, verdict),
        Steer::Ignored => {
            counters.add(Counter::Ignored, 1);
            return action;
        }
        Steer::Unmatched => {
            counters.add(Counter::Unmatched, 1);
            return action;
        }
    };
    let frame = Frame { packet: &packet, parsed: &parsed, class, verdict, kind: decision.kind };
    frame.put(counters, action)
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
