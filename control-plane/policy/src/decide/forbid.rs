//! What forbids a recording, whoever wants it: lists of numbers, calls between external numbers (003), a person who
//! stopped it.

use super::Why;
use super::view::Seen;
use crate::decision::Direction;
use crate::facts::{Demand, Facts};
use crate::identity::Dialling;
use crate::index::{List, Policy};
use crate::trace::{Mark, Tell};

/// A list of all tenants that names a party.
pub fn listed_for_all(policy: &Policy, facts: &Facts<'_>, tell: &mut impl Tell) -> Option<usize> {
    if policy.do_not_record.is_empty() {
        return None;
    }
    listed(&policy.do_not_record, facts, &Dialling::default(), tell)
}

/// What forbids it to this tenant.
pub fn forbidden(
    policy: &Policy,
    seen: &Seen<'_>,
    facts: &Facts<'_>,
    tell: &mut impl Tell,
) -> Option<Why> {
    debug_assert!(seen.id.at() < policy.tenants.len());
    if let Some(list) = listed(&seen.tenant.do_not_record, facts, &seen.tenant.dialling, tell) {
        return Some(Why::Listed(seen.id, list));
    }
    if seen.direction == Direction::External && !seen.tenant.between_external {
        tell.say(Mark::No, || {
            "both parties are external, and calls between external numbers are not recorded"
                .to_owned()
        });
        return Some(Why::BetweenExternal(seen.id));
    }
    if facts.demand == Demand::Stop {
        tell.say(Mark::No, || "somebody stopped the recording during the call".to_owned());
        return Some(Why::Stopped);
    }
    None
}

fn listed(
    lists: &[List],
    facts: &Facts<'_>,
    dialling: &Dialling,
    tell: &mut impl Tell,
) -> Option<usize> {
    if lists.iter().all(|list| list.numbers.is_empty()) {
        return None;
    }
    let Facts { caller, callee, through, .. } = facts;
    let all = || caller.identities.iter().chain(callee.identities).chain(*through);
    for (index, list) in lists.iter().enumerate() {
        if let Some(identity) = all().find(|identity| list.numbers.holds(identity.text, dialling)) {
            tell.say(Mark::No, || {
                format!(
                    "{} is on the do-not-record list {}, by {}",
                    identity.text,
                    list.id,
                    identity.by.name()
                )
            });
            return Some(index);
        }
    }
    tell.note(|| "no party is on a do-not-record list".to_owned());
    None
}
