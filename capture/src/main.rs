//! `earwitness-capture`: see the library.

#![forbid(unsafe_code)]

use std::alloc::System;
use std::process::ExitCode;

use clap::Parser;
use earwitness_capture::options::{Action, Cli};
use earwitness_capture::run;
use earwitness_ipc::{EXIT_IN_USE, Wiping};
use tracing_subscriber::EnvFilter;

/// Masked media that is told passes through buffers.
#[global_allocator]
static ALLOCATOR: Wiping<System> = Wiping::new(System);

const FAILED: u8 = 1;
const WRONG_USE: u8 = 2;

fn main() -> ExitCode {
    let Action::Run(options) = Cli::parse().action;
    if let Err(error) = options.check() {
        eprintln!("earwitness-capture: {error}");
        return ExitCode::from(WRONG_USE);
    }
    // A broken invariant stops the process, whichever thread finds it (S9).
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("earwitness-capture: {panic}");
        std::process::abort();
    }));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("earwitness-capture: {error}");
            ExitCode::from(if error.is_in_use() { EXIT_IN_USE } else { FAILED })
        }
    }
}
