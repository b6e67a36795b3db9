//! `earwitness-perf stages`: each stage alone, in this process: time, allocations, instructions.
//!
//! | module | what is there |
//! |---|---|
//! | [`meter`], [`instructions`] | how one round is measured, and how without the machine's mood |
//! | [`allocations`] | the counting allocator of this program |
//! | [`samples`] | the messages and packets that all stages are given |
//! | [`signalling`] | SIP, SDP, dialogs, whole calls |
//! | [`packets`] | line, segment writer, segment reader |
//! | [`audio`] | RTP to files, encoders |
//! | [`rows`] | the catalog |
//! | [`policy`] | a decision |
//! | [`growth`] | what more calls at once cost |
//!
//! What a stage costs beside its peers, and from wire to file, is measured elsewhere.

pub mod allocations;
mod audio;
mod growth;
mod instructions;
mod meter;
mod packets;
mod policy;
mod rows;
mod samples;
mod signalling;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::figure::{Figure, Spread};
use crate::report::{self, Report};
use meter::{Meter, Round};

/// Rounds of a stage; the first, which warms up, is not counted.
const ROUNDS: usize = 9;

/// Which stages, and how.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Stages by name, or all whose name contains one of these; every stage without
    names: Vec<String>,
    /// Counts instructions with valgrind, too
    #[arg(long)]
    instructions: bool,
    /// Does one round of each and prints how much that was: for valgrind, perf, strace
    #[arg(long, conflicts_with = "instructions")]
    once: bool,
    /// Rounds; the first is not counted
    #[arg(long, default_value_t = ROUNDS)]
    rounds: usize,
    /// Prints the stages' names
    #[arg(long)]
    list: bool,
}

/// What the figure of a stage is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Nanoseconds an item, and items a second.
    Each(&'static str),
    /// Items are milliseconds of sound.
    RealTime,
}

/// Something that is measured alone.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    pub name: &'static str,
    pub scale: Scale,
    /// Makes what the rounds work on.
    pub prepare: fn() -> anyhow::Result<Round>,
}

fn all() -> Vec<Stage> {
    [
        signalling::STAGES,
        packets::STAGES,
        audio::STAGES,
        rows::STAGES,
        policy::STAGES,
        growth::STAGES,
    ]
    .concat()
}

/// Measures, prints, and keeps the results where all stages were measured.
///
/// # Errors
/// No stage has such a name, or a stage failed.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let stages = wanted(&arguments.names);
    if stages.is_empty() {
        bail!("no stage is named so; see `earwitness-perf stages --list`");
    }
    if arguments.list {
        stages.iter().for_each(|stage| println!("{}", stage.name));
        return Ok(());
    }
    if arguments.once {
        return once(&stages, arguments.rounds);
    }
    let mut report = Report::new("stages");
    for stage in &stages {
        let failed = || format!("stage {:?}", stage.name);
        let figures = measure(stage, arguments.rounds).with_context(failed)?;
        report.figures.extend(figures);
        if arguments.instructions {
            report.figures.push(instructions::of(stage).with_context(failed)?);
        }
    }
    print!("{}", report.table());
    if arguments.names.is_empty() {
        println!("kept in {}", report.keep(&report::results())?.display());
    }
    Ok(())
}

/// A name that is a stage's means that one only.
fn wanted(names: &[String]) -> Vec<Stage> {
    let is_named = |stage: &Stage, name: &String| {
        let is_exact = all().iter().any(|other| other.name == name);
        if is_exact { stage.name == name } else { stage.name.contains(name) }
    };
    let is_wanted =
        |stage: &Stage| names.is_empty() || names.iter().any(|name| is_named(stage, name));
    all().into_iter().filter(is_wanted).collect()
}

/// A line each: the name and how many items, separated by a tab.
fn once(stages: &[Stage], rounds: usize) -> anyhow::Result<()> {
    let rounds = if rounds == ROUNDS { 1 } else { rounds };
    for stage in stages {
        let mut round = (stage.prepare)()?;
        let mut items = 0;
        for _ in 0..rounds {
            let mut meter = Meter::default();
            round(&mut meter)?;
            items += meter.items;
        }
        println!("{}\t{items}", stage.name);
    }
    Ok(())
}

fn measure(stage: &Stage, rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let mut round = (stage.prepare)()?;
    let mut meters = Vec::new();
    for _ in 0..rounds.max(2) {
        let mut meter = Meter::default();
        round(&mut meter)?;
        meters.push(meter);
    }
    let counted = &meters[1..];
    let figure = |unit: String, value: &dyn Fn(&Meter) -> f64| {
        let values: Vec<f64> = counted.iter().map(value).collect();
        let spread = Spread::of(&values)?;
        Some(Figure { name: stage.name.to_owned(), unit, spread })
    };
    let figures = match stage.scale {
        Scale::Each(item) => vec![
            figure(format!("ns per {item}"), &|meter| meter.seconds * 1e9 / meter.items as f64),
            figure(format!("{item}s per s"), &|meter| meter.items as f64 / meter.seconds),
            figure(format!("allocations per {item}"), &|meter| {
                meter.allocations as f64 / meter.items as f64
            }),
        ],
        Scale::RealTime => vec![
            figure("times real time".to_owned(), &|meter| meter.items as f64 / 1e3 / meter.seconds),
            figure("allocations per s of sound".to_owned(), &|meter| {
                meter.allocations as f64 * 1e3 / meter.items as f64
            }),
        ],
    };
    let bytes = meters.iter().any(|meter| meter.bytes_each.is_some());
    let memory =
        bytes.then(|| figure("bytes each".to_owned(), &|meter| meter.bytes_each.unwrap_or(0.0)));
    Ok(figures.into_iter().chain(memory).flatten().collect())
}
