//! Who is registered where: REGISTER as the tap has seen it, believed when the registrar has answered 2xx (RFC 3261
//! section 10).
//!
//! A phone that hides its name in a call is known by the address that it signals from. Only what the log says counts, in its
//! order, so reading it again comes to the same; times are packet times. No I/O.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use earwitness_voip::dialog::Seen;
use earwitness_voip::sip::{self, HeaderName, Message, Method, NameAddr, Scheme};

use super::newcomer::address_text;
use crate::call::binding::TsNs;
use crate::call::limits::{
    ADDRESS_BYTES_MAX, DEVICES_PER_RECORD_MAX, RECORDS_PER_PLACE_MAX, REGISTERS_MAX,
    REGISTRATIONS_MAX,
};

const SECOND_NS: u64 = 1_000_000_000;
/// RFC 3261 section 17.1.2.2: who has not been answered by then has given up (timer F).
const ANSWERED_WITHIN_NS: u64 = 32 * SECOND_NS;
/// RFC 3261 section 10.2.1.1: a registrar that says nothing else keeps a contact for an hour.
const USUAL_S: u64 = 3_600;
/// How often what has run out is looked for.
const SWEEP_NS: u64 = 60 * SECOND_NS;

type Hasher = foldhash::quality::RandomState;

/// A REGISTER that is not answered yet.
#[derive(Debug)]
struct Asked {
    at_ns: TsNs,
    registrar: IpAddr,
    /// Where it came from, if no proxy sent it on.
    phone: Option<SocketAddr>,
    record: Arc<str>,
    contacts: Vec<Contact>,
}

/// Where a device says that it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Contact {
    user: Box<str>,
    place: Option<SocketAddr>,
    /// Of a name, where no address stands.
    host: Box<str>,
    expires_s: Option<u64>,
}

/// A device of an address of record.
#[derive(Debug)]
struct Device {
    contact: Contact,
    /// The contact's address, and where its REGISTER came from.
    places: [Option<SocketAddr>; 2],
    until_ns: TsNs,
}

/// All registrations that are in force.
#[derive(Debug, Default)]
pub struct Registrations {
    asked: HashMap<u64, Asked, foldhash::fast::RandomState>,
    /// In the order in which they were asked.
    waiting: VecDeque<u64>,
    devices: HashMap<Arc<str>, Vec<Device>, Hasher>,
    /// Of each place, who may be there.
    places: HashMap<SocketAddr, Vec<Arc<str>>, Hasher>,
    seed: Hasher,
    count: usize,
    swept_ns: TsNs,
    /// Registrations that there was no room for.
    pub left_out: u64,
}

impl Contact {
    fn read(address: &NameAddr<'_>) -> Option<Self> {
        let uri = address.sip_uri().filter(|uri| !uri.host.is_empty())?;
        let host = sip::text(uri.host);
        // RFC 3261 section 19.1.2.
        let usual_port = if uri.scheme == Scheme::Sips { 5061 } else { 5060 };
        let place = host.parse::<IpAddr>().ok();
        let place = place.map(|ip| SocketAddr::new(ip, uri.port.unwrap_or(usual_port)));
        let user = sip::text(uri.user.unwrap_or_default());
        let fits = user.len() + host.len() <= ADDRESS_BYTES_MAX;
        fits.then(|| Self {
            user: user.into(),
            place,
            host: host.into(),
            expires_s: address.param(b"expires").and_then(seconds),
        })
    }

    /// RFC 3261 section 10.3 step 7: contacts are compared by their URIs.
    fn is_same(&self, other: &Self) -> bool {
        self.user == other.user
            && self.place == other.place
            && self.host.eq_ignore_ascii_case(&other.host)
    }
}

/// Delta-seconds; whoever writes more than fits means for long.
fn seconds(text: &[u8]) -> Option<u64> {
    let digits = text.trim_ascii();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let value = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    Some(value.parse::<u32>().map_or(u64::from(u32::MAX), u64::from))
}

impl Registrations {
    /// A message; those that are not about registering change nothing.
    pub fn message(&mut self, seen: Seen, message: &Message<'_>) {
        if message.method() != Method::Register {
            return;
        }
        match message.status() {
            None => self.ask(seen, message),
            Some(100..=199) => {}
            Some(code) => {
                let key = self.key(message, seen.dst);
                let asked = self.asked.remove(&key);
                let is_in_time =
                    |asked: &Asked| seen.ts_ns <= asked.at_ns.saturating_add(ANSWERED_WITHIN_NS);
                let asked = asked.filter(|asked| asked.registrar == seen.src.ip());
                if let Some(asked) = asked.filter(is_in_time).filter(|_| code < 300) {
                    self.answer(asked, seen.ts_ns, message);
                }
            }
        }
    }

    /// One transaction as one hop has it.
    fn key(&self, message: &Message<'_>, requester: SocketAddr) -> u64 {
        self.seed.hash_one((message.call_id(), message.cseq().0, requester))
    }

    fn ask(&mut self, seen: Seen, message: &Message<'_>) {
        // RFC 3261 section 10.2: the address of record is what To says, whoever registers it.
        let Some(record) = address_text(message.to()) else { return };
        if record.len() > ADDRESS_BYTES_MAX {
            return;
        }
        let contacts = message.addresses(HeaderName::Contact);
        let contacts = contacts.filter_map(|contact| Contact::read(&contact));
        let asked = Asked {
            at_ns: seen.ts_ns,
            registrar: seen.dst.ip(),
            phone: (message.via().count() == 1).then_some(seen.src),
            record: record.into(),
            contacts: contacts.take(DEVICES_PER_RECORD_MAX).collect(),
        };
        let key = self.key(message, seen.src);
        if self.asked.insert(key, asked).is_some() {
            return;
        }
        self.waiting.push_back(key);
        while self.waiting.len() > REGISTERS_MAX {
            let oldest = self.waiting.pop_front();
            oldest.and_then(|oldest| self.asked.remove(&oldest));
        }
    }

    /// RFC 3261 section 10.3 step 8: the answer has all contacts that are registered now, each with how long.
    fn answer(&mut self, asked: Asked, at_ns: TsNs, message: &Message<'_>) {
        let of_all = message.header_first(HeaderName::Expires).and_then(seconds);
        let contacts = message.addresses(HeaderName::Contact);
        let contacts = contacts.filter_map(|contact| Contact::read(&contact));
        let mut now: Vec<Device> = Vec::new();
        for contact in contacts.take(DEVICES_PER_RECORD_MAX) {
            let own = asked.contacts.iter().find(|own| own.is_same(&contact));
            let asked_s = own.and_then(|own| own.expires_s);
            let expires_s = contact.expires_s.or(of_all).or(asked_s).unwrap_or(USUAL_S);
            let phone = asked.phone.filter(|_| own.is_some() && asked.contacts.len() == 1);
            let until_ns = at_ns.saturating_add(expires_s.saturating_mul(SECOND_NS));
            if expires_s > 0 {
                now.push(Device { places: [contact.place, phone], contact, until_ns });
            }
        }
        self.replace(&asked.record, now);
    }

    /// From now on the address of record has these devices.
    fn replace(&mut self, record: &Arc<str>, mut now: Vec<Device>) {
        let before = self.remove(record);
        for device in &mut now {
            // Another device's REGISTER says nothing of where this one's came from.
            let known = before.iter().find(|known| known.contact.is_same(&device.contact));
            device.places[1] = device.places[1].or(known.and_then(|known| known.places[1]));
        }
        let room = REGISTRATIONS_MAX - self.count;
        self.left_out += now.len().saturating_sub(room) as u64;
        now.truncate(room);
        if now.is_empty() {
            return;
        }
        self.count += now.len();
        for place in now.iter().flat_map(|device| device.places).flatten() {
            let records = self.places.entry(place).or_default();
            if records.contains(record) {
                continue;
            }
            if records.len() < RECORDS_PER_PLACE_MAX {
                records.push(Arc::clone(record));
            } else {
                self.left_out += 1;
            }
        }
        self.devices.insert(Arc::clone(record), now);
    }

    fn remove(&mut self, record: &Arc<str>) -> Vec<Device> {
        let gone = self.devices.remove(record).unwrap_or_default();
        self.count -= gone.len();
        for place in gone.iter().flat_map(|device| device.places).flatten() {
            if let Some(records) = self.places.get_mut(&place) {
                records.retain(|known| known != record);
                if records.is_empty() {
                    self.places.remove(&place);
                }
            }
        }
        gone
    }

    /// Whose address of record is registered from `place` at `at_ns`. Where several are, the one whose contact has this
    /// user; if that is not one alone, nobody can tell.
    #[must_use]
    pub fn at(&self, place: SocketAddr, user: Option<&str>, at_ns: TsNs) -> Option<&str> {
        let records = self.places.get(&place)?;
        let is_there =
            |device: &&Device| device.until_ns > at_ns && device.places.contains(&Some(place));
        let of = |record: &'_ Arc<str>| self.devices.get(record).map_or(&[][..], Vec::as_slice);
        let only = |is_it: &dyn Fn(&Device) -> bool| {
            let mut found =
                records.iter().filter(|record| of(record).iter().filter(is_there).any(is_it));
            found.next().filter(|_| found.next().is_none())
        };
        let named = || only(&|device| user == Some(&*device.contact.user));
        only(&|_| true).or_else(named).map(|record| &**record)
    }

    /// Forgets what has run out.
    pub fn tick(&mut self, now_ns: TsNs) {
        if now_ns < self.swept_ns.saturating_add(SWEEP_NS) {
            return;
        }
        self.swept_ns = now_ns;
        let is_over = |device: &Device| device.until_ns <= now_ns;
        let over = self.devices.iter().filter(|(_, devices)| devices.iter().any(is_over));
        let over: Vec<Arc<str>> = over.map(|(record, _)| Arc::clone(record)).collect();
        for record in over {
            let mut devices = self.remove(&record);
            devices.retain(|device| !is_over(device));
            self.replace(&record, devices);
        }
        let is_late = |asked: &Asked| asked.at_ns.saturating_add(ANSWERED_WITHIN_NS) < now_ns;
        self.asked.retain(|_, asked| !is_late(asked));
        let Self { asked, waiting, .. } = self;
        waiting.retain(|key| asked.contains_key(key));
    }

    /// How many devices are registered, as far as is known.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHONE: &str = "10.0.0.5:5062";
    const REGISTRAR: &str = "10.0.0.1:5060";

    struct Scene {
        registrations: Registrations,
        number: u32,
    }

    impl Scene {
        fn new() -> Self {
            Self { registrations: Registrations::default(), number: 0 }
        }

        fn see(&mut self, (from, to): (&str, &str), at_s: u64, text: &str) {
            let seen = Seen {
                ts_ns: at_s * SECOND_NS,
                src: from.parse().expect("an address"),
                dst: to.parse().expect("an address"),
            };
            let text = text.replace('\n', "\r\n");
            self.registrations.message(seen, &sip::parse(text.as_bytes()).expect("a message"));
        }

        /// REGISTER of a phone at a second, with these lines, and its answer with those.
        fn register(
            &mut self,
            from: &str,
            user: &str,
            at_s: u64,
            (asks, code, says): (&str, u16, &str),
        ) {
            self.number += 1;
            let (number, fields) = (self.number, |tag: &str| {
                format!(
                    "Via: SIP/2.0/UDP h;branch=z9hG4bK{user}\nFrom: <sip:{user}@home>;tag=a\nTo: <sip:{user}@home>{tag}\nCall-ID: {user}\n"
                )
            });
            let asks = format!(
                "REGISTER sip:home SIP/2.0\n{}CSeq: {number} REGISTER\n{asks}\n",
                fields("")
            );
            let says = format!(
                "SIP/2.0 {code} Reply\n{}CSeq: {number} REGISTER\n{says}\n",
                fields(";tag=b")
            );
            self.see((from, REGISTRAR), at_s, &asks);
            self.see((REGISTRAR, from), at_s, &says);
        }

        fn at(&self, place: &str, at_s: u64) -> Option<&str> {
            self.registrations.at(place.parse().expect("an address"), None, at_s * SECOND_NS)
        }
    }

    /// POL-1: a device is known by its contact and by where it registered from, once the registrar has agreed, for as long
    /// as the registrar says.
    #[test]
    fn known_when_the_registrar_agrees() {
        let contact = "Contact: <sip:alice@192.168.1.5:5062>\nExpires: 600\n";
        let mut scene = Scene::new();
        for code in [401, 403, 503] {
            scene.register(PHONE, "alice", 10, (contact, code, ""));
            assert_eq!(scene.at(PHONE, 11), None, "{code}");
        }
        scene.register(
            PHONE,
            "alice",
            20,
            (contact, 200, "Contact: <sip:alice@192.168.1.5:5062>;expires=60\n"),
        );
        for place in [PHONE, "192.168.1.5:5062"] {
            assert_eq!(scene.at(place, 79), Some("alice@home"));
            assert_eq!(scene.at(place, 80), None, "it has run out");
        }
        assert_eq!(scene.at("10.0.0.5:5060", 30), None, "another port");
        scene.register(PHONE, "alice", 70, (contact, 200, contact));
        assert_eq!(scene.at(PHONE, 669), Some("alice@home"));
        scene.registrations.tick(700 * SECOND_NS);
        assert_eq!(scene.registrations.len(), 0);
        assert!(scene.registrations.places.is_empty() && scene.registrations.waiting.is_empty());
    }

    /// RFC 3261 sections 10.2.2 and 10.3: what the answer does not list is not registered any more.
    #[test]
    fn deregistered() {
        let one = "Contact: <sip:alice@10.0.0.5:5062>\n";
        let both =
            "Contact: <sip:alice@10.0.0.5:5062>;expires=60, <sip:alice@10.0.0.6>;expires=60\n";
        let mut scene = Scene::new();
        scene.register(PHONE, "alice", 10, (one, 200, both));
        assert_eq!(scene.at("10.0.0.6:5060", 11), Some("alice@home"));
        scene.register(
            PHONE,
            "alice",
            12,
            (
                "Contact: <sip:alice@10.0.0.5:5062>;expires=0\n",
                200,
                "Contact: <sip:alice@10.0.0.6>;expires=50\n",
            ),
        );
        assert_eq!(
            (scene.at(PHONE, 13), scene.at("10.0.0.6:5060", 13)),
            (None, Some("alice@home"))
        );
        scene.register(PHONE, "alice", 14, ("Contact: *\nExpires: 0\n", 200, ""));
        assert_eq!(scene.at("10.0.0.6:5060", 15), None);
        assert_eq!(scene.registrations.len(), 0);
    }

    /// Of several at one address the contact's user tells which; an answer from elsewhere, or too late, is none.
    #[test]
    fn who_cannot_be_told_is_nobody() {
        let contact = |user: &str| format!("Contact: <sip:{user}@10.0.0.5:5062>;expires=60\n");
        let mut scene = Scene::new();
        for user in ["alice", "bob"] {
            scene.register(PHONE, user, 10, (&contact(user), 200, &contact(user)));
        }
        let place = PHONE.parse().expect("an address");
        let at = |user| scene.registrations.at(place, user, 11 * SECOND_NS);
        assert_eq!((at(None), at(Some("bob")), at(Some("carol"))), (None, Some("bob@home"), None));
        let fields = "Via: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:eve@home>;tag=a\nTo: <sip:eve@home>\nCall-ID: eve\nCSeq: 1 REGISTER\n";
        let asks = format!("REGISTER sip:home SIP/2.0\n{fields}{}\n", contact("eve"));
        let says = format!("SIP/2.0 200 OK\n{fields}{}\n", contact("eve"));
        let mut scene = Scene::new();
        scene.see((PHONE, REGISTRAR), 10, &asks);
        scene.see(("10.0.0.9:5060", PHONE), 10, &says);
        assert_eq!(scene.at(PHONE, 11), None, "another host");
        scene.see((PHONE, REGISTRAR), 20, &asks);
        scene.see((REGISTRAR, PHONE), 60, &says);
        assert_eq!(scene.at(PHONE, 61), None, "too late");
    }

    /// RFC 3261 section 16.6: what a proxy sends on has two Via, and the proxy is not the phone.
    #[test]
    fn a_proxy_is_nobodys_phone() {
        const PROXY: &str = "10.0.0.2:5060";
        let contact = "Contact: <sip:alice@10.0.0.5:5062>;expires=60\n";
        let fields = "Via: SIP/2.0/UDP p;branch=z9hG4bK2\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:alice@home>;tag=a\nTo: <sip:alice@home>\nCall-ID: alice\nCSeq: 1 REGISTER\n";
        let mut scene = Scene::new();
        scene.see(
            (PROXY, REGISTRAR),
            10,
            &format!("REGISTER sip:home SIP/2.0\n{fields}{contact}\n"),
        );
        scene.see((REGISTRAR, PROXY), 10, &format!("SIP/2.0 200 OK\n{fields}{contact}\n"));
        assert_eq!((scene.at(PROXY, 11), scene.at(PHONE, 11)), (None, Some("alice@home")));
    }

    /// S10: who asks and is not answered is forgotten, and there is no room for more than so many.
    #[test]
    fn registrations_are_bounded() {
        let mut scene = Scene::new();
        let contacts: Vec<String> = (0..2 * DEVICES_PER_RECORD_MAX)
            .map(|at| format!("<sip:a@10.0.{at}.1>;expires=60"))
            .collect();
        let contacts = format!("Contact: {}\n", contacts.join(", "));
        scene.register(PHONE, "alice", 10, ("", 200, &contacts));
        assert_eq!(scene.registrations.len(), DEVICES_PER_RECORD_MAX);
        scene.registrations.count = REGISTRATIONS_MAX;
        let contact = "Contact: <sip:bob@10.0.0.7>;expires=60\n";
        scene.register("10.0.0.7:5060", "bob", 11, (contact, 200, contact));
        assert_eq!((scene.registrations.left_out, scene.at("10.0.0.7:5060", 12)), (1, None));
    }
}
