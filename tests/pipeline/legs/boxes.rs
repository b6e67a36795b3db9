//! A box between the parties: two legs, one conversation.

use earwitness_fixtures::ensemble::{Ensemble, Line};
use earwitness_fixtures::sdp::Direction;
use earwitness_fixtures::spec::Party::{Callee, Caller};

use super::{
    ALICE, BOB, LEFT, MUSIC, RIGHT, Sound, brief, joined_by, media, only_call, parties, replay,
    sip, text,
};

/// Alice's leg to the box, and the box's to Bob; the box relays media, or leaves them alone.
pub(super) fn lines(relays: bool) -> [Line; 2] {
    let (alice, bob) = (media(1, 4000), media(2, 5000));
    let boxes = [media(10, 6000), media(10, 6002)];
    let [to_box, from_box] =
        if relays { [[alice, boxes[0]], [boxes[1], bob]] } else { [[alice, bob]; 2] };
    [
        Line::new("to-box", ["4930111", "030222333"], [sip(1), sip(10)], to_box),
        Line::new("from-box", ["+4930111", "+4930222333"], [sip(10), sip(2)], from_box),
    ]
}

pub(super) fn set_up(ensemble: &mut Ensemble, [one, two]: &mut [Line; 2]) {
    ensemble.invite(one);
    ensemble.wait(20);
    ensemble.invite(two);
    ensemble.ring(two);
    ensemble.ring(one);
    ensemble.wait(300);
    ensemble.answer(two);
    ensemble.answer(one);
}

pub(super) fn hang_up(ensemble: &mut Ensemble, [one, two]: &mut [Line; 2]) {
    ensemble.wait(40);
    ensemble.hang_up(two, Callee);
    ensemble.wait(10);
    ensemble.hang_up(one, Callee);
}

/// CALL-5: a box that relays media: both sides of it are seen, and heard once.
#[test]
fn a_relaying_box_is_one_call() {
    let mut ensemble = Ensemble::default();
    let mut legs = lines(true);
    set_up(&mut ensemble, &mut legs);
    let ms = ensemble.now_ms()..ensemble.now_ms() + 2_500;
    let [one, two] = &legs;
    ensemble.say(ALICE, (one.media[0], one.media[1]), ms.clone(), 0);
    ensemble.say(ALICE, (two.media[0], two.media[1]), ms.clone(), 7);
    ensemble.say(BOB, (two.media[1], two.media[0]), ms.clone(), 0);
    ensemble.say(BOB, (one.media[1], one.media[0]), ms.clone(), 7);
    ensemble.wait(2_500);
    hang_up(&mut ensemble, &mut legs);
    let replayed = replay(ensemble, None);
    let call = only_call(&replayed);
    assert_eq!(joined_by(call), ["-", "numbers"], "{}", brief(call));
    assert_eq!(
        (text(call, "from"), text(call, "to")),
        ("4930111@10.9.0.10", "030222333@10.9.0.10")
    );
    assert_eq!(text(call, "end_reason"), "bye_callee");
    assert_eq!(parties(call), [("4930111", "+4930222333")]);
    assert_eq!(call["legs"][1]["confidence"], 0.7);
    let sound = Sound::of(&replayed, call);
    sound.has(LEFT, ALICE, ms.clone());
    sound.has(RIGHT, BOB, ms.clone());
    let heard = call["streams"].as_array().expect("streams");
    assert_eq!(heard.len(), 4, "all are told");
    assert_eq!(heard.iter().filter(|stream| stream["heard"] == true).count(), 2, "{}", brief(call));
    assert!((2_400..2_600).contains(&sound.wav.duration_ms()), "{}", sound.wav.duration_ms());
}

/// CALL-5: the leg that the configuration prefers is recorded.
#[test]
fn the_preferred_leg_is_recorded() {
    for (leg, from) in [("first", 1), ("last", 10)] {
        let mut ensemble = Ensemble::default();
        let mut legs = lines(true);
        set_up(&mut ensemble, &mut legs);
        let ms = ensemble.now_ms()..ensemble.now_ms() + 1_000;
        for line in &legs {
            ensemble.talk(line, [ALICE, BOB], 1_000, 0);
        }
        ensemble.wait(1_000);
        hang_up(&mut ensemble, &mut legs);
        let replayed = replay(ensemble, Some(&format!("[recording]\nleg = \"{leg}\"\n")));
        let call = only_call(&replayed);
        let streams = call["streams"].as_array().expect("streams");
        let heard = streams.iter().filter(|stream| stream["heard"] == true);
        let of_caller = heard.filter(|stream| stream["side"] == "caller").collect::<Vec<_>>();
        assert_eq!(of_caller.len(), 1);
        assert!(
            text(of_caller[0], "src").starts_with(&format!("10.9.0.{from}:")),
            "{}",
            brief(call)
        );
        Sound::of(&replayed, call).has(LEFT, ALICE, ms);
    }
}

/// CALL-5: a box that leaves media alone: both legs name the same addresses, and neither takes them from the other.
#[test]
fn a_box_that_does_not_touch_media_is_one_call() {
    let mut ensemble = Ensemble::default();
    let mut legs = lines(false);
    legs[1].uris = ["sip:main@10.9.0.2".to_owned(), "sip:desk@10.9.0.2".to_owned()];
    set_up(&mut ensemble, &mut legs);
    let ms = ensemble.now_ms()..ensemble.now_ms() + 2_000;
    ensemble.talk(&legs[0], [ALICE, BOB], 2_000, 0);
    ensemble.wait(2_000);
    hang_up(&mut ensemble, &mut legs);
    let replayed = replay(ensemble, None);
    let call = only_call(&replayed);
    assert_eq!(joined_by(call), ["-", "media"], "{}", brief(call));
    let sound = Sound::of(&replayed, call);
    sound.has(LEFT, ALICE, ms.clone());
    sound.has(RIGHT, BOB, ms);
    assert_eq!(replayed.summary["unmatched_packets"], 0);
}

/// CALL-5: what a header says, or Session-ID, is believed whatever numbers say.
#[test]
fn headers_name_the_call() {
    const ONE: &str = "ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000";
    const OTHER: &str = "47755a9de7794ba387653f2099600ef2;remote=ab30317f1a784dc48ff824d0d3715d86";
    let configured = "[calls]\ncorrelate_headers = [\"X-My-Call\"]\n";
    for (name, values, by, config) in [
        ("X-Session-Id", ["7", "7"], "header", None),
        ("X-My-Call", ["x", "x"], "header", Some(configured)),
        ("Session-ID", [ONE, ONE], "session_id", None),
        ("Session-ID", [ONE, OTHER], "session_id", None),
    ] {
        let mut ensemble = Ensemble::default();
        let [one, two] = lines(true);
        let mut legs = [one.with(name, values[0]), two.with(name, values[1])];
        legs[1].uris = ["sip:main@10.9.0.2".to_owned(), "sip:desk@10.9.0.2".to_owned()];
        // Not by the box that received it, as far as addresses tell.
        legs[1].hosts[0] = sip(11);
        set_up(&mut ensemble, &mut legs);
        ensemble.talk(&legs[0], [ALICE, BOB], 600, 0);
        ensemble.wait(600);
        hang_up(&mut ensemble, &mut legs);
        let replayed = replay(ensemble, config);
        assert_eq!(joined_by(only_call(&replayed)), ["-", by], "{name}");
    }
}

/// CALL-5: on hold and back, behind a box that plays music meanwhile.
#[test]
fn hold_and_retrieve_behind_a_box() {
    let mut ensemble = Ensemble::default();
    let mut legs = lines(true);
    set_up(&mut ensemble, &mut legs);
    let talk = |ensemble: &mut Ensemble, legs: &[Line; 2], ms: u64| {
        let stretch = ensemble.now_ms()..ensemble.now_ms() + ms;
        for (line, late) in legs.iter().zip([0, 7]) {
            ensemble.talk(line, [ALICE, BOB], ms, late);
        }
        ensemble.wait(ms);
        stretch
    };
    let before = talk(&mut ensemble, &legs, 1_500);
    ensemble.reinvite(&mut legs[1], Callee, Direction::SendOnly);
    let held = ensemble.now_ms()..ensemble.now_ms() + 1_500;
    ensemble.say(MUSIC, (legs[0].media[1], legs[0].media[0]), held.clone(), 0);
    ensemble.wait(1_500);
    ensemble.reinvite(&mut legs[1], Callee, Direction::SendRecv);
    let after = talk(&mut ensemble, &legs, 1_500);
    ensemble.wait(40);
    ensemble.hang_up(&mut legs[0], Caller);
    ensemble.hang_up(&mut legs[1], Caller);
    let replayed = replay(ensemble, None);
    let call = only_call(&replayed);
    assert_eq!(text(call, "end_reason"), "bye_caller");
    let sound = Sound::of(&replayed, call);
    for stretch in [before, after] {
        sound.has(LEFT, ALICE, stretch.clone());
        sound.has(RIGHT, BOB, stretch);
    }
    sound.is_silent(LEFT, held.start + 200..held.end - 100);
    sound.has(RIGHT, MUSIC, held.start + 60..held.end - 60);
}
