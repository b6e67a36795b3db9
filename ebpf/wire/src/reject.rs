//! Why a frame has no flow. One variant for each cause; `as usize` indexes a counter.

#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reject {
    /// Ends within the link header, a VLAN tag, an MPLS label or a PPPoE header.
    TruncatedLink = 0,
    /// Ends within an IP or extension header.
    TruncatedNetwork = 1,
    /// Ends within a UDP or TCP header.
    TruncatedTransport = 2,
    /// Ends within a GRE, ERSPAN or VXLAN header.
    TruncatedTunnel = 3,
    /// ARP, LLDP, LLC and all else that is not IP.
    NotIp = 4,
    TooManyVlans = 5,
    TooManyLabels = 6,
    TooManyTunnels = 7,
    TooManyExtensions = 8,
    /// More headers, or more bytes of them, than `limits` allows.
    TooManyHeaders = 9,
    /// Version, header length or total length cannot be.
    BadIpv4 = 10,
    BadIpv6 = 11,
    BadUdp = 12,
    BadTcp = 13,
    /// RFC 1701 source routes, which RFC 2784 section 2.3 lets us discard.
    BadGre = 14,
    BadErspan = 15,
    BadPppoe = 16,
}

impl Reject {
    /// Variants there are: the size of a counter array.
    pub const COUNT: usize = 17;

    pub const ALL: [Self; Self::COUNT] = [
        Self::TruncatedLink,
        Self::TruncatedNetwork,
        Self::TruncatedTransport,
        Self::TruncatedTunnel,
        Self::NotIp,
        Self::TooManyVlans,
        Self::TooManyLabels,
        Self::TooManyTunnels,
        Self::TooManyExtensions,
        Self::TooManyHeaders,
        Self::BadIpv4,
        Self::BadIpv6,
        Self::BadUdp,
        Self::BadTcp,
        Self::BadGre,
        Self::BadErspan,
        Self::BadPppoe,
    ];

    /// The name that metrics and logs use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TruncatedLink => "truncated_link",
            Self::TruncatedNetwork => "truncated_network",
            Self::TruncatedTransport => "truncated_transport",
            Self::TruncatedTunnel => "truncated_tunnel",
            Self::NotIp => "not_ip",
            Self::TooManyVlans => "too_many_vlans",
            Self::TooManyLabels => "too_many_labels",
            Self::TooManyTunnels => "too_many_tunnels",
            Self::TooManyExtensions => "too_many_extensions",
            Self::TooManyHeaders => "too_many_headers",
            Self::BadIpv4 => "bad_ipv4",
            Self::BadIpv6 => "bad_ipv6",
            Self::BadUdp => "bad_udp",
            Self::BadTcp => "bad_tcp",
            Self::BadGre => "bad_gre",
            Self::BadErspan => "bad_erspan",
            Self::BadPppoe => "bad_pppoe",
        }
    }
}

// ALL is in the order of the discriminants, so that an index of one is an index of the other.
const _: () = {
    let mut at = 0;
    while at < Reject::COUNT {
        assert!(Reject::ALL[at] as usize == at);
        at += 1;
    }
};

impl core::fmt::Display for Reject {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

impl core::error::Error for Reject {}
