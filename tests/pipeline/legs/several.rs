//! More than two: a queue that tries one agent after the other, a conference.

use earwitness_fixtures::ensemble::{Ensemble, Line, ssrc};
use earwitness_fixtures::sdp::Direction;
use earwitness_fixtures::spec::Party::{Callee, Caller};

use super::{
    ALICE, BOB, CAROL, LEFT, MUSIC, RIGHT, Sound, brief, joined_by, leg, only_call, parties,
    replay, talk, text,
};

/// CALL-5: the queue answers and plays music; the first agent is busy, the second does not pick up, the third does.
#[test]
fn a_queue_answered_by_the_third_agent() {
    let mut ensemble = Ensemble::default();
    let mut caller = leg("caller", ["alice", "8000"], [1, 10], [4000, 6000]);
    ensemble.call(&mut caller);
    let waits = ensemble.now_ms()..ensemble.now_ms() + 5_000;
    ensemble.say(MUSIC, (caller.media[1], caller.media[0]), waits.clone(), 0);
    ensemble.wait(4_000);
    let mut agents: Vec<Line> = (0..3_u8)
        .map(|n| {
            let agent = ["agent1", "agent2", "agent3"][usize::from(n)];
            let ports = [6002 + 2 * u16::from(n), 4000];
            leg(agent, ["alice", agent], [10, 21 + n], ports)
        })
        .collect();
    ensemble.invite(&mut agents[0]);
    ensemble.refuse(&mut agents[0], 486);
    ensemble.invite(&mut agents[1]);
    ensemble.invite(&mut agents[2]);
    ensemble.ring(&agents[1]);
    ensemble.ring(&agents[2]);
    ensemble.wait(800);
    ensemble.answer(&mut agents[2]);
    ensemble.cancel(&mut agents[1]);
    ensemble.wait(200);
    let talk = ensemble.now_ms()..ensemble.now_ms() + 2_000;
    ensemble.talk(&caller, [ALICE, CAROL], 2_000, 5);
    ensemble.talk(&agents[2], [ALICE, CAROL], 2_000, 0);
    ensemble.wait(2_040);
    ensemble.hang_up(&mut caller, Caller);
    ensemble.hang_up(&mut agents[2], Caller);
    let replayed = replay(ensemble, None);
    let call = only_call(&replayed);
    assert_eq!(joined_by(call), ["-", "calling", "calling", "calling"], "{}", brief(call));
    assert_eq!(parties(call), [("alice", "8000"), ("alice", "agent3")], "{}", brief(call));
    assert_eq!(text(call, "end_reason"), "bye_caller");
    let reasons: Vec<&str> =
        call["legs"].as_array().expect("legs").iter().map(|leg| text(leg, "end_reason")).collect();
    assert_eq!(reasons, ["bye_caller", "rejected_486", "cancelled", "bye_caller"]);
    let sound = Sound::of(&replayed, call);
    sound.has(RIGHT, MUSIC, waits.start + 40..waits.end - 200);
    sound.has(LEFT, ALICE, talk.clone());
    sound.has(RIGHT, CAROL, talk);
}

/// CALL-5: three are in a conference; who leaves does not end it, and all of it is heard on one leg at a time.
#[test]
fn a_conference_is_one_call() {
    let mut ensemble = Ensemble::default();
    let mut lines: Vec<Line> = (1..=3_u8)
        .map(|n| {
            let user = ["alice", "bob", "carol"][usize::from(n) - 1];
            let mut line = leg(user, [user, "conf-7"], [n, 10], [4000, 6000 + 2 * u16::from(n)]);
            line.contact[1] = ";isfocus";
            line
        })
        .collect();
    for line in &mut lines {
        ensemble.call(line);
    }
    // To each the focus sends what the others say: a voice of its own here.
    let voices = [[ALICE, 51], [BOB, 52], [CAROL, 53]];
    let all = ensemble.now_ms()..ensemble.now_ms() + 2_000;
    for (line, voices) in lines.iter().zip(voices) {
        ensemble.talk(line, voices, 2_000, 0);
    }
    ensemble.wait(2_020);
    ensemble.hang_up(&mut lines[0], Caller);
    let rest = ensemble.now_ms()..ensemble.now_ms() + 1_500;
    for (line, voices) in lines.iter().zip(voices).skip(1) {
        ensemble.talk(line, voices, 1_500, 0);
    }
    ensemble.wait(1_540);
    ensemble.hang_up(&mut lines[1], Caller);
    ensemble.hang_up(&mut lines[2], Callee);
    let replayed = replay(ensemble, None);
    let call = only_call(&replayed);
    assert_eq!(joined_by(call), ["-", "focus", "focus"], "{}", brief(call));
    let with = [("alice", "conf-7"), ("bob", "conf-7"), ("carol", "conf-7")];
    assert_eq!(parties(call), with, "{}", brief(call));
    let sound = Sound::of(&replayed, call);
    let speaker = [(ALICE, 51), (BOB, 52), (CAROL, 53)];
    let heard = |stretch: &std::ops::Range<u64>| {
        let at = stretch.start + 100..stretch.end - 100;
        let is_heard = |(own, others): &(u64, u64)| {
            sound.likeness(LEFT, *own, &at) > 0.98 && sound.likeness(RIGHT, *others, &at) > 0.98
        };
        speaker.iter().filter(|pair| is_heard(pair)).count()
    };
    assert_eq!((heard(&all), heard(&rest)), (1, 1), "{}", brief(call));
}

/// CALL-5: a phone with two calls that mixes them: no message says so, but its packets name whom it has mixed. What was
/// said while the first waited is heard from the second, the three together from one of them.
#[test]
fn a_phone_that_mixes_two_calls_has_one() {
    let mut ensemble = Ensemble::default();
    let mut first = leg("first", ["alice", "bob"], [1, 2], [4000, 4000]);
    let mut second = leg("second", ["bob", "carol"], [2, 3], [4002, 4000]);
    ensemble.call(&mut first);
    let before = talk(&mut ensemble, &first, [ALICE, BOB], 4_000);
    ensemble.reinvite(&mut first, Callee, Direction::SendOnly);
    ensemble.call(&mut second);
    let asked = talk(&mut ensemble, &second, [BOB, CAROL], 1_500);
    ensemble.reinvite(&mut first, Callee, Direction::SendRecv);
    let together = ensemble.now_ms()..ensemble.now_ms() + 2_000;
    let voices = [ssrc(ALICE, first.media[0]), ssrc(CAROL, second.media[1])];
    let (to_alice, to_carol) = (51, 52);
    ensemble.say(ALICE, (first.media[0], first.media[1]), together.clone(), 0);
    ensemble.say(CAROL, (second.media[1], second.media[0]), together.clone(), 0);
    let mixed = [(to_alice, &voices[1..]), (to_carol, &voices[..1])];
    ensemble.mix(mixed[0], (first.media[1], first.media[0]), together.clone(), 0);
    ensemble.mix(mixed[1], (second.media[0], second.media[1]), together.clone(), 0);
    ensemble.wait(2_000);
    ensemble.hang_up(&mut first, Caller);
    let rest = talk(&mut ensemble, &second, [to_carol, CAROL], 1_500);
    ensemble.wait(40);
    ensemble.hang_up(&mut second, Callee);
    let replayed = replay(ensemble, None);
    let call = only_call(&replayed);
    assert_eq!(replayed.recordings[0]["packets"]["lost"], 0, "{}", brief(call));
    assert_eq!(joined_by(call), ["-", "mixer"], "{}", brief(call));
    assert_eq!(parties(call), [("alice", "bob"), ("carol", "bob")], "{}", brief(call));
    let sound = Sound::of(&replayed, call);
    for (stretch, left, right) in [
        (before, ALICE, BOB),
        (asked, CAROL, BOB),
        (together, ALICE, to_alice),
        (rest, CAROL, to_carol),
    ] {
        sound.has(LEFT, left, stretch.start + 40..stretch.end - 40);
        sound.has(RIGHT, right, stretch.start + 40..stretch.end - 40);
    }
}
