//! Sizes of maps and classes of records.

use crate::record::RecordHeader;

/// Entries of the flow map, unless configured: 250,000 simultaneous calls.
pub const FLOWS_DEFAULT: u32 = 524_288;
/// TCP connections known to carry signalling, unless configured; the least recently used gives way.
pub const TCP_CONNECTIONS_DEFAULT: u32 = 65_536;
/// Rings there is room for: the loader puts in what the machine's CPUs need.
pub const RINGS_DEFAULT: u32 = 512;
/// AF_XDP sockets, unless configured.
pub const SOCKETS_DEFAULT: u32 = 256;
/// Bytes of the ring that tells the kernel what rings are like; real ones are sized at load time.
pub const RING_TEMPLATE_BYTES: u32 = 65_536;

/// Frames that a record of each class can hold. The verifier wants constants to reserve:
/// G.711 of 20 ms with IPv6 and a tag; the same in a tunnel; an Ethernet MTU; a jumbo frame.
pub const FRAME_BYTES_SMALL: u32 = 240;
pub const FRAME_BYTES_TUNNEL: u32 = 512;
pub const FRAME_BYTES_MTU: u32 = 2048;
pub const FRAME_BYTES_JUMBO: u32 = 9600;
/// Longer frames are cut to this, and counted.
pub const FRAME_BYTES_MAX: u32 = FRAME_BYTES_JUMBO;

const _: () = assert!(FRAME_BYTES_SMALL >= 14 + 4 + 40 + 8 + 12 + 160);
const _: () = assert!(FRAME_BYTES_TUNNEL >= 2 * (14 + 4 + 40 + 8) + 12 + 160);
const _: () = assert!(FRAME_BYTES_MTU >= 1500 + 14 + 8);
const _: () = assert!(FRAME_BYTES_JUMBO >= 9216 + 14 + 8);
// The kernel puts 8 bytes before a record and aligns it to 8: nothing is lost to that.
const _: () = assert!(RecordHeader::BYTES.is_multiple_of(8));
const _: () = assert!(FRAME_BYTES_SMALL.is_multiple_of(8) && FRAME_BYTES_TUNNEL.is_multiple_of(8));
const _: () = assert!(FRAME_BYTES_MTU.is_multiple_of(8) && FRAME_BYTES_JUMBO.is_multiple_of(8));
// Kernel and user space must be able to parse what a record holds.
const _: () = assert!(FRAME_BYTES_SMALL >= 64);
