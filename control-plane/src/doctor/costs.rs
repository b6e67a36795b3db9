//! What a packet and a call cost, as measured: the one place that `earwitness doctor` and `perf/CAPACITY.md` take it from.
//!
//! Numbers hold for the machine they were measured on (two virtual cores of an AMD EPYC) and are rounded up. Each
//! names the command that makes it; on another machine run that, and expect other numbers.

/// The kernel's work for a packet of 214 bytes that the XDP program copies into a ring, in nanoseconds of one core.
/// `make perf`, line `earwitness bpf_ring`, column `kernel ns`.
pub const KERNEL_NS: u64 = 140;

/// The capture process's work for a packet that it writes to a segment.
/// `make perf`, line `earwitness bpf_ring`, column `process ns`.
pub const PROCESS_NS: u64 = 150;

/// What the one thread that follows the log takes for a packet of 10,000 calls at once: read, checked, noted for its
/// call. `earwitness-perf stages "segment reader" "media record, 10000 calls"`, both together.
pub const FOLLOW_NS: u64 = 620;

/// The control plane's work for a packet from the log to a durable WAV file, following included. User and system time
/// of `earwitness replay` over 1,000 calls of 60 s (`earwitness-fixtures load.pcap --calls 1000 --seconds 60 --spacing-ms 0`), by
/// packet, as it was while a replay's log lay as a tap's does, packets of all calls one by one; sorted by flows, as it is now, it is
/// read in 1,400. Replay does the line's work, too, and reads the capture file: this is no less than what a tap needs.
pub const CONTROL_NS: u64 = 3_240;

/// Encoding a second of stereo, in nanoseconds of one core, beside [`CONTROL_NS`].
/// `earwitness-perf stages "MP3 of stereo" "Opus of stereo"`: a second by the times real time.
pub const MP3_NS: u64 = 1_470_000;
pub const OPUS_NS: u64 = 8_900_000;

/// What the control plane keeps of a call in progress. `earwitness-perf stages "calls held, 10000"`, bytes each.
pub const CALL_BYTES: u64 = 3_398;
