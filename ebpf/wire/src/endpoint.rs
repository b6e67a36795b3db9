//! Address and port: the key of the flow map.

/// IPv4 stands as `::ffff:a.b.c.d`; the port is in host order. Aligned so that an address is two words, not eight.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Endpoint {
    pub addr: [u8; 16],
    pub port: u16,
}

impl Endpoint {
    /// An IPv4 address, in the order of the wire, and a port.
    #[must_use]
    pub const fn v4(addr: [u8; 4], port: u16) -> Self {
        let [a, b, c, d] = addr;
        Self { addr: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d], port }
    }

    /// An IPv6 address, in the order of the wire, and a port.
    #[must_use]
    pub const fn v6(addr: [u8; 16], port: u16) -> Self {
        Self { addr, port }
    }

    /// The same address with another port.
    #[must_use]
    pub const fn with_port(self, port: u16) -> Self {
        Self { addr: self.addr, port }
    }

    /// RFC 4291 section 2.5.5.2: IPv4-mapped.
    #[must_use]
    pub fn is_v4(&self) -> bool {
        self.addr.starts_with(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff])
    }
}

#[cfg(feature = "user")]
mod user {
    use core::fmt;
    use core::net::{IpAddr, Ipv6Addr, SocketAddr};

    use super::Endpoint;

    impl Endpoint {
        /// The address, IPv4 as IPv4.
        #[must_use]
        pub fn to_ip_addr(self) -> IpAddr {
            Ipv6Addr::from(self.addr).to_canonical()
        }

        #[must_use]
        pub fn to_socket_addr(self) -> SocketAddr {
            SocketAddr::new(self.to_ip_addr(), self.port)
        }
    }

    impl From<SocketAddr> for Endpoint {
        fn from(address: SocketAddr) -> Self {
            let port = address.port();
            match address.ip() {
                IpAddr::V4(ip) => Self::v4(ip.octets(), port),
                IpAddr::V6(ip) => Self::v6(ip.octets(), port),
            }
        }
    }

    impl From<Endpoint> for SocketAddr {
        fn from(endpoint: Endpoint) -> Self {
            endpoint.to_socket_addr()
        }
    }

    impl fmt::Display for Endpoint {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            if !self.is_v4() {
                return self.to_socket_addr().fmt(f);
            }
            // Calls name their addresses in their traces: one piece of text costs less than nine.
            let mut text = [0; "255.255.255.255:65535".len()];
            let mut at = 0;
            for octet in &self.addr[12..] {
                at = put_decimal(&mut text, at, u16::from(*octet));
                text[at] = b'.';
                at += 1;
            }
            text[at - 1] = b':';
            at = put_decimal(&mut text, at, self.port);
            f.pad(core::str::from_utf8(&text[..at]).map_err(|_| fmt::Error)?)
        }
    }

    /// Writes a number at `at`; gives where it ends.
    fn put_decimal(text: &mut [u8], at: usize, mut number: u16) -> usize {
        let mut digits = [0; 5];
        let mut from = digits.len();
        loop {
            from -= 1;
            digits[from] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        let end = at + digits.len() - from;
        text[at..end].copy_from_slice(&digits[from..]);
        end
    }
}

#[cfg(all(test, feature = "user"))]
mod tests {
    extern crate std;
    use std::net::SocketAddr;
    use std::string::ToString;

    use super::Endpoint;

    /// CAP-1: what the parser and SDP call the same address is the same key.
    #[test]
    fn converts_both_ways() {
        for text in
            ["192.0.2.7:5060", "0.10.100.255:0", "255.255.255.255:65535", "[2001:db8::1]:4000"]
        {
            let address: SocketAddr = text.parse().unwrap();
            let endpoint = Endpoint::from(address);
            assert_eq!(endpoint.to_socket_addr(), address);
            assert_eq!(endpoint.to_string(), text);
        }
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:5060".parse().unwrap();
        assert_eq!(Endpoint::from(mapped), Endpoint::v4([192, 0, 2, 7], 5060));
    }
}
