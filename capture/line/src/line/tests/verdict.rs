//! Verdicts: what is written, when, and what never is.

use earwitness_ipc::{Command, Erasure, VerdictChange};
use earwitness_segment::{Log, RecordPos};
use earwitness_wire::{Steer, Verdict};

use super::bench::{A, B, Bench, SECOND, options};
use crate::limits::MASK_HOLD_NS;
use crate::{Door, Unmatched};

/// Speaks first, and is not decided yet.
const EARLY: earwitness_wire::Endpoint = B.with_port(4999);

const HOLD: u64 = 2 * SECOND;

/// CAP-9: each verdict does what it says, with what the record then tells.
#[test]
fn each_verdict() {
    let mut bench = Bench::new(options());
    bench.verdict(A, Some(Verdict::Record));
    bench.media(1, B, A, b"recorded");
    bench.verdict(B, Some(Verdict::Mask));
    bench.media(2, A, B, b"masked");
    let ignored = A.with_port(4444);
    bench.verdict(ignored, Some(Verdict::Ignore));
    assert_eq!(bench.media(3, B, ignored, b"ignored"), Steer::Ignored);
    assert_eq!(
        bench.media(4, B, A.with_port(5555), b"undecided"),
        Steer::Media(Verdict::Undecided)
    );
    bench.line.run(5);
    assert_eq!(bench.sounds(), [b"recorded".to_vec()]);
    assert_eq!(bench.line.stats().held, 2);
    bench.line.run(5 + MASK_HOLD_NS);
    let records = bench.media_records();
    let verdicts: Vec<u8> = records.iter().map(|seen| seen.meta.verdict).collect();
    assert_eq!(verdicts, [Verdict::Record as u8, Verdict::Mask as u8]);
    assert_eq!(bench.sounds(), [b"recorded".to_vec(), b"".to_vec()]);
    let stats = bench.line.stats();
    assert_eq!((stats.stored, stats.ignored, stats.held), (2, 1, 1));
    assert_eq!(stats.stored_bytes, records.iter().map(|seen| seen.frame.len() as u64).sum::<u64>());
    for secret in [&b"masked"[..], b"ignored", b"undecided"] {
        assert!(!bench.disk_holds(secret));
    }
}

/// CAP-9, POL-8: what came before the word that it is wanted again is masked, what came after it is whole, though the word
/// is late; and the other way round.
#[test]
fn a_change_holds_from_its_time_on() {
    const MS: u64 = 1_000_000;
    let mut bench = Bench::new(options());
    let tell = |bench: &mut Bench, verdict, since_ns| {
        let change = VerdictChange { dst: B, verdict: Some(verdict), since_ns };
        bench.line.apply(&Command::Verdicts(vec![change])).expect("no segments in it");
    };
    tell(&mut bench, Verdict::Record, 0);
    // Not looked at yet when the mask comes: its verdict is that of its time.
    bench.media(10 * MS, A, B, b"said before");
    tell(&mut bench, Verdict::Mask, 20 * MS);
    bench.media(30 * MS, A, B, b"a secret");
    bench.media(200 * MS, A, B, b"another secret");
    bench.line.run(210 * MS);
    bench.media(300 * MS, A, B, b"said after");
    bench.line.run(310 * MS);
    assert_eq!(bench.sounds(), [b"said before"]);
    tell(&mut bench, Verdict::Record, 250 * MS);
    bench.line.run(330 * MS);
    assert_eq!(bench.sounds(), [&b"said before"[..], b"", b"", b"said after"]);
    assert!(!bench.disk_holds(b"secret"));
    // Masked again, and forgotten: what waits is masked, whatever becomes of unmatched media.
    tell(&mut bench, Verdict::Mask, 340 * MS);
    bench.media(350 * MS, A, B, b"the last secret");
    bench.line.run(360 * MS);
    bench.verdict(B, None);
    bench.line.run(380 * MS);
    assert_eq!(bench.sounds().len(), 5);
    assert!(!bench.disk_holds(b"secret"));
}

/// CAP-9: what was written before a mask came is overwritten where it lies, and the log is whole.
#[test]
fn what_was_written_too_early_is_destroyed() {
    let mut bench = Bench::new(options());
    bench.verdict(A, Some(Verdict::Record));
    for (ts_ns, sound) in (1..).zip([&b"before"[..], b"a secret", b"secret too", b"after"]) {
        bench.media(ts_ns, B, A, sound);
    }
    bench.line.run(SECOND);
    let records = bench.media_records();
    assert!(bench.disk_holds(b"secret"));
    let last = records.last().expect("four").pos.0;
    let erasure = Erasure { number: 1, lane: 1, last, from_ns: 2, until_ns: 4 };
    bench.line.apply(&Command::Erase(vec![erasure])).expect("erased");
    assert!(!bench.disk_holds(b"secret"));
    let after = bench.media_records();
    let sounds = [&b"before"[..], b"", b"", b"after"];
    for ((then, now), sound) in records.iter().zip(&after).zip(sounds) {
        assert_eq!(
            (now.pos, now.meta.prev, now.meta.ts_ns),
            (then.pos, then.meta.prev, then.meta.ts_ns)
        );
        let payload = usize::from(now.meta.payload);
        let kept = &now.frame[payload..payload + usize::from(now.meta.payload_len)];
        assert_eq!(kept, [&then.frame[payload..payload + 12], sound].concat());
        let masked = sound.is_empty();
        assert_eq!(now.meta.verdict == Verdict::Mask as u8, masked);
    }
    // Once more changes nothing; another lane's is refused.
    bench.line.apply(&Command::Erase(vec![erasure])).expect("nothing to do");
    let strange = Erasure { lane: 9, ..erasure };
    bench.line.apply(&Command::Erase(vec![strange])).expect_err("no such lane");
    let dir = bench.finish(2 * SECOND);
    let breaches = earwitness_segment::verify(&dir.path().join("segments")).expect("readable");
    assert_eq!(breaches, []);
}

/// CAP-9: undecided media waits for `hold` to the nanosecond, then goes as configured.
#[test]
fn hold_runs_out() {
    for (unmatched, stored) in [(Unmatched::Drop, 0), (Unmatched::Keep, 1)] {
        let mut chosen = options();
        chosen.drain.unmatched = unmatched;
        let mut bench = Bench::new(chosen);
        bench.media(SECOND, A, B, b"nobody's");
        bench.line.run(SECOND + HOLD - 1);
        assert_eq!(bench.line.stats().held, 1);
        bench.line.run(SECOND + HOLD);
        let stats = bench.line.stats();
        assert_eq!((stats.held, stats.stored, stats.unmatched), (0, stored, 1 - stored));
        assert_eq!(bench.disk_holds(b"nobody's"), stored == 1);
        if stored == 1 {
            assert_eq!(bench.media_records()[0].meta.verdict, Verdict::Undecided as u8);
        }
    }
}

/// CAP-9: a decided packet does not wait behind an undecided one; a verdict writes what waited, in
/// its order.
#[test]
fn a_verdict_in_time_loses_nothing() {
    let mut bench = Bench::new(options());
    bench.verdict(A, Some(Verdict::Record));
    for (ts_ns, (src, dst, sound)) in
        (1..).zip([(A, B, b"b1"), (B, A, b"a1"), (A, B, b"b2"), (B, A, b"a2")])
    {
        bench.media(ts_ns, src, dst, sound);
    }
    bench.line.run(10);
    assert_eq!(bench.sounds(), [b"a1", b"a2"]);
    bench.media(11, A, B, b"b3");
    bench.verdict(B, Some(Verdict::Record));
    bench.line.run(12);
    assert_eq!(bench.sounds(), [b"a1", b"a2", b"b1", b"b2", b"b3"]);
    let stats = bench.line.stats();
    assert_eq!((stats.received, stats.stored, stats.held), (5, 5, 0));
}

/// REC-8: each record points to the one before it of the same flow, back to the first.
#[test]
fn records_of_a_flow_are_chained() {
    let mut bench = Bench::new(options());
    bench.verdict(A, Some(Verdict::Record));
    bench.verdict(B, Some(Verdict::Record));
    for ts_ns in 0..3000 {
        let (src, dst) = if ts_ns % 3 == 0 { (A, B) } else { (B, A) };
        bench.media(ts_ns, src, dst, &[0x55; 700]);
        bench.line.run(ts_ns);
    }
    let dir = bench.finish(3000);
    let records = super::bench::records(dir.path(), 1);
    assert!(records.last().expect("records").pos.seq() > 1, "more than one segment");
    let flows = [records[0].meta.flow, records[1].meta.flow];
    assert!(flows[0] != flows[1] && flows[0] != 0 && flows[1] != 0);
    let mut log = Log::open(&dir.path().join("segments")).expect("a log");
    for (flow, wanted) in [(flows[0], 1000), (flows[1], 2000)] {
        let mut at = records.iter().rfind(|seen| seen.meta.flow == flow).expect("a record").pos;
        let mut count = 0;
        while at != RecordPos::NONE {
            let record = log.read(earwitness_segment::LaneId(1), at).expect("the chain holds");
            assert_eq!(record.meta.flow, flow);
            (at, count) = (record.meta.prev, count + 1);
        }
        assert_eq!(count, wanted);
    }
}

/// CAP-9, REC-8: what is gathered is not on disk before it is settled; then the records of a call's flows lie together,
/// those of each in their order and chained. A denial finds what came before it written.
#[test]
fn flows_are_written_together() {
    let mut chosen = options();
    chosen.drain.gather_bytes = 32 << 10;
    let mut bench = Bench::new(chosen);
    let (c, d) = (A.with_port(5000), B.with_port(5002));
    bench.media(1, EARLY, A, b"a0");
    for dst in [A, B, c, d] {
        bench.verdict(dst, Some(Verdict::Record));
    }
    for (ts_ns, round) in [(2, b'1'), (3, b'2')] {
        for (src, dst, name) in [(A, B, b'b'), (c, d, b'd'), (d, c, b'c'), (B, A, b'a')] {
            bench.media(ts_ns, src, dst, &[name, round]);
        }
    }
    bench.line.run(4);
    assert_eq!(bench.media_records().len(), 0);
    let stats = bench.line.stats();
    assert_eq!((stats.held, stats.stored), (9, 0));
    assert!(!bench.disk_holds(b"\x04a1"));
    bench.line.settle(5);
    assert_eq!(bench.line.stats().stored, 9);
    let sounds = bench.sounds();
    let wanted = [b"a0", b"b1", b"b2", b"a1", b"a2", b"d1", b"d2", b"c1", b"c2"];
    assert_eq!(sounds, wanted.map(|sound| sound.to_vec()));
    let records = bench.media_records();
    for pair in records.windows(2).filter(|pair| pair[0].meta.flow == pair[1].meta.flow) {
        assert_eq!(pair[1].meta.prev, pair[0].pos);
    }
    let flows: Vec<u32> = records[1..].iter().map(|seen| seen.meta.flow).collect();
    assert!(flows[0] ^ flows[2] == 1 && flows[4] ^ flows[6] == 1, "{flows:?}");
    bench.media(6, A, B, b"before");
    bench.line.run(6);
    bench.verdict(B, Some(Verdict::Ignore));
    bench.media(7, A, B, b"after");
    bench.line.settle(8);
    assert_eq!(bench.sounds().last().expect("sounds"), b"before");
    assert_eq!(bench.line.stats().ignored, 1);
}

/// S10: what is gathered has a bound, and gives the ring back.
#[test]
fn what_is_gathered_has_a_bound() {
    let mut chosen = options();
    chosen.drain.gather_bytes = 8 << 10;
    let mut bench = Bench::new(chosen);
    bench.verdict(A, Some(Verdict::Record));
    bench.verdict(B, Some(Verdict::Record));
    for ts_ns in 0..3000 {
        let (src, dst) = if ts_ns % 3 == 0 { (A, B) } else { (B, A) };
        bench.media(ts_ns, src, dst, &[0x55; 700]);
        assert!(bench.line.stats().held < 32);
    }
    let stats = bench.line.finish(3000).expect("a good end");
    assert_eq!((stats.stored, stats.lost.total()), (3000, 0));
}

/// CAP-9, CALL-4: the verdict at the exit counts, not the one at the entrance; a port that the next
/// call uses begins undecided once it was forgotten.
#[test]
fn verdicts_change_under_way() {
    let mut bench = Bench::new(options());
    bench.verdict(B, Some(Verdict::Record));
    bench.media(1, A, B, b"entered to be recorded, left ignored");
    bench.verdict(B, Some(Verdict::Ignore));
    bench.line.run(2);
    assert!(!bench.disk_holds(b"left ignored"));
    bench.verdict(B, None);
    bench.media(3, A, B, b"the next call");
    bench.line.run(4);
    assert_eq!(bench.line.stats().held, 1);
    bench.verdict(B, Some(Verdict::Undecided));
    assert_eq!(bench.line.stats().held, 1, "an entry, and no decision");
    bench.verdict(B, Some(Verdict::Ignore));
    assert_eq!((bench.line.stats().held, bench.line.stats().ignored), (0, 2));
    bench.media(5, A, B, b"and again");
    bench.verdict(B, Some(Verdict::Record));
    bench.media(6, A, B, b"to be kept");
    bench.line.run(7);
    assert_eq!(bench.sounds(), [b"to be kept"]);
    assert!(!bench.disk_holds(b"the next call") && !bench.disk_holds(b"and again"));
}

/// CAP-9: nothing that was ignored when it came is written by a change of mind, and nothing that
/// waits is written by the change of another destination.
#[test]
fn a_change_reaches_its_destination_only() {
    let mut bench = Bench::new(options());
    bench.media(1, A, B, b"to b");
    bench.media(2, B, A, b"to a");
    bench.line.run(3);
    bench.verdict(A.with_port(1), Some(Verdict::Record));
    bench.verdict(A, Some(Verdict::Record));
    bench.line.run(4);
    assert_eq!(bench.sounds(), [b"to a"]);
    assert_eq!(bench.line.stats().held, 1);
}

/// CAP-8: without a control plane undecided media waits on; when the line needs room, what waits
/// longest leaves and is counted late. Decided media is written meanwhile.
#[test]
fn nobody_decides() {
    let mut bench = Bench::new(options());
    bench.verdict(A, Some(Verdict::Record));
    bench.line.set_door(Door::Absent);
    bench.media(1, A, B, b"first");
    bench.line.run(100 * SECOND);
    assert_eq!(bench.line.stats().held, 1, "hold does not run out");
    for at in 0..2000 {
        bench.media(100 * SECOND + at, A, B, &[0x55; 160]);
        bench.media(100 * SECOND + at, B, A, &[0x66; 160]);
        bench.line.run(100 * SECOND + at);
    }
    let stats = bench.line.stats();
    assert_eq!((stats.stored, stats.lost.core_ring), (2000, 0));
    assert_eq!(stats.held + stats.lost.verdict_late, 2001);
    // The pinned line holds the decided ones' places, too: half of the records are undecided.
    let fit = (64 << 10) * 7 / 8 / (32 + 216) / 2;
    assert!((fit - 2..=fit + 2).contains(&stats.held), "{} of {fit}", stats.held);
    bench.verdict(B, Some(Verdict::Record));
    assert_eq!(bench.line.stats().held, 0);
    assert_eq!(bench.line.stats().stored, 2000 + stats.held);
    bench.line.set_door(Door::Connected);
    bench.line.run(200 * SECOND);
    assert_eq!(bench.line.stats().lost.verdict_late, stats.lost.verdict_late);
}

/// CAP-8: what a full ring loses is counted there, and noted in the log.
#[test]
fn a_full_ring_loses_the_new() {
    let mut chosen = options();
    chosen.rings.media_bytes = 4096;
    let mut bench = Bench::new(chosen);
    bench.verdict(B, Some(Verdict::Record));
    assert_eq!(bench.media(1, A, B, &[1; 3000]), Steer::Media(Verdict::Record), "oversize");
    for at in 0..3 {
        bench.media(2, A, B, &[at; 1400]);
    }
    bench.line.run(3);
    bench.media(4, A, B, &[9; 1400]);
    bench.line.run(5);
    let stats = bench.line.stats();
    assert_eq!((stats.lost.oversize, stats.lost.total(), stats.stored), (1, 1, 4));
    bench.line.set_door(Door::Absent);
    let undecided = A.with_port(9000);
    for at in 0..3 {
        bench.media(6, B, undecided, &[at; 900]);
    }
    bench.line.run(7);
    assert_eq!(bench.line.stats().held, 3);
}

/// CAP-8: a line that ends has nothing left: what waited for `hold` is unmatched, the rest is late.
#[test]
fn the_end_leaves_nothing() {
    for (now_ns, unmatched) in [(SECOND + HOLD, 1), (SECOND + HOLD - 1, 0)] {
        let mut bench = Bench::new(options());
        bench.media(SECOND, A, B, b"x");
        let stats = bench.line.finish(now_ns).expect("a good end");
        assert_eq!((stats.unmatched, stats.lost.verdict_late), (unmatched, 1 - unmatched));
        assert_eq!((stats.held, stats.unaccounted()), (0, 0));
    }
}
