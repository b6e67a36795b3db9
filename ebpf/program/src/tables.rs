//! What steering asks of the maps.

use core::arch::asm;

use aya_ebpf::bindings::BPF_ANY;
use earwitness_abi::verdicts::{self, Bucket, Table, WAYS};
use earwitness_abi::{Connection, FlowKey, SipPorts};
use earwitness_wire::{Endpoint, Options, Parsed, Tables, Verdict, VxlanPorts};

use crate::maps::{
    SIP_PORTS, TCP_CONNECTIONS, VERDICT_SEED, VERDICT_TABLE, VERDICTS, VXLAN_PORTS, forget, zero,
};

/// The maps that steer.
pub(crate) struct MapTables {
    sip_ports: &'static SipPorts,
}

impl MapTables {
    /// None cannot be: the map has its one entry from the beginning.
    #[inline(always)]
    pub(crate) fn get() -> Option<Self> {
        Some(Self { sip_ports: SIP_PORTS.get(0)? })
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
        let key = FlowKey::new(dst);
        // SAFETY: a live map value, of which user space stores whole words.
        let mask = unsafe { (&raw const (*VERDICT_TABLE.get_ptr(0)?).mask).read_volatile() } as u32;
        let zero = zero();
        for hash in verdicts::hash_of(key.addr, dst.port, VERDICT_SEED.load()) {
            // What the verifier has found out of it would only keep its paths apart.
            let code = forget(code_in(VERDICTS.get_ptr(hash & mask)?, &key, dst.port), zero);
            if code != 0 {
                return Some(Verdict::from_u8(code as u8 - 1));
            }
        }
        None
    }

    #[inline(always)]
    fn ignores(&self) -> bool {
        // SAFETY: a live map value, of which user space stores whole words.
        let count = |table: *const Table| unsafe { (&raw const (*table).ignored).read_volatile() };
        VERDICT_TABLE.get_ptr(0).is_some_and(|table| count(table) != 0)
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

/// The code of a bucket's entry for a destination, as its state has it; 0 if there is none. Every entry is looked at, and no
/// branch taken: which one it is differs from packet to packet, so that a processor would guess wrong most of the time.
#[inline(always)]
fn code_in(bucket: *const Bucket, key: &FlowKey, port: u16) -> u32 {
    let mut code = 0;
    for way in 0..WAYS {
        // SAFETY: a live map value. User space may change an entry at this moment: then the verdict is the old
        // one, or none.
        let (state, [high, low]) = unsafe {
            let state = (&raw const (*bucket).states[way]).read_volatile();
            (u64::from(state), (&raw const (*bucket).addresses[way]).read_volatile())
        };
        let other = (high ^ key.addr[0]) | (low ^ key.addr[1]) | u64::from(state as u16 ^ port);
        code |= (state >> 16) & ones_if_zero(other);
    }
    code as u32
}

/// All ones for 0, else 0. Negated in assembly: of two expressions that it understands the compiler makes a comparison, and of
/// that a branch.
#[inline(always)]
fn ones_if_zero(number: u64) -> u64 {
    let negative: u64;
    // SAFETY: arithmetic.
    unsafe {
        asm!("{0} = -{0}", inout(reg) number => negative, options(nostack, pure, nomem));
    }
    ((number | negative) >> 63).wrapping_sub(1)
}

/// The settings, read where they are needed.
pub(crate) struct Settings;

impl VxlanPorts for Settings {
    #[inline(always)]
    fn contains(&self, port: u16) -> bool {
        Options { vxlan_ports: VXLAN_PORTS.load() }.contains(port)
    }
}
