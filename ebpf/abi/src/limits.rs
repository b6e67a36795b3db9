//! Sizes of maps and records.

/// Pairs of ports whose verdicts there is room for, unless configured: 250,000 simultaneous calls.
pub const VERDICTS_DEFAULT: u32 = 524_288;
/// TCP connections known to carry signalling, unless configured; the least recently used gives way.
pub const TCP_CONNECTIONS_DEFAULT: u32 = 65_536;
/// Rings there is room for: the loader puts in what the machine's CPUs need.
pub const RINGS_DEFAULT: u32 = 512;
/// AF_XDP sockets, unless configured.
pub const SOCKETS_DEFAULT: u32 = 256;
/// Longest frame that is kept whole, a jumbo frame; longer ones are cut to this, and counted.
pub const FRAME_BYTES_MAX: u32 = 9600;

const _: () = assert!(FRAME_BYTES_MAX >= 9216 + 14 + 8);
const _: () = assert!(FRAME_BYTES_MAX.is_multiple_of(8));
