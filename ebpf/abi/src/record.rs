//! What stands before a frame in a ring.

/// Why a frame is in a ring.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    Signalling = 1,
    Media = 2,
    /// In the signalling ring, though it may turn out to be media: only reassembly can tell, and until then it must
    /// not reach a disk.
    Fragment = 3,
}

impl Class {
    #[must_use]
    pub const fn from_u8(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Signalling),
            2 => Some(Self::Media),
            3 => Some(Self::Fragment),
            _ => None,
        }
    }
}

/// Each CPU has two rings.
pub const RINGS_PER_CPU: u32 = 2;

/// Which ring of its CPU a class goes to: media waits, and everything else does not.
#[must_use]
#[inline(always)]
pub const fn ring_index(cpu: u32, class: Class) -> u32 {
    match class {
        Class::Media => cpu * RINGS_PER_CPU,
        Class::Signalling | Class::Fragment => cpu * RINGS_PER_CPU + 1,
    }
}

/// Set in `RecordHeader::flags`: the frame was longer than the largest record.
pub const FLAG_TRUNCATED: u8 = 1;

/// The header of a record; `cap_len` bytes of frame follow, then bytes without meaning up to the record's class.
/// Offsets count from the frame's first byte. Native byte order: both ends are on one machine.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordHeader {
    /// Nanoseconds of CLOCK_MONOTONIC when the program saw the frame. Whoever reads it measures how far that is from UTC.
    pub ts_ns: u64,
    /// Bytes the frame had.
    pub wire_len: u32,
    /// Bytes of it that follow.
    pub cap_len: u32,
    /// Index of the interface it came in at.
    pub interface: u32,
    /// `Parsed::flow_hash`.
    pub flow_hash: u32,
    /// Receive queue.
    pub queue: u16,
    pub l3: u16,
    pub payload: u16,
    pub payload_len: u16,
    pub src_port: u16,
    pub dst_port: u16,
    /// [`Class`].
    pub class: u8,
    /// `Verdict`, at the time of receipt.
    pub verdict: u8,
    /// `Kind`; `Other` where steering did not look.
    pub kind: u8,
    pub flags: u8,
}

impl RecordHeader {
    pub const BYTES: usize = 40;
}

const _: () = assert!(size_of::<RecordHeader>() == RecordHeader::BYTES);

#[cfg(feature = "user")]
impl RecordHeader {
    /// Splits a record into header and frame; none if it is no record of ours.
    #[must_use]
    #[inline]
    pub fn split(record: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = record.split_first_chunk::<{ Self::BYTES }>()?;
        let header = Self {
            ts_ns: u64::from_ne_bytes(part(head, 0)),
            wire_len: u32::from_ne_bytes(part(head, 8)),
            cap_len: u32::from_ne_bytes(part(head, 12)),
            interface: u32::from_ne_bytes(part(head, 16)),
            flow_hash: u32::from_ne_bytes(part(head, 20)),
            queue: u16::from_ne_bytes(part(head, 24)),
            l3: u16::from_ne_bytes(part(head, 26)),
            payload: u16::from_ne_bytes(part(head, 28)),
            payload_len: u16::from_ne_bytes(part(head, 30)),
            src_port: u16::from_ne_bytes(part(head, 32)),
            dst_port: u16::from_ne_bytes(part(head, 34)),
            class: head[36],
            verdict: head[37],
            kind: head[38],
            flags: head[39],
        };
        Some((header, rest.get(..header.cap_len as usize)?))
    }
}

/// `N` bytes at `at`, which is a constant within the header.
#[cfg(feature = "user")]
#[inline(always)]
fn part<const N: usize>(head: &[u8; RecordHeader::BYTES], at: usize) -> [u8; N] {
    core::array::from_fn(|index| head[at + index])
}

#[cfg(all(test, feature = "user"))]
mod tests {
    use super::RecordHeader;

    /// CAP-8: a record that is shorter than it says is refused, not read past.
    #[test]
    fn short_records_are_refused() {
        let mut record = [0; RecordHeader::BYTES + 16];
        record[12..16].copy_from_slice(&16_u32.to_ne_bytes());
        record[28..30].copy_from_slice(&42_u16.to_ne_bytes());
        record[39] = 7;
        let (header, frame) = RecordHeader::split(&record).unwrap();
        assert_eq!((header.cap_len, header.payload, header.flags), (16, 42, 7));
        assert_eq!(frame.len(), 16);
        record[12..16].copy_from_slice(&17_u32.to_ne_bytes());
        assert_eq!(RecordHeader::split(&record), None);
        assert_eq!(RecordHeader::split(&record[..RecordHeader::BYTES - 1]), None);
    }
}
