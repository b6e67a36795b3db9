//! Where a record is: a position names one record for good, a cursor names where reading goes on.

use std::fmt;

use crate::LaneKind;
use crate::limits::{BLOCK_ALIGN, BLOCK_BITS, LOCATOR_BITS, ORDINAL_BITS, SEQ_MAX};

/// One record of a lane. Zero names no record.
///
/// Bits 63 to 40 are the segment's sequence number (from 1), the rest locates the record in it:
/// in a media lane the record's byte offset; in a signalling lane, whose blocks may be compressed, the
/// block's offset in cache lines (26 bits) and the record's number within the block (14 bits).
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug, Default)]
pub struct RecordPos(pub u64);

impl RecordPos {
    pub const NONE: Self = Self(0);

    pub fn media(seq: u32, offset: u64) -> Self {
        debug_assert!(seq <= SEQ_MAX && offset < 1 << LOCATOR_BITS);
        Self(u64::from(seq) << LOCATOR_BITS | offset)
    }

    pub fn signalling(seq: u32, block: u32, ordinal: u32) -> Self {
        debug_assert!(seq <= SEQ_MAX && block < 1 << BLOCK_BITS && ordinal < 1 << ORDINAL_BITS);
        Self(u64::from(seq) << LOCATOR_BITS | u64::from(block) << ORDINAL_BITS | u64::from(ordinal))
    }

    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The segment that holds the record.
    pub fn seq(self) -> u32 {
        (self.0 >> LOCATOR_BITS) as u32
    }

    /// The low 40 bits.
    pub fn locator(self) -> u64 {
        self.0 & ((1 << LOCATOR_BITS) - 1)
    }

    /// Byte offset that the locator leads to: the record in a media lane, else its block.
    pub fn offset(self, kind: LaneKind) -> u64 {
        match kind {
            LaneKind::Media => self.locator(),
            LaneKind::Signalling => (self.locator() >> ORDINAL_BITS) * BLOCK_ALIGN,
        }
    }

    /// Number within the block; means something in a signalling lane only.
    pub fn ordinal(self) -> u32 {
        (self.0 & ((1 << ORDINAL_BITS) - 1)) as u32
    }
}

impl fmt::Display for RecordPos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:#x}", self.seq(), self.locator())
    }
}

/// The next record to read. The default starts at the oldest segment there is.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug, Default)]
pub struct Cursor {
    /// Segment; 0 means the oldest.
    pub seq: u32,
    /// Offset of the block in cache lines; 0 means the first.
    pub block: u32,
    /// Record within the block.
    pub ordinal: u32,
}

impl Cursor {
    /// 24 bits of segment, 26 of block, 14 of record. Cursors compare as their numbers do.
    pub fn to_u64(self) -> u64 {
        debug_assert!(self.seq <= SEQ_MAX && self.block < 1 << BLOCK_BITS);
        debug_assert!(self.ordinal < 1 << ORDINAL_BITS);
        u64::from(self.seq) << LOCATOR_BITS
            | u64::from(self.block) << ORDINAL_BITS
            | u64::from(self.ordinal)
    }

    pub fn from_u64(value: u64) -> Self {
        Self {
            seq: (value >> LOCATOR_BITS) as u32,
            block: ((value >> ORDINAL_BITS) & ((1 << BLOCK_BITS) - 1)) as u32,
            ordinal: (value & ((1 << ORDINAL_BITS) - 1)) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// CAP-3: positions and cursors survive their packed form and keep their order.
        #[test]
        fn packing_is_lossless(
            a in (1u32..=SEQ_MAX, 0u32..1 << BLOCK_BITS, 0u32..1 << ORDINAL_BITS),
            b in (1u32..=SEQ_MAX, 0u32..1 << BLOCK_BITS, 0u32..1 << ORDINAL_BITS),
        ) {
            let cursor = |(seq, block, ordinal)| Cursor { seq, block, ordinal };
            prop_assert_eq!(Cursor::from_u64(cursor(a).to_u64()), cursor(a));
            prop_assert_eq!(
                cursor(a).cmp(&cursor(b)),
                cursor(a).to_u64().cmp(&cursor(b).to_u64())
            );
            let pos = RecordPos::signalling(a.0, a.1, a.2);
            prop_assert_eq!((pos.seq(), pos.ordinal()), (a.0, a.2));
            prop_assert_eq!(pos.offset(LaneKind::Signalling), u64::from(a.1) * BLOCK_ALIGN);
            let pos = RecordPos::media(a.0, u64::from(a.1) * 8);
            prop_assert_eq!((pos.seq(), pos.offset(LaneKind::Media)), (a.0, u64::from(a.1) * 8));
        }
    }
}
