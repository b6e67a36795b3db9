//! From the first byte of a frame to the innermost flow.
//!
//! A walk over headers: each step reads one and says which comes next. Every step is bounded by `limits`, so that
//! the verifier sees the end of the walk, and the walk over hostile bytes has one.

use core::ops::ControlFlow;

use crate::bytes::Bytes;
use crate::endpoint::Endpoint;
use crate::limits::{
    EXTENSIONS_MAX, HEADER_BYTES_MAX, HEADERS_MAX, MPLS_LABELS_MAX, TUNNELS_MAX, VLAN_TAGS_MAX,
    VXLAN_PORT, VXLAN_PORTS_MAX,
};
use crate::plain::parse_plain;
use crate::reject::Reject;

/// How a frame begins.
#[repr(u8)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LinkType {
    #[default]
    Ethernet = 0,
    /// From pcap only: the frame begins with an IP header.
    RawIp = 1,
    /// From pcap only: Linux cooked capture, 16 bytes.
    Sll = 2,
    /// From pcap only: Linux cooked capture version 2, 20 bytes.
    Sll2 = 3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    Udp,
    Tcp,
    /// The protocol number.
    Other(u8),
}

/// A fragment of the innermost IP that could be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fragment {
    pub id: u32,
    /// In bytes.
    pub offset: u16,
    pub more: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TcpFields {
    pub seq: u32,
    pub ack: u32,
    /// RFC 9293 section 3.1: CWR to FIN, FIN lowest.
    pub flags: u8,
}

/// The innermost flow of a frame. Offsets count from the frame's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Ports are 0 if the transport has none, and in a fragment that is not the first.
    pub src: Endpoint,
    pub dst: Endpoint,
    pub transport: Transport,
    /// Where the innermost IP header begins.
    pub l3: u16,
    /// Where the payload of UDP or TCP begins; in a fragment, where its part of the IP payload begins.
    pub payload: u16,
    /// By the lengths of IP and UDP, cut to what was captured.
    pub payload_len: u16,
    pub fragment: Option<Fragment>,
    /// VLAN tags, of all Ethernet headers.
    pub vlans: u8,
    pub tunnels: u8,
    pub tcp: Option<TcpFields>,
}

impl Parsed {
    /// The same for both directions of a flow, and for all fragments of a datagram. For spreading flows over
    /// sockets and threads, not for tables.
    #[must_use]
    #[inline(always)]
    pub fn flow_hash(&self) -> u32 {
        let addresses = u128::from_ne_bytes(self.src.addr) ^ u128::from_ne_bytes(self.dst.addr);
        let low = match self.fragment {
            Some(fragment) => fragment.id,
            None => u32::from(self.src.port ^ self.dst.port),
        };
        // Knuth's multiplicative hash: the high bits depend on all bits.
        let mixed = (addresses as u64 ^ (addresses >> 64) as u64)
            .wrapping_add(u64::from(low))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as u32
    }
}

/// What the parser is told by configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Destination ports of UDP at which VXLAN is looked for; 0 is none.
    pub vxlan_ports: [u16; VXLAN_PORTS_MAX],
}

impl Options {
    pub const DEFAULT: Self = Self { vxlan_ports: [VXLAN_PORT, 0, 0, 0] };

    /// With VXLAN at these ports; none if they are more than there is room for.
    #[must_use]
    pub fn with_vxlan_ports(ports: &[u16]) -> Option<Self> {
        let mut vxlan_ports = [0; VXLAN_PORTS_MAX];
        vxlan_ports.get_mut(..ports.len())?.copy_from_slice(ports);
        Some(Self { vxlan_ports })
    }
}

/// Where VXLAN is looked for: [`Options`], or the settings of the XDP program.
pub trait VxlanPorts {
    /// Never true of 0.
    fn contains(&self, port: u16) -> bool;
}

impl VxlanPorts for Options {
    #[inline(always)]
    fn contains(&self, port: u16) -> bool {
        let [a, b, c, d] = self.vxlan_ports;
        port != 0 && (port == a || port == b || port == c || port == d)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Finds the innermost flow of a frame.
///
/// # Errors
/// The cause why it has none.
pub fn parse(frame: &[u8], link: LinkType) -> Result<Parsed, Reject> {
    parse_bytes(frame, link, &Options::DEFAULT)
}

/// As [`parse`], from any source of bytes.
///
/// # Errors
/// The cause why the frame has no flow.
#[inline(always)]
pub fn parse_bytes<B: Bytes + ?Sized, V: VxlanPorts>(
    bytes: &B,
    link: LinkType,
    vxlan: &V,
) -> Result<Parsed, Reject> {
    if link == LinkType::Ethernet
        && let Some(parsed) = parse_plain(bytes, vxlan)
    {
        return Ok(parsed);
    }
    parse_walk(bytes, link, vxlan)
}

/// As [`parse_bytes`], one header after the other, whatever they are.
///
/// # Errors
/// The cause why the frame has no flow.
#[inline(always)]
pub fn parse_walk<B: Bytes + ?Sized, V: VxlanPorts>(
    bytes: &B,
    link: LinkType,
    vxlan: &V,
) -> Result<Parsed, Reject> {
    let mut way = Way::new(bytes);
    if link != LinkType::Ethernet {
        way.header = Step { bytes, vxlan, way: &mut way }.link(link)?;
    }
    for _ in 0..HEADERS_MAX {
        if way.step(bytes, vxlan).is_break() {
            break;
        }
    }
    way.end()
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Ethernet,
    Vlan,
    Mpls,
    Pppoe,
    Ipv4,
    Ipv6,
    /// An IPv6 extension header, or AH, of the protocol in `Way::protocol`.
    Extension,
    Udp,
    Tcp,
    Gre,
    End,
}

/// How far a walk over headers is.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// What comes next.
    header: Header,
    /// Why there is no flow.
    reject: Option<Reject>,
    /// Where the header begins.
    at: u32,
    /// Where the innermost length field, or the capture, says that the frame ends.
    end: u32,
    protocol: u8,
    ipv6: bool,
    headers: u32,
    tags: u32,
    labels: u32,
    extensions: u32,
    vlans: u32,
    tunnels: u32,
    parsed: Parsed,
}

impl Way {
    /// Before the Ethernet header.
    #[must_use]
    #[inline(always)]
    pub fn new<B: Bytes + ?Sized>(bytes: &B) -> Self {
        // Of zeros that it knows the compiler of the XDP program makes calls, and loops over bytes.
        let zero = bytes.forget(0);
        let nowhere = Endpoint { addr: mapped(zero), port: zero as u16 };
        Self {
            header: Header::Ethernet,
            reject: None,
            at: zero,
            end: bytes.length(),
            protocol: 0,
            ipv6: false,
            headers: zero,
            tags: zero,
            labels: zero,
            extensions: zero,
            vlans: zero,
            tunnels: zero,
            parsed: Parsed {
                src: nowhere,
                dst: nowhere,
                transport: Transport::Other(0),
                l3: zero as u16,
                payload: zero as u16,
                payload_len: zero as u16,
                fragment: None,
                vlans: zero as u8,
                tunnels: zero as u8,
                tcp: None,
            },
        }
    }

    /// Past the headers that follow each other in their usual order: of most frames that is all of them, or all up to a tunnel.
    /// Breaks at the end; `HEADERS_MAX` steps lead there, or too far.
    #[inline(always)]
    pub fn step<B: Bytes + ?Sized, V: VxlanPorts>(
        &mut self,
        bytes: &B,
        vxlan: &V,
    ) -> ControlFlow<()> {
        match (Step { bytes, vxlan, way: self }).usual_order() {
            Ok(Header::End) => {
                self.header = Header::End;
                ControlFlow::Break(())
            }
            Ok(header) => {
                self.header = header;
                ControlFlow::Continue(())
            }
            Err(reject) => {
                self.reject = Some(reject);
                ControlFlow::Break(())
            }
        }
    }

    /// The flow that the walk has led to.
    ///
    /// # Errors
    /// The cause why there is none.
    #[inline(always)]
    pub fn end(&self) -> Result<Parsed, Reject> {
        match self.reject {
            Some(reject) => Err(reject),
            None if self.header == Header::End => Ok(self.parsed),
            None => Err(Reject::TooManyHeaders),
        }
    }
}

/// One step of the walk.
struct Step<'a, B: ?Sized, V> {
    bytes: &'a B,
    vxlan: &'a V,
    way: &'a mut Way,
}

impl<B: Bytes + ?Sized, V: VxlanPorts> Step<'_, B, V> {
    #[inline(always)]
    fn usual_order(&mut self) -> Result<Header, Reject> {
        let mut header = self.way.header;
        header = self.past(header, Header::Ethernet)?;
        header = self.past(header, Header::Vlan)?;
        header = self.past(header, Header::Pppoe)?;
        header = self.past(header, Header::Mpls)?;
        header = self.past(header, Header::Ipv4)?;
        header = self.past(header, Header::Ipv6)?;
        header = self.past(header, Header::Extension)?;
        header = self.past(header, Header::Udp)?;
        header = self.past(header, Header::Tcp)?;
        self.past(header, Header::Gre)
    }

    /// What follows, if this is what comes next.
    #[inline(always)]
    fn past(&mut self, next: Header, header: Header) -> Result<Header, Reject> {
        if next != header {
            return Ok(next);
        }
        self.way.headers += 1;
        if self.way.at > HEADER_BYTES_MAX || self.way.headers > HEADERS_MAX {
            return Err(Reject::TooManyHeaders);
        }
        self.read(header)
    }

    #[inline(always)]
    fn u8(&self, offset: u32, short: Reject) -> Result<u8, Reject> {
        self.bytes.u8_at(self.way.at + offset).ok_or(short)
    }

    #[inline(always)]
    fn u16(&self, offset: u32, short: Reject) -> Result<u16, Reject> {
        self.bytes.u16_at(self.way.at + offset).ok_or(short)
    }

    #[inline(always)]
    fn u32(&self, offset: u32, short: Reject) -> Result<u32, Reject> {
        self.bytes.u32_at(self.way.at + offset).ok_or(short)
    }

    /// A header of `length` bytes must lie before the end that the outer length fields give.
    #[inline(always)]
    fn fits(&self, length: u32, short: Reject) -> Result<(), Reject> {
        if self.way.at + length <= self.way.end { Ok(()) } else { Err(short) }
    }

    #[inline(always)]
    fn read(&mut self, header: Header) -> Result<Header, Reject> {
        match header {
            Header::Ethernet => self.ethernet(),
            Header::Vlan => self.vlan(),
            Header::Mpls => self.mpls(),
            Header::Pppoe => self.pppoe(),
            Header::Ipv4 => self.ipv4(),
            Header::Ipv6 => self.ipv6(),
            Header::Extension => self.extension(),
            Header::Udp => self.udp(),
            Header::Tcp => self.tcp(),
            Header::Gre => self.gre(),
            Header::End => Ok(Header::End),
        }
    }

    /// Past a header of `length` bytes.
    #[inline(always)]
    fn skip(&mut self, length: u32) {
        self.way.at += length;
    }

    /// A length field says that the frame ends here, if it did not end before.
    #[inline(always)]
    fn cut(&mut self, end: u32) {
        if end < self.way.end {
            self.way.end = end;
        }
    }

    #[inline(always)]
    fn link(&mut self, link: LinkType) -> Result<Header, Reject> {
        match link {
            LinkType::Ethernet => Ok(Header::Ethernet),
            LinkType::RawIp => self.version(),
            LinkType::Sll => {
                let ether_type = self.u16(14, Reject::TruncatedLink)?;
                self.way.at = 16;
                ether_header(ether_type)
            }
            LinkType::Sll2 => {
                self.fits(20, Reject::TruncatedLink)?;
                let ether_type = self.u16(0, Reject::TruncatedLink)?;
                self.way.at = 20;
                ether_header(ether_type)
            }
        }
    }

    /// IPv4 or IPv6, where only the first nibble says so.
    #[inline(always)]
    fn version(&self) -> Result<Header, Reject> {
        match self.u8(0, Reject::TruncatedNetwork)? >> 4 {
            4 => Ok(Header::Ipv4),
            6 => Ok(Header::Ipv6),
            _ => Err(Reject::NotIp),
        }
    }

    #[inline(always)]
    fn ethernet(&mut self) -> Result<Header, Reject> {
        self.fits(14, Reject::TruncatedLink)?;
        let ether_type = self.u16(12, Reject::TruncatedLink)?;
        self.skip(14);
        self.way.tags = 0;
        ether_header(ether_type)
    }

    #[inline(always)]
    fn vlan(&mut self) -> Result<Header, Reject> {
        self.way.tags += 1;
        if self.way.tags > u32::from(VLAN_TAGS_MAX) {
            return Err(Reject::TooManyVlans);
        }
        self.fits(4, Reject::TruncatedLink)?;
        let ether_type = self.u16(2, Reject::TruncatedLink)?;
        self.way.vlans += 1;
        self.skip(4);
        ether_header(ether_type)
    }

    /// RFC 3032 section 2.1: labels until one has the bottom-of-stack bit.
    #[inline(always)]
    fn mpls(&mut self) -> Result<Header, Reject> {
        self.way.labels += 1;
        if self.way.labels > u32::from(MPLS_LABELS_MAX) {
            return Err(Reject::TooManyLabels);
        }
        self.fits(4, Reject::TruncatedLink)?;
        let entry = self.u32(0, Reject::TruncatedLink)?;
        self.skip(4);
        if entry & 0x100 == 0 {
            return Ok(Header::Mpls);
        }
        self.way.labels = 0;
        match self.u8(0, Reject::TruncatedLink)? >> 4 {
            4 => Ok(Header::Ipv4),
            6 => Ok(Header::Ipv6),
            // RFC 4385 section 3: a control word, here of an Ethernet pseudowire (RFC 4448).
            0 => self.tunnel(4, Header::Ethernet),
            _ => Err(Reject::NotIp),
        }
    }

    /// RFC 2516 section 4, then RFC 1661 section 2 with a two-byte protocol.
    #[inline(always)]
    fn pppoe(&mut self) -> Result<Header, Reject> {
        self.fits(8, Reject::TruncatedLink)?;
        if self.u16(0, Reject::TruncatedLink)? != 0x1100 {
            return Err(Reject::BadPppoe);
        }
        let protocol = self.u16(6, Reject::TruncatedLink)?;
        self.skip(8);
        match protocol {
            0x0021 => Ok(Header::Ipv4),
            0x0057 => Ok(Header::Ipv6),
            _ => Err(Reject::NotIp),
        }
    }

    #[inline(always)]
    fn ipv4(&mut self) -> Result<Header, Reject> {
        self.fits(20, Reject::TruncatedNetwork)?;
        let first = self.u32(0, Reject::TruncatedNetwork)?;
        let header = (first >> 24 & 0x0f) * 4;
        if first >> 28 != 4 || header < 20 {
            return Err(Reject::BadIpv4);
        }
        let total = first & 0xffff;
        // A sender with segmentation offload leaves 0 here.
        if total != 0 {
            if total < header {
                return Err(Reject::BadIpv4);
            }
            self.cut(self.way.at + total);
        }
        self.fits(header, Reject::TruncatedNetwork)?;
        let second = self.u32(4, Reject::TruncatedNetwork)?;
        self.way.protocol = self.u8(9, Reject::TruncatedNetwork)?;
        self.way.parsed.src.addr = mapped(self.u32(12, Reject::TruncatedNetwork)?);
        self.way.parsed.dst.addr = mapped(self.u32(16, Reject::TruncatedNetwork)?);
        self.way.parsed.l3 = self.way.at as u16;
        self.way.ipv6 = false;
        self.skip(header);
        // RFC 791 section 3.1: more-fragments flag, offset in units of eight bytes.
        if second & 0x3fff == 0 {
            return self.next();
        }
        self.fragment(Fragment {
            id: second >> 16,
            offset: ((second & 0x1fff) * 8) as u16,
            more: second & 0x2000 != 0,
        })
    }

    #[inline(always)]
    fn ipv6(&mut self) -> Result<Header, Reject> {
        self.fits(40, Reject::TruncatedNetwork)?;
        let first = self.u64(0)?;
        if first >> 60 != 6 {
            return Err(Reject::BadIpv6);
        }
        let length = (first >> 16) as u32 & 0xffff;
        // RFC 2675 section 3: 0 in a jumbogram; a sender with segmentation offload leaves it, too.
        if length != 0 {
            self.cut(self.way.at + 40 + length);
        }
        self.way.protocol = (first >> 8) as u8;
        self.way.parsed.src.addr = wide(self.u64(8)?, self.u64(16)?);
        self.way.parsed.dst.addr = wide(self.u64(24)?, self.u64(32)?);
        self.way.parsed.l3 = self.way.at as u16;
        self.way.ipv6 = true;
        self.skip(40);
        self.next()
    }

    #[inline(always)]
    fn u64(&self, offset: u32) -> Result<u64, Reject> {
        self.bytes.u64_at(self.way.at + offset).ok_or(Reject::TruncatedNetwork)
    }

    /// What the protocol number announces.
    #[inline(always)]
    fn next(&mut self) -> Result<Header, Reject> {
        match self.way.protocol {
            17 => Ok(Header::Udp),
            6 => Ok(Header::Tcp),
            4 => self.tunnel(0, Header::Ipv4),
            41 => self.tunnel(0, Header::Ipv6),
            47 => Ok(Header::Gre),
            51 => Ok(Header::Extension),
            // RFC 7045 section 4; ESP and "no next header" end the chain.
            0 | 43 | 44 | 60 | 135 | 139 | 140 if self.way.ipv6 => Ok(Header::Extension),
            other => {
                self.ends(Transport::Other(other), 0);
                Ok(Header::End)
            }
        }
    }

    /// RFC 8200 section 4, and AH (RFC 4302 section 2.2) with its own unit of length.
    #[inline(always)]
    fn extension(&mut self) -> Result<Header, Reject> {
        self.way.extensions += 1;
        if self.way.extensions > u32::from(EXTENSIONS_MAX) {
            return Err(Reject::TooManyExtensions);
        }
        self.fits(8, Reject::TruncatedNetwork)?;
        let head = self.u64(0)?;
        let units = (head >> 48) as u32 & 0xff;
        let length = match self.way.protocol {
            44 => 8,
            51 => (units + 2) * 4,
            _ => (units + 1) * 8,
        };
        self.fits(length, Reject::TruncatedNetwork)?;
        let fragment = self.way.protocol == 44 && head >> 32 & 0xfff9 != 0;
        self.way.protocol = (head >> 56) as u8;
        self.skip(length);
        // RFC 8200 section 4.5. RFC 6946: a fragment that is first and last is none.
        if !fragment {
            return self.next();
        }
        self.fragment(Fragment {
            id: head as u32,
            offset: (head >> 32) as u16 & 0xfff8,
            more: head >> 32 & 1 != 0,
        })
    }

    /// A fragment ends the walk: what is behind it is known once it is whole. The first has ports, if it can.
    #[inline(always)]
    fn fragment(&mut self, fragment: Fragment) -> Result<Header, Reject> {
        let transport = match self.way.protocol {
            17 => Transport::Udp,
            6 => Transport::Tcp,
            other => Transport::Other(other),
        };
        if fragment.offset == 0
            && matches!(transport, Transport::Udp | Transport::Tcp)
            && self.way.at + 4 <= self.way.end
        {
            self.ports(self.u32(0, Reject::TruncatedTransport)?);
        }
        self.way.parsed.fragment = Some(fragment);
        self.ends(transport, 0);
        Ok(Header::End)
    }

    #[inline(always)]
    fn udp(&mut self) -> Result<Header, Reject> {
        self.fits(8, Reject::TruncatedTransport)?;
        let ports = self.u32(0, Reject::TruncatedTransport)?;
        let length = u32::from(self.u16(4, Reject::TruncatedTransport)?);
        // RFC 2675 section 4: 0 in a jumbogram; a sender with segmentation offload leaves it, too.
        if length != 0 {
            if length < 8 {
                return Err(Reject::BadUdp);
            }
            self.cut(self.way.at + length);
        }
        if self.is_vxlan(ports as u16) {
            return self.tunnel(16, Header::Ethernet);
        }
        self.ports(ports);
        self.ends(Transport::Udp, 8);
        Ok(Header::End)
    }

    /// RFC 7348 section 5: a configured port and the I flag; RTP on that port has other first bits.
    #[inline(always)]
    fn is_vxlan(&self, port: u16) -> bool {
        self.vxlan.contains(port)
            && self.way.at + 16 <= self.way.end
            && self.bytes.u8_at(self.way.at + 8).is_some_and(|flags| flags & 0xc8 == 0x08)
    }

    #[inline(always)]
    fn tcp(&mut self) -> Result<Header, Reject> {
        self.fits(20, Reject::TruncatedTransport)?;
        let ports = self.u32(0, Reject::TruncatedTransport)?;
        let seq = self.u32(4, Reject::TruncatedTransport)?;
        let ack = self.u32(8, Reject::TruncatedTransport)?;
        let offset_flags = self.u16(12, Reject::TruncatedTransport)?;
        let header = u32::from(offset_flags >> 12) * 4;
        if header < 20 {
            return Err(Reject::BadTcp);
        }
        self.fits(header, Reject::TruncatedTransport)?;
        self.ports(ports);
        self.way.parsed.tcp = Some(TcpFields { seq, ack, flags: offset_flags as u8 });
        self.ends(Transport::Tcp, header);
        Ok(Header::End)
    }

    /// RFC 2784 and RFC 2890: checksum, key and sequence number are optional, four bytes each.
    #[inline(always)]
    fn gre(&mut self) -> Result<Header, Reject> {
        self.fits(4, Reject::TruncatedTunnel)?;
        let first = self.u32(0, Reject::TruncatedTunnel)?;
        let (flags, ether_type) = (first >> 16, first & 0xffff);
        // RFC 2637: version 1 is PPTP, which carries no flow of ours.
        if flags & 7 != 0 {
            self.ends(Transport::Other(47), 0);
            return Ok(Header::End);
        }
        if flags & 0x4000 != 0 {
            return Err(Reject::BadGre);
        }
        let header = 4 + (flags >> 15 & 1) * 4 + (flags >> 13 & 1) * 4 + (flags >> 12 & 1) * 4;
        self.fits(header, Reject::TruncatedTunnel)?;
        match ether_type {
            0x0800 => self.tunnel(header, Header::Ipv4),
            0x86dd => self.tunnel(header, Header::Ipv6),
            0x6558 => self.tunnel(header, Header::Ethernet),
            0x8847 | 0x8848 => self.tunnel(header, Header::Mpls),
            // ERSPAN type I has neither a sequence number nor a header of its own.
            0x88be if flags & 0x1000 == 0 => self.tunnel(header, Header::Ethernet),
            0x88be | 0x22eb => self.erspan(header),
            _ => {
                self.ends(Transport::Other(47), 0);
                Ok(Header::End)
            }
        }
    }

    /// draft-foschiano-erspan-03: type II (version 1) has 8 bytes; type III (version 2) has 12, and 8 more with the O bit.
    #[inline(always)]
    fn erspan(&mut self, gre: u32) -> Result<Header, Reject> {
        self.fits(gre + 8, Reject::TruncatedTunnel)?;
        match self.u8(gre, Reject::TruncatedTunnel)? >> 4 {
            1 => self.tunnel(gre + 8, Header::Ethernet),
            2 => {
                self.fits(gre + 12, Reject::TruncatedTunnel)?;
                let last = u32::from(self.u16(gre + 10, Reject::TruncatedTunnel)?);
                let header = gre + 12 + (last & 1) * 8;
                match last >> 10 & 0x1f {
                    0 => self.tunnel(header, Header::Ethernet),
                    // Frame type 2: an IP packet without Ethernet.
                    2 => {
                        let first = self.u8(header, Reject::TruncatedTunnel)?;
                        let inner = if first >> 4 == 6 { Header::Ipv6 } else { Header::Ipv4 };
                        self.tunnel(header, inner)
                    }
                    _ => Err(Reject::BadErspan),
                }
            }
            _ => Err(Reject::BadErspan),
        }
    }

    /// Enters a tunnel whose header has `length` bytes.
    #[inline(always)]
    fn tunnel(&mut self, length: u32, inner: Header) -> Result<Header, Reject> {
        self.way.tunnels += 1;
        if self.way.tunnels > u32::from(TUNNELS_MAX) {
            return Err(Reject::TooManyTunnels);
        }
        self.fits(length, Reject::TruncatedTunnel)?;
        self.skip(length);
        Ok(inner)
    }

    #[inline(always)]
    fn ports(&mut self, ports: u32) {
        self.way.parsed.src.port = (ports >> 16) as u16;
        self.way.parsed.dst.port = ports as u16;
    }

    /// The walk ends: the payload begins behind a header of `length` bytes, which was seen to fit.
    #[inline(always)]
    fn ends(&mut self, transport: Transport, length: u32) {
        let payload = self.way.at + length;
        self.way.parsed.transport = transport;
        self.way.parsed.vlans = self.way.vlans as u8;
        self.way.parsed.tunnels = self.way.tunnels as u8;
        self.way.parsed.payload = payload as u16;
        self.way.parsed.payload_len =
            self.way.end.saturating_sub(payload).min(u32::from(u16::MAX)) as u16;
    }
}

/// What an EtherType announces.
#[inline(always)]
fn ether_header(ether_type: u16) -> Result<Header, Reject> {
    match ether_type {
        0x0800 => Ok(Header::Ipv4),
        0x86dd => Ok(Header::Ipv6),
        // 802.1Q, 802.1ad, and what QinQ used before that.
        0x8100 | 0x88a8 | 0x9100 => Ok(Header::Vlan),
        0x8847 | 0x8848 => Ok(Header::Mpls),
        0x8864 => Ok(Header::Pppoe),
        _ => Err(Reject::NotIp),
    }
}

/// RFC 4291 section 2.5.5.2.
#[inline(always)]
pub(crate) fn mapped(addr: u32) -> [u8; 16] {
    wide(0, 0xffff_0000_0000 | u64::from(addr))
}

#[inline(always)]
fn wide(high: u64, low: u64) -> [u8; 16] {
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}
