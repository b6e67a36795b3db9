//! Whole calls as they pass a tap, and what the dialog layer says of them.

use std::collections::HashSet;

use proptest::prelude::*;

use super::stage::{
    CALLEE, CALLER, Draft, Line, PROXY, SECOND_NS, Tap, ack, after_answer, answer, answered, at,
    from_callee, from_caller, invite, proxied, run, sdp,
};
use super::{
    Class, DialogEvent, DialogId, Dialogs, EndReason, EventKind, Party, PathId, Seen, Timeouts,
};
use crate::sip;

// CALL-1, CALL-2: RFC 3665 section 3.1: a call from INVITE to BYE; what comes again says nothing again.
#[test]
fn a_plain_call() {
    let lines = [
        invite(),
        invite(),
        from_callee(Draft::response(100, 1, "INVITE")),
        from_callee(Draft::response(180, 1, "INVITE").tag("b")),
        from_callee(Draft::response(180, 1, "INVITE").tag("b")),
        answer(),
        answer(),
        ack(),
        ack(),
        from_callee(Draft::request("BYE", 7).by_callee("b")),
        from_caller(Draft::response(200, 7, "BYE").by_callee("b")),
        from_callee(Draft::request("BYE", 7).by_callee("b")),
    ];
    assert_eq!(
        run(&lines),
        [
            "0: created Invite 1>2",
            "0: media 0 -?1000|-",
            "0: Ringing { code: 180 }",
            "0: Answered",
            "0: media 0 1000|2000",
            "0: ended Bye by Callee, leg over",
        ]
    );
}

// CALL-1: two forks are answered, one is acknowledged: the other ends, as its callee gives up.
#[test]
fn an_unacknowledged_fork_ends() {
    let mut tap = Tap::new();
    let other = from_callee(Draft::response(200, 1, "INVITE").tag("c").body(sdp(2, 2004)));
    for line in [invite(), other, answer(), ack()] {
        tap.see(&line);
    }
    tap.said();
    tap.wait(33);
    assert_eq!(tap.said(), ["0: ended ForkLost"]);
    tap.see(&from_caller(Draft::request("BYE", 2).tag("b")));
    assert_eq!(tap.said(), ["1: ended Bye by Caller, leg over"]);
}

// CALL-1: what a message was: started, news, repeated, orphan, unrelated.
#[test]
fn messages_are_classified() {
    let mut tap = Tap::new();
    assert_eq!(tap.see(&from_caller(Draft::request("INFO", 9).tag("z"))), Class::Orphan);
    assert_eq!(tap.see(&from_caller(Draft::request("OPTIONS", 1))), Class::Unrelated);
    assert_eq!(tap.see(&invite()), Class::Started);
    assert_eq!(tap.see(&invite()), Class::Repeated);
    assert_eq!(tap.see(&answer()), Class::InDialog);
    assert_eq!(tap.see(&answer()), Class::Repeated);
    assert_eq!(tap.dialogs.len(), 1);
}

// CALL-1: RFC 3665 section 3.2: 401 and the INVITE with credentials are one leg.
#[test]
fn a_challenge_does_not_end_the_leg() {
    let lines = [
        invite(),
        from_callee(Draft::response(407, 1, "INVITE").tag("p")),
        from_caller(Draft::request("ACK", 1).tag("p").branch("INVITE-1")),
        from_caller(Draft::request("INVITE", 2).body(sdp(1, 1002))),
        from_callee(Draft::response(200, 2, "INVITE").tag("b").body(sdp(2, 2000))),
    ];
    assert_eq!(
        run(&lines),
        [
            "0: created Invite 1>2",
            "0: media 0 -?1000|-",
            "0: Challenged { code: 407 }",
            "0: Retried",
            "0: media 0 -?1002|-",
            "0: Answered",
            "0: media 0 1002|2000",
        ]
    );
    let mut tap = Tap::new();
    for line in &lines[..3] {
        tap.see(line);
    }
    tap.wait(121);
    // It was over when it was refused, not when nobody waits any more.
    assert_eq!(tap.events.last().unwrap().ts_ns, 2 * SECOND_NS);
    assert_eq!(tap.said().last().unwrap(), "0: ended Rejected(407) by Callee, leg over");
}

// CALL-1: refusals end the leg with their code; another attempt is another leg.
#[test]
fn refusals_end_the_leg() {
    for (code, reason) in [
        (486, "Rejected(486) by Callee"),
        (603, "Rejected(603) by Callee"),
        (487, "Cancelled by Caller"),
    ] {
        let mut tap = Tap::new();
        tap.see(&invite());
        tap.see(&from_callee(Draft::response(code, 1, "INVITE").tag("b")));
        assert_eq!(tap.said().pop().unwrap(), format!("0: ended {reason}, leg over"));
        assert!(tap.dialogs.is_empty());
        assert_eq!(tap.see(&invite()), Class::Repeated);
        let again = from_caller(Draft::request("INVITE", 2).body(sdp(1, 1000)));
        assert_eq!(tap.see(&again), Class::Started);
    }
    let mut tap = Tap::new();
    tap.see(&invite());
    tap.see(&from_callee(Draft::response(302, 1, "INVITE").tag("b")));
    tap.wait(40);
    assert_eq!(tap.said().pop().unwrap(), "0: ended Redirected(302) by Callee, leg over");
}

// CALL-1: CANCEL with its 487, without it, and crossed by the answer.
#[test]
fn cancel_ends_what_is_not_answered() {
    let cancel = || from_caller(Draft::request("CANCEL", 1).branch("INVITE-1"));
    let refused = from_callee(Draft::response(487, 1, "INVITE").tag("b"));
    assert_eq!(
        run(&[invite(), cancel(), refused]).pop().unwrap(),
        "0: ended Cancelled by Caller, leg over"
    );
    let mut tap = Tap::new();
    tap.see(&invite());
    tap.see(&cancel());
    tap.wait(33);
    assert_eq!(tap.said().pop().unwrap(), "0: ended Cancelled by Caller, leg over");
    let mut tap = Tap::new();
    for line in [invite(), cancel(), answer()] {
        tap.see(&line);
    }
    tap.wait(1000);
    assert_eq!(tap.said().pop().unwrap(), "0: media 0 1000|2000");
}

// CALL-1: at the end of a capture, what only waited for something that need not come is concluded; what goes
// on is not.
#[test]
fn what_waits_at_the_end_is_concluded() {
    let cancel = from_caller(Draft::request("CANCEL", 1).branch("INVITE-1"));
    let challenge = from_callee(Draft::response(407, 1, "INVITE").tag("p"));
    for (last, end) in [
        (challenge, Some("0: ended Rejected(407) by Callee, leg over")),
        (cancel, Some("0: ended Cancelled by Caller, leg over")),
        (from_callee(Draft::response(180, 1, "INVITE").tag("b")), None),
        (answer(), None),
    ] {
        let mut tap = Tap::new();
        tap.see(&invite());
        tap.see(&last);
        tap.said();
        let before = tap.events.len();
        tap.dialogs.conclude(&mut tap.events);
        assert!(tap.events[before..].iter().all(|event| event.ts_ns == 2 * SECOND_NS));
        assert_eq!(tap.said().last().map(String::as_str), end);
    }
}

// CALL-1: between a back-to-back user agent and its callee the callee's tag is another one than before it, and
// only one of them is acknowledged: the BYE ends the call, whatever has not been waited for yet.
#[test]
fn a_bye_ends_what_was_never_acknowledged() {
    let behind = Draft::response(200, 1, "INVITE").tag("c").body(sdp(2, 2000));
    let mut tap = Tap::new();
    for line in [invite(), from_callee(behind), answer(), ack()] {
        tap.see(&line);
    }
    tap.said();
    tap.see(&from_caller(Draft::request("BYE", 2).tag("b")));
    assert_eq!(tap.said(), ["0: ended ForkLost", "1: ended Bye by Caller, leg over"]);
}

// CALL-1: the capture began between INVITE and answer, whose description was in a reliable 183 before.
#[test]
fn an_answer_without_description_joins_a_call() {
    let answer = from_callee(Draft::response(200, 1, "INVITE").tag("b"));
    let bye = from_callee(Draft::request("BYE", 7).by_callee("b"));
    assert_eq!(
        run(&[answer, ack(), bye]),
        ["0: created InProgress 1>2", "0: Answered", "0: ended Bye by Callee, leg over"]
    );
    let refusal = from_callee(Draft::response(488, 1, "INVITE").tag("b"));
    assert!(run(&[refusal]).is_empty(), "it may have refused a change of a call that goes on");
}

// CALL-1: of a call that began before the capture only its end is seen, once however often it is sent.
#[test]
fn an_end_alone_is_a_call() {
    let bye = || from_callee(Draft::request("BYE", 7).by_callee("b"));
    let ok = || from_caller(Draft::response(200, 7, "BYE").by_callee("b"));
    let ended = ["0: created InProgress 2>1", "0: Answered", "0: ended Bye by Caller, leg over"];
    assert_eq!(run(&[bye(), ok(), bye()]), ended);
    assert_eq!(run(&[ok()]), ended);
    let busy = || from_callee(Draft::response(486, 1, "INVITE").tag("b"));
    let acknowledged = || from_caller(Draft::request("ACK", 1).tag("b").branch("INVITE-1"));
    assert_eq!(
        run(&[busy(), acknowledged(), busy()]),
        ["0: created InProgress 1>2", "0: ended Rejected(486) by Callee, leg over"]
    );
    let refresh = from_caller(Draft::request("UPDATE", 2).tag("b"));
    assert_eq!(run(&[refresh]), ["0: created InProgress 1>2", "0: Answered"]);
}

// CALL-1: a leg that was given up, because it was silent, and ends long after that is no further call.
#[test]
fn the_late_end_of_a_leg_that_was_given_up() {
    let mut tap = Tap::new();
    for line in answered() {
        tap.see(&line);
    }
    let leg = tap.events[0].dialog.leg;
    tap.dialogs.end(leg, EndReason::External, tap.now_ns, &mut tap.events);
    tap.said();
    tap.wait(1_000);
    tap.see(&from_callee(Draft::request("BYE", 7).by_callee("b")));
    assert!(tap.said().is_empty());
}

// CALL-1: no final answer.
#[test]
fn an_unanswered_invite_ends_by_time() {
    let mut tap = Tap::new();
    tap.see(&invite());
    assert_eq!(tap.dialogs.next_deadline_ns(), Some(301 * SECOND_NS));
    tap.wait(290);
    tap.see(&from_callee(Draft::response(180, 1, "INVITE").tag("b")));
    tap.wait(290);
    assert_eq!(tap.said().pop().unwrap(), "0: Ringing { code: 180 }");
    tap.wait(20);
    assert_eq!(tap.said(), ["0: ended Unanswered, leg over"]);
    tap.wait(100);
    assert_eq!(tap.dialogs.next_deadline_ns(), None);
}

// CALL-1: 481 to a request of the session ends the dialog (RFC 5057 section 5.1).
#[test]
fn an_unknown_dialog_ends() {
    let said = after_answer(vec![
        from_caller(Draft::request("UPDATE", 2).tag("b")),
        from_callee(Draft::response(481, 2, "UPDATE").tag("b")),
    ]);
    assert_eq!(said, ["0: ended Unknown by Callee, leg over"]);
}

// CALL-1: session timers (RFC 4028): a refresh moves the end, a 2xx without the header stops the timer.
#[test]
fn session_timers_run_out() {
    let timed = |cseq: u32, method: &str| {
        let draft = Draft::response(200, cseq, method).tag("b");
        draft.header("Session-Expires: 1800;refresher=uac").body(if cseq == 1 {
            sdp(2, 2000)
        } else {
            String::new()
        })
    };
    let mut tap = Tap::new();
    for line in [invite(), from_callee(timed(1, "INVITE")), ack()] {
        tap.see(&line);
    }
    tap.wait(1000);
    tap.see(&from_caller(Draft::request("UPDATE", 2).tag("b")));
    tap.see(&from_callee(timed(2, "UPDATE")));
    tap.said();
    tap.wait(1700);
    assert!(tap.said().is_empty());
    tap.wait(200);
    assert_eq!(tap.said(), ["0: SessionExpired"]);
    tap.wait(5000);
    assert!(tap.said().is_empty());
    tap.see(&from_caller(Draft::request("UPDATE", 3).tag("b")));
    tap.see(&from_callee(timed(3, "UPDATE")));
    tap.see(&from_caller(Draft::request("UPDATE", 4).tag("b")));
    tap.see(&from_callee(Draft::response(200, 4, "UPDATE").tag("b")));
    tap.wait(50_000);
    assert!(tap.said().is_empty());
}

// CALL-1: capture began later: the first message with SDP starts the leg; who is who stays so.
#[test]
fn dialogs_in_progress_are_joined() {
    let reinvite = from_callee(Draft::request("INVITE", 5).by_callee("b").body(sdp(2, 2010)));
    let ok = from_caller(Draft::response(200, 5, "INVITE").by_callee("b").body(sdp(1, 1000)));
    let mut tap = Tap::new();
    for line in [ack(), reinvite, ok, from_caller(Draft::request("BYE", 2).tag("b"))] {
        tap.see(&line);
    }
    // The party that is seen first is the caller: that is all there is to know.
    assert_eq!(
        tap.said(),
        [
            "0: created InProgress 2>1",
            "0: Answered",
            "0: media 0 -?2010|-",
            "0: media 0 2010|1000",
            "0: ended Bye by Callee, leg over",
        ]
    );
    assert_eq!(
        run(&[answer(), ack()]),
        ["0: created InProgress 1>2", "0: Answered", "0: media 0 -|-?2000", "0: media 0 -|2000"]
    );
}

// CALL-1: a leg that was ended from outside and goes on is joined again, caller and callee as before.
#[test]
fn a_leg_ended_from_outside_is_joined_again() {
    let mut tap = Tap::new();
    for line in answered() {
        tap.see(&line);
    }
    let leg = tap.events[0].dialog.leg;
    tap.dialogs.end(leg, EndReason::External, tap.now_ns, &mut tap.events);
    tap.dialogs.end(leg, EndReason::External, tap.now_ns, &mut tap.events);
    tap.see(&answer());
    assert_eq!(tap.said().pop().unwrap(), "0: ended External, leg over");
    tap.see(&from_callee(Draft::request("INVITE", 5).by_callee("b").body(sdp(2, 2010))));
    assert_eq!(tap.said(), ["0: created InProgress 1>2", "0: Answered", "0: media 0 -|-?2010"]);
}

// CALL-1: answers seen before the INVITE (two queues of one card) end in the same state.
#[test]
fn an_answer_seen_before_its_invite() {
    let said = run(&[answer(), invite(), ack()]);
    assert_eq!(said.last().unwrap(), "0: media 0 1000|2000");
}

// CALL-1: the 200 was lost; the ACK, or a re-INVITE, says that the call was answered. Not the ACK of a refusal.
#[test]
fn an_unseen_answer_is_inferred() {
    assert_eq!(run(&[invite(), ack()])[2..], ["0: Answered"]);
    let refusal = from_caller(Draft::request("ACK", 1).tag("b").branch("INVITE-1"));
    assert_eq!(run(&[invite(), refusal]).len(), 2);
    let bye_only = from_callee(Draft::response(200, 2, "BYE").tag("b"));
    assert_eq!(after_answer(vec![bye_only]), ["0: ended Bye by Caller, leg over"]);
}

// CALL-1: a proxy that tries one target after the other: the refusal behind it does not end the leg.
#[test]
fn a_refusal_behind_a_proxy_is_not_the_end() {
    let lines = [
        Draft::request("INVITE", 1).branch("a").body(sdp(1, 1000)).seen(CALLER, PROXY),
        Draft::request("INVITE", 1).branch("p1").body(sdp(1, 1000)).seen(PROXY, CALLEE),
        Draft::response(486, 1, "INVITE").branch("p1").tag("b").seen(CALLEE, PROXY),
        Draft::request("INVITE", 1).branch("p2").body(sdp(1, 1000)).seen(PROXY, 3),
        Draft::request("CANCEL", 1).branch("p2").seen(PROXY, 3),
        Draft::response(487, 1, "INVITE").branch("p2").tag("c").seen(3, PROXY),
        Draft::response(480, 1, "INVITE").branch("a").tag("p").seen(PROXY, CALLER),
    ];
    assert_eq!(
        run(&lines)[1..],
        ["0: media 0 -?1000|-", "0: ended Rejected(480) by Callee, leg over"]
    );
}

// CALL-5: REFER with Replaces and its NOTIFY, once however often seen.
#[test]
fn transfers_are_told() {
    let refer = || {
        let draft = Draft::request("REFER", 2).tag("b");
        from_caller(
            draft.header("Refer-To: <sip:carol@h?Replaces=7%40x%3Bto-tag%3Dt%3Bfrom-tag%3Df>"),
        )
    };
    let notify = Draft::request("NOTIFY", 6)
        .by_callee("b")
        .header("Event: refer")
        .header("Subscription-State: active")
        .content_type("message/sipfrag")
        .body("SIP/2.0 200 OK\r\n");
    let mut tap = Tap::new();
    for line in answered() {
        tap.see(&line);
    }
    tap.said();
    for line in [refer(), refer(), from_callee(notify)] {
        tap.see(&line);
    }
    let EventKind::Referred { by: Party::Caller, target, replaces: Some(replaces) } =
        &tap.events[0].kind
    else {
        panic!("{:?}", tap.events);
    };
    assert!(target.starts_with(b"sip:carol@h"));
    assert_eq!((&replaces.call_id[..], &replaces.to_tag[..]), (&b"7@x"[..], &b"t"[..]));
    assert_eq!(tap.events[1].kind, EventKind::ReferProgress { by: Party::Callee, code: 200 });
    assert_eq!(tap.events.len(), 2);
}

// CALL-8: digits in INFO, once however often sent.
#[test]
fn digits_in_info_are_told_once() {
    let info = |cseq, digit: &str| {
        let draft = Draft::request("INFO", cseq).tag("b").content_type("application/dtmf-relay");
        from_caller(draft.body(format!("Signal={digit}\r\nDuration=100\r\n")))
    };
    let said = after_answer(vec![info(2, "5"), info(2, "5"), info(3, "#")]);
    assert_eq!(said.len(), 2);
    assert!(said[0].contains("digit: '5'") && said[1].contains("digit: '#'"), "{said:?}");
}

// S10: past the bound, what is over goes first, then the leg that was silent longest, and it is said.
#[test]
fn legs_are_bounded() {
    let mut dialogs = Dialogs::with_capacity(Timeouts::default(), 2);
    let mut events = Vec::new();
    for call in 0..5u8 {
        let text = invite().text.replace("Call-ID: 1", &format!("Call-ID: {call}"));
        let message = sip::parse(text.as_bytes()).unwrap();
        dialogs.observe(
            Seen { ts_ns: u64::from(call), src: at(1), dst: at(2) },
            &message,
            &mut events,
        );
    }
    let evicted = |event: &&DialogEvent| {
        matches!(event.kind, EventKind::Ended { reason: EndReason::Evicted, leg_over: true, .. })
    };
    assert_eq!((dialogs.len(), events.iter().filter(evicted).count()), (2, 3));
}

/// The lines of all scenarios above that make sense together: one call with everything in it.
fn everything() -> Vec<Line> {
    let mut lines = proxied(true);
    let bye = lines.split_off(8);
    lines.push(Draft::request("INVITE", 2).tag("b").body(sdp(1, 1010)).seen(CALLER, PROXY));
    lines.push(Draft::response(200, 2, "INVITE").tag("b").body(sdp(9, 9010)).seen(PROXY, CALLER));
    lines.push(Draft::request("ACK", 2).tag("b").branch("k2").seen(CALLER, PROXY));
    lines.push(Draft::request("UPDATE", 8).by_callee("b").body(sdp(2, 2010)).seen(CALLEE, PROXY));
    lines.push(Draft::response(491, 8, "UPDATE").by_callee("b").seen(PROXY, CALLEE));
    lines.push(
        Draft::response(183, 1, "INVITE")
            .branch("a")
            .tag("c")
            .body(sdp(3, 3000))
            .seen(PROXY, CALLER),
    );
    lines.extend(bye);
    lines
}

proptest! {
    // CALL-1: messages that come again, however much later, change nothing.
    #[test]
    fn repetition_changes_nothing(repeats in prop::collection::vec((0usize..16, 1usize..16), 0..20)) {
        let lines = everything();
        let mut repeated: Vec<(usize, Line)> = lines.iter().cloned().enumerate().collect();
        for (which, later) in repeats {
            let which = which % lines.len();
            repeated.push(((which + later).min(lines.len()), lines[which].clone()));
        }
        repeated.sort_by_key(|(at, _)| *at);
        let repeated: Vec<Line> = repeated.into_iter().map(|(_, line)| line).collect();
        prop_assert_eq!(run(&repeated), run(&lines));
    }

    // CALL-1, S9: whatever the order and whatever is missing: no panic, nothing after the end of a leg, every
    // leg begins with its creation, a dialog is answered once until it lost, and time ends what is not answered.
    #[test]
    fn any_order_keeps_the_rules(order in prop::collection::vec((0usize..20, 0u8..3), 0..60)) {
        let lines = everything();
        let mut tap = Tap::new();
        for (which, wait) in order {
            tap.see(&lines[which % lines.len()]);
            if wait == 0 {
                tap.wait(20);
            }
        }
        let (known, over) = check_rules(&tap.events)?;
        prop_assert_eq!(known - over, tap.dialogs.len());
        tap.wait(100_000);
        tap.wait(100_000);
        let (known, over) = check_rules(&tap.events)?;
        prop_assert_eq!(known - over, tap.dialogs.len());
    }

    // CALL-1, S9: messages that no sane party sends keep the same rules.
    #[test]
    fn any_messages_keep_the_rules(drafts in prop::collection::vec(
        (0usize..12, 0usize..16, 1u32..4, 0usize..4, any::<bool>(), 0u16..4, 1u8..5, 0u64..40), 0..60)) {
        let mut tap = Tap::new();
        for (method, code, cseq, tag, is_callee, port, host, wait) in drafts {
            let line = any_draft(method, code, cseq, tag, is_callee, port).seen(host, host % 4 + 1);
            tap.see(&line);
            if wait > 35 {
                tap.wait(wait);
            }
        }
        let (known, over) = check_rules(&tap.events)?;
        prop_assert_eq!(known - over, tap.dialogs.len());
    }
}

/// A message made of a few choices.
fn any_draft(
    method: usize,
    code: usize,
    cseq: u32,
    tag: usize,
    is_callee: bool,
    port: u16,
) -> Draft {
    const METHODS: [&str; 12] = [
        "INVITE", "INVITE", "INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "REFER",
        "NOTIFY", "OPTIONS",
    ];
    const CODES: [u16; 16] = [0, 0, 0, 0, 0, 0, 100, 180, 183, 200, 200, 302, 401, 481, 487, 491];
    let draft = match CODES[code] {
        0 => Draft::request(METHODS[method], cseq),
        code => Draft::response(code, cseq, METHODS[method]),
    };
    let tag = ["", "b", "c", "d"][tag];
    let draft = match (is_callee, tag) {
        (_, "") => draft,
        (true, tag) => draft.by_callee(tag),
        (false, tag) => draft.tag(tag),
    };
    match port {
        0 => draft,
        port => draft.body(sdp(1, 1000 + port)),
    }
}

/// The rules that hold whatever is seen; gives how many legs there were and how many are over.
fn check_rules(events: &[DialogEvent]) -> Result<(usize, usize), TestCaseError> {
    let (mut known, mut over, mut answered) = (HashSet::new(), HashSet::new(), HashSet::new());
    for event in events {
        let leg = event.dialog.leg;
        prop_assert!(!over.contains(&leg), "{:?} after the end", event);
        match &event.kind {
            EventKind::Created { .. } => prop_assert!(known.insert(leg)),
            EventKind::Answered => prop_assert!(answered.insert(event.dialog)),
            EventKind::Retried => answered.retain(|dialog: &DialogId| dialog.leg != leg),
            EventKind::Ended { leg_over, .. } => {
                answered.remove(&event.dialog);
                if *leg_over {
                    over.insert(leg);
                }
            }
            EventKind::MediaChanged { path: PathId(path), .. } => {
                prop_assert!(usize::from(*path) < crate::limits::HOPS_MAX);
            }
            _ => {}
        }
        prop_assert!(known.contains(&leg));
    }
    Ok((known.len(), over.len()))
}
