//! Frames built by hand, from the inside out: each function puts one header before what it is given.
//! Checksums are zero, since nobody checks them.
#![allow(dead_code, reason = "each test that includes this module uses a part of it")]

pub(crate) const SRC: [u8; 4] = [192, 0, 2, 1];
pub(crate) const DST: [u8; 4] = [198, 51, 100, 2];
pub(crate) const SRC6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
pub(crate) const DST6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const IPV6: u16 = 0x86dd;
pub(crate) const UDP: u8 = 17;
pub(crate) const TCP: u8 = 6;
pub(crate) const GRE: u8 = 47;

fn join(header: &[u8], inner: &[u8]) -> Vec<u8> {
    [header, inner].concat()
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("a test's frame is short").to_be_bytes()
}

pub(crate) fn ethernet(ether_type: u16, inner: &[u8]) -> Vec<u8> {
    let mut header = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    header.extend(ether_type.to_be_bytes());
    join(&header, inner)
}

/// What follows a tag's EtherType.
pub(crate) fn vlan(id: u16, ether_type: u16, inner: &[u8]) -> Vec<u8> {
    join(&[id.to_be_bytes(), ether_type.to_be_bytes()].concat(), inner)
}

pub(crate) fn mpls(labels: usize, inner: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    for at in 1..=labels {
        let bottom = u32::from(at == labels) << 8;
        header.extend((((at as u32 + 15) << 12) | bottom | 64).to_be_bytes());
    }
    join(&header, inner)
}

pub(crate) fn pppoe(protocol: u16, inner: &[u8]) -> Vec<u8> {
    let mut header = vec![0x11, 0, 0, 7];
    header.extend(length(inner.len() + 2));
    header.extend(protocol.to_be_bytes());
    join(&header, inner)
}

pub(crate) fn ipv4(protocol: u8, inner: &[u8]) -> Vec<u8> {
    ipv4_with(protocol, &[], 0, inner)
}

/// With options, whose length is a multiple of four, and the word of flags and fragment offset.
pub(crate) fn ipv4_with(protocol: u8, options: &[u8], fragment: u16, inner: &[u8]) -> Vec<u8> {
    let header_bytes = 20 + options.len();
    let mut header = vec![0x40 | (header_bytes / 4) as u8, 0];
    header.extend(length(header_bytes + inner.len()));
    header.extend([0x12, 0x34]);
    header.extend(fragment.to_be_bytes());
    header.extend([64, protocol, 0, 0]);
    header.extend(SRC);
    header.extend(DST);
    header.extend(options);
    join(&header, inner)
}

pub(crate) fn ipv6(next: u8, inner: &[u8]) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend(length(inner.len()));
    header.extend([next, 64]);
    header.extend(SRC6);
    header.extend(DST6);
    join(&header, inner)
}

/// An extension header of `units` times eight bytes.
pub(crate) fn extension(next: u8, units: u8, inner: &[u8]) -> Vec<u8> {
    let mut header = vec![0; usize::from(units) * 8];
    header[0] = next;
    header[1] = units - 1;
    join(&header, inner)
}

/// RFC 4302: 12 bytes and a 12-byte check value.
pub(crate) fn authentication(next: u8, inner: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 24];
    header[0] = next;
    header[1] = 4;
    join(&header, inner)
}

pub(crate) fn ipv6_fragment(next: u8, offset: u16, more: bool, inner: &[u8]) -> Vec<u8> {
    let mut header = vec![next, 0];
    header.extend((offset | u16::from(more)).to_be_bytes());
    header.extend([0, 0, 0xab, 0xcd]);
    join(&header, inner)
}

pub(crate) fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = [src.to_be_bytes(), dst.to_be_bytes()].concat();
    header.extend(length(8 + payload.len()));
    header.extend([0, 0]);
    join(&header, payload)
}

/// With a time stamp option, as most segments have.
pub(crate) fn tcp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = [src.to_be_bytes(), dst.to_be_bytes()].concat();
    header.extend(1000_u32.to_be_bytes());
    header.extend(2000_u32.to_be_bytes());
    header.extend([0x80, 0x18, 1, 0, 0, 0, 0, 0]);
    header.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
    join(&header, payload)
}

/// `flags` say which of checksum (0x8000), key (0x2000) and sequence number (0x1000) there are.
pub(crate) fn gre(flags: u16, ether_type: u16, inner: &[u8]) -> Vec<u8> {
    let mut header = [flags.to_be_bytes(), ether_type.to_be_bytes()].concat();
    for flag in [0x8000, 0x2000, 0x1000] {
        if flags & flag != 0 {
            header.extend([0, 0, 0, 9]);
        }
    }
    join(&header, inner)
}

pub(crate) fn erspan_1(inner: &[u8]) -> Vec<u8> {
    gre(0, 0x88be, inner)
}

pub(crate) fn erspan_2(inner: &[u8]) -> Vec<u8> {
    gre(0x1000, 0x88be, &join(&[0x10, 7, 0, 1, 0, 0, 0, 5], inner))
}

/// `kind` is the frame type: 0 is Ethernet, 2 is IP. The platform's sub-header is optional.
pub(crate) fn erspan_3(kind: u16, sub_header: bool, inner: &[u8]) -> Vec<u8> {
    let mut header = vec![0x20, 7, 0, 1, 0, 0, 0, 9, 0, 0];
    header.extend(((kind << 10) | u16::from(sub_header)).to_be_bytes());
    if sub_header {
        header.extend([0; 8]);
    }
    gre(0x1000, 0x22eb, &join(&header, inner))
}

pub(crate) fn vxlan(port: u16, inner: &[u8]) -> Vec<u8> {
    udp(50_000, port, &join(&[8, 0, 0, 0, 0, 0, 42, 0], inner))
}

/// A UDP packet in IPv4 in Ethernet: what most frames are.
pub(crate) fn plain(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    ethernet(IPV4, &ipv4(UDP, &udp(src, dst, payload)))
}

/// G.711 of 20 ms.
pub(crate) fn rtp() -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef];
    packet.resize(172, 0xd5);
    packet
}

pub(crate) fn rtcp() -> Vec<u8> {
    let mut packet = vec![0x80, 200, 0, 6];
    packet.resize(28, 1);
    packet
}

pub(crate) fn stun() -> Vec<u8> {
    let mut packet = vec![0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42];
    packet.resize(28, 7);
    packet
}

pub(crate) fn dtls() -> Vec<u8> {
    let mut packet = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 1, 0, 40];
    packet.resize(53, 1);
    packet
}

pub(crate) fn dns() -> Vec<u8> {
    let mut packet = vec![0x8a, 0x11, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend(b"\x07example\x03com\x00\x00\x01\x00\x01");
    packet
}

pub(crate) const INVITE: &[u8] =
    b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n";
pub(crate) const OK: &[u8] = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n\r\n";
pub(crate) const GET: &[u8] = b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
/// RFC 7118 section 4.1.
pub(crate) const HANDSHAKE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: sip-ws.example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Origin: http://www.example.com\r\nSec-WebSocket-Protocol: sip\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// Every encapsulation, around the same flow from port 40000 to port 30000.
pub(crate) fn encapsulations(payload: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let inner = udp(40_000, 30_000, payload);
    let ip = ipv4(UDP, &inner);
    let ip6 = ipv6(UDP, &inner);
    let frame = ethernet(IPV4, &ip);
    let tagged = ethernet(0x8100, &vlan(5, IPV4, &ip));
    let outer = |protocol, inner: &[u8]| ethernet(IPV4, &ipv4(protocol, inner));
    let outer6 = |next, inner: &[u8]| ethernet(IPV6, &ipv6(next, inner));
    let options = [0x94, 4, 0, 0, 1, 1, 1, 0];
    vec![
        ("ipv4", frame.clone()),
        ("ipv4 with options", ethernet(IPV4, &ipv4_with(UDP, &options, 0, &inner))),
        ("ipv4, do not fragment", ethernet(IPV4, &ipv4_with(UDP, &[], 0x4000, &inner))),
        ("ipv6", ethernet(IPV6, &ip6)),
        ("ipv6 hop-by-hop", outer6(0, &extension(UDP, 1, &inner))),
        (
            "ipv6 extensions",
            outer6(0, &extension(43, 1, &extension(60, 3, &extension(UDP, 1, &inner)))),
        ),
        ("ipv6 atomic fragment", outer6(44, &ipv6_fragment(UDP, 0, false, &inner))),
        ("ipv6 authentication", outer6(51, &authentication(UDP, &inner))),
        ("ipv4 authentication", outer(51, &authentication(UDP, &inner))),
        ("802.1Q", tagged.clone()),
        ("802.1ad", ethernet(0x88a8, &vlan(5, 0x8100, &vlan(6, IPV4, &ip)))),
        ("QinQ", ethernet(0x8100, &vlan(5, 0x8100, &vlan(6, IPV6, &ip6)))),
        ("9100", ethernet(0x9100, &vlan(5, IPV4, &ip))),
        ("mpls", ethernet(0x8847, &mpls(1, &ip))),
        ("mpls stack", ethernet(0x8847, &mpls(4, &ip6))),
        ("mpls pseudowire", ethernet(0x8847, &mpls(2, &[&[0; 4], &frame[..]].concat()))),
        ("pppoe", ethernet(0x8864, &pppoe(0x0021, &ip))),
        (
            "pppoe over QinQ",
            ethernet(0x88a8, &vlan(5, 0x8100, &vlan(6, 0x8864, &pppoe(0x0057, &ip6)))),
        ),
        ("gre ipv4", outer(GRE, &gre(0, IPV4, &ip))),
        ("gre ipv6", outer(GRE, &gre(0x2000, IPV6, &ip6))),
        ("gre, all options", outer6(GRE, &gre(0xb000, IPV4, &ip))),
        ("gre ethernet", outer(GRE, &gre(0x2000, 0x6558, &tagged))),
        ("gre mpls", outer(GRE, &gre(0, 0x8847, &mpls(2, &ip)))),
        ("erspan I", outer(GRE, &erspan_1(&frame))),
        ("erspan II", outer(GRE, &erspan_2(&tagged))),
        ("erspan III", outer(GRE, &erspan_3(0, false, &frame))),
        ("erspan III sub-header", outer(GRE, &erspan_3(0, true, &frame))),
        ("erspan III of ip", outer(GRE, &erspan_3(2, true, &ip6))),
        ("vxlan", outer(UDP, &vxlan(4789, &frame))),
        ("vxlan over ipv6", outer6(UDP, &vxlan(4789, &tagged))),
        ("vxlan, other port", outer(UDP, &vxlan(8472, &frame))),
        ("ip in ip", outer(4, &ip)),
        ("ipv6 in ip", outer(41, &ip6)),
        ("ip in ipv6", outer6(4, &ip)),
        ("vxlan in gre", outer(GRE, &gre(0, IPV4, &ipv4(UDP, &vxlan(4789, &frame))))),
        ("erspan of ip in ip", outer(GRE, &erspan_2(&outer(4, &ip)))),
    ]
}

/// Frames without a flow, and frames of which only a part is there.
pub(crate) fn oddities() -> Vec<(&'static str, Vec<u8>)> {
    let rtp = rtp();
    let whole = udp(40_000, 30_000, &rtp);
    let outer = |protocol, inner: &[u8]| ethernet(IPV4, &ipv4(protocol, inner));
    let ip = ipv4(UDP, &whole);
    let thrice = ipv4(4, &ipv4(4, &ipv4(4, &ip)));
    let labels = ethernet(0x8847, &mpls(9, &ip));
    let tags = vlan(1, 0x8100, &vlan(2, 0x8100, &vlan(3, IPV4, &ip)));
    let mut chain = extension(UDP, 1, &whole);
    for _ in 0..8 {
        chain = extension(60, 1, &chain);
    }
    let mut long = extension(UDP, 200, &whole);
    long = extension(60, 200, &long);
    let mut jumbogram = ethernet(IPV6, &ipv6(UDP, &whole));
    jumbogram[18..20].fill(0);
    let mut offloaded = ethernet(IPV4, &ip);
    offloaded[16..18].fill(0);
    offloaded[38..40].fill(0);
    vec![
        ("arp", ethernet(0x0806, &[0; 46])),
        ("llc", ethernet(46, &[0x42; 46])),
        ("three tags", ethernet(0x8100, &tags)),
        ("nine labels", labels),
        ("three tunnels", ethernet(IPV4, &thrice)),
        ("nine extensions", ethernet(IPV6, &ipv6(60, &chain))),
        ("long extensions", ethernet(IPV6, &ipv6(60, &long))),
        ("ipv4 first fragment", ethernet(IPV4, &ipv4_with(UDP, &[], 0x2000, &whole[..96]))),
        ("ipv4 last fragment", ethernet(IPV4, &ipv4_with(UDP, &[], 12, &whole[96..]))),
        ("ipv6 first fragment", ethernet(IPV6, &ipv6(44, &ipv6_fragment(UDP, 0, true, &whole)))),
        ("ipv6 last fragment", ethernet(IPV6, &ipv6(44, &ipv6_fragment(UDP, 96, false, &whole)))),
        ("fragment of a tunnel", ethernet(IPV4, &ipv4_with(GRE, &[], 0x2000, &gre(0, IPV4, &ip)))),
        ("fragment of icmp", ethernet(IPV4, &ipv4_with(1, &[], 0x2000, &whole))),
        ("fragment in a tunnel", outer(4, &ipv4_with(UDP, &[], 0x2000, &whole))),
        ("icmp", outer(1, &[8, 0, 0, 0, 0, 0, 0, 0])),
        ("esp", ethernet(IPV6, &ipv6(50, &[0; 32]))),
        ("pptp", outer(GRE, &gre(0x2001, 0x880b, &[0; 20]))),
        ("gre source route", outer(GRE, &gre(0x4000, IPV4, &ip))),
        ("gre of something", outer(GRE, &gre(0, 0x1234, &ip))),
        ("erspan of a later version", outer(GRE, &gre(0x1000, 0x22eb, &[0x30; 60]))),
        ("erspan III of something", outer(GRE, &erspan_3(3, false, &ip))),
        ("pppoe discovery", ethernet(0x8863, &[0x11, 9, 0, 0, 0, 4, 1, 1, 0, 0])),
        ("pppoe lcp", ethernet(0x8864, &pppoe(0xc021, &[1, 1, 0, 4]))),
        ("pppoe with a code", ethernet(0x8864, &join(&[0x11, 7, 0, 0, 0, 2], &[0, 0x21]))),
        ("vxlan without its flag", plain(50_000, 4789, &rtp)),
        ("ipv6 jumbogram", jumbogram),
        ("segmentation offload", offloaded),
        ("empty udp", plain(40_000, 30_000, &[])),
        ("tcp, bad offset", outer(TCP, &[0x20; 40])),
        ("udp, bad length", ethernet(IPV4, &ipv4(UDP, &[0, 1, 0, 2, 0, 7, 0, 0, 0, 0]))),
    ]
}

/// Payloads of every kind, on ports that say nothing, and on ports that do.
pub(crate) fn payloads() -> Vec<(&'static str, Vec<u8>)> {
    let tcp_frame = |src, dst, payload: &[u8]| ethernet(IPV4, &ipv4(TCP, &tcp(src, dst, payload)));
    let mut extended = vec![0x93, 96, 0, 1, 0, 0, 0, 160, 1, 2, 3, 4];
    extended.extend([0; 12]);
    extended.extend([0xbe, 0xde, 0, 2]);
    extended.extend([0; 8 + 20]);
    let mut overlong = extended.clone();
    overlong[27] = 200;
    vec![
        ("rtp", plain(40_000, 30_000, &rtp())),
        ("rtp with extension", plain(40_000, 30_000, &extended)),
        ("rtp with a longer extension", plain(40_000, 30_000, &overlong)),
        ("rtp, low port", plain(40_000, 1000, &rtp())),
        ("rtcp", plain(40_001, 30_001, &rtcp())),
        ("stun", plain(40_000, 30_000, &stun())),
        ("stun, low port", plain(40_000, 443, &stun())),
        ("dtls", plain(40_000, 30_000, &dtls())),
        ("dns", plain(40_000, 53, &dns())),
        ("sip", plain(40_000, 5060, INVITE)),
        ("sip from its port", plain(5060, 40_000, OK)),
        ("sip elsewhere", plain(40_000, 15_060, INVITE)),
        ("sip response elsewhere", plain(15_060, 40_000, OK)),
        ("sip after line ends", plain(40_000, 15_060, &[b"\r\n\r\n", INVITE].concat())),
        ("sip keep-alive", plain(40_000, 5060, b"\r\n\r\n")),
        ("empty keep-alive", plain(40_000, 5060, b"")),
        ("ssdp", plain(40_000, 1900, b"NOTIFY * HTTP/1.1\r\nHost: x\r\n\r\n")),
        ("rtsp", tcp_frame(40_000, 554, b"OPTIONS rtsp://x RTSP/1.0\r\n\r\n")),
        ("sip over tcp", tcp_frame(40_000, 5060, INVITE)),
        ("tcp before it is known", tcp_frame(40_000, 15_061, b"\r\nBody of something")),
        ("sip over tcp elsewhere", tcp_frame(40_000, 15_061, INVITE)),
        ("tcp once it is known", tcp_frame(15_061, 40_000, b"\r\nBody of something")),
        ("http", tcp_frame(40_000, 8080, GET)),
        ("http, cut", tcp_frame(40_000, 8081, &GET[..30])),
        ("websocket for sip", tcp_frame(40_000, 8082, HANDSHAKE)),
        ("https", tcp_frame(40_000, 443, &[22, 3, 1, 2, 0, 1, 0, 1, 0xfc])),
        ("tcp without data", tcp_frame(40_000, 5060, b"")),
    ]
}
