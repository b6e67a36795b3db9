//! What looks like one conversation and is not.

use earwitness_fixtures::ensemble::{Ensemble, Line};
use earwitness_fixtures::spec::Party::{Callee, Caller};

use super::{ALICE, BOB, CAROL, LEFT, RIGHT, Sound, brief, leg, media, replay, sip, text};

/// CALL-5: two calls between the same numbers at the same time, through a box: nobody can tell which leg is whose, and
/// nothing is joined; the trace says so.
#[test]
fn two_calls_between_the_same_numbers() {
    let mut ensemble = Ensemble::default();
    let same = |name: &str, hosts, ports| leg(name, ["4930111", "4930222"], hosts, ports);
    let mut to_box = [same("in-1", [1, 10], [4000, 6000]), same("in-2", [4, 10], [4000, 6002])];
    let mut from_box = [same("out-1", [10, 2], [6004, 4000]), same("out-2", [10, 2], [6006, 4002])];
    for line in to_box.iter_mut().chain(&mut from_box) {
        ensemble.invite(line);
        ensemble.wait(15);
    }
    for line in from_box.iter_mut().chain(&mut to_box) {
        ensemble.answer(line);
    }
    let ms = ensemble.now_ms()..ensemble.now_ms() + 1_500;
    for (line, voices) in to_box.iter().zip([[ALICE, BOB], [CAROL, 44]]) {
        ensemble.talk(line, voices, 1_500, 0);
    }
    for (line, voices) in from_box.iter().zip([[ALICE, BOB], [CAROL, 44]]) {
        ensemble.talk(line, voices, 1_500, 6);
    }
    ensemble.wait(1_540);
    for line in to_box.iter_mut().chain(&mut from_box) {
        ensemble.hang_up(line, Caller);
    }
    let replayed = replay(ensemble, None);
    assert_eq!(replayed.calls.len(), 4);
    for call in &replayed.calls {
        let second =
            text(call, "call_id").starts_with("in-2") || text(call, "call_id").starts_with("out-2");
        let (left, right) = if second { (CAROL, 44) } else { (ALICE, BOB) };
        let sound = Sound::of(&replayed, call);
        sound.has(LEFT, left, ms.clone());
        sound.has(RIGHT, right, ms.clone());
        sound.has_not(LEFT, if second { ALICE } else { CAROL }, ms.clone());
        let told = brief(call).contains("several calls fit");
        assert_eq!(told, text(call, "call_id").starts_with("out"), "{}", brief(call));
    }
}

/// CALL-5: a phone that uses a Call-ID again, with another tag, while the first call goes on.
#[test]
fn a_call_id_that_is_used_again() {
    let mut ensemble = Ensemble::default();
    let mut first = leg("same", ["alice", "bob"], [1, 2], [4000, 4000]);
    let mut second = leg("same", ["alice", "carol"], [1, 3], [4002, 4000]);
    second.tags = ["other-a".to_owned(), "other-b".to_owned()];
    ensemble.call(&mut first);
    let ms = ensemble.now_ms()..ensemble.now_ms() + 1_500;
    ensemble.talk(&first, [ALICE, BOB], 1_500, 0);
    ensemble.invite(&mut second);
    ensemble.answer(&mut second);
    let again = ensemble.now_ms()..ensemble.now_ms() + 1_000;
    ensemble.talk(&second, [51, CAROL], 1_000, 0);
    ensemble.wait(1_540);
    ensemble.hang_up(&mut first, Callee);
    ensemble.hang_up(&mut second, Callee);
    let replayed = replay(ensemble, None);
    assert_eq!(replayed.calls.len(), 2);
    for call in &replayed.calls {
        let sound = Sound::of(&replayed, call);
        if text(call, "to").starts_with("bob") {
            sound.has(LEFT, ALICE, ms.clone());
            sound.has(RIGHT, BOB, ms.clone());
        } else {
            sound.has(LEFT, 51, again.clone());
            sound.has(RIGHT, CAROL, again.clone());
        }
    }
}

/// CALL-4, CALL-5: a gateway gives a port out again whose call's BYE was not seen; another host's call that happens to
/// get it is not that call.
#[test]
fn a_media_address_that_is_used_again() {
    let mut ensemble = Ensemble::default();
    let mut first = Line::new(
        "first",
        ["4930111", "4930222"],
        [sip(10), sip(2)],
        [media(20, 6000), media(2, 4000)],
    );
    ensemble.call(&mut first);
    let before = ensemble.now_ms()..ensemble.now_ms() + 1_500;
    ensemble.talk(&first, [ALICE, BOB], 1_500, 0);
    ensemble.wait(1_500 + 8_000);
    let mut second = Line::new(
        "second",
        ["4930333", "4930444"],
        [sip(11), sip(3)],
        [media(20, 6000), media(3, 4000)],
    );
    ensemble.call(&mut second);
    let after = ensemble.now_ms()..ensemble.now_ms() + 1_500;
    ensemble.talk(&second, [CAROL, 44], 1_500, 0);
    ensemble.wait(1_540);
    ensemble.hang_up(&mut second, Caller);
    let replayed = replay(ensemble, None);
    assert_eq!(
        replayed.calls.len(),
        2,
        "{:?}",
        replayed.calls.iter().map(brief).collect::<Vec<_>>()
    );
    for call in &replayed.calls {
        let sound = Sound::of(&replayed, call);
        if text(call, "call_id").starts_with("first") {
            sound.has(LEFT, ALICE, before.clone());
            sound.has(RIGHT, BOB, before.clone());
        } else {
            sound.has(LEFT, CAROL, after.clone());
            sound.has(RIGHT, 44, after.clone());
        }
    }
}

/// CALL-5: a caller who has two calls at one box at a time: a leg of the box with that calling number is nobody's.
#[test]
fn a_caller_with_two_calls() {
    let mut ensemble = Ensemble::default();
    let mut ivr = leg("ivr", ["alice", "8000"], [1, 10], [4000, 6000]);
    let mut queue = leg("queue", ["alice", "9000"], [1, 10], [4002, 6002]);
    let mut agent = leg("agent", ["alice", "agent"], [10, 2], [6004, 4000]);
    ensemble.call(&mut ivr);
    ensemble.wait(4_000);
    ensemble.call(&mut queue);
    ensemble.wait(4_000);
    ensemble.call(&mut agent);
    for line in [&mut ivr, &mut queue, &mut agent] {
        ensemble.hang_up(line, Caller);
    }
    let replayed = replay(ensemble, None);
    assert_eq!(replayed.calls.len(), 3);
    let told =
        replayed.calls.iter().filter(|call| brief(call).contains("several calls fit")).count();
    assert_eq!(told, 1);
}
