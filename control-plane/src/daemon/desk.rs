//! The daemon's own socket, `run/control.sock` in the data folder: who may open it may start, stop, pause and mask.
//!
//! Each line in is a request, each line out its answer, both JSON. The thread that owns the calls serves it between two
//! rounds; nobody who is slow is waited for.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::call::Party;
use crate::call::coverage::By;
use crate::control::{Command, Obeyed, Operation};

/// Owner and group may connect.
const MODE: u32 = 0o660;
/// Connections served at once; further ones wait in the kernel's queue.
const GUESTS_MAX: usize = 16;
/// Longest request.
const REQUEST_BYTES_MAX: usize = 4096;
/// Who says nothing for so long is let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the socket is.
#[must_use]
pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("run/control.sock")
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub operation: String,
    /// Id of the call, or its beginning, or the Call-ID; or a session id, which may be of several calls.
    pub call: String,
    /// Whom to mask: `caller` or `callee`; both unless said.
    #[serde(default)]
    pub side: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// `done`, `unchanged` or `refused`.
    pub result: String,
    pub reason: Option<String>,
    /// Ids of the calls that it was for.
    #[serde(default)]
    pub calls: Vec<String>,
}

impl From<Obeyed> for Answer {
    fn from(Obeyed { outcome, calls }: Obeyed) -> Self {
        let reason = outcome.reason().map(str::to_owned);
        Self { result: outcome.name().to_owned(), reason, calls }
    }
}

/// The listening end, and who is in.
#[derive(Debug)]
pub(super) struct Desk {
    listener: UnixListener,
    path: PathBuf,
    guests: Vec<Guest>,
}

#[derive(Debug)]
struct Guest {
    stream: UnixStream,
    read: Vec<u8>,
    who: String,
    since: Instant,
}

impl Desk {
    /// Serves the data folder, which this process has for itself: what lies at the path is nobody's.
    pub(super) fn open(data_dir: &Path) -> io::Result<Self> {
        let path = path(data_dir);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(MODE))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path, guests: Vec::new() })
    }

    /// Lets `obey` answer what was asked since the last time.
    pub(super) fn serve(&mut self, now_ns: u64, mut obey: impl FnMut(&str, &Command) -> Obeyed) {
        while self.guests.len() < GUESTS_MAX
            && let Ok((stream, _)) = self.listener.accept()
        {
            if stream.set_nonblocking(true).is_ok() {
                let who = peer(&stream);
                self.guests.push(Guest { stream, read: Vec::new(), who, since: Instant::now() });
            }
        }
        self.guests.retain_mut(|guest| guest.serve(now_ns, &mut obey));
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

impl Guest {
    /// Whether it stays.
    fn serve(&mut self, now_ns: u64, obey: &mut impl FnMut(&str, &Command) -> Obeyed) -> bool {
        let mut bytes = [0; 1024];
        let stays = match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.since = Instant::now();
                self.read.extend_from_slice(&bytes[..count]);
                self.read.len() <= REQUEST_BYTES_MAX
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock && self.since.elapsed() < PATIENCE,
        };
        while let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.read.drain(..=end).collect();
            let answer = match command(&line, now_ns, &self.who) {
                Ok((call, command)) => obey(&call, &command).into(),
                Err(reason) => {
                    let (result, reason) = ("refused".to_owned(), Some(reason.to_owned()));
                    Answer { result, reason, calls: Vec::new() }
                }
            };
            let Ok(mut text) = serde_json::to_vec(&answer) else { return false };
            text.push(b'\n');
            // An answer fits the socket's buffer; who does not read so many is let go.
            if self.stream.write_all(&text).is_err() {
                return false;
            }
        }
        stays
    }
}

fn command(line: &[u8], now_ns: u64, who: &str) -> Result<(String, Command), &'static str> {
    let request: Request =
        serde_json::from_slice(line).map_err(|_| "the request cannot be read")?;
    let operation = Operation::parse(&request.operation).ok_or("the operation is unknown")?;
    let side = match request.side.as_deref() {
        None => None,
        Some("caller") => Some(Party::Caller),
        Some("callee") => Some(Party::Callee),
        Some(_) => return Err("the side is neither caller nor callee"),
    };
    let command = Command {
        operation,
        at_ns: now_ns,
        by: By::Socket,
        party: None,
        side,
        who: Some(who.to_owned()),
        from: None,
    };
    Ok((request.call, command))
}

/// Who is at the other end: the user, and the process.
fn peer(stream: &UnixStream) -> String {
    let mut credentials = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes of the structure, which lives through the call, about a descriptor
    // that `stream` keeps open.
    let failed = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if failed != 0 {
        return "unknown user".to_owned();
    }
    format!("user {} (process {})", credentials.uid, credentials.pid)
}
