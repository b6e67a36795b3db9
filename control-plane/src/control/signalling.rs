//! Commands in SIP: MESSAGE with a body, INVITE to a feature code, digits of INFO.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};

use earwitness_voip::dialog::Seen;
use earwitness_voip::sip::{self, Message, Method, StartLine};

use super::keys::Key;
use super::limits::{DIALLED_MAX, RECENT_MAX};
use super::request::{self, NoRequest, Request, who};
use super::{
    Command, Control, Operation, Origin, Pad, Refusal, TOO_MANY_SESSIONS, sessions, tell_several,
};
use crate::call::coverage::{By, Wanted};
use crate::call::table::CallTable;
use crate::call::{Call, CallSlot, Digit, Party};

/// Which messages were seen already.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// Commands that were heard: each is sent again, and seen at several hops.
    heard: VecDeque<HeardOnce>,
    /// Call-IDs of calls to a feature code.
    dialled: VecDeque<Vec<u8>>,
    seed: foldhash::quality::RandomState,
}

/// One transaction at one hop.
#[derive(Debug, Clone, Copy)]
struct HeardOnce {
    transaction: u64,
    /// What is asked for and by whom, whichever transaction it is in.
    request: u64,
    peer: IpAddr,
    obeyed: bool,
    /// It is asked for again with credentials.
    challenged: bool,
}

impl Messages {
    /// Whether a command is heard for the first time: not from this peer before, nor obeyed at another hop, nor before it
    /// was challenged.
    fn is_new(&mut self, message: &Message<'_>, peer: IpAddr) -> bool {
        let transaction = self.transaction(message);
        let is_it = |known: &HeardOnce| {
            known.transaction == transaction && (known.obeyed || known.peer == peer)
        };
        if self.heard.iter().any(is_it) {
            return false;
        }
        let tag = message.from().tag.unwrap_or_default();
        let request = self.seed.hash_one((message.call_id(), tag, message.body));
        // RFC 3261 section 22.2: it comes again in a transaction of its own.
        let is_retried =
            |known: &&mut HeardOnce| known.challenged && known.obeyed && known.request == request;
        let retried = self.heard.iter_mut().find(is_retried).filter(|_| has_credentials(message));
        let obeyed = retried.map(|known| known.challenged = false).is_some();
        if self.heard.len() == RECENT_MAX {
            // One that was refused may be refused again; one that was obeyed must not be obeyed again.
            let oldest = self.heard.iter().position(|known| !known.obeyed).unwrap_or(0);
            self.heard.remove(oldest);
        }
        self.heard.push_back(HeardOnce { transaction, request, peer, obeyed, challenged: false });
        !obeyed
    }

    /// The answer to a command asks for credentials.
    fn challenged(&mut self, answer: &Message<'_>) {
        let transaction = self.transaction(answer);
        let meant = self.heard.iter_mut().filter(|known| known.transaction == transaction);
        meant.for_each(|known| known.challenged = true);
    }

    fn transaction(&self, message: &Message<'_>) -> u64 {
        let tag = message.from().tag.unwrap_or_default();
        self.seed.hash_one((message.call_id(), message.cseq().0, tag))
    }

    /// The command that was heard last is obeyed.
    fn obeyed(&mut self) {
        if let Some(last) = self.heard.back_mut() {
            last.obeyed = true;
        }
    }
}

fn has_credentials(message: &Message<'_>) -> bool {
    let names: [&[u8]; 2] = [b"Authorization", b"Proxy-Authorization"];
    names.into_iter().any(|name| message.header_by_name(name).next().is_some())
}

/// The digits that an INVITE asks for, if it begins a call.
fn dialled_number(message: &Message<'_>) -> Option<Vec<u8>> {
    let StartLine::Request { method: Method::Invite, uri } = message.start else { return None };
    let begins = message.to().tag.is_none();
    let user = sip::SipUri::parse(uri).filter(|_| begins)?.user?;
    // RFC 3261 section 19.1.6: a telephone number in it has its parameters there.
    user.split(|byte| *byte == b';').next().map(unescaped)
}

impl Control {
    /// A call to a feature code, which is a command and no call: true if the message was of one.
    pub fn dialled(&mut self, seen: Seen, message: &Message<'_>, table: &mut CallTable) -> bool {
        if self.messages.dialled.iter().any(|known| known == message.call_id()) {
            return true;
        }
        let Some(number) = dialled_number(message) else { return false };
        let is_code = self.settings.codes.dialled(&number).is_some()
            || table.rules().policy.is_feature_code(&number);
        // Most numbers are nobody's code: then who dials need not be looked for.
        if !is_code {
            return false;
        }
        let caller = who(message);
        let found = caller.as_deref().and_then(|caller| call_of(table, caller, message));
        let dialler = (caller.as_deref(), seen.src);
        let Some(operation) = self.dialled_code(&number, found, dialler, table) else {
            return false;
        };
        let peer = seen.src.ip();
        let command = Command {
            operation,
            at_ns: seen.ts_ns,
            by: By::Dialled,
            party: found.map(|(_, party)| party),
            side: None,
            who: caller,
            from: Some(peer.to_string()),
        };
        let slot = found.map(|(slot, _)| slot);
        let admitted = self.admit(peer, command.party);
        let slot = match admitted.and_then(|()| slot.ok_or(Refusal::UnknownCall)) {
            Ok(slot) => slot,
            Err(refusal) => {
                if self.messages.is_new(message, peer) {
                    self.refuse(slot, &command, refusal, table);
                }
                // Somebody calls that number: it is a call like any other.
                return false;
            }
        };
        if self.messages.dialled.len() == DIALLED_MAX {
            self.messages.dialled.pop_front();
        }
        self.messages.dialled.push_back(message.call_id().to_vec());
        self.obey(slot, &command, table);
        true
    }

    /// What the number means: by the codes of the call that is meant, as if it were pressed there, and by those of the
    /// tenant of who dials.
    fn dialled_code(
        &self,
        number: &[u8],
        call: Option<(CallSlot, Party)>,
        (caller, from): (Option<&str>, SocketAddr),
        table: &CallTable,
    ) -> Option<Operation> {
        let of_call = call.map(|(slot, _)| self.codes_of(slot, table));
        let of_tenant = || {
            let rules = table.rules();
            let tenant = rules.policy.tenant_of_caller(caller?, from)?;
            Some(self.settings.codes.with(&rules.policy.on_demand(tenant).0.feature_codes))
        };
        let meant = of_call.as_ref().and_then(|codes| codes.dialled(number));
        meant.or_else(|| match (of_tenant(), &of_call) {
            (Some(codes), _) => codes.dialled(number),
            (None, None) => self.settings.codes.dialled(number),
            (None, Some(_)) => None,
        })
    }

    /// A message, and the call whose dialog it is in.
    pub fn message(
        &mut self,
        seen: Seen,
        message: &Message<'_>,
        slot: Option<CallSlot>,
        table: &mut CallTable,
    ) {
        match message.method() {
            Method::Invite => self.learn_sessions(message, slot, table),
            Method::Message => match message.status() {
                None => {
                    if let Some(read) = request::read(message) {
                        self.request(seen, message, slot, read, table);
                    }
                }
                Some(401 | 407) => self.messages.challenged(message),
                Some(_) => {}
            },
            _ => {}
        }
    }

    fn learn_sessions(
        &mut self,
        message: &Message<'_>,
        slot: Option<CallSlot>,
        table: &mut CallTable,
    ) {
        if self.settings.allow.is_empty() || !matches!(message.status(), None | Some(200..=299)) {
            return;
        }
        let Some(slot) = slot else { return };
        for id in sessions::named(message, &self.settings.session_header) {
            if self.sessions.add(id, slot).is_err()
                && let Some(call) = table.get_mut(slot)
            {
                call.trace.note(call.heard_ns, "limit", TOO_MANY_SESSIONS);
            }
        }
    }

    fn request(
        &mut self,
        seen: Seen,
        message: &Message<'_>,
        slot: Option<CallSlot>,
        read: Result<Request, NoRequest>,
        table: &mut CallTable,
    ) {
        let peer = seen.src.ip();
        if !self.messages.is_new(message, peer) {
            return;
        }
        let is_malformed = read.is_err();
        // What it asked for is not known; that it was refused is counted all the same.
        let unknown = Request { operation: Operation::Unknown, session_id: None, side: None };
        let request = read.unwrap_or(unknown);
        let slots = self.meant(slot, request.session_id.as_deref(), message);
        let caller = who(message);
        let party = |slot: CallSlot| party_of(table.get(slot)?, message, caller.as_deref());
        let parties: Vec<(CallSlot, Option<Party>)> =
            slots.iter().map(|slot| (*slot, party(*slot))).collect();
        let command = |party| Command {
            operation: request.operation,
            at_ns: seen.ts_ns,
            by: if slot.is_some() { By::DialogMessage } else { By::Message },
            party,
            side: request.side,
            who: caller.clone(),
            from: Some(peer.to_string()),
        };
        let refusal = match (self.admit(peer, None), parties.is_empty()) {
            _ if is_malformed => Some(Refusal::Malformed),
            (Err(Refusal::NotAllowed), _) => Some(Refusal::NotAllowed),
            (_, true) => Some(Refusal::UnknownSession),
            _ => None,
        };
        if let Some(refusal) = refusal {
            let (slot, party) = parties.first().copied().unzip();
            self.refuse(slot, &command(party.flatten()), refusal, table);
            return;
        }
        tell_several(&slots, &command(None), table);
        for (slot, party) in parties {
            match self.admit(peer, party) {
                Ok(()) => {
                    self.messages.obeyed();
                    self.obey(slot, &command(party), table);
                }
                Err(refusal) => self.refuse(Some(slot), &command(party), refusal, table),
            }
        }
    }

    /// The calls that are meant: that of the dialog, or all of the session, which the body or a header names.
    fn meant(
        &self,
        slot: Option<CallSlot>,
        session_id: Option<&str>,
        message: &Message<'_>,
    ) -> Vec<CallSlot> {
        match (slot, session_id) {
            (Some(slot), _) => vec![slot],
            (None, Some(id)) => self.sessions.of(id).to_vec(),
            (None, None) => {
                let ids = sessions::named(message, &self.settings.session_header);
                let named = ids.iter().map(|id| self.sessions.of(id));
                named
                    .into_iter()
                    .find(|calls| !calls.is_empty())
                    .map_or_else(Vec::new, <[_]>::to_vec)
            }
        }
    }

    /// A digit of INFO, on one of the call's legs: another one may carry the same. It is told in the call's row, unless it
    /// is hidden or part of a feature code.
    pub fn digit(
        &mut self,
        slot: CallSlot,
        digit: Digit,
        peer: Option<IpAddr>,
        table: &mut CallTable,
    ) {
        let Some(call) = table.get_mut(slot) else { return };
        let hidden = call.coverage.wanted_at(digit.at_ns, digit.party);
        if hidden == Wanted::Kept && !self.settings.mask_keys {
            call.add_digit(digit);
        }
        let Some(peer) = peer.filter(|_| self.is_listening()) else { return };
        let from_ns = digit.at_ns.saturating_sub(u64::from(digit.duration_ms) * 1_000_000);
        let key = Key { key: digit.digit, from_ns, until_ns: digit.at_ns };
        let pad = Pad { slot, party: digit.party, by: By::Info, stream: digit.leg.0 };
        let codes = self.codes_of(slot, table);
        if let Some(pressed) = self.keypads.press(pad, key, &codes) {
            self.pressed(pad, (peer, Origin::Log), &pressed, table);
        }
    }
}

/// `%23` is `#` (RFC 3261 section 19.1.2).
fn unescaped(user: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(user.len());
    let mut rest = user;
    while let Some((first, behind)) = rest.split_first() {
        let escaped = || {
            let digits = std::str::from_utf8(behind.get(..2)?).ok()?;
            u8::from_str_radix(digits, 16).ok()
        };
        match (*first == b'%').then(escaped).flatten() {
            Some(byte) => {
                plain.push(byte);
                rest = &behind[2..];
            }
            None => {
                plain.push(*first);
                rest = behind;
            }
        }
    }
    plain
}

/// The party that sent a message in or about a call, by the side that it is on.
fn party_of(call: &Call, message: &Message<'_>, who: Option<&str>) -> Option<Party> {
    let tag = message.from().tag.map(|tag| sip::text(tag).into_owned());
    let has = |of: &Option<String>| tag.is_some() && *of == tag;
    let by_tag = call.legs.iter().find_map(|leg| {
        let end = [(Party::Caller, &leg.from_tag), (Party::Callee, &leg.to_tag)];
        let (end, _) = end.into_iter().find(|(_, tag)| has(tag))?;
        Some(call.invites.get(leg.invite).map_or(end, |invite| invite.side(end)))
    });
    by_tag
        .or_else(|| party_named(call, who?, |known, who| known == who))
        .or_else(|| party_named(call, who?, |known, who| user(known) == user(who)))
}

/// The side of who is called so on one of the call's legs that are not over.
fn party_named(call: &Call, who: &str, same: impl Fn(&str, &str) -> bool) -> Option<Party> {
    let live = || call.invites.iter().filter(|invite| !invite.is_over);
    let is = |side: Party| {
        live().any(|invite| {
            let named = call.address_in(invite, invite.side(side));
            named.is_some_and(|known| same(known, who))
        })
    };
    match (is(Party::Caller), is(Party::Callee)) {
        (true, false) => Some(Party::Caller),
        (false, true) => Some(Party::Callee),
        _ => None,
    }
}

fn user(address: &str) -> &str {
    address.split('@').next().unwrap_or(address)
}

/// The call in progress that somebody is a party of, but that which the message is of; of several the one that began last.
/// By the whole address, or by its user alone where that is one call's only.
fn call_of(table: &CallTable, who: &str, message: &Message<'_>) -> Option<(CallSlot, Party)> {
    let is_own =
        |call: &Call| call.legs.iter().any(|leg| leg.call_id.as_bytes() == message.call_id());
    let open = || table.iter().filter(|call| call.ended_ns.is_none() && !is_own(call));
    let named = |same: fn(&str, &str) -> bool| {
        open().filter_map(move |call| Some((call, party_named(call, who, same)?)))
    };
    let exact = named(|known, who| known == who).max_by_key(|(call, _)| call.started_ns);
    let by_user = || {
        let mut found = named(|known, who| user(known) == user(who));
        found.next().filter(|_| found.next().is_none())
    };
    exact.or_else(by_user).map(|(call, party)| (call.slot, party))
}
