//! Media that arrives: whose call it is of, what it says of a peer behind address translation, and whether there may be
//! keys in it.

use earwitness_ipc::{FlowSeen, Overheard};
use earwitness_wire::Endpoint;

use super::binding::{Binding, Found, TsNs};
use super::coverage::Wanted;
use super::limits::ALIASES_PER_CALL_MAX;
use super::media::{Added, Arrival};
use super::table::CallTable;
use crate::control::{Heard, Origin};

impl CallTable {
    /// An undecided flow has begun. Where it comes from a party's own announced address and goes to one that
    /// nobody announced, it may be that party's voice on its way to a peer behind address translation: it is
    /// kept, and heard only if media comes back the same way (CALL-3).
    pub fn flow_seen(&mut self, seen: &FlowSeen) {
        if seen.ssrc.is_none() || self.bindings.find(&seen.dst, seen.ts_ns).is_some() {
            return;
        }
        let Some(from) = self.bindings.find(&seen.src, seen.ts_ns) else { return };
        let receiver = from.receiver.other();
        let Some(call) = self.get_mut(from.call) else { return };
        if call.aliases.len() >= ALIASES_PER_CALL_MAX || !call.is_recorded() {
            return;
        }
        call.aliases.push((seen.dst, receiver));
        call.trace.note(
            seen.ts_ns,
            "media",
            format!("{} also sends to {}", receiver.other().name(), seen.dst),
        );
        let early_ns = self.timing.hold_ns;
        self.bind(from.call, seen.dst, receiver, seen.ts_ns, early_ns);
    }

    /// A media record. Returns what it changed, or `None` if it is of no call.
    pub fn media(&mut self, src: Endpoint, dst: Endpoint, arrival: &Arrival) -> Option<Added> {
        self.media_again(src, dst, arrival, &mut Found::default())
    }

    /// The same, of a flow that was heard before: `found` is what its address was found to be then.
    pub fn media_again(
        &mut self,
        src: Endpoint,
        dst: Endpoint,
        arrival: &Arrival,
        found: &mut Found,
    ) -> Option<Added> {
        self.heard = None;
        let Some(binding) = self.bindings.find_again(&dst, arrival.ts_ns, found) else {
            self.late_media(src, dst, arrival);
            return None;
        };
        let call = self.get_mut(binding.call)?;
        call.heard_ns = call.heard_ns.max(arrival.ts_ns);
        let added = call.media.add((src, dst), binding.receiver, arrival);
        if matches!(added, Added::NewFlow | Added::NewSsrc)
            && let Some(ssrc) = arrival.ssrc
        {
            let speaker = binding.receiver.other().name();
            let text = format!("stream {ssrc:#010x} {src} > {dst}, {speaker} speaks");
            call.trace.note(arrival.ts_ns, "media", text);
        }
        let event_types = call.event_types;
        let may_be_wanted = call.coverage.is_plain() || arrival.masked;
        let is_listened = |number| (event_types | self.listens_to) >> number & 1 == 1;
        if arrival.payload_type.is_some_and(is_listened) {
            self.heard = Some((binding.call, binding.receiver.other(), event_types));
        }
        if !may_be_wanted {
            self.check_wanted(&binding, arrival);
        }
        Some(added)
    }

    /// The packet that was taken last, if there may be keys in it.
    #[must_use]
    pub fn heard<'a>(
        &self,
        (src, dst): (Endpoint, Endpoint),
        ts_ns: TsNs,
        packet: &'a [u8],
    ) -> Option<Heard<'a>> {
        let (slot, speaker, event_types) = self.heard?;
        let origin = Origin::Log;
        Some(Heard { slot, speaker, src, dst, ts_ns, event_types, packet, origin })
    }

    /// A packet that is masked, and in the log without what it carries.
    #[must_use]
    pub fn overheard<'a>(&self, packet: &'a Overheard) -> Option<Heard<'a>> {
        let binding = self.bindings.find(&packet.dst, packet.ts_ns)?;
        let event_types = self.get(binding.call)?.event_types;
        Some(Heard {
            slot: binding.call,
            speaker: binding.receiver.other(),
            src: packet.src,
            dst: packet.dst,
            ts_ns: packet.ts_ns,
            event_types,
            packet: &packet.payload,
            origin: Origin::Unwritten,
        })
    }

    /// Payload types, by bit, that are looked at for keys whatever SDP says.
    pub fn listen_to(&mut self, payload_types: u128) {
        self.listens_to = payload_types;
    }

    /// CAP-9: what was written with its payload before capture knew better is destroyed.
    fn check_wanted(&mut self, binding: &Binding, arrival: &Arrival) {
        let Some(call) = self.get_mut(binding.call) else { return };
        let speaker = binding.receiver.other();
        if call.coverage.wanted_at(arrival.ts_ns, speaker) != Wanted::Kept {
            call.destroyed += 1;
            self.erasures.record(arrival.lane, arrival.pos, arrival.prev, arrival.ts_ns);
        }
    }

    /// Media that comes to a call's address when the call is over, and before anybody else has the address.
    fn late_media(&mut self, src: Endpoint, dst: Endpoint, arrival: &Arrival) {
        if let Some(binding) = self.bindings.before(&dst, arrival.ts_ns)
            && let Some(call) = self.get_mut(binding.call)
            && call.is_recorded()
        {
            call.late.get_or_insert_default().add((src, dst), binding.receiver, arrival);
        }
    }
}
