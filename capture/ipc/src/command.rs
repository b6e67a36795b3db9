//! What the control plane tells capture.

use earwitness_wire::{Endpoint, Verdict};
use serde::{Deserialize, Serialize};

#[derive(Clone, Eq, PartialEq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// First on each connection.
    Hello {
        version: u16,
        /// SHA-256 of the configuration that the control plane runs with.
        config_digest: [u8; 32],
    },
    Verdicts(Vec<VerdictChange>),
    /// Connections that carry SIP, either direction: a WebSocket was accepted on them.
    LearnTcp(Vec<(Endpoint, Endpoint)>),
    /// Segments (lane, seq) that no unfinished call needs (S5).
    Release(Vec<(u16, u32)>),
    /// Write out what policy wants of the rings, close the segments, exit.
    Shutdown,
}

/// A change of one entry of the verdict table.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, Serialize, Deserialize)]
pub struct VerdictChange {
    pub dst: Endpoint,
    /// `None` forgets the entry.
    pub verdict: Option<Verdict>,
}
