//! Offers and answers of one dialog on one path (RFC 3264, RFC 6337), from passive observation.

use std::sync::Arc;

use super::event::Party;
use super::media::MediaState;
use crate::sdp::Session;
use crate::sip::Method;

/// A request and its answers within a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transaction {
    /// Who sent the request.
    pub(super) by: Party,
    pub(super) method: Method,
    pub(super) cseq: u32,
}

/// Which message of a transaction carried a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Request,
    Response,
}

/// The state machine. Each method gives whether [`Exchange::state`] changed; doing the same twice changes
/// nothing the second time.
#[derive(Clone, Debug, Default)]
pub(super) struct Exchange {
    state: MediaState,
    /// The transaction that completed what is in force.
    done: Option<Transaction>,
    /// The transactions of the pending offers, of the caller and of the callee.
    pending: [Option<Transaction>; 2],
    /// The last INVITE of each party whose exchange was completed.
    invite_done: [Option<u32>; 2],
    /// The highest CSeq of each party that carried an offer.
    offered: [Option<u32>; 2],
    /// What was in force before the INVITE that is named, for its failure.
    before: Option<Before>,
}

#[derive(Clone, Debug)]
struct Before {
    transaction: Transaction,
    caller: Option<Arc<Session>>,
    callee: Option<Arc<Session>>,
    offerer: Option<Party>,
    done: Option<Transaction>,
}

const fn index(party: Party) -> usize {
    match party {
        Party::Caller => 0,
        Party::Callee => 1,
    }
}

impl Exchange {
    /// What is in force and on offer.
    pub(super) const fn state(&self) -> &MediaState {
        &self.state
    }

    /// A request that offers: INVITE, UPDATE, PRACK.
    pub(super) fn offer(&mut self, transaction: Transaction, sdp: &Arc<Session>) -> bool {
        let by = transaction.by;
        if self.done == Some(transaction) {
            return self.late_offer(by, sdp);
        }
        if self.pending[index(by)] == Some(transaction) || self.is_stale(transaction) {
            return false;
        }
        self.offered[index(by)] = Some(transaction.cseq);
        if self.pending[index(by.other())] == Some(transaction) {
            // The answer was seen before the request and taken for an offer.
            if let Some(answer) = self.take_pending(by.other()) {
                self.complete(transaction, by, Some(Arc::clone(sdp)), Some(answer));
                return true;
            }
        }
        self.pending[index(by)] = Some(transaction);
        *self.pending_mut(by) = Some(Arc::clone(sdp));
        true
    }

    /// A provisional or successful answer with a description.
    pub(super) fn respond(&mut self, transaction: Transaction, sdp: &Arc<Session>) -> bool {
        let (by, responder) = (transaction.by, transaction.by.other());
        if self.pending[index(by)] == Some(transaction) {
            let offer = self.take_pending(by);
            self.complete(transaction, by, offer, Some(Arc::clone(sdp)));
            return true;
        }
        if self.done == Some(transaction) {
            // RFC 6337 section 3.1.2: the 2xx repeats the answer of an unreliable 18x. Where it does not, it counts.
            let is_answer = self.state.offerer == Some(by);
            return is_answer && replace(self.in_force_mut(responder), sdp);
        }
        if self.pending[index(responder)] == Some(transaction) {
            return replace(self.pending_mut(responder), sdp);
        }
        let is_repeated = transaction.method == Method::Invite
            && self.invite_done[index(by)] == Some(transaction.cseq);
        if is_repeated || self.is_stale(transaction) {
            return false;
        }
        // RFC 3261 section 13.2.1: no offer in the request, so this is the offer. Also where the request was not
        // seen: then it is at least what this side says of itself.
        self.pending[index(responder)] = Some(transaction);
        *self.pending_mut(responder) = Some(Arc::clone(sdp));
        true
    }

    /// A successful answer without description: what was offered without visible answer is in force.
    pub(super) fn succeed(&mut self, transaction: Transaction) -> bool {
        // A delayed offer waits for its ACK or PRACK.
        match self.pending[index(transaction.by)] == Some(transaction) {
            true => self.promote(transaction, transaction.by),
            false => false,
        }
    }

    /// ACK of an INVITE: with the answer to a delayed offer, or without.
    pub(super) fn acknowledge(&mut self, by: Party, cseq: u32, sdp: Option<&Arc<Session>>) -> bool {
        let invite = Transaction { by, method: Method::Invite, cseq };
        let offerer = by.other();
        if self.pending[index(offerer)] == Some(invite) {
            return match sdp {
                Some(answer) => {
                    let offer = self.take_pending(offerer);
                    self.complete(invite, offerer, offer, Some(Arc::clone(answer)));
                    true
                }
                None => self.promote(invite, offerer),
            };
        }
        match sdp {
            // The delayed offer was not seen: the answer stands alone.
            Some(answer) if self.done != Some(invite) && !self.is_stale(invite) => {
                self.note_done(invite);
                self.state.offerer = Some(offerer);
                replace(self.in_force_mut(by), answer)
            }
            _ => false,
        }
    }

    /// PRACK with a description: the answer to an offer in a reliable provisional answer of `invite_cseq`, or
    /// an offer of its own (RFC 3262 section 5).
    pub(super) fn prack(
        &mut self,
        prack: Transaction,
        invite_cseq: Option<u32>,
        sdp: &Arc<Session>,
    ) -> bool {
        let by = prack.by;
        let waiting = self.pending[index(by.other())].filter(|waiting| {
            waiting.by == by
                && waiting.method == Method::Invite
                && invite_cseq.is_none_or(|cseq| cseq == waiting.cseq)
        });
        match waiting {
            Some(invite) => {
                let offer = self.take_pending(by.other());
                self.complete(invite, by.other(), offer, Some(Arc::clone(sdp)));
                // The PRACK itself is not taken for an offer when it comes again.
                self.offered[index(by)] = Some(prack.cseq.saturating_add(1));
                true
            }
            None => self.offer(prack, sdp),
        }
    }

    /// The request was refused: its offer is void, and what a re-INVITE changed is undone (RFC 3261 section
    /// 14.1, RFC 6141 section 3.4).
    pub(super) fn reject(&mut self, transaction: Transaction) -> bool {
        let mut changed = false;
        for party in [Party::Caller, Party::Callee] {
            if self.pending[index(party)] == Some(transaction) {
                self.take_pending(party);
                changed = true;
            }
        }
        if self.done == Some(transaction)
            && let Some(before) = self.before.take_if(|before| before.transaction == transaction)
        {
            self.state.caller = before.caller;
            self.state.callee = before.callee;
            self.state.offerer = before.offerer;
            self.done = before.done;
            changed = true;
        }
        changed
    }

    /// The description that this message of the transaction gave, where one is known.
    pub(super) fn given(&self, transaction: Transaction, role: Role) -> Option<&Arc<Session>> {
        let party = match role {
            Role::Request => transaction.by,
            Role::Response => transaction.by.other(),
        };
        if self.pending[index(party)] == Some(transaction) {
            return match party {
                Party::Caller => self.state.caller_pending.as_ref(),
                Party::Callee => self.state.callee_pending.as_ref(),
            };
        }
        if self.done == Some(transaction) {
            return match party {
                Party::Caller => self.state.caller.as_ref(),
                Party::Callee => self.state.callee.as_ref(),
            };
        }
        None
    }

    /// A copy for another path on which this message of the transaction says something else.
    pub(super) fn without(&self, transaction: Transaction, role: Role) -> Self {
        let mut copy = self.clone();
        if role == Role::Request {
            copy.reject(transaction);
            copy.offered[index(transaction.by)] = None;
        }
        copy
    }

    /// The request of a completed transaction, seen after its answer.
    fn late_offer(&mut self, by: Party, sdp: &Arc<Session>) -> bool {
        let is_alone = self.state.offerer == Some(by.other()) && self.in_force_mut(by).is_none();
        if is_alone {
            self.state.offerer = Some(by);
            *self.in_force_mut(by) = Some(Arc::clone(sdp));
        }
        is_alone
    }

    fn is_stale(&self, transaction: Transaction) -> bool {
        self.offered[index(transaction.by)].is_some_and(|highest| transaction.cseq < highest)
    }

    fn complete(
        &mut self,
        transaction: Transaction,
        offerer: Party,
        offer: Option<Arc<Session>>,
        answer: Option<Arc<Session>>,
    ) {
        self.note_done(transaction);
        self.state.offerer = Some(offerer);
        *self.in_force_mut(offerer) = offer;
        *self.in_force_mut(offerer.other()) = answer;
    }

    /// The offer of this party counts without an answer; the other side stays as it was.
    fn promote(&mut self, transaction: Transaction, offerer: Party) -> bool {
        let Some(offer) = self.take_pending(offerer) else {
            return false;
        };
        self.note_done(transaction);
        self.state.offerer = Some(offerer);
        *self.in_force_mut(offerer) = Some(offer);
        true
    }

    fn note_done(&mut self, transaction: Transaction) {
        if transaction.method == Method::Invite {
            self.invite_done[index(transaction.by)] = Some(transaction.cseq);
            self.before = Some(Before {
                transaction,
                caller: self.state.caller.clone(),
                callee: self.state.callee.clone(),
                offerer: self.state.offerer,
                done: self.done,
            });
        }
        self.done = Some(transaction);
    }

    fn take_pending(&mut self, party: Party) -> Option<Arc<Session>> {
        self.pending[index(party)] = None;
        self.pending_mut(party).take()
    }

    const fn pending_mut(&mut self, party: Party) -> &mut Option<Arc<Session>> {
        match party {
            Party::Caller => &mut self.state.caller_pending,
            Party::Callee => &mut self.state.callee_pending,
        }
    }

    const fn in_force_mut(&mut self, party: Party) -> &mut Option<Arc<Session>> {
        match party {
            Party::Caller => &mut self.state.caller,
            Party::Callee => &mut self.state.callee,
        }
    }
}

/// Sets a description; gives whether it is another one.
fn replace(slot: &mut Option<Arc<Session>>, sdp: &Arc<Session>) -> bool {
    let is_other = slot.as_ref() != Some(sdp);
    if is_other {
        *slot = Some(Arc::clone(sdp));
    }
    is_other
}

/// Whether two descriptions announce the same media: addresses, formats, directions and keys. What a proxy may
/// add or change without touching media does not count.
pub(super) fn is_same_media(one: &Session, other: &Session) -> bool {
    one.media.len() == other.media.len()
        && one.media.iter().zip(&other.media).all(|(one, other)| {
            one.port == other.port
                && one.connection == other.connection
                && one.rtcp == other.rtcp
                && one.direction == other.direction
                && one.payload_types == other.payload_types
                && one.extras().crypto == other.extras().crypto
        })
}
