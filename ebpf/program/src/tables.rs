//! What steering asks of the maps.

use core::arch::asm;

use aya_ebpf::bindings::BPF_ANY;
use earwitness_abi::verdicts::{
    BucketV4, BucketV6, Codes, Key, Table, V4_CODES_AT, V4_KEY_MASK, V6_CODES_AT, WAYS_V4, WAYS_V6,
    verdict_of,
};
use earwitness_abi::{Connection, SipPorts};
use earwitness_wire::{Endpoint, Parsed, Tables, Verdict, VxlanPorts};

use crate::maps::{
    SIP_PORTS, TCP_CONNECTIONS, VERDICT_SEED, VERDICT_TABLE, VERDICTS_V4, VERDICTS_V6, VXLAN_PORTS,
    forget, zero,
};

/// The maps that steer.
pub(crate) struct MapTables {
    sip_ports: &'static SipPorts,
    verdicts: *const Table,
}

impl MapTables {
    /// None cannot be: the maps have their one entry from the beginning.
    #[inline(always)]
    pub(crate) fn get() -> Option<Self> {
        Some(Self { sip_ports: SIP_PORTS.get(0)?, verdicts: VERDICT_TABLE.get_ptr(0)? })
    }

    /// Remembers a connection; whether that was possible.
    #[inline(always)]
    pub(crate) fn learn(&self, parsed: &Parsed) -> bool {
        let connection = Connection::new(&parsed.src, &parsed.dst);
        TCP_CONNECTIONS.insert(connection, 1_u64, u64::from(BPF_ANY)).is_ok()
    }
}

impl Tables for MapTables {
    #[inline(always)]
    fn verdict(&self, dst: &Endpoint) -> Option<Verdict> {
        let key = Key::new(dst);
        let is_v4 = key.is_v4();
        // SAFETY: a live map value, of which user space stores whole words.
        let mask = unsafe {
            let table = self.verdicts;
            let mask =
                if is_v4 { &raw const (*table).mask_v4 } else { &raw const (*table).mask_v6 };
            mask.read_volatile() as u32
        };
        let zero = zero();
        for hash in key.hash(VERDICT_SEED.load()) {
            let codes = if is_v4 {
                codes_v4(VERDICTS_V4.get_ptr(hash & mask)?, &key)
            } else {
                codes_v6(VERDICTS_V6.get_ptr(hash & mask)?, &key)
            };
            // What the verifier has found out of it would only keep its paths apart.
            let codes = forget(codes, zero);
            if codes != 0 {
                return verdict_of(codes as Codes, dst.port);
            }
        }
        None
    }

    #[inline(always)]
    fn ignores(&self) -> bool {
        // SAFETY: a live map value, of which user space stores whole words.
        unsafe { (&raw const (*self.verdicts).ignored).read_volatile() != 0 }
    }

    #[inline(always)]
    fn sip_port(&self, port: u16) -> bool {
        self.sip_ports.contains(port)
    }

    #[inline(always)]
    fn tcp_signalling(&self, src: &Endpoint, dst: &Endpoint) -> bool {
        TCP_CONNECTIONS.get_ptr(Connection::new(src, dst)).is_some()
    }
}

/// The codes of a bucket's entry for a destination; 0 if there is none. Every entry is looked at, and no branch taken: which
/// one it is differs from packet to packet, so that a processor would guess wrong most of the time.
#[inline(always)]
fn codes_v4(bucket: *const BucketV4, key: &Key) -> u32 {
    let word = key.v4_word();
    let mut codes = 0;
    for way in 0..WAYS_V4 {
        // SAFETY: a live map value. User space may change an entry at this moment: then it is the old one, or none.
        let differs = unsafe { (&raw const (*bucket).entries[way]).read_volatile() } ^ word;
        // Of what is nearly the same key all but the codes is zero.
        codes |= differs & ones_if_zero(differs & V4_KEY_MASK);
    }
    (codes >> V4_CODES_AT) as u32
}

/// The same of IPv6.
#[inline(always)]
fn codes_v6(bucket: *const BucketV6, key: &Key) -> u32 {
    let mut codes = 0;
    for way in 0..WAYS_V6 {
        // SAFETY: as above.
        let (state, [high, low]) = unsafe {
            let state = (&raw const (*bucket).states[way]).read_volatile();
            (u64::from(state), (&raw const (*bucket).addresses[way]).read_volatile())
        };
        let other =
            (high ^ key.address[0]) | (low ^ key.address[1]) | u64::from(state as u16 ^ key.pair);
        codes |= state >> V6_CODES_AT & ones_if_zero(other >> 1 | other & 1);
    }
    codes as u32
}

/// All ones for 0, else 0, of a number below 2⁶³. In assembly: of an expression that it understands the compiler makes a
/// comparison, and of that a branch.
#[inline(always)]
fn ones_if_zero(mut number: u64) -> u64 {
    // SAFETY: arithmetic.
    unsafe {
        asm!("{0} += -1", "{0} s>>= 63", inout(reg) number, options(nostack, pure, nomem));
    }
    number
}

/// The settings, read where they are needed.
pub(crate) struct Settings;

impl VxlanPorts for Settings {
    #[inline(always)]
    fn contains(&self, port: u16) -> bool {
        // All four at once: a sixteenth of the word that is zero borrows from its highest bit.
        const ONES: u64 = 0x0001_0001_0001_0001;
        let differs = VXLAN_PORTS.load() ^ u64::from(port) * ONES;
        port != 0 && differs.wrapping_sub(ONES) & !differs & ONES << 15 != 0
    }
}
