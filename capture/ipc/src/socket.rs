//! `SOCK_SEQPACKET` over Unix paths, which the standard library lacks, as safe functions.
#![expect(unsafe_code, reason = "libc is C")]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const KIND: i32 = libc::SOCK_SEQPACKET | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4;

/// A socket at `path` with never more than these permissions, less what the umask takes.
pub(crate) fn listen(path: &Path, mode: libc::mode_t) -> io::Result<OwnedFd> {
    let (address, length) = address(path)?;
    let socket = socket()?;
    let fd = socket.as_raw_fd();
    // SAFETY: the descriptor is open. Linux gives the file that bind makes the socket's own mode.
    check(unsafe { libc::fchmod(fd, mode) })?;
    // SAFETY: `address` lives through the call and is `length` bytes long or longer.
    check(unsafe { libc::bind(fd, (&raw const address).cast(), length) })?;
    // SAFETY: the descriptor is open.
    check(unsafe { libc::listen(fd, BACKLOG) })?;
    Ok(socket)
}

pub(crate) fn connect(path: &Path) -> io::Result<OwnedFd> {
    let (address, length) = address(path)?;
    let socket = socket()?;
    // SAFETY: `address` lives through the call and is `length` bytes long or longer.
    check(unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(socket)
}

/// `WouldBlock` if nobody waits.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the descriptor is open; no address is asked for.
    let fd = check(unsafe {
        libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), flags)
    })?;
    // SAFETY: the kernel just made it, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends one whole message or none.
pub(crate) fn send(socket: BorrowedFd<'_>, message: &[u8]) -> io::Result<()> {
    // A peer that is gone is an error, not a signal.
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: the kernel reads `message.len()` bytes of `message`.
    let sent =
        unsafe { libc::send(socket.as_raw_fd(), message.as_ptr().cast(), message.len(), flags) };
    usize::try_from(sent).map(drop).map_err(|_| io::Error::last_os_error())
}

/// Receives one message; returns its whole length, which may be more than fits `buffer`. 0: the peer
/// closed.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    // SAFETY: the kernel writes at most `buffer.len()` bytes into `buffer`.
    let received =
        unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) };
    usize::try_from(received).map_err(|_| io::Error::last_os_error())
}

fn socket() -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let fd = check(unsafe { libc::socket(libc::AF_UNIX, KIND, 0) })?;
    // SAFETY: the kernel just made it, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn address(path: &Path) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    let bytes = path.as_os_str().as_bytes();
    // SAFETY: `sockaddr_un` is numbers only, for which zeros are valid.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    // One byte less than there is: the path ends with a zero.
    if bytes.is_empty() || bytes.len() >= address.sun_path.len() || bytes.contains(&0) {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = from.cast_signed();
    }
    Ok((address, size_of::<libc::sockaddr_un>() as libc::socklen_t))
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
