//! A process that is not a child of ours, held so that nobody else can be meant.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The process; its number may be another's when it has ended, this is not.
#[derive(Debug)]
pub(super) struct Foreign {
    pidfd: OwnedFd,
}

impl Foreign {
    /// # Errors
    /// There is none with this number, or the kernel is older than 5.3.
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        // SAFETY: takes two numbers and touches no memory.
        let number = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let number = RawFd::try_from(number).map_err(io::Error::other)?;
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just opened it for us, and nobody else knows it.
        Ok(Self { pidfd: unsafe { OwnedFd::from_raw_fd(number) } })
    }

    /// Ends it without asking, and waits for that; false if it is still there after this time.
    ///
    /// # Errors
    /// It may not be killed by us.
    pub(super) fn kill(&self, patience: Duration) -> io::Result<bool> {
        let signal = libc::c_long::from(libc::SIGKILL);
        // SAFETY: takes a descriptor that is open as long as this lives, numbers, and no information beside the signal.
        let failed = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.pidfd.as_raw_fd(), signal, 0, 0)
        };
        let error = io::Error::last_os_error();
        if failed != 0 && error.raw_os_error() != Some(libc::ESRCH) {
            return Err(error);
        }
        let mut ended =
            libc::pollfd { fd: self.pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let patience_ms = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: one structure, which lives through the call.
        Ok(unsafe { libc::poll(&raw mut ended, 1, patience_ms) } == 1)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// OPS-6: a process ends although it does not listen; one that has ended is not taken for another.
    #[test]
    fn killed_for_certain() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let foreign = Foreign::of(child.id()).unwrap();
        assert!(foreign.kill(Duration::from_secs(10)).unwrap());
        child.wait().unwrap();
        assert!(foreign.kill(Duration::from_secs(10)).unwrap(), "gone is gone");
        assert!(Foreign::of(child.id()).is_err());
    }
}
