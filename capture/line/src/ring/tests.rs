//! The ring against a queue that cannot be wrong.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

fn small_ring(bytes: usize) -> (Sender, Receiver) {
    ring(Region::pageable(bytes).expect("memory"))
}

fn meta(ts_ns: u64, wire_len: usize) -> Meta {
    Meta {
        ts_ns,
        wire_len: wire_len as u32,
        l3: 14,
        payload: 42,
        payload_len: 172,
        packets: 1,
        link: 2,
        source: 7,
        hint: Hint::Media,
    }
}

fn frame(number: u64, len: usize) -> Vec<u8> {
    (0..len).map(|at| (number as usize * 31 + at) as u8).collect()
}

/// CAP-2: what goes in comes out, whole and with everything that was said of it.
#[test]
fn a_record_keeps_every_field() {
    let (mut sender, mut receiver) = small_ring(4096);
    let said = Meta { hint: Hint::Fragment, packets: 3, ..meta(u64::MAX, 1514) };
    let bytes = frame(1, 214);
    sender.push(&said, &bytes).expect("room");
    assert_eq!(receiver.refresh(), 0, "not published yet");
    sender.publish();
    let end = receiver.refresh();
    let held = receiver.peek(0).expect("published");
    assert_eq!((held.meta, held.frame, held.next), (said, &bytes[..], end));
    assert!(receiver.peek(end).is_none());
    receiver.release(end);
    assert_eq!(receiver.released(), end);
    assert_eq!(sender.used_bytes(), 0);
}

/// CAP-8: a full ring and a frame that no record can hold are counted, and the ring goes on.
#[test]
fn what_finds_no_room_is_counted() {
    let (mut sender, mut receiver) = small_ring(256);
    assert_eq!(sender.push(&meta(1, 97), &frame(1, 97)), Err(PushError::TooLarge));
    assert_eq!(sender.push(&meta(2, 96), &frame(2, 96)), Ok(()));
    assert_eq!(sender.push(&meta(3, 96), &frame(3, 96)), Ok(()));
    let lost = Meta { packets: 5, ..meta(4, 60) };
    assert_eq!(sender.push(&lost, &[]), Err(PushError::Full));
    assert_eq!(sender.overflow(), Overflow { packets: 6, bytes: 157 });
    sender.publish();
    let end = receiver.refresh();
    assert_eq!(receiver.overflow(), sender.overflow());
    receiver.release(end);
    assert_eq!(sender.push(&meta(5, 96), &frame(5, 96)), Ok(()));
}

/// CAP-2: the consumer reads ahead of what it released, as often as it likes.
#[test]
fn the_consumer_looks_ahead_of_the_release_point() {
    let (mut sender, mut receiver) = small_ring(4096);
    for number in 0..8 {
        sender.push(&meta(number, 60), &frame(number, 60)).expect("room");
    }
    sender.publish();
    receiver.refresh();
    for _ in 0..2 {
        let mut at = receiver.released();
        for number in 0..8 {
            let held = receiver.peek(at).expect("there");
            assert_eq!((held.meta.ts_ns, held.frame), (number, &frame(number, 60)[..]));
            at = held.next;
        }
    }
}

/// CAP-2: two threads at full speed lose, repeat and tear nothing.
#[test]
fn two_threads_agree() {
    let count = if cfg!(miri) { 200 } else { 200_000 };
    let (mut sender, mut receiver) = small_ring(4096);
    let writer = std::thread::spawn(move || {
        for number in 0..count {
            let len = (number * 7 % 300) as usize;
            while sender.push(&meta(number, len), &frame(number, len)).is_err() {
                sender.publish();
                std::thread::yield_now();
            }
            if number % 3 == 0 {
                sender.publish();
            }
        }
    });
    let mut at = 0;
    for number in 0..count {
        while receiver.peek(at).is_none() {
            receiver.release(at);
            receiver.refresh();
            std::thread::yield_now();
        }
        let held = receiver.peek(at).expect("just seen");
        let len = (number * 7 % 300) as usize;
        assert_eq!((held.meta.ts_ns, held.frame), (number, &frame(number, len)[..]));
        at = held.next;
    }
    writer.join().expect("the producer is well");
    receiver.release(at);
    assert_eq!(receiver.refresh(), at, "nothing came twice");
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Publish,
    Look,
    Release(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0usize..300).prop_map(Step::Push),
        2 => Just(Step::Publish),
        2 => Just(Step::Look),
        2 => (0usize..6).prop_map(Step::Release),
    ]
}

/// A queue of what is pushed, what of it is published, and what of that was seen.
#[derive(Default)]
struct Model {
    records: VecDeque<(u64, Vec<u8>)>,
    published: usize,
    seen: usize,
    refused: u64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }))]
    /// CAP-2: whatever the order of steps, the ring is a queue; a refusal happens only where the
    /// records and one filler leave no room.
    #[test]
    fn the_ring_is_a_queue(
        steps in prop::collection::vec(step(), 1..400),
        size in prop::sample::select(vec![512usize, 1024, 4096]),
    ) {
        let (mut sender, mut receiver) = small_ring(size);
        let mut model = Model::default();
        for (step, number) in steps.into_iter().zip(0..) {
            match step {
                Step::Push(len) => push(&mut sender, &mut model, number, len, size)?,
                Step::Publish => { sender.publish(); model.published = model.records.len(); }
                Step::Look => { receiver.refresh(); model.seen = model.published; }
                Step::Release(records) => release(&mut receiver, &mut model, records),
            }
            compare(&receiver, &model)?;
        }
        prop_assert_eq!(receiver.overflow().packets, model.refused);
    }
}

fn push(
    sender: &mut Sender,
    model: &mut Model,
    number: u64,
    len: usize,
    size: usize,
) -> Result<(), TestCaseError> {
    let used = sender.used_bytes();
    match sender.push(&meta(number, len), &frame(number, len)) {
        Ok(()) => model.records.push_back((number, frame(number, len))),
        Err(PushError::TooLarge) => {
            prop_assert!(len + HEADER_BYTES > size / 2);
            model.refused += 1;
        }
        Err(PushError::Full) => {
            prop_assert!(used + 2 * span_of(len) > size as u64, "{} used, {} more", used, len);
            model.refused += 1;
        }
    }
    Ok(())
}

fn release(receiver: &mut Receiver, model: &mut Model, records: usize) {
    let records = records.min(model.seen);
    let mut at = receiver.released();
    for _ in 0..records {
        at = receiver.peek(at).expect("seen").next;
        model.records.pop_front();
    }
    receiver.release(at);
    model.seen -= records;
    model.published -= records;
}

fn compare(receiver: &Receiver, model: &Model) -> Result<(), TestCaseError> {
    let mut at = receiver.released();
    for (number, bytes) in model.records.iter().take(model.seen) {
        let held = receiver.peek(at).expect("seen");
        prop_assert_eq!(held.meta.ts_ns, *number);
        prop_assert_eq!(held.frame, &bytes[..]);
        at = held.next;
    }
    prop_assert!(receiver.peek(at).is_none());
    Ok(())
}

/// S10: a ring that is empty begins anew, and loses nothing; one that holds something does not.
#[test]
fn an_empty_ring_begins_anew() {
    let (mut sender, mut receiver) = small_ring(4096);
    for number in 0..4 {
        sender.push(&meta(number, 96), &frame(number, 96)).expect("room");
    }
    sender.publish();
    let end = receiver.refresh();
    sender.rewind(256);
    sender.push(&meta(4, 96), &frame(4, 96)).expect("room");
    sender.publish();
    assert_eq!(receiver.refresh(), end + 128, "what is held is not jumped over");
    receiver.release(end + 128);

    sender.rewind(1024);
    assert_eq!(sender.used_bytes(), 0, "not yet far enough");
    sender.rewind(256);
    sender.push(&meta(5, 96), &frame(5, 96)).expect("room");
    sender.publish();
    assert_eq!(receiver.refresh(), 4096 + 128);
    let held = receiver.peek(receiver.released()).expect("published");
    assert_eq!((held.at, held.next), (4096, 4096 + 128));
    assert_eq!((held.meta.ts_ns, held.frame), (5, &frame(5, 96)[..]));
    // A record that waits is known by its own place: the jump before it is free.
    let at = held.at;
    receiver.release(at);
    assert_eq!(sender.used_bytes(), 128);
    assert_eq!(receiver.peek(at).map(|held| held.meta.ts_ns), Some(5));
}
