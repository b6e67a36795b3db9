//! `earwitness`: reads the command line, calls the part that answers, turns errors into one line and an exit code.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use earwitness::cli::{self, Calls, Cli, Command, ConfigCommand, List, Recordings};
use earwitness::config::{self, Config};
use earwitness::{check, daemon, doctor, export, replay, setup};
use earwitness_ipc::Wiping;
use mimalloc::MiMalloc;

/// What is known of calls are many small pieces that come on one thread and go on another. Media of pauses is among what
/// the daemon frees.
#[global_allocator]
static ALLOCATOR: Wiping<MiMalloc> = Wiping::idle(MiMalloc);

/// Wrong use or configuration.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("EARWITNESS_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,earwitness=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("earwitness: {}", one_line(&error));
            let usage = error.downcast_ref::<config::ConfigError>().is_some()
                || error
                    .downcast_ref::<daemon::DaemonError>()
                    .is_some_and(daemon::DaemonError::is_usage)
                || error
                    .downcast_ref::<replay::ReplayError>()
                    .is_some_and(replay::ReplayError::is_usage)
                || error.downcast_ref::<cli::PolicyError>().is_some_and(cli::PolicyError::is_usage)
                || error
                    .downcast_ref::<setup::DataDirError>()
                    .is_some_and(setup::DataDirError::is_usage);
            ExitCode::from(if usage { EXIT_USAGE } else { 1 })
        }
    }
}

/// The error and its causes; what a message already says of its cause is not said again.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let cause = cause.to_string().replace('\n', " ");
        if line.contains(&cause) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&cause);
    }
    line
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(run) => {
            ALLOCATOR.begin();
            daemon::run(&Config::load(&run.config)?)?;
        }
        Command::Replay(replay) => cli::replay_files(&replay)?,
        Command::Calls(Calls::List(list)) => listing(&list, cli::calls_list)?,
        Command::Call(command) => cli::call(&command)?,
        Command::Recordings(Recordings::List(list)) => listing(&list, cli::recordings_list)?,
        Command::Recordings(Recordings::Export(export)) => {
            setup::existing_data_dir(&export.data_dir)?;
            runtime()?.block_on(export::export(&export))?;
        }
        Command::Check(check) => return check_dir(&check.data_dir),
        Command::Doctor(asked) => return examine(&asked),
        Command::Config(ConfigCommand::Reference) => print!("{}", config::reference()),
        Command::Config(ConfigCommand::Check { file }) => {
            Config::load(&file)?;
            println!("{} is valid", file.display());
        }
        Command::Policy(command) => return Ok(runtime()?.block_on(cli::policy(&command))?),
        Command::Man { dir } => {
            cli::man_pages(&dir).with_context(|| format!("cannot write {}", dir.display()))?;
        }
        Command::Completion { shell } => cli::completion(shell),
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")
}

fn listing<F>(list: &List, print: impl FnOnce(std::path::PathBuf, bool) -> F) -> anyhow::Result<()>
where
    F: Future<Output = Result<(), cli::ListError>>,
{
    setup::existing_data_dir(&list.data_dir)?;
    match runtime()?.block_on(print(list.data_dir.clone(), list.json)) {
        // A reader that has seen enough, such as `head`, is no failure.
        Err(error) if error.is_closed_pipe() => Ok(()),
        result => result.map_err(Into::into),
    }
}

fn check_dir(data_dir: &std::path::Path) -> anyhow::Result<ExitCode> {
    setup::existing_data_dir(data_dir)?;
    let breaches = runtime()?.block_on(check::check(data_dir))?;
    for breach in &breaches {
        println!("{breach}");
    }
    if breaches.is_empty() {
        println!("clean");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("earwitness: {} breaches in {}", breaches.len(), data_dir.display());
    Ok(ExitCode::FAILURE)
}

fn examine(asked: &cli::Doctor) -> anyhow::Result<ExitCode> {
    let config = asked.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load)?;
    let question = doctor::Question {
        interfaces: asked.interface.clone(),
        mbit_s: asked.mbit,
        write_test: asked.disk,
    };
    let findings = doctor::examine(&question, &config);
    if asked.json {
        for finding in &findings {
            println!("{}", serde_json::to_string(finding)?);
        }
    } else {
        print!("{}", doctor::text(&findings));
    }
    let missing = findings.iter().any(|finding| finding.level == doctor::Level::Missing);
    Ok(if missing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
