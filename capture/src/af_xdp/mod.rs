//! AF_XDP: the XDP program redirects frames into memory that is mapped here. For drivers with zero-copy, and where
//! BPF ring buffers are missing.
//!
//! - [`umem`]: the frames of one receive queue, and the rings through which they are given to the kernel.
//! - [`ring`]: the layout of a ring that is shared with the kernel.
//! - [`XdpSocket`]: receives what the program redirects to it.
//!
//! Frames are copied into the delay line at once: two seconds of it would need more frames than rings can hold, and
//! one copy is what the design allows between the driver's page and the delay line.

mod ring;
mod umem;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use earwitness_line::Producer;
use earwitness_line::frame::Frame;
use earwitness_wire::LinkType;
use thiserror::Error;

use crate::clock::now_ns;
use crate::interface::Interface;
use crate::limits::{QUEUE_FREE_INTERVAL, QUEUE_FREE_TIMEOUT, XDP_BATCH, XDP_RING_ENTRIES};
use crate::socket;
use ring::{Consumer, Descriptor};
pub use umem::Umem;

#[derive(Debug, Error)]
#[error("AF_XDP on {interface}, queue {queue}: cannot {operation}: {source}")]
pub struct XdpError {
    pub interface: String,
    pub queue: u32,
    pub operation: &'static str,
    pub source: io::Error,
}

/// How frames come from the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// The device writes into our frames.
    ZeroCopy,
    /// The kernel copies into them.
    Copy,
}

impl Transfer {
    fn flags(self) -> u16 {
        match self {
            Self::ZeroCopy => libc::XDP_ZEROCOPY | libc::XDP_USE_NEED_WAKEUP,
            Self::Copy => libc::XDP_COPY | libc::XDP_USE_NEED_WAKEUP,
        }
    }
}

/// What a socket lost, since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct XdpLosses {
    /// No free frame, or one too short.
    pub fill_ring: u64,
    /// The receive ring was full.
    pub receive_ring: u64,
}

/// Binds; a queue that another socket has just left is waited for: the kernel gives it back some moments after that
/// was closed, as by a process that was killed.
fn bind_when_free(socket: BorrowedFd<'_>, address: &libc::sockaddr_xdp) -> io::Result<()> {
    let deadline = Instant::now() + QUEUE_FREE_TIMEOUT;
    loop {
        match socket::bind(socket, address) {
            Err(error)
                if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline =>
            {
                thread::sleep(QUEUE_FREE_INTERVAL);
            }
            result => return result,
        }
    }
}

/// One socket of one receive queue.
#[derive(Debug)]
pub struct XdpSocket {
    // Unmapped before the socket is closed.
    receive: Consumer,
    umem: Arc<Umem>,
    socket: OwnedFd,
    /// The first socket of the queue, whose fill ring all of them use.
    is_first: bool,
    source: u8,
    queue: u32,
    /// Frames to be given back.
    batch: Vec<Descriptor>,
}

impl XdpSocket {
    /// Opens `count` sockets on a queue, which share its frames.
    ///
    /// # Errors
    /// [`XdpError`]; that the driver has no zero-copy is one.
    pub fn open_queue(
        interface: &Interface,
        queue: u32,
        count: u32,
        transfer: Transfer,
    ) -> Result<Vec<Self>, XdpError> {
        let failed = |operation| {
            let interface = interface.name.clone();
            move |source| XdpError { interface, queue, operation, source }
        };
        let open = || socket::open(libc::AF_XDP, libc::SOCK_RAW, 0);
        let first = open().map_err(failed("open a socket"))?;
        let umem = Umem::register(first.as_fd()).map_err(failed("register memory"))?;
        let umem = Arc::new(umem);
        let mut sockets = Vec::new();
        for at in 0..count {
            let is_first = at == 0;
            let socket = if is_first {
                first.try_clone().map_err(failed("duplicate a socket"))?
            } else {
                open().map_err(failed("open a socket"))?
            };
            let receive = Consumer::receive_ring(socket.as_fd(), XDP_RING_ENTRIES)
                .map_err(failed("make a receive ring"))?;
            let address = socket::zeroed(|address: &mut libc::sockaddr_xdp| {
                address.sxdp_family = libc::AF_XDP as u16;
                address.sxdp_ifindex = interface.index;
                address.sxdp_queue_id = queue;
                if is_first {
                    address.sxdp_flags = transfer.flags();
                } else {
                    address.sxdp_flags = libc::XDP_SHARED_UMEM;
                    address.sxdp_shared_umem_fd = raw(&first);
                }
            });
            bind_when_free(socket.as_fd(), &address).map_err(failed("bind"))?;
            let (umem, source) = (Arc::clone(&umem), interface.source);
            let batch = Vec::with_capacity(XDP_BATCH as usize);
            sockets.push(Self { receive, umem, socket, is_first, source, queue, batch });
        }
        umem.fill_all();
        Ok(sockets)
    }

    #[must_use]
    pub fn queue(&self) -> u32 {
        self.queue
    }

    /// Takes what came, at most a few batches, and publishes it. Gives the bytes taken.
    pub fn receive(&mut self, producer: &mut Producer) -> u64 {
        let mut bytes = 0;
        for _ in 0..XDP_RING_ENTRIES / XDP_BATCH {
            self.batch.clear();
            self.receive.take(XDP_BATCH, &mut self.batch);
            if self.batch.is_empty() {
                break;
            }
            let ts_ns = now_ns();
            for descriptor in &self.batch {
                let frame = self.umem.frame(descriptor);
                bytes += frame.len() as u64;
                producer.offer(&Frame {
                    ts_ns,
                    bytes: frame,
                    wire_len: frame.len() as u32,
                    link: LinkType::Ethernet,
                    source: self.source,
                });
            }
            producer.publish();
            self.umem.give_back(&self.batch);
        }
        // Zero-copy drivers stop when they find no frames, and want to be told that there are some.
        if self.is_first && self.umem.needs_wakeup() {
            socket::wake_receiver(self.socket.as_fd());
        }
        bytes
    }

    /// What the socket lost, since it was opened.
    #[must_use]
    pub fn losses(&self) -> XdpLosses {
        let statistics: io::Result<libc::xdp_statistics> =
            socket::get(self.socket.as_fd(), libc::SOL_XDP, libc::XDP_STATISTICS);
        statistics.map_or_else(
            |_| XdpLosses::default(),
            |statistics| XdpLosses {
                fill_ring: statistics.rx_dropped,
                receive_ring: statistics.rx_ring_full,
            },
        )
    }
}

impl AsFd for XdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn raw(socket: &OwnedFd) -> u32 {
    use std::os::fd::AsRawFd;
    socket.as_raw_fd().cast_unsigned()
}
