//! The equation of CAP-8 and the promise of CAP-9 under random traffic, changes of mind, full rings
//! and broken disks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use earwitness_segment::{
    disk::Disk,
    disk_faults::{FaultDisk, Operation},
};
use earwitness_wire::{Endpoint, Verdict};
use proptest::prelude::*;

use super::bench::{Bench, SECOND, SIP_A, SIP_B, options, records};
use crate::limits::MASK_HOLD_NS;
use crate::{Door, Unmatched, sample};

const HOLD: u64 = 2 * SECOND;
/// Before the number of each packet of media, so that it is found in any file.
const MARKER: &[u8] = b"media packet ";

#[derive(Debug, Clone)]
enum Step {
    Media { dst: u8, bytes: usize },
    Fragmented { dst: u8, whole: bool },
    Signalling,
    Nothing,
    Verdict { dst: u8, verdict: Option<Verdict> },
    Run { after_ms: u64 },
    Door(Door),
    DiskFull { creations: u32 },
    DiskWell,
}

fn step() -> impl Strategy<Value = Step> {
    let verdict = prop::sample::select(vec![
        None,
        Some(Verdict::Undecided),
        Some(Verdict::Record),
        Some(Verdict::Mask),
        Some(Verdict::Ignore),
    ]);
    let media = (0u8..4, 0usize..1200).prop_map(|(dst, bytes)| Step::Media { dst, bytes });
    prop_oneof![
        12 => media,
        2 => (0u8..4, any::<bool>()).prop_map(|(dst, whole)| Step::Fragmented { dst, whole }),
        2 => Just(Step::Signalling),
        1 => Just(Step::Nothing),
        4 => (0u8..4, verdict).prop_map(|(dst, verdict)| Step::Verdict { dst, verdict }),
        4 => (0u64..1500).prop_map(|after_ms| Step::Run { after_ms }),
        1 => any::<bool>().prop_map(|there| {
            Step::Door(if there { Door::Connected } else { Door::Absent })
        }),
        1 => (0u32..3).prop_map(|creations| Step::DiskFull { creations }),
        1 => Just(Step::DiskWell),
    ]
}

fn endpoint(dst: u8) -> Endpoint {
    Endpoint::v4([198, 51, 100, dst], 20_000)
}

const SOURCE: Endpoint = Endpoint::v4([198, 51, 100, 99], 30_000);

fn sound(number: u64, bytes: usize) -> Vec<u8> {
    let mut sound = MARKER.to_vec();
    sound.extend(number.to_be_bytes());
    sound.resize(sound.len() + bytes, 0x2e);
    sound
}

/// What may have been written, by the rules alone.
#[derive(Default)]
struct Rules {
    now_ns: u64,
    offered: u64,
    next: u64,
    verdicts: BTreeMap<u8, Verdict>,
    /// In the line: number, destination, time, and whether it was masked when it was looked at.
    held: Vec<(u64, u8, u64, bool)>,
    may_be_written: BTreeSet<u64>,
    /// Never masked, so that no want of room can have made it leave without its sound.
    must_be_written: BTreeSet<u64>,
    keep: bool,
    door_absent: bool,
}

impl Rules {
    /// A packet of media comes; how many frames it came in.
    fn media(&mut self, dst: u8, frames: u64) -> u64 {
        self.next += 1;
        self.offered += frames;
        if self.verdicts.get(&dst) != Some(&Verdict::Ignore) {
            self.held.push((self.next, dst, self.now_ns, false));
        }
        self.next
    }

    /// Everything in the line is looked at: decided packets leave. Undecided ones may be written
    /// only where unmatched media is kept; when exactly depends on the room in the ring.
    fn look(&mut self) {
        let (now_ns, keep, absent) = (self.now_ns, self.keep, self.door_absent);
        let (verdicts, written) = (&self.verdicts, &mut self.may_be_written);
        let must = &mut self.must_be_written;
        self.held.retain_mut(|(number, dst, ts_ns, masked)| match verdicts.get(dst) {
            Some(Verdict::Record) => {
                written.insert(*number);
                if !*masked {
                    must.insert(*number);
                }
                false
            }
            Some(Verdict::Mask) => {
                *masked = true;
                *ts_ns + MASK_HOLD_NS > now_ns
            }
            Some(Verdict::Ignore) => false,
            Some(Verdict::Undecided) | None => {
                if keep {
                    written.insert(*number);
                }
                absent || *ts_ns + HOLD > now_ns
            }
        });
    }
}

fn give(bench: &mut Bench, rules: &mut Rules, faults: &FaultDisk, step: &Step) {
    match step {
        Step::Media { dst, bytes } => {
            let number = rules.media(*dst, 1);
            bench.media(rules.now_ns, SOURCE, endpoint(*dst), &sound(number, *bytes));
        }
        Step::Fragmented { dst, whole } => {
            let frames = if *whole { 2 } else { 1 };
            let number = rules.media(*dst, frames);
            let rtp = sample::rtp(number as u16, 1, &sound(number, 1000));
            let packet = sample::udp(SOURCE, endpoint(*dst), &rtp);
            let fragments = sample::fragments(&packet, 800, number as u32);
            for fragment in &fragments[..frames as usize] {
                bench.offer(rules.now_ns, &sample::ethernet(fragment));
            }
        }
        Step::Signalling => {
            rules.offered += 1;
            bench.udp(rules.now_ns, SIP_A, SIP_B, b"OPTIONS sip:b@example.org SIP/2.0\r\n");
        }
        Step::Nothing => {
            rules.offered += 1;
            bench.offer(rules.now_ns, &[0; 60]);
        }
        Step::Verdict { dst, verdict } => {
            bench.verdict(endpoint(*dst), *verdict);
            if matches!(verdict, None | Some(Verdict::Undecided)) {
                // What it masks is masked for good.
                let masked = rules.verdicts.get(dst) == Some(&Verdict::Mask);
                rules.held.retain(|held| !masked || held.1 != *dst);
            }
            match verdict {
                Some(verdict) => rules.verdicts.insert(*dst, *verdict),
                None => rules.verdicts.remove(dst),
            };
        }
        Step::Run { after_ms } => rules.now_ns += after_ms * 1_000_000,
        Step::Door(door) => {
            bench.line.set_door(*door);
            rules.door_absent = *door == Door::Absent;
        }
        Step::DiskFull { creations } => {
            faults.fail(Operation::Create, libc::ENOSPC, *creations, u32::MAX);
        }
        Step::DiskWell => faults.heal(),
    }
}

/// The numbers of the media packets in the media lane.
fn numbers(bench_dir: &std::path::Path) -> Vec<u64> {
    let number = |frame: &[u8]| {
        let at = frame.windows(MARKER.len()).position(|window| window == MARKER)?;
        Some(u64::from_be_bytes(*frame[at + MARKER.len()..].first_chunk()?))
    };
    records(bench_dir, 1).iter().filter_map(|seen| number(&seen.frame)).collect()
}

/// The numbers found anywhere in any file of the data folder.
fn numbers_in_files(dir: &std::path::Path) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(dir.join("segments")).expect("a folder") {
        let content = std::fs::read(entry.expect("an entry").path()).expect("a file");
        let begins = content.iter().enumerate().filter(|(_, byte)| **byte == MARKER[0]);
        let places = begins.filter_map(|(at, _)| content[at..].strip_prefix(MARKER));
        found.extend(places.filter_map(|rest| rest.first_chunk()).map(|n| u64::from_be_bytes(*n)));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// CAP-8: received = stored + ignored + unmatched + held + lost, after every step.
    /// CAP-9: no byte of a packet that policy ignored, or that nobody decided and nobody wants kept,
    /// is in any file.
    #[test]
    fn every_packet_is_accounted_for(
        steps in prop::collection::vec(step(), 1..120),
        keep in any::<bool>(),
        ring_bits in 13u32..17,
        gather_bytes in prop::sample::select(vec![0usize, 3000, 1 << 20]),
    ) {
        let faults = Arc::new(FaultDisk::new());
        let disk: Arc<dyn Disk> = Arc::clone(&faults) as Arc<dyn Disk>;
        let mut chosen = options();
        chosen.rings.media_bytes = 1 << ring_bits;
        chosen.drain.gather_bytes = gather_bytes;
        chosen.drain.unmatched = if keep { Unmatched::Keep } else { Unmatched::Drop };
        let mut bench = Bench::on(&disk, chosen);
        let mut rules = Rules { keep, now_ns: SECOND, ..Rules::default() };
        for step in &steps {
            // The rules look when the line does, so that both see the same verdicts.
            bench.line.run(rules.now_ns);
            rules.look();
            give(&mut bench, &mut rules, &faults, step);
            rules.look();
            bench.line.run(rules.now_ns);
            let stats = bench.line.stats();
            prop_assert_eq!(stats.received, rules.offered);
            prop_assert_eq!(stats.unaccounted(), 0, "{:?}", stats);
        }
        let Bench { line, dir, .. } = bench;
        let stats = match line.finish(rules.now_ns) {
            Ok(stats) => stats,
            // A full disk has no room for the last note; all else was done.
            Err(error) => {
                prop_assert!(matches!(error, crate::LineError::MarkRefused { .. }), "{}", error);
                return Ok(());
            }
        };
        prop_assert_eq!((stats.held, stats.unaccounted()), (0, 0), "{:?}", stats);
        let written = numbers(dir.path());
        let in_files = numbers_in_files(dir.path());
        prop_assert!(in_files.is_subset(&rules.may_be_written));
        prop_assert_eq!(in_files, written.iter().copied().collect::<BTreeSet<_>>());
        let mut once = written.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), written.len(), "nothing is written twice");
        // What was gathered when a mask came is masked by its own time, before it is written.
        let is_masked = |step: &Step| matches!(step, Step::Verdict { verdict: Some(Verdict::Mask), .. });
        let is_late = gather_bytes > 0 && steps.iter().any(is_masked);
        if stats.lost.total() == 0 && !keep && !is_late {
            let written: BTreeSet<u64> = written.into_iter().collect();
            prop_assert!(rules.must_be_written.is_subset(&written), "and nothing is forgotten");
        }
    }
}
