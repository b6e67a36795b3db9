//! `earwitness call`: asks the daemon of a data folder to change what is recorded of a call.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::{CallCommand, CallOrder};
use crate::daemon::desk::{self, Answer, Request};

/// The daemon answers between two rounds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("no daemon serves {path}: is `earwitness run` running with this data folder?")]
    NoDaemon { path: PathBuf },
    #[error("not allowed to use {path}: run as the daemon's user, or as a member of its group")]
    NotAllowed { path: PathBuf },
    #[error("the daemon does not answer at {path}")]
    Silent { path: PathBuf, source: io::Error },
    #[error("call {call}: {reason}")]
    Refused { call: String, reason: String },
}

/// Asks, and says on standard output what came of it.
///
/// # Errors
/// There is no daemon, it is not allowed, the call is unknown, or the daemon refuses.
pub fn call(command: &CallCommand) -> Result<(), CallError> {
    let (operation, order, side) = match command {
        CallCommand::Start(order) => ("start", order, None),
        CallCommand::Stop(order) => ("stop", order, None),
        CallCommand::Toggle(order) => ("toggle", order, None),
        CallCommand::Pause(order) => ("pause", order, None),
        CallCommand::Resume(order) => ("resume", order, None),
        CallCommand::Mask { order, side } => ("mask", order, side.as_ref()),
        CallCommand::Unmask { order, side } => ("unmask", order, side.as_ref()),
    };
    let request = Request {
        operation: operation.to_owned(),
        call: order.id.clone(),
        side: side.map(|side| side.word().to_owned()),
    };
    let answer = ask(order, &request)?;
    let several = match answer.calls.as_slice() {
        calls @ [_, _, ..] => format!(" ({} calls: {})", calls.len(), calls.join(", ")),
        _ => String::new(),
    };
    match answer.result.as_str() {
        "done" => {
            println!("call {}: {operation}: done{several}", order.id);
            Ok(())
        }
        "unchanged" => {
            let reason = answer.reason.unwrap_or_default();
            println!("call {}: {operation}: {reason}{several}", order.id);
            Ok(())
        }
        _ => {
            let reason = answer.reason.unwrap_or_else(|| "refused".to_owned());
            Err(CallError::Refused { call: order.id.clone(), reason })
        }
    }
}

fn ask(order: &CallOrder, request: &Request) -> Result<Answer, CallError> {
    let path = desk::path(&order.data_dir);
    let mut stream = UnixStream::connect(&path).map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            CallError::NoDaemon { path: path.clone() }
        }
        ErrorKind::PermissionDenied => CallError::NotAllowed { path: path.clone() },
        _ => CallError::Silent { path: path.clone(), source },
    })?;
    let mut converse = || {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    };
    converse().map_err(|source| CallError::Silent { path, source })
}
