//! pcapng: draft-ietf-opsawg-pcapng. Sections of blocks; each section has its own byte order and
//! interfaces, each interface its own link type and clock.

use super::{Found, PcapError, Place, blocks::Blocks, link::Link, link::link_of, order::Order};
use crate::limits::{PCAP_BUFFER_BYTES, PCAP_FRAME_BYTES_MAX, PCAP_INTERFACES_MAX};

/// Section 4.1: the type of the section header block reads the same in both byte orders.
pub(super) const SECTION_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
/// Obsolete, still found.
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

#[derive(Debug)]
pub(super) struct Ng {
    order: Order,
    interfaces: Vec<Interface>,
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    /// None: its packets are counted and left out.
    link: Option<Link>,
    snap_bytes: u32,
    clock: Clock,
    offset_s: i64,
}

/// Section 4.2, if_tsresol: how many nanoseconds a unit of the timestamp is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// One unit is this many nanoseconds.
    Multiply(u64),
    /// This many units are one nanosecond.
    Divide(u64),
    /// This power of two of units is one second.
    Binary(u32),
}

/// Where a packet block says that its packet is.
struct Packet {
    interface: u32,
    ts_units: Option<u64>,
    captured: u32,
    wire_len: u32,
}

impl Ng {
    pub(super) fn new() -> Self {
        Self { order: Order::Little, interfaces: Vec::new() }
    }

    /// What is at the head of the buffer. Simple packets have no time: they take the last one seen.
    #[inline]
    pub(super) fn find(
        &mut self,
        blocks: &mut Blocks,
        ts_last_ns: u64,
    ) -> Result<Found, PcapError> {
        let unread = blocks.need(12)?;
        let Some(head) = unread.first_chunk::<12>().copied() else {
            return Ok(if unread.is_empty() { Found::End } else { Found::Truncated });
        };
        if head.starts_with(&SECTION_MAGIC) {
            self.order = section_order(blocks)?;
        }
        let kind = self.order.u32(&head, 0);
        let span = self.order.u32(&head, 4);
        if span < 12 || !span.is_multiple_of(4) {
            return Err(blocks.malformed(4, "a block length that is a multiple of 4", span.into()));
        }
        if !matches!(kind, SECTION | INTERFACE | PACKET | SIMPLE_PACKET | ENHANCED_PACKET) {
            return Ok(Found::Other { span: span.into(), unknown_link: false });
        }
        if span as usize > PCAP_BUFFER_BYTES {
            return Err(blocks.malformed(4, "a block of at most 1048576", span.into()));
        }
        let block = blocks.need(span as usize)?;
        let Some(block) = block.get(..span as usize) else { return Ok(Found::Truncated) };
        let trailer = block.last_chunk::<4>().map_or(0, |trailer| self.order.u32(trailer, 0));
        if trailer != span {
            let expected = "the block's length again at its end";
            return Err(blocks.malformed(u64::from(span) - 4, expected, trailer.into()));
        }
        match kind {
            SECTION => self.section(blocks, span),
            INTERFACE => self.interface(blocks, span),
            ENHANCED_PACKET => self.packet(blocks, span, ts_last_ns, Self::enhanced),
            SIMPLE_PACKET => self.packet(blocks, span, ts_last_ns, Self::simple),
            _ => self.packet(blocks, span, ts_last_ns, Self::obsolete),
        }
    }

    /// Section 4.1: a new section forgets the interfaces of the one before.
    fn section(&mut self, blocks: &Blocks, span: u32) -> Result<Found, PcapError> {
        if span < 28 {
            return Err(blocks.malformed(4, "a section header of at least 28", span.into()));
        }
        let major = self.order.u16(blocks.unread(), 12);
        if major != 1 {
            return Err(blocks.malformed(12, "major version 1", major.into()));
        }
        self.interfaces.clear();
        Ok(Found::Other { span: span.into(), unknown_link: false })
    }

    /// Section 4.2.
    fn interface(&mut self, blocks: &Blocks, span: u32) -> Result<Found, PcapError> {
        if span < 20 {
            return Err(blocks.malformed(4, "an interface block of at least 20", span.into()));
        }
        if self.interfaces.len() >= PCAP_INTERFACES_MAX {
            let found = self.interfaces.len() as u64 + 1;
            return Err(blocks.malformed(0, "at most 1024 interfaces in a section", found));
        }
        let block = blocks.unread();
        let mut interface = Interface {
            link: link_of(self.order.u16(block, 8)),
            snap_bytes: self.order.u32(block, 12),
            clock: Clock::Multiply(1000),
            offset_s: 0,
        };
        let options = &block[16..span as usize - 4];
        match self.read_options(options, &mut interface) {
            Ok(()) => self.interfaces.push(interface),
            Err(resolution) => {
                let expected = "an if_tsresol that fits 64 bits";
                return Err(blocks.malformed(16, expected, resolution.into()));
            }
        }
        Ok(Found::Other { span: span.into(), unknown_link: false })
    }

    /// Section 3.5: code, length, value, padded to four bytes. What does not fit ends the list.
    fn read_options(&self, mut options: &[u8], interface: &mut Interface) -> Result<(), u8> {
        while options.len() >= 4 {
            let code = self.order.u16(options, 0);
            let len = usize::from(self.order.u16(options, 2));
            let Some(value) = options[4..].get(..len) else { break };
            match (code, value) {
                (0, _) => break,
                (9, &[resolution]) => {
                    interface.clock = Clock::of(resolution).ok_or(resolution)?;
                }
                (14, value) if value.len() == 8 => {
                    interface.offset_s = self.order.u64(value, 0).cast_signed();
                }
                _ => {}
            }
            options = options.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(())
    }

    #[inline]
    fn packet<const HEADER: usize>(
        &self,
        blocks: &Blocks,
        span: u32,
        ts_last_ns: u64,
        read: impl Fn(&Self, &[u8; HEADER]) -> Packet,
    ) -> Result<Found, PcapError> {
        let head = blocks.unread().first_chunk();
        let Some(head) = head.filter(|_| span as usize >= HEADER + 4) else {
            return Err(blocks.malformed(4, "a length that holds a packet block", span.into()));
        };
        let packet = read(self, head);
        let Some(interface) = self.interfaces.get(packet.interface as usize) else {
            let expected = "the number of an interface described before";
            return Err(blocks.malformed(8, expected, packet.interface.into()));
        };
        let captured = packet.captured as usize;
        if captured > PCAP_FRAME_BYTES_MAX || HEADER + captured + 4 > span as usize {
            let expected = "a captured length that fits its block";
            return Err(blocks.malformed(8, expected, captured as u64));
        }
        let Some(link) = interface.link else {
            return Ok(Found::Other { span: span.into(), unknown_link: true });
        };
        let prefix = link.prefix.min(captured);
        Ok(Found::Frame(Place {
            ts_ns: packet.ts_units.map_or(ts_last_ns, |units| interface.ts_ns(units)),
            frame: HEADER + prefix,
            captured: captured - prefix,
            span: span.into(),
            wire_len: packet.wire_len.saturating_sub(prefix as u32),
            link: link.link,
        }))
    }

    /// Section 4.3.
    #[inline]
    fn enhanced(&self, block: &[u8; 28]) -> Packet {
        Packet {
            interface: self.order.u32(block, 8),
            ts_units: Some(self.ts_units(block)),
            captured: self.order.u32(block, 20),
            wire_len: self.order.u32(block, 24),
        }
    }

    /// Section 4.4: the captured length is what the interface's snap length leaves of the packet.
    fn simple(&self, block: &[u8; 12]) -> Packet {
        let wire_len = self.order.u32(block, 8);
        let snap_bytes = self.interfaces.first().map_or(0, |interface| interface.snap_bytes);
        let captured = if snap_bytes == 0 { wire_len } else { wire_len.min(snap_bytes) };
        Packet { interface: 0, ts_units: None, captured, wire_len }
    }

    /// Appendix A of the draft: a 16-bit interface, then the number of drops.
    fn obsolete(&self, block: &[u8; 28]) -> Packet {
        Packet {
            interface: self.order.u16(block, 8).into(),
            ts_units: Some(self.ts_units(block)),
            captured: self.order.u32(block, 20),
            wire_len: self.order.u32(block, 24),
        }
    }

    #[inline]
    fn ts_units(&self, block: &[u8; 28]) -> u64 {
        u64::from(self.order.u32(block, 12)) << 32 | u64::from(self.order.u32(block, 16))
    }
}

/// Section 4.1: the byte-order magic of a section.
fn section_order(blocks: &Blocks) -> Result<Order, PcapError> {
    match blocks.unread()[8..12] {
        [0x4d, 0x3c, 0x2b, 0x1a] => Ok(Order::Little),
        [0x1a, 0x2b, 0x3c, 0x4d] => Ok(Order::Big),
        _ => {
            let found = Order::Big.u32(blocks.unread(), 8);
            Err(blocks.malformed(8, "the byte-order magic 1a2b3c4d", found.into()))
        }
    }
}

impl Interface {
    #[inline]
    fn ts_ns(&self, units: u64) -> u64 {
        let ns = match self.clock {
            Clock::Multiply(ns) => units.saturating_mul(ns),
            Clock::Divide(units_per_ns) => units / units_per_ns,
            Clock::Binary(power) => {
                let ns = (u128::from(units) * 1_000_000_000) >> power;
                u64::try_from(ns).unwrap_or(u64::MAX)
            }
        };
        ns.saturating_add_signed(self.offset_s.saturating_mul(1_000_000_000))
    }
}

impl Clock {
    fn of(resolution: u8) -> Option<Self> {
        let power = u32::from(resolution & 0x7f);
        if resolution & 0x80 != 0 {
            return (power < 64).then_some(Self::Binary(power));
        }
        match power {
            0..=9 => Some(Self::Multiply(10u64.pow(9 - power))),
            10..=19 => Some(Self::Divide(10u64.pow(power - 9))),
            _ => None,
        }
    }
}
