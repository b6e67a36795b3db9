//! Calls where there are no policies: one line of configuration says whether they are recorded.

use crate::Answer;

/// What is known of a call when the question is asked. Unknown is `None`, never an empty string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts<'a> {
    /// `user@host` of the From header.
    pub from: Option<&'a str>,
    /// `user@host` of the To header.
    pub to: Option<&'a str>,
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
