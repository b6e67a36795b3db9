//! A block: the unit of checksum and of visibility.

use crate::header::{le_u32, le_u64};
use crate::limits::{BLOCK_ALIGN, BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES};

const MAGIC: u32 = u32::from_le_bytes(*b"EWBK");
const FLAG_LZ4: u32 = 1;

pub(crate) const HEADER_LEN: usize = BLOCK_HEADER_BYTES as usize;

/// What a block says of itself.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct BlockHeader {
    /// Sequence number and epoch of its segment, and its own place there: a block that a former use of
    /// the space left behind differs in one of the three.
    pub(crate) seq: u32,
    pub(crate) epoch: u64,
    /// Offset in cache lines.
    pub(crate) block: u32,
    pub(crate) compressed: bool,
    pub(crate) records: u32,
    /// Bytes behind the header.
    pub(crate) stored_len: u32,
    /// Bytes of the records once unpacked.
    pub(crate) raw_len: u32,
    /// Earliest and latest arrival.
    pub(crate) first_ts_ns: u64,
    pub(crate) last_ts_ns: u64,
}

impl BlockHeader {
    pub(crate) fn offset(&self) -> u64 {
        u64::from(self.block) * BLOCK_ALIGN
    }

    /// Where the next block begins.
    pub(crate) fn end(&self) -> u64 {
        end_of(self.offset(), u64::from(self.stored_len))
    }

    /// The header's bytes, with the checksum of all of it and of `stored`.
    pub(crate) fn seal(&self, stored: &[u8]) -> [u8; HEADER_LEN] {
        debug_assert_eq!(stored.len(), self.stored_len as usize);
        let mut bytes = [0; HEADER_LEN];
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.seq.to_le_bytes());
        let flags = if self.compressed { FLAG_LZ4 } else { 0 };
        bytes[12..16].copy_from_slice(&flags.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.block.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.records.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.stored_len.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.raw_len.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_ts_ns.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.last_ts_ns.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.epoch.to_le_bytes());
        let crc = checksum(&bytes, stored);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the fields; [`verify`] tells whether to believe them. The error is the reason.
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, &'static str> {
        if !has_magic(bytes) {
            return Err("no block here");
        }
        let flags = le_u32(bytes, 12);
        let header = Self {
            seq: le_u32(bytes, 8),
            epoch: le_u64(bytes, 48),
            block: le_u32(bytes, 16),
            compressed: flags == FLAG_LZ4,
            records: le_u32(bytes, 20),
            stored_len: le_u32(bytes, 24),
            raw_len: le_u32(bytes, 28),
            first_ts_ns: le_u64(bytes, 32),
            last_ts_ns: le_u64(bytes, 40),
        };
        let lengths_fit = header.stored_len <= BLOCK_BYTES_MAX
            && header.raw_len <= BLOCK_BYTES_MAX
            && (header.compressed || header.raw_len == header.stored_len);
        if flags > FLAG_LZ4 || !lengths_fit {
            return Err("block header has impossible fields");
        }
        Ok(header)
    }
}

pub(crate) fn has_magic(bytes: &[u8]) -> bool {
    bytes.len() >= 4 && le_u32(bytes, 0) == MAGIC
}

/// Is the checksum that of these bytes?
pub(crate) fn verify(header: &[u8; HEADER_LEN], stored: &[u8]) -> bool {
    le_u32(header, 4) == checksum(header, stored)
}

/// Where the block behind `stored_len` bytes begins.
pub(crate) fn end_of(offset: u64, stored_len: u64) -> u64 {
    (offset + BLOCK_HEADER_BYTES + stored_len).next_multiple_of(BLOCK_ALIGN)
}

fn checksum(header: &[u8; HEADER_LEN], stored: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&header[8..]);
    crc.update(stored);
    crc.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S2: a block is read back, and any changed bit of header or contents is noticed.
    #[test]
    fn notices_every_bit() {
        let stored: Vec<u8> = (0..100).collect();
        let header = BlockHeader {
            seq: 5,
            epoch: 1 << 40,
            block: 64,
            compressed: false,
            records: 2,
            stored_len: 100,
            raw_len: 100,
            first_ts_ns: 11,
            last_ts_ns: 12,
        };
        let bytes = header.seal(&stored);
        assert_eq!(BlockHeader::decode(&bytes), Ok(header));
        assert!(verify(&bytes, &stored));
        assert_eq!((header.offset(), header.end()), (4096, 4096 + 192));
        for bit in 0..HEADER_LEN * 8 {
            let mut garbled = bytes;
            garbled[bit / 8] ^= 1 << (bit % 8);
            assert!(
                BlockHeader::decode(&garbled).is_err() || !verify(&garbled, &stored),
                "bit {bit}"
            );
        }
        for bit in 0..stored.len() * 8 {
            let mut garbled = stored.clone();
            garbled[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(&bytes, &garbled), "bit {bit}");
        }
    }
}
