//! Link types of capture files: <https://www.tcpdump.org/linktypes.html>.

use earwitness_wire::LinkType;

/// A link type, and how many bytes before what `wire` parses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) link: LinkType,
    pub(super) prefix: usize,
}

/// None where the frames could not be parsed.
pub(super) fn link_of(number: u16) -> Option<Link> {
    let (link, prefix) = match number {
        // NULL and LOOP: four bytes of address family, whose numbers differ by system; the first
        // nibble of the IP header says the same.
        0 | 108 => (LinkType::RawIp, 4),
        1 => (LinkType::Ethernet, 0),
        // RAW, as BSD, OpenBSD and the registry number it; then IPV4 and IPV6.
        12 | 14 | 101 | 228 | 229 => (LinkType::RawIp, 0),
        113 => (LinkType::Sll, 0),
        276 => (LinkType::Sll2, 0),
        _ => return None,
    };
    Some(Link { link, prefix })
}

/// The number that a written file gives to a link type.
pub(super) fn number_of(link: LinkType) -> u16 {
    match link {
        LinkType::Ethernet => 1,
        LinkType::RawIp => 101,
        LinkType::Sll => 113,
        LinkType::Sll2 => 276,
    }
}
