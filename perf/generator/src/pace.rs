//! Whether the next packet is due.
//!
//! A frame that is not yet due is dropped and comes again at once: pacing by the packet, without a system call and
//! without making the frames anew, as each `BPF_PROG_TEST_RUN` does.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use earwitness_generator_abi::{BURST_NS, state};

use crate::maps::State;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// The clock is read once for all packets that it allows.
#[inline(always)]
pub(crate) fn is_due(state: State) -> bool {
    let rate = state.get_word(state::RATE);
    if rate == 0 || state.get_word(state::SENT) < state.get_word(state::PACE_DUE) {
        return true;
    }
    allow(state, rate)
}

#[inline(always)]
fn allow(state: State, rate: u64) -> bool {
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_ns() };
    let sent = state.get_word(state::SENT);
    let start = state.get_word(state::PACE_START_NS);
    if start == 0 {
        state.set(state::PACE_START_NS, now);
        state.set(state::PACE_FIRST_NS, now);
        state.set(state::PACE_BASE, sent);
        state.set(state::PACE_DUE, sent + 1);
        return true;
    }
    // A run is shorter than 1,000 s at 10 million packets a second: the product fits.
    let due = state.get_word(state::PACE_BASE) + (now - start) * rate / NS_PER_SECOND;
    if due <= sent {
        return false;
    }
    state.set(state::PACE_LAST_NS, now);
    let burst = rate * BURST_NS / NS_PER_SECOND + 1;
    if due - sent > burst {
        state.add(state::PACE_LATE, 1);
        state.set(state::PACE_START_NS, now);
        state.set(state::PACE_BASE, sent);
        state.set(state::PACE_DUE, sent + burst);
        return true;
    }
    state.set(state::PACE_DUE, due);
    true
}
