//! A tap: its number, its queues, promiscuous mode, and what its device lost.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use thiserror::Error;

use crate::socket;

#[derive(Debug, Error)]
pub enum InterfaceError {
    #[error("interface {name}: {source}; `ip link` lists those there are")]
    Unknown { name: String, source: io::Error },
    #[error("interface {name}: cannot {operation}: {source}")]
    Setup { name: String, operation: &'static str, source: io::Error },
}

/// A tap that is held in promiscuous mode for as long as this lives.
#[derive(Debug)]
pub struct Interface {
    pub name: String,
    pub index: u32,
    /// Its number in records and counters.
    pub source: u8,
    /// Receive queues.
    pub queues: u32,
    promiscuous: OwnedFd,
    drops: DropCounters,
}

impl Interface {
    /// Finds the interface, and sets it promiscuous.
    ///
    /// # Errors
    /// [`InterfaceError`].
    pub fn open(name: &str, source: u8) -> Result<Self, InterfaceError> {
        let unknown = |source| InterfaceError::Unknown { name: name.to_owned(), source };
        let setup = |operation| {
            move |source| InterfaceError::Setup { name: name.to_owned(), operation, source }
        };
        let c_name = CString::new(name).map_err(|error| unknown(error.into()))?;
        let index = socket::interface_index(&c_name).map_err(unknown)?;
        // Protocol 0: this socket receives nothing.
        let promiscuous = socket::open(libc::AF_PACKET, libc::SOCK_RAW, 0)
            .map_err(setup("open a packet socket"))?;
        join(&promiscuous, index).map_err(setup("set it promiscuous"))?;
        let folder = Path::new("/sys/class/net").join(name);
        Ok(Self {
            name: name.to_owned(),
            index,
            source,
            queues: queues(&folder),
            promiscuous,
            drops: DropCounters::open(&folder.join("statistics")),
        })
    }

    /// The interface was made anew: its number has changed, and the new one is not promiscuous yet.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn renew(&mut self, index: u32) -> io::Result<()> {
        self.index = index;
        join(&self.promiscuous, index)
    }

    /// What the device lost since the start. With XDP, some drivers count what the program drops as `rx_dropped`;
    /// without, what the kernel could not queue is in there.
    #[must_use]
    pub fn lost(&self, attached: Attached) -> u64 {
        self.drops.lost(attached)
    }
}

/// Where frames are taken from the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    Xdp,
    PacketSocket,
}

fn join(socket: &OwnedFd, index: u32) -> io::Result<()> {
    let membership = libc::packet_mreq {
        mr_ifindex: index.cast_signed(),
        mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    socket::set(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &membership)
}

fn queues(folder: &Path) -> u32 {
    let count = fs::read_dir(folder.join("queues")).map_or(0, |entries| {
        entries
            .flatten()
            .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"rx-"))
            .count()
    });
    u32::try_from(count).unwrap_or(u32::MAX).max(1)
}

/// Files that are opened before the cage closes, and what they said then.
#[derive(Debug)]
struct DropCounters {
    /// Missed for want of a descriptor or of room in the device's queue.
    device: Vec<DropCounter>,
    /// `rx_dropped`.
    kernel: Vec<DropCounter>,
}

#[derive(Debug)]
struct DropCounter {
    file: File,
    at_start: u64,
}

impl DropCounters {
    fn open(folder: &Path) -> Self {
        // An interface without a counter has nothing to count there.
        let open = |names: &[&str]| {
            names.iter().filter_map(|name| DropCounter::open(&folder.join(name))).collect()
        };
        // Linux Documentation/networking/statistics.rst: these two do not count the same packets.
        let device = open(&["rx_missed_errors", "rx_fifo_errors"]);
        Self { device, kernel: open(&["rx_dropped"]) }
    }

    fn lost(&self, attached: Attached) -> u64 {
        let kernel: &[DropCounter] = match attached {
            Attached::Xdp => &[],
            Attached::PacketSocket => &self.kernel,
        };
        self.device.iter().chain(kernel).map(DropCounter::since_start).sum()
    }
}

impl DropCounter {
    fn open(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let at_start = read(&file)?;
        Some(Self { file, at_start })
    }

    /// Zero once the interface is gone: what it lost till then was told before.
    fn since_start(&self) -> u64 {
        read(&self.file).map_or(0, |now| now.saturating_sub(self.at_start))
    }
}

fn read(file: &File) -> Option<u64> {
    let mut text = [0; 24];
    let length = file.read_at(&mut text, 0).ok()?;
    str::from_utf8(text.get(..length)?).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// CAP-8: only what was lost since the start counts, and `rx_dropped` only where it means loss.
    #[test]
    fn drops_are_counted_from_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, value: u64| {
            let mut file = File::create(folder.path().join(name)).unwrap();
            writeln!(file, "{value}").unwrap();
        };
        write("rx_missed_errors", 100);
        write("rx_dropped", 7);
        let counters = DropCounters::open(folder.path());
        write("rx_missed_errors", 130);
        write("rx_dropped", 9);
        assert_eq!(counters.lost(Attached::Xdp), 30);
        assert_eq!(counters.lost(Attached::PacketSocket), 32);
    }

    /// OPS-3: a name that is no interface is an error that says where to look.
    #[test]
    fn unknown_interface_is_an_error() {
        let error = Interface::open("no-such-if0", 0).unwrap_err();
        assert!(error.to_string().contains("`ip link` lists"), "{error}");
        assert!(matches!(Interface::open("a\0b", 0), Err(InterfaceError::Unknown { .. })));
    }
}
