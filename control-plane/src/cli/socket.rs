//! Asking the daemon of a data folder through its socket: one line there, one back.

use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::daemon::desk;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("no daemon serves {path}: is `earwitness run` running with this data folder?")]
    NoDaemon { path: PathBuf },
    #[error("not allowed to use {path}: run as the daemon's user, or as a member of its group")]
    NotAllowed { path: PathBuf },
    #[error("the daemon does not answer at {path}")]
    Silent { path: PathBuf, source: io::Error },
}

/// Asks, and waits for the answer.
///
/// # Errors
/// There is no daemon, it is not allowed, or nothing comes back in time.
pub(super) fn ask<Answer: DeserializeOwned>(
    data_dir: &Path,
    request: &impl Serialize,
    patience: Duration,
) -> Result<Answer, SocketError> {
    let path = desk::path(data_dir);
    let mut stream = UnixStream::connect(&path).map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            SocketError::NoDaemon { path: path.clone() }
        }
        ErrorKind::PermissionDenied => SocketError::NotAllowed { path: path.clone() },
        _ => SocketError::Silent { path: path.clone(), source },
    })?;
    let mut converse = || {
        stream.set_read_timeout(Some(patience))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    };
    converse().map_err(|source| SocketError::Silent { path, source })
}
