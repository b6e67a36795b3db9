//! Offers and answers as they pass a tap, and what the dialog layer says of them.

use super::stage::{
    CALLEE, CALLER, Draft, PROXY, ack, after_answer, answer, from_callee, from_caller, invite,
    proxied, run, sdp, sdp_with,
};

// CALL-2: early media, then another description in the 200: the 200 counts.
#[test]
fn early_media_and_its_change_by_the_answer() {
    let early = from_callee(Draft::response(183, 1, "INVITE").tag("b").body(sdp(2, 2002)));
    assert_eq!(
        run(&[invite(), early, answer(), ack()])[2..],
        [
            "0: Progress { code: 183 }",
            "0: media 0 1000|2002",
            "0: Answered",
            "0: media 0 1000|2000"
        ]
    );
}

// CALL-1, CALL-2: forks: each has its media; the answer ends the others; a second answer counts too.
#[test]
fn forks_have_their_own_media() {
    let early = |tag: &str, port| {
        from_callee(Draft::response(183, 1, "INVITE").tag(tag).body(sdp(2, port)))
    };
    let late = from_callee(Draft::response(200, 1, "INVITE").tag("c").body(sdp(2, 2004)));
    let lines = [
        invite(),
        early("b", 2000),
        early("c", 2002),
        answer(),
        late,
        from_caller(Draft::request("BYE", 2).tag("c")),
        from_caller(Draft::request("BYE", 2).tag("b")),
    ];
    assert_eq!(
        run(&lines)[2..],
        [
            "0: Progress { code: 183 }",
            "0: media 0 1000|2000",
            "1: Forked",
            "1: Progress { code: 183 }",
            "1: media 0 1000|2002",
            "0: Answered",
            "1: ended ForkLost",
            "1: Answered",
            "1: media 0 1000|2002",
            "1: media 0 1000|2004",
            "1: ended Bye by Caller",
            "0: ended Bye by Caller, leg over",
        ]
    );
}

// CALL-2: delayed offer: in the 200, answered in the ACK (RFC 3261 section 13.2.1).
#[test]
fn a_delayed_offer_is_answered_in_the_ack() {
    let lines = [
        from_caller(Draft::request("INVITE", 1)),
        answer(),
        from_caller(Draft::request("ACK", 1).tag("b").branch("ack").body(sdp(1, 1000))),
    ];
    assert_eq!(run(&lines)[1..], ["0: Answered", "0: media 0 -|-?2000", "0: media 0 1000|2000"]);
}

// CALL-1, CALL-2: RFC 3262: offer in a reliable 183, answer in PRACK; then an offer in a PRACK.
#[test]
fn reliable_provisional_answers_carry_offers() {
    let reliable = |code, rseq: u32| {
        Draft::response(code, 1, "INVITE")
            .tag("b")
            .header("Require: 100rel")
            .header(&format!("RSeq: {rseq}"))
    };
    let prack = |cseq, rseq: u32| {
        Draft::request("PRACK", cseq).tag("b").header(&format!("RAck: {rseq} 1 INVITE"))
    };
    let lines = [
        from_caller(Draft::request("INVITE", 1)),
        from_callee(reliable(183, 11).body(sdp(2, 2000))),
        from_caller(prack(2, 11).body(sdp(1, 1000))),
        from_caller(prack(2, 11).body(sdp(1, 1000))),
        from_callee(Draft::response(200, 2, "PRACK").tag("b")),
        from_callee(reliable(180, 12)),
        from_caller(prack(3, 12).body(sdp(1, 1002))),
        from_callee(Draft::response(200, 3, "PRACK").tag("b").body(sdp(2, 2002))),
        from_callee(Draft::response(200, 1, "INVITE").tag("b")),
    ];
    assert_eq!(
        run(&lines)[1..],
        [
            "0: Progress { code: 183 }",
            "0: media 0 -|-?2000",
            "0: media 0 1000|2000",
            "0: Ringing { code: 180 }",
            "0: media 0 1000?1002|2000",
            "0: media 0 1002|2002",
            "0: Answered",
        ]
    );
}

// CALL-2: UPDATE in an early dialog (RFC 3311), then a 200 that repeats the old answer.
#[test]
fn an_update_before_the_answer_stays_in_force() {
    let lines = [
        invite(),
        from_callee(Draft::response(183, 1, "INVITE").tag("b").body(sdp(2, 2000))),
        from_caller(Draft::request("UPDATE", 2).tag("b").body(sdp(1, 1004))),
        from_callee(Draft::response(200, 2, "UPDATE").tag("b").body(sdp(2, 2004))),
        answer(),
    ];
    assert_eq!(
        run(&lines)[4..],
        ["0: media 0 1000?1004|2000", "0: media 0 1004|2004", "0: Answered"]
    );
}

// CALL-2: re-INVITE by the callee: hold and another port.
#[test]
fn a_reinvite_changes_what_is_in_force() {
    let offer = sdp_with(2, 2010, "sendonly");
    let said = after_answer(vec![
        from_callee(Draft::request("INVITE", 5).by_callee("b").body(offer)),
        from_caller(Draft::response(100, 5, "INVITE").by_callee("b")),
        from_caller(
            Draft::response(200, 5, "INVITE").by_callee("b").body(sdp_with(1, 1000, "recvonly")),
        ),
        from_callee(Draft::request("ACK", 5).by_callee("b")),
    ]);
    assert_eq!(said, ["0: media 0 1000|2000?2010", "0: media 0 1000|2010"]);
}

// CALL-2: a refused re-INVITE leaves things as they were, also where a 183 had answered it (RFC 6141).
#[test]
fn a_refused_reinvite_rolls_back() {
    let reinvite = || from_caller(Draft::request("INVITE", 2).tag("b").body(sdp(1, 1010)));
    let refused = |code| from_callee(Draft::response(code, 2, "INVITE").tag("b"));
    assert_eq!(
        after_answer(vec![reinvite(), refused(488)]),
        [
            "0: media 0 1000?1010|2000",
            "0: media 0 1000|2000",
            "0: ModificationFailed { by: Caller, code: 488 }"
        ]
    );
    let early = from_callee(Draft::response(183, 2, "INVITE").tag("b").body(sdp(2, 2010)));
    assert_eq!(
        after_answer(vec![reinvite(), early, refused(487)])[1..],
        [
            "0: media 0 1010|2010",
            "0: media 0 1000|2000",
            "0: ModificationFailed { by: Caller, code: 487 }"
        ]
    );
}

// CALL-2: glare: both offer, both get 491 (RFC 3261 section 14.1); then one succeeds.
#[test]
fn glare_is_resolved() {
    let said = after_answer(vec![
        from_caller(Draft::request("INVITE", 2).tag("b").body(sdp(1, 1010))),
        from_callee(Draft::request("INVITE", 5).by_callee("b").body(sdp(2, 2010))),
        from_callee(Draft::response(491, 2, "INVITE").tag("b")),
        from_caller(Draft::response(491, 5, "INVITE").by_callee("b")),
        from_caller(Draft::request("INVITE", 3).tag("b").body(sdp(1, 1012))),
        from_callee(Draft::response(200, 3, "INVITE").tag("b").body(sdp(2, 2012))),
    ]);
    assert_eq!(
        said,
        [
            "0: media 0 1000?1010|2000",
            "0: media 0 1000?1010|2000?2010",
            "0: media 0 1000|2000?2010",
            "0: ModificationFailed { by: Caller, code: 491 }",
            "0: media 0 1000|2000",
            "0: ModificationFailed { by: Callee, code: 491 }",
            "0: media 0 1000?1012|2000",
            "0: media 0 1012|2012",
        ]
    );
}

// CALL-1, CALL-2: both sides of a proxy: one leg; of a media relay: one leg with two paths.
#[test]
fn both_sides_of_a_proxy_are_one_leg() {
    assert_eq!(
        run(&proxied(false)),
        [
            "0: created Invite 1>9",
            "0: media 0 -?1000|-",
            "0: Ringing { code: 180 }",
            "0: Answered",
            "0: media 0 1000|2000",
            "0: ended Bye by Callee, leg over",
        ]
    );
    assert_eq!(
        run(&proxied(true)),
        [
            "0: created Invite 1>9",
            "0: media 0 -?1000|-",
            "0: media 1 -?9000|-",
            "0: Ringing { code: 180 }",
            "0: Answered",
            "0: media 1 9000|2000",
            "0: media 0 1000|9002",
            "0: ended Bye by Callee, leg over",
        ]
    );
}

// CALL-2: a relay that rewrites only what is offered late: the path splits where the descriptions differ.
#[test]
fn paths_split_where_descriptions_differ() {
    let lines = [
        Draft::request("INVITE", 1).branch("a").seen(CALLER, PROXY),
        Draft::request("INVITE", 1).branch("p").seen(PROXY, CALLEE),
        Draft::response(200, 1, "INVITE")
            .branch("p")
            .tag("b")
            .body(sdp(2, 2000))
            .seen(CALLEE, PROXY),
        Draft::response(200, 1, "INVITE")
            .branch("a")
            .tag("b")
            .body(sdp(9, 9002))
            .seen(PROXY, CALLER),
        Draft::request("ACK", 1).branch("k").tag("b").body(sdp(1, 1000)).seen(CALLER, PROXY),
        Draft::request("ACK", 1).branch("kp").tag("b").body(sdp(9, 9000)).seen(PROXY, CALLEE),
    ];
    assert_eq!(
        run(&lines)[1..],
        [
            "0: Answered",
            "0: media 0 -|-?2000",
            "0: media 1 -|-?9002",
            "0: media 1 1000|9002",
            "0: media 0 9000|2000",
        ]
    );
}
