//! One leg: what an INVITE started, with its forks and hops.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::dialogs::{Seen, Timeouts};
use super::event::{DialogEvent, DialogId, EndReason, EventKind, LegId, Party};
use super::exchange::{Exchange, Role, Transaction, is_same_media};
use super::hops::Hops;
use super::identifier::{Identifier, Tag};
use super::media::PathId;
use super::recent::{Recent, fingerprint};
use crate::limits::FORKS_MAX;
use crate::sdp::Session;
use crate::sip::{Message, Method};

/// How far a dialog is (RFC 3261 section 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DialogState {
    Trying,
    Early,
    Confirmed,
    /// Another fork was answered; this one may still be.
    Lost,
    Over,
}

/// One answering party.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    /// None until the party has answered.
    pub(super) tag: Option<Tag>,
    pub(super) state: DialogState,
    exchanges: Vec<PathExchange>,
    /// When the session timer runs out.
    pub(super) expires_ns: Option<u64>,
    /// When the 2xx was seen, and whether its ACK was.
    answered_ns: u64,
    pub(super) is_acknowledged: bool,
}

#[derive(Clone, Debug)]
struct PathExchange {
    path: PathId,
    exchange: Exchange,
    /// The hop whose description counted for this message of this transaction.
    supplied: Option<(Transaction, Role, usize)>,
}

impl Dialog {
    fn new() -> Self {
        Self {
            tag: None,
            state: DialogState::Trying,
            exchanges: Vec::new(),
            expires_ns: None,
            answered_ns: 0,
            is_acknowledged: false,
        }
    }

    pub(super) const fn is_live(&self) -> bool {
        matches!(self.state, DialogState::Trying | DialogState::Early | DialogState::Confirmed)
    }

    fn at(&mut self, path: PathId) -> &mut PathExchange {
        let index = match self.exchanges.iter().position(|at| at.path == path) {
            Some(index) => index,
            None => {
                self.exchanges.reserve_exact(1);
                self.exchanges.push(PathExchange {
                    path,
                    exchange: Exchange::default(),
                    supplied: None,
                });
                self.exchanges.len() - 1
            }
        };
        &mut self.exchanges[index]
    }
}

/// How far the INVITE is that started the leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InviteState {
    Pending,
    /// Refused in a way that asks for another INVITE.
    Challenged {
        code: u16,
        since_ns: u64,
    },
    Answered,
}

/// One leg.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) id: LegId,
    pub(super) call_id: Identifier,
    pub(super) caller_tag: Tag,
    /// One of each party that answered; nearly always one.
    pub(super) dialogs: SmallVec<[Dialog; 1]>,
    pub(super) hops: Hops,
    pub(super) recent: Recent,
    /// CSeq of the INVITE that started the leg, or retried it.
    pub(super) invite_cseq: Option<u32>,
    pub(super) invite: InviteState,
    /// When the INVITE or its last provisional answer was seen.
    pub(super) alerted_ns: u64,
    pub(super) cancelled_ns: Option<u64>,
    pub(super) ended: Option<Ended>,
}

/// The end of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) ts_ns: u64,
    pub(super) reason: EndReason,
}

/// Where a leg writes its events.
pub(super) struct Output<'e> {
    pub(super) leg: LegId,
    pub(super) ts_ns: u64,
    pub(super) events: &'e mut Vec<DialogEvent>,
}

impl Output<'_> {
    pub(super) fn emit(&mut self, fork: usize, kind: EventKind) {
        // Forks are bounded by FORKS_MAX, which fits (limits.rs).
        let dialog = DialogId { leg: self.leg, fork: fork as u8 };
        self.events.push(DialogEvent { dialog, ts_ns: self.ts_ns, kind });
    }
}

impl Leg {
    pub(super) fn new(id: LegId, call_id: Identifier, caller_tag: Tag, seen: Seen) -> Self {
        Self {
            id,
            call_id,
            caller_tag,
            dialogs: smallvec![Dialog::new()],
            hops: Hops::default(),
            recent: Recent::default(),
            invite_cseq: None,
            invite: InviteState::Pending,
            alerted_ns: seen.ts_ns,
            cancelled_ns: None,
            ended: None,
        }
    }

    /// Who sent the request of this message's transaction, if the message belongs to the leg.
    pub(super) fn requester(&self, message: &Message<'_>) -> Option<Party> {
        let from = Tag::of(message.from().tag);
        if self.caller_tag == from {
            return Some(Party::Caller);
        }
        let is_known = |dialog: &Dialog| dialog.tag.is_none_or(|tag| tag == from);
        let is_to_caller = self.caller_tag == Tag::of(message.to().tag);
        (is_to_caller && self.dialogs.iter().any(is_known)).then_some(Party::Callee)
    }

    /// Who has `tag`, if there is a dialog between it and `other`.
    pub(super) fn owner(&self, tag: &[u8], other: &[u8]) -> Option<Party> {
        let [tag, other] = [tag, other].map(|tag| Tag::of(Some(tag)));
        let is_callee = |tag| self.dialogs.iter().any(|dialog| dialog.tag == Some(tag));
        if self.caller_tag == tag && is_callee(other) {
            return Some(Party::Caller);
        }
        (self.caller_tag == other && is_callee(tag)).then_some(Party::Callee)
    }

    /// Whether this message was seen before, at any hop.
    pub(super) fn has_seen(&self, by: Party, message: &Message<'_>) -> bool {
        self.recent.has(fingerprint(by, message))
    }

    /// The fork of the answering party with this tag. A tag that is new makes the first fork its own, or a
    /// further fork where `may_fork` says so.
    pub(super) fn fork(
        &mut self,
        tag: Option<&[u8]>,
        may_fork: MayFork,
        out: &mut Output<'_>,
    ) -> Option<usize> {
        let Some(tag) = tag.filter(|tag| !tag.is_empty()) else {
            return Some(0);
        };
        let tag = Some(Tag::of(Some(tag)));
        let is_it = |dialog: &Dialog| dialog.tag == tag;
        if let Some(index) = self.dialogs.iter().position(is_it) {
            return Some(index);
        }
        let index = if self.dialogs[0].tag.is_none() {
            0
        } else if may_fork == MayFork::Yes && self.dialogs.len() < FORKS_MAX {
            self.dialogs.push(self.forked());
            out.emit(self.dialogs.len() - 1, EventKind::Forked);
            self.dialogs.len() - 1
        } else {
            return None;
        };
        self.dialogs[index].tag = tag;
        Some(index)
    }

    /// A dialog with the offers of the INVITE on all paths.
    fn forked(&self) -> Dialog {
        let mut dialog = Dialog::new();
        if let Some(transaction) = self.invite_transaction() {
            for hop in self.hops.tried(transaction.cseq) {
                if let Some(offer) = &hop.offer {
                    dialog.at(hop.path).exchange.offer(transaction, offer);
                }
            }
        }
        dialog
    }

    /// The transaction of the INVITE that started the leg.
    pub(super) fn invite_transaction(&self) -> Option<Transaction> {
        self.invite_cseq.map(|cseq| Transaction { by: Party::Caller, method: Method::Invite, cseq })
    }

    /// The INVITE comes again with another CSeq: what the first attempt made is void.
    pub(super) fn restart(&mut self, cseq: u32, out: &mut Output<'_>) {
        for fork in (1..self.dialogs.len()).rev() {
            if self.dialogs[fork].is_live() {
                let ended =
                    EventKind::Ended { reason: EndReason::ForkLost, by: None, leg_over: false };
                out.emit(fork, ended);
            }
        }
        self.dialogs.truncate(1);
        self.dialogs[0] = Dialog::new();
        self.invite_cseq = Some(cseq);
        self.invite = InviteState::Pending;
        self.alerted_ns = out.ts_ns;
        self.cancelled_ns = None;
        out.emit(0, EventKind::Retried);
    }

    /// Applies a description to the offers and answers of a dialog, on the path of the hop it was seen at, and
    /// says what changed.
    pub(super) fn describe(
        &mut self,
        fork: usize,
        hop: usize,
        (transaction, role): (Transaction, Role),
        sdp: &Arc<Session>,
        out: &mut Output<'_>,
        apply: impl FnOnce(&mut Exchange) -> bool,
    ) {
        if self.dialogs[fork].state == DialogState::Over {
            return;
        }
        let path = self.path_for(fork, hop, (transaction, role), sdp);
        let is_live = self.dialogs[fork].is_live();
        let at = self.dialogs[fork].at(path);
        if at.supplied.is_none_or(|(t, r, _)| (t, r) != (transaction, role)) {
            at.supplied = Some((transaction, role, hop));
        }
        // A fork that lost is followed in silence: it may be answered all the same.
        if apply(&mut at.exchange) && is_live {
            let media = at.exchange.state().clone();
            out.emit(fork, EventKind::MediaChanged { path, media });
        }
    }

    /// The path of the hop; a new one where another hop of the same path saw the message say something else.
    fn path_for(
        &mut self,
        fork: usize,
        hop: usize,
        (transaction, role): (Transaction, Role),
        sdp: &Arc<Session>,
    ) -> PathId {
        let path = self.hops.get(hop).path;
        let at = self.dialogs[fork].at(path);
        let differs = at.exchange.given(transaction, role).is_some_and(|g| !is_same_media(g, sdp));
        let is_others =
            at.supplied.is_some_and(|(t, r, h)| (t, r) == (transaction, role) && h != hop);
        if !(differs && is_others && self.hops.is_path_shared(hop) && self.hops.can_split()) {
            return path;
        }
        let exchange = at.exchange.without(transaction, role);
        let path = self.hops.split(hop);
        self.dialogs[fork].exchanges.push(PathExchange { path, exchange, supplied: None });
        path
    }

    /// Applies what concerns all paths of a dialog alike, and says on which something changed.
    pub(super) fn settle(
        &mut self,
        fork: usize,
        out: &mut Output<'_>,
        apply: impl Fn(&mut Exchange) -> bool,
    ) {
        let is_live = self.dialogs[fork].is_live();
        for at in &mut self.dialogs[fork].exchanges {
            if apply(&mut at.exchange) && is_live {
                let media = at.exchange.state().clone();
                out.emit(fork, EventKind::MediaChanged { path: at.path, media });
            }
        }
    }

    /// The callee accepted.
    pub(super) fn confirm(&mut self, fork: usize, out: &mut Output<'_>) {
        if matches!(self.dialogs[fork].state, DialogState::Confirmed | DialogState::Over) {
            return;
        }
        let had_lost = self.dialogs[fork].state == DialogState::Lost;
        self.dialogs[fork].state = DialogState::Confirmed;
        self.dialogs[fork].answered_ns = out.ts_ns;
        self.invite = InviteState::Answered;
        self.cancelled_ns = None;
        out.emit(fork, EventKind::Answered);
        if had_lost {
            self.settle(fork, out, |_| true);
        }
        for other in 0..self.dialogs.len() {
            if matches!(self.dialogs[other].state, DialogState::Trying | DialogState::Early) {
                self.dialogs[other].state = DialogState::Lost;
                let ended =
                    EventKind::Ended { reason: EndReason::ForkLost, by: None, leg_over: false };
                out.emit(other, ended);
            }
        }
    }

    /// Ends one dialog, and the leg with its last one.
    pub(super) fn end_dialog(
        &mut self,
        fork: usize,
        reason: EndReason,
        by: Option<Party>,
        out: &mut Output<'_>,
    ) {
        if self.ended.is_some() || !self.dialogs[fork].is_live() {
            return;
        }
        if reason == EndReason::Bye && self.dialogs[fork].is_acknowledged {
            self.lose_unacknowledged(fork, out);
        }
        self.dialogs[fork].state = DialogState::Over;
        let leg_over = !self.dialogs.iter().any(Dialog::is_live);
        if leg_over {
            self.ended = Some(Ended { ts_ns: out.ts_ns, reason });
        }
        out.emit(fork, EventKind::Ended { reason, by, leg_over });
    }

    /// Forks whose 2xx was never acknowledged do not outlast the one that was (RFC 3261 section 13.3.1.4). A
    /// back-to-back user agent that names the callee's tags anew makes such forks, too.
    fn lose_unacknowledged(&mut self, but: usize, out: &mut Output<'_>) {
        for other in (0..self.dialogs.len()).filter(|other| *other != but) {
            if self.awaits_ack(&self.dialogs[other]) {
                self.end_dialog(other, EndReason::ForkLost, None, out);
            }
        }
    }

    /// Ends all dialogs, the last one with the leg.
    pub(super) fn end(&mut self, reason: EndReason, by: Option<Party>, out: &mut Output<'_>) {
        for fork in 0..self.dialogs.len() {
            self.end_dialog(fork, reason, by, out);
        }
        if self.ended.is_none() {
            self.ended = Some(Ended { ts_ns: out.ts_ns, reason });
            out.emit(0, EventKind::Ended { reason, by, leg_over: true });
        }
    }

    /// The leg is over: nobody asks for its media again. Between whom it was is still needed, to know messages
    /// that come again.
    pub(super) fn forget_media(&mut self) {
        for dialog in &mut self.dialogs {
            // Not only emptied: it is remembered for a while.
            dialog.exchanges = Vec::new();
        }
        self.hops.forget_offers();
    }

    /// When [`Leg::expire`] has something to do.
    pub(super) fn deadline_ns(&self, timeouts: &Timeouts) -> Option<u64> {
        if let Some(ended) = self.ended {
            return Some(ended.ts_ns.saturating_add(timeouts.linger_of(ended.reason)));
        }
        let invite = match self.invite {
            InviteState::Pending => {
                let cancelled = self.cancelled_ns.map(|ns| ns.saturating_add(timeouts.cancel_ns));
                let unanswered = self.alerted_ns.saturating_add(timeouts.invite_ns);
                Some(cancelled.unwrap_or(u64::MAX).min(unanswered))
            }
            InviteState::Challenged { code, since_ns } => {
                Some(since_ns.saturating_add(timeouts.retry_of(code)))
            }
            InviteState::Answered => None,
        };
        let live = || self.dialogs.iter().filter(|dialog| dialog.is_live());
        let sessions = live().filter_map(|dialog| dialog.expires_ns);
        let unacknowledged = live()
            .filter(|dialog| self.awaits_ack(dialog))
            .map(|dialog| dialog.answered_ns.saturating_add(timeouts.cancel_ns));
        sessions.chain(unacknowledged).chain(invite).min()
    }

    /// Whether an answered fork still waits for its ACK while another one has it. Without any ACK nothing is
    /// concluded: it may be the tap that does not see them.
    fn awaits_ack(&self, dialog: &Dialog) -> bool {
        dialog.state == DialogState::Confirmed
            && !dialog.is_acknowledged
            && self.dialogs.iter().any(|other| other.is_acknowledged)
    }

    /// What the leg waits for will not come: it was over when it was refused or cancelled, not when waiting ends.
    pub(super) fn conclude(&mut self, events: &mut Vec<DialogEvent>) {
        if self.ended.is_some() {
            return;
        }
        let (ts_ns, reason, by) = match (self.invite, self.cancelled_ns) {
            (InviteState::Challenged { code, since_ns }, _) => {
                (since_ns, refusal(code), Party::Callee)
            }
            (InviteState::Pending, Some(since_ns)) => {
                (since_ns, EndReason::Cancelled, Party::Caller)
            }
            _ => return,
        };
        self.end(reason, Some(by), &mut Output { leg: self.id, ts_ns, events });
    }

    /// Acts on what has not happened by now.
    pub(super) fn expire(&mut self, timeouts: &Timeouts, out: &mut Output<'_>) {
        if self.ended.is_some() {
            return;
        }
        let now_ns = out.ts_ns;
        let is_past = |since_ns: u64, wait_ns: u64| now_ns >= since_ns.saturating_add(wait_ns);
        match self.invite {
            InviteState::Pending => {
                if self.cancelled_ns.is_some_and(|since_ns| is_past(since_ns, timeouts.cancel_ns)) {
                    self.conclude(out.events);
                } else if is_past(self.alerted_ns, timeouts.invite_ns) {
                    self.end(EndReason::Unanswered, None, out);
                }
            }
            InviteState::Challenged { code, since_ns }
                if is_past(since_ns, timeouts.retry_of(code)) =>
            {
                self.conclude(out.events);
            }
            _ => {}
        }
        for fork in 0..self.dialogs.len() {
            // RFC 3261 section 13.3.1.4: without ACK the callee gives up after 64 * T1.
            let dialog = &self.dialogs[fork];
            if self.awaits_ack(dialog) && is_past(dialog.answered_ns, timeouts.cancel_ns) {
                self.end_dialog(fork, EndReason::ForkLost, None, out);
            }
            let dialog = &mut self.dialogs[fork];
            if dialog.is_live() && dialog.expires_ns.take_if(|ns| now_ns >= *ns).is_some() {
                out.emit(fork, EventKind::SessionExpired);
            }
        }
    }
}

/// Whether a tag that was not seen before may make a further fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MayFork {
    Yes,
    No,
}

/// What a final refusal of the INVITE means for the leg.
pub(super) const fn refusal(code: u16) -> EndReason {
    match code {
        300..=399 => EndReason::Redirected(code),
        // RFC 3261 section 15.1.2 and 9.2: only CANCEL or BYE bring 487.
        487 => EndReason::Cancelled,
        _ => EndReason::Rejected(code),
    }
}
