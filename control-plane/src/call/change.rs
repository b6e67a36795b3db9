//! Changes of what is recorded while a call runs: what they are called, and what follows from them for capture.

use earwitness_ipc::VerdictChange;
use earwitness_wire::{Endpoint, Verdict};

use super::binding::{OPEN, TsNs};
use super::coverage::{BEGINNING, By, Cause, Coverage, Terms, Unchanged};
use super::media::{Chain, Flow};
use super::table::{CallTable, receivers_of, verdict_of};
use super::{Call, CallSlot, Party};

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A take begins, here or earlier where media was kept.
    Begin {
        from_ns: TsNs,
        terms: Terms,
    },
    End,
    Pause,
    Resume,
    /// Of one speaker, or of both.
    Mask(Option<Party>),
    Unmask(Option<Party>),
    /// Keys that were pressed are hidden.
    HideKeys {
        speaker: Party,
        from_ns: TsNs,
        until_ns: TsNs,
    },
}

impl Change {
    /// The word in the call's trace.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Begin { .. } => "start",
            Self::End => "stop",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Mask(_) => "mask",
            Self::Unmask(_) => "unmask",
            Self::HideKeys { .. } => "keys hidden",
        }
    }

    fn apply(self, coverage: &mut Coverage, at_ns: TsNs, cause: Cause) -> Result<(), Unchanged> {
        match self {
            Self::Begin { from_ns, terms } => coverage.begin(from_ns, cause, terms),
            Self::End => coverage.end(at_ns, cause),
            Self::Pause => coverage.pause(at_ns, cause),
            Self::Resume => coverage.resume(at_ns, &cause),
            Self::Mask(speaker) => coverage.mask(speaker, at_ns, cause),
            Self::Unmask(speaker) => coverage.unmask(speaker, at_ns, &cause),
            Self::HideKeys { speaker, from_ns, until_ns } => {
                coverage.hide_keys(speaker, from_ns, until_ns, cause)
            }
        }
    }
}

impl CallTable {
    /// Changes what is recorded of a call from `at_ns` on: its trace says so, and capture is told.
    ///
    /// # Errors
    /// It is so already, or cannot be.
    pub fn change(
        &mut self,
        slot: CallSlot,
        at_ns: TsNs,
        change: Change,
        cause: Cause,
    ) -> Result<(), Unchanged> {
        let before = self.verdicts_of(slot);
        let Some(call) = self.get_mut(slot) else { return Err(Unchanged::NotRecording) };
        let text = format!("{}: {cause}", change.name());
        change.apply(&mut call.coverage, at_ns, cause)?;
        call.trace.note(at_ns, "recording", text);
        // What was silent because nobody listened did not stop.
        call.heard_ns = call.heard_ns.max(at_ns);
        if matches!(change, Change::Begin { .. })
            && let Some(decision) = call.decision.take()
        {
            // Whoever began it: it is to be as the rules say.
            call.keep_form(&decision);
            call.decision = Some(decision);
        }
        self.tell_changed(slot, at_ns, before);
        self.erase(slot, at_ns, change);
        self.touch(slot);
        Ok(())
    }

    /// What capture does with what goes to each address of a call.
    pub(super) fn verdicts_of(&self, slot: CallSlot) -> Vec<(Endpoint, Verdict)> {
        let Some(call) = self.get(slot) else { return Vec::new() };
        receivers_of(call).map(|(dst, party)| (dst, verdict_of(call, party))).collect()
    }

    /// Tells capture what is otherwise than `before`, for what comes from `at_ns` on.
    pub(super) fn tell_changed(
        &mut self,
        slot: CallSlot,
        at_ns: TsNs,
        before: Vec<(Endpoint, Verdict)>,
    ) {
        let after = self.verdicts_of(slot);
        let changed = before.into_iter().zip(after).filter(|(before, after)| before != after);
        let change =
            |(_, (dst, verdict))| VerdictChange { dst, verdict: Some(verdict), since_ns: at_ns };
        self.tell(changed.map(change));
    }

    /// What was written already, and is not wanted any more, is destroyed. What is written until capture knows is found
    /// when it is read.
    fn erase(&mut self, slot: CallSlot, at_ns: TsNs, change: Change) {
        let (speaker, from_ns, until_ns) = match change {
            Change::End | Change::Pause => (None, at_ns, OPEN),
            Change::Mask(speaker) => (speaker, at_ns, OPEN),
            Change::HideKeys { speaker, from_ns, until_ns } => (Some(speaker), from_ns, until_ns),
            Change::Begin { .. } | Change::Resume | Change::Unmask(_) => return,
        };
        let Some(call) = self.get(slot) else { return };
        let is_meant = |flow: &&Flow| {
            let spoken = flow.receiver.other();
            speaker.is_none_or(|only| only == spoken) && flow.last_ns >= from_ns
        };
        let flows = call.media.flows.iter().filter(is_meant);
        let chains: Vec<Chain> = flows.flat_map(|flow| flow.chains.iter().copied()).collect();
        if chains.is_empty() {
            return;
        }
        chains
            .iter()
            .for_each(|chain| self.erasures.chain(chain.lane, chain.last, from_ns, until_ns));
        if let Some(call) = self.get_mut(slot) {
            let text = "what was written before this was known is destroyed";
            call.trace.note(at_ns, "erasure", text);
        }
    }

    /// The call is finished: what was kept of it for a recording that nobody began is destroyed, and the trace says what
    /// was destroyed besides.
    pub(super) fn conclude(&mut self, call: &mut Call) {
        let over_ns = call.over_ns();
        if let Some(until_ns) = call.coverage.left_over_until() {
            for chain in call.media.flows.iter().flat_map(|flow| &flow.chains) {
                self.erasures.chain(chain.lane, chain.last, BEGINNING, until_ns);
            }
        }
        if call.destroyed > 0 {
            let text =
                format!("{} packets that came before capture knew are destroyed", call.destroyed);
            call.trace.note(over_ns, "erasure", text);
        }
    }

    /// The open take is longer already than its new limit lets it be: it ends now. What is recorded stays.
    pub(super) fn end_exceeded_take(&mut self, slot: CallSlot, at_ns: TsNs) {
        let Some(call) = self.get(slot) else { return };
        let due_ns = call.coverage.due_ns(call.media.first_ns());
        if due_ns.is_some_and(|due_ns| due_ns <= at_ns) {
            let cause = Cause::rule(By::Limit, "it is longer than the policies in force allow");
            // It was open.
            let _ = self.change(slot, at_ns, Change::End, cause);
        }
    }

    /// Takes whose time is up end, at that time.
    pub(super) fn end_due_take(&mut self, slot: CallSlot, now_ns: TsNs) {
        let Some(call) = self.get(slot) else { return };
        let due_ns = call.coverage.due_ns(call.media.first_ns());
        let over_ns = call.ended_ns.unwrap_or(now_ns).min(now_ns);
        if let Some(due_ns) = due_ns.filter(|due_ns| *due_ns <= over_ns) {
            let cause = Cause::rule(By::Limit, "the recording has its longest length");
            // It was open: nothing else is due.
            let _ = self.change(slot, due_ns, Change::End, cause);
        }
    }
}
