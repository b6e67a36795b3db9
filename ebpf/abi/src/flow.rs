//! Keys and values of the maps that steer. Both sides run on one machine: numbers are in its byte order.

use earwitness_wire::Endpoint;

/// An endpoint as a key: the destination of the innermost flow, or one end of a connection. Without padding, whose bytes would be undefined,
/// and in whole words, which the kernel hashes faster.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    /// In the order of the wire.
    pub addr: [u64; 2],
    /// In host order.
    pub port: u64,
}

const _: () = assert!(size_of::<FlowKey>() == 24);

impl FlowKey {
    #[must_use]
    #[inline(always)]
    pub fn new(dst: &Endpoint) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = dst.addr;
        Self {
            addr: [
                u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
                u64::from_ne_bytes([i, j, k, l, m, n, o, p]),
            ],
            port: u64::from(dst.port),
        }
    }
}

/// The key of the connection map: a TCP connection, the same in both directions.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Connection {
    pub low: FlowKey,
    pub high: FlowKey,
}

const _: () = assert!(size_of::<Connection>() == 48);

impl Connection {
    #[must_use]
    #[inline(always)]
    pub fn new(a: &Endpoint, b: &Endpoint) -> Self {
        let (a, b) = (FlowKey::new(a), FlowKey::new(b));
        if a <= b { Self { low: a, high: b } } else { Self { low: b, high: a } }
    }
}

#[cfg(feature = "user")]
mod user {
    use super::{Connection, SipPorts};

    impl Connection {
        pub const BYTES: usize = 48;

        /// As it lies in the map.
        #[must_use]
        pub fn to_bytes(self) -> [u8; Self::BYTES] {
            let (low, high) = (self.low, self.high);
            words([low.addr[0], low.addr[1], low.port, high.addr[0], high.addr[1], high.port])
        }
    }

    impl SipPorts {
        pub const BYTES: usize = 8192;

        /// As it lies in the map.
        #[must_use]
        pub fn to_bytes(&self) -> [u8; Self::BYTES] {
            words(self.words)
        }
    }

    /// Numbers in the byte order of the machine.
    fn words<const WORDS: usize, const BYTES: usize>(words: [u64; WORDS]) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        for (place, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *place = word.to_ne_bytes();
        }
        bytes
    }
}

/// One bit for each port: 8 KiB that stay in the cache.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipPorts {
    pub words: [u64; 1024],
}

impl SipPorts {
    pub const NONE: Self = Self { words: [0; 1024] };

    pub const fn insert(&mut self, port: u16) {
        self.words[port as usize >> 6] |= 1 << (port & 63);
    }

    #[must_use]
    #[inline(always)]
    pub const fn contains(&self, port: u16) -> bool {
        self.words[port as usize >> 6] >> (port & 63) & 1 != 0
    }
}

impl Default for SipPorts {
    fn default() -> Self {
        Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::{Connection, SipPorts};
    use earwitness_wire::Endpoint;

    /// CAP-7: a connection is found by packets of either direction.
    #[test]
    fn connection_has_no_direction() {
        let a = Endpoint::v4([192, 0, 2, 1], 5060);
        let b = Endpoint::v4([192, 0, 2, 1], 40_000);
        let c = Endpoint::v4([198, 51, 100, 1], 5060);
        assert_eq!(Connection::new(&a, &b), Connection::new(&b, &a));
        assert_eq!(Connection::new(&a, &c), Connection::new(&c, &a));
        assert_ne!(Connection::new(&a, &c), Connection::new(&b, &c));
    }

    /// CAP-1: the configured ports, and no others.
    #[test]
    fn sip_ports_are_exact() {
        let mut ports = SipPorts::NONE;
        for port in [0, 63, 64, 5060, 65_535] {
            ports.insert(port);
        }
        assert_eq!((0..=u16::MAX).filter(|port| ports.contains(*port)).count(), 5);
        assert!(ports.contains(5060) && !ports.contains(5061));
    }
}
