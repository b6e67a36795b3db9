//! The maps and settings. Names are those of `earwitness_abi::names`; sizes are defaults that the loader overrides.

use core::arch::asm;

use aya_ebpf::Global;
use aya_ebpf::bindings::BPF_F_MMAPABLE;
use aya_ebpf::btf_maps::{Array, LruHashMap, PerCpuArray, XskMap};
use aya_ebpf::macros::btf_map;
use earwitness_abi::limits::{
    RINGS_DEFAULT, SOCKETS_DEFAULT, TCP_CONNECTIONS_DEFAULT, VERDICTS_DEFAULT,
};
use earwitness_abi::ring::{Chunk, Control};
use earwitness_abi::settings;
use earwitness_abi::verdicts::{BucketV4, BucketV6, Table, buckets_for};
use earwitness_abi::{COUNTERS as COUNTER_COUNT, Connection, Counter, SipPorts, counter};
use earwitness_wire::Reject;
use earwitness_wire::limits::{VXLAN_PORT, VXLAN_PORTS_MAX};

/// Written by user space, in place.
#[btf_map]
pub(crate) static VERDICTS_V4: Array<
    BucketV4,
    { buckets_for(VERDICTS_DEFAULT) as usize },
    { BPF_F_MMAPABLE as usize },
> = Array::new();

/// Written by user space, in place.
#[btf_map]
pub(crate) static VERDICTS_V6: Array<
    BucketV6,
    { buckets_for(VERDICTS_DEFAULT) as usize },
    { BPF_F_MMAPABLE as usize },
> = Array::new();

#[btf_map]
pub(crate) static SIP_PORTS: Array<SipPorts, 1> = Array::new();

#[btf_map]
pub(crate) static TCP_CONNECTIONS: LruHashMap<
    Connection,
    u64,
    { TCP_CONNECTIONS_DEFAULT as usize },
> = LruHashMap::new();

#[btf_map]
static COUNTERS: PerCpuArray<[u64; COUNTER_COUNT], 1> = PerCpuArray::new();

/// One array for all rings: the look-up is inlined then, which in an array of arrays is a call. Read by user space where it is.
#[btf_map]
pub(crate) static CHUNKS: Array<Chunk, 1, { BPF_F_MMAPABLE as usize }> = Array::new();

#[btf_map]
pub(crate) static CONTROLS: Array<
    Control,
    { RINGS_DEFAULT as usize },
    { BPF_F_MMAPABLE as usize },
> = Array::new();

#[btf_map]
pub(crate) static SOCKETS: XskMap<{ SOCKETS_DEFAULT as usize }> = XskMap::new();

#[btf_map]
pub(crate) static VERDICT_TABLE: Array<Table, 1, { BPF_F_MMAPABLE as usize }> = Array::new();

#[unsafe(no_mangle)]
pub(crate) static VERDICT_SEED: Global<[u64; 2]> = Global::new([0, 0]);

#[unsafe(no_mangle)]
pub(crate) static UNMATCHED: Global<u32> = Global::new(settings::UNMATCHED_DROP);

#[unsafe(no_mangle)]
pub(crate) static OUTPUT: Global<u32> = Global::new(settings::OUTPUT_RING);

#[unsafe(no_mangle)]
pub(crate) static SOCKETS_PER_QUEUE: Global<u32> = Global::new(1);

#[unsafe(no_mangle)]
pub(crate) static VXLAN_PORTS: Global<u64> = Global::new(VXLAN_PORT as u64);
const _: () = assert!(size_of::<u64>() == VXLAN_PORTS_MAX * size_of::<u16>());

/// A zero in memory that could be written, so that the verifier takes it for any number. Nobody writes it.
#[unsafe(no_mangle)]
static mut ZERO: u64 = 0;

/// A number that is zero, and that the verifier takes for any number.
#[inline(always)]
pub(crate) fn zero() -> u64 {
    // SAFETY: nobody writes it.
    unsafe { (&raw const ZERO).read_volatile() }
}

/// The same value, combined with a zero of which only we know that it is one, in an instruction that the compiler does
/// not see through.
#[inline(always)]
pub(crate) fn forget(value: u32, zero: u64) -> u32 {
    let mut value = u64::from(value);
    // SAFETY: changes a register.
    unsafe {
        asm!("{0} ^= {1}", inout(reg) value, in(reg) zero, options(nostack, pure, nomem));
    }
    value as u32
}

/// The counters of this CPU.
#[derive(Clone, Copy)]
pub(crate) struct Counters(*mut [u64; COUNTER_COUNT]);

impl Counters {
    #[inline(always)]
    pub(crate) fn get() -> Option<Self> {
        COUNTERS.get_ptr_mut(0).map(Self)
    }

    #[inline(always)]
    pub(crate) fn add(self, counter: Counter, amount: u64) {
        self.add_at(counter as usize, amount);
    }

    #[inline(always)]
    pub(crate) fn reject(self, reject: Reject) {
        // The verifier wants to see the comparison, which the compiler knows to be true.
        self.add_at(forget(counter::reject_index(reject) as u32, zero()) as usize, 1);
    }

    #[inline(always)]
    fn add_at(self, index: usize, amount: u64) {
        if index < COUNTER_COUNT {
            // SAFETY: the pointer is that of a live map value of COUNTER_COUNT numbers, of this CPU alone, and XDP
            // programs of one CPU do not interrupt each other; `index` was just checked.
            unsafe { *self.0.cast::<u64>().add(index) += amount };
        }
    }
}
