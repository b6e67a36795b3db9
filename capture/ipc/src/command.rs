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
    /// Payloads that were written and must not be there; each is told as [`crate::Event::Erased`] when it is done.
    Erase(Vec<Erasure>),
    /// Into the log, as [`crate::Mark::Note`]: what somebody asked the control plane to do, so that the log alone tells.
    Note(String),
    /// Write out what policy wants of the rings, close the segments, exit.
    Shutdown,
}

/// A change of one entry of the verdict table.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, Serialize, Deserialize)]
pub struct VerdictChange {
    pub dst: Endpoint,
    /// `None` forgets the entry.
    pub verdict: Option<Verdict>,
    /// What came before this time, and has not left its ring, goes by the verdict before.
    pub since_ns: u64,
}

impl VerdictChange {
    /// For all that has not left its ring.
    pub const fn now(dst: Endpoint, verdict: Option<Verdict>) -> Self {
        Self { dst, verdict, since_ns: 0 }
    }
}

/// Records of a flow in a media lane whose payload is to be overwritten.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug, Serialize, Deserialize)]
pub struct Erasure {
    /// The control plane's, to know the answer by.
    pub number: u64,
    pub lane: u16,
    /// Position of the last record of the chain.
    pub last: u64,
    pub from_ns: u64,
    /// Exclusive.
    pub until_ns: u64,
}
