//! Every bound of the segment log in one place, with the relations that must hold between them.

/// The header page; blocks begin behind it.
pub const HEADER_BYTES: u64 = 4096;
/// Blocks start on cache lines.
pub const BLOCK_ALIGN: u64 = 64;
pub const BLOCK_HEADER_BYTES: u64 = 64;
/// Records start on words.
pub const RECORD_ALIGN: u64 = 8;
pub const RECORD_HEADER_BYTES: u64 = 40;

/// A block closes when it holds this much, unless one frame alone is larger.
pub const BLOCK_BYTES_DEFAULT: u32 = 64 << 10;
pub const BLOCK_BYTES_MIN: u32 = 4 << 10;
/// A record names its block by a distance of 16 bits in words, so no block may be longer.
pub const BLOCK_BYTES_MAX: u32 = 512 << 10;

/// Longest frame a record can hold: a reassembled IP datagram with all its tunnels fits twice.
pub const FRAME_BYTES_MAX: u32 = 128 << 10;

pub const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;
pub const SEGMENT_BYTES_MIN: u64 = 1 << 20;
/// 2^26 cache lines: what a cursor's block field can name.
pub const SEGMENT_BYTES_MAX: u64 = 4 << 30;
/// Segments end on pages.
pub const SEGMENT_ALIGN: u64 = 4096;

/// Sequence numbers have 24 bits: a petabyte and more for each lane.
pub const SEQ_BITS: u32 = 24;
pub const SEQ_MAX: u32 = (1 << SEQ_BITS) - 1;
/// Width of the locator below the sequence number in a position.
pub const LOCATOR_BITS: u32 = 40;
/// Width of the record's number within its block.
pub const ORDINAL_BITS: u32 = 14;
/// Width of a block's number (its offset in cache lines).
pub const BLOCK_BITS: u32 = 26;

/// A signalling block of fewer bytes is not compressed: one message has little that repeats, and preparing for it costs more
/// than all else that is done with it.
pub const PACK_BYTES_MIN: usize = 2 << 10;

/// Released segments kept for use again.
pub const RECYCLE_DEFAULT: u32 = 4;
pub const RECYCLE_MAX: u32 = 1024;
/// Closed segments that wait for a sync. At the next one, the writer itself syncs the oldest.
pub const UNSYNCED_MAX: usize = 64;

/// What a reader fetches at once; longer blocks are fetched whole.
pub const READ_BYTES: usize = 256 << 10;
/// What is read of a record by itself; longer ones are read whole. Most hold 20 ms of speech.
pub const PIECE_BYTES: u64 = 320;
/// Where the next record lies so close to the last, it is read together with its neighbours,
pub const NEAR_BYTES: u64 = 3 << 10;
/// of this length: so much is copied in the time of two or three system calls.
pub const RUN_BYTES: u64 = 16 << 10;
/// Segments that a `Log` keeps open.
pub const OPEN_MAX: usize = 64;
/// Segments of which a `Log` remembers, when they are not open any more, which blocks it has checked.
pub const KNOWN_MAX: usize = 4096;
/// Records of one chain that one erasure looks at: an hour of 20 ms, and more.
pub const ERASURE_RECORDS_MAX: usize = 1 << 20;
/// Records of a chain are in the order of their arrival, but where several queues brought them: by no more than this.
pub const FLOW_DISORDER_NS: u64 = 2_000_000_000;
/// So often a reader looks again whether an erasure is over, a millisecond apart.
pub const ERASING_LOOKS_MAX: u32 = 200;
/// Unpacked blocks that a `Log` keeps.
pub const UNPACKED_MAX: usize = 16;

const _: () = {
    assert!(SEQ_BITS + LOCATOR_BITS == 64);
    assert!(BLOCK_BITS + ORDINAL_BITS == LOCATOR_BITS);
    assert!(SEGMENT_BYTES_MAX / BLOCK_ALIGN == 1 << BLOCK_BITS);
    assert!(SEGMENT_BYTES_MAX <= 1 << LOCATOR_BITS);
    assert!(SEGMENT_BYTES_MAX <= usize::MAX as u64);
    // The last record of the longest block still reaches its block header.
    assert!(BLOCK_BYTES_MAX as u64 / RECORD_ALIGN <= 1 << 16);
    // The shortest records do not overflow the ordinal.
    assert!((BLOCK_BYTES_MAX as u64 / RECORD_HEADER_BYTES) < 1 << ORDINAL_BITS);
    assert!(
        FRAME_BYTES_MAX as u64 + RECORD_HEADER_BYTES + RECORD_ALIGN + BLOCK_HEADER_BYTES
            <= BLOCK_BYTES_MAX as u64
    );
    assert!(BLOCK_BYTES_DEFAULT >= BLOCK_BYTES_MIN && BLOCK_BYTES_DEFAULT <= BLOCK_BYTES_MAX);
    // Any block fits an empty segment.
    assert!(HEADER_BYTES + BLOCK_BYTES_MAX as u64 <= SEGMENT_BYTES_MIN);
    assert!(HEADER_BYTES.is_multiple_of(BLOCK_ALIGN));
    assert!(BLOCK_HEADER_BYTES.is_multiple_of(RECORD_ALIGN));
    assert!(RECORD_HEADER_BYTES.is_multiple_of(RECORD_ALIGN));
    assert!(SEGMENT_BYTES_DEFAULT.is_multiple_of(SEGMENT_ALIGN));
};
