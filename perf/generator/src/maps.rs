//! The maps. Names are those of `earwitness_generator_abi::names`; user space sizes CALLS.

use aya_ebpf::btf_maps::{Array, DevMap, XskMap};
use aya_ebpf::macros::btf_map;
use earwitness_generator_abi::{Template, state, template};

#[btf_map]
static STATE: Array<[u64; state::WORDS], 1> = Array::new();

#[btf_map]
pub(crate) static TEMPLATES: Array<Template, { template::COUNT as usize }> = Array::new();

/// The call that speaks at each slot.
#[btf_map]
pub(crate) static CALLS: Array<u32, 1> = Array::new();

#[btf_map]
pub(crate) static TARGET: DevMap<1> = DevMap::new();

#[btf_map]
pub(crate) static SOCKETS: XskMap<64> = XskMap::new();

/// The state. One generator runs at a time, on one CPU: nobody else writes it meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct State(*mut [u64; state::WORDS]);

impl State {
    #[inline(always)]
    pub(crate) fn get() -> Option<Self> {
        STATE.get_ptr_mut(0).map(Self)
    }

    /// Words are named by constants, so that no check of bounds is left.
    #[inline(always)]
    pub(crate) fn get_word(self, word: usize) -> u64 {
        // SAFETY: the map's only element, which lives as long as the program.
        unsafe { (*self.0)[word] }
    }

    #[inline(always)]
    pub(crate) fn set(self, word: usize, value: u64) {
        // SAFETY: as above.
        unsafe { (*self.0)[word] = value };
    }

    #[inline(always)]
    pub(crate) fn add(self, word: usize, value: u64) {
        self.set(word, self.get_word(word).wrapping_add(value));
    }

    /// Counts down to the next packet of a kind.
    #[inline(always)]
    pub(crate) fn comes_up(self, every: usize, left: usize) -> bool {
        let interval = self.get_word(every);
        if interval == 0 {
            return false;
        }
        let now = self.get_word(left);
        if now > 1 {
            self.set(left, now - 1);
            return false;
        }
        self.set(left, interval);
        true
    }
}
