//! Whether this machine carries its links when they are full of G.711: the arithmetic of `capacity`, with what the
//! configuration allows and the machine has.
//!
//! Nothing is read here: taps and machine are passed in. Every lack says up to how many calls there is none.

use super::capacity::{
    self, CALLS_MAX, Cores, G711_FRAME_BYTES, Load, MilliCores, Rings, calls_within,
};
use super::quantity::{bytes, cores, count, link, mib, milliseconds, seconds};
use super::{Finding, Level};
use crate::config::{Config, FileFormat, RING_MIB_MAX};

/// Of a link whose driver tells none, as virtual ones do.
const ASSUMED_MBIT_S: u64 = 1_000;
/// Packets stay at least so long, to be exported after their call.
const LOG_S_MIN: u64 = 3_600;

/// How fast a link is, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speed {
    Told(u64),
    /// Planned for, whatever the interface has.
    Asked(u64),
    Unknown,
}

impl Speed {
    pub(super) fn mbit_s(self) -> u64 {
        match self {
            Self::Told(mbit_s) | Self::Asked(mbit_s) => mbit_s,
            Self::Unknown => ASSUMED_MBIT_S,
        }
    }
}

/// An interface to record from.
#[derive(Debug, Clone)]
pub(super) struct Tap {
    pub(super) name: String,
    pub(super) speed: Speed,
    /// Receive queues: each is served by one core, and fills the ring of that core.
    pub(super) queues: u64,
}

/// What all taps share.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) cores: u64,
    pub(super) memory_mib: Option<u64>,
    pub(super) disk_free_bytes: Option<u64>,
    pub(super) disk: Disk,
}

/// How fast the data folder's disk writes.
#[derive(Debug, Clone)]
pub(super) enum Disk {
    Untried,
    /// Bytes a second.
    Writes(u64),
    /// The test did not work, and why.
    Failed(String),
}

impl Tap {
    fn load(&self) -> Load {
        Load::line_rate(self.speed.mbit_s(), G711_FRAME_BYTES)
    }

    /// One after the other: the link, its queues, its part of the delay line.
    pub(super) fn findings(&self, config: &Config, machine: &Machine) -> Vec<Finding> {
        vec![self.line_rate(), self.queues(), self.delay_line(config, machine)]
    }

    fn line_rate(&self) -> Finding {
        let load = self.load();
        let speed = link(self.speed.mbit_s());
        let speed = match self.speed {
            Speed::Told(_) => speed,
            Speed::Asked(_) => format!("{speed}, as asked"),
            Speed::Unknown => {
                format!("{speed} is assumed (its driver tells none; --mbit says another)")
            }
        };
        let (packets, calls) = (count(load.packets_s), count(load.calls()));
        let found = format!("{speed}: {packets} packets/s of G.711, {calls} calls");
        Finding::ok(format!("{} line rate", self.name), found)
    }

    fn queues(&self) -> Finding {
        let (load, needed) = (self.load(), self.load().queues_least());
        let subject = format!("{} queues", self.name);
        if self.queues >= needed {
            return Finding::ok(subject, format!("{}; line rate needs {needed}", self.queues));
        }
        let name = &self.name;
        let MilliCores(kernel) = load.cores(FileFormat::Wav).kernel;
        let calls = count(calls_within(load, kernel, self.queues * 1000));
        Finding::lack(
            Level::Slow,
            subject,
            format!("{}: a core serves each, and line rate needs {needed}", self.queues),
            format!("ethtool -L {name} combined {needed}; until then up to {calls} calls"),
        )
    }

    fn delay_line(&self, config: &Config, machine: &Machine) -> Finding {
        let (load, hold_ms) = (self.load(), config.capture.hold_ms);
        let mib_each = u64::from(config.capture.ring_mib).next_power_of_two();
        let rings = Rings { count: self.queues.min(machine.cores), mib: mib_each };
        let subject = format!("{} delay line", self.name);
        let held_ms = rings.hold_ms_max(load);
        let rings_text = format!("{} × {}", rings.count, mib(mib_each));
        if held_ms >= hold_ms {
            let most = milliseconds(held_ms);
            let found = format!("{rings_text} hold {most} of line rate, of {hold_ms} ms");
            return Finding::ok(subject, found);
        }
        let most = rings.load_max(hold_ms, load.frame_bytes);
        let needed = mib(load.held_bytes(hold_ms).div_ceil(1 << 20));
        let found =
            format!("{rings_text} hold {held_ms} ms of line rate; {hold_ms} ms are {needed}");
        let cure = self.longer_line(hold_ms, rings.count, machine);
        let remedy = format!("{cure}; until then up to {} calls", count(most.calls()));
        Finding::lack(Level::Slow, subject, found, remedy)
    }

    /// What makes the delay line long enough.
    fn longer_line(&self, hold_ms: u64, rings: u64, machine: &Machine) -> String {
        let load = self.load();
        let each = load.ring_mib(hold_ms, rings);
        if each <= RING_MIB_MAX.into() {
            let all = mib(ring_memory_mib(each, 1, machine.cores));
            return format!("capture.ring_mib = {each} (with signalling {all} on all cores)");
        }
        let largest = Rings { count: rings, mib: RING_MIB_MAX.into() };
        format!(
            "{} receive queues with a core each and capture.ring_mib = {RING_MIB_MAX}, or capture.hold_ms = {}",
            load.rings_least(hold_ms),
            largest.hold_ms_max(load)
        )
    }
}

/// The rings of every tap on every core, whether packets reach it or not; signalling has an eighth beside.
fn ring_memory_mib(ring_mib: u64, taps: u64, cores: u64) -> u64 {
    (ring_mib + (ring_mib / 8).max(1)) * taps * cores
}

/// What the taps need together, when all of them are full.
pub(super) fn together(taps: &[Tap], config: &Config, machine: &Machine) -> Vec<Finding> {
    let packets_s = taps.iter().map(|tap| tap.load().packets_s).sum();
    let plan = Plan { load: Load { packets_s, frame_bytes: G711_FRAME_BYTES }, config, machine };
    vec![
        plan.memory(taps.len() as u64),
        plan.processor(),
        plan.log_reader(),
        plan.calls(),
        plan.log(),
        plan.disk_space(),
        plan.disk_bandwidth(),
    ]
}

struct Plan<'p> {
    load: Load,
    config: &'p Config,
    machine: &'p Machine,
}

impl Plan<'_> {
    /// A lack, with the calls of which `available` is enough where all need `needed`.
    fn short(
        &self,
        subject: &str,
        found: String,
        cure: &str,
        needed: u64,
        available: u64,
    ) -> Finding {
        let calls = count(calls_within(self.load, needed, available));
        Finding::lack(
            Level::Slow,
            subject,
            found,
            format!("{cure}; until then up to {calls} calls"),
        )
    }

    fn memory(&self, taps: u64) -> Finding {
        let ring_mib = u64::from(self.config.capture.ring_mib).next_power_of_two();
        let rings = ring_memory_mib(ring_mib, taps, self.machine.cores);
        let calls = self.load.call_bytes().div_ceil(1 << 20);
        let (needed, subject) = (rings + calls, "memory needed");
        let found = format!("{}: rings {}, calls {}", mib(needed), mib(rings), mib(calls));
        match self.machine.memory_mib {
            Some(free) if free < needed => Finding::lack(
                Level::Slow,
                subject,
                format!("{found}; {} are free", mib(free)),
                "more memory, or a lower capture.ring_mib",
            ),
            _ => Finding::ok(subject, found),
        }
    }

    fn processor(&self) -> Finding {
        let format = self.config.recording.format;
        let needed = self.load.cores(format);
        let Cores { kernel, capture, control } = needed;
        let available = MilliCores(self.machine.cores * 1000);
        let found = format!(
            "line rate needs {} cores of {}: kernel {}, capture {}, recordings ({}) {}",
            cores(needed.total()),
            self.machine.cores,
            cores(kernel),
            cores(capture),
            format.word(),
            cores(control),
        );
        if needed.total() <= available {
            return Finding::ok("processor", found);
        }
        let cure = "more cores, or taps spread over machines";
        self.short("processor", found, cure, needed.total().0, available.0)
    }

    fn log_reader(&self) -> Finding {
        let followed = capacity::followed_packets_s();
        let found = format!("one thread reads {} packets/s", count(followed));
        if self.load.packets_s <= followed {
            return Finding::ok("log reader", found);
        }
        let found = format!("{found} of {}", count(self.load.packets_s));
        let cure = "taps spread over machines: beyond, calls are captured and finished late";
        self.short("log reader", found, cure, self.load.packets_s, followed)
    }

    fn calls(&self) -> Finding {
        let (calls, followed) = (self.load.calls(), self.config.calls.calls_max as u64);
        let found =
            format!("{} at line rate, of {} followed at once", count(calls), count(followed));
        if calls > CALLS_MAX {
            let cure = format!("taps spread over machines: one decides on {}", count(CALLS_MAX));
            return self.short("calls", found, &cure, calls, CALLS_MAX.min(followed));
        }
        if calls > followed {
            let cure = format!("calls.calls_max = {calls}");
            return self.short("calls", found, &cure, calls, followed);
        }
        Finding::ok("calls", found)
    }

    fn log(&self) -> Finding {
        let log_mib = self.config.capture.log_mib_max;
        let lasts_s = self.load.log_lasts_s(log_mib << 20);
        let a_second = self.load.log_bytes_s();
        let found = format!(
            "line rate is {}/s, {} a day; capture.log_mib_max = {log_mib} lasts {}",
            bytes(a_second),
            bytes(capacity::a_day(a_second)),
            seconds(lasts_s)
        );
        if lasts_s >= LOG_S_MIN {
            return Finding::ok("log", found);
        }
        let hour = a_second * LOG_S_MIN;
        let key = format!("capture.log_mib_max = {}", hour.div_ceil(1 << 20));
        let cure = match self.machine.disk_free_bytes {
            Some(free) if free < hour => {
                format!("an hour needs a disk with room for {}, and {key}", bytes(hour))
            }
            _ => format!("{key} keeps packets for an hour"),
        };
        self.short("log", found, &cure, LOG_S_MIN, lasts_s)
    }

    /// A call that goes on keeps everything captured since its start, whatever `log_mib_max` says (S5).
    fn disk_space(&self) -> Finding {
        let longest_s = self.config.calls.length_max_s;
        let needed = self.load.log_bytes_s().saturating_mul(longest_s);
        let subject = "disk space";
        let needs = format!("a call of {} keeps {} of log", seconds(longest_s), bytes(needed));
        let Some(free) = self.machine.disk_free_bytes else {
            return Finding::ok(subject, format!("{needs} at line rate"));
        };
        let found = format!("{} free; at line rate {needs}", bytes(free));
        if free >= needed {
            return Finding::ok(subject, found);
        }
        let cure = "a larger disk, or a lower calls.length_max_s";
        self.short(subject, found, cure, needed, free)
    }

    fn disk_bandwidth(&self) -> Finding {
        let format = self.config.recording.format;
        let log = self.load.log_bytes_s();
        let recordings = self.load.recording_bytes_s(format);
        let (needed, subject) = (log + recordings, "disk bandwidth");
        let needs = format!(
            "line rate writes {}/s: log {}, recordings ({}) {}",
            bytes(needed),
            bytes(log),
            format.word(),
            bytes(recordings)
        );
        match &self.machine.disk {
            Disk::Untried => Finding::ok(subject, format!("{needs}; --disk tries the disk")),
            Disk::Failed(why) => Finding::lack(
                Level::Slow,
                subject,
                format!("{needs}; the test failed: {why}"),
                "make the data folder, or ask as the user who may write there",
            ),
            Disk::Writes(tried) if *tried >= needed => {
                Finding::ok(subject, format!("{}/s tried; {needs}", bytes(*tried)))
            }
            Disk::Writes(tried) => {
                let cure = "a faster disk, or recording.format = \"opus\"";
                let found = format!("{}/s tried; {needs}", bytes(*tried));
                self.short(subject, found, cure, needed, *tried)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: Machine = Machine {
        cores: 256,
        memory_mib: Some(1 << 20),
        disk_free_bytes: Some(u64::MAX),
        disk: Disk::Writes(u64::MAX),
    };

    fn tap(mbit_s: u64, queues: u64) -> Tap {
        Tap { name: "eth1".to_owned(), speed: Speed::Told(mbit_s), queues }
    }

    fn all(tap: &Tap, config: &Config, machine: &Machine) -> Vec<Finding> {
        let mut findings = tap.findings(config, machine);
        findings.extend(together(std::slice::from_ref(tap), config, machine));
        findings
    }

    fn find<'f>(findings: &'f [Finding], subject: &str) -> &'f Finding {
        findings.iter().find(|finding| finding.subject == subject).expect(subject)
    }

    fn remedy<'f>(findings: &'f [Finding], subject: &str) -> &'f str {
        find(findings, subject).remedy.as_deref().expect(subject)
    }

    /// OPS-3: a machine that has enough of everything is told so, and nothing else.
    #[test]
    fn enough_is_enough() {
        let mut config = Config::default();
        config.capture.log_mib_max = 1 << 20;
        let findings = all(&tap(100, 8), &config, &PLENTY);
        let lacks: Vec<&Finding> =
            findings.iter().filter(|finding| finding.level != Level::Ok).collect();
        assert!(lacks.is_empty(), "{lacks:#?}");
        assert!(find(&findings, "eth1 line rate").found.ends_with(" 525 calls"));
    }

    /// OPS-3: a ring that is too small for `hold` names the one that is not, and one that would cure it does.
    #[test]
    fn a_short_delay_line_names_its_size() {
        let mut config = Config::default();
        let findings = all(&tap(10_000, 8), &config, &PLENTY);
        let short = remedy(&findings, "eth1 delay line");
        // 8 × 64 MiB × 7/8 ÷ 256 bytes ÷ 2 s ÷ 100.
        assert!(short.starts_with("capture.ring_mib = 512 "), "{short}");
        assert!(short.ends_with("until then up to 9,175 calls"), "{short}");
        config.capture.ring_mib = 512;
        let findings = all(&tap(10_000, 8), &config, &PLENTY);
        assert_eq!(find(&findings, "eth1 delay line").level, Level::Ok);
    }

    /// OPS-3: where no ring is large enough, more of them are, or a shorter hold.
    #[test]
    fn a_ring_that_cannot_be_large_enough() {
        let mut config = Config::default();
        let findings = all(&tap(10_000, 1), &config, &PLENTY);
        let remedy_of_one = remedy(&findings, "eth1 delay line");
        assert!(remedy_of_one.starts_with("2 receive queues"), "{remedy_of_one}");
        assert!(remedy_of_one.contains("capture.hold_ms = 1397;"), "{remedy_of_one}");
        config.capture.ring_mib = 2048;
        config.capture.hold_ms = 1397;
        let findings = all(&tap(10_000, 1), &config, &PLENTY);
        assert_eq!(find(&findings, "eth1 delay line").level, Level::Ok);
        // Cores, not queues, are what there are rings of.
        let two = Machine { cores: 2, ..PLENTY };
        assert!(find(&all(&tap(1_000, 8), &config, &two), "eth1 delay line").found.contains("2 ×"));
    }

    /// OPS-3: each thing that a small machine is short of is named, with the calls there is enough for.
    #[test]
    fn a_small_machine_is_told_how_many_calls() {
        let machine = Machine {
            cores: 2,
            memory_mib: Some(100),
            disk_free_bytes: Some(10_000_000_000),
            disk: Disk::Writes(100_000_000),
        };
        let findings = all(&tap(100_000, 1), &Config::default(), &machine);
        for subject in [
            "eth1 queues",
            "eth1 delay line",
            "processor",
            "log reader",
            "calls",
            "log",
            "disk space",
            "disk bandwidth",
        ] {
            assert!(remedy(&findings, subject).contains("; until then up to "), "{subject}");
        }
        assert!(remedy(&findings, "eth1 queues").starts_with("ethtool -L eth1 combined "));
        assert!(remedy(&findings, "calls").ends_with("up to 200,000 calls"));
        assert_eq!(find(&findings, "memory needed").level, Level::Slow);
        // No disk of 10 GB keeps an hour, whatever the bound on the log is.
        assert!(remedy(&findings, "log").starts_with("an hour needs a disk with room for "));
        let machine = Machine { disk: Disk::Failed("it is full".to_owned()), ..PLENTY };
        let findings = all(&tap(1_000, 8), &Config::default(), &machine);
        assert!(find(&findings, "disk bandwidth").found.ends_with("it is full"));
        assert!(remedy(&findings, "log").starts_with("capture.log_mib_max = 462063 "));
    }

    /// OPS-3: several taps share the machine; an unknown speed is said to be assumed.
    #[test]
    fn taps_are_added_up() {
        let unknown = Tap { speed: Speed::Unknown, ..tap(0, 1) };
        let findings = unknown.findings(&Config::default(), &PLENTY);
        let line_rate = &find(&findings, "eth1 line rate").found;
        assert!(line_rate.contains("1 Gbit/s is assumed"), "{line_rate}");
        let asked = Tap { speed: Speed::Asked(25_000), ..tap(0, 1) };
        let shared = together(&[unknown, asked], &Config::default(), &PLENTY);
        let calls = &find(&shared, "calls").found;
        assert!(calls.starts_with("136,554 at line rate"), "{calls}");
    }

    /// OPS-3: what cannot be told is no lack, and a slow disk is one only once it was tried.
    #[test]
    fn what_is_not_known_is_no_lack() {
        let blind =
            Machine { memory_mib: None, disk_free_bytes: None, disk: Disk::Untried, ..PLENTY };
        let findings = all(&tap(1_000, 8), &Config::default(), &blind);
        for subject in ["memory needed", "disk space", "disk bandwidth"] {
            assert_eq!(find(&findings, subject).level, Level::Ok, "{subject}");
        }
        assert!(find(&findings, "disk bandwidth").found.ends_with("--disk tries the disk"));
    }
}
