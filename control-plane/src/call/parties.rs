//! Who spoke with whom, from when to when: what a call's legs come to for people, and for policy (POL-9, POL-10).
//!
//! A call of one INVITE is told by its leg. Where there are several, conversations are kept as they change: the box that
//! answered gives way to the agent behind it, the party that was transferred to takes the place of who transferred.

use super::binding::TsNs;
use super::leg::{Identity, Invite, InviteIndex, Role, Said};
use super::limits::TOGETHER_MAX;
use super::number::Number;
use super::{Call, LegIndex, Party};

/// A party: an end of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub leg: LegIndex,
    /// Which end, as the leg has it.
    pub party: Party,
}

/// Two parties that were connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Together {
    /// The conversation; see [`Invite::talk`].
    pub talk: u8,
    pub from_ns: TsNs,
    /// None: still.
    pub until_ns: Option<TsNs>,
    /// Who was on the call's caller side, and who on the other.
    pub caller: End,
    pub callee: End,
}

impl Together {
    /// Who was on this side.
    #[must_use]
    pub const fn on(&self, side: Party) -> End {
        match side {
            Party::Caller => self.caller,
            Party::Callee => self.callee,
        }
    }

    const fn set(&mut self, side: Party, end: End) {
        match side {
            Party::Caller => self.caller = end,
            Party::Callee => self.callee = end,
        }
    }

    fn has(&self, mut is_it: impl FnMut(LegIndex) -> bool) -> bool {
        is_it(self.caller.leg) || is_it(self.callee.leg)
    }
}

impl Call {
    /// Who spoke with whom, in the order in which they began to.
    #[must_use]
    pub fn parties(&self) -> Vec<Together> {
        if self.invites.len() > 1 {
            return self.together.to_vec();
        }
        self.alone().into_iter().collect()
    }

    /// Who is connected now, or, before anybody answered, would be.
    #[must_use]
    pub fn current_parties(&self) -> Together {
        let is_open = |known: &&Together| known.until_ns.is_none();
        let now = self.together.iter().rev().find(is_open).copied().or_else(|| self.alone());
        now.unwrap_or_else(|| self.ends_of(LegIndex(0), self.started_ns))
    }

    /// What the leg says of the party at this end, besides [`Call::address`].
    pub fn identities(&self, end: End) -> impl Iterator<Item = &Identity> {
        let invite = self.invite_of(end.leg);
        invite
            .into_iter()
            .flat_map(|invite| &invite.identities)
            .filter(move |known| known.by == end.party)
    }

    /// `user@host` of the party at this end: From or To of its leg.
    #[must_use]
    pub fn address(&self, end: End) -> Option<&str> {
        let invite = self.invite_of(end.leg)?;
        self.address_in(invite, end.party)
    }

    /// What the party at this end is called: the one of several that answered as it was asked for, else [`Call::address`].
    #[must_use]
    pub fn name(&self, end: End) -> Option<&str> {
        self.target(end).or_else(|| self.address(end))
    }

    /// Whom of several the INVITE asked for that this party answered.
    #[must_use]
    pub fn target(&self, end: End) -> Option<&str> {
        let leg = self.legs.get(usize::from(end.leg.0)).filter(|_| end.party == Party::Callee)?;
        self.invites.get(leg.invite)?.target_at(leg.answerer?.at)
    }

    /// `user@host` of an end of an INVITE: its own From or To, else the call's.
    pub fn address_in<'a>(&'a self, invite: &'a Invite, party: Party) -> Option<&'a str> {
        let (own, of_call) = match party {
            Party::Caller => (&invite.from, &self.from),
            Party::Callee => (&invite.to, &self.to),
        };
        own.as_deref().or(of_call.as_deref())
    }

    pub(super) fn invite_of(&self, leg: LegIndex) -> Option<&Invite> {
        // A call is decided about before its first leg is there.
        let index = self.legs.get(usize::from(leg.0)).map_or(InviteIndex(0), |leg| leg.invite);
        self.invites.get(index)
    }

    /// The conversation of a call with one INVITE.
    fn alone(&self) -> Option<Together> {
        let (leg, at_ns) = self.answered?;
        let until_ns =
            self.legs.get(usize::from(leg.0)).and_then(|leg| leg.ended_ns).or(self.ended_ns);
        Some(Together { until_ns, ..self.ends_of(leg, at_ns) })
    }

    /// The ends of a leg on the call's sides.
    fn ends_of(&self, leg: LegIndex, from_ns: TsNs) -> Together {
        let invite = self.invite_of(leg);
        let turned = invite.is_some_and(|invite| invite.turned);
        let (on_left, on_right) =
            if turned { (Party::Callee, Party::Caller) } else { (Party::Caller, Party::Callee) };
        Together {
            talk: invite.map_or(0, |invite| invite.talk),
            from_ns,
            until_ns: None,
            caller: End { leg, party: on_left },
            callee: End { leg, party: on_right },
        }
    }

    /// The call has got, or gets, more than one INVITE.
    pub(super) fn keep_parties(&mut self) {
        if self.together.is_empty() {
            self.together.extend(self.alone());
        }
    }

    /// A leg was answered, in a call of several INVITEs.
    pub(super) fn met(&mut self, leg: LegIndex, at_ns: TsNs) {
        if self.invites.len() < 2 {
            return;
        }
        let news = self.ends_of(leg, at_ns);
        let of_talk = |known: &Together| known.talk == news.talk && known.until_ns.is_none();
        let Some(at) = self.together.iter().position(of_talk) else {
            return self.meet(news);
        };
        let Some((mine, invite)) = self.placed(leg) else { return };
        let (near, far) = (invite.side(Party::Caller), invite.side(Party::Callee));
        let open = self.together[at];
        let Some((theirs, _)) = self.placed(open.on(far).leg) else { return };
        if mine < theirs {
            // On the way to who has answered already: the caller is better known here.
            self.together[at].set(near, news.on(near));
        } else if mine > theirs && !self.is_same(open.on(far), news.on(far)) {
            // The box had answered; now somebody does.
            self.together[at].until_ns = Some(at_ns);
            let mut next = Together { from_ns: at_ns, ..open };
            next.set(far, news.on(far));
            self.meet(next);
        }
    }

    /// Two calls turned out to be hops of one conversation: it is told as if that had been known from the beginning. One that
    /// was transferred is told as it is.
    pub(super) fn meet_anew(&mut self, talk: u8) {
        let of_talk = |invite: &&Invite| invite.talk == talk;
        let is_plain = |invite: &Invite| {
            invite.joined.is_none_or(|joined| matches!(joined.role, Role::First | Role::Hop))
        };
        if !self.invites.iter().filter(of_talk).all(is_plain) {
            return;
        }
        let numbered = (0..=u8::MAX).map(LegIndex).zip(&self.legs);
        let own = numbered.filter_map(|(index, leg)| {
            let is_its = self.invites.get(leg.invite).is_some_and(|invite| invite.talk == talk);
            Some((leg.answered_ns?, index, leg.invite, leg.ended_ns)).filter(|_| is_its)
        });
        let mut own: Vec<_> = own.collect();
        own.sort_by_key(|(answered_ns, index, ..)| (*answered_ns, index.0));
        self.together.retain(|known| known.talk != talk);
        for (answered_ns, index, ..) in &own {
            self.met(*index, *answered_ns);
        }
        let over = own.iter().filter_map(|(_, _, invite, ended_ns)| Some((*invite, (*ended_ns)?)));
        for (invite, ended_ns) in over {
            if self.invites.get(invite).is_some_and(|invite| invite.is_over) {
                self.parted(invite, ended_ns);
            }
        }
        self.order_parties();
    }

    fn placed(&self, leg: LegIndex) -> Option<(InviteIndex, &Invite)> {
        let index = self.legs.get(usize::from(leg.0))?.invite;
        Some((index, self.invites.get(index)?))
    }

    fn is_same(&self, one: End, other: End) -> bool {
        let number = |end: End| -> Option<Number> {
            let invite = self.invite_of(end.leg)?;
            match end.party {
                Party::Caller => invite.calling,
                Party::Callee => invite.called,
            }
        };
        number(one).is_some() && number(one) == number(other)
    }

    fn meet(&mut self, news: Together) {
        if self.together.len() < TOGETHER_MAX {
            self.together.push(news);
        }
    }

    /// Legs of an INVITE are over: who was connected by it is not any more.
    pub(super) fn parted(&mut self, invite: InviteIndex, at_ns: TsNs) {
        let Self { legs, together, .. } = self;
        let is_its =
            |leg: LegIndex| legs.get(usize::from(leg.0)).is_some_and(|leg| leg.invite == invite);
        for known in together.iter_mut().filter(|known| known.until_ns.is_none()) {
            if known.has(is_its) {
                known.until_ns = Some(at_ns.max(known.from_ns));
            }
        }
    }

    /// A box connects two parties that it had conversations with: `caller` and `callee` are on those sides from now on.
    pub(super) fn bridged(&mut self, caller: End, callee: End, at_ns: TsNs) {
        for known in self.together.iter_mut().filter(|known| known.until_ns.is_none()) {
            known.until_ns = Some(at_ns.max(known.from_ns));
        }
        let talk = self.invite_of(caller.leg).map_or(0, |invite| invite.talk);
        self.meet(Together { talk, from_ns: at_ns, until_ns: None, caller, callee });
    }

    /// The conversations in the order in which they began.
    pub(super) fn order_parties(&mut self) {
        self.together.sort_by_key(|known| (known.from_ns, known.talk));
        self.together.truncate(TOGETHER_MAX);
    }
}

impl Invite {
    /// The addresses that say who called before it came here: Diversion, then History-Info.
    pub fn diverted(&self) -> impl Iterator<Item = &str> {
        [Said::Diversion, Said::HistoryInfo]
            .into_iter()
            .flat_map(|said| self.said(said, Party::Caller))
    }
}
