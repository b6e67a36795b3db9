//! Which call a media packet belongs to: what SDP announced, and when it was in force (CALL-3).
//!
//! A binding says: between two moments, media received at this address is of this party of this call.
//! Because it holds for an interval, the order in which signalling and media reach us does not matter, and a
//! port that the next call reuses does not carry the last one's audio (CALL-4). Nothing is learned from
//! media alone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use earwitness_wire::Endpoint;

use super::limits::BINDINGS_PER_ENDPOINT_MAX;
use super::{CallSlot, Party};

/// Nanoseconds since the epoch, on packet time.
pub type TsNs = u64;

/// An open end: in force until something else is said.
pub const OPEN: TsNs = TsNs::MAX;

/// One party's receiving address for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    pub call: CallSlot,
    /// Who receives there; the audio is the other party's.
    pub receiver: Party,
    pub from_ns: TsNs,
    /// Exclusive.
    pub until_ns: TsNs,
}

impl Binding {
    const fn is_in_force(&self, at: TsNs) -> bool {
        self.from_ns <= at && at < self.until_ns
    }
}

/// What announcing an address changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    pub is_news: bool,
    /// Another call had it, and had no end yet.
    pub displaced: Option<Binding>,
}

/// What was found for one address, to be used again while nothing has changed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Found {
    binding: Option<Binding>,
    changes: u64,
}

/// Who has an address, and had it until lately. Most addresses are one call's.
#[derive(Debug, Default)]
enum Holding {
    #[default]
    Nobody,
    One(Binding),
    /// Not fewer than two when they came.
    Several(Vec<Binding>),
}

impl Holding {
    const fn all(&self) -> &[Binding] {
        match self {
            Self::Nobody => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(list) => list.as_slice(),
        }
    }

    const fn all_mut(&mut self) -> &mut [Binding] {
        match self {
            Self::Nobody => &mut [],
            Self::One(one) => std::slice::from_mut(one),
            Self::Several(list) => list.as_mut_slice(),
        }
    }

    fn retain(&mut self, is_wanted: impl Fn(&Binding) -> bool) {
        match self {
            Self::One(one) if !is_wanted(one) => *self = Self::Nobody,
            Self::Several(list) => list.retain(is_wanted),
            Self::Nobody | Self::One(_) => {}
        }
    }

    /// Adds the latest; returns whether the oldest is given up for it (S10).
    fn push(&mut self, latest: Binding) -> bool {
        match self {
            Self::Nobody => *self = Self::One(latest),
            Self::One(first) => *self = Self::Several(vec![*first, latest]),
            Self::Several(list) => {
                let is_full = list.len() >= BINDINGS_PER_ENDPOINT_MAX;
                if is_full {
                    list.remove(0);
                }
                list.push(latest);
                return is_full;
            }
        }
        false
    }
}

const _: () = assert!(BINDINGS_PER_ENDPOINT_MAX > 1);

/// Who has the two ports of a pair: RTP comes to the even one, its RTCP to the odd one (RFC 3550 section 11), and they
/// are asked for together.
#[derive(Debug, Default)]
struct Pair {
    even: Holding,
    odd: Holding,
}

impl Pair {
    const fn of(&self, endpoint: &Endpoint) -> &Holding {
        if endpoint.port & 1 == 0 { &self.even } else { &self.odd }
    }

    const fn of_mut(&mut self, endpoint: &Endpoint) -> &mut Holding {
        if endpoint.port & 1 == 0 { &mut self.even } else { &mut self.odd }
    }

    const fn is_free(&self) -> bool {
        self.even.all().is_empty() && self.odd.all().is_empty()
    }
}

/// What stands for both ports of a pair.
const fn pair(endpoint: &Endpoint) -> Endpoint {
    endpoint.with_port(endpoint.port & !1)
}

/// All addresses that calls announced.
#[derive(Debug, Default)]
pub struct Bindings {
    /// By the even port. Looked at for every packet: a quick hash, with a seed that nobody outside knows.
    pairs: HashMap<Endpoint, Pair, foldhash::quality::RandomState>,
    /// Grows with each change.
    changes: u64,
    /// Bindings given up because an endpoint had too many at once.
    pub overflowed: u64,
}

impl Bindings {
    /// Announces `endpoint` at `at_ns`. An older call that still held it gives it up then; where nobody did,
    /// the binding begins up to `early_ns` before, because media may overtake its SDP.
    ///
    /// Returns whether it is news; a repeated announcement of the same is not. Who had the address until then is told,
    /// too.
    pub fn announce(
        &mut self,
        endpoint: Endpoint,
        call: CallSlot,
        receiver: Party,
        at_ns: TsNs,
        early_ns: u64,
    ) -> Announcement {
        self.changes += 1;
        let list = self.pairs.entry(pair(&endpoint)).or_default().of_mut(&endpoint);
        let mut from_ns = at_ns.saturating_sub(early_ns);
        let mut displaced = None;
        for old in list.all_mut() {
            if old.call == call && old.receiver == receiver && old.until_ns > at_ns {
                let is_news = std::mem::replace(&mut old.until_ns, OPEN) != OPEN;
                return Announcement { is_news, displaced };
            }
            if old.call != call {
                if old.until_ns == OPEN {
                    displaced = Some(*old);
                }
                old.until_ns = old.until_ns.min(at_ns);
                from_ns = from_ns.max(old.until_ns);
            }
        }
        list.retain(|old| old.from_ns < old.until_ns);
        let latest = Binding { call, receiver, from_ns, until_ns: OPEN };
        self.overflowed += u64::from(list.push(latest));
        Announcement { is_news: true, displaced }
    }

    /// From `at_ns` on somebody else of the same call receives at `endpoint`.
    pub fn turn(&mut self, endpoint: Endpoint, call: CallSlot, receiver: Party, at_ns: TsNs) {
        self.changes += 1;
        let list = self.pairs.entry(pair(&endpoint)).or_default().of_mut(&endpoint);
        let others = |old: &&mut Binding| {
            old.call == call && old.receiver != receiver && old.until_ns > at_ns
        };
        list.all_mut().iter_mut().filter(others).for_each(|old| old.until_ns = at_ns);
        self.announce(endpoint, call, receiver, at_ns, 0);
    }

    /// What `from` had at `endpoint` is `into`'s; `turned`: its sides are exchanged. A time that both claim stays with
    /// who has it.
    pub fn move_to(&mut self, endpoint: &Endpoint, from: CallSlot, into: CallSlot, turned: bool) {
        self.changes += 1;
        let Some(list) = self.holding_mut(endpoint) else { return };
        for old in list.all_mut().iter_mut().filter(|old| old.call == from) {
            old.call = into;
            old.receiver = if turned { old.receiver.other() } else { old.receiver };
        }
    }

    /// Ends what `call` holds of `endpoint` at `at`. Returns whether nobody holds it now.
    pub fn close(&mut self, endpoint: &Endpoint, call: CallSlot, at: TsNs) -> bool {
        self.changes += 1;
        let Some(list) = self.holding_mut(endpoint) else { return true };
        for old in list.all_mut().iter_mut().filter(|old| old.call == call) {
            old.until_ns = old.until_ns.min(at.max(old.from_ns + 1));
        }
        list.all().iter().all(|binding| binding.until_ns <= at)
    }

    /// Forgets everything of `call` at `endpoint`, once its packets can no longer arrive. Returns whether no call
    /// has `endpoint` now, or had it until lately.
    pub fn forget(&mut self, endpoint: &Endpoint, call: CallSlot) -> bool {
        self.changes += 1;
        let Entry::Occupied(mut entry) = self.pairs.entry(pair(endpoint)) else { return true };
        let list = entry.get_mut().of_mut(endpoint);
        list.retain(|binding| binding.call != call);
        let is_free = list.all().is_empty();
        if entry.get().is_free() {
            entry.remove();
        }
        is_free
    }

    /// What a packet for `endpoint` at `at` belongs to.
    #[must_use]
    pub fn find(&self, endpoint: &Endpoint, at: TsNs) -> Option<Binding> {
        let list = self.holding(endpoint)?.all();
        list.iter().find(|binding| binding.is_in_force(at)).copied()
    }

    /// The same, of an address that was asked for before: `found` is what was found then, and what is found now.
    #[must_use]
    pub fn find_again(&self, endpoint: &Endpoint, at: TsNs, found: &mut Found) -> Option<Binding> {
        let known = found.binding.filter(|_| found.changes == self.changes);
        if known.is_some_and(|known| known.is_in_force(at)) {
            return known;
        }
        let list = self.holding(endpoint).map_or(&[][..], Holding::all);
        let binding = list.iter().find(|binding| binding.is_in_force(at)).copied();
        // Of several, another may come first at another time.
        let only = binding.filter(|_| list.len() == 1);
        *found = Found { binding: only, changes: self.changes };
        binding
    }

    /// Who had `endpoint` last, if nobody has it at `at`.
    #[must_use]
    pub fn before(&self, endpoint: &Endpoint, at: TsNs) -> Option<Binding> {
        let list = self.holding(endpoint)?.all();
        list.iter().filter(|binding| binding.until_ns <= at).max_by_key(|old| old.until_ns).copied()
    }

    /// Whether no address is bound, or was until lately.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    fn holding(&self, endpoint: &Endpoint) -> Option<&Holding> {
        Some(self.pairs.get(&pair(endpoint))?.of(endpoint))
    }

    fn holding_mut(&mut self, endpoint: &Endpoint) -> Option<&mut Holding> {
        Some(self.pairs.get_mut(&pair(endpoint))?.of_mut(endpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY_NS: u64 = 10;

    fn slot(call: u32) -> CallSlot {
        CallSlot::new(call, 0)
    }

    /// CALL-4: the port goes to the next call at its own announcement, and late packets stay with the first.
    #[test]
    fn a_reused_port_belongs_to_each_call_in_its_time() {
        let mut bindings = Bindings::default();
        let port = Endpoint::default();
        assert!(bindings.announce(port, slot(1), Party::Caller, 100, EARLY_NS).is_news);
        bindings.close(&port, slot(1), 200);
        assert!(bindings.announce(port, slot(2), Party::Caller, 180, EARLY_NS).is_news);
        assert_eq!(bindings.find(&port, 179).map(|found| found.call), Some(slot(1)));
        assert_eq!(bindings.find(&port, 180).map(|found| found.call), Some(slot(2)));
        assert_eq!(bindings.find(&port, 89), None);
    }

    /// CALL-3: media that overtakes its SDP is bound, unless the address was still another call's.
    #[test]
    fn media_may_be_early() {
        let mut bindings = Bindings::default();
        let port = Endpoint::default();
        bindings.announce(port, slot(1), Party::Caller, 100, EARLY_NS);
        assert_eq!(bindings.find(&port, 90).map(|found| found.call), Some(slot(1)));
        bindings.close(&port, slot(1), 195);
        bindings.announce(port, slot(2), Party::Caller, 200, EARLY_NS);
        assert_eq!(bindings.find(&port, 194).map(|found| found.call), Some(slot(1)));
        assert_eq!(bindings.find(&port, 195).map(|found| found.call), Some(slot(2)));
    }

    #[test]
    fn repeating_an_announcement_is_no_news_and_reopens_a_closed_one() {
        let mut bindings = Bindings::default();
        let port = Endpoint::default();
        assert!(bindings.announce(port, slot(1), Party::Caller, 100, 0).is_news);
        assert!(!bindings.announce(port, slot(1), Party::Caller, 150, 0).is_news);
        bindings.close(&port, slot(1), 300);
        assert!(bindings.announce(port, slot(1), Party::Caller, 250, 0).is_news);
        assert_eq!(bindings.find(&port, 100_000).map(|found| found.from_ns), Some(100));
    }

    /// CALL-4: what was found before holds for its time only, and no longer than the address is the call's.
    #[test]
    fn what_was_found_is_forgotten_with_every_change() {
        let mut bindings = Bindings::default();
        let port = Endpoint::default();
        let mut found = Found::default();
        assert_eq!(bindings.find_again(&port, 100, &mut found), None);
        bindings.announce(port, slot(1), Party::Caller, 100, EARLY_NS);
        let mut find = |bindings: &Bindings, at| {
            let again = bindings.find_again(&port, at, &mut found);
            assert_eq!(again, bindings.find(&port, at));
            again.map(|binding| binding.call)
        };
        assert_eq!(find(&bindings, 100), Some(slot(1)));
        assert_eq!(find(&bindings, 101), Some(slot(1)));
        assert_eq!(find(&bindings, 89), None);
        bindings.close(&port, slot(1), 200);
        assert_eq!(find(&bindings, 200), None);
        bindings.announce(port, slot(2), Party::Caller, 180, EARLY_NS);
        for (at, call) in [(179, 1), (180, 2), (179, 1), (181, 2)] {
            assert_eq!(find(&bindings, at), Some(slot(call)));
        }
        bindings.forget(&port, slot(1));
        assert_eq!(find(&bindings, 179), None);
        assert_eq!(find(&bindings, 181), Some(slot(2)));
        bindings.forget(&port, slot(2));
        assert_eq!(find(&bindings, 181), None);
    }

    #[test]
    fn closing_says_whether_anybody_still_holds_the_address() {
        let mut bindings = Bindings::default();
        let port = Endpoint::default();
        bindings.announce(port, slot(1), Party::Caller, 100, 0);
        bindings.announce(port, slot(2), Party::Caller, 200, 0);
        assert!(!bindings.close(&port, slot(1), 250));
        assert!(bindings.close(&port, slot(2), 300));
        bindings.forget(&port, slot(1));
        bindings.forget(&port, slot(2));
        assert!(bindings.is_empty());
    }
}
