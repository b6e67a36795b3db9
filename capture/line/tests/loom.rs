//! The ring under every interleaving that two threads can have (CAP-2).
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p earwitness-line --release --test loom`
#![cfg(loom)]

use earwitness_line::{
    held::Hint,
    region::Region,
    ring::{Meta, ring},
};
use loom::thread;

fn meta(number: u64) -> Meta {
    Meta {
        ts_ns: number,
        wire_len: 8,
        l3: 0,
        payload: 0,
        payload_len: 0,
        packets: 1,
        link: 0,
        source: 0,
        hint: Hint::Media,
    }
}

/// R1, R2, R3: with a ring of two records, the third needs the first one's place. The shadow cells
/// of the region fail the model where a read and a write of the same bytes are not ordered.
#[test]
fn bytes_are_never_read_and_written_at_once() {
    loom::model(|| {
        let (mut sender, mut receiver) = ring(Region::pageable(128).expect("memory"));
        let producer = thread::spawn(move || {
            let mut pushed = 0u64;
            for number in 0..3u64 {
                if sender.push(&meta(pushed), &number.to_le_bytes()).is_ok() {
                    pushed += 1;
                }
                sender.publish();
            }
            pushed
        });
        let mut seen = 0;
        for _ in 0..3 {
            receiver.refresh();
            while let Some(held) = receiver.peek(receiver.released()) {
                assert_eq!(held.meta.ts_ns, seen);
                assert_eq!(held.frame.len(), 8);
                seen += 1;
                let next = held.next;
                receiver.release(next);
            }
        }
        let pushed = producer.join().expect("the producer is well");
        receiver.refresh();
        while let Some(held) = receiver.peek(receiver.released()) {
            assert_eq!(held.meta.ts_ns, seen);
            seen += 1;
            let next = held.next;
            receiver.release(next);
        }
        assert_eq!(seen, pushed);
        assert_eq!(receiver.overflow().packets, 3 - pushed);
    });
}

/// R2 for batches: what is published together is seen together, or not at all.
#[test]
fn a_batch_is_seen_whole() {
    loom::model(|| {
        let (mut sender, mut receiver) = ring(Region::pageable(256).expect("memory"));
        let producer = thread::spawn(move || {
            sender.push(&meta(0), b"first...").expect("room");
            sender.push(&meta(1), b"second..").expect("room");
            sender.publish();
        });
        let end = receiver.refresh();
        match receiver.peek(0) {
            None => assert_eq!(end, 0),
            Some(first) => {
                assert_eq!(first.frame, b"first...");
                let second = receiver.peek(first.next).expect("the batch is whole");
                assert_eq!(second.frame, b"second..");
            }
        }
        producer.join().expect("the producer is well");
    });
}
