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

/// What was decided, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub answer: Answer,
    /// The rules that decided.
    pub rule: String,
    /// The reasons, for people: a tree, a line each.
    pub trace: Vec<String>,
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
    pub voices: Voices,
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
        if rules.version.is_none() && known.demand() == Demand::None {
            return Self::without_policies(rules, known.fingerprint());
        }
        let Explained { outcome, rule, tree } =
            known.ask(|facts: &Facts<'_>| rules.policy.explain(facts, rules.fallback));
        let control = outcome.tenant.map(|tenant| {
            let (on_demand, pause) = rules.policy.on_demand(tenant);
            Control { on_demand: Arc::clone(on_demand), pause }
        });
        Self {
            answer: outcome.answer,
            is_due: outcome.records_at(call.stage(&outcome)),
            rule,
            trace: tree.lines(),
            tenant: outcome.tenant.map(|tenant| rules.policy.tenant_name(tenant).to_owned()),
            control,
            outcome,
            version: rules.version.clone(),
            facts: known.fingerprint(),
        }
    }

    /// One line of the configuration says it all.
    fn without_policies(rules: &Rules, facts: u64) -> Self {
        let (outcome, rule, word) = match rules.fallback {
            Fallback::RecordAll => (Outcome::record(), "recording.default=all", "yes: recorded"),
            Fallback::RecordNone => {
                (Outcome::ignore(), "recording.default=none", "no: not recorded")
            }
        };
        Self {
            answer: outcome.answer,
            is_due: outcome.answer == Answer::Record,
            rule: rule.to_owned(),
            trace: vec![format!("{word}: {rule}, there are no policies")],
            tenant: None,
            control: None,
            outcome,
            version: None,
            facts,
        }
    }

    /// `general` says what no rule does.
    pub fn terms(&self, general: Terms) -> Terms {
        const SECOND_NS: u64 = 1_000_000_000;
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
            |decision: &Decision| decision.answer == Answer::Record && !decision.is_due;
        self.decision.as_ref().is_some_and(is_awaited) && self.ended_ns.is_none()
    }

    /// Keeps a decision, and tells what is new of it.
    fn decided(&mut self, decision: Decision, on_demand: control::OnDemand, at_ns: TsNs) {
        let is_news = self.decision.as_ref().is_none_or(|before| {
            (before.answer, &before.rule) != (decision.answer, &decision.rule)
        });
        if is_news {
            for line in &decision.trace {
                self.trace.note(at_ns, "decision", line.clone());
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
        let Outcome { form, voices, .. } = &decision.outcome;
        if *form != Form::default() || *voices != Voices::Both {
            self.forms.push(TakeForm { take, form: form.clone(), voices: *voices });
        }
    }

    /// What a take's recording is to be like, where a rule says anything of it.
    #[must_use]
    pub fn form(&self, take: u32) -> Option<&TakeForm> {
        self.forms.iter().find(|form| form.take == take)
    }
}

impl CallTable {
    /// Decides about a call that has just begun.
    pub(super) fn decide_first(&mut self, slot: CallSlot, at_ns: TsNs) {
        let Some(call) = self.get(slot) else { return };
        let decision = Decision::of(&self.rules, call, &Known::of(call));
        let (general, on_demand) = (self.terms, self.on_demand);
        let Some(call) = self.get_mut(slot) else { return };
        if decision.is_due {
            let cause = Cause::rule(By::Policy, decision.rule.clone());
            call.coverage = Coverage::whole(cause.clone(), decision.terms(general));
            call.keep_form(&decision);
            if decision.outcome.voices == Voices::Caller {
                // Whom nobody wants is not written: only that something came. There is room for the first span.
                let _ = call.coverage.mask(Some(Party::Callee), BEGINNING, cause);
            }
        }
        call.decided(decision, on_demand, at_ns);
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
        let cause = Cause::rule(By::Policy, decision.rule.clone());
        let before = self.verdicts_of(slot);
        let on_demand = self.on_demand;
        if let Some(call) = self.get_mut(slot) {
            call.decided(decision, on_demand, at_ns);
        }
        match (is_due, is_open) {
            (true, false) if may_begin => self.begin(slot, at_ns, (terms, voices), cause),
            (false, true) if may_end => {
                // It is open: it can be ended.
                let _ = self.change(slot, at_ns, Change::End, cause);
            }
            _ => self.tell_changed(slot, at_ns, before),
        }
        self.touch(slot);
    }

    /// The decision, if it is another one than before.
    fn other_decision(&self, slot: CallSlot) -> Option<Decision> {
        let call = self.get(slot)?;
        let before = call.decision.as_ref();
        let same_rules = |before: &&Decision| before.version == self.rules.version;
        if let Some(before) = before.filter(same_rules) {
            if before.version.is_none() && call.demand() == Demand::None {
                return None;
            }
            let facts = Known::of(call).fingerprint();
            if before.facts == facts {
                // The same question: only that the call is further may be new.
                let is_due = before.outcome.records_at(call.stage(&before.outcome));
                return (is_due != before.is_due).then(|| Decision { is_due, ..before.clone() });
            }
        }
        let decision = Decision::of(&self.rules, call, &Known::of(call));
        (before != Some(&decision)).then_some(decision)
    }

    fn begin(
        &mut self,
        slot: CallSlot,
        at_ns: TsNs,
        (terms, voices): (Terms, Voices),
        cause: Cause,
    ) {
        let begin = Change::Begin { from_ns: at_ns, terms };
        if self.change(slot, at_ns, begin, cause.clone()).is_err() {
            return;
        }
        if voices == Voices::Caller {
            // The take has just begun: there is something to mask.
            let _ = self.change(slot, at_ns, Change::Mask(Some(Party::Callee)), cause);
        }
    }
}
