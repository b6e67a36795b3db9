//! One message on one leg: what each request and each answer does.

use std::sync::Arc;

use super::dialogs::{Class, Observed, Seen};
use super::event::{DialogId, EndReason, EventKind, Party};
use super::exchange::{Role, Transaction};
use super::hops::orient;
use super::leg::{DialogState, InviteState, Leg, MayFork, Output, refusal};
use super::recent::{News, fingerprint, hash};
use crate::dtmf::parse_info;
use crate::sdp::{self, Formats, SdpError, Session};
use crate::sip::{HeaderName, Message, Method, Replaces, StartLine, body};

/// A message with what was found out about it.
struct Step<'s, 'm> {
    message: &'s Message<'m>,
    /// Who sent the request of its transaction.
    by: Party,
    hop: usize,
    sdp: Option<Arc<Session>>,
    /// Not seen before at any hop.
    is_new: bool,
}

impl Step<'_, '_> {
    fn transaction(&self) -> Transaction {
        let (cseq, method) = self.message.cseq();
        Transaction { by: self.by, method, cseq }
    }

    /// The tag of the callee's end.
    fn callee_tag(&self) -> Option<&[u8]> {
        match self.by {
            Party::Caller => self.message.to().tag,
            Party::Callee => self.message.from().tag,
        }
    }
}

impl Leg {
    /// Takes a message of this leg.
    pub(super) fn observe(
        &mut self,
        seen: Seen,
        message: &Message<'_>,
        by: Party,
        formats: &mut Formats,
        out: &mut Output<'_>,
    ) -> Observed {
        let hop = self.place(seen, message, by);
        let News { is_new, is_new_at_hop } = self.recent.note(fingerprint(by, message), hop);
        let class = if is_new { Class::InDialog } else { Class::Repeated };
        let mut observed =
            Observed { dialog: Some(DialogId { leg: self.id, fork: 0 }), class, sdp: None };
        if !is_new_at_hop || self.ended.is_some() {
            return observed;
        }
        let sdp = description(message);
        observed.sdp = sdp.as_ref().map(|sdp| sdp.as_ref().map(drop).map_err(|error| *error));
        let sdp = sdp.and_then(Result::ok).map(|mut sdp| {
            formats.share(&mut sdp);
            Arc::new(sdp)
        });
        let step = Step { message, by, hop, sdp, is_new };
        let fork = match message.start {
            StartLine::Request { method, .. } => self.on_request(&step, method, out),
            StartLine::Response { code, .. } => self.on_response(&step, code, out),
        };
        match fork {
            // Forks are bounded by FORKS_MAX, which fits (limits.rs).
            Some(fork) => observed.dialog = Some(DialogId { leg: self.id, fork: fork as u8 }),
            None => observed.class = Class::Orphan,
        }
        observed
    }

    fn place(&mut self, seen: Seen, message: &Message<'_>, by: Party) -> usize {
        let sender = if message.is_request() { by } else { by.other() };
        let hop = orient(seen.src, seen.dst, sender);
        let branch = message.top_via().and_then(|via| via.branch).map(|branch| hash(&branch));
        let (cseq, method) = message.cseq();
        match (message.is_request(), method) {
            (true, Method::Invite) if message.to().tag.is_none() => {
                self.hops.place_invite(hop, cseq, branch)
            }
            (_, Method::Invite | Method::Cancel) => self.hops.place(hop, branch),
            _ => self.hops.place(hop, None),
        }
    }

    fn on_request(
        &mut self,
        step: &Step<'_, '_>,
        method: Method,
        out: &mut Output<'_>,
    ) -> Option<usize> {
        if method == Method::Invite && step.message.to().tag.is_none() {
            return self.on_invite(step, out);
        }
        let may_fork =
            if self.invite == InviteState::Answered { MayFork::No } else { MayFork::Yes };
        match method {
            Method::Cancel => {
                self.on_cancel(step, out);
                return Some(0);
            }
            // What is no part of the session makes no fork.
            Method::Prack | Method::Update => {}
            _ => return self.on_session_request(step, method, out),
        }
        let fork = self.fork(step.callee_tag(), may_fork, out)?;
        if let Some(sdp) = &step.sdp {
            let transaction = step.transaction();
            let rack = step.message.rack();
            let is_prack = method == Method::Prack;
            self.describe(fork, step.hop, (transaction, Role::Request), sdp, out, |exchange| {
                match is_prack {
                    true => exchange.prack(transaction, rack.map(|rack| rack.cseq), sdp),
                    false => exchange.offer(transaction, sdp),
                }
            });
        }
        Some(fork)
    }

    fn on_session_request(
        &mut self,
        step: &Step<'_, '_>,
        method: Method,
        out: &mut Output<'_>,
    ) -> Option<usize> {
        let fork = self.fork(step.callee_tag(), MayFork::No, out)?;
        match method {
            Method::Invite => self.on_reinvite(step, fork, out),
            Method::Ack => self.on_ack(step, fork, out),
            Method::Bye => self.end_dialog(fork, EndReason::Bye, Some(step.by), out),
            Method::Refer if step.is_new => on_refer(step, fork, out),
            Method::Info if step.is_new => on_info(step, fork, out),
            Method::Notify if step.is_new => on_notify(step, fork, out),
            _ => {}
        }
        Some(fork)
    }

    /// The INVITE that starts the leg, its copy at another hop, or a further attempt.
    fn on_invite(&mut self, step: &Step<'_, '_>, out: &mut Output<'_>) -> Option<usize> {
        let (cseq, _) = step.message.cseq();
        match self.invite_cseq {
            None => self.invite_cseq = Some(cseq),
            Some(known) if cseq > known && self.invite != InviteState::Answered => {
                self.restart(cseq, out);
            }
            Some(known) if cseq != known => return Some(0),
            Some(_) => {}
        }
        self.hops.note_offer(step.hop, step.sdp.as_ref());
        if let Some(sdp) = &step.sdp {
            let transaction = step.transaction();
            for fork in 0..self.dialogs.len() {
                if self.dialogs[fork].is_live() {
                    let message = (transaction, Role::Request);
                    self.describe(fork, step.hop, message, sdp, out, |e| e.offer(transaction, sdp));
                }
            }
        }
        Some(0)
    }

    fn on_reinvite(&mut self, step: &Step<'_, '_>, fork: usize, out: &mut Output<'_>) {
        // RFC 3261 section 14.1: only after the final answer to the first INVITE. It was not seen.
        self.confirm(fork, out);
        if let Some(sdp) = &step.sdp {
            let transaction = step.transaction();
            let message = (transaction, Role::Request);
            self.describe(fork, step.hop, message, sdp, out, |e| e.offer(transaction, sdp));
        }
    }

    fn on_ack(&mut self, step: &Step<'_, '_>, fork: usize, out: &mut Output<'_>) {
        let (cseq, _) = step.message.cseq();
        // RFC 3261 section 17.1.1.3: the ACK of a refusal has the branch of its INVITE and acknowledges nothing
        // that counts here; the ACK of a 2xx has one of its own (section 13.2.2.4).
        let branch = step.message.top_via().and_then(|via| via.branch).map(|branch| hash(&branch));
        let hop = self.hops.get(step.hop);
        let is_refusal = hop.failed.is_some() || (branch.is_some() && hop.branch == branch);
        if self.invite_cseq == Some(cseq) && step.by == Party::Caller {
            if is_refusal || step.message.to().tag.is_none() {
                return;
            }
            // The 2xx was not seen.
            self.confirm(fork, out);
        }
        self.dialogs[fork].is_acknowledged = true;
        let by = step.by;
        match &step.sdp {
            Some(sdp) => {
                let invite = Transaction { by, method: Method::Invite, cseq };
                self.describe(fork, step.hop, (invite, Role::Request), sdp, out, |exchange| {
                    exchange.acknowledge(by, cseq, Some(sdp))
                });
            }
            None => self.settle(fork, out, |exchange| exchange.acknowledge(by, cseq, None)),
        }
    }

    fn on_cancel(&mut self, step: &Step<'_, '_>, out: &mut Output<'_>) {
        let (cseq, _) = step.message.cseq();
        if self.invite_cseq != Some(cseq) || step.by != Party::Caller {
            return;
        }
        self.hops.get_mut(step.hop).is_cancelled = true;
        // Behind a proxy, CANCEL ends a branch, not the call (RFC 3261 section 16.10).
        if self.invite == InviteState::Pending && self.hops.is_root(self.hops.get(step.hop)) {
            self.cancelled_ns = self.cancelled_ns.or(Some(out.ts_ns));
        }
    }

    fn on_response(
        &mut self,
        step: &Step<'_, '_>,
        code: u16,
        out: &mut Output<'_>,
    ) -> Option<usize> {
        let (cseq, method) = step.message.cseq();
        if method == Method::Invite && self.invite_cseq.is_none() && step.by == Party::Caller {
            self.invite_cseq = Some(cseq);
        }
        let is_first =
            method == Method::Invite && step.by == Party::Caller && self.invite_cseq == Some(cseq);
        match (is_first, code) {
            (true, 100) => {
                self.alerted_ns = self.alerted_ns.max(out.ts_ns);
                Some(0)
            }
            (true, 101..=199) => self.on_provisional(step, code, out),
            (true, 200..=299) => self.on_accepted(step, out),
            (true, _) => {
                self.on_refused(step, code, out);
                Some(0)
            }
            (false, _) => self.on_other_response(step, code, out),
        }
    }

    fn on_provisional(
        &mut self,
        step: &Step<'_, '_>,
        code: u16,
        out: &mut Output<'_>,
    ) -> Option<usize> {
        // After the answer a provisional one that comes late makes no dialog any more.
        let may_fork =
            if self.invite == InviteState::Answered { MayFork::No } else { MayFork::Yes };
        let fork = self.fork(step.callee_tag(), may_fork, out)?;
        self.alerted_ns = self.alerted_ns.max(out.ts_ns);
        if self.dialogs[fork].state == DialogState::Trying {
            self.dialogs[fork].state = DialogState::Early;
        }
        if step.is_new && self.dialogs[fork].state == DialogState::Early {
            let is_ringing = matches!(code, 180..=182);
            let kind =
                if is_ringing { EventKind::Ringing { code } } else { EventKind::Progress { code } };
            out.emit(fork, kind);
        }
        self.respond(step, fork, out);
        Some(fork)
    }

    fn on_accepted(&mut self, step: &Step<'_, '_>, out: &mut Output<'_>) -> Option<usize> {
        let fork = self.fork(step.callee_tag(), MayFork::Yes, out)?;
        self.confirm(fork, out);
        self.succeed(step, fork, out);
        Some(fork)
    }

    fn on_refused(&mut self, step: &Step<'_, '_>, code: u16, out: &mut Output<'_>) {
        self.hops.get_mut(step.hop).failed = Some(code);
        if self.invite != InviteState::Pending {
            return;
        }
        let cseq = step.message.cseq().0;
        let code = match self.hops.has_tried(cseq) {
            true => self.hops.failure(cseq),
            false => Some(code),
        };
        let Some(code) = code else {
            return;
        };
        // RFC 3261 sections 8.1.3.4, 8.1.3.5 and 22, RFC 4028 section 7.3: another INVITE may follow.
        let may_retry =
            matches!(code, 300..=399 | 401 | 407 | 413 | 415 | 416 | 420..=422 | 428 | 429 | 494);
        if may_retry && self.cancelled_ns.is_none() {
            self.invite = InviteState::Challenged { code, since_ns: out.ts_ns };
            out.emit(0, EventKind::Challenged { code });
            return;
        }
        let by = if code == 487 { Party::Caller } else { Party::Callee };
        self.end(refusal(code), Some(by), out);
    }

    /// Answers to requests within the dialog.
    fn on_other_response(
        &mut self,
        step: &Step<'_, '_>,
        code: u16,
        out: &mut Output<'_>,
    ) -> Option<usize> {
        let method = step.message.method();
        let fork = self.fork(step.callee_tag(), MayFork::No, out)?;
        if method == Method::Refer && code >= 200 && step.is_new {
            out.emit(fork, EventKind::ReferAnswered { by: step.by, code });
        }
        if !matches!(method, Method::Invite | Method::Update | Method::Prack | Method::Bye) {
            return Some(fork);
        }
        match code {
            // The BYE was not seen.
            200..=299 if method == Method::Bye => {
                self.end_dialog(fork, EndReason::Bye, Some(step.by), out);
            }
            101..=199 => self.respond(step, fork, out),
            200..=299 => {
                if method == Method::Invite {
                    self.confirm(fork, out);
                }
                self.succeed(step, fork, out);
            }
            300.. => self.on_modification_refused(step, fork, code, out),
            _ => {}
        }
        Some(fork)
    }

    fn on_modification_refused(
        &mut self,
        step: &Step<'_, '_>,
        fork: usize,
        code: u16,
        out: &mut Output<'_>,
    ) {
        let transaction = step.transaction();
        if transaction.method == Method::Bye {
            return;
        }
        self.settle(fork, out, |exchange| exchange.reject(transaction));
        if !matches!(transaction.method, Method::Invite | Method::Update) {
            return;
        }
        // RFC 3261 section 12.2.1.2 names 481 and 408. After 408 media often goes on, and the BYE that shall
        // follow is seen: so 481 alone ends here.
        if code == 481 {
            self.end_dialog(fork, EndReason::Unknown, Some(step.by.other()), out);
        } else if step.is_new && !matches!(code, 401 | 407) {
            out.emit(fork, EventKind::ModificationFailed { by: step.by, code });
        }
    }

    /// The description of an answer.
    fn respond(&mut self, step: &Step<'_, '_>, fork: usize, out: &mut Output<'_>) {
        let transaction = step.transaction();
        if let Some(sdp) = &step.sdp {
            let message = (transaction, Role::Response);
            self.describe(fork, step.hop, message, sdp, out, |e| e.respond(transaction, sdp));
        }
    }

    /// A 2xx: its description, and its session timer.
    fn succeed(&mut self, step: &Step<'_, '_>, fork: usize, out: &mut Output<'_>) {
        let transaction = step.transaction();
        match &step.sdp {
            Some(_) => self.respond(step, fork, out),
            None => self.settle(fork, out, |exchange| exchange.succeed(transaction)),
        }
        if matches!(transaction.method, Method::Invite | Method::Update) {
            // RFC 4028 section 7.2: a 2xx without Session-Expires stops the timer.
            let interval_s =
                step.message.session_expires().map(|timer| u64::from(timer.interval_s));
            self.dialogs[fork].expires_ns = interval_s
                .filter(|interval_s| *interval_s > 0)
                .map(|interval_s| out.ts_ns.saturating_add(interval_s * 1_000_000_000));
        }
    }
}

/// The session description of a message that may carry an offer or an answer.
pub(super) fn description(message: &Message<'_>) -> Option<Result<Session, SdpError>> {
    let carries = match message.status() {
        None => matches!(
            message.method(),
            Method::Invite | Method::Ack | Method::Prack | Method::Update
        ),
        Some(code) => {
            (101..=299).contains(&code)
                && matches!(message.method(), Method::Invite | Method::Prack | Method::Update)
        }
    };
    carries.then(|| body::sdp(message)).flatten().map(sdp::parse)
}

fn on_refer(step: &Step<'_, '_>, fork: usize, out: &mut Output<'_>) {
    let Some(target) = step.message.refer_to() else {
        return;
    };
    let replaces = target.sip_uri().and_then(|uri| uri.header(b"Replaces"));
    out.emit(
        fork,
        EventKind::Referred {
            by: step.by,
            target: target.uri.to_vec(),
            replaces: replaces.and_then(|value| Replaces::parse(&value)),
        },
    );
}

fn on_info(step: &Step<'_, '_>, fork: usize, out: &mut Output<'_>) {
    let content_type = step.message.content_type().unwrap_or(b"");
    if let Some(digit) = parse_info(content_type, step.message.body) {
        out.emit(fork, EventKind::Digit { by: step.by, digit });
    }
}

/// RFC 3515 section 2.4.5: the status line of the call to the target.
fn on_notify(step: &Step<'_, '_>, fork: usize, out: &mut Output<'_>) {
    let is_refer = step.message.header_first(HeaderName::Event).is_some_and(|event| {
        event.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"refer"))
    });
    let code = body::find(step.message, b"message/sipfrag")
        .filter(|_| is_refer)
        .and_then(|fragment| fragment.trim_ascii_start().strip_prefix(b"SIP/2.0 "))
        .and_then(|rest| std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok());
    if let Some(code) = code {
        out.emit(fork, EventKind::ReferProgress { by: step.by, code });
    }
}
