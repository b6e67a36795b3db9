//! The ring of a CPU: the XDP program fills it, one thread of user space empties it, both through shared memory.
//!
//! ```text
//!  positions grow:      tail                                     head
//!  ──────┬───────────────┬────────────────────────────────────────┬──────────────
//!   free │               │ record │ record │ record │ … │ record  │  free
//!  ──────┴───────────────┴────────────────────────────────────────┴──────────────
//!         user space stores it                     the program stores it, last of all
//! ```
//!
//! A position modulo the ring's bytes is a place: a chunk, and an offset in it. The verifier wants to see that a write
//! stays within one map value, so a chunk is a value, and it has room behind its end for the longest record: records
//! begin within a chunk's bytes, may end behind them, and the next one then begins the next chunk.
//!
//! Only one program at a time writes: those of one CPU do not interrupt each other. Where a kernel lets them
//! (PREEMPT_RT), `busy` says so, and the later one finds no room.

use crate::limits::FRAME_BYTES_MAX;
use crate::record::RecordHeader;

/// Records begin at multiples of this.
pub const RECORD_ALIGN: u32 = 8;
/// Bytes of positions in a chunk; a power of two.
pub const CHUNK_BYTES: u32 = 128 << 10;
/// Bytes of a chunk in memory: a record that begins at its last place fits.
pub const CHUNK_STRIDE: u32 = CHUNK_BYTES + record_bytes(FRAME_BYTES_MAX);

/// One chunk, the value of a ring's map.
#[repr(C, align(8))]
#[derive(Debug)]
pub struct Chunk(pub [u8; CHUNK_STRIDE as usize]);

/// What a frame of so many bytes takes.
#[must_use]
#[inline(always)]
pub const fn record_bytes(frame_bytes: u32) -> u32 {
    (RecordHeader::BYTES as u32 + frame_bytes).next_multiple_of(RECORD_ALIGN)
}

/// The position behind a record of so many bytes.
#[must_use]
#[inline(always)]
pub const fn next_position(position: u64, record_bytes: u32) -> u64 {
    let mask = CHUNK_BYTES as u64 - 1;
    let next = position + record_bytes as u64;
    // It may end behind its chunk, but not in the middle of the next one, which begins with a record.
    if (position & mask) + record_bytes as u64 > mask { (position | mask) + 1 } else { next }
}

/// The words that both sides share, in a map of their own: on cache lines by who stores them.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Control {
    pub producer: Producer,
    pub consumer: Consumer,
    pub size: Size,
}

/// Stored by the program.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Producer {
    /// Behind the last record; stored with release order after it.
    pub head: u64,
    /// The consumer's `tail` when the program looked last: it looks again only where that is not enough.
    pub tail_seen: u64,
    /// A program writes a record.
    pub busy: u64,
}

/// Stored by user space.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Consumer {
    /// The first record that is still needed; stored with release order after the last look at what lay before.
    pub tail: u64,
}

/// Stored by user space before the program runs.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub struct Size {
    /// A power of two, at least a chunk; 0 where there is no ring.
    pub bytes: u64,
    /// The ring's first chunk, among those of all rings.
    pub first_chunk: u64,
}

impl Control {
    pub const BYTES: usize = 192;
    pub const HEAD_AT: usize = 0;
    pub const TAIL_AT: usize = 64;
    pub const SIZE_AT: usize = 128;

    /// Of an empty ring of so many bytes, as it lies in the map.
    #[must_use]
    pub fn empty(bytes: u32, first_chunk: u32) -> [u8; Self::BYTES] {
        let mut control = [0; Self::BYTES];
        for (at, value) in [bytes, first_chunk].into_iter().enumerate() {
            let at = Self::SIZE_AT + 8 * at;
            control[at..at + 8].copy_from_slice(&u64::from(value).to_ne_bytes());
        }
        control
    }
}

const _: () = assert!(size_of::<Control>() == Control::BYTES);
const _: () = assert!(core::mem::offset_of!(Control, consumer) == Control::TAIL_AT);
const _: () = assert!(core::mem::offset_of!(Control, size) == Control::SIZE_AT);
const _: () = assert!(core::mem::offset_of!(Size, first_chunk) == 8);
const _: () = assert!(CHUNK_BYTES.is_power_of_two() && CHUNK_STRIDE.is_multiple_of(8));
const _: () = assert!(size_of::<Chunk>() == CHUNK_STRIDE as usize);

#[cfg(test)]
mod tests {
    use super::*;

    /// CAP-2: records follow each other without a gap, but for the end of a chunk.
    #[test]
    fn a_record_never_begins_behind_a_chunks_end() {
        let chunk = u64::from(CHUNK_BYTES);
        assert_eq!(record_bytes(214), 256);
        assert_eq!(next_position(0, 256), 256);
        assert_eq!(next_position(chunk - 256, 256), chunk);
        assert_eq!(next_position(chunk - 8, 256), chunk);
        assert_eq!(next_position(5 * chunk - 8, CHUNK_STRIDE - CHUNK_BYTES), 5 * chunk);
        assert_eq!(next_position(5 * chunk - 512, 256), 5 * chunk - 256);
    }
}
