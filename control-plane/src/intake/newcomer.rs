//! What the first message of a leg says of who calls whom, and from where.

use std::net::SocketAddr;

use earwitness_voip::dialog::{DialogEvent, EventKind, Hop, LegId, Origin, Party};
use earwitness_voip::sdp::MediaKind;
use earwitness_voip::sip::{self, HeaderName, Message, NameAddr, StartLine};
use earwitness_wire::Endpoint;

use crate::call::leg::{Invite, Said};
use crate::call::number::Number;

/// A leg that has just begun.
#[derive(Debug, Clone, Copy)]
pub struct Newcomer<'m> {
    pub leg: LegId,
    pub origin: Origin,
    pub hop: Hop,
    pub at_ns: u64,
    pub message: &'m Message<'m>,
    pub calling: Option<Number>,
    pub called: Option<Number>,
    /// What was said at the same time.
    pub events: &'m [DialogEvent],
}

impl<'m> Newcomer<'m> {
    pub fn new(
        (leg, at_ns): (LegId, u64),
        (origin, hop): (Origin, Hop),
        message: &'m Message<'m>,
        events: &'m [DialogEvent],
    ) -> Self {
        let (calling, called) = (number(message.from()), number(message.to()));
        Self { leg, origin, hop, at_ns, message, calling, called, events }
    }

    /// The number that the INVITE is sent to, whatever To says.
    pub fn target(&self) -> Option<Number> {
        Number::read(request_uri(self.message)?.user?)
    }

    /// Where the caller says that it receives audio.
    pub fn offered(&self) -> impl Iterator<Item = Endpoint> + '_ {
        let offers = self.events.iter().filter(|event| event.dialog.leg == self.leg);
        let offers = offers.filter_map(|event| match &event.kind {
            EventKind::MediaChanged { media, .. } => media.caller_pending.as_deref(),
            _ => None,
        });
        let lines = offers.flat_map(|offer| &offer.media);
        let audio = lines.filter(|line| line.kind == MediaKind::Audio && !line.is_rejected());
        audio.filter_map(|line| line.receive_rtp()).map(Endpoint::from)
    }

    /// As the call keeps it.
    pub fn invite(&self) -> Invite {
        let mut invite = Invite {
            invited_ns: self.at_ns,
            calling: self.calling,
            called: self.called,
            ..Invite::of_leg(self.leg, self.hop)
        };
        let by = if self.message.is_request() { Party::Caller } else { Party::Callee };
        note_identities(&mut invite, by, self.message);
        invite
    }
}

/// Whether the second hop goes on from where the first one went: through the same box.
pub fn goes_on(first: Hop, second: Hop) -> bool {
    let is_one_host = first.caller().ip() == first.callee().ip();
    second.caller() != first.caller() && is_host(first.callee(), second.caller(), is_one_host)
}

/// Whether two addresses of signalling are of one host; where hosts share an address, ports tell them apart.
pub fn is_host(one: SocketAddr, other: SocketAddr, by_port: bool) -> bool {
    one.ip() == other.ip() && (!by_port || one.port() == other.port())
}

/// The user of an address as a number.
pub fn number(address: &NameAddr<'_>) -> Option<Number> {
    Number::read(address.sip_uri()?.user?)
}

/// Where a request is sent to.
pub fn request_uri<'m>(message: &Message<'m>) -> Option<sip::SipUri<'m>> {
    let StartLine::Request { uri, .. } = message.start else { return None };
    sip::SipUri::parse(uri)
}

/// The same as `user@host`.
pub fn target_text(message: &Message<'_>) -> Option<String> {
    uri_text(&request_uri(message)?)
}

/// Keeps who `by` says it is, and what the network says of it.
pub fn note_identities(invite: &mut Invite, by: Party, message: &Message<'_>) {
    if let Some(text) = target_text(message) {
        invite.note(Said::RequestUri, by, text);
    }
    note_fields(invite, by, message, |_| true);
}

/// Keeps what an INVITE says past a proxy alone: who diverted it, and who a caller is that does not say so itself.
/// Returns whether that is news.
pub fn note_past_proxy(invite: &mut Invite, message: &Message<'_>) -> bool {
    let before = invite.identities.len();
    let asserted = [Said::PAssertedIdentity, Said::RemotePartyId];
    let is_withheld = invite.calling.is_none()
        && asserted.iter().all(|said| invite.said(*said, Party::Caller).next().is_none());
    note_fields(invite, Party::Caller, message, |said| match said {
        Said::Diversion | Said::ReferredBy => true,
        _ => is_withheld && asserted.contains(&said),
    });
    invite.identities.len() > before
}

fn note_fields(
    invite: &mut Invite,
    by: Party,
    message: &Message<'_>,
    is_wanted: impl Fn(Said) -> bool,
) {
    for header in message.headers.iter() {
        let said = match header.name {
            HeaderName::Contact => Said::Contact,
            HeaderName::PAssertedIdentity => Said::PAssertedIdentity,
            HeaderName::RemotePartyId => Said::RemotePartyId,
            HeaderName::Diversion => Said::Diversion,
            HeaderName::HistoryInfo => Said::HistoryInfo,
            HeaderName::ReferredBy => Said::ReferredBy,
            _ => continue,
        };
        for address in sip::addresses(header.value).filter(|_| is_wanted(said)) {
            if let Some(text) = address_text(&address) {
                invite.note(said, by, text);
            }
        }
    }
}

/// `user@host`, a bare number, or the URI as it came. IPv6 hosts stand in brackets (RFC 3261 section 25.1).
pub fn address_text(address: &NameAddr<'_>) -> Option<String> {
    let Some(uri) = address.sip_uri() else {
        return Some(sip::text(address.uri).into_owned()).filter(|uri| !uri.is_empty());
    };
    uri_text(&uri)
}

fn uri_text(uri: &sip::SipUri<'_>) -> Option<String> {
    let is_ipv6 = uri.host.contains(&b':');
    let around = usize::from(uri.user.is_some()) + 2 * usize::from(is_ipv6);
    let mut text = String::with_capacity(uri.user.map_or(0, <[u8]>::len) + uri.host.len() + around);
    if let Some(user) = uri.user {
        // RFC 3261 section 19.1.4: `%2B` is `+`. What is not printable stays escaped.
        let plain = sip::percent_decode(user);
        let is_printable = !plain.iter().any(u8::is_ascii_control);
        text.push_str(&sip::text(if is_printable { &plain } else { user }));
    }
    if uri.host.is_empty() {
        return uri.user.is_some().then_some(text);
    }
    if uri.user.is_some() {
        text.push('@');
    }
    text.push_str(if is_ipv6 { "[" } else { "" });
    text.push_str(&sip::text(uri.host));
    text.push_str(if is_ipv6 { "]" } else { "" });
    Some(text)
}
