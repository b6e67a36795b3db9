//! What can go wrong with the program.

use std::error::Error;
use std::io;

use aya::EbpfError;
use aya::maps::MapError;
use aya::programs::{ProgramError as AyaError, XdpError};
use earwitness_wire::limits::VXLAN_PORTS_MAX;
use thiserror::Error;

#[derive(Debug, Error)]
pub enum ProgramError {
    #[error("frames redirected to AF_XDP sockets do not reach the host: unmatched must be drop")]
    SocketsCannotPass,
    #[error("{count} VXLAN ports, and there is room for {VXLAN_PORTS_MAX}")]
    TooManyVxlanPorts { count: usize },
    #[error("a ring of {bytes} bytes: must be a power of two, and at least 128 KiB")]
    RingBytes { bytes: u32 },
    #[error("{queues} queues with {sockets_per_queue} sockets each")]
    NoSockets { queues: u32, sockets_per_queue: u32 },
    #[error("{path}")]
    Cpus { path: &'static str, source: io::Error },
    #[error("the XDP program or its maps could not be created")]
    Load { source: EbpfError },
    #[error("the kernel refused the XDP program")]
    Verify { source: AyaError },
    #[error("the XDP program has no {name}")]
    Missing { name: &'static str },
    #[error("the XDP program could not be attached to {interface}")]
    Attach { interface: String, source: AyaError },
    #[error("the kernel gave no link for {interface}, so that the program would outlive its owner")]
    NoLink { interface: String },
    #[error("map {name}: {action}")]
    Map { name: &'static str, action: &'static str, source: io::Error },
    #[error("all {max} entries of the flow map are in use")]
    VerdictsFull { max: u32 },
    #[error("there is no place for socket {index} of queue {queue}")]
    NoSlot { queue: u32, index: u32 },
    #[error("socket {index} of queue {queue} was refused")]
    Socket { queue: u32, index: u32, source: MapError },
}

impl ProgramError {
    /// What the kernel answered to an attach, if it answered.
    fn attach_errno(&self) -> Option<i32> {
        match self {
            Self::Attach { source: AyaError::SyscallError(error), .. } => {
                error.io_error.raw_os_error()
            }
            Self::Attach { source: AyaError::XdpError(XdpError::NetlinkError(error)), .. } => {
                error.raw_os_error()
            }
            _ => None,
        }
    }

    /// Another mode would be refused as well: no such interface, no privilege, or another program is there.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Attach { source: AyaError::UnknownInterface { .. }, .. } => true,
            Self::Attach { .. } => matches!(
                self.attach_errno(),
                Some(libc::ENODEV | libc::EPERM | libc::EACCES | libc::EBUSY | libc::EEXIST)
            ),
            _ => true,
        }
    }

    /// The last error of the chain.
    pub(super) fn cause(&self) -> String {
        let mut cause: &dyn Error = self;
        while let Some(source) = cause.source() {
            cause = source;
        }
        cause.to_string()
    }
}
