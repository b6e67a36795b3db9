//! The frame that nearly all are: Ethernet with a tag or none, IPv4 without options, UDP, and not a byte behind it. Read with one
//! comparison of lengths, in the words it lies in; what it says is what the walk of [`crate::parse`] says of the same frame.

use crate::bytes::Bytes;
use crate::endpoint::Endpoint;
use crate::parse::{Parsed, Transport, VxlanPorts, mapped};

/// EtherType of IPv4, version 4, five words of header.
const ETHERNET_IPV4: u64 = 0x08_0045;
/// RFC 791 section 3.1: more-fragments flag and offset, and the protocol.
const WHOLE_UDP_MASK: u64 = 0x3fff_00ff_0000_0000;
const WHOLE_UDP: u64 = 0x0000_0011_0000_0000;
/// Where the EtherType stands, and what is between it and the payload.
const ETHER_TYPE_AT: u32 = 12;
const HEADERS_BYTES: u32 = 2 + 20 + 8;
const TAG_BYTES: u32 = 4;

/// The flow of a frame that is plain; none says nothing: the walk may find one.
#[inline(always)]
pub fn parse_plain<B: Bytes + ?Sized, V: VxlanPorts>(bytes: &B, vxlan: &V) -> Option<Parsed> {
    let words = bytes.four_words_at(ETHER_TYPE_AT)?;
    if words[0] >> 40 == ETHERNET_IPV4 {
        return untagged(bytes, words, 0, vxlan);
    }
    // 802.1Q, 802.1ad, and what QinQ used before that.
    if !matches!(words[0] >> 48, 0x8100 | 0x88a8 | 0x9100) {
        return None;
    }
    let words = bytes.four_words_at(ETHER_TYPE_AT + TAG_BYTES)?;
    if words[0] >> 40 == ETHERNET_IPV4 { untagged(bytes, words, 1, vxlan) } else { None }
}

/// The words from the EtherType of IPv4 on, behind so many tags.
#[inline(always)]
fn untagged<B: Bytes + ?Sized, V: VxlanPorts>(
    bytes: &B,
    [first, second, third, fourth]: [u64; 4],
    vlans: u8,
    vxlan: &V,
) -> Option<Parsed> {
    let l3 = ETHER_TYPE_AT + 2 + u32::from(vlans) * TAG_BYTES;
    let total = (first >> 16) as u32 & 0xffff;
    let udp = (fourth >> 32) as u32 & 0xffff;
    let port = (fourth >> 48) as u16;
    if second & WHOLE_UDP_MASK != WHOLE_UDP
        || l3 + total != bytes.length()
        || total != udp + 20
        || udp < 8
        || vxlan.contains(port)
    {
        return None;
    }
    Some(Parsed {
        src: Endpoint {
            addr: mapped((second as u32) << 16 | (third >> 48) as u32),
            port: third as u16,
        },
        dst: Endpoint { addr: mapped((third >> 16) as u32), port },
        transport: Transport::Udp,
        l3: l3 as u16,
        payload: (l3 + HEADERS_BYTES - 2) as u16,
        payload_len: (udp - 8) as u16,
        fragment: None,
        vlans,
        tunnels: 0,
        tcp: None,
    })
}
