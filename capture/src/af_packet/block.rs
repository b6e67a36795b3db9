//! What a block of TPACKET_V3 holds: frames, each with a header that says where the next one is. Pure: bytes in,
//! frames out, whatever the bytes say.
//!
//! The kernel takes the outermost VLAN tag out of a frame; here it is put back, so that all sources see one frame.

/// Of `block_status` in a block; `num_pkts` and `offset_to_first_pkt` follow.
pub(super) const STATUS_AT: usize = 8;
const PACKETS_AT: usize = 12;
const FIRST_AT: usize = 16;
/// `struct tpacket3_hdr`.
const HEADER_BYTES: usize = 48;
/// Both MAC addresses, before a tag.
const ADDRESSES_BYTES: usize = 12;
const TAG_BYTES: usize = 4;
const TPID_8021Q: u16 = 0x8100;

/// Whose clock stamped a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamped {
    Kernel,
    Device,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packet<'b> {
    pub(super) ts_ns: u64,
    pub(super) stamped: Stamped,
    pub(super) wire_len: u32,
    pub(super) bytes: &'b [u8],
}

/// The packets of a block.
#[derive(Debug)]
pub(super) struct Packets<'b> {
    /// From the next packet on.
    rest: &'b mut [u8],
    left: u32,
}

impl<'b> Packets<'b> {
    pub(super) fn new(block: &'b mut [u8]) -> Self {
        let left = number(block, PACKETS_AT).unwrap_or(0);
        let first = number(block, FIRST_AT).unwrap_or(0) as usize;
        let rest = block.get_mut(first..).unwrap_or_default();
        Self { rest, left }
    }
}

impl<'b> Iterator for Packets<'b> {
    type Item = Packet<'b>;

    fn next(&mut self) -> Option<Packet<'b>> {
        self.left = self.left.checked_sub(1)?;
        let rest = std::mem::take(&mut self.rest);
        let next = match number(rest, 0)? as usize {
            // The last one reaches to the end.
            0 => rest.len(),
            next => next,
        };
        let (packet, behind) = rest.split_at_mut_checked(next)?;
        self.rest = behind;
        read(packet)
    }
}

fn read(bytes: &mut [u8]) -> Option<Packet<'_>> {
    let seconds = number(bytes, 4)?;
    let nanoseconds = number(bytes, 8)?;
    let captured = number(bytes, 12)? as usize;
    let length = number(bytes, 16)?;
    let status = number(bytes, 20)?;
    let start = usize::from(half(bytes, 24)?);
    let stamped = if status & libc::TP_STATUS_TS_RAW_HARDWARE != 0 {
        Stamped::Device
    } else {
        Stamped::Kernel
    };
    let ts_ns = u64::from(seconds) * 1_000_000_000 + u64::from(nanoseconds);
    let end = start.checked_add(captured)?;
    let tagged = status & libc::TP_STATUS_VLAN_VALID != 0 && captured >= ADDRESSES_BYTES;
    if !tagged {
        let frame = bytes.get(start..end)?;
        return Some(Packet { ts_ns, stamped, wire_len: length, bytes: frame });
    }
    let tag = number(bytes, 32)? as u16;
    let kind = match half(bytes, 36)? {
        kind if status & libc::TP_STATUS_VLAN_TPID_VALID != 0 => kind,
        _ => TPID_8021Q,
    };
    // The headers have been read: what is moved may overwrite the link address behind them, which nobody needs.
    let start = start.checked_sub(TAG_BYTES).filter(|&start| start >= HEADER_BYTES)?;
    let frame = bytes.get_mut(start..end)?;
    frame.copy_within(TAG_BYTES..TAG_BYTES + ADDRESSES_BYTES, 0);
    frame[ADDRESSES_BYTES..ADDRESSES_BYTES + 2].copy_from_slice(&kind.to_be_bytes());
    frame[ADDRESSES_BYTES + 2..ADDRESSES_BYTES + 4].copy_from_slice(&tag.to_be_bytes());
    Some(Packet { ts_ns, stamped, wire_len: length.saturating_add(TAG_BYTES as u32), bytes: frame })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAME_AT: usize = 80;

    fn packet(frame: &[u8], status: u32, tag: u16, kind: u16, last: bool) -> Vec<u8> {
        let next = (FRAME_AT + frame.len()).next_multiple_of(16);
        let mut bytes = vec![0; next];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &if last { 0 } else { next as u32 }.to_ne_bytes());
        put(4, &1_700_000_000_u32.to_ne_bytes());
        put(8, &123_u32.to_ne_bytes());
        put(12, &(frame.len() as u32).to_ne_bytes());
        put(16, &(frame.len() as u32 + 7).to_ne_bytes());
        put(20, &status.to_ne_bytes());
        put(24, &(FRAME_AT as u16).to_ne_bytes());
        put(32, &u32::from(tag).to_ne_bytes());
        put(36, &kind.to_ne_bytes());
        put(FRAME_AT, frame);
        bytes
    }

    fn block(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0; 48];
        bytes[PACKETS_AT..PACKETS_AT + 4].copy_from_slice(&(packets.len() as u32).to_ne_bytes());
        bytes[FIRST_AT..FIRST_AT + 4].copy_from_slice(&48_u32.to_ne_bytes());
        bytes.extend(packets.concat());
        bytes
    }

    /// CAP-1, CAP-4: the tag that the kernel took out is back where XDP sees it; frames without stay as they are.
    #[test]
    fn tags_are_put_back() {
        let frame: Vec<u8> = (0..60).collect();
        let valid = libc::TP_STATUS_VLAN_VALID;
        let device = libc::TP_STATUS_TS_RAW_HARDWARE;
        let mut bytes = block(&[
            packet(&frame, 0, 0, 0, false),
            packet(&frame, valid, 0x2005, 0, false),
            packet(&frame, valid | libc::TP_STATUS_VLAN_TPID_VALID | device, 7, 0x88a8, true),
        ]);
        let packets: Vec<_> = Packets::new(&mut bytes).collect();
        assert_eq!(packets.len(), 3);
        assert_eq!((packets[0].bytes, packets[0].wire_len), (&frame[..], 67));
        assert_eq!(packets[0].ts_ns, 1_700_000_000_000_000_123);
        let tagged = [&frame[..12], &[0x81, 0, 0x20, 5], &frame[12..]].concat();
        assert_eq!((packets[1].bytes, packets[1].wire_len), (&tagged[..], 71));
        let tagged = [&frame[..12], &[0x88, 0xa8, 0, 7], &frame[12..]].concat();
        assert_eq!(packets[2].bytes, &tagged[..]);
        assert_eq!((packets[0].stamped, packets[2].stamped), (Stamped::Kernel, Stamped::Device));
    }

    proptest! {
        /// S9: whatever a block says, nothing outside it is touched.
        #[test]
        fn any_block_is_read(mut bytes in prop::collection::vec(any::<u8>(), 0..600), first in 0u32..300) {
            if let Some(at) = bytes.get_mut(FIRST_AT..FIRST_AT + 4) {
                at.copy_from_slice(&first.to_ne_bytes());
            }
            Packets::new(&mut bytes).for_each(drop);
        }
    }
}
