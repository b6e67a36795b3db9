//! Where the packets of a finished call lie in the log, so that they can be exported as long as they are there.

use earwitness_segment::{LaneId, RecordPos};
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::call::media::{Chain, Flow};

/// A chain of media records, and between which times its records are the call's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainPlace {
    lane: u16,
    last: u64,
    first_seq: u32,
    pub first_ns: u64,
    pub last_ns: u64,
}

impl ChainPlace {
    fn of(flow: &Flow, chain: &Chain) -> Self {
        Self {
            lane: chain.lane.0,
            last: chain.last.0,
            first_seq: chain.first_seq,
            first_ns: flow.first_ns,
            last_ns: flow.last_ns,
        }
    }

    /// As the tracker had it.
    #[must_use]
    pub const fn chain(&self) -> Chain {
        Chain { lane: LaneId(self.lane), last: RecordPos(self.last), first_seq: self.first_seq }
    }
}

/// The places of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    messages: Vec<(u16, u64)>,
    pub chains: Vec<ChainPlace>,
}

impl Places {
    /// Of a call that is over.
    #[must_use]
    pub fn of(call: &Call) -> Self {
        let chains = call
            .media
            .flows
            .iter()
            .flat_map(|flow| flow.chains.iter().map(move |chain| ChainPlace::of(flow, chain)));
        Self {
            messages: call.signalling.iter().map(|(lane, pos)| (lane.0, pos.0)).collect(),
            chains: chains.collect(),
        }
    }

    /// Its SIP messages, in the order in which they were seen.
    pub fn messages(&self) -> impl Iterator<Item = (LaneId, RecordPos)> + '_ {
        self.messages.iter().map(|(lane, pos)| (LaneId(*lane), RecordPos(*pos)))
    }

    /// As the catalog keeps them.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The reverse; `None` for what is not.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}
