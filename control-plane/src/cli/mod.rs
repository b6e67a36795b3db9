//! The command line: what people type, and which function answers. Logic is elsewhere.

mod control;
mod examples;
mod listing;
mod pages;
mod policy;
mod replay;
mod socket;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::doctor::WRITE_TEST_MIB;

pub use control::{CallError, call};
pub use listing::{ListError, calls_list, recordings_list};
pub use pages::{completion, man_pages};
pub use policy::{PolicyCommand, PolicyError, policy};
pub use replay::replay_files;

/// Links to plan for: the fastest Ethernet that is being standardised (IEEE 802.3dj).
const MBIT_MAX: u64 = 1_600_000;
// The help of `doctor --disk` says so.
const _: () = assert!(WRITE_TEST_MIB == 64);

/// Earwitness records phone calls from a network tap.
#[derive(Debug, Parser)]
#[command(name = "earwitness", version, about, long_about = None, after_help = examples::EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The daemon: capture, calls, recordings, metrics.
    #[command(after_help = examples::RUN)]
    Run(Run),
    /// The whole pipeline over pcap or pcapng files, on packet time.
    #[command(after_help = examples::REPLAY)]
    Replay(Replay),
    /// Calls, recorded or not, with the reason.
    #[command(subcommand)]
    Calls(Calls),
    /// Changes what is recorded of a call in progress: start, stop, pause, resume, mask.
    #[command(subcommand)]
    Call(CallCommand),
    /// Finished recordings.
    #[command(subcommand)]
    Recordings(Recordings),
    /// Proves the storage invariants; exit 1 and one line for each breach.
    #[command(after_help = examples::CHECK)]
    Check(DataDir),
    /// Says what this machine lacks for full speed, and how many calls it carries.
    #[command(after_help = examples::DOCTOR)]
    Doctor(Doctor),
    /// Configuration: the reference page, or whether a file is valid.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Policies: whether they hold, what they decide and why, their history.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Writes the manual pages into a folder.
    Man {
        /// Folder, made if missing.
        dir: PathBuf,
    },
    /// Prints the completion script of a shell.
    Completion { shell: clap_complete::Shell },
}

#[derive(Debug, Args)]
pub struct Run {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

#[derive(Debug, Args)]
pub struct Replay {
    /// pcap or pcapng files, merged by time; `-` reads standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Data folder, made if missing.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Configuration file (TOML); its `data_dir` and `interfaces` are not used.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Prints each call and recording as a JSON line, and a summary last.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DataDir {
    /// Data folder.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
}

#[derive(Debug, Args)]
pub struct Doctor {
    /// Interfaces to look at; without it those of the configuration, or all.
    #[arg(long, value_name = "NAME")]
    pub interface: Vec<String>,
    /// Configuration file (TOML): its taps, data folder and bounds instead of the defaults.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Plans for links of so many Mbit/s, whatever the interfaces say of themselves.
    #[arg(long, value_name = "MBIT", value_parser = clap::value_parser!(u64).range(1..=MBIT_MAX))]
    pub mbit: Option<u64>,
    /// Tries how fast the data folder's disk is: writes 64 MiB, syncs them, removes them.
    #[arg(long)]
    pub disk: bool,
    /// JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct List {
    /// Data folder.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Calls {
    /// Every call, oldest first.
    #[command(after_help = examples::LIST)]
    List(List),
}

#[derive(Debug, Subcommand)]
pub enum CallCommand {
    /// Begins a recording; one that runs goes on.
    #[command(after_help = examples::CALL)]
    Start(CallOrder),
    /// Ends the recording; what is begun after that is another one.
    #[command(after_help = examples::CALL)]
    Stop(CallOrder),
    /// Ends the recording that runs, or begins one.
    #[command(after_help = examples::CALL)]
    Toggle(CallOrder),
    /// Nothing is recorded until `resume`.
    #[command(after_help = examples::CALL)]
    Pause(CallOrder),
    /// Goes on after a pause.
    #[command(after_help = examples::CALL)]
    Resume(CallOrder),
    /// Silence until `unmask`.
    #[command(after_help = examples::CALL)]
    Mask {
        #[command(flatten)]
        order: CallOrder,
        /// Who is silenced; both, unless said.
        #[arg(long, value_enum)]
        side: Option<Side>,
    },
    /// Ends the silence.
    #[command(after_help = examples::CALL)]
    Unmask {
        #[command(flatten)]
        order: CallOrder,
        /// Whose silence ends; all, unless said.
        #[arg(long, value_enum)]
        side: Option<Side>,
    },
}

#[derive(Debug, Args)]
pub struct CallOrder {
    /// Id or Call-ID of the call (`earwitness calls list`); a unique beginning of the id is enough. A session id
    /// (`control.session_header`, Session-ID) is for all calls that have it.
    pub id: String,
    /// Data folder of the daemon.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Side {
    Caller,
    Callee,
}

impl Side {
    /// The word in requests.
    const fn word(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Callee => "callee",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Recordings {
    /// Every recording, oldest first.
    #[command(after_help = examples::LIST)]
    List(List),
    /// Copies a recording, converted if asked, or its packets as pcapng; or a call in progress as far as it is.
    #[command(after_help = examples::EXPORT)]
    Export(Export),
}

#[derive(Debug, Args)]
pub struct Export {
    /// Id of the recording (`earwitness recordings list`), or id or Call-ID of a call (`earwitness calls list`); a
    /// unique beginning is enough.
    pub id: String,
    /// Data folder.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// File to write; `-` for standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Format: that of the recording, unless said.
    #[arg(long, value_enum)]
    pub format: Option<ExportFormat>,
    /// Configuration of the daemon, for calls in progress: aliases and decoders as it has them.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    Wav,
    Mp3,
    Opus,
    Pcapng,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Prints the reference page.
    Reference,
    /// Says whether a file is valid.
    Check { file: PathBuf },
}
