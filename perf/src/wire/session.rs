//! A whole session: every receiver in turn, several rounds, then the highest rate that each takes without loss.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use earwitness_wire::Verdict;

use super::generator::Traffic;
use super::lab::{Driver, Lab};
use super::round::{Offer, Run, Sender, measure};
use super::system::{self, Source, System};
use super::{Session, floor, plot, table};

/// How often a run that the hypervisor disturbed is made anew.
const VOID_MAX: u32 = 3;
/// Packets whose sending alone is measured, before each round.
const BARE_PACKETS: u64 = 4_000_000;
/// Steps of the search for the highest rate, and how long each is offered.
const RATE_STEPS: u32 = 7;
const RATE_SECONDS: f64 = 1.5;
/// A run that was this much slower than asked for did not offer the rate.
const RATE_REACHED: f64 = 0.95;
/// What `--quick` leaves.
const QUICK_PACKETS: u64 = 1_500_000;
const QUICK_ROUNDS: u32 = 1;
const QUICK_RATE_STEPS: u32 = 4;
/// How the cost grows with calls.
const CALLS: [u64; 2] = [100, 100_000];

/// One line of the table: who receives, of how many calls.
#[derive(Clone, Debug)]
pub struct Case {
    pub system: System,
    pub calls: u64,
    /// Its segments were written before, as when the log has reached its bound.
    pub reuse: bool,
    pub name: String,
    pub runs: Vec<Run>,
    /// Packets a second, the highest that was taken whole.
    pub lossless: Vec<f64>,
}

impl Case {
    /// It is one of the receivers that stand side by side, not one that shows how cost grows.
    pub fn is_compared(&self, session: &Session) -> bool {
        self.calls == session.traffic.calls && self.reuse == self.system.writes_segments()
    }

    /// Nothing yet, of its kind.
    fn offer(&self) -> Offer {
        Offer { packets: 0, rate: 0, bare_ns: 0.0, calls: self.calls, reuse: self.reuse }
    }
}

/// Namespaces and senders, made when first used.
struct Bench {
    traffic: Traffic,
    // Senders are in their lab's namespace: they go first.
    senders: BTreeMap<(Driver, u64), Sender>,
    labs: BTreeMap<Driver, Lab>,
    memory: tempfile::TempDir,
    disk: tempfile::TempDir,
}

impl Bench {
    fn new(session: &Session) -> anyhow::Result<Self> {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        let disk = session.disk.clone().unwrap_or(target);
        let folder = |parent: PathBuf| {
            fs::create_dir_all(&parent)?;
            tempfile::Builder::new().prefix("earwitness-perf-").tempdir_in(parent)
        };
        Ok(Self {
            traffic: session.traffic.clone(),
            senders: BTreeMap::new(),
            labs: BTreeMap::new(),
            memory: folder(PathBuf::from("/dev/shm")).context("no tmpfs at /dev/shm")?,
            disk: folder(disk)?,
        })
    }

    /// The lab and a sender in it.
    fn place(&mut self, driver: Driver, calls: u64) -> anyhow::Result<(&Lab, &mut Sender)> {
        let lab = match self.labs.entry(driver) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Lab::new(driver)?),
        };
        let traffic = Traffic { calls, ..self.traffic.clone() };
        let sender = match self.senders.entry((driver, calls)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Sender::start(lab, &traffic)?),
        };
        Ok((lab, sender))
    }

    fn bare_ns(&mut self, calls: u64) -> anyhow::Result<f64> {
        let (_, sender) = self.place(Driver::Native, calls)?;
        sender.bare_ns(BARE_PACKETS)
    }

    /// Once, and again where the hypervisor disturbed it.
    fn run(&mut self, case: &Case, offer: Offer) -> anyhow::Result<Run> {
        let parent = if case.system.needs_disk() { &self.disk } else { &self.memory };
        let parent = parent.path().to_owned();
        for _ in 0..VOID_MAX {
            let folder = tempfile::tempdir_in(&parent)?;
            let (lab, sender) = self.place(case.system.driver(), case.calls)?;
            let run = measure(case.system, lab, sender, folder.path(), offer)
                .with_context(|| format!("{} at {} packets", case.name, offer.packets))?;
            if !run.is_void() {
                return Ok(run);
            }
            eprintln!(
                "void, {} ticks of steal: {}",
                run.steal_ticks,
                table::line(&case.name, &run)
            );
        }
        bail!("{}: the hypervisor disturbed {VOID_MAX} runs: measure when it is quiet", case.name)
    }
}

/// Measures, prints, and keeps the results.
///
/// # Errors
/// Something cannot be set up or measured.
pub fn run(session: &Session) -> anyhow::Result<()> {
    let session = &shortened(session);
    let mut cases = cases(session);
    ensure!(!cases.is_empty(), "--only leaves no receiver");
    let mut bench = Bench::new(session)?;
    let copy_ns = floor::copy_ns(bench.memory.path())?;
    let mut bare = Vec::new();
    for round in 0..session.rounds {
        for case in &mut cases {
            let bare_ns = bench.bare_ns(case.calls)?;
            bare.push(bare_ns);
            let offer = Offer { packets: session.packets, rate: 0, bare_ns, ..case.offer() };
            let run = bench.run(case, offer)?;
            let line = table::line(&case.name, &run);
            eprintln!("round {}: {line} (sending alone {bare_ns:.0} ns)", round + 1);
            case.runs.push(run);
        }
    }
    if !session.unpaced {
        let rounds = if session.quick { 1 } else { session.rounds };
        for _ in 0..rounds {
            for case in cases.iter_mut().filter(|case| case.is_compared(session)) {
                let rate = lossless(&mut bench, case, session)?;
                eprintln!("{}: {:.2} Mpps without loss", case.name, rate / 1e6);
                case.lossless.push(rate);
            }
        }
    }
    let outcome = table::Outcome { session, cases: &cases, bare: &bare, copy_ns };
    println!("{}", outcome.table());
    let report = outcome.report();
    if session.figures {
        println!("{}", report.table());
    }
    let path = report.keep()?;
    let picture = path.with_extension("svg");
    fs::write(&picture, plot::bars(&outcome.costs()))
        .with_context(|| format!("{} cannot be written", picture.display()))?;
    println!("kept in {} and {}", path.display(), picture.display());
    Ok(())
}

fn shortened(session: &Session) -> Session {
    let mut session = session.clone();
    if session.quick {
        session.packets = session.packets.min(QUICK_PACKETS);
        session.rounds = session.rounds.min(QUICK_ROUNDS);
    }
    session
}

fn cases(session: &Session) -> Vec<Case> {
    let case = |system: System, calls: u64| {
        let more =
            if calls == session.traffic.calls { String::new() } else { format!(", {calls} calls") };
        let name = system.name() + &more;
        let reuse = system.writes_segments();
        Case { system, calls, reuse, name, runs: Vec::new(), lossless: Vec::new() }
    };
    let all = system::ALL.into_iter().map(|system| case(system, session.traffic.calls));
    let ring = System::Earwitness(Source::BpfRing, Verdict::Record);
    let growing = CALLS.into_iter().map(|calls| case(ring, calls));
    let first_day = case(ring, session.traffic.calls);
    let first_day = Case { reuse: false, name: first_day.name + ", new segments", ..first_day };
    all.chain(growing)
        .chain([first_day])
        .filter(|case| {
            session.only.is_empty() || session.only.iter().any(|part| case.name.contains(part))
        })
        .collect()
}

/// The highest rate of which nothing was lost, by halving; 0 if every one lost something.
fn lossless(bench: &mut Bench, case: &Case, session: &Session) -> anyhow::Result<f64> {
    let fastest = case.runs.iter().map(Run::mpps).fold(0.0, f64::max) * 1e6;
    let (mut good, mut bad) = (0.0, fastest * 1.05);
    let steps = if session.quick { QUICK_RATE_STEPS } else { RATE_STEPS };
    for _ in 0..steps {
        let rate = f64::midpoint(good, bad);
        let packets = (rate * RATE_SECONDS) as u64;
        let offer = Offer { packets, rate: rate as u64, ..case.offer() };
        let run = bench.run(case, offer)?;
        let reached = run.mpps() * 1e6 >= rate * RATE_REACHED;
        let (asked, late) = (rate / 1e6, run.sent.late);
        eprintln!(
            "asked for {asked:.2} Mpps, late {late} times: {}",
            table::line(&case.name, &run)
        );
        if run.lost == 0 && run.refused == 0 && reached {
            good = rate;
        } else {
            bad = rate;
        }
    }
    Ok(good)
}
