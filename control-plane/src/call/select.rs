//! Which of the streams that reached a call's addresses are its parties' voices, and which are kept apart.
//!
//! A stream is heard only if its source is what SDP announced for the speaker, or an alias that is configured
//! or proven by media in both directions (CALL-3). Where SIP passes a relay, one hop's media is chosen, so
//! that nobody is heard twice; where a call has several legs, one leg's at each time (`choice`). What is not heard stays in
//! the log, and the trace names it and why.

use earwitness_wire::Endpoint;

use std::ops::Range;

use super::binding::{OPEN, TsNs};
use super::choice;
use super::leg::{InviteIndex, Invites, Leg};
use super::media::{Flow, Media, SsrcUse};
use super::{Announced, Call, Hold, HopIndex, LegIndex, Party, Prefer, Unrecorded};

/// Packets that an SSRC may send while another of its flow speaks before it is somebody else's: a change of
/// SSRC overlaps for some packets.
const CONCURRENT_MAX: u64 = 25;

/// Why a stream is believed, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// From the announced host, from another port (asymmetric RTP).
    SameHost,
    /// From an address that the other party's media goes to, and comes from.
    Proven,
    /// From an alias of the configuration.
    Alias,
    /// From the announced address and port.
    Exact,
}

/// A stream that is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Index into the call's flows.
    pub flow: usize,
    pub ssrc: u32,
    /// Which voice it is part of: one SSRC of a speaker goes on when the address changes (RFC 3550 section 8.1).
    pub voice: usize,
    pub speaker: Party,
    pub trust: Trust,
    pub priority: i32,
    /// The INVITE whose media it is.
    pub invite: InviteIndex,
    /// Packets before are another leg's to tell.
    pub from_ns: TsNs,
    /// Packets from here on are not to be heard: another branch was answered, or another leg tells what follows.
    pub until_ns: Option<TsNs>,
}

impl Heard {
    /// When its packets are heard.
    #[must_use]
    pub fn window(&self) -> Range<TsNs> {
        self.from_ns..self.until_ns.unwrap_or(OPEN)
    }
}

/// A stream that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptApart {
    pub flow: usize,
    pub ssrc: Option<u32>,
    pub why: &'static str,
}

/// What selection needs to know of a call.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub announced: &'a [Announced],
    pub media: &'a Media,
    pub answered: Option<(LegIndex, TsNs)>,
    pub legs: &'a [Leg],
    /// None of a call that has one.
    pub invites: Option<&'a Invites>,
    pub holds: &'a [Hold],
    pub unrecorded: &'a [Unrecorded],
    pub prefer: Prefer,
    /// `(from, to)`: media of the first counts as media of the second; port 0 is any.
    pub aliases: &'a [(Endpoint, Endpoint)],
}

impl<'a> Question<'a> {
    /// What is asked of a call.
    #[must_use]
    pub fn of(call: &'a Call, aliases: &'a [(Endpoint, Endpoint)], prefer: Prefer) -> Self {
        Self {
            announced: &call.announced,
            media: &call.media,
            answered: call.answered,
            legs: &call.legs,
            invites: (call.invites.len() > 1).then_some(&call.invites),
            holds: &call.holds,
            unrecorded: &call.unrecorded,
            prefer,
            aliases,
        }
    }

    /// The branch of an INVITE that was answered first, and when.
    fn answered(&self, invite: InviteIndex) -> Option<(LegIndex, TsNs)> {
        if self.invites.is_none() {
            return self.answered;
        }
        let legs = (0..=u8::MAX).map(LegIndex).zip(self.legs);
        let of_it = legs.filter(|(_, leg)| leg.invite == invite);
        let answered = of_it.filter_map(|(index, leg)| Some((index, leg.answered_ns?)));
        answered.min_by_key(|(index, at_ns)| (*at_ns, index.0))
    }
}

/// The choice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    pub heard: Vec<Heard>,
    pub kept_apart: Vec<KeptApart>,
}

impl Selection {
    fn number_voices(&mut self) {
        let mut voices: Vec<(Party, u32, usize)> = Vec::new();
        for index in 0..self.heard.len() {
            let (before, rest) = self.heard.split_at_mut(index);
            let heard = &mut rest[0];
            // A stream of which another leg tells the middle begins anew behind it: what is passed over is not lost.
            let is_same = |known: &&Heard| (known.flow, known.ssrc) == (heard.flow, heard.ssrc);
            let voice = (heard.speaker, heard.ssrc, before.iter().filter(is_same).count());
            heard.voice = voices.iter().position(|known| *known == voice).unwrap_or(voices.len());
            if heard.voice == voices.len() {
                voices.push(voice);
            }
        }
    }

    /// The parts of each voice, in the order of their numbers.
    #[must_use]
    pub fn voices(&self) -> Vec<Vec<&Heard>> {
        let count = self.heard.iter().map(|heard| heard.voice + 1).max().unwrap_or(0);
        let parts = |voice| self.heard.iter().filter(move |heard| heard.voice == voice).collect();
        (0..count).map(parts).collect()
    }
}

/// Chooses the streams of a call.
#[must_use]
pub fn select(question: &Question<'_>) -> Selection {
    let mut hops: Vec<HopIndex> = question.announced.iter().map(|known| known.hop).collect();
    hops.sort_unstable();
    hops.dedup();
    let of_invites = hops.chunk_by(|one, other| one.invite() == other.invite());
    let mut choices: Vec<Selection> =
        of_invites.filter_map(|hops| best_hop(question, hops)).collect();
    let mut selection = match choices.len() {
        0 | 1 => choices.pop().unwrap_or_default(),
        _ => choice::in_turn(question, choices),
    };
    selection.number_voices();
    let mentioned: Vec<usize> = selection
        .heard
        .iter()
        .map(|heard| heard.flow)
        .chain(selection.kept_apart.iter().map(|apart| apart.flow))
        .collect();
    for flow in (0..question.media.flows.len()).filter(|flow| !mentioned.contains(flow)) {
        let why = "not of the hop of the signalling that was chosen";
        selection.kept_apart.push(KeptApart { flow, ssrc: None, why });
    }
    selection
}

/// Of the hops of one INVITE.
fn best_hop(question: &Question<'_>, hops: &[HopIndex]) -> Option<Selection> {
    let of_hops = hops.iter().map(|&hop| on_hop(question, hop));
    of_hops.reduce(
        |best, next| if score(question, &next) > score(question, &best) { next } else { best },
    )
}

/// Both parties before one, then the more packets.
pub(super) fn score(question: &Question<'_>, selection: &Selection) -> (usize, u64) {
    let speaks = |party| usize::from(selection.heard.iter().any(|heard| heard.speaker == party));
    let packets = selection.heard.iter().map(|heard| {
        let flow = &question.media.flows[heard.flow];
        flow.ssrcs
            .iter()
            .filter(|known| known.ssrc == heard.ssrc)
            .map(|known| known.packets)
            .sum::<u64>()
    });
    (speaks(Party::Caller) + speaks(Party::Callee), packets.sum())
}

fn on_hop(question: &Question<'_>, hop: HopIndex) -> Selection {
    let mut selection = Selection::default();
    let mut trusted: Vec<(usize, Trust)> = Vec::new();
    for (index, flow) in question.media.flows.iter().enumerate() {
        match trust(question, hop, flow) {
            Some(trust) => trusted.push((index, trust)),
            None if arrives(question, hop, flow) => selection.kept_apart.push(KeptApart {
                flow: index,
                ssrc: None,
                why: "source was not announced, nor configured, nor proven by media in both directions",
            }),
            None => {}
        }
    }
    for &(index, trust) in &trusted {
        let flow = &question.media.flows[index];
        let beaten = trust == Trust::SameHost
            && trusted.iter().any(|&(other, by)| {
                let other = &question.media.flows[other];
                by > trust && other.receiver == flow.receiver && overlaps(flow, other)
            });
        if beaten {
            let why = "another port of the announced host, while the announced one was heard";
            selection.kept_apart.push(KeptApart { flow: index, ssrc: None, why });
        } else {
            voices(question, hop, index, trust, &mut selection);
        }
    }
    selection
}

fn overlaps(a: &Flow, b: &Flow) -> bool {
    a.first_ns <= b.last_ns && b.first_ns <= a.last_ns
}

fn announced<'a>(
    question: &Question<'a>,
    hop: HopIndex,
    party: Party,
) -> impl Iterator<Item = &'a Announced> {
    question.announced.iter().filter(move |known| known.hop == hop && known.party == party)
}

/// Whether the flow goes to where its receiver said on this hop.
fn arrives(question: &Question<'_>, hop: HopIndex, flow: &Flow) -> bool {
    announced(question, hop, flow.receiver).any(|known| known.rtp == flow.dst)
}

fn trust(question: &Question<'_>, hop: HopIndex, flow: &Flow) -> Option<Trust> {
    let speaker = flow.receiver.other();
    let from_announced = announced(question, hop, speaker).any(|known| known.rtp == flow.src);
    if is_of_another_leg(question, hop, flow) {
        return None;
    }
    let answers = |other: &Flow| other.src == flow.dst && other.dst == flow.src;
    let proven = question.media.flows.iter().any(answers);
    if !arrives(question, hop, flow) {
        // A party's own voice on its way to a peer behind address translation that answers the same way.
        return (from_announced && proven).then_some(Trust::Proven);
    }
    if from_announced {
        return Some(Trust::Exact);
    }
    if question.aliases.iter().any(|alias| is_alias(question, hop, flow, alias)) {
        return Some(Trust::Alias);
    }
    if proven {
        return Some(Trust::Proven);
    }
    announced(question, hop, speaker)
        .any(|known| known.rtp.addr == flow.src.addr)
        .then_some(Trust::SameHost)
}

/// Whether an end of the flow is what another leg of the call announced, and this one did not.
fn is_of_another_leg(question: &Question<'_>, hop: HopIndex, flow: &Flow) -> bool {
    let is_foreign = |party: Party, at: Endpoint| {
        let mut all =
            question.announced.iter().filter(|known| known.party == party && known.rtp == at);
        let own = announced(question, hop, party).any(|known| known.rtp == at);
        !own && all.any(|known| known.hop.invite() != hop.invite())
    };
    let ends = [(flow.receiver.other(), flow.src), (flow.receiver, flow.dst)];
    question.invites.is_some() && ends.into_iter().any(|(party, at)| is_foreign(party, at))
}

fn is_alias(
    question: &Question<'_>,
    hop: HopIndex,
    flow: &Flow,
    alias: &(Endpoint, Endpoint),
) -> bool {
    let is = |rule: &Endpoint, at: &Endpoint| {
        rule.addr == at.addr && (rule.port == 0 || rule.port == at.port)
    };
    is(&alias.0, &flow.src)
        && announced(question, hop, flow.receiver.other()).any(|known| is(&alias.1, &known.rtp))
}

/// The SSRCs of a trusted flow: one after the other they are the speaker, side by side only the first is.
fn voices(
    question: &Question<'_>,
    hop: HopIndex,
    index: usize,
    trust: Trust,
    selection: &mut Selection,
) {
    let flow = &question.media.flows[index];
    let speaker = flow.receiver.other();
    let leg = announced(question, hop, speaker)
        .find(|known| known.rtp == flow.src)
        .and_then(|known| known.leg);
    let (until_ns, fits) = match (leg, question.answered(hop.invite())) {
        (Some(leg), Some((answered, at))) if leg != answered => (Some(at), 0),
        _ => (None, 10),
    };
    let mut in_order: Vec<&SsrcUse> = flow.ssrcs.iter().collect();
    in_order.sort_by_key(|known| (known.first_ns, known.ssrc));
    let mut established: Vec<&SsrcUse> = Vec::new();
    for candidate in in_order {
        let overlapped = |known: &&SsrcUse| {
            known.concurrent > CONCURRENT_MAX && candidate.first_ns < known.last_ns
        };
        if candidate.concurrent > CONCURRENT_MAX && established.iter().any(overlapped) {
            selection.kept_apart.push(KeptApart {
                flow: index,
                ssrc: Some(candidate.ssrc),
                why: "a second SSRC while the first still spoke",
            });
            continue;
        }
        established.push(candidate);
        let priority = fits + trust as i32;
        selection.heard.push(Heard {
            flow: index,
            ssrc: candidate.ssrc,
            voice: 0,
            speaker,
            trust,
            priority,
            invite: hop.invite(),
            from_ns: 0,
            until_ns,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::media::SsrcUse;
    use crate::call::seldom::Seldom;
    use smallvec::SmallVec;

    const A: Endpoint = Endpoint::v4([10, 0, 0, 1], 4000);
    const B: Endpoint = Endpoint::v4([10, 0, 0, 2], 5000);
    const X: Endpoint = Endpoint::v4([203, 0, 113, 9], 6000);

    fn announce(party: Party, path: u8, rtp: Endpoint) -> Announced {
        let leg = (party == Party::Callee).then_some(LegIndex(0));
        Announced {
            party,
            hop: HopIndex::new(InviteIndex(0), path),
            leg,
            rtp,
            rtcp: None,
            from_ns: 0,
            payload_types: SmallVec::new(),
            encrypted: false,
            teller: rtp,
        }
    }

    fn flow(src: Endpoint, dst: Endpoint, receiver: Party, packets: u64) -> Flow {
        let ssrcs = vec![SsrcUse { ssrc: 7, first_ns: 0, last_ns: 100, packets, concurrent: 0 }];
        Flow {
            src,
            dst,
            receiver,
            first_ns: 0,
            last_ns: 100,
            packets,
            chains: Vec::new(),
            ssrcs,
            mixed: Seldom::new(),
        }
    }

    fn choose(announced: &[Announced], flows: Vec<Flow>) -> Selection {
        let media = Media { flows, left_out: 0 };
        select(&Question {
            announced,
            media: &media,
            answered: None,
            legs: &[],
            invites: None,
            holds: &[],
            unrecorded: &[],
            prefer: Prefer::Best,
            aliases: &[],
        })
    }

    /// CALL-3: a stream from elsewhere to an announced port is kept apart.
    #[test]
    fn a_spoofed_stream_is_not_heard() {
        let announced = [announce(Party::Caller, 0, A), announce(Party::Callee, 0, B)];
        let flows = vec![
            flow(A, B, Party::Callee, 100),
            flow(X, A, Party::Caller, 500),
            flow(B.with_port(5001), A, Party::Caller, 50),
            flow(B, A, Party::Caller, 100),
        ];
        let selection = choose(&announced, flows);
        let heard: Vec<usize> = selection.heard.iter().map(|heard| heard.flow).collect();
        assert_eq!(heard, [0, 3]);
        assert_eq!(selection.kept_apart.len(), 2);
    }

    /// CALL-3: an address that nobody announced is believed when media goes there and comes from there.
    #[test]
    fn a_peer_behind_address_translation_is_proven_by_both_directions() {
        let announced = [announce(Party::Caller, 0, A), announce(Party::Callee, 0, B)];
        let both = vec![flow(X, A, Party::Caller, 100), flow(A, X, Party::Callee, 100)];
        let selection = choose(&announced, both);
        assert_eq!(selection.heard.len(), 2);
        assert!(selection.heard.iter().all(|heard| heard.trust == Trust::Proven));
        assert!(choose(&announced, vec![flow(X, A, Party::Caller, 100)]).heard.is_empty());
        assert!(choose(&announced, vec![flow(A, X, Party::Callee, 100)]).heard.is_empty());
    }

    /// CALL-2: where a relay's both sides are seen, one side is heard, the one with both parties.
    #[test]
    fn one_hop_of_a_relayed_call_is_heard() {
        let (r1, r2) = (X, X.with_port(6002));
        let announced = [
            announce(Party::Caller, 0, A),
            announce(Party::Callee, 0, r1),
            announce(Party::Caller, 1, r2),
            announce(Party::Callee, 1, B),
        ];
        let flows = vec![
            flow(A, r1, Party::Callee, 100),
            flow(r2, B, Party::Callee, 100),
            flow(B, r2, Party::Caller, 100),
        ];
        let selection = choose(&announced, flows);
        let heard: Vec<usize> = selection.heard.iter().map(|heard| heard.flow).collect();
        assert_eq!(heard, [1, 2]);
        assert_eq!(selection.kept_apart.len(), 1);
    }

    /// CALL-4: an SSRC that speaks into another is not the same voice; one that follows it is.
    #[test]
    fn a_second_voice_in_a_flow_is_kept_apart() {
        let announced = [announce(Party::Caller, 0, A), announce(Party::Callee, 0, B)];
        let mut with_intruder = flow(A, B, Party::Callee, 100);
        with_intruder.ssrcs[0].concurrent = 90;
        with_intruder.ssrcs.push(SsrcUse {
            ssrc: 8,
            first_ns: 50,
            last_ns: 100,
            packets: 90,
            concurrent: 90,
        });
        let selection = choose(&announced, vec![with_intruder]);
        assert_eq!(selection.heard.len(), 1);
        assert_eq!(selection.kept_apart[0].ssrc, Some(8));
        let mut changed = flow(A, B, Party::Callee, 100);
        changed.ssrcs.push(SsrcUse {
            ssrc: 8,
            first_ns: 101,
            last_ns: 200,
            packets: 90,
            concurrent: 2,
        });
        assert_eq!(choose(&announced, vec![changed]).heard.len(), 2);
    }

    /// CALL-2: a change of port is no change of voice.
    #[test]
    fn a_voice_goes_on_at_another_address() {
        let moved = B.with_port(5010);
        let announced = [
            announce(Party::Caller, 0, A),
            announce(Party::Callee, 0, B),
            announce(Party::Callee, 0, moved),
        ];
        let flows = vec![flow(A, B, Party::Callee, 100), flow(A, moved, Party::Callee, 100)];
        let voices = choose(&announced, flows).voices().len();
        assert_eq!(voices, 1);
    }
}
