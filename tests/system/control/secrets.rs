//! What must be nowhere: in no file of the data folder, in nothing that Earwitness said, and in no memory of it that the kernel
//! could swap.

use std::net::Ipv4Addr;

use earwitness_fixtures::spec::Party;
use earwitness_tests::needles::Needles;

use super::recorded::{Recorded, is_between, is_clear};
use super::{ALICE, Played};

/// Of an RTP packet with an event: the SSRC and the event.
const KEY: std::ops::Range<usize> = 8..16;
/// So long what came a moment ago may be on its way through memory, on a machine that has much else to do.
const IN_PASSING_US: i64 = 1_000_000;
/// A stack keeps some words of what was last copied by way of it: bytes of less than half a packet, 8 ms of a voice.
const RESIDUE_MAX: usize = 64;

/// What was on the wire, as it must have been dealt with.
pub(super) struct Sent {
    /// What was said or pressed while it was hidden, or between two takes, and when.
    hidden: Vec<(i64, Vec<u8>)>,
    /// What was said and recorded.
    voices: Vec<Vec<u8>>,
    /// Keys that were refused, and are like any others.
    keys: Vec<Vec<u8>>,
}

/// Every eight bytes in a row of these packets.
pub(super) fn pieces<'a>(packets: impl Iterator<Item = &'a [u8]>) -> Needles {
    let windows = packets.flat_map(|packet| packet.windows(8));
    Needles::of_pieces(windows.map(|piece| piece.try_into().expect("eight bytes")))
}

impl Sent {
    /// Of the takes of calls, and the caller and callee of each.
    pub(super) fn of(played: &Played, calls: [(&Vec<Recorded>, [Ipv4Addr; 2]); 2]) -> Self {
        let mut sent = Self { hidden: Vec::new(), voices: Vec::new(), keys: Vec::new() };
        for (takes, hosts) in calls {
            for (side, host) in Party::BOTH.into_iter().zip(hosts) {
                sent.add(played, takes, side, host);
            }
        }
        sent
    }

    fn add(&mut self, played: &Played, takes: &[Recorded], side: Party, host: Ipv4Addr) {
        let is_hidden = |at_us: i64| {
            takes.iter().any(|take| take.hides(at_us, side)) || is_between(takes, at_us)
        };
        for packet in played.wire.voice(host) {
            let at_us = packet.at_us;
            if !is_clear(takes, at_us, side) {
                continue;
            }
            if is_hidden(at_us) {
                self.hidden.push((at_us, packet.encoded));
            } else if takes.iter().any(|take| take.has(at_us)) {
                self.voices.push(packet.encoded);
            }
        }
        for key in played.wire.pressed(host) {
            // Only alice's are obeyed.
            assert_eq!(is_hidden(key.at_us), host == ALICE, "{host}: {key:?}");
            let bytes = key.packet[KEY].to_vec();
            if host == ALICE {
                self.hidden.push((key.at_us, bytes));
            } else {
                self.keys.push(bytes);
            }
        }
    }

    /// What was hidden before a time.
    fn secret(&self, before_us: i64) -> Needles {
        let before = self.hidden.iter().filter(|(at_us, _)| *at_us < before_us);
        pieces(before.map(|(_, bytes)| &bytes[..]))
    }

    /// Nothing that is hidden is in a file or a log; what is not is found.
    pub(super) fn check_files(&self, played: &Played) {
        let data_dir = played.data_dir();
        let secret = self.secret(i64::MAX);
        assert!(secret.count() > 400_000, "{}", secret.count());
        let mut found = secret.found_below(&data_dir);
        for said in ["log", "out", "commands", "metrics"] {
            found.push((played.file(said), secret.found_in(played.text(said).as_bytes())));
        }
        assert!(found.iter().all(|(_, found)| *found == 0), "{found:?}");
        for open in [&self.voices, &self.keys] {
            let open = pieces(open.iter().map(Vec::as_slice));
            let found: usize = open.found_below(&data_dir).iter().map(|file| file.1).sum();
            assert!(found * 10 > open.count() * 9, "{found} of {} are found", open.count());
        }
    }

    /// Nor is a packet of it in memory that could be swapped, in any pause or in the end: the script has looked.
    pub(super) fn check_memory(&self, played: &Played) {
        let folder = played.file("memory");
        let looked = std::fs::read_dir(&folder).expect("the script looked").flatten();
        let times: Vec<i64> = looked
            .map(|entry| entry.file_name().to_string_lossy().parse().expect("a time"))
            .collect();
        assert_eq!(times.len(), 8, "in seven pauses, and in the end");
        for time_us in times {
            let folder = folder.join(time_us.to_string());
            let secret = self.secret(time_us - IN_PASSING_US);
            assert!(secret.count() > 10_000, "{}", secret.count());
            let found = secret.found_below(&folder);
            assert_eq!(found.len(), 2, "two processes: {found:?}");
            assert!(found.iter().all(|(_, found)| *found <= RESIDUE_MAX), "{found:?}");
            // What they were told when they were started is.
            let told = played.data_dir().display().to_string();
            for (path, _) in found {
                let memory = std::fs::read(&path).expect("it was read before");
                let is_there = memory.windows(told.len()).any(|bytes| bytes == told.as_bytes());
                assert!(is_there, "{} is not the memory of a process", path.display());
            }
        }
    }
}
