//! Packet sockets with TPACKET_V3: for kernels and drivers without XDP.
//!
//! The kernel fills blocks of a ring that is mapped here; a block is ours from the moment the kernel says so until
//! we give it back. Nothing is waited for: who owns the source naps when it is empty.

mod block;
mod ring;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use earwitness_line::Producer;
use earwitness_line::frame::Frame;
use earwitness_wire::LinkType;
use thiserror::Error;

use crate::clock::{Clock, Stamp, plausible_utc_ns};
use crate::interface::Interface;
use crate::limits::{PACKET_BATCH_BLOCKS, PACKET_BLOCK_BYTES, PACKET_BLOCK_RETIRE_MS};
use crate::socket;
use block::Stamped;
use ring::BlockRing;

#[derive(Debug, Error)]
#[error("packet socket on {interface}: cannot {operation}: {source}")]
pub struct PacketError {
    pub interface: String,
    pub operation: &'static str,
    pub source: io::Error,
}

/// Sockets of one interface that share its flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fanout {
    /// One number for the sockets of one interface.
    pub group: u16,
    pub sockets: u32,
}

/// What one look at a packet socket gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taken {
    pub bytes: u64,
    /// Nothing was left that the kernel had handed over.
    pub all: bool,
}

/// Room at the front of each frame, so that a tag fits in.
const TAG_BYTES: i32 = 4;
/// linux/if_packet.h, which `libc` lacks.
const PACKET_RESERVE: i32 = 12;

/// One packet socket.
#[derive(Debug)]
pub struct PacketSource {
    socket: OwnedFd,
    ring: BlockRing,
    index: u32,
    source: u8,
    fanout: Option<Fanout>,
    tai: Clock,
    lost: u64,
}

impl PacketSource {
    /// Opens a socket that receives from now on.
    ///
    /// # Errors
    /// [`PacketError`].
    pub fn open(
        interface: &Interface,
        ring_bytes: usize,
        fanout: Option<Fanout>,
    ) -> Result<Self, PacketError> {
        let failed = |operation| {
            move |source| PacketError { interface: interface.name.clone(), operation, source }
        };
        // Protocol 0: nothing comes before the ring is there.
        let socket = socket::open(libc::AF_PACKET, libc::SOCK_RAW, 0).map_err(failed("open"))?;
        let set =
            |option, value: i32| socket::set(socket.as_fd(), libc::SOL_PACKET, option, &value);
        let version = libc::tpacket_versions::TPACKET_V3 as i32;
        set(libc::PACKET_VERSION, version).map_err(failed("use TPACKET_V3"))?;
        set(PACKET_RESERVE, TAG_BYTES).map_err(failed("reserve room for tags"))?;
        // What the host itself sends is no tapped traffic; XDP does not see it either.
        set(libc::PACKET_IGNORE_OUTGOING, 1).map_err(failed("ignore outgoing frames"))?;
        // Stamps of the device, where somebody switched them on; else the kernel's.
        let device_stamps = libc::SOF_TIMESTAMPING_RAW_HARDWARE.cast_signed();
        set(libc::PACKET_TIMESTAMP, device_stamps).map_err(failed("ask for device stamps"))?;
        let blocks = (ring_bytes / PACKET_BLOCK_BYTES as usize).max(4) as u32;
        let request = libc::tpacket_req3 {
            tp_block_size: PACKET_BLOCK_BYTES,
            tp_block_nr: blocks,
            // V3 packs frames of any length; the kernel only checks that this divides a block.
            tp_frame_size: 2048,
            tp_frame_nr: PACKET_BLOCK_BYTES / 2048 * blocks,
            tp_retire_blk_tov: PACKET_BLOCK_RETIRE_MS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        socket::set(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_RX_RING, &request)
            .map_err(failed("allocate its ring: less --ring-mib may help"))?;
        let ring = BlockRing::map(&socket, blocks).map_err(failed("map its ring"))?;
        let (index, source) = (interface.index, interface.source);
        let tai = Clock::new(Stamp::Tai);
        let mut opened = Self { socket, ring, index, source, fanout, tai, lost: 0 };
        opened.bind().map_err(failed("bind"))?;
        Ok(opened)
    }

    /// Takes what the kernel handed over, at most a batch, and publishes it.
    pub fn receive(&mut self, producer: &mut Producer, now_ns: u64) -> Taken {
        let mut taken = Taken::default();
        self.tai.keep(now_ns);
        for _ in 0..PACKET_BATCH_BLOCKS {
            let Some(mut block) = self.ring.take() else {
                taken.all = true;
                break;
            };
            for packet in block.packets() {
                taken.bytes += packet.bytes.len() as u64;
                let device = match packet.stamped {
                    Stamped::Device => plausible_utc_ns(packet.ts_ns, self.tai.to_utc_ns(), now_ns)
                        .or(Some(now_ns)),
                    Stamped::Kernel => None,
                };
                producer.offer(&Frame {
                    ts_ns: device.unwrap_or(packet.ts_ns),
                    bytes: packet.bytes,
                    wire_len: packet.wire_len,
                    link: LinkType::Ethernet,
                    source: self.source,
                });
            }
            producer.publish();
        }
        taken
    }

    /// Frames that found the ring full, since the start.
    pub fn lost(&mut self) -> u64 {
        // The kernel begins anew with each look.
        let statistics: io::Result<libc::tpacket_stats_v3> =
            socket::get(self.socket.as_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS);
        if let Ok(statistics) = statistics {
            self.lost += u64::from(statistics.tp_drops);
        }
        self.lost
    }

    /// The interface was made anew, with another number.
    ///
    /// # Errors
    /// What the kernel says; it binds no socket again that shares flows with others.
    pub fn renew(&mut self, index: u32) -> io::Result<()> {
        self.index = index;
        self.bind()
    }

    fn bind(&mut self) -> io::Result<()> {
        let address = socket::zeroed(|address: &mut libc::sockaddr_ll| {
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
            address.sll_ifindex = self.index.cast_signed();
        });
        socket::bind(self.socket.as_fd(), &address)?;
        let Some(Fanout { group, .. }) = self.fanout.filter(|fanout| fanout.sockets > 1) else {
            return Ok(());
        };
        let value = u32::from(group) | libc::PACKET_FANOUT_HASH << 16;
        socket::set(self.socket.as_fd(), libc::SOL_PACKET, libc::PACKET_FANOUT, &value)
    }
}
