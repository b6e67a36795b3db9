//! Queues, agents and groups (002): they start recordings of their own, and a queue goes before the account.

use super::start::{Origin, Start, Starts};
use super::view::Seen;
use crate::decision::Parts;
use crate::index::{Cell, Cells, Policy};
use crate::trace::{Mark, Tell};

/// What the queue of the call says, if it is of one: its agent's setting before its own.
pub fn judge(
    policy: &Policy,
    seen: &Seen<'_>,
    starts: &mut Starts,
    tell: &mut impl Tell,
) -> Option<bool> {
    let said = of_queue(policy, seen, starts, tell);
    if let Some((id, way)) = seen.group {
        let group = &policy.groups[id.at()];
        let cell = group.cells.as_ref().map(|cells| cells.get(way).clone());
        add(policy, seen, Origin::Group(id), cell.unwrap_or_default(), starts, tell);
    }
    said
}

fn of_queue(
    policy: &Policy,
    seen: &Seen<'_>,
    starts: &mut Starts,
    tell: &mut impl Tell,
) -> Option<bool> {
    let (id, way) = seen.queue?;
    let queue = &policy.queues[id.at()];
    let talks = [seen.callee, seen.caller].into_iter().flatten().filter_map(|party| party.user);
    let agent = talks.filter_map(|user| Some((user, queue.agents.get(&user)?))).next();
    let get = |cells: &Option<Box<Cells>>| cells.as_ref().map(|cells| cells.get(way).clone());
    let mut cell = agent.and_then(|(_, cells)| get(cells)).unwrap_or_default();
    let by_agent = cell.enabled.is_some();
    cell.fill(&get(&queue.cells).unwrap_or_default());
    let origin = match agent {
        Some((user, _)) if by_agent => Origin::Agent(id, user),
        _ => Origin::Queue(id),
    };
    let said = cell.enabled;
    add(policy, seen, origin, cell, starts, tell);
    said
}

fn add(
    policy: &Policy,
    seen: &Seen<'_>,
    origin: Origin,
    cell: Cell,
    starts: &mut Starts,
    tell: &mut impl Tell,
) {
    match cell.enabled {
        Some(true) => {
            tell.say(Mark::Yes, || format!("{} is on", origin.text(policy)));
            starts.add(Start::new(origin, cell, Parts { audio: true, video: seen.video() }));
        }
        Some(false) => tell.say(Mark::No, || format!("{} is off", origin.text(policy))),
        None => tell.say(Mark::No, || format!("{} is not set", origin.text(policy))),
    }
}
