//! Transfers: the new party takes the side of whom it replaced, and time goes on in the same file.

use earwitness_fixtures::ensemble::{Ensemble, Line};
use earwitness_fixtures::sdp::Direction;
use earwitness_fixtures::spec::Party::{self, Callee, Caller};

use super::{
    ALICE, BOB, CAROL, LEFT, MUSIC, RIGHT, Sound, both, brief, escaped, joined_by, leg, media,
    only_call, parties, replay, talk, text, through,
};

fn phones(name: &str, users: [&str; 2], hosts: [u8; 2]) -> Line {
    leg(name, users, hosts, [4000; 2])
}

/// Who asked hangs up before the new call comes, or after it.
fn blind(by: Party, leaves_first: bool) {
    let mut ensemble = Ensemble::default();
    let mut first = phones("first", ["alice", "bob"], [1, 2]);
    ensemble.call(&mut first);
    let before = talk(&mut ensemble, &first, [ALICE, BOB], 1_500);
    ensemble.refer(&mut first, by, "sip:carol@10.9.0.3", 202);
    if leaves_first {
        ensemble.hang_up(&mut first, by);
        ensemble.wait(400);
    }
    let (stays, user, voice) = match by {
        Callee => (1, "alice", ALICE),
        Caller => (2, "bob", BOB),
    };
    let mut second = phones("second", [user, "carol"], [stays, 3]);
    second.media[0] = first.media[by.other().index()];
    ensemble.call(&mut second);
    if !leaves_first {
        ensemble.notify(&mut first, by.other(), 200);
        ensemble.hang_up(&mut first, by);
    }
    let after = talk(&mut ensemble, &second, [voice, CAROL], 1_500);
    ensemble.wait(40);
    ensemble.hang_up(&mut second, Callee);
    let replayed = replay(ensemble, None);
    let call = only_call(&replayed);
    assert_eq!(joined_by(call), ["-", "refer"], "{}", brief(call));
    assert_eq!(text(call, "call_id"), "first@10.9.0.1");
    let sound = Sound::of(&replayed, call);
    sound.has(LEFT, ALICE, before.clone());
    sound.has(RIGHT, BOB, before);
    let (expected, sides, reason) = match by {
        Callee => {
            ([("alice", "bob"), ("alice", "carol")], [(LEFT, ALICE), (RIGHT, CAROL)], "bye_callee")
        }
        Caller => {
            ([("alice", "bob"), ("carol", "bob")], [(RIGHT, BOB), (LEFT, CAROL)], "bye_caller")
        }
    };
    assert_eq!(parties(call), expected, "{}", brief(call));
    assert_eq!(text(call, "end_reason"), reason, "who hung up is on that side");
    for (channel, voice) in sides {
        sound.has(channel, voice, after.clone());
    }
}

/// CALL-5: the callee gives the call to somebody else.
#[test]
fn a_blind_transfer_by_the_callee() {
    blind(Callee, false);
    blind(Callee, true);
}

/// CALL-5: the caller does: who is called then is where the caller was.
#[test]
fn a_blind_transfer_by_the_caller() {
    blind(Caller, false);
    blind(Caller, true);
}

/// CALL-5: a transfer that failed joins nothing; the call ends when it ended.
#[test]
fn a_transfer_that_fails() {
    let mut ensemble = Ensemble::default();
    let mut first = phones("first", ["alice", "bob"], [1, 2]);
    ensemble.call(&mut first);
    talk(&mut ensemble, &first, [ALICE, BOB], 800);
    ensemble.refer(&mut first, Callee, "sip:carol@10.9.0.3", 603);
    ensemble.wait(100);
    ensemble.hang_up(&mut first, Callee);
    ensemble.wait(500);
    let mut other = phones("other", ["alice", "carol"], [1, 3]);
    ensemble.call(&mut other);
    talk(&mut ensemble, &other, [ALICE, CAROL], 800);
    ensemble.hang_up(&mut other, Caller);
    let replayed = replay(ensemble, None);
    assert_eq!((replayed.calls.len(), replayed.recordings.len()), (2, 2));
    assert!(replayed.calls.iter().all(|call| call["legs"].as_array().map(Vec::len) == Some(1)));
}

/// CALL-5: attended, by the phones themselves: Bob asks Carol while Alice waits, then gives her the call.
#[test]
fn an_attended_transfer_by_replaces() {
    let mut ensemble = Ensemble::default();
    let mut first = phones("first", ["alice", "bob"], [1, 2]);
    ensemble.call(&mut first);
    let before = talk(&mut ensemble, &first, [ALICE, BOB], 1_500);
    ensemble.reinvite(&mut first, Callee, Direction::SendOnly);
    let held = ensemble.now_ms()..ensemble.now_ms() + 2_500;
    ensemble.say(MUSIC, (first.media[1], first.media[0]), held, 0);
    let mut consult = phones("consult", ["bob", "carol"], [2, 3]);
    consult.media[0] = media(2, 4002);
    ensemble.call(&mut consult);
    let asked = talk(&mut ensemble, &consult, [BOB, CAROL], 2_000);
    let replaces = consult.replaces(Callee);
    let escaped = escaped(&replaces);
    ensemble.refer(&mut first, Callee, &format!("sip:carol@10.9.0.3?Replaces={escaped}"), 202);
    let mut last = phones("last", ["alice", "carol"], [1, 3]).with("Replaces", replaces);
    last.media = [media(1, 4000), media(3, 4002)];
    ensemble.call(&mut last);
    ensemble.hang_up(&mut consult, Callee);
    ensemble.notify(&mut first, Caller, 200);
    ensemble.hang_up(&mut first, Callee);
    let after = talk(&mut ensemble, &last, [ALICE, CAROL], 1_500);
    ensemble.wait(40);
    ensemble.hang_up(&mut last, Caller);
    let replayed = replay(ensemble, None);
    let call = only_call(&replayed);
    assert_eq!(
        parties(call),
        [("alice", "bob"), ("carol", "bob"), ("alice", "carol")],
        "{}",
        brief(call)
    );
    assert_eq!(text(call, "call_id"), "first@10.9.0.1");
    assert_eq!(text(call, "end_reason"), "bye_caller");
    let sound = Sound::of(&replayed, call);
    for (stretch, left, right) in [(before, ALICE, BOB), (asked, CAROL, BOB), (after, ALICE, CAROL)]
    {
        sound.has(LEFT, left, stretch.start + 40..stretch.end - 40);
        sound.has(RIGHT, right, stretch.start + 40..stretch.end - 40);
    }
}

/// CALL-5: attended, through a box that connects the two itself: no INVITE says so.
#[test]
fn an_attended_transfer_inside_a_box() {
    let mut ensemble = Ensemble::default();
    let mut alice = leg("alice-box", ["alice", "bob"], [1, 10], [4000, 6000]);
    let mut bob = leg("box-bob", ["alice", "bob"], [10, 2], [6002, 4000]);
    let mut asks = leg("bob-box", ["bob", "carol"], [2, 10], [4002, 6004]);
    let mut carol = leg("box-carol", ["bob", "carol"], [10, 3], [6006, 4000]);
    through(&mut ensemble, &mut alice, &mut bob);
    let before = both(&mut ensemble, [&alice, &bob], [ALICE, BOB], 1_500);
    ensemble.wait(1_500);
    ensemble.reinvite(&mut bob, Callee, Direction::SendOnly);
    let held = ensemble.now_ms()..ensemble.now_ms() + 2_500;
    ensemble.say(MUSIC, (alice.media[1], alice.media[0]), held, 0);
    through(&mut ensemble, &mut asks, &mut carol);
    let asked = both(&mut ensemble, [&asks, &carol], [BOB, CAROL], 2_000);
    ensemble.wait(2_000);
    let replaces = asks.replaces(Callee);
    let escaped = escaped(&replaces);
    ensemble.refer(&mut bob, Callee, &format!("sip:carol@10.9.0.10?Replaces={escaped}"), 202);
    ensemble.notify(&mut bob, Caller, 200);
    ensemble.hang_up(&mut bob, Callee);
    ensemble.hang_up(&mut asks, Callee);
    let after = both(&mut ensemble, [&alice, &carol], [ALICE, CAROL], 1_500);
    ensemble.wait(1_540);
    ensemble.hang_up(&mut carol, Callee);
    ensemble.hang_up(&mut alice, Callee);
    let replayed = replay(ensemble, None);
    let call = only_call(&replayed);
    assert_eq!(
        parties(call),
        [("alice", "bob"), ("carol", "bob"), ("alice", "carol")],
        "{}",
        brief(call)
    );
    assert_eq!(text(call, "end_reason"), "bye_callee");
    let sound = Sound::of(&replayed, call);
    for (stretch, left, right) in [(before, ALICE, BOB), (asked, CAROL, BOB), (after, ALICE, CAROL)]
    {
        sound.has(LEFT, left, stretch.start + 40..stretch.end - 40);
        sound.has(RIGHT, right, stretch.start + 40..stretch.end - 40);
    }
}
