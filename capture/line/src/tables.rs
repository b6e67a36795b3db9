//! What steering knows in user space: verdicts, SIP ports, learned connections. The kernel's maps
//! hold the same for the XDP program.

use earwitness_ipc::Command;
use earwitness_wire::{Endpoint, Tables, Verdict};

use crate::{bounded::Bounded, hash::Pair, limits::TCP_LEARNED_MAX, verdicts::Verdicts};

/// The tables of one receiving thread, which owns them (S8).
#[derive(Debug)]
pub struct SteeringTables {
    verdicts: Verdicts,
    sip_ports: PortSet,
    learned: Bounded<Pair, ()>,
}

impl SteeringTables {
    #[must_use]
    pub fn new(sip_ports: &[u16]) -> Self {
        Self {
            verdicts: Verdicts::default(),
            sip_ports: PortSet::of(sip_ports),
            learned: Bounded::new(TCP_LEARNED_MAX),
        }
    }

    /// Takes over what a command says of steering.
    pub fn apply(&mut self, command: &Command) {
        match command {
            Command::Verdicts(changes) => {
                changes.iter().for_each(|change| self.verdicts.change(change));
            }
            Command::LearnTcp(connections) => {
                connections.iter().for_each(|(one, other)| self.learn(*one, *other));
            }
            Command::Hello { .. }
            | Command::Release(_)
            | Command::Erase(_)
            | Command::Note(_)
            | Command::Shutdown => {}
        }
    }

    /// From now on the connection carries signalling, both ways.
    pub fn learn(&mut self, one: Endpoint, other: Endpoint) {
        self.learned.entry(undirected(one, other), || ());
    }

    /// Verdicts that were given up or did not get in.
    #[must_use]
    pub fn verdicts_evicted(&self) -> u64 {
        self.verdicts.evicted()
    }
}

impl Tables for SteeringTables {
    #[inline]
    fn verdict(&self, dst: &Endpoint) -> Option<Verdict> {
        self.verdicts.get(dst)
    }

    /// Where frames come up here, asking once more costs less than keeping a count.
    #[inline]
    fn ignores(&self) -> bool {
        true
    }

    #[inline]
    fn sip_port(&self, port: u16) -> bool {
        self.sip_ports.contains(port)
    }

    #[inline]
    fn tcp_signalling(&self, src: &Endpoint, dst: &Endpoint) -> bool {
        self.learned.get(&undirected(*src, *dst)).is_some()
    }
}

fn undirected(one: Endpoint, other: Endpoint) -> Pair {
    Pair { src: one.min(other), dst: one.max(other) }
}

/// A bit for each port.
#[derive(Debug)]
struct PortSet(Box<[u64; 1024]>);

impl PortSet {
    fn of(ports: &[u16]) -> Self {
        let mut bits = Box::new([0; 1024]);
        for port in ports {
            bits[usize::from(port >> 6)] |= 1 << (port & 63);
        }
        Self(bits)
    }

    #[inline(always)]
    fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port >> 6)] >> (port & 63) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CAP-7: configured ports and learned connections are signalling; a connection both ways.
    #[test]
    fn ports_and_connections() {
        let mut tables = SteeringTables::new(&[0, 5060, 65_535]);
        for (port, sip) in [(0, true), (1, false), (5059, false), (5060, true), (65_535, true)] {
            assert_eq!(tables.sip_port(port), sip, "{port}");
        }
        let (a, b) = (Endpoint::v4([10, 0, 0, 1], 80), Endpoint::v4([10, 0, 0, 2], 40_000));
        assert!(!tables.tcp_signalling(&a, &b));
        tables.apply(&Command::LearnTcp(vec![(a, b)]));
        assert!(tables.tcp_signalling(&a, &b) && tables.tcp_signalling(&b, &a));
        assert!(!tables.tcp_signalling(&a, &a));
    }
}
