//! Calls in a line each, and the tenant that most tests are about.

use earwitness_policy::{
    Answer, By, Demand, Explained, Fallback, Identity, Outcome, PartyFacts, Policy, Source, Stage,
    facts::Facts, load,
};
use serde_json::{Value, json};

/// A call between two identities.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub through: &'a [&'a str],
    pub video: bool,
    pub stage: Stage,
    pub demand: Demand,
    /// Who transferred the call to the caller's, or to the callee's, place.
    pub transferred: [Option<&'a str>; 2],
    pub id: &'a str,
}

pub const ALICE: &str = "alice@acme.example";
pub const BOB: &str = "bob@acme.example";
pub const OUTSIDE: &str = "+4930555123";
pub const OUTSIDE_TOO: &str = "+4930555999";

impl<'a> Call<'a> {
    pub fn new(from: &'a str, to: &'a str) -> Self {
        Self {
            from,
            to,
            through: &[],
            video: false,
            stage: Stage::Ringing,
            demand: Demand::None,
            transferred: [None; 2],
            id: "1",
        }
    }

    /// Asks `policy` with the facts of this call.
    pub fn ask<T>(&self, policy: &Policy, ask: impl FnOnce(&Policy, &Facts<'_>) -> T) -> T {
        let identity = |text| [Identity { by: By::Question, text }];
        let (from, to) = (identity(self.from), identity(self.to));
        let through: Vec<Identity<'_>> =
            self.through.iter().map(|text| Identity { by: By::Diversion, text }).collect();
        let by = |text| Identity { by: By::ReferredBy, text };
        let party = |identities, transferred: Option<&'a str>| PartyFacts {
            identities,
            transferred_by: transferred.map(by),
            ..PartyFacts::default()
        };
        let facts = Facts {
            call: self.id,
            caller: party(&from, self.transferred[0]),
            callee: party(&to, self.transferred[1]),
            through: &through,
            video: self.video,
            stage: self.stage,
            demand: self.demand,
        };
        ask(policy, &facts)
    }

    pub fn outcome(&self, policy: &Policy) -> Outcome {
        let (outcome, explained) = self.ask(policy, |policy, facts| {
            let fallback = Fallback::RecordNone;
            (policy.decide(facts, fallback), policy.explain(facts, fallback))
        });
        assert_eq!(outcome, explained.outcome, "whoever listens, the decision is the same");
        outcome
    }

    pub fn explained(&self, policy: &Policy) -> Explained {
        self.ask(policy, |policy, facts| policy.explain(facts, Fallback::RecordNone))
    }

    pub fn is_recorded(&self, policy: &Policy) -> bool {
        self.outcome(policy).answer == Answer::Record
    }
}

/// One file.
pub fn policy(document: &Value) -> Policy {
    let text = document.to_string();
    let loaded = load(&[Source { name: "test.json", text: &text }]);
    loaded.unwrap_or_else(|faults| panic!("{faults}")).policy
}

/// Tenant `acme` with Alice and Bob, who have a phone each, and whatever `more` says besides.
pub fn acme(more: Value) -> Policy {
    policy(&json!({ "tenants": [tenant(more)] }))
}

/// The same as a document.
pub fn tenant(more: Value) -> Value {
    let mut tenant = json!({
        "id": "acme",
        "domains": { "onnet": ["acme.example"] },
        "numbers": ["+498912300*"],
        "users": [{ "id": "alice" }, { "id": "bob" }],
        "devices": [
            { "id": "alice-desk", "owner": "alice", "identities": [ALICE] },
            { "id": "bob-desk", "owner": "bob", "identities": [BOB] },
            { "id": "lobby", "identities": ["lobby@acme.example"] }
        ]
    });
    merge(&mut tenant, more);
    tenant
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}
