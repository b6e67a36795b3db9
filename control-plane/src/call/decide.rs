//! The question to the policies: what is known of a call goes in, what becomes of it comes out; asked at the call's
//! beginning, and again whenever its facts or the policies change.
//!
//! The rules start and end takes of their own. A take that somebody else began, they end only where a recording is
//! forbidden; where somebody else ended one, they begin none (POL-7).

use std::sync::Arc;

use earwitness_policy::document::{OnDemand, PauseMode};
use earwitness_policy::{Answer, Demand, Explained, Facts, Fallback, Form, Outcome, Stage, Voices};

use super::binding::{OPEN, TsNs};
use super::change::Change;
use super::coverage::{BEGINNING, By, Cause, Coverage, Of, PauseStyle, Take, Terms};
use super::known::Known;
use super::table::CallTable;
use super::{Call, CallSlot, Party};
use crate::control;
use crate::rules::{Rules, Version};

const SECOND_NS: u64 = 1_000_000_000;

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub answer: Answer,
    /// The rules that decided.
    pub rule: Arc<str>,
    /// The reasons, for people: a tree, a line each.
    pub trace: Vec<Arc<str>>,
    pub outcome: Outcome,
    /// It is recorded at this stage of the call.
    pub is_due: bool,
    pub tenant: Option<String>,
    /// What people may do during the call; `None`: it is of no tenant.
    pub control: Option<Control>,
    /// The set that decided; `None`: there are no policies.
    pub version: Option<Arc<Version>>,
    /// Of what was known when it was asked.
    facts: u64,
}

/// What a tenant lets people do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    pub on_demand: Arc<OnDemand>,
    pub pause: PauseMode,
}

/// What the recording of a take is to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeForm {
    /// The take's number.
    pub take: u32,
    pub form: Form,
}

impl TakeForm {
    /// Of takes that are made of those of two calls: what the first of them says that says anything of it.
    pub(super) fn united(made_of: &[Vec<(Of, u32)>], ours: &[Self], theirs: &[Self]) -> Vec<Self> {
        let of = |(whose, number): &(Of, u32)| {
            let forms = if *whose == Of::Ours { ours } else { theirs };
            forms.iter().find(|known| known.take == *number)
        };
        let one = |(take, parts): (u32, &Vec<(Of, u32)>)| {
            let mut forms = parts.iter().filter_map(of);
            let first = Self { take, ..forms.next()?.clone() };
            Some(forms.fold(first, |mut one, next| {
                one.form.take_in(next.form.clone());
                one
            }))
        };
        (1..).zip(made_of).filter_map(one).collect()
    }
}

impl Decision {
    fn of(rules: &Rules, call: &Call, known: &Known<'_>) -> Self {
        let Explained { outcome, rule, tree } =
            known.ask(|facts: &Facts<'_>| rules.policy.explain(facts, rules.fallback));
        let control = outcome.tenant.map(|tenant| {
            let (on_demand, pause) = rules.policy.on_demand(tenant);
            Control { on_demand: Arc::clone(on_demand), pause }
        });
        Self {
            answer: outcome.answer,
            is_due: outcome.records_at(call.stage(&outcome)),
            rule: rule.into(),
            trace: tree.lines().into_iter().map(Arc::from).collect(),
            tenant: outcome.tenant.map(|tenant| rules.policy.tenant_name(tenant).to_owned()),
            control,
            outcome,
            version: rules.version.clone(),
            facts: known.fingerprint(),
        }
    }

    /// One line of the configuration says it all, whatever is known of a call.
    fn without_policies(rules: &Rules) -> Self {
        let (outcome, rule, word) = match rules.fallback {
            Fallback::RecordAll => (Outcome::record(), "recording.default=all", "yes: recorded"),
            Fallback::RecordNone => {
                (Outcome::ignore(), "recording.default=none", "no: not recorded")
            }
        };
        Self {
            answer: outcome.answer,
            is_due: outcome.answer == Answer::Record,
            rule: rule.into(),
            trace: vec![format!("{word}: {rule}, there are no policies").into()],
            tenant: None,
            control: None,
            outcome,
            version: None,
            facts: 0,
        }
    }

    /// `general` says what no rule does.
    pub fn terms(&self, general: Terms) -> Terms {
        let form = &self.outcome.form;
        Terms {
            length_max_ns: form
                .time_limit_s
                .map(|limit| u64::from(limit) * SECOND_NS)
                .or(general.length_max_ns),
            length_min_ns: match form.min_s {
                0 => general.length_min_ns,
                seconds => u64::from(seconds) * SECOND_NS,
            },
            pause: match self.control.as_ref().map(|control| control.pause) {
                None => general.pause,
                Some(PauseMode::Mask) => PauseStyle::Silence,
                Some(PauseMode::Cut) => PauseStyle::Cut,
            },
        }
    }

    /// Whether somebody may begin a recording: what the tenant says, or, of a call that is of none, `general`.
    fn on_demand(&self, general: control::OnDemand) -> control::OnDemand {
        let of_tenant = |control: &Control| match &*control.on_demand {
            OnDemand { enabled: false, .. } => control::OnDemand::Off,
            OnDemand { from_call_start: true, .. } => control::OnDemand::FromStart,
            OnDemand { .. } => control::OnDemand::FromNow,
        };
        match self.outcome.is_forbidden {
            true => control::OnDemand::Off,
            false => self.control.as_ref().map_or(general, of_tenant),
        }
    }
}

impl Call {
    /// What was asked for during the call, as its takes tell. That somebody ended one is no wish for the next facts: it
    /// stays ended, whatever the rules say.
    pub(super) fn demand(&self) -> Demand {
        let is_open = |take: &&Take| take.until_ns == OPEN;
        match self.coverage.takes().last().filter(is_open).and_then(Take::asked) {
            None => Demand::None,
            Some(_) => Demand::Start,
        }
    }

    /// How far it is, for a rule that waits.
    fn stage(&self, outcome: &Outcome) -> Stage {
        match (self.answered, outcome.callee_is_machine) {
            (None, _) => Stage::Ringing,
            (Some(_), true) => Stage::Answered,
            (Some(_), false) => Stage::Bridged,
        }
    }

    /// A recording begins as soon as the call is so far.
    #[must_use]
    pub fn awaits_recording(&self) -> bool {
        let is_awaited =
            |decision: &Arc<Decision>| decision.answer == Answer::Record && !decision.is_due;
        self.decision.as_ref().is_some_and(is_awaited) && self.ended_ns.is_none()
    }

    /// Keeps a decision, and tells what is new of it.
    fn decided(&mut self, decision: Arc<Decision>, on_demand: control::OnDemand, at_ns: TsNs) {
        let is_news = self.decision.as_ref().is_none_or(|before| {
            (before.answer, &before.rule) != (decision.answer, &decision.rule)
        });
        if is_news {
            for line in &decision.trace {
                self.trace.note(at_ns, "decision", Arc::clone(line));
            }
            if decision.outcome.parts.video {
                let text = "video is not recorded yet: the audio of the video call is";
                self.trace.note(at_ns, "limit", text);
            }
        }
        self.coverage.set_on_demand(decision.on_demand(on_demand));
        self.decision = Some(decision);
    }

    /// The take that has just begun is to be as `decision` says.
    pub(super) fn keep_form(&mut self, decision: &Decision) {
        let Some(take) = self.coverage.takes().last().map(|take| take.number) else { return };
        let form = &decision.outcome.form;
        if *form != Form::default() {
            self.forms.push(TakeForm { take, form: form.clone() });
        }
    }

    /// Other policies are in force: what they say of limits and form holds for the take that runs, too.
    fn agree_anew(&mut self, decision: &Decision, terms: Terms, at_ns: TsNs) {
        let Some(take) = self.coverage.takes().last().map(|take| take.number) else { return };
        let of_take = |form: &TakeForm| form.take == take;
        let before =
            self.forms.iter().position(of_take).map(|at| self.forms.list().remove(at).form);
        self.keep_form(decision);
        let is_other_form = self.form(take).map(|known| &known.form) != before.as_ref();
        if self.coverage.agree(terms) || is_other_form {
            let by = decision.version.as_ref().map(|version| format!("policy {version}"));
            let by = by.unwrap_or_else(|| "recording.default".to_owned());
            let what = described(&terms, &decision.outcome.form);
            self.trace.note(
                at_ns,
                "recording",
                format!("recording {take} goes on by {by}: {what}"),
            );
        }
    }

    /// What a take's recording is to be like, where a rule says anything of it.
    #[must_use]
    pub fn form(&self, take: u32) -> Option<&TakeForm> {
        self.forms.iter().find(|form| form.take == take)
    }
}

/// What holds for a take, for people.
fn described(terms: &Terms, form: &Form) -> String {
    let seconds = |ns: u64| ns / SECOND_NS;
    let limit = terms.length_max_ns.map(|ns| format!("at most {} s", seconds(ns)));
    let least = (terms.length_min_ns > 0)
        .then(|| format!("deleted if shorter than {} s", seconds(terms.length_min_ns)));
    let said = [
        Some(limit.unwrap_or_else(|| "of any length".to_owned())),
        least,
        form.format.map(|format| format.name().to_owned()),
        form.sample_rate.map(|rate| format!("{rate} samples a second")),
        form.url.as_ref().map(|url| format!("sent to {url}")),
    ];
    said.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

impl CallTable {
    /// Decides about a call that has just begun.
    pub(super) fn decide_first(&mut self, slot: CallSlot, at_ns: TsNs) {
        let Some(decision) = self.ask(slot) else { return };
        let (general, on_demand) = (self.terms, self.on_demand);
        let Some(call) = self.get_mut(slot) else { return };
        if decision.is_due {
            let cause = Cause::rule(By::Policy, Arc::clone(&decision.rule));
            call.coverage = Coverage::whole(cause.clone(), decision.terms(general));
            call.keep_form(&decision);
            if decision.outcome.voices == Voices::Caller {
                // Whom nobody wants is not written: only that something came. There is room for the first span.
                let _ = call.coverage.mask(Some(Party::Callee), BEGINNING, cause);
            }
        }
        call.decided(decision, on_demand, at_ns);
    }

    /// Asks the rules. Where there are none, all calls have the same decision.
    fn ask(&mut self, slot: CallSlot) -> Option<Arc<Decision>> {
        let call = self.get(slot)?;
        if self.rules.version.is_some() || call.demand() != Demand::None {
            return Some(Arc::new(Decision::of(&self.rules, call, &Known::of(call))));
        }
        let plain =
            self.plain.get_or_insert_with(|| Arc::new(Decision::without_policies(&self.rules)));
        Some(Arc::clone(plain))
    }

    /// Decides again: what is known of the call has changed.
    pub fn decide_again(&mut self, slot: CallSlot, at_ns: TsNs) {
        if self.get(slot).is_some_and(|call| call.ended_ns.is_none()) {
            self.decide(slot, at_ns);
        }
    }

    /// Other rules are in force: each open call is asked again, and only those whose answer is another change.
    pub fn set_rules(&mut self, rules: Rules, at_ns: TsNs) {
        self.rules = rules;
        self.plain = None;
        let slots: Vec<CallSlot> = self.iter().map(|call| call.slot).collect();
        slots.into_iter().for_each(|slot| self.decide_again(slot, at_ns));
    }

    fn decide(&mut self, slot: CallSlot, at_ns: TsNs) {
        let Some(decision) = self.other_decision(slot) else { return };
        let Some(call) = self.get(slot) else { return };
        let last = call.coverage.takes().last();
        let is_open = last.is_some_and(|take| take.until_ns == OPEN);
        // What has its longest length has it, and what a person ended is ended.
        let ended_by = last.and_then(|take| take.ended.as_ref()).map(|ended| ended.by);
        let may_begin = ended_by.is_none_or(|by| by == By::Policy);
        // What a person began, only a rule that forbids it ends.
        let is_asked_for = last.is_some_and(|take| take.asked().is_some());
        let may_end = !is_asked_for || decision.outcome.is_forbidden;
        let (is_due, terms) = (decision.is_due, decision.terms(self.terms));
        let voices = decision.outcome.voices;
        let cause = Cause::rule(By::Policy, Arc::clone(&decision.rule));
        let before = self.verdicts_of(slot);
        let on_demand = self.on_demand;
        if let Some(call) = self.get_mut(slot) {
            let known = call.decision.as_ref().map(|decision| &decision.version);
            let is_other_set = known.is_some_and(|known| *known != decision.version);
            let goes_on = is_open && (is_due || !may_end) && decision.answer == Answer::Record;
            if is_other_set && goes_on {
                call.agree_anew(&decision, terms, at_ns);
            }
            call.decided(decision, on_demand, at_ns);
            if is_other_set && goes_on {
                self.end_exceeded_take(slot, at_ns);
            }
        }
        match (is_due, is_open) {
            (true, false) if may_begin => {
                let begin = Change::Begin { from_ns: at_ns, terms };
                if let Err(why) = self.change(slot, at_ns, begin, cause.clone())
                    && let Some(call) = self.get_mut(slot)
                {
                    call.trace.note(at_ns, "limit", format!("not recorded: {}", why.name()));
                }
            }
            (false, true) if may_end => {
                // It is open: it can be ended.
                let _ = self.change(slot, at_ns, Change::End, cause.clone());
            }
            _ => self.tell_changed(slot, at_ns, before),
        }
        if is_due {
            self.hear(slot, at_ns, voices, cause);
        }
        self.touch(slot);
    }

    /// The decision, if it is another one than before.
    fn other_decision(&mut self, slot: CallSlot) -> Option<Arc<Decision>> {
        let call = self.get(slot)?;
        let before = call.decision.as_ref();
        let same_rules = |before: &&Arc<Decision>| before.version == self.rules.version;
        if let Some(before) = before.filter(same_rules) {
            if before.version.is_none() && call.demand() == Demand::None {
                return None;
            }
            let facts = Known::of(call).fingerprint();
            if before.facts == facts {
                // The same question: only that the call is further may be new.
                let is_due = before.outcome.records_at(call.stage(&before.outcome));
                let further = || Arc::new(Decision { is_due, ..Decision::clone(before) });
                return (is_due != before.is_due).then(further);
            }
        }
        let decision = self.ask(slot)?;
        (self.get(slot)?.decision.as_ref() != Some(&decision)).then_some(decision)
    }

    /// In the take that runs, whom the rules do not want is masked, and whom they want again is heard.
    fn hear(&mut self, slot: CallSlot, at_ns: TsNs, voices: Voices, cause: Cause) {
        let open = self.get(slot).map(|call| &call.coverage).filter(|coverage| coverage.is_open());
        let Some(coverage) = open else { return };
        let change = match (voices, coverage.is_masked_by_rule(Party::Callee)) {
            (Voices::Caller, false) => Change::Mask(Some(Party::Callee)),
            (Voices::Both, true) => Change::Unmask(Some(Party::Callee)),
            _ => return,
        };
        if self.change(slot, at_ns, change, cause.clone()).is_err() {
            // Who cannot be left out is not recorded: there were too many changes. It is open, so it can be ended.
            let _ = self.change(slot, at_ns, Change::End, cause);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use earwitness_policy::Source;
    use earwitness_policy::document::Format;
    use earwitness_segment::{LaneId, RecordPos};
    use earwitness_voip::dialog::{Hop, LegId};
    use earwitness_wire::Endpoint;

    use super::*;
    use crate::call::coverage::{Unchanged, Wanted};
    use crate::call::leg::{Invite, InviteIndex};
    use crate::call::media::Arrival;
    use crate::call::table::{Opening, Timing};
    use crate::call::{Announced, HopIndex};
    use crate::config::RecordDefault;

    const A: Endpoint = Endpoint::v4([10, 0, 0, 1], 4000);
    const B: Endpoint = Endpoint::v4([10, 0, 0, 2], 5000);

    fn rules(number: i64, parameters: &str) -> Rules {
        let text = format!(
            r#"{{ "tenants": [{{ "id": "acme", "catch_all": true,
                "call_recording": {{ "account": {{ "any": {{ "any": {{ "enabled": true {parameters} }} }} }} }} }}] }}"#
        );
        let source = Source { name: "test.json", text: &text };
        let loaded = earwitness_policy::load(&[source]).expect("a set without faults");
        let version = Version { number, hash: "hash".to_owned() };
        Rules::without_policies(RecordDefault::None).with(loaded.policy, version)
    }

    /// A call from second 10 on, whose media begins at second 11.
    fn table(rules: Rules) -> (CallTable, CallSlot) {
        // Nothing is said in it for longer than usual.
        let timing = Timing { media_idle_ns: 600 * SECOND_NS, ..Timing::OF_TESTS };
        let mut table = CallTable::new(rules, timing, 100);
        let [caller, callee] = [A, B].map(|at: Endpoint| -> SocketAddr { at.to_socket_addr() });
        let slot = table.open(Opening {
            id: "1".to_owned(),
            call_id: "1".to_owned(),
            from: Some("alice@a.example".to_owned()),
            to: Some("500@b.example".to_owned()),
            at_ns: 10 * SECOND_NS,
            joined_late: false,
            invite: Invite::of_leg(LegId(1), Hop::new(caller, callee)),
        });
        let news = Announced {
            party: Party::Caller,
            hop: HopIndex::new(InviteIndex(0), 0),
            leg: None,
            rtp: A,
            rtcp: None,
            from_ns: 10 * SECOND_NS,
            payload_types: smallvec::SmallVec::new(),
            encrypted: false,
            teller: caller.into(),
        };
        let _ = table.announce(slot, news);
        let arrival = Arrival {
            lane: LaneId(3),
            pos: RecordPos::media(1, 4_160),
            prev: RecordPos(0),
            ts_ns: 11 * SECOND_NS,
            ssrc: Some(7),
            payload_type: Some(0),
            masked: false,
        };
        table.media(B, A, &arrival).expect("the address is the call's");
        (table, slot)
    }

    fn takes(table: &CallTable, slot: CallSlot) -> Vec<(u64, Option<By>)> {
        let takes = table.get(slot).expect("it is open").coverage.takes().iter();
        takes.map(|take| (take.until_ns, take.ended.as_ref().map(|ended| ended.by))).collect()
    }

    fn told(table: &CallTable, slot: CallSlot, what: &str) -> bool {
        let trace = table.get(slot).expect("it is open").trace.clone();
        trace.into_lines().any(|line| line.what == "recording" && line.detail.contains(what))
    }

    /// POL-4: other policies move the limit of a recording that runs, and say what else it is to be like; the trace names
    /// their version.
    #[test]
    fn other_policies_hold_for_what_runs() {
        let (mut table, slot) = table(rules(1, r#", "time_limit": 60"#));
        let more = r#", "time_limit": 90, "format": "mp3", "record_min_sec": 5, "record_sample_rate": 8000, "url": "https://a.example/""#;
        table.set_rules(rules(2, more), 30 * SECOND_NS);
        let take = table.get(slot).expect("it is open").coverage.takes()[0].clone();
        assert_eq!(take.terms.length_max_ns, Some(90 * SECOND_NS));
        assert_eq!(take.terms.length_min_ns, 5 * SECOND_NS);
        let form = &table.get(slot).and_then(|call| call.form(1)).expect("a form").form;
        assert_eq!((form.format, form.sample_rate), (Some(Format::Mp3), Some(8_000)));
        assert_eq!(form.url.as_deref(), Some("https://a.example/"));
        assert!(told(
            &table,
            slot,
            "recording 1 goes on by policy 2-hash: at most 90 s, deleted if"
        ));
        table.tick(72 * SECOND_NS);
        assert_eq!(takes(&table, slot), [(OPEN, None)], "the old limit");
        table.tick(102 * SECOND_NS);
        assert_eq!(takes(&table, slot), [(101 * SECOND_NS, Some(By::Limit))], "the new one");
        // What has its longest length has it, whatever a later set says.
        table.set_rules(rules(3, ""), 103 * SECOND_NS);
        assert_eq!(takes(&table, slot).len(), 1);
    }

    /// POL-4: a recording that is longer than its new limit ends when that comes into force, and says so; nothing of what
    /// is recorded is lost.
    #[test]
    fn a_limit_that_has_passed_ends_it_now() {
        let (mut table, slot) = table(rules(1, ""));
        table.set_rules(rules(2, r#", "time_limit": 10"#), 30 * SECOND_NS);
        assert_eq!(takes(&table, slot), [(30 * SECOND_NS, Some(By::Limit))]);
        assert!(told(&table, slot, "longer than the policies in force allow"));
        let (mut table, slot) = self::table(rules(1, r#", "time_limit": 10"#));
        table.set_rules(rules(2, ""), 15 * SECOND_NS);
        table.tick(60 * SECOND_NS);
        assert_eq!(takes(&table, slot), [(OPEN, None)], "there is none any more");
        assert!(told(&table, slot, "policy 2-hash: of any length"));
    }

    /// CAP-9, POL-4: a change of whom the rules want holds for the recording that runs; what people have masked stays so, and
    /// what a rule has masked people do not show.
    #[test]
    fn whom_nobody_wants_any_more_is_masked() {
        let only_caller = |number| {
            let text = r#"{ "tenants": [{ "id": "acme", "catch_all": true,
                "callflows": [{ "id": "box", "numbers": ["500"], "record_caller": {} }] }] }"#;
            let loaded = earwitness_policy::load(&[Source { name: "test.json", text }])
                .expect("a set without faults");
            let version = Version { number, hash: "hash".to_owned() };
            Rules::without_policies(RecordDefault::None).with(loaded.policy, version)
        };
        let wanted = |table: &CallTable, slot, second: u64| {
            let coverage = &table.get(slot).expect("it is open").coverage;
            [Party::Caller, Party::Callee]
                .map(|side| coverage.wanted_at(second * SECOND_NS, side) == Wanted::Kept)
        };
        let (mut table, slot) = table(rules(1, ""));
        table.answered(slot, None, 11 * SECOND_NS);
        table.set_rules(only_caller(2), 20 * SECOND_NS);
        assert_eq!(
            (wanted(&table, slot, 15), wanted(&table, slot, 25)),
            ([true; 2], [true, false])
        );
        let person = || Cause { by: By::Socket, who: None, from: None };
        let unmask = Change::Unmask(None);
        assert_eq!(table.change(slot, 26 * SECOND_NS, unmask, person()), Err(Unchanged::NotMasked));
        let mask = Change::Mask(Some(Party::Callee));
        table.change(slot, 27 * SECOND_NS, mask, person()).expect("a person's own mask");
        table.set_rules(rules(3, ""), 30 * SECOND_NS);
        assert_eq!(wanted(&table, slot, 35), [true, false]);
        table.change(slot, 40 * SECOND_NS, unmask, person()).expect("it was masked");
        assert_eq!(wanted(&table, slot, 45), [true; 2]);
        assert_eq!(takes(&table, slot).len(), 1, "one recording all the time");
    }

    /// POL-1: a set that says nothing else of a call changes nothing of it.
    #[test]
    fn the_same_again_is_no_change() {
        let (mut table, slot) = table(rules(1, r#", "time_limit": 60"#));
        let before = table.get(slot).expect("it is open").trace.clone().into_lines().count();
        table.set_rules(rules(2, r#", "time_limit": 60"#), 30 * SECOND_NS);
        let after = table.get(slot).expect("it is open").trace.clone().into_lines().count();
        assert_eq!(before, after);
    }
}
