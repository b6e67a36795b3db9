//! What forbids a recording, whoever wants it: lists of numbers, calls between external numbers (003), a person who
//! stopped it.

use super::Why;
use super::view::Seen;
use crate::decision::Direction;
use crate::facts::{Demand, Facts};
use crate::identity::Dialling;
use crate::index::{List, Policy, TenantId};
use crate::trace::{Mark, Tell};

/// A list for all tenants that names a party, as any of those whom the call concerns would dial it.
pub fn listed_for_all(
    policy: &Policy,
    tenants: impl Iterator<Item = TenantId>,
    facts: &Facts<'_>,
    tell: &mut impl Tell,
) -> Option<usize> {
    if policy.do_not_record.is_empty() {
        return None;
    }
    let in_full = Dialling::default();
    let dialled = tenants.map(|tenant| &policy.tenants[tenant.at()].dialling);
    let mut all = std::iter::once(&in_full).chain(dialled);
    let found = all.find_map(|dialling| listed(&policy.do_not_record, facts, dialling, tell));
    if found.is_none() {
        tell.note(|| "no party is on a do-not-record list for all tenants".to_owned());
    }
    found
}

/// What forbids it to this tenant.
pub fn forbidden(
    policy: &Policy,
    seen: &Seen<'_>,
    facts: &Facts<'_>,
    tell: &mut impl Tell,
) -> Option<Why> {
    debug_assert!(seen.id.at() < policy.tenants.len());
    let lists = &seen.tenant.do_not_record;
    if let Some(list) = listed(lists, facts, &seen.tenant.dialling, tell) {
        return Some(Why::Listed(seen.id, list));
    }
    if !lists.is_empty() {
        tell.note(|| "no party is on a do-not-record list of the tenant".to_owned());
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
    None
}
