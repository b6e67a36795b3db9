//! What steering asks of the maps.

use aya_ebpf::bindings::BPF_ANY;
use earwitness_abi::verdicts::{self, Table, WAYS, verdict_of};
use earwitness_abi::{Connection, FlowKey, SipPorts};
use earwitness_wire::{Endpoint, Options, Parsed, Tables, Verdict, VxlanPorts};

use crate::maps::{SIP_PORTS, TCP_CONNECTIONS, VERDICT_SEED, VERDICT_TABLE, VERDICTS, VXLAN_PORTS};

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
        for hash in verdicts::hash_of(key.addr, dst.port, VERDICT_SEED.load()) {
            let bucket = VERDICTS.get_ptr(hash & mask)?;
            for way in 0..WAYS {
                // SAFETY: a live map value. User space may change an entry at this moment: then the verdict is the old
                // one, or none.
                let state = unsafe { (&raw const (*bucket).states[way]).read_volatile() };
                let Some(verdict) = verdict_of(state, dst.port) else { continue };
                // SAFETY: as above.
                if unsafe { (&raw const (*bucket).addresses[way]).read_volatile() } == key.addr {
                    return Some(verdict);
                }
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

/// The settings, read where they are needed.
pub(crate) struct Settings;

impl VxlanPorts for Settings {
    #[inline(always)]
    fn contains(&self, port: u16) -> bool {
        Options { vxlan_ports: VXLAN_PORTS.load() }.contains(port)
    }
}
