//! Classic pcap: draft-ietf-opsawg-pcap. A file header, then records of 16 bytes and a frame.

use super::{Found, PcapError, Place, blocks::Blocks, link::Link, link::link_of, order::Order};
use crate::limits::PCAP_FRAME_BYTES_MAX;

const FILE_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;

#[derive(Debug)]
pub(super) struct Classic {
    order: Order,
    /// Nanoseconds in one unit of the fraction.
    unit_ns: u32,
    link: Link,
}

impl Classic {
    pub(super) fn knows(magic: [u8; 4]) -> bool {
        order_and_unit(magic).is_some()
    }

    pub(super) fn open(blocks: &mut Blocks) -> Result<Self, PcapError> {
        let header = blocks.need(FILE_HEADER_BYTES)?;
        let Some(header) = header.first_chunk::<FILE_HEADER_BYTES>().copied() else {
            return Err(blocks.header_truncated());
        };
        let magic = [header[0], header[1], header[2], header[3]];
        let Some((order, unit_ns)) = order_and_unit(magic) else {
            return Err(blocks.not_a_capture());
        };
        let major = order.u16(&header, 4);
        if major != 2 {
            return Err(blocks.malformed(4, "major version 2", major.into()));
        }
        // The upper half holds the length of the frame check sequence, which parsing ignores.
        let number = order.u32(&header, 20) as u16;
        let link = link_of(number).ok_or_else(|| blocks.link_type(20, number))?;
        blocks.skip(FILE_HEADER_BYTES as u64)?;
        Ok(Self { order, unit_ns, link })
    }

    #[inline]
    pub(super) fn find(&mut self, blocks: &mut Blocks) -> Result<Found, PcapError> {
        let unread = blocks.need(RECORD_HEADER_BYTES)?;
        let Some(header) = unread.first_chunk::<RECORD_HEADER_BYTES>() else {
            return Ok(if unread.is_empty() { Found::End } else { Found::Truncated });
        };
        let seconds = self.order.u32(header, 0);
        let fraction = self.order.u32(header, 4);
        let captured = self.order.u32(header, 8) as usize;
        let wire_len = self.order.u32(header, 12);
        if captured > PCAP_FRAME_BYTES_MAX {
            return Err(blocks.malformed(
                8,
                "a captured length of at most 262144",
                captured as u64,
            ));
        }
        let span = RECORD_HEADER_BYTES + captured;
        if blocks.need(span)?.len() < span {
            return Ok(Found::Truncated);
        }
        let prefix = self.link.prefix.min(captured);
        Ok(Found::Frame(Place {
            ts_ns: u64::from(seconds) * 1_000_000_000
                + u64::from(fraction) * u64::from(self.unit_ns),
            frame: RECORD_HEADER_BYTES + prefix,
            captured: captured - prefix,
            span: span as u64,
            wire_len: wire_len.saturating_sub(prefix as u32),
            link: self.link.link,
        }))
    }
}

fn order_and_unit(magic: [u8; 4]) -> Option<(Order, u32)> {
    Some(match magic {
        [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1000),
        [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1000),
        [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1),
        [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1),
        _ => return None,
    })
}
