//! Values that are fixed when the program is loaded: the verifier removes the branches that they exclude.

/// What nobody wants is dropped: for a port that only taps.
pub const UNMATCHED_DROP: u32 = 0;
/// Every frame goes on to the host; what is wanted is copied. For a port that a live host uses.
pub const UNMATCHED_PASS: u32 = 1;

/// Frames are copied into the ring buffers of the CPU.
pub const OUTPUT_RING: u32 = 0;
/// Frames are redirected to AF_XDP sockets. Excludes `UNMATCHED_PASS`: a redirected frame does not reach the host.
pub const OUTPUT_SOCKET: u32 = 1;
