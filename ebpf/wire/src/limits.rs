//! Every bound of the parser. The verifier of the XDP program depends on them: a walk has a last step.

/// VLAN tags of one Ethernet header.
pub const VLAN_TAGS_MAX: u8 = 2;
/// Labels of one MPLS stack.
pub const MPLS_LABELS_MAX: u8 = 8;
/// Tunnels around the inner flow.
pub const TUNNELS_MAX: u8 = 2;
/// IPv6 extension headers (and AH) of a frame, all its IP headers together.
pub const EXTENSIONS_MAX: u8 = 8;
/// Headers of a frame, of all sorts. Ethernet + IPv4 + UDP is three.
pub const HEADERS_MAX: u32 = 24;
/// Bytes of all headers together: the last header must begin before.
pub const HEADER_BYTES_MAX: u32 = 1024;
/// Bytes of an HTTP request that are looked at for a WebSocket. The XDP program masks offsets with one less.
pub const REQUEST_BYTES_MAX: u32 = 2048;
/// A request whose head does not end in a segment as short as this was cut on purpose or by a small window, not by
/// its length: what follows must be seen to know. A longer one is followed if it has asked for some upgrade by then.
pub const CUT_BYTES_MAX: u32 = 1000;
/// UDP ports at which VXLAN is looked for.
pub const VXLAN_PORTS_MAX: usize = 4;
/// RFC 7348 section 5: the port that IANA gave to VXLAN.
pub const VXLAN_PORT: u16 = 4789;

// Two nested tunnels with two tags each and every extension header there may be must not run out of headers.
const _: () = assert!(
    HEADERS_MAX
        >= (TUNNELS_MAX as u32 + 1) * (2 + VLAN_TAGS_MAX as u32)
            + EXTENSIONS_MAX as u32
            + TUNNELS_MAX as u32
);
// Offsets are u16: one more header of any sort (an extension header has at most 2,048 bytes) must still fit.
const _: () = assert!(HEADER_BYTES_MAX + 2048 + 64 < u16::MAX as u32);
const _: () = assert!(REQUEST_BYTES_MAX.is_power_of_two() && CUT_BYTES_MAX < REQUEST_BYTES_MAX);
