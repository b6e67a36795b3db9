//! One worker process and the socket to it.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Death;
use crate::protocol::{self, Reply, Request};

/// A running worker. Dropped, it is killed and reaped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    socket: UnixStream,
    timeout: Duration,
    cpu_ms: u64,
    message: Vec<u8>,
}

impl Process {
    /// Starts the program with one end of a socket as its standard input and output, and nothing
    /// else of this process: no environment, no folder, no descriptors.
    pub(crate) fn spawn(program: &Path, timeout: Duration) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let child = Command::new(program)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs.try_clone()?))
            .stdout(OwnedFd::from(theirs))
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, socket, timeout, cpu_ms: 0, message: Vec::new() })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time that it has told of.
    pub(crate) fn cpu_ms(&self) -> u64 {
        self.cpu_ms
    }

    /// One request and its reply, or how the worker failed.
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Result<Reply, Death> {
        let deadline = Instant::now() + self.timeout;
        request.encode(&mut self.message);
        let mut timed = Timed { socket: &self.socket, deadline };
        let received = self
            .socket
            .set_write_timeout(Some(self.timeout.max(Duration::from_millis(1))))
            .and_then(|()| protocol::send(&mut &self.socket, &self.message))
            .and_then(|()| protocol::receive(&mut timed, &mut self.message));
        match received {
            Ok(Some(())) => {}
            Ok(None) => return Err(Death::Pipe { kind: io::ErrorKind::UnexpectedEof }),
            Err(error) => {
                return Err(match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Death::TimedOut,
                    io::ErrorKind::InvalidData => Death::Protocol { what: "message too long" },
                    kind => Death::Pipe { kind },
                });
            }
        }
        let reply =
            Reply::decode(&self.message).map_err(|error| Death::Protocol { what: error.what })?;
        if let Reply::Done { cpu_ms, .. } = reply {
            self.cpu_ms = cpu_ms;
        }
        Ok(reply)
    }

    /// Kills and reaps it; how it ended by itself, where it did, or else why it was ended.
    pub(crate) fn end(&mut self, cause: Death) -> Death {
        // A broken socket means that it is ending: its status says why, once it is there.
        let gone = matches!(cause, Death::Pipe { .. });
        let status = if gone { self.await_end() } else { None };
        if let Some(status) = status {
            return match (status.signal(), status.code()) {
                (Some(signal), _) => Death::Killed { signal },
                (None, Some(code)) => Death::Exited { code },
                (None, None) => cause,
            };
        }
        self.kill();
        cause
    }

    /// Waits a moment for a process that has closed its socket.
    fn await_end(&mut self) -> Option<std::process::ExitStatus> {
        // The kernel closes a dying process's descriptors before its parent may reap it.
        let deadline = Instant::now() + Duration::from_millis(200);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                _ => return None,
            }
        }
    }

    fn kill(&mut self) {
        // It may be gone already; then there is nothing to kill and the wait only reaps.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads that all end by one deadline.
struct Timed<'a> {
    socket: &'a UnixStream,
    deadline: Instant,
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(left))?;
        (&mut &*self.socket).read(buffer)
    }
}
