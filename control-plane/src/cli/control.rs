//! `earwitness call`: asks the daemon of a data folder to change what is recorded of a call.

use std::time::Duration;

use super::CallCommand;
use super::socket::{self, SocketError};
use crate::daemon::desk::{Answer, Request};

/// The daemon answers between two rounds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Socket(#[from] SocketError),
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
    let answer: Answer = socket::ask(&order.data_dir, &request, PATIENCE)?;
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
