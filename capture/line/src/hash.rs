//! The hash of table keys: two multiplications for an address, four for a pair.
//!
//! Addresses and ports come from the network, so the seed must not be guessable: tables take one at
//! random. Nothing that is written depends on it, because tables are never walked in hash order.

use std::hash::{BuildHasher, RandomState};

use earwitness_wire::Endpoint;

/// What a [`Bounded`](crate::bounded::Bounded) table can be keyed by.
pub trait Key: Copy + Eq {
    /// 32 well-mixed bits.
    fn hash(&self, seed: Seed) -> u32;
}

/// What makes one table's hash differ from another's.
#[derive(Debug, Clone, Copy)]
pub struct Seed(u64, u64);

impl Seed {
    /// From the operating system's entropy.
    #[must_use]
    pub fn random() -> Self {
        let state = RandomState::new();
        Self(state.hash_one(1), state.hash_one(2))
    }

    /// Both secrets.
    #[inline(always)]
    pub(crate) fn words(self) -> (u64, u64) {
        (self.0, self.1)
    }
}

/// From where to where; one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    pub src: Endpoint,
    pub dst: Endpoint,
}

/// RTP and its RTCP, which are told of together, lie side by side.
impl Key for Endpoint {
    #[inline]
    fn hash(&self, seed: Seed) -> u32 {
        let is_odd = self.port & 1;
        let even = Self { port: self.port ^ is_odd, ..*self };
        finish(half(&even, seed.0, seed.1)) & !1 | u32::from(is_odd)
    }
}

impl Key for Pair {
    #[inline]
    fn hash(&self, seed: Seed) -> u32 {
        finish(
            half(&self.src, seed.0, seed.1) ^ half(&self.dst, seed.1, seed.0 ^ ODD).rotate_left(32),
        )
    }
}

/// An odd constant with no pattern: the golden ratio.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Port and lower half multiply each other, each hidden by a secret, so that none can make up for a
/// change of the other.
#[inline(always)]
fn half(endpoint: &Endpoint, first: u64, second: u64) -> u64 {
    let address = u128::from_le_bytes(endpoint.addr);
    let (low, high) = (address as u64, (address >> 64) as u64);
    let port = u64::from(endpoint.port);
    fold(fold(low ^ first, port ^ second) ^ high, first ^ ODD)
}

/// The two halves of a product of 128 bits, folded.
#[inline(always)]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline(always)]
pub(crate) fn finish(mixed: u64) -> u32 {
    (mixed ^ mixed >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S10: keys as a network has them (one subnet, consecutive ports) spread over a table.
    #[test]
    fn neighbouring_endpoints_spread() {
        let seed = Seed(1, 2);
        for buckets in [1usize << 10, 1 << 14] {
            let mut fill = vec![0u32; buckets];
            for host in 0..64u8 {
                for port in 0..256u16 {
                    let endpoint = Endpoint::v4([10, 0, 0, host], 10_000 + port * 2);
                    fill[endpoint.hash(seed) as usize & (buckets - 1)] += 1;
                }
            }
            let mean = (64 * 256 / buckets).max(1) as u32;
            let worst = fill.iter().max().copied().unwrap_or(0);
            assert!(worst <= mean * 3 + 8, "{worst} in one of {buckets}, mean {mean}");
        }
    }

    /// A pair is not its reverse, and the seed matters.
    #[test]
    fn direction_and_seed_matter() {
        let (a, b) = (Endpoint::v4([10, 0, 0, 1], 4000), Endpoint::v4([10, 0, 0, 2], 4000));
        let (there, back) = (Pair { src: a, dst: b }, Pair { src: b, dst: a });
        assert_ne!(there.hash(Seed(1, 2)), back.hash(Seed(1, 2)));
        assert_ne!(there.hash(Seed(1, 2)), there.hash(Seed(3, 4)));
        assert_ne!(
            Pair { src: a, dst: a }.hash(Seed(1, 2)),
            Pair { src: b, dst: b }.hash(Seed(1, 2))
        );
    }
}
