//! A flow of media as words: what it is looked up by, for each packet.
//!
//! Whole words, because they are put together in registers, compared in registers, and stored once: an address of bytes
//! that is stored and loaded again as words waits for the cache.

use earwitness_wire::Endpoint;

use crate::hash::{Key, Pair, Seed, finish, fold};

/// Source and destination of a UDP datagram, in the order of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowKey {
    src: [u64; 2],
    dst: [u64; 2],
    /// Source, then destination.
    ports: u32,
}

impl FlowKey {
    /// From the headers of IP, with its options, and of UDP; none if the first is no such header.
    #[inline(always)]
    pub(crate) fn of_headers(ip: &[u8], udp: &[u8; 8]) -> Option<Self> {
        let ports = u32::from_ne_bytes([udp[0], udp[1], udp[2], udp[3]]);
        match ip.first()? >> 4 {
            4 => {
                let ip = ip.first_chunk::<20>()?;
                let src = mapped([ip[12], ip[13], ip[14], ip[15]]);
                let dst = mapped([ip[16], ip[17], ip[18], ip[19]]);
                Some(Self { src, dst, ports })
            }
            6 => {
                let addresses = ip.get(8..40)?;
                let word = |at: usize| addresses.get(8 * at..)?.first_chunk();
                let word = |at: usize| word(at).map(|bytes| u64::from_ne_bytes(*bytes));
                Some(Self { src: [word(0)?, word(1)?], dst: [word(2)?, word(3)?], ports })
            }
            _ => None,
        }
    }

    /// The other direction.
    #[inline]
    pub(crate) fn reversed(&self) -> Self {
        Self { src: self.dst, dst: self.src, ports: self.ports.rotate_left(16) }
    }

    /// The same as endpoints.
    #[inline]
    pub(crate) fn pair(&self) -> Pair {
        let [a, b, c, d] = self.ports.to_ne_bytes();
        Pair {
            src: endpoint(self.src, u16::from_be_bytes([a, b])),
            dst: endpoint(self.dst, u16::from_be_bytes([c, d])),
        }
    }
}

/// As endpoints have an IPv4 address: `::ffff:a.b.c.d`.
#[inline(always)]
fn mapped([a, b, c, d]: [u8; 4]) -> [u64; 2] {
    [0, u64::from_ne_bytes([0, 0, 0xff, 0xff, a, b, c, d])]
}

fn endpoint(words: [u64; 2], port: u16) -> Endpoint {
    let mut addr = [0; 16];
    for (bytes, word) in addr.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_ne_bytes();
    }
    Endpoint { addr, port }
}

impl Key for FlowKey {
    /// As for endpoints, what multiplies each other is hidden by a secret. The upper halves, which IPv4 has not, are only
    /// looked at where they are.
    #[inline(always)]
    fn hash(&self, seed: Seed) -> u32 {
        let (first, second) = seed.words();
        let mut mixed = fold(self.src[1] ^ first, self.dst[1] ^ second);
        if self.src[0] | self.dst[0] != 0 {
            mixed = fold(mixed ^ self.src[0], self.dst[0] ^ first.rotate_left(32));
        }
        finish(fold(mixed ^ u64::from(self.ports), second.rotate_left(32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp(src: u16, dst: u16) -> [u8; 8] {
        let [[a, b], [c, d]] = [src, dst].map(u16::to_be_bytes);
        [a, b, c, d, 0, 8, 0, 0]
    }

    fn v4(host: u8, port: u16) -> FlowKey {
        let mut ip = [0; 20];
        ip[0] = 0x45;
        ip[12..].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, host]);
        FlowKey::of_headers(&ip, &udp(4000, port)).unwrap()
    }

    fn v6(host: u8, port: u16) -> FlowKey {
        let mut ip = [0; 40];
        ip[0] = 0x60;
        ip[8..24].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        ip[24..].copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, host, 0, 0, 0, 0, 0, 0, 0, 2]);
        FlowKey::of_headers(&ip, &udp(4000, port)).unwrap()
    }

    /// CAP-1: the words are those of the endpoints that everybody else calls the flow by.
    #[test]
    fn are_the_endpoints() {
        let Pair { src, dst } = v4(7, 4002).pair();
        assert_eq!(src, Endpoint::v4([10, 0, 0, 1], 4000));
        assert_eq!(dst, Endpoint::v4([10, 0, 0, 7], 4002));
        assert_eq!(v4(7, 4002).reversed().pair(), Pair { src: dst, dst: src });
        let Pair { src, dst } = v6(7, 4002).pair();
        assert_eq!(src.to_string(), "[2001:db8::1]:4000");
        assert_eq!(dst.to_string(), "[2001:db8:0:7::2]:4002");
    }

    /// S9: what is cut, or is no IP, has no key.
    #[test]
    fn no_header_no_key() {
        for (first, length) in [(0x45, 19), (0x60, 39), (0x50, 40), (0x45, 0)] {
            let ip = vec![first; length];
            assert_eq!(FlowKey::of_headers(&ip, &udp(1, 2)), None, "{first:#x} {length}");
        }
    }

    /// S10: keys as a network has them spread over a table, and each part of a key matters, and the seed.
    #[test]
    fn neighbours_spread() {
        let seed = Seed::random();
        for family in [v4, v6] {
            const BUCKETS: usize = 1 << 14;
            let mut fill = vec![0u32; BUCKETS];
            for host in 0..64u8 {
                for port in 0..256u16 {
                    let hash = family(host, 10_000 + port * 2).hash(seed);
                    fill[hash as usize % BUCKETS] += 1;
                }
            }
            let worst = fill.iter().max().copied().unwrap_or(0);
            assert!(worst <= 11, "{worst} in one, mean 1");
            let key = family(5, 2);
            let turned = FlowKey { src: key.dst, dst: key.src, ..key };
            assert_ne!(key.hash(seed), turned.hash(seed));
            assert_ne!(key.hash(seed), key.hash(Seed::random()));
            assert_ne!(key.hash(seed), FlowKey { ports: !key.ports, ..key }.hash(seed));
            let upper = FlowKey { dst: [key.dst[0] ^ 1, key.dst[1]], ..key };
            assert_ne!(key.hash(seed), upper.hash(seed));
        }
    }
}
