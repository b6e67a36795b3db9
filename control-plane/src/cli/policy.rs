//! `policy`: whether files hold, what they decide about a call and why, their schema, their history; and other ones.

mod change;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use earwitness_catalog::{Catalog, CatalogError, PolicyVersionRow};
use earwitness_policy::facts::Facts;
use earwitness_policy::trace::Node;
use earwitness_policy::{
    Answer, By, Direction, Explained, Faults, Identity, PartyFacts, Policy, Stage,
};
use serde_json::{Value, json};

use super::examples;
use super::socket::SocketError;
use crate::config::{Config, ConfigError};
use crate::rules::{FolderError, Loaded, Rules};
use crate::setup::{self, DataDirError};

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Says whether files hold as one set; exit code 2 and a line for everything that is wrong.
    #[command(after_help = examples::POLICY_CHECK)]
    Check(Check),
    /// Why a call is recorded or not, as a tree: a call that was, or one between two parties.
    #[command(after_help = examples::POLICY_EXPLAIN)]
    Explain(Box<Explain>),
    /// Prints the JSON Schema of policy files.
    Schema,
    /// Every set that was in force: since when, by whom, and what it changed.
    #[command(after_help = examples::POLICY_HISTORY)]
    History(super::List),
    /// Has the daemon read its policy files again; a set with a fault changes nothing.
    #[command(after_help = examples::POLICY_RELOAD)]
    Reload(super::List),
    /// Puts files into the daemon's folder of policies, and into force: all of them, or none.
    #[command(after_help = examples::POLICY_APPLY)]
    Apply(change::Apply),
    /// Takes files out of the daemon's folder of policies, and out of force: all of them, or none.
    #[command(after_help = examples::POLICY_APPLY)]
    Remove(change::Remove),
}

#[derive(Debug, Args)]
pub struct Check {
    /// Policy files, JSON or TOML, and folders of them.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// JSON: one object, or one for each fault.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// Id or Call-ID of a call; a unique beginning is enough.
    #[arg(long, value_name = "ID", requires = "data_dir", conflicts_with_all = ["from", "to"])]
    pub call: Option<String>,
    /// Data folder that the call is in.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Who calls: user@domain, or a number.
    #[arg(long, value_name = "WHO", required_unless_present = "call", requires_all = ["to", "config"])]
    pub from: Option<String>,
    /// Who is called.
    #[arg(long, value_name = "WHO", required_unless_present = "call")]
    pub to: Option<String>,
    /// Configuration file (TOML), whose policies are asked.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which way the call goes: `inbound`, its caller is outside whoever he is; `outbound`, its callee is.
    #[arg(long, value_enum)]
    pub direction: Option<Way>,
    /// Where the caller signals from: address:port.
    #[arg(long, value_name = "ADDRESS")]
    pub from_address: Option<SocketAddr>,
    /// Where the callee signals from: address:port.
    #[arg(long, value_name = "ADDRESS")]
    pub to_address: Option<SocketAddr>,
    /// Through whom the call comes: the number of a queue, who diverted it.
    #[arg(long, value_name = "WHO")]
    pub through: Vec<String>,
    /// Who transferred the call to the callee.
    #[arg(long, value_name = "WHO")]
    pub transferred_by: Option<String>,
    /// It is a video call.
    #[arg(long)]
    pub video: bool,
    /// Id that sampling goes by.
    #[arg(long, value_name = "ID", default_value = "")]
    pub id: String,
    /// JSON instead of text.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Way {
    Inbound,
    Outbound,
    Internal,
    External,
}

/// Why a question of policy has no answer.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error(transparent)]
    Refused(#[from] Faults),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(
        "the policy files are as they were, but which set is in force is not known: use `earwitness policy reload`"
    )]
    TakenBack { source: SocketError },
    #[error("the daemon cannot read its policies: {reason}")]
    Failed { reason: String },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("{count} calls begin with {id}: see `earwitness calls list`")]
    Calls { id: String, count: usize },
    #[error("cannot write the answer: {source}")]
    Write { source: io::Error },
}

impl PolicyError {
    /// Whether the question was wrong, not the machine.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Folder(error) => error.is_usage(),
            Self::DataDir(error) => error.is_usage(),
            Self::Config(_) | Self::Refused(_) => true,
            Self::Catalog(_)
            | Self::Socket(_)
            | Self::TakenBack { .. }
            | Self::Failed { .. }
            | Self::Calls { .. }
            | Self::Write { .. } => false,
        }
    }
}

/// Exit code of a set that is refused.
const REFUSED: u8 = 2;

/// Answers.
///
/// # Errors
/// Files or the catalog cannot be read, or there is no such call.
pub async fn policy(command: &PolicyCommand) -> Result<ExitCode, PolicyError> {
    match command {
        PolicyCommand::Check(asked) => return check(asked),
        PolicyCommand::Explain(asked) => explain(asked).await?,
        PolicyCommand::Schema => print(&earwitness_policy::schema::schema())?,
        PolicyCommand::History(list) => history(&list.data_dir, list.json).await?,
        PolicyCommand::Reload(list) => return change::reload(list),
        PolicyCommand::Apply(asked) => return change::apply(asked),
        PolicyCommand::Remove(asked) => return change::remove(asked),
    }
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> Result<(), PolicyError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|source| PolicyError::Write { source }),
    }
}

fn check(asked: &Check) -> Result<ExitCode, PolicyError> {
    let loaded = match Loaded::of(&asked.files) {
        Ok(loaded) => loaded,
        Err(faults) => {
            tell_faults(&faults, asked.json)?;
            return Ok(ExitCode::from(REFUSED));
        }
    };
    let extent = loaded.policy.extent();
    let text = if asked.json {
        json!({ "hash": loaded.hash, "files": loaded.files, "extent": extent }).to_string()
    } else {
        format!(
            "valid: {} tenants, {} users, {} devices, {} queues, {} groups, {} call flows ({})",
            extent.tenants,
            extent.users,
            extent.devices,
            extent.queues,
            extent.groups,
            extent.callflows,
            loaded.hash
        )
    };
    print(&format!("{text}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// A line each.
fn tell_faults(faults: &Faults, is_json: bool) -> Result<(), PolicyError> {
    let line = |fault: &earwitness_policy::load::Fault| match is_json {
        true => format!("{}\n", json!(fault)),
        false => format!("{fault}\n"),
    };
    let mut text: String = faults.faults.iter().map(line).collect();
    if faults.left_out > 0 && !is_json {
        text += &format!("and {} more\n", faults.left_out);
    }
    print(&text)
}

async fn explain(asked: &Explain) -> Result<(), PolicyError> {
    if let (Some(call), Some(data_dir)) = (&asked.call, &asked.data_dir) {
        return explain_call(call, data_dir, asked.json).await;
    }
    let config = asked.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load)?;
    let fallback = Rules::without_policies(config.recording.default).fallback;
    let policy = match config.policy.files.as_slice() {
        [] => Policy::default(),
        files => Loaded::of(files)?.policy,
    };
    let explained = ask(asked, |facts| policy.explain(facts, fallback));
    let Explained { outcome, rule, tree } = &explained;
    if !asked.json {
        return print(&tree.to_string());
    }
    let answer = json!({
        "recorded": outcome.answer == Answer::Record,
        "rule": rule,
        "tenant": outcome.tenant.map(|tenant| policy.tenant_name(tenant)),
        "direction": outcome.direction.map(Direction::name),
        "begins": outcome.begins.name(),
        "audio": outcome.parts.audio,
        "video": outcome.parts.video,
        "form": form(&explained),
        "tree": tree,
    });
    print(&format!("{answer}\n"))
}

fn form(explained: &Explained) -> Value {
    let form = &explained.outcome.form;
    json!({
        "format": form.format,
        "sample_rate": form.sample_rate,
        "record_min_sec": form.min_s,
        "time_limit": form.time_limit_s,
        "url": form.url.as_deref(),
        "method": form.method,
        "label": form.label.as_deref(),
        "media_name": form.media_name.as_deref(),
        "voices": explained.outcome.voices,
    })
}

fn identity(text: &str) -> Identity<'_> {
    Identity { by: By::Question, text }
}

fn named(text: &Option<String>) -> Option<Identity<'_>> {
    text.as_deref().map(identity)
}

fn ask<T>(asked: &Explain, decide: impl FnOnce(&Facts<'_>) -> T) -> T {
    let (from, to) = (named(&asked.from), named(&asked.to));
    let through: Vec<Identity<'_>> = asked.through.iter().map(|text| identity(text)).collect();
    let is = |way| asked.direction == Some(way) || asked.direction == Some(Way::External);
    let facts = Facts {
        call: &asked.id,
        caller: PartyFacts {
            identities: from.as_slice(),
            address: asked.from_address,
            is_outside: is(Way::Inbound),
            transferred_by: None,
        },
        callee: PartyFacts {
            identities: to.as_slice(),
            address: asked.to_address,
            is_outside: is(Way::Outbound),
            transferred_by: named(&asked.transferred_by),
        },
        through: &through,
        video: asked.video,
        stage: Stage::Ringing,
        ..Facts::default()
    };
    decide(&facts)
}

async fn explain_call(id: &str, data_dir: &Path, json: bool) -> Result<(), PolicyError> {
    setup::existing_data_dir(data_dir)?;
    let catalog = Catalog::open_existing(data_dir).await?;
    let calls = catalog.calls_named(id).await?;
    let [call] = calls.as_slice() else {
        return Err(PolicyError::Calls { id: id.to_owned(), count: calls.len() });
    };
    let decision = &call.decision;
    let tree = Node::from_lines(&decision.trace);
    if json {
        let answer = json!({
            "id": call.id, "call_id": call.call_id, "from": call.from, "to": call.to,
            "tenant": call.tenant, "direction": call.direction, "decision": decision, "tree": tree,
        });
        return print(&format!("{answer}\n"));
    }
    let version = decision.policy.as_deref().unwrap_or("none");
    let head = format!("call {} ({}), policy {version}\n", call.id, call.call_id);
    print(&(head + &tree.map(|tree| tree.to_string()).unwrap_or_default()))
}

async fn history(data_dir: &Path, json: bool) -> Result<(), PolicyError> {
    setup::existing_data_dir(data_dir)?;
    let catalog = Catalog::open_existing(data_dir).await?;
    let rows = catalog.policy_versions().await?;
    let line = |row: &PolicyVersionRow| if json { json!(row).to_string() } else { told(row) };
    let mut text: String = rows.iter().map(|row| line(row) + "\n").collect();
    if rows.is_empty() && !json {
        text = "no policies yet\n".to_owned();
    }
    print(&text)
}

fn told(row: &PolicyVersionRow) -> String {
    let PolicyVersionRow { number, hash, since, who, by, added, changed, removed, .. } = row;
    let what = changes(added, changed, removed);
    format!("{number:4}  {hash}  {since}  {who} ({by})  {what}")
}

/// What a set has otherwise than the one before.
fn changes(added: &[String], changed: &[String], removed: &[String]) -> String {
    let kinds = [("added", added), ("changed", changed), ("removed", removed)];
    let named = kinds.into_iter().filter(|(_, names)| !names.is_empty());
    let told = named.map(|(word, names)| format!("{word} {}", names.join(", ")));
    told.collect::<Vec<_>>().join("; ")
}
