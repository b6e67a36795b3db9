//! The fixed part of a segment's header page. The words that move (`map`) lie behind it.

use crate::limits::{BLOCK_BYTES_MAX, HEADER_BYTES, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::{LaneId, LaneKind};

const MAGIC: [u8; 8] = *b"EARWSEG\n";
const VERSION: u32 = 1;

/// Bytes of the fixed part, its checksum last.
pub(crate) const FIXED_BYTES: usize = 48;

#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Header {
    pub(crate) lane: LaneId,
    pub(crate) kind: LaneKind,
    pub(crate) seq: u32,
    pub(crate) segment_bytes: u64,
    /// The run of the writer that made the segment; each block repeats it.
    pub(crate) epoch: u64,
    pub(crate) block_bytes: u32,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; FIXED_BYTES] {
        let mut bytes = [0; FIXED_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(HEADER_BYTES as u32).to_le_bytes());
        bytes[16..18].copy_from_slice(&self.lane.0.to_le_bytes());
        bytes[18] = self.kind as u8;
        bytes[20..24].copy_from_slice(&self.seq.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.segment_bytes.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.block_bytes.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..44]);
        bytes[44..48].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The error is the reason why it is none.
    pub(crate) fn decode(bytes: &[u8; FIXED_BYTES]) -> Result<Self, &'static str> {
        if bytes[0..8] != MAGIC {
            return Err("no magic");
        }
        if le_u32(bytes, 8) != VERSION {
            return Err("of another version");
        }
        if le_u32(bytes, 44) != crc32fast::hash(&bytes[..44]) {
            return Err("header checksum is wrong");
        }
        let header = Self {
            lane: LaneId(u16::from_le_bytes([bytes[16], bytes[17]])),
            kind: LaneKind::from_u8(bytes[18]).ok_or("no such kind of lane")?,
            seq: le_u32(bytes, 20),
            segment_bytes: le_u64(bytes, 24),
            epoch: le_u64(bytes, 32),
            block_bytes: le_u32(bytes, 40),
        };
        let sizes_fit = (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&header.segment_bytes)
            && header.block_bytes <= BLOCK_BYTES_MAX
            && le_u32(bytes, 12) == HEADER_BYTES as u32;
        if sizes_fit { Ok(header) } else { Err("header has impossible sizes") }
    }
}

/// Little-endian field of a checked length. Panics only on an offset that the format does not have.
#[inline]
pub(crate) fn le_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[inline]
pub(crate) fn le_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le_u32(bytes, at)) | u64::from(le_u32(bytes, at + 4)) << 32
}

#[inline]
pub(crate) fn le_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CAP-3: a header is read back, and any changed bit of it is noticed.
    #[test]
    fn notices_every_bit() {
        let header = Header {
            lane: LaneId(3),
            kind: LaneKind::Media,
            seq: 9,
            segment_bytes: SEGMENT_BYTES_MIN,
            epoch: 77,
            block_bytes: 65536,
        };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Ok(header));
        for bit in 0..FIXED_BYTES * 8 {
            let mut garbled = bytes;
            garbled[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&garbled).is_err(), "bit {bit}");
        }
    }
}
