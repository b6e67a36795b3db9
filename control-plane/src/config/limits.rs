//! Bounds of configured values that others must know, too (S10). Those that matter to one key only stand beside its
//! check.

/// Delay line of one core, in MiB: half of what a BPF ring buffer can have, and what the capture process takes.
pub const RING_MIB_MAX: u32 = 2048;

// The size is rounded up to a power of two: none in range is rounded out of it.
const _: () = assert!(RING_MIB_MAX.is_power_of_two());

/// Headers by which legs are joined: each is looked for in every INVITE.
pub const CORRELATE_HEADERS_MAX: usize = 4;
