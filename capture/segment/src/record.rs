//! One captured frame, or one note of capture's own, as it lies in a block.

use crate::RecordPos;
use crate::header::{le_u16, le_u32, le_u64};
use crate::limits::{BLOCK_HEADER_BYTES, FRAME_BYTES_MAX, RECORD_ALIGN, RECORD_HEADER_BYTES};

pub(crate) const RECORD_LEN: usize = RECORD_HEADER_BYTES as usize;
/// Words of a record's header.
pub(crate) const RECORD_WORDS: usize = RECORD_LEN / 8;

/// What a record is.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
#[repr(u8)]
pub enum RecordClass {
    Signalling = 1,
    Media = 2,
    /// A note of capture's own: the payload is a `Mark` of `earwitness_ipc`.
    Mark = 3,
}

impl RecordClass {
    pub fn from_u8(value: u8) -> Option<Self> {
        match value {
            1 => Some(Self::Signalling),
            2 => Some(Self::Media),
            3 => Some(Self::Mark),
            _ => None,
        }
    }
}

/// What is known of a frame beside its bytes.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub struct RecordMeta {
    /// Arrival, nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// The previous record of the same flow in this lane.
    pub prev: RecordPos,
    /// The writer's number for the flow.
    pub flow: u32,
    /// Bytes captured; `append` takes it from the frame it is given.
    pub frame_len: u32,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// Offset of the innermost IP header in the frame.
    pub l3: u16,
    /// Offset of the transport's payload in the frame.
    pub payload: u16,
    pub payload_len: u16,
    pub class: RecordClass,
    /// Link type, as `earwitness_wire::LinkType as u8`.
    pub link: u8,
    /// Interface or file that the frame came from, as numbered by the lane's `Start` mark.
    pub source: u8,
    /// Verdict when it was written, as `earwitness_wire::Verdict as u8`.
    pub verdict: u8,
}

/// A record as read; borrows what it was read or unpacked into.
#[derive(Copy, Clone, Debug)]
pub struct Record<'a> {
    pub meta: RecordMeta,
    pub frame: &'a [u8],
    pub pos: RecordPos,
}

impl<'a> Record<'a> {
    /// The transport's payload; empty where the lengths do not fit the frame.
    pub fn payload(&self) -> &'a [u8] {
        let start = usize::from(self.meta.payload);
        let end = start + usize::from(self.meta.payload_len);
        self.frame.get(start..end).unwrap_or_default()
    }
}

/// A record's place among the unpacked bytes of its block.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) meta: RecordMeta,
    /// Where the frame begins.
    pub(crate) frame: usize,
    /// Where the next record begins.
    pub(crate) next: usize,
}

/// Bytes that a record takes in a block.
pub(crate) fn record_len(frame_len: usize) -> usize {
    (RECORD_LEN + frame_len).next_multiple_of(RECORD_ALIGN as usize)
}

/// The header of a record that begins `at` bytes behind the block's header, in little-endian words: as they are put
/// together in registers, so that a writer stores each at its place at once. Bytes that were stored one by one can only
/// be loaded as a word when they, and all that was stored before them, have reached the cache.
#[inline]
pub(crate) fn encode(meta: &RecordMeta, frame_len: u32, at: usize) -> [u64; RECORD_WORDS] {
    [
        meta.ts_ns,
        meta.prev.0,
        u64::from(meta.flow) | u64::from(frame_len) << 32,
        u64::from(meta.wire_len) | u64::from(meta.l3) << 32 | u64::from(meta.payload) << 48,
        u64::from(meta.payload_len)
            | u64::from(back(at)) << 16
            | (meta.class as u64) << 32
            | u64::from(meta.link) << 40
            | u64::from(meta.source) << 48
            | u64::from(meta.verdict) << 56,
    ]
    .map(u64::to_le)
}

/// The record that begins at `at` in a block's unpacked bytes. The error is the reason why there is
/// none.
pub(crate) fn decode(raw: &[u8], at: usize) -> Result<Placed, &'static str> {
    let Some(bytes) = raw.get(at..).and_then(<[u8]>::first_chunk) else {
        return Err("record header runs over the block's end");
    };
    let meta = decode_header(bytes, at)?;
    let frame = at + RECORD_LEN;
    let frame_len = meta.frame_len as usize;
    if frame + frame_len > raw.len() {
        return Err("record runs over the block's end");
    }
    Ok(Placed { meta, frame, next: at + record_len(frame_len) })
}

/// The header of a record that begins `at` bytes behind the block's header.
pub(crate) fn decode_header(
    bytes: &[u8; RECORD_LEN],
    at: usize,
) -> Result<RecordMeta, &'static str> {
    if le_u16(bytes, 34) != back(at) {
        return Err("record is not where it says");
    }
    let frame_len = le_u32(bytes, 20);
    if frame_len > FRAME_BYTES_MAX {
        return Err("record is longer than any");
    }
    Ok(RecordMeta {
        ts_ns: le_u64(bytes, 0),
        prev: RecordPos(le_u64(bytes, 8)),
        flow: le_u32(bytes, 16),
        frame_len,
        wire_len: le_u32(bytes, 24),
        l3: le_u16(bytes, 28),
        payload: le_u16(bytes, 30),
        payload_len: le_u16(bytes, 32),
        class: RecordClass::from_u8(bytes[36]).ok_or("no such class of record")?,
        link: bytes[37],
        source: bytes[38],
        verdict: bytes[39],
    })
}

/// Bytes from the block's header to the record whose header begins with `bytes`.
pub(crate) fn distance_to_block(bytes: &[u8; RECORD_LEN]) -> u64 {
    u64::from(le_u16(bytes, 34)) * RECORD_ALIGN
}

/// Distance from the block's header, in words.
fn back(at: usize) -> u16 {
    ((at as u64 + BLOCK_HEADER_BYTES) / RECORD_ALIGN) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CAP-3: every field of a record survives; a payload that does not fit the frame is empty.
    #[test]
    fn fields_survive() {
        let meta = RecordMeta {
            ts_ns: u64::MAX - 1,
            prev: RecordPos::media(3, 4096 + 64),
            flow: 77,
            frame_len: 5,
            wire_len: 1500,
            l3: 14,
            payload: 2,
            payload_len: 3,
            class: RecordClass::Media,
            link: 1,
            source: 2,
            verdict: 3,
        };
        let mut raw = vec![0; 16];
        raw.extend(encode(&meta, 5, 16).into_iter().flat_map(u64::to_ne_bytes));
        raw.extend_from_slice(b"hello");
        raw.resize(16 + record_len(5), 0);
        let placed = decode(&raw, 16).unwrap();
        assert_eq!((placed.meta, placed.frame, placed.next), (meta, 56, 64));
        let frame = &raw[56..61];
        let record = Record { meta, frame, pos: RecordPos::NONE };
        assert_eq!(record.payload(), b"llo");
        let meta = RecordMeta { payload_len: 4, ..meta };
        assert_eq!(Record { meta, frame, pos: RecordPos::NONE }.payload(), b"");
        assert!(decode(&raw, 8).is_err());
        assert!(decode(&raw[..60], 16).is_err());
    }
}
