//! A whole session: every receiver in turn, several rounds, then the highest rate that each takes without loss. What
//! fails is a line of the results, and the session goes on.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use earwitness_wire::Verdict;

use super::generator::Traffic;
use super::lab::{Driver, Lab};
use super::progress::Progress;
use super::round::{Offer, Run, Sender, measure};
use super::system::{self, Source, System};
use super::{Session, floor, plot, search, table};
use crate::report;

/// How often a run that the hypervisor disturbed is made anew.
const VOID_MAX: u32 = 3;
/// How often something fails before it is left out of the rounds that follow.
const FAILURES_MAX: usize = 2;
/// Packets whose sending alone is measured, before each round.
const BARE_PACKETS: u64 = 4_000_000;
/// What `--quick` leaves.
const QUICK_PACKETS: u64 = 1_500_000;
const QUICK_ROUNDS: u32 = 1;
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
    /// Why there is less of it than of others.
    pub failures: Vec<String>,
}

impl Case {
    /// It is one of the receivers that stand side by side, not one that shows how cost grows.
    pub fn is_compared(&self, session: &Session) -> bool {
        self.calls == session.traffic.calls && self.reuse == self.system.writes_segments()
    }

    /// Nothing yet, of its kind.
    pub fn offer(&self) -> Offer {
        Offer { packets: 0, rate: 0, bare_ns: 0.0, calls: self.calls, reuse: self.reuse }
    }

    fn is_given_up(&self) -> bool {
        self.failures.len() >= FAILURES_MAX
    }

    /// About how long a measurement of so many packets takes.
    pub fn expected(&self, packets: u64) -> Duration {
        let before = if self.reuse { packets as f64 / self.system.age_rate() as f64 } else { 0.0 };
        // What the slower half takes a second; and starting, settling, and counting what is in the files.
        Duration::from_secs_f64(
            before + packets as f64 / 1.5e6 + self.system.around().as_secs_f64(),
        )
    }
}

/// Namespaces and senders, made when first used.
pub struct Bench {
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

    /// What sending alone takes, and a run at full speed.
    fn cost(&mut self, case: &Case, packets: u64) -> anyhow::Result<(f64, Run)> {
        let bare_ns = self.bare_ns(case.calls)?;
        let run = self.run(case, Offer { packets, rate: 0, bare_ns, ..case.offer() })?;
        Ok((bare_ns, run))
    }

    /// What failed may have left something behind: the next one begins anew.
    fn tidy(&mut self) {
        self.senders.clear();
        self.labs.clear();
    }

    fn bare_ns(&mut self, calls: u64) -> anyhow::Result<f64> {
        let (_, sender) = self.place(Driver::Native, calls)?;
        sender.bare_ns(BARE_PACKETS)
    }

    /// Once, and again where the hypervisor disturbed it.
    pub fn run(&mut self, case: &Case, offer: Offer) -> anyhow::Result<Run> {
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

/// Measures, prints, and keeps the results. What fails is named there, and the others go on.
///
/// # Errors
/// Something cannot be set up, or Earwitness itself could not be measured.
pub fn run(session: &Session) -> anyhow::Result<()> {
    let session = &shortened(session);
    let mut cases = cases(session);
    ensure!(!cases.is_empty(), "--only leaves no receiver");
    let mut bench = Bench::new(session)?;
    let copy_ns = floor::copy_ns(bench.memory.path())?;
    let mut progress = Progress::of(session, &cases);
    let mut bare = Vec::new();
    for round in 1..=session.rounds {
        for case in cases.iter_mut().filter(|case| !case.is_given_up()) {
            let measured = bench.cost(case, session.packets);
            let result = measured.map(|(bare_ns, run)| {
                let line = table::line(&case.name, &run);
                bare.push(bare_ns);
                case.runs.push(run);
                format!("round {round}: {line} (sending alone {bare_ns:.0} ns)")
            });
            tell(&mut bench, case, &mut progress, case.expected(session.packets), result);
        }
    }
    for round in 1..=search::rounds(session) {
        for case in &mut cases {
            if case.is_given_up() || !search::takes_part(case, session, round) {
                continue;
            }
            let result = search::lossless(&mut bench, case, session).map(|rate| {
                case.lossless.push(rate);
                format!("round {round}: {}: {:.2} Mpps without loss", case.name, rate / 1e6)
            });
            tell(&mut bench, case, &mut progress, search::expected(case, session, round), result);
        }
    }
    keep(&table::Outcome { session, cases: &cases, bare: &bare, copy_ns })?;
    let own = cases.iter().filter(|case| case.system.is_own());
    let failures: Vec<_> = own.flat_map(|case| &case.failures).collect();
    ensure!(failures.is_empty(), "Earwitness could not be measured each time: {failures:#?}");
    Ok(())
}

/// Says how a measurement went, and how far the session is; a failure becomes a line of the results.
fn tell(
    bench: &mut Bench,
    case: &mut Case,
    progress: &mut Progress,
    expected: Duration,
    result: anyhow::Result<String>,
) {
    let text = result.unwrap_or_else(|error| {
        bench.tidy();
        case.failures.push(format!("{}: {error:#}", case.name));
        format!("FAILED: {}: {error:#}", case.name)
    });
    eprintln!("{} {text}", progress.after(expected));
}

/// Prints what came out, and keeps it.
fn keep(outcome: &table::Outcome<'_>) -> anyhow::Result<()> {
    println!("{}", outcome.table());
    let report = outcome.report();
    if outcome.session.figures {
        println!("{}", report.table());
    }
    let path = report.keep(&folder(outcome.session))?;
    let picture = path.with_extension("svg");
    fs::write(&picture, plot::bars(&outcome.costs()))
        .with_context(|| format!("{} cannot be written", picture.display()))?;
    fs::write(path.with_extension("md"), outcome.table())
        .with_context(|| format!("the table beside {} cannot be written", path.display()))?;
    println!("kept in {} and {}", path.display(), picture.display());
    Ok(())
}

/// Where results are kept: what is a part only, or short, is not written over what claims stand on.
fn folder(session: &Session) -> PathBuf {
    let is_whole = !session.quick && !session.unpaced && session.only.is_empty();
    let usual = if is_whole { report::results } else { report::looks };
    session.out.clone().unwrap_or_else(usual)
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
        let (runs, lossless, failures) = (Vec::new(), Vec::new(), Vec::new());
        Case { system, calls, reuse, name, runs, lossless, failures }
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        session: Session,
    }

    #[test]
    fn a_look_is_not_written_over_results() {
        let of = |words: &[&str]| {
            let line = Line::parse_from([&["wire"], words].concat());
            folder(&line.session)
        };
        assert_eq!(of(&[]), report::results());
        assert_eq!(of(&["--rounds", "9"]), report::results());
        for look in [&["--quick"][..], &["--unpaced"], &["--only", "tcpdump"]] {
            assert_eq!(of(look), report::looks(), "{look:?}");
            assert_eq!(of(&[look, &["--out", "there"]].concat()), Path::new("there"));
        }
    }
}
