//! The load generator, and the smallest receivers it is compared with, as XDP programs.
//!
//! [`generate`] makes the next packet of many running calls in the frame that `BPF_PROG_TEST_RUN` gives it, and
//! redirects it to a device. Frames are used again as the receiver left them: every byte that varies is written.
//!
//! - [`media`]: the packet that nearly all are.
//! - [`rare`]: signalling, RTCP and what is to be ignored, made of templates.
//! - [`pace`]: whether the next packet is due.
//! - [`maps`]: state, templates, devices.

#![no_std]
#![no_main]

mod maps;
mod media;
mod pace;
mod rare;

use aya_ebpf::bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS};
use aya_ebpf::macros::xdp;
use aya_ebpf::programs::XdpContext;
use earwitness_generator_abi::{Kind, state};

use crate::maps::{SOCKETS, State, TARGET};

/// Drops the frame where no packet is to be sent: it is over, or not yet time, or the slot is between two calls.
#[xdp]
fn generate(ctx: XdpContext) -> u32 {
    let Some(state) = State::get() else { return XDP_ABORTED };
    if state.get_word(state::SENT) >= state.get_word(state::LIMIT) || !pace::is_due(state) {
        return XDP_DROP;
    }
    let Some((kind, length)) = write(&ctx, state) else { return XDP_DROP };
    state.add(state::SENT, 1);
    state.add(state::SENT_BYTES, length);
    state.add(state::SENT_BY_KIND + kind as usize, 1);
    TARGET.redirect(0, u64::from(XDP_PASS)).unwrap_or_else(|action| action)
}

/// The next packet; none if the slot is silent.
#[inline(always)]
fn write(ctx: &XdpContext, state: State) -> Option<(Kind, u64)> {
    if state.get_word(state::PROLOGUE_SENT) < state.get_word(state::PROLOGUE) {
        return Some((Kind::Sip, rare::set_up(ctx, state)?));
    }
    if state.comes_up(state::SIP_EVERY, state::SIP_LEFT) {
        return Some((Kind::Sip, rare::signalling(ctx, state)?));
    }
    if state.comes_up(state::RTCP_EVERY, state::RTCP_LEFT) {
        return Some((Kind::Rtcp, rare::rtcp(ctx, state)?));
    }
    if state.comes_up(state::BACKGROUND_EVERY, state::BACKGROUND_LEFT) {
        return Some((Kind::Background, rare::background(ctx, state)?));
    }
    Some((Kind::Media, media::write(ctx, state)?))
}

/// What receiving costs at least: the frame is gone before anybody looks at it.
#[xdp]
fn sink_drop(_ctx: XdpContext) -> u32 {
    XDP_DROP
}

/// Everything to the AF_XDP socket of the queue.
#[xdp]
fn sink_socket(ctx: XdpContext) -> u32 {
    // SAFETY: the context is the one the kernel gave us.
    let queue = unsafe { (*ctx.ctx).rx_queue_index };
    SOCKETS.redirect(queue, u64::from(XDP_DROP)).unwrap_or_else(|action| action)
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
