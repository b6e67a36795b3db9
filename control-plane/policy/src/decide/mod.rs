//! The rules of 001, 002 and 003, one file each, and how their answers become one.
//!
//! For each tenant that the call concerns: what forbids, then what starts a recording, then what takes a start back.
//! One call is recorded once, whatever starts it; the trace names all.

mod account;
mod callflow;
mod endpoint;
mod forbid;
mod merge;
mod queue;
mod sampling;
mod start;
mod view;

use crate::decision::{Answer, Outcome};
use crate::facts::{Demand, Facts};
use crate::index::{Policy, TenantId};
use crate::trace::{Mark, Node, Silent, Tell, Tree};
use start::{Origin, Starts};
use view::View;

/// What holds for calls of no tenant: `recording.default` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    RecordAll,
    RecordNone,
}

impl Fallback {
    const fn rule(self) -> &'static str {
        match self {
            Self::RecordAll => "recording.default=all",
            Self::RecordNone => "recording.default=none",
        }
    }
}

/// An outcome with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    pub outcome: Outcome,
    /// The rules that decided, for lists and tables.
    pub rule: String,
    pub tree: Node,
}

impl Policy {
    /// Decides one call.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>, fallback: Fallback) -> Outcome {
        self.judge(facts, fallback, &mut Silent).outcome
    }

    /// The same, with what was considered.
    #[must_use]
    pub fn explain(&self, facts: &Facts<'_>, fallback: Fallback) -> Explained {
        let mut tree = Tree::default();
        let judged = self.judge(facts, fallback, &mut tree);
        let rule = judged.why.text(self);
        let (mark, word) = match judged.outcome.answer {
            Answer::Record => (Mark::Yes, "recorded"),
            Answer::Ignore => (Mark::No, "not recorded"),
        };
        let tree = tree.below(mark, format!("{word}: {rule}"));
        Explained { outcome: judged.outcome, rule, tree }
    }

    fn judge<T: Tell>(&self, facts: &Facts<'_>, fallback: Fallback, tell: &mut T) -> Judged {
        let view = View::new(self, facts);
        view.tell(self, facts, tell);
        if let Some(list) = forbid::listed_for_all(self, view.tenants(), facts, tell) {
            return Judged::no(Why::ListedForAll(list));
        }
        let mut best: Option<Judged> = None;
        for tenant in view.tenants() {
            let judged = self.judge_tenant(tenant, &view, facts, tell);
            // The first that records has the recording; until then, the first that was asked.
            let better = best.as_ref().is_none_or(|best| {
                best.outcome.answer == Answer::Ignore && judged.outcome.answer == Answer::Record
            });
            if better {
                best = Some(judged);
            }
        }
        best.unwrap_or_else(|| of_nobody(facts, fallback, tell))
    }

    fn judge_tenant<T: Tell>(
        &self,
        tenant: TenantId,
        view: &View,
        facts: &Facts<'_>,
        tell: &mut T,
    ) -> Judged {
        let seen = view.of(self, tenant, facts);
        tell.open(|| {
            format!("tenant {}: {} call", self.tenant_name(tenant), seen.direction.name())
        });
        let judged = match forbid::forbidden(self, &seen, facts, tell) {
            Some(why) => Judged::no(why),
            None => {
                let mut starts = Starts::default();
                self.gather(&seen, facts, &mut starts, tell);
                match merge::merged(&starts, tell) {
                    Some(outcome) => Judged { outcome, why: Why::Starts(tenant, starts.origins()) },
                    None => Judged::no(Why::Nothing(tenant)),
                }
            }
        };
        tell.close(if judged.outcome.answer == Answer::Record { Mark::Yes } else { Mark::No });
        let outcome = Outcome {
            tenant: Some(tenant),
            direction: Some(seen.direction),
            callee_is_machine: seen.callee_is_machine,
            ..judged.outcome
        };
        Judged { outcome, ..judged }
    }

    /// What starts a recording, in the order in which they say what it is like.
    fn gather<T: Tell>(
        &self,
        seen: &view::Seen<'_>,
        facts: &Facts<'_>,
        starts: &mut Starts,
        tell: &mut T,
    ) {
        if facts.demand == Demand::Start {
            tell.say(Mark::Yes, || "on demand: somebody asked for it during the call".to_owned());
            starts.add(start::Start::on_demand(seen.video()));
        }
        let flow = callflow::judge(self, seen, starts, tell);
        let endpoints = endpoint::judge(self, seen, starts, tell);
        let queue = queue::judge(self, seen, starts, tell);
        let account = account::Account { seen, endpoints, queue_says_no: queue == Some(false) };
        account.judge(self, starts, tell);
        sampling::judge(self, seen, facts.call, starts, tell);
        if flow == callflow::Said::Stop {
            starts.stop_by_callflow(tell);
        }
    }
}

/// A call of which no tenant knows.
fn of_nobody<T: Tell>(facts: &Facts<'_>, fallback: Fallback, tell: &mut T) -> Judged {
    match facts.demand {
        Demand::Start => Judged { outcome: Outcome::record(), why: Why::Demand },
        Demand::Stop => Judged::no(Why::Stopped),
        Demand::None => {
            tell.note(|| format!("the call is of no tenant: {} applies", fallback.rule()));
            let outcome = match fallback {
                Fallback::RecordAll => Outcome::record(),
                Fallback::RecordNone => Outcome::ignore(),
            };
            Judged { outcome, why: Why::Fallback(fallback) }
        }
    }
}

#[derive(Debug)]
struct Judged {
    outcome: Outcome,
    why: Why,
}

impl Judged {
    fn no(why: Why) -> Self {
        let is_forbidden =
            matches!(why, Why::ListedForAll(_) | Why::Listed(..) | Why::BetweenExternal(_));
        Self { outcome: Outcome { is_forbidden, ..Outcome::ignore() }, why }
    }
}

/// What decided.
#[derive(Debug)]
enum Why {
    Fallback(Fallback),
    Demand,
    Stopped,
    /// By its place among the lists of all tenants.
    ListedForAll(usize),
    Listed(TenantId, usize),
    BetweenExternal(TenantId),
    Starts(TenantId, Vec<Origin>),
    Nothing(TenantId),
}

impl Why {
    fn text(&self, policy: &Policy) -> String {
        match self {
            Self::Fallback(fallback) => fallback.rule().to_owned(),
            Self::Demand => "on demand".to_owned(),
            Self::Stopped => "stopped on demand".to_owned(),
            Self::ListedForAll(list) => {
                format!("do-not-record list {}", policy.do_not_record[*list].id)
            }
            Self::Listed(tenant, list) => {
                let tenant = &policy.tenants[tenant.at()];
                format!("{}: do-not-record list {}", tenant.id, tenant.do_not_record[*list].id)
            }
            Self::BetweenExternal(tenant) => {
                format!("{}: both parties are external", policy.tenant_name(*tenant))
            }
            Self::Starts(tenant, origins) => {
                let all: Vec<String> = origins.iter().map(|origin| origin.text(policy)).collect();
                format!("{}: {}", policy.tenant_name(*tenant), all.join("; "))
            }
            Self::Nothing(tenant) => format!("{}: nothing says so", policy.tenant_name(*tenant)),
        }
    }
}
