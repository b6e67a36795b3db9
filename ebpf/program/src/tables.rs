//! What steering asks of the maps.

use core::arch::asm;

use aya_ebpf::bindings::BPF_ANY;
use earwitness_abi::{Connection, FlowKey, SipPorts};
use earwitness_wire::{Endpoint, Options, Parsed, Tables, Verdict, VxlanPorts};

use crate::maps::{FLOWS, SIP_PORTS, TCP_CONNECTIONS, VXLAN_PORTS};

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
    /// Counts what ignoring costs a flow, since nobody behind the program will see the packet.
    #[inline(always)]
    fn verdict(&self, dst: &Endpoint) -> Option<Verdict> {
        let flow = FLOWS.get_ptr_mut(FlowKey::new(dst))?;
        // SAFETY: a live map value. Were its entry reused at this moment, the verdict of another flow would be
        // applied to one packet.
        let verdict = Verdict::from_u8(unsafe { (*flow).verdict } as u8);
        if verdict == Verdict::Ignore {
            // SAFETY: as above; the number is aligned.
            unsafe { increment(&raw mut (*flow).ignored) };
        }
        Some(verdict)
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

/// Adds one, atomically: CPUs share the flow map. `core` has no such operation for this target.
///
/// # Safety
/// `number` points at an aligned number in a live map value.
#[inline(always)]
unsafe fn increment(number: *mut u64) {
    // SAFETY: one instruction that changes the number and nothing else.
    unsafe {
        asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) number, in(reg) 1_u64, options(nostack))
    };
}
