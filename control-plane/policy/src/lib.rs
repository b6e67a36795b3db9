//! Who is recorded: facts in, decision with its trace out. Pure: no clock, no storage, no network.
//!
//! The rule set is one line of configuration so far ([`RuleSet`]): record all calls, or none. What asks is
//! already as it stays: facts of one call go in at each event that changes them, and the answer names the
//! rule that decided.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

/// What is known of a call when the question is asked. Unknown is `None`, never an empty string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts<'a> {
    /// `user@host` of the From header.
    pub from: Option<&'a str>,
    /// `user@host` of the To header.
    pub to: Option<&'a str>,
}

/// What becomes of the media of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    Record,
    Ignore,
}

/// The rules in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleSet {
    RecordAll,
    RecordNone,
}

/// An answer and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub answer: Answer,
    /// The rule that decided, by its name in the configuration.
    pub rule: &'static str,
    /// What was considered, in order, for people.
    pub trace: Vec<String>,
}

/// Decides one call.
#[must_use]
pub fn decide(rules: RuleSet, facts: &Facts<'_>) -> Decision {
    let (answer, rule) = match rules {
        RuleSet::RecordAll => (Answer::Record, "recording.default=all"),
        RuleSet::RecordNone => (Answer::Ignore, "recording.default=none"),
    };
    let (from, to) = (facts.from.unwrap_or("unknown"), facts.to.unwrap_or("unknown"));
    let trace = vec![
        format!("parties: from {from}, to {to}"),
        format!("no policy names them: {rule} applies"),
    ];
    Decision { answer, rule, trace }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_decides_and_is_named() {
        let facts = Facts { from: Some("alice@example.org"), to: None };
        assert_eq!(decide(RuleSet::RecordAll, &facts).answer, Answer::Record);
        let denied = decide(RuleSet::RecordNone, &facts);
        assert_eq!(denied.answer, Answer::Ignore);
        assert_eq!(denied.rule, "recording.default=none");
        assert!(
            denied.trace[0].contains("alice@example.org") && denied.trace[0].contains("unknown")
        );
    }
}
