//! `earwitness-perf wire`: receivers side by side, on the same offered packets.
//!
//! - [`generator`] with its [`templates`]: what is offered. [`lab`]: where.
//! - [`system`]: who receives; [`capture`] is Earwitness, [`floor`] with [`socket`] and [`memory`] what is below all,
//!   [`stored`] counts what peers wrote.
//! - [`round`]: one measurement; [`process`]: what the kernel tells of it.
//! - [`session`]: all of them, in rounds; [`search`]: the highest rate without loss; [`progress`]: how far it is.
//! - [`table`], [`plot`]: what came out.

mod capture;
mod floor;
mod generator;
mod lab;
mod memory;
mod plot;
mod process;
mod progress;
mod round;
mod search;
mod session;
mod socket;
mod stored;
mod system;
mod table;
mod templates;

use std::io::BufRead as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use floor::Sink;
use generator::{Generator, Traffic};

/// What to measure.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Wire {
    #[command(subcommand)]
    worker: Option<Worker>,
    #[command(flatten)]
    session: Session,
}

/// Options of a session.
#[derive(Debug, Clone, Args)]
pub struct Session {
    #[command(flatten)]
    traffic: Traffic,
    /// Packets of one run
    #[arg(long, default_value_t = 4_000_000)]
    packets: u64,
    /// Runs of each receiver, in turn
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Only receivers whose name has this in it; may be repeated
    #[arg(long)]
    only: Vec<String>,
    /// Few and short runs: for a look, not for a claim
    #[arg(long)]
    quick: bool,
    /// Not the highest rate without loss, which takes longest
    #[arg(long)]
    unpaced: bool,
    /// Where results are kept [default: perf/results, or target/perf with --quick, --only or --unpaced]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print every figure that is kept, too
    #[arg(long)]
    figures: bool,
    /// A folder on a disk, for receivers that write with O_DIRECT [default: target/]
    #[arg(long, value_name = "DIR")]
    disk: Option<PathBuf>,
}

/// Parts of a measurement that are processes of their own.
#[derive(Debug, Subcommand)]
enum Worker {
    /// Sends into an interface what it is asked for
    #[command(hide = true)]
    Generate {
        #[command(flatten)]
        traffic: Traffic,
    },
    /// Writes the first packets that would be sent into a capture file
    Write {
        file: PathBuf,
        #[command(flatten)]
        traffic: Traffic,
        #[arg(long, default_value_t = 100_000)]
        packets: u64,
    },
    /// Receives at an interface, and drops
    #[command(hide = true)]
    Sink { sink: Sink, interface: String },
}

/// Does it.
///
/// # Errors
/// What cannot be set up, or measured, or believed.
pub fn run(wire: &Wire) -> anyhow::Result<()> {
    match &wire.worker {
        Some(Worker::Generate { traffic }) => generate(traffic),
        Some(Worker::Sink { sink, interface }) => floor::serve(*sink, interface),
        Some(Worker::Write { file, traffic, packets }) => {
            Generator::load(traffic)?.write(file, traffic, *packets)
        }
        None => session::run(&wire.session),
    }
}

/// Answers each line `INTERFACE PACKETS RATE` with what was sent.
fn generate(traffic: &Traffic) -> anyhow::Result<()> {
    let mut generator = Generator::load(traffic)?;
    floor::say("ready")?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [interface, packets, rate] = words[..] else { anyhow::bail!("not an order: {line}") };
        generator.aim(interface)?;
        let sent = generator.send(packets.parse()?, rate.parse()?)?;
        floor::say(&serde_json::to_string(&sent)?)?;
    }
    Ok(())
}
