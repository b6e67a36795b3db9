//! Networks, and which of many an address lies in.

use std::collections::HashMap;
use std::net::IpAddr;

/// `address/bits`. IPv4 is kept as IPv6 has it (`::ffff:0:0/96`), so that both are one space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    first: u128,
    bits: u8,
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address),
    }
}

const fn first(address: u128, bits: u8) -> u128 {
    match bits {
        0 => 0,
        bits => address & (u128::MAX << (128 - bits as u32)),
    }
}

impl Cidr {
    /// Reads `address` or `address/bits`; none where bits beyond the network are set.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (width, offset) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
        let bits = bits.unwrap_or(width);
        let cidr = Self { first: number(address), bits: bits.checked_add(offset)? };
        (bits <= width && first(cidr.first, cidr.bits) == cidr.first).then_some(cidr)
    }
}

/// Networks with what each stands for; the narrowest counts.
#[derive(Debug, Clone)]
pub struct CidrMap<T> {
    entries: HashMap<Cidr, T, foldhash::fast::RandomState>,
    /// Their lengths, longest first.
    bits: Vec<u8>,
}

impl<T> Default for CidrMap<T> {
    fn default() -> Self {
        Self { entries: HashMap::default(), bits: Vec::new() }
    }
}

impl<T> CidrMap<T> {
    /// Adds a network; what was there before stays, and is given back.
    pub fn add(&mut self, cidr: Cidr, value: T) -> Option<&T> {
        if self.entries.contains_key(&cidr) {
            return self.entries.get(&cidr);
        }
        self.entries.insert(cidr, value);
        if let Err(at) = self.bits.binary_search_by(|bits| cidr.bits.cmp(bits)) {
            self.bits.insert(at, cidr.bits);
        }
        None
    }

    /// The narrowest network that holds `address`.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<&T> {
        let address = number(address);
        let network = |bits: &u8| Cidr { first: first(address, *bits), bits: *bits };
        self.bits.iter().find_map(|bits| self.entries.get(&network(bits)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_network_counts() {
        let mut map = CidrMap::default();
        for (text, value) in [
            ("10.0.0.0/8", 8),
            ("10.1.0.0/16", 16),
            ("10.1.2.3", 32),
            ("2001:db8::/32", 6),
            ("::/0", 0),
        ] {
            assert_eq!(map.add(Cidr::read(text).expect(text), value), None);
        }
        let find = |text: &str| map.find(text.parse().expect("an address")).copied();
        assert_eq!(find("10.1.2.3"), Some(32));
        assert_eq!(find("10.1.2.4"), Some(16));
        assert_eq!(find("10.2.0.1"), Some(8));
        assert_eq!(find("2001:db8::1"), Some(6));
        assert_eq!(find("2001:db9::1"), Some(0));
        assert_eq!(find("::ffff:10.2.0.1"), Some(8), "IPv4 in IPv6 is the same address");
    }

    #[test]
    fn networks_are_written_in_full() {
        for text in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "2001:db8::/129", "example.org", ""]
        {
            assert_eq!(Cidr::read(text), None, "{text}");
        }
        assert!(Cidr::read("0.0.0.0/0").is_some() && Cidr::read("::1/128").is_some());
    }
}
