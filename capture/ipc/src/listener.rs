//! Where the control plane knocks: the socket file, and who may serve it.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::socket;
use crate::{CaptureDoor, Door, DoorError};

/// Owner and group may connect: the control plane runs as another user of the same group.
const MODE: u32 = 0o660;

/// Capture's listening end.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    /// `<path>.lock`, locked for as long as the path is ours.
    _lock: File,
}

impl Listener {
    /// Serves `path` and makes its folder. A socket file that a dead capture left is replaced; a live
    /// one's is `InUse`.
    pub fn bind(path: &Path) -> Result<Self, DoorError> {
        let failed =
            |operation| move |source| DoorError::Path { operation, path: path.to_owned(), source };
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(failed("create the folder of"))?;
        }
        let lock = lock(path)?;
        // The lock is ours: nobody alive serves the path, whatever lies there.
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.file_type().is_socket() => {
                fs::remove_file(path).map_err(failed("remove stale"))?;
            }
            Ok(_) => return Err(DoorError::NotASocket { path: path.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("stat")(error)),
        }
        let socket = socket::listen(path, MODE).map_err(failed("listen at"))?;
        // Gives back what the umask took.
        fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(failed("open up"))?;
        Ok(Self { socket, path: path.to_owned(), _lock: lock })
    }

    /// The next who connected, or `None` if nobody did.
    pub fn accept(&self) -> Result<Option<CaptureDoor>, DoorError> {
        loop {
            match socket::accept(self.socket.as_fd()) {
                Ok(socket) => return Ok(Some(Door::new(socket))),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    // accept(2): gone before it was accepted is nobody's fault.
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => return Err(DoorError::Io { operation: "accept", source: error }),
                },
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A sandbox may forbid it: then the next one to bind removes it.
        let _ = fs::remove_file(&self.path);
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn lock(path: &Path) -> Result<File, DoorError> {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&lock_path);
    let locked = opened.and_then(|file| match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    });
    match locked {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(DoorError::InUse { path: path.to_owned() }),
        Err(source) => Err(DoorError::Path { operation: "lock", path: lock_path, source }),
    }
}
