//! `earwitness-perf`: what capture, signalling and finishing cost, beside named peers, as ratios of one run.
//!
//! | module | what it measures |
//! |---|---|
//! | [`figure`] | what a measurement is: a name, a unit, the spread of its rounds |
//! | [`machine`] | on what it was measured |
//! | [`stages`] | each stage alone |
//! | [`report`] | results as a table for people and as JSON in `perf/results/` |
//! | [`wire`] | receivers side by side on the same offered packets |

mod figure;
mod machine;
mod report;
mod stages;
mod wire;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: stages::allocations::Counting = stages::allocations::Counting;

/// Measures Earwitness and its peers in one run. Numbers hold for the machine they were taken on; ratios count.
#[derive(Debug, Parser)]
#[command(
    name = "earwitness-perf",
    version,
    after_help = "Examples:\n  earwitness-perf machine\n\nResults are kept in perf/results/, described in perf/README.md."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tells what this machine is, as each result says it
    Machine,
    /// Measures receivers side by side: Earwitness, its peers, and the floors below them
    Wire(Box<wire::Wire>),
    /// Measures each stage alone, in this process
    Stages(stages::Arguments),
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    match run(&command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("earwitness-perf: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Machine => {
            println!("{}", serde_json::to_string_pretty(&machine::describe())?);
            Ok(())
        }
        Command::Wire(wire) => wire::run(wire),
        Command::Stages(arguments) => stages::run(arguments),
    }
}
