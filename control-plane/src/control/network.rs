//! Networks whose members are obeyed: `10.0.0.0/8`, `2001:db8::/32`, or one address.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// One network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// IPv4 as IPv6 has it (RFC 4291 section 2.5.5.2).
    address: u128,
    mask: u128,
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write an address, or a network such as 10.0.0.0/8")]
pub struct NoNetwork;

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => {
                (address, Some(length.parse::<u32>().map_err(|_| NoNetwork)?))
            }
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| NoNetwork)?;
        let (bits, before) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let length = length.unwrap_or(bits);
        if length > bits {
            return Err(NoNetwork);
        }
        let mask = u128::MAX.checked_shl(128 - before - length).unwrap_or(0);
        Ok(Self { address: number(address) & mask, mask })
    }
}

impl Network {
    /// Whether the address is one of it.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        number(address) & self.mask == self.address
    }
}

fn number(address: IpAddr) -> u128 {
    let long: Ipv6Addr = match address {
        IpAddr::V4(short) => short.to_ipv6_mapped(),
        IpAddr::V6(long) => long,
    };
    long.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// POL-8: who is on the list is in one of its networks.
    #[test]
    fn members_and_strangers() {
        for (network, member, stranger) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("192.0.2.128/25", "192.0.2.200", "192.0.2.100"),
            ("2001:db8::/32", "2001:db8:1::5", "2001:db9::1"),
            ("::1", "::1", "::2"),
            ("10.0.0.0/8", "::ffff:10.1.1.1", "::10.1.1.1"),
        ] {
            let parsed: Network = network.parse().expect("a network");
            assert!(parsed.has(member.parse().expect("an address")), "{network} {member}");
            assert!(!parsed.has(stranger.parse().expect("an address")), "{network} {stranger}");
        }
        let all: Network = "0.0.0.0/0".parse().expect("a network");
        assert!(all.has(IpAddr::from([1, 2, 3, 4])) && !all.has("2001:db8::1".parse().unwrap()));
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "example.org"] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }
}
