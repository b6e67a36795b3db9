//! The daemon's own socket, `run/control.sock` in the data folder: who may open it may start, stop, pause and mask, and have
//! policies read again.
//!
//! Each line in is a request, each line out its answer, both JSON. The thread that owns the calls serves it between two
//! rounds; nobody who is slow is waited for. Whoever asked for policies is answered when they are read.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::errand::{PolicyAnswer, PolicyRequest};
use super::reload::Ask;
use crate::call::Party;
use crate::call::coverage::By;
use crate::control::{Command, Obeyed, Operation};
use crate::rules;

/// Owner and group may connect.
const MODE: u32 = 0o660;
/// Connections served at once; further ones wait in the kernel's queue.
pub(super) const GUESTS_MAX: usize = 16;
/// Longest request.
const REQUEST_BYTES_MAX: usize = 4096;
/// Who says nothing, or does not take an answer, for so long is let go.
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

impl Answer {
    fn refused(reason: &str) -> Self {
        let (result, reason) = ("refused".to_owned(), Some(reason.to_owned()));
        Self { result, reason, calls: Vec::new() }
    }
}

/// What a line asks for.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Call(Request),
    Policies(PolicyRequest),
}

/// The listening end, and who is in.
#[derive(Debug)]
pub(super) struct Desk {
    listener: UnixListener,
    path: PathBuf,
    guests: Vec<Guest>,
    /// How many there were.
    guests_seen: u64,
    /// What the daemon reads policies from.
    policy_files: Vec<PathBuf>,
}

#[derive(Debug)]
struct Guest {
    number: u64,
    stream: UnixStream,
    read: Vec<u8>,
    /// Of an answer that the socket has no room for yet.
    unsent: Vec<u8>,
    /// The answer comes when policies are read; until then nothing else is.
    waits: bool,
    peer: Peer,
    since: Instant,
}

impl Desk {
    /// Serves the data folder, which this process has for itself: what lies at the path is nobody's.
    pub(super) fn open(data_dir: &Path, policy_files: &[PathBuf]) -> io::Result<Self> {
        let path = path(data_dir);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(MODE))?;
        listener.set_nonblocking(true)?;
        // Who asks has another folder before him.
        let policy_files =
            policy_files.iter().map(std::path::absolute).collect::<Result<_, _>>()?;
        Ok(Self { listener, path, guests: Vec::new(), guests_seen: 0, policy_files })
    }

    /// Lets `obey` answer what was asked since the last time; gives who wants policies to be read.
    pub(super) fn serve(
        &mut self,
        now_ns: u64,
        mut obey: impl FnMut(&str, &Command) -> Obeyed,
    ) -> Vec<Ask> {
        while self.guests.len() < GUESTS_MAX
            && let Ok((stream, _)) = self.listener.accept()
        {
            if stream.set_nonblocking(true).is_ok() {
                self.guests_seen += 1;
                self.guests.push(Guest::new(self.guests_seen, stream));
            }
        }
        let Self { guests, policy_files, .. } = self;
        let mut asks = Vec::new();
        guests.retain_mut(|guest| {
            if guest.waits {
                return true;
            }
            let stays = guest.send() && (!guest.unsent.is_empty() || guest.receive());
            while let Some(line) = guest.next_line() {
                guest.unsent = match serde_json::from_slice(&line) {
                    Ok(Line::Call(request)) => json(&call(request, now_ns, &guest.peer, &mut obey)),
                    Ok(Line::Policies(PolicyRequest { policies })) => match policies.by() {
                        Some(by) => {
                            guest.waits = true;
                            let (who, guest) = (guest.peer.user(), Some(guest.number));
                            asks.push(Ask { by, who, guest });
                            break;
                        }
                        None => json(&PolicyAnswer::files(policy_files)),
                    },
                    Err(_) => json(&Answer::refused("the request cannot be read")),
                };
                if !guest.send() {
                    return false;
                }
            }
            // Who has said all that there is to say may wait for the answer.
            let is_owed = guest.waits || !guest.unsent.is_empty();
            (stays || is_owed) && guest.since.elapsed() < PATIENCE
        });
        asks
    }

    /// The answer that a guest waits for.
    pub(super) fn answer(&mut self, guest: u64, answer: &PolicyAnswer) {
        if let Some(guest) = self.guests.iter_mut().find(|known| known.number == guest) {
            guest.waits = false;
            guest.since = Instant::now();
            guest.unsent.extend(json(answer));
        }
    }
}

fn json(answer: &impl Serialize) -> Vec<u8> {
    // Text keys and plain values: it cannot fail.
    let mut text = serde_json::to_vec(answer).unwrap_or_default();
    text.push(b'\n');
    text
}

impl Drop for Desk {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

impl Guest {
    fn new(number: u64, stream: UnixStream) -> Self {
        let (peer, since) = (Peer::of(&stream), Instant::now());
        Self { number, stream, read: Vec::new(), unsent: Vec::new(), waits: false, peer, since }
    }

    /// The next request, once the answer before it is on its way.
    fn next_line(&mut self) -> Option<Vec<u8>> {
        let end = self.read.iter().position(|byte| *byte == b'\n')?;
        self.unsent.is_empty().then(|| self.read.drain(..=end).collect())
    }

    /// Whether there may be more.
    fn receive(&mut self) -> bool {
        let mut bytes = [0; 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.since = Instant::now();
                self.read.extend_from_slice(&bytes[..count]);
                self.read.len() <= REQUEST_BYTES_MAX
            }
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    /// Whether the other end is there.
    fn send(&mut self) -> bool {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => {
                    self.since = Instant::now();
                    self.unsent.drain(..count);
                }
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
        true
    }
}

fn call(
    request: Request,
    now_ns: u64,
    peer: &Peer,
    obey: &mut impl FnMut(&str, &Command) -> Obeyed,
) -> Answer {
    let Some(operation) = Operation::parse(&request.operation) else {
        return Answer::refused("the operation is unknown");
    };
    let side = match request.side.as_deref() {
        None => None,
        Some("caller") => Some(Party::Caller),
        Some("callee") => Some(Party::Callee),
        Some(_) => return Answer::refused("the side is neither caller nor callee"),
    };
    let command = Command {
        operation,
        at_ns: now_ns,
        by: By::Socket,
        party: None,
        side,
        who: Some(peer.to_string()),
        from: None,
    };
    obey(&request.call, &command).into()
}

/// Who is at the other end, when it connected; none: the kernel does not say.
#[derive(Debug)]
struct Peer(Option<libc::ucred>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(credentials) => {
                write!(f, "user {} (process {})", credentials.uid, credentials.pid)
            }
            None => write!(f, "unknown user"),
        }
    }
}

impl Peer {
    fn of(stream: &UnixStream) -> Self {
        let mut credentials = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes of the structure, which lives through the call, about a
        // descriptor that `stream` keeps open.
        let failed = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut credentials).cast(),
                &raw mut length,
            )
        };
        Self((failed == 0).then_some(credentials))
    }

    /// The user's name, as the history of policies has it.
    fn user(&self) -> String {
        self.0.as_ref().map_or_else(|| self.to_string(), |peer| rules::who(Some(peer.uid)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;
    use crate::daemon::errand::PolicyResult;

    /// What a guest is told next.
    fn told<T: serde::de::DeserializeOwned>(guest: &mut BufReader<UnixStream>) -> T {
        let mut line = String::new();
        guest.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// POL-1, S10: who asks for policies is answered when they are read, however long the answer; his next line waits, others do
    /// not.
    #[test]
    fn policies_are_answered_later() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("run")).unwrap();
        let mut desk = Desk::open(folder.path(), &[PathBuf::from("/p")]).unwrap();
        let nobody = |_: &str, _: &Command| unreachable!("no call is asked for");
        let connect = || BufReader::new(UnixStream::connect(path(folder.path())).unwrap());
        let (mut one, mut other) = (connect(), connect());
        one.get_mut().write_all(b"{\"policies\":\"apply\"}\n{\"policies\":\"files\"}\n").unwrap();
        other.get_mut().write_all(b"{\"policies\":\"files\"}\n{\"policies\":\"burn\"}\n").unwrap();
        let asks = desk.serve(0, nobody);
        let [Ask { by: rules::By::Apply, who, guest: Some(guest) }] = asks.as_slice() else {
            panic!("{asks:?}")
        };
        assert_eq!(*who, rules::who(None), "the user that this test runs as");
        assert_eq!(told::<PolicyAnswer>(&mut other).files, [PathBuf::from("/p")]);
        assert_eq!(told::<Answer>(&mut other).reason.unwrap(), "the request cannot be read");
        assert!(desk.serve(0, nobody).is_empty(), "asked once");
        let long = PolicyAnswer::failed(&"x".repeat(4 << 20), None);
        desk.answer(*guest, &long);
        let reader = std::thread::spawn(move || {
            let answer: PolicyAnswer = told(&mut one);
            (answer, told::<PolicyAnswer>(&mut one))
        });
        while !reader.is_finished() {
            assert!(desk.serve(0, nobody).is_empty());
        }
        let (answer, files) = reader.join().unwrap();
        assert_eq!((answer == long, files.result), (true, PolicyResult::Unchanged));
        desk.serve(0, nobody);
        assert!(desk.guests.len() <= 1, "who has gone is let go");
    }
}
