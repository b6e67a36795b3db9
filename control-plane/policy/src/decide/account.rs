//! The account's own settings, apart from those of its endpoints (001), and what is forced for all of it (002).

use super::endpoint::SaysNo;
use super::start::{Origin, Start, Starts};
use super::view::Seen;
use crate::decision::Parts;
use crate::index::{Cell, Policy, Way};
use crate::trace::{Mark, Tell};

/// The call as the account looks at it.
pub struct Account<'a> {
    pub seen: &'a Seen<'a>,
    /// An endpoint of the call says no for itself.
    pub endpoints: SaysNo,
    /// 002: what a queue says goes before what the account says.
    pub queue_says_no: bool,
}

impl Account<'_> {
    pub fn judge(&self, policy: &Policy, starts: &mut Starts, tell: &mut impl Tell) {
        self.own(policy, starts, tell);
        self.forced(policy, starts, tell);
    }

    /// 001: inbound by where the call comes from; if that does not start it, outbound by where it goes.
    fn own(&self, policy: &Policy, starts: &mut Starts, tell: &mut impl Tell) {
        let Some(cells) = &self.seen.tenant.own else { return };
        let ways = self.ways();
        if self.queue_says_no {
            tell.say(Mark::No, || "account: the queue says no, which goes before it".to_owned());
            return;
        }
        let mut started = None;
        for way in ways {
            let cell = cells.get(way);
            let origin = Origin::Account(way);
            match (cell.enabled, started) {
                (Some(true), None) => {
                    started = Some(way);
                    tell.say(Mark::Yes, || format!("{} is on", origin.text(policy)));
                    starts.add(self.start(origin, cell.clone()));
                }
                (Some(true), Some(first)) => tell.note(|| {
                    format!(
                        "{} is on, too; {} has started the recording",
                        origin.text(policy),
                        first.name()
                    )
                }),
                (Some(false), _) => {
                    tell.say(Mark::No, || format!("{} is off", origin.text(policy)))
                }
                (None, _) => tell.say(Mark::No, || format!("{} is not set", origin.text(policy))),
            }
        }
    }

    /// 002: every call, "unless specific settings for the user and/or device indicate otherwise".
    fn forced(&self, policy: &Policy, starts: &mut Starts, tell: &mut impl Tell) {
        let forces = |way: &Way| self.seen.tenant.force_account[*way as usize];
        let Some(way) = self.ways().into_iter().find(forces) else { return };
        let origin = Origin::ForceAccount(way);
        if self.endpoints.0 {
            tell.say(Mark::No, || {
                format!("{}: a user or device of the call is set otherwise", origin.text(policy))
            });
            return;
        }
        tell.say(Mark::Yes, || origin.text(policy));
        starts.add(self.start(origin, Cell { enabled: Some(true), ..Cell::default() }));
    }

    fn ways(&self) -> [Way; 2] {
        [Way::inbound(self.seen.caller_onnet), Way::outbound(self.seen.callee_onnet)]
    }

    fn start(&self, origin: Origin, cell: Cell) -> Start {
        Start::new(origin, cell, Parts { audio: true, video: self.seen.video() })
    }
}
