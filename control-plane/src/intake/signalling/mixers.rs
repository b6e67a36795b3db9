//! What a mixer says of whom it mixes: a phone or a box whose calls hear each other (CALL-5).

use std::net::IpAddr;

use earwitness_voip::rtp::Header;
use earwitness_wire::Endpoint;

use super::super::correlator::Known;
use super::Signalling;
use crate::call::limits::VOICES_MAX;
use crate::call::table::CallTable;
use crate::call::{Announced, Call, Party};

impl Signalling {
    /// A packet of a call. RFC 3550 section 7.1: a mixer names the sources of what it has mixed. Two calls in which the
    /// same host names, or hears, the same source are one conversation.
    pub fn mixed(
        &mut self,
        (src, dst): (Endpoint, Endpoint),
        at_ns: u64,
        packet: &[u8],
        table: &mut CallTable,
    ) {
        // Nearly no packet names any.
        if packet.first().is_none_or(|first| first & 0x0f == 0) {
            return;
        }
        let Ok(header) = Header::parse(packet) else { return };
        let Some(binding) = table.holder(&dst, at_ns) else { return };
        let Some(call) = table.get_mut(binding.call) else { return };
        let (mixer, side) = (src.to_socket_addr().ip(), binding.receiver.other());
        // Nobody is believed who only sends to an address of the call.
        let is_the_party = |known: &Announced| known.party == side && ip(known.rtp) == mixer;
        if !call.announced.iter().any(is_the_party) {
            return;
        }
        let Some(flow) = call.media.flow_mut((src, dst), binding.receiver) else { return };
        if !flow.note_mixed(header.csrcs(packet)) {
            return;
        }
        let mut voices = flow.mixed.to_vec();
        voices.extend(heard_by(call, mixer, side));
        let is_its = |known: &&Announced| known.rtp == dst && known.party == binding.receiver;
        let Some(announced) = call.announced.iter().rev().find(is_its) else { return };
        let Some(invite) = call.invites.get_mut(announced.hop.invite()) else { return };
        let (leg, party) = (invite.leg, invite.side(side));
        invite.focus = Some(party);
        let Some(seat) = self.seats.get_mut(&leg) else { return };
        let (place, mut keys) = (seat.place(), std::mem::take(&mut seat.keys));
        let Self { correlator, dialogs, seats, .. } = self;
        let known = Known { dialogs, seats, table };
        let tie = correlator.by_voices((leg, party), (mixer, &voices), &mut keys, known);
        if let Some(seat) = self.seats.get_mut(&leg) {
            seat.keys = keys;
        }
        if let Some(tie) = tie {
            self.merge(place, &tie, at_ns, table);
        }
    }
}

/// What the mixer hears in a call, and names in others.
fn heard_by(call: &Call, mixer: IpAddr, side: Party) -> impl Iterator<Item = u32> + '_ {
    let flows = call.media.flows.iter();
    let to_it = flows.filter(move |flow| flow.receiver == side && ip(flow.dst) == mixer);
    to_it.flat_map(|flow| flow.ssrcs.iter().map(|known| known.ssrc)).take(VOICES_MAX)
}

fn ip(endpoint: Endpoint) -> IpAddr {
    endpoint.to_socket_addr().ip()
}
