//! All calls that are not over yet: opened by signalling, fed by media, closed by BYE or by silence.
//!
//! One thread owns it (S8). What the outside must do comes out of it as values: verdicts for capture, calls
//! that are finished, calls whose row in the catalog has changed.

use earwitness_ipc::{FlowSeen, VerdictChange};
use earwitness_policy::{Answer, Facts, RuleSet};
use earwitness_wire::{Endpoint, Verdict};

use super::binding::{Bindings, TsNs};
use super::limits::{ALIASES_PER_CALL_MAX, ENDPOINTS_PER_CALL_MAX};
use super::media::{Added, Arrival, Media};
use super::trace::Trace;
use super::{Announced, Call, CallSlot, LegIndex, Party, State};

/// What the table is told by configuration, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long media may wait in capture's ring.
    pub hold_ns: u64,
    /// Media that still belongs to a call after its end.
    pub trailing_ns: u64,
    pub media_idle_ns: u64,
    pub unanswered_ns: u64,
    pub length_max_ns: u64,
}

/// What writing a block and reading it may take. Media whose verdict is known does not wait for `hold`.
const SETTLE_NS: u64 = 700_000_000;

/// A call whose session timer ran out (RFC 4028) is over when it is silent for this long.
const EXPIRED_IDLE_NS: u64 = 10_000_000_000;

impl Timing {
    /// How long after a call's end its last packet can still turn up in the log.
    #[must_use]
    pub const fn linger_ns(&self) -> u64 {
        self.trailing_ns + SETTLE_NS
    }
}

/// What opens a call.
#[derive(Debug, Clone)]
pub struct Opening {
    pub id: String,
    pub call_id: String,
    pub from: Option<String>,
    pub to: Option<String>,
    pub at_ns: TsNs,
    pub joined_late: bool,
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    call: Option<Box<Call>>,
}

/// The table.
#[derive(Debug)]
pub struct CallTable {
    rules: RuleSet,
    timing: Timing,
    calls_max: usize,
    places: Vec<Place>,
    free: Vec<u32>,
    open: usize,
    bindings: Bindings,
    verdicts: Vec<VerdictChange>,
    #[expect(clippy::vec_box, reason = "a call is large and goes on to other threads in its box")]
    finished: Vec<Box<Call>>,
    changed: Vec<CallSlot>,
    /// Calls given up because there were too many.
    pub evicted: u64,
}

impl CallTable {
    #[must_use]
    pub fn new(rules: RuleSet, timing: Timing, calls_max: usize) -> Self {
        Self {
            rules,
            timing,
            calls_max,
            places: Vec::new(),
            free: Vec::new(),
            open: 0,
            bindings: Bindings::default(),
            verdicts: Vec::new(),
            finished: Vec::new(),
            changed: Vec::new(),
            evicted: 0,
        }
    }

    /// Opens a call and decides about it. At the bound, the call that was silent longest is given up first.
    pub fn open(&mut self, opening: Opening) -> CallSlot {
        if self.open >= self.calls_max {
            self.evict(opening.at_ns);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        let slot = CallSlot::new(index, place.generation);
        let facts = Facts { from: opening.from.as_deref(), to: opening.to.as_deref() };
        let decision = earwitness_policy::decide(self.rules, &facts);
        let mut trace = Trace::default();
        if opening.joined_late {
            trace.note(opening.at_ns, "joined", "capture began while the call was in progress");
        }
        for line in &decision.trace {
            trace.note(opening.at_ns, "decision", line.clone());
        }
        place.call = Some(Box::new(Call {
            slot,
            id: opening.id,
            call_id: opening.call_id,
            from: opening.from,
            to: opening.to,
            state: State::Trying,
            started_ns: opening.at_ns,
            answered: None,
            ended_ns: None,
            end_reason: None,
            heard_ns: opening.at_ns,
            legs: Vec::new(),
            announced: Vec::new(),
            aliases: Vec::new(),
            left_out: Vec::new(),
            session_expired: false,
            media: Media::default(),
            digits: Vec::new(),
            decision: Some(decision),
            trace,
            ledger: Vec::new(),
            signalling: Vec::new(),
            joined_late: opening.joined_late,
        }));
        self.open += 1;
        self.changed.push(slot);
        slot
    }

    /// The call at `slot`, if it is not finished.
    #[must_use]
    pub fn get(&self, slot: CallSlot) -> Option<&Call> {
        let place = self.places.get(slot.index as usize)?;
        place.call.as_deref().filter(|call| call.slot == slot)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, slot: CallSlot) -> Option<&mut Call> {
        let place = self.places.get_mut(slot.index as usize)?;
        place.call.as_deref_mut().filter(|call| call.slot == slot)
    }

    /// Marks a call whose row in the catalog shall be written again.
    pub fn touch(&mut self, slot: CallSlot) {
        if self.changed.last() != Some(&slot) {
            self.changed.push(slot);
        }
    }

    /// A party said where it receives.
    pub fn announce(&mut self, slot: CallSlot, news: Announced) {
        let early_ns = self.timing.hold_ns;
        let Some(call) = self.get_mut(slot) else { return };
        let (party, from_ns) = (news.party, news.from_ns);
        let endpoints = [Some(news.rtp), news.rtcp];
        if call.announce(news) {
            let text = format!("{} receives at {}", party.name(), endpoints[0].unwrap_or_default());
            call.trace.note(from_ns, "media", text);
        }
        for endpoint in endpoints.into_iter().flatten() {
            self.bind(slot, endpoint, party, from_ns, early_ns);
        }
    }

    fn bind(
        &mut self,
        slot: CallSlot,
        endpoint: Endpoint,
        party: Party,
        at_ns: TsNs,
        early_ns: u64,
    ) {
        let Some(verdict) = self.get(slot).map(verdict_of) else { return };
        if self.bindings.announce(endpoint, slot, party, at_ns, early_ns) {
            self.verdicts.push(VerdictChange { dst: endpoint, verdict: Some(verdict) });
        }
    }

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
        let binding = self.bindings.find(&dst, arrival.ts_ns)?;
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
        Some(added)
    }

    /// A party receives something there that is not recorded.
    pub fn leave_out(
        &mut self,
        slot: CallSlot,
        at: Endpoint,
        party: Party,
        at_ns: TsNs,
        kind: &str,
    ) {
        let Some(call) = self.get_mut(slot) else { return };
        let known = call.left_out.contains(&at) || call.endpoints().any(|(known, _)| known == at);
        if known || call.left_out.len() >= ENDPOINTS_PER_CALL_MAX {
            return;
        }
        call.left_out.push(at);
        call.trace.note(at_ns, "media", format!("{kind} at {at} is not recorded: audio only"));
        if self.bindings.announce(at, slot, party, at_ns, 0) {
            self.verdicts.push(VerdictChange { dst: at, verdict: Some(Verdict::Ignore) });
        }
    }

    /// The call was answered.
    pub fn answered(&mut self, slot: CallSlot, leg: Option<LegIndex>, at_ns: TsNs) {
        let Some(call) = self.get_mut(slot) else { return };
        if call.answered.is_none() && call.ended_ns.is_none() {
            call.answered = Some((leg.unwrap_or(LegIndex(0)), at_ns));
            call.state = State::Answered;
            call.trace.note(at_ns, "answer", "answered");
        }
        self.touch(slot);
    }

    /// The call is over. Its last packets may still come; after that it is handed out as finished.
    pub fn ended(&mut self, slot: CallSlot, at_ns: TsNs, reason: &str) {
        let trailing_ns = self.timing.trailing_ns;
        let Some(call) = self.get_mut(slot) else { return };
        if call.ended_ns.is_some() {
            return;
        }
        call.ended_ns = Some(at_ns);
        call.end_reason = Some(reason.to_owned());
        call.state = State::Ended;
        call.trace.note(at_ns, "end", reason);
        let until_ns = at_ns.saturating_add(trailing_ns);
        let endpoints: Vec<Endpoint> = endpoints_of(call).collect();
        for endpoint in endpoints {
            self.bindings.close(&endpoint, slot, until_ns);
        }
        self.touch(slot);
    }

    /// Ends what has been silent too long and hands out what is finished. Called about once a second of
    /// packet time; `now_ns` never goes back.
    pub fn tick(&mut self, now_ns: TsNs) {
        for index in 0..self.places.len() {
            let Some(call) = self.places[index].call.as_deref() else { continue };
            let slot = call.slot;
            if let Some((at_ns, reason)) = self.overdue(call, now_ns) {
                self.ended(slot, at_ns, reason);
            }
            let settled = self.get(slot).is_some_and(|call| {
                call.ended_ns.is_some_and(|at| now_ns >= at.saturating_add(self.timing.linger_ns()))
            });
            if settled {
                self.finish(slot);
            }
        }
    }

    fn overdue(&self, call: &Call, now_ns: TsNs) -> Option<(TsNs, &'static str)> {
        if call.ended_ns.is_some() {
            return None;
        }
        // What is in the log is up to `hold` behind the wire.
        let silent_ns = now_ns.saturating_sub(call.heard_ns).saturating_sub(self.timing.hold_ns);
        if now_ns.saturating_sub(call.started_ns) > self.timing.length_max_ns {
            return Some((now_ns, "length_max"));
        }
        if call.session_expired && silent_ns > EXPIRED_IDLE_NS {
            return Some((call.heard_ns, "session_expired"));
        }
        if call.media.last_ns().is_some() || call.answered.is_some() {
            return (silent_ns > self.timing.media_idle_ns)
                .then_some((call.heard_ns, "media_idle"));
        }
        (silent_ns > self.timing.unanswered_ns).then_some((call.heard_ns, "unanswered"))
    }

    fn finish(&mut self, slot: CallSlot) {
        let place = &mut self.places[slot.index as usize];
        let Some(call) = place.call.take() else { return };
        place.generation = place.generation.wrapping_add(1);
        self.free.push(slot.index);
        self.open -= 1;
        for endpoint in endpoints_of(&call) {
            self.bindings.forget(&endpoint, slot);
            if !self.bindings.is_bound(&endpoint) {
                self.verdicts.push(VerdictChange { dst: endpoint, verdict: None });
            }
        }
        self.finished.push(call);
    }

    /// There is no more input: whatever is open ends now, and everything is finished.
    pub fn finish_all(&mut self, reason: &'static str) {
        for index in 0..self.places.len() {
            let Some(call) = self.places[index].call.as_deref() else { continue };
            let (slot, at_ns) = (call.slot, call.heard_ns);
            self.ended(slot, at_ns, reason);
            self.finish(slot);
        }
    }

    fn evict(&mut self, at_ns: TsNs) {
        let calls = self.places.iter().filter_map(|place| place.call.as_deref());
        let Some(slot) = calls.min_by_key(|call| call.heard_ns).map(|call| call.slot) else {
            return;
        };
        self.evicted += 1;
        self.ended(slot, at_ns, "too_many_calls");
        self.finish(slot);
    }

    /// Adds a gap of the log to every call that was running in it.
    pub fn gap(&mut self, gap: &super::LedgerGap) {
        for call in self.places.iter_mut().filter_map(|place| place.call.as_deref_mut()) {
            let over_ns = call.ended_ns.unwrap_or(TsNs::MAX);
            if call.started_ns < gap.until_ns && gap.from_ns < over_ns {
                call.add_gap(gap.clone());
            }
        }
    }

    /// Calls that are not finished.
    pub fn iter(&self) -> impl Iterator<Item = &Call> {
        self.places.iter().filter_map(|place| place.call.as_deref())
    }

    /// How many calls are not finished.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.open
    }

    /// Whether every call is finished.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// What capture must be told, in order.
    pub fn take_verdicts(&mut self) -> Vec<VerdictChange> {
        std::mem::take(&mut self.verdicts)
    }

    /// The verdict of every bound address: what a capture process that starts anew must know.
    #[must_use]
    pub fn all_verdicts(&self) -> Vec<VerdictChange> {
        let of_call = |call: &Call| {
            let verdict = verdict_of(call);
            let of = |dst: Endpoint| {
                if call.left_out.contains(&dst) { Verdict::Ignore } else { verdict }
            };
            endpoints_of(call)
                .map(|dst| VerdictChange { dst, verdict: Some(of(dst)) })
                .collect::<Vec<_>>()
        };
        self.iter().flat_map(of_call).collect()
    }

    /// Finished calls since the last time.
    pub fn take_finished(&mut self) -> Vec<Box<Call>> {
        std::mem::take(&mut self.finished)
    }

    /// Calls that changed and are not finished.
    pub fn take_changed(&mut self) -> Vec<CallSlot> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable_by_key(|slot| slot.index);
        changed.dedup();
        changed
    }
}

fn endpoints_of(call: &Call) -> impl Iterator<Item = Endpoint> + '_ {
    let aliases = call.aliases.iter().map(|(at, _)| *at);
    call.endpoints().map(|(at, _)| at).chain(aliases).chain(call.left_out.iter().copied())
}

fn verdict_of(call: &Call) -> Verdict {
    match call.decision.as_ref().map(|decision| decision.answer) {
        Some(Answer::Record) => Verdict::Record,
        Some(Answer::Ignore) => Verdict::Ignore,
        None => Verdict::Undecided,
    }
}
