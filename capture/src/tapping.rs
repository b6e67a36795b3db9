//! One tap, as the main thread keeps it while capture runs: its counters, and what becomes of its interface.

use earwitness_ipc::{LostBy, SourceInfo, SourceMode};

use crate::interface::{Attached, Interface};
use crate::link::{LinkNews, LinkState};
use crate::program::{Program, ProgramCounters};

#[derive(Debug)]
pub(crate) struct Tapping {
    pub(crate) interface: Interface,
    pub(crate) info: SourceInfo,
    /// Counts, and takes verdicts; none for packet sockets.
    pub(crate) program: Option<Box<Program>>,
    state: Option<LinkState>,
    /// The interface went, and what came back is not in use.
    is_lost: bool,
    /// What the device had lost when last asked: it cannot be asked once it is gone.
    nic: u64,
}

impl Tapping {
    pub(crate) fn new(
        interface: Interface,
        info: SourceInfo,
        program: Option<Box<Program>>,
    ) -> Self {
        Self { interface, info, program, state: None, is_lost: false, nic: 0 }
    }

    /// Whether the kernel fills this tap's rings, without a copying thread between.
    pub(crate) fn fills_rings(&self) -> bool {
        matches!(self.info.mode, SourceMode::BpfRing | SourceMode::BpfRingGeneric)
    }

    /// What the device lost.
    pub(crate) fn lost(&mut self) -> LostBy {
        let attached = match self.info.mode {
            SourceMode::AfPacket => Attached::PacketSocket,
            _ => Attached::Xdp,
        };
        self.nic = self.nic.max(self.interface.lost(attached));
        LostBy { nic: self.nic, ..LostBy::default() }
    }

    /// What the program counted; none without a program.
    pub(crate) fn counters(&self) -> Option<ProgramCounters> {
        match self.program.as_ref()?.counters() {
            Ok(counters) => Some(counters),
            Err(error) => {
                tracing::error!(%error, "the program's counters cannot be read");
                None
            }
        }
    }

    /// Nothing comes through the program any more.
    pub(crate) fn detach(&mut self) {
        if let Some(program) = &mut self.program {
            program.detach(&self.interface.name);
        }
    }

    /// What a change of the link means for people; none if nothing.
    pub(crate) fn learn(&mut self, link: &LinkNews) -> Option<String> {
        let before = self.state.replace(link.state);
        if before == Some(link.state) {
            return None;
        }
        let name = &self.interface.name;
        match link.state {
            LinkState::Gone => {
                self.is_lost = true;
                Some(format!("interface {name} is gone"))
            }
            LinkState::Down => Some(format!("interface {name} is down")),
            LinkState::Up if self.is_lost && self.program.is_some() => Some(format!(
                "interface {name} is back, but without the XDP program: restart capture"
            )),
            // The first news of a link that always was up is none.
            LinkState::Up => before.map(|_| format!("interface {name} is up")),
        }
    }

    /// An interface that came back under another number is used again, where that needs no privilege.
    pub(crate) fn renew(&mut self, link: &LinkNews) -> bool {
        let is_back = self.is_lost && link.state != LinkState::Gone && self.program.is_none();
        if !is_back || self.interface.renew(link.index).is_err() {
            return false;
        }
        self.is_lost = false;
        true
    }
}
