//! One connection between capture and control plane. It never blocks: its owner waits for its
//! descriptor (`poll`, mio's `SourceFd`, tokio's `AsyncFd`) and calls again.

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::limits::{MESSAGE_BYTES_MAX, OUTGOING_BYTES_MAX, OUTGOING_MESSAGES_MAX};
use crate::message::encode_split;
use crate::{Command, Event, Message, MessageError, VERSION, decode, socket};

#[derive(Debug, Error)]
pub enum DoorError {
    /// The other side has gone.
    #[error("the other side closed the door")]
    Closed,
    /// The other side reads too slowly; nothing of this message was sent.
    #[error("{messages} messages wait to be read, no more are kept")]
    Full { messages: usize },
    #[error("the other side speaks version {theirs}, this one {VERSION}")]
    Version { theirs: u16 },
    /// The first message was not `Hello`.
    #[error("the other side did not say hello")]
    NoHello,
    /// What came cannot be read, or what should go cannot be written; the next message may be good.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// Another capture serves this path.
    #[error("{path} is served already")]
    InUse { path: PathBuf },
    /// There is something at the path that is not a socket.
    #[error("{path} is not a socket")]
    NotASocket { path: PathBuf },
    #[error("{operation} {path}: {source}")]
    Path { operation: &'static str, path: PathBuf, source: io::Error },
    #[error("{operation}: {source}")]
    Io { operation: &'static str, source: io::Error },
}

/// Capture's end.
pub type CaptureDoor = Door<Event, Command>;
/// The control plane's end.
pub type ControlDoor = Door<Command, Event>;

/// Sends `S`, receives `R`.
#[derive(Debug)]
pub struct Door<S, R> {
    socket: OwnedFd,
    outgoing: VecDeque<Vec<u8>>,
    outgoing_bytes: usize,
    incoming: Vec<u8>,
    greeted: bool,
    direction: PhantomData<fn(S) -> R>,
}

impl ControlDoor {
    /// Connects to capture; `Hello` must be the first message sent.
    pub fn connect(path: &Path) -> Result<Self, DoorError> {
        let socket = socket::connect(path).map_err(|source| DoorError::Path {
            operation: "connect",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self::new(socket))
    }
}

impl<S: Message, R: Message> Door<S, R> {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            outgoing: VecDeque::new(),
            outgoing_bytes: 0,
            incoming: vec![0; MESSAGE_BYTES_MAX],
            greeted: false,
            direction: PhantomData,
        }
    }

    /// Sends a message, or queues what the socket does not take: a batch as several messages where one would
    /// be too long. On `Full` and `Message` nothing of it is sent, and the door goes on.
    pub fn send(&mut self, message: S) -> Result<(), DoorError> {
        let mut encoded = Vec::new();
        encode_split(message, &mut encoded)?;
        let bytes: usize = encoded.iter().map(Vec::len).sum();
        let full = self.outgoing.len() + encoded.len() > OUTGOING_MESSAGES_MAX
            || self.outgoing_bytes + bytes > OUTGOING_BYTES_MAX;
        // An empty queue takes a batch of any size: it would not fit later either.
        if full && !self.outgoing.is_empty() {
            return Err(DoorError::Full { messages: self.outgoing.len() });
        }
        self.outgoing_bytes += bytes;
        self.outgoing.extend(encoded);
        self.flush().map(drop)
    }

    /// Sends what is queued; true once nothing is left. To be called when the socket is writable.
    pub fn flush(&mut self) -> Result<bool, DoorError> {
        while let Some(message) = self.outgoing.front() {
            match socket::send(self.socket.as_fd(), message) {
                Ok(()) => {
                    self.outgoing_bytes -= message.len();
                    self.outgoing.pop_front();
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(false),
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(failed("send", error)),
                },
            }
        }
        Ok(true)
    }

    /// Is something queued, so that the owner should wait for the socket to be writable?
    pub fn wants_write(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// The next message, or `None` if there is none yet. The first must be a `Hello` of our version.
    ///
    /// After `Message` the door can be read on; what could not be read is gone.
    pub fn receive(&mut self) -> Result<Option<R>, DoorError> {
        let length = loop {
            match socket::receive(self.socket.as_fd(), &mut self.incoming) {
                Ok(0) => return Err(DoorError::Closed),
                Ok(length) => break length,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(failed("receive", error)),
                },
            }
        };
        let read = self.read(length);
        // It may be media that is written nowhere: nothing of it stays.
        let length = length.min(self.incoming.len());
        self.incoming[..length].fill(0);
        read.map(Some)
    }
}

impl<S, R: Message> Door<S, R> {
    fn read(&mut self, length: usize) -> Result<R, DoorError> {
        let Some(bytes) = self.incoming.get(..length) else {
            return Err(MessageError::TooLong { bytes: length }.into());
        };
        if !self.greeted {
            check_hello(bytes)?;
            self.greeted = true;
        }
        Ok(decode(bytes)?)
    }
}

impl<S, R> AsFd for Door<S, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<S, R> AsRawFd for Door<S, R> {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// `Hello` is the first variant of both messages, and the version its first field, in every version.
fn check_hello(bytes: &[u8]) -> Result<(), DoorError> {
    let hello: Result<((u32, u16), _), _> = postcard::take_from_bytes(bytes);
    match hello {
        Ok(((0, VERSION), _)) => Ok(()),
        Ok(((0, theirs), _)) => Err(DoorError::Version { theirs }),
        _ => Err(DoorError::NoHello),
    }
}

fn failed(operation: &'static str, source: io::Error) -> DoorError {
    match source.kind() {
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::NotConnected => DoorError::Closed,
        _ => DoorError::Io { operation, source },
    }
}
