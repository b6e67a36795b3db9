//! The media of one call as the log holds it: flows, their SSRCs, and where each flow's records begin to be
//! walked (records of a flow are chained backwards in their lane).

use earwitness_segment::{LaneId, RecordPos};
use earwitness_wire::Endpoint;

use super::Party;
use super::binding::TsNs;
use super::limits::{FLOWS_PER_CALL_MAX, STREAMS_PER_CALL_MAX, VOICES_MAX};
use super::seldom::Seldom;

/// The end of a chain of records: walk `prev` from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    pub lane: LaneId,
    pub last: RecordPos,
    /// The segment of the chain's first record: it and later ones must stay (S5).
    pub first_seq: u32,
}

/// One SSRC of a flow, while it is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SsrcUse {
    pub ssrc: u32,
    pub first_ns: TsNs,
    pub last_ns: TsNs,
    pub packets: u64,
    /// Of these, how many came while another SSRC of the flow was speaking, too.
    pub concurrent: u64,
}

/// How lately an SSRC must have been heard to be speaking.
const SPEAKING_NS: u64 = 200_000_000;

/// Media between two addresses that belongs to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    pub src: Endpoint,
    pub dst: Endpoint,
    /// Who receives it; the audio is the other party's.
    pub receiver: Party,
    pub first_ns: TsNs,
    pub last_ns: TsNs,
    pub packets: u64,
    pub chains: Vec<Chain>,
    pub ssrcs: Vec<SsrcUse>,
    /// Whose voices are in it, as a mixer says (RFC 3550 section 7.1).
    pub mixed: Seldom<u32>,
}

/// The SSRC of an RTP packet; `None` for RTCP (RFC 5761 section 4: packet types 192 to 223) and anything else.
#[must_use]
pub fn ssrc_of(payload: &[u8]) -> Option<u32> {
    let header: &[u8; 12] = payload.first_chunk()?;
    let is_rtp = header[0] >> 6 == 2 && !(192..=223).contains(&header[1]);
    is_rtp.then(|| u32::from_be_bytes([header[8], header[9], header[10], header[11]]))
}

/// One record of a flow, as far as the tracker looks at it.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub lane: LaneId,
    pub pos: RecordPos,
    pub prev: RecordPos,
    pub ts_ns: TsNs,
    /// `None` for what is not RTP.
    pub ssrc: Option<u32>,
    /// Of RTP.
    pub payload_type: Option<u8>,
    /// Only that it came is in the log.
    pub masked: bool,
}

impl Flow {
    /// Adds a record. Returns whether the SSRC is new to the flow.
    pub fn add(&mut self, arrival: &Arrival) -> bool {
        self.first_ns = self.first_ns.min(arrival.ts_ns);
        self.last_ns = self.last_ns.max(arrival.ts_ns);
        self.packets += 1;
        self.extend_chain(arrival);
        let Some(ssrc) = arrival.ssrc else { return false };
        let speaking = |known: &SsrcUse| arrival.ts_ns < known.last_ns.saturating_add(SPEAKING_NS);
        let disturbed = self.ssrcs.iter().any(|known| known.ssrc != ssrc && speaking(known));
        if let Some(known) = self.ssrcs.iter_mut().find(|known| known.ssrc == ssrc) {
            known.concurrent += u64::from(disturbed && speaking(known));
            known.first_ns = known.first_ns.min(arrival.ts_ns);
            known.last_ns = known.last_ns.max(arrival.ts_ns);
            known.packets += 1;
            return false;
        }
        if self.ssrcs.len() >= STREAMS_PER_CALL_MAX {
            return false;
        }
        let (first_ns, last_ns) = (arrival.ts_ns, arrival.ts_ns);
        self.ssrcs.push(SsrcUse { ssrc, first_ns, last_ns, packets: 1, concurrent: 0 });
        true
    }

    /// Notes whose voices a packet has. Returns whether there are new ones, of which no more than a bound are known (S10).
    pub fn note_mixed(&mut self, voices: impl Iterator<Item = u32>) -> bool {
        let before = self.mixed.len();
        for voice in voices {
            // Zero is what a mixer writes that does not know.
            if voice != 0 && self.mixed.len() < VOICES_MAX && !self.mixed.contains(&voice) {
                self.mixed.push(voice);
            }
        }
        self.mixed.len() > before
    }

    /// Takes in what another call had of the same flow.
    pub(super) fn absorb(&mut self, other: Self) {
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
        self.packets += other.packets;
        self.note_mixed(other.mixed.iter().copied());
        self.chains.extend(other.chains);
        // The one that goes on comes last.
        self.chains.sort_by_key(|chain| (chain.lane, chain.last));
        for news in other.ssrcs {
            let has_room = self.ssrcs.len() < STREAMS_PER_CALL_MAX;
            match self.ssrcs.iter_mut().find(|known| known.ssrc == news.ssrc) {
                Some(known) => {
                    known.first_ns = known.first_ns.min(news.first_ns);
                    known.last_ns = known.last_ns.max(news.last_ns);
                    known.packets += news.packets;
                    known.concurrent += news.concurrent;
                }
                None if has_room => self.ssrcs.push(news),
                None => {}
            }
        }
    }

    fn extend_chain(&mut self, arrival: &Arrival) {
        let same_lane = |chain: &&mut Chain| chain.lane == arrival.lane;
        match self.chains.iter_mut().rev().find(same_lane) {
            // The record before it in the lane is the one we know, or, after a restart of ours, one that
            // lies before this call's first.
            Some(chain) if chain.last == arrival.prev => chain.last = arrival.pos,
            _ => self.chains.push(Chain {
                lane: arrival.lane,
                last: arrival.pos,
                first_seq: arrival.pos.seq(),
            }),
        }
    }
}

/// All flows of one call.
#[derive(Debug, Clone, Default)]
pub struct Media {
    pub flows: Vec<Flow>,
    /// Packets of flows past the bound.
    pub left_out: u64,
}

/// What adding a record changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    Known,
    NewFlow,
    NewSsrc,
    LeftOut,
}

impl Media {
    /// Adds a record of the flow `key`.
    pub fn add(&mut self, key: (Endpoint, Endpoint), receiver: Party, arrival: &Arrival) -> Added {
        if let Some(flow) = self.flow_mut(key, receiver) {
            return if flow.add(arrival) { Added::NewSsrc } else { Added::Known };
        }
        if self.flows.len() >= FLOWS_PER_CALL_MAX {
            self.left_out += 1;
            return Added::LeftOut;
        }
        let mut flow = Flow {
            src: key.0,
            dst: key.1,
            receiver,
            first_ns: arrival.ts_ns,
            last_ns: arrival.ts_ns,
            packets: 0,
            chains: Vec::new(),
            ssrcs: Vec::new(),
            mixed: Seldom::new(),
        };
        flow.add(arrival);
        self.flows.push(flow);
        Added::NewFlow
    }

    /// The flow between these addresses.
    pub fn flow_mut(&mut self, key: (Endpoint, Endpoint), receiver: Party) -> Option<&mut Flow> {
        let is_it =
            |flow: &&mut Flow| (flow.src, flow.dst, flow.receiver) == (key.0, key.1, receiver);
        self.flows.iter_mut().find(is_it)
    }

    /// When media was first heard.
    pub fn first_ns(&self) -> Option<TsNs> {
        self.flows.iter().map(|flow| flow.first_ns).min()
    }

    /// When media was last heard.
    pub fn last_ns(&self) -> Option<TsNs> {
        self.flows.iter().map(|flow| flow.last_ns).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(pos: u64, prev: u64, ts_ns: TsNs, ssrc: u32) -> Arrival {
        let (pos, prev) = (RecordPos::media(1, pos), RecordPos(prev));
        Arrival {
            lane: LaneId(3),
            pos,
            prev,
            ts_ns,
            ssrc: Some(ssrc),
            payload_type: Some(0),
            masked: false,
        }
    }

    /// CAP-3: one chain while each record names the one before, a further one where the writer lost the thread.
    #[test]
    fn records_of_a_flow_make_a_chain() {
        let mut media = Media::default();
        let key = (Endpoint::v4([1, 1, 1, 1], 10), Endpoint::v4([2, 2, 2, 2], 20));
        let first = arrival(4160, 0, 5, 7);
        assert_eq!(media.add(key, Party::Caller, &first), Added::NewFlow);
        let second = arrival(4400, first.pos.0, 6, 7);
        assert_eq!(media.add(key, Party::Caller, &second), Added::Known);
        assert_eq!(media.flows[0].chains.len(), 1);
        let third = arrival(9000, 0, 7, 8);
        assert_eq!(media.add(key, Party::Caller, &third), Added::NewSsrc);
        assert_eq!(media.flows[0].chains.len(), 2);
        assert_eq!(media.flows[0].ssrcs.len(), 2);
        assert_eq!(media.last_ns(), Some(7));
    }

    /// CALL-4: an SSRC that follows another is not concurrent with it, one that speaks into it is.
    #[test]
    fn voices_at_the_same_time_are_told_from_voices_in_turn() {
        let key = (Endpoint::v4([1, 1, 1, 1], 10), Endpoint::v4([2, 2, 2, 2], 20));
        let mut media = Media::default();
        let mut hear = |ms: u64, ssrc| {
            media.add(key, Party::Caller, &arrival(4160, 0, ms * 1_000_000, ssrc));
            media.flows[0].ssrcs.iter().map(|known| known.concurrent).sum::<u64>()
        };
        for turn in 0..50 {
            assert_eq!(hear(turn * 20, 1), 0);
        }
        assert_eq!(hear(1000, 2), 0);
        for turn in 51..100 {
            hear(turn * 20, 2);
        }
        let before = hear(2000, 2);
        assert!(before < 12, "{before} packets seem concurrent after a change of SSRC");
        for turn in 101..150 {
            hear(turn * 20, 1);
            hear(turn * 20 + 3, 2);
        }
        assert!(hear(3000, 1) > 90);
    }
}
