//! Every bound of capture in one place, with the relations that must hold between them (S10).

use std::time::Duration;

/// Taps of one capture. A record has eight bits for its source.
pub const INTERFACES_MAX: usize = 64;
/// Cores, and lanes of sources that copy.
pub const CORES_MAX: u64 = 1024;
/// Delay line of one core: half of what a BPF ring buffer can have.
pub const RING_MIB_MAX: u64 = 2 << 10;
/// As the segment log allows.
pub const SEGMENT_MIB_MAX: u64 = 4 << 10;
pub const HOLD_MS_MAX: u64 = 600_000;

/// Of the delay line's size, what signalling gets, and the least of it.
pub const SIGNALLING_RING_DIVISOR: usize = 8;
pub const SIGNALLING_RING_BYTES_MIN: usize = 1 << 20;
/// Each of the two rings in which a writer of kernel rings keeps datagrams that came in fragments.
pub const FRAGMENT_RING_BYTES: usize = 4 << 20;
/// Segments of a signalling lane.
pub const SIGNALLING_SEGMENT_BYTES: u64 = 8 << 20;

/// Commands that wait for a thread. Past it the door is not read on until there is room.
pub const ORDERS_MAX: usize = 1024;
/// Reports of all threads that wait for the main thread. Past it flows are announced by a later
/// packet, and statistics by the next report.
pub const REPORTS_MAX: usize = 4096;
/// Flows in one report.
pub const FLOWS_IN_REPORT_MAX: usize = 1024;
/// Masked packets in one report.
pub const OVERHEARD_IN_REPORT_MAX: usize = 128;
/// Flows that wait for the next control plane, because the last had just gone.
pub const UNHEARD_MAX: usize = 1 << 16;

/// Between two `Stats` of a source.
pub const STATS_INTERVAL: Duration = Duration::from_millis(500);
/// Between two reports of a thread: main has fresh numbers whenever it sends.
pub const REPORT_INTERVAL_NS: u64 = 200_000_000;
/// Between two looks at fragments that wait for the rest.
pub const EXPIRE_INTERVAL_NS: u64 = 100_000_000;
/// Between two measurements of the clocks' distance: for so long stamps may be wrong after somebody set the clock.
pub const CALIBRATION_INTERVAL_NS: u64 = 100_000_000;
/// Between two rounds of allocation, and of syncs.
pub const KEEPER_INTERVAL: Duration = Duration::from_millis(50);
pub const SYNC_INTERVAL: Duration = Duration::from_millis(1000);
/// How long a thread may take to write what is decided when capture ends.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Nap of a thread whose ring is empty, and to what it grows while little or nothing comes.
pub const NAP_MIN: Duration = Duration::from_micros(300);
pub const NAP_MAX: Duration = Duration::from_millis(2);
/// Bytes of progress after which a thread looks again at once.
pub const BUSY_BYTES: u64 = 64 << 10;
/// Less than this in a nap is little: at the shortest nap, what a hundred calls bring.
pub const SOME_BYTES: u64 = 4 << 10;

/// Of a packet socket's ring: a block holds the largest frame; it is handed over at the latest after this.
pub const PACKET_BLOCK_BYTES: u32 = 256 << 10;
pub const PACKET_BLOCK_RETIRE_MS: u32 = 2;
/// Frames taken from a packet socket before the ring behind is published.
pub const PACKET_BATCH_BLOCKS: u32 = 16;

/// Rounds through all sockets when capture ends, however much still comes.
pub const LAST_ROUNDS_MAX: u32 = 1024;

/// Frames of a UMEM. With 4,096, packets are lost whenever the scheduler hiccups.
pub const UMEM_FRAMES: u32 = 32_768;
pub const UMEM_FRAME_BYTES: u32 = 4096;
/// Entries of a socket's receive ring.
pub const XDP_RING_ENTRIES: u32 = 16_384;
/// Entries of a queue's fill ring: each frame, and those that the kernel has taken but not yet said so. It shows what it
/// received before it moves the fill ring's index, so for a moment a frame that came back is there twice.
pub const XDP_FILL_ENTRIES: u32 = 2 * UMEM_FRAMES;
pub const XDP_COMPLETION_ENTRIES: u32 = 64;
/// How long a receive queue that is still taken is waited for, and how often it is tried.
pub const QUEUE_FREE_TIMEOUT: Duration = Duration::from_secs(2);
pub const QUEUE_FREE_INTERVAL: Duration = Duration::from_millis(20);
/// Frames taken from an AF_XDP socket before their room is given back.
pub const XDP_BATCH: u32 = 256;
pub const SOCKETS_PER_QUEUE_MAX: i64 = 16;

/// Longest wait of the main thread.
pub const TICK: Duration = Duration::from_millis(100);

const _: () = {
    assert!(INTERFACES_MAX <= 256);
    assert!(SOME_BYTES < BUSY_BYTES);
    assert!(PACKET_BLOCK_BYTES as usize >= 2 * earwitness_line::limits::FRAME_BYTES_MAX);
    assert!(UMEM_FRAMES.is_power_of_two() && XDP_RING_ENTRIES.is_power_of_two());
    assert!(XDP_COMPLETION_ENTRIES.is_power_of_two());
    assert!(XDP_RING_ENTRIES <= UMEM_FRAMES && XDP_BATCH <= XDP_RING_ENTRIES);
    assert!((SEGMENT_MIB_MAX << 20) <= earwitness_segment::limits::SEGMENT_BYTES_MAX);
    assert!(SIGNALLING_SEGMENT_BYTES >= earwitness_segment::limits::SEGMENT_BYTES_MIN);
    assert!(RING_MIB_MAX << 20 <= 1 << 31);
    assert!((RING_MIB_MAX as usize) << 20 <= earwitness_line::limits::RING_BYTES_MAX);
    assert!(
        SIGNALLING_RING_BYTES_MIN.is_power_of_two() && SIGNALLING_RING_DIVISOR.is_power_of_two()
    );
    assert!(FRAGMENT_RING_BYTES.is_power_of_two());
    assert!(FRAGMENT_RING_BYTES >= 4 * earwitness_line::limits::FRAME_BYTES_MAX);
    assert!(SIGNALLING_RING_BYTES_MIN >= 4 * earwitness_line::limits::FRAME_BYTES_MAX);
    assert!(REPORT_INTERVAL_NS < STATS_INTERVAL.as_nanos() as u64);
};
