//! Signalling, RTCP and what is to be ignored: templates, with the digits of their call written over them.

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::generated::{
    bpf_xdp_adjust_tail, bpf_xdp_get_buff_len, bpf_xdp_store_bytes,
};
use aya_ebpf::programs::XdpContext;
use earwitness_generator_abi::{
    NETWORKS, PATCHES_MAX, Patch, SILENT, TEMPLATE_BYTES, Template, place, slot_of_change, ssrc,
    state, template,
};

use crate::maps::{CALLS, State, TEMPLATES};
use crate::media::{checksum, networks};

/// Where RTCP's fields lie: from the IP checksum to the ports; the sender's report; the source of its name.
const ADDRESSES_AT: u32 = 24;
const REPORT_AT: u32 = 46;
const NAME_AT: u32 = 74;

/// One of the five messages that set a first call up.
#[inline(always)]
pub(crate) fn set_up(ctx: &XdpContext, state: State) -> Option<u64> {
    let sent = state.get_word(state::PROLOGUE_SENT);
    state.set(state::PROLOGUE_SENT, sent + 1);
    let call = sent / template::SET_UP_MESSAGES;
    let which = template::INVITE + (sent % template::SET_UP_MESSAGES) as u32;
    if which == template::INVITE_OK {
        speak(call, call as u32);
    }
    fill(ctx, which, call as u32, call)
}

/// The next message: the call of a slot ends, and another begins there.
#[inline(always)]
pub(crate) fn signalling(ctx: &XdpContext, state: State) -> Option<u64> {
    let number = state.get_word(state::SIP_NUMBER);
    state.set(state::SIP_NUMBER, number + 1);
    let (change, which) =
        (number / template::SIP_MESSAGES, (number % template::SIP_MESSAGES) as u32);
    let slots = state.get_word(state::SLOTS);
    if which == template::BYE {
        let slot = slot_of_change(change, slots);
        let call = *CALLS.get(slot as u32)? & !SILENT;
        speak(slot, call | SILENT);
        state.set(state::SIP_SLOT, slot);
        state.set(state::SIP_CALL, u64::from(call));
    }
    if which == template::INVITE {
        state.set(state::SIP_CALL, (slots + change) & u64::from(!SILENT));
    }
    let (slot, call) = (state.get_word(state::SIP_SLOT), state.get_word(state::SIP_CALL) as u32);
    if which == template::INVITE_OK {
        speak(slot, call);
    }
    fill(ctx, which, call, slot)
}

/// Who speaks at a slot from now on.
#[inline(always)]
fn speak(slot: u64, call: u32) {
    if let Some(entry) = CALLS.get_ptr_mut(slot as u32) {
        // SAFETY: an element of the map, which lives as long as the program; one generator runs at a time.
        unsafe { entry.write(call) };
    }
}

/// A report of the sender (RFC 3550, 6.4.1) and its name; each flow in turn.
#[inline(always)]
pub(crate) fn rtcp(ctx: &XdpContext, state: State) -> Option<u64> {
    let number = state.get_word(state::RTCP_NUMBER);
    state.set(state::RTCP_NUMBER, number + 1);
    let flow = number % (2 * state.get_word(state::SLOTS)).max(1);
    let (slot, direction) = (flow >> 1, flow & 1);
    let call = *CALLS.get(slot as u32)?;
    if call & SILENT != 0 {
        return None;
    }
    let length = put(ctx, template::RTCP)?.length;
    let (octet, port) = place(slot);
    let (from, to) = networks(direction);
    let [a, b, _] = NETWORKS[0];
    let [check_high, check_low] = checksum(length as u16 - 14, octet).to_be_bytes();
    let [high, low] = (port as u16 + 1).to_be_bytes();
    let octet = octet as u8;
    let addresses = [
        check_high, check_low, a, b, from as u8, octet, a, b, to as u8, octet, high, low, high, low,
    ];
    store(ctx.ctx, ADDRESSES_AT, &addresses)?;
    let source = ssrc(call, direction as u32).to_be_bytes();
    store(ctx.ctx, NAME_AT, &source)?;
    store(ctx.ctx, REPORT_AT, &source)?;
    let round = state.get_word(state::ROUND);
    // Time of day: 50 rounds a second. Then RTP time, packets, bytes.
    store(ctx.ctx, REPORT_AT + 4, &((round / 50) as u32).to_be_bytes())?;
    store(ctx.ctx, REPORT_AT + 12, &(round.wrapping_mul(160) as u32).to_be_bytes())?;
    store(ctx.ctx, REPORT_AT + 16, &(round as u32).to_be_bytes())?;
    store(ctx.ctx, REPORT_AT + 20, &(round.wrapping_mul(160) as u32).to_be_bytes())?;
    Some(u64::from(length))
}

/// What nobody wants: each of its templates in turn.
#[inline(always)]
pub(crate) fn background(ctx: &XdpContext, state: State) -> Option<u64> {
    let number = state.get_word(state::BACKGROUND_NUMBER);
    state.set(state::BACKGROUND_NUMBER, number + 1);
    let which = template::BACKGROUND + number as u32 % template::BACKGROUND_COUNT;
    Some(u64::from(put(ctx, which)?.length))
}

/// A message of a call.
#[inline(always)]
fn fill(ctx: &XdpContext, which: u32, call: u32, slot: u64) -> Option<u64> {
    let template = put(ctx, which)?;
    let (octet, port) = place(slot);
    let (call, octet, port) = (hexadecimal(call), decimal::<3>(octet), decimal::<5>(port));
    let count = template.patches as usize;
    for index in 0..PATCHES_MAX {
        if index >= count {
            break;
        }
        let patch = template.patch[index];
        let at = patch & 0xffff;
        match patch >> 16 {
            what if what == Patch::Call as u32 => store(ctx.ctx, at, &call)?,
            what if what == Patch::Octet as u32 => store(ctx.ctx, at, &octet)?,
            what if what == Patch::Port as u32 => store(ctx.ctx, at, &port)?,
            _ => return None,
        }
    }
    Some(u64::from(template.length))
}

/// The template, in a frame of its length.
#[inline(always)]
fn put(ctx: &XdpContext, which: u32) -> Option<&'static Template> {
    let template = TEMPLATES.get(which)?;
    // SAFETY: the context is the one the kernel gave us.
    let present = unsafe { bpf_xdp_get_buff_len(ctx.ctx) };
    let change = template.length as i32 - present as i32;
    // SAFETY: as above; no pointer into the packet is kept beyond.
    if unsafe { bpf_xdp_adjust_tail(ctx.ctx, change) } != 0 {
        return None;
    }
    let length = template.length as usize;
    if length == 0 || length > TEMPLATE_BYTES {
        return None;
    }
    let bytes = template.bytes.as_ptr().cast_mut().cast();
    // SAFETY: so many bytes are there; the kernel checks that the packet has them.
    let result = unsafe { bpf_xdp_store_bytes(ctx.ctx, 0, bytes, length as u32) };
    (result == 0).then_some(template)
}

#[inline(always)]
fn store<const N: usize>(ctx: *mut xdp_md, at: u32, bytes: &[u8; N]) -> Option<()> {
    // SAFETY: `N` bytes are there; the kernel checks that the packet has them.
    let result =
        unsafe { bpf_xdp_store_bytes(ctx, at, bytes.as_ptr().cast_mut().cast(), N as u32) };
    (result == 0).then_some(())
}

#[inline(always)]
fn hexadecimal(value: u32) -> [u8; 8] {
    core::array::from_fn(|at| {
        let digit = (value >> (28 - 4 * at) & 15) as u8;
        if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
    })
}

#[inline(always)]
fn decimal<const N: usize>(value: u64) -> [u8; N] {
    let mut digits = [0; N];
    let mut left = value;
    let mut at = N;
    while at > 0 {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    digits
}
