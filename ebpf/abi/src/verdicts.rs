//! The table of verdicts: the program looks in it for each packet of media, user space writes it in place.
//!
//! It has two parts, by the version of IP. In each a destination has two buckets, given by its hash, and is in one of them; a
//! bucket lies in one cache line. So a look-up touches two lines at most, however full the table is, and mostly one. Where both
//! buckets are full, user space moves others to their other bucket (cuckoo hashing). An entry that moves is in both for a moment,
//! never in none.
//!
//! An entry is of two ports: an even one, and the odd one behind it, where RTCP is that belongs to it (RFC 3550 section 11). One of
//! IPv4 is a single word: with a thousand calls the whole table stays in the cache that is nearest.
//!
//! A part begins small and doubles as it fills: entries of few calls lie in few pages, or finding the page would cost more
//! than all else. What is found by its hash in `buckets` is, when they double, found in the same bucket or in the one so many
//! further on.
//!
//! Writers: one thread of user space. An entry of IPv4 is one word; of IPv6 it is its `state`, stored last, with release order. 0
//! is none. A program that looks while an entry changes finds the old verdict, or none: then the payload decides, as for a flow
//! that nobody announced, and user space looks again where the packet leaves its line.

use earwitness_wire::{Endpoint, Verdict};

use crate::flow::FlowKey;

/// What stands before an IPv4 address: `::ffff`, as half a word.
const MAPPED: u32 = u32::from_ne_bytes([0, 0, 0xff, 0xff]);

/// The verdicts of two ports, four bits each, those of the even one lower: the verdict and one more; 0 is none.
pub type Codes = u8;

const CODE_BITS: u32 = 4;
const CODE_MASK: u8 = 0xf;

/// Where in [`Codes`] those of a port are.
#[inline(always)]
const fn shift(port: u16) -> u32 {
    (port & 1) as u32 * CODE_BITS
}

/// The verdict of a port, of those of two.
#[must_use]
#[inline(always)]
pub const fn verdict_of(codes: Codes, port: u16) -> Option<Verdict> {
    match codes >> shift(port) & CODE_MASK {
        0 => None,
        code => Some(Verdict::from_u8(code - 1)),
    }
}

/// The same codes with another verdict for a port, or without one.
#[must_use]
pub const fn with_verdict(codes: Codes, port: u16, verdict: Option<Verdict>) -> Codes {
    let code = match verdict {
        Some(verdict) => verdict as u8 + 1,
        None => 0,
    };
    codes & !(CODE_MASK << shift(port)) | code << shift(port)
}

/// What entries are found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// In the order of the wire.
    pub address: [u64; 2],
    /// Half of the even port: 15 bits.
    pub pair: u16,
}

impl Key {
    #[must_use]
    #[inline(always)]
    pub fn new(dst: &Endpoint) -> Self {
        Self { address: FlowKey::new(dst).addr, pair: dst.port >> 1 }
    }

    #[must_use]
    #[inline(always)]
    pub const fn is_v4(&self) -> bool {
        self.address[0] == 0 && self.address[1] as u32 == MAPPED
    }

    /// An entry of IPv4, without its codes.
    #[must_use]
    #[inline(always)]
    pub const fn v4_word(&self) -> u64 {
        self.address[1] >> 32 | (self.pair as u64) << 32
    }

    /// What [`Key::v4_word`] is of.
    #[must_use]
    pub const fn of_v4_word(word: u64) -> Self {
        Self { address: [0, word << 32 | MAPPED as u64], pair: (word >> 32) as u16 & 0x7fff }
    }

    /// Both buckets, not yet cut to the size of the part. Who sends packets must not be able to guess it, or could fill two
    /// buckets: `seed` is secret.
    #[must_use]
    #[inline(always)]
    pub const fn hash(&self, seed: [u64; 2]) -> [u32; 2] {
        // Both factors are secret, and odd: what was different stays so.
        let first = (seed[0] ^ 0x9e37_79b9_7f4a_7c15) | 1;
        let second = (seed[1] ^ 0xbf58_476d_1ce4_e5b9) | 1;
        let mut mixed = self.v4_word() ^ seed[1];
        mixed = mixed.wrapping_mul(first);
        mixed ^= mixed >> 32;
        // That was all of IPv4: the rest says only that it is.
        if !self.is_v4() {
            mixed = (mixed ^ self.address[0]).wrapping_mul(second);
            mixed ^= mixed >> 32;
            mixed = (mixed ^ self.address[1] << 32).wrapping_mul(first);
            mixed ^= mixed >> 32;
        }
        mixed = mixed.wrapping_mul(second);
        mixed ^= mixed >> 29;
        [mixed as u32 ^ (mixed >> 40) as u32, (mixed >> 32) as u32]
    }
}

/// Entries of a bucket of IPv4.
pub const WAYS_V4: usize = 4;
/// Where in an entry of IPv4 its codes are; below is what it is found by.
pub const V4_CODES_AT: u32 = 48;
/// What it is found by.
pub const V4_KEY_MASK: u64 = (1 << 47) - 1;

/// Half a cache line of the table of IPv4.
#[repr(C, align(32))]
#[derive(Debug)]
pub struct BucketV4 {
    pub entries: [u64; WAYS_V4],
}

/// Entries of a bucket of IPv6.
pub const WAYS_V6: usize = 3;

/// A cache line of the table of IPv6.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct BucketV6 {
    /// Pair of ports, and codes above it; the fourth is not used.
    pub states: [u32; WAYS_V6 + 1],
    /// Addresses, in the order of the wire.
    pub addresses: [[u64; 2]; WAYS_V6],
}

/// Where in a state its codes are.
pub const V6_CODES_AT: u32 = 16;

pub const V4_BYTES: usize = 32;
pub const V6_BYTES: usize = 64;
pub const ADDRESSES_AT: usize = 16;

const _: () = assert!(size_of::<BucketV4>() == V4_BYTES);
const _: () = assert!(size_of::<BucketV6>() == V6_BYTES);
const _: () = assert!(core::mem::offset_of!(BucketV6, addresses) == ADDRESSES_AT);

/// What is known of the whole table.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Table {
    /// Verdicts that are ignore.
    pub ignored: u64,
    /// Buckets of IPv4 in use, less one; they are a power of two.
    pub mask_v4: u64,
    /// The same of IPv6.
    pub mask_v6: u64,
}

impl Table {
    pub const BYTES: usize = 24;
    pub const IGNORED_AT: usize = 0;
    pub const MASK_V4_AT: usize = 8;
    pub const MASK_V6_AT: usize = 16;
}

const _: () = assert!(size_of::<Table>() == Table::BYTES);
const _: () = assert!(core::mem::offset_of!(Table, mask_v4) == Table::MASK_V4_AT);
const _: () = assert!(core::mem::offset_of!(Table, mask_v6) == Table::MASK_V6_AT);

/// Entries a bucket, of all, at which a part doubles, or would: half of what one of IPv4 holds, two thirds of one of IPv6. Few are
/// in their second bucket then, and moving is rare and short.
pub const FILL: u32 = 2;

/// Buckets of a part for so many entries.
#[must_use]
pub const fn buckets_for(entries: u32) -> u32 {
    let wanted = entries.div_ceil(FILL);
    if wanted < 2 { 2 } else { wanted.next_power_of_two() }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    /// CAP-1: of two ports each has its own verdict, or none.
    #[test]
    fn codes_are_of_one_port() {
        for verdict in [Verdict::Undecided, Verdict::Record, Verdict::Mask, Verdict::Ignore] {
            for port in [0, 1, 5060, 65_535] {
                let codes = with_verdict(0, port, Some(verdict));
                assert_eq!(verdict_of(codes, port), Some(verdict));
                assert_eq!(verdict_of(codes, port ^ 1), None);
                let both = with_verdict(codes, port ^ 1, Some(Verdict::Mask));
                assert_eq!(verdict_of(both, port), Some(verdict));
                assert_eq!(verdict_of(both, port ^ 1), Some(Verdict::Mask));
                assert_eq!(with_verdict(both, port ^ 1, None), codes);
            }
        }
        assert_eq!(verdict_of(0, 0), None);
    }

    /// CAP-1: an entry of IPv4 says all of what it is found by, and has room for its codes.
    #[test]
    fn words_are_exact() {
        for dst in [
            Endpoint::v4([0, 0, 0, 0], 0),
            Endpoint::v4([10, 1, 2, 3], 30_000),
            Endpoint::v4([255, 255, 255, 255], 65_534),
        ] {
            let key = Key::new(&dst);
            assert!(key.is_v4() && key.v4_word() >> V4_CODES_AT == 0);
            assert_eq!(Key::of_v4_word(key.v4_word() | 0xff << V4_CODES_AT), key);
        }
        assert!(!Key::new(&Endpoint::v6([0x20; 16], 30_000)).is_v4());
    }

    /// S10: neighbouring addresses and ports, as networks have them, spread over both choices.
    #[test]
    fn neighbours_spread() {
        const BUCKETS: usize = 4096;
        for choice in 0..2 {
            let mut fill = [0_u8; BUCKETS];
            for host in 0..32 {
                for port in 0..256 {
                    let dst = Endpoint::v4([10, 0, 0, host], 10_000 + 2 * port);
                    fill[Key::new(&dst).hash([1, 2])[choice] as usize % BUCKETS] += 1;
                }
            }
            assert!(fill.iter().max() < Some(&12), "two in the mean");
        }
    }

    /// S10: the same whatever the secret is, and in IPv6; and a destination's two buckets are not those of its neighbours.
    #[test]
    fn any_secret_spreads() {
        const BUCKETS: u32 = 4096;
        let mut seed = [0x0123_4567_89ab_cdef_u64, 0xfedc_ba98_7654_3210];
        for round in 0..64 {
            seed = seed.map(|word| word.rotate_left(9).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut fill = [0_u8; BUCKETS as usize];
            let mut pairs = std::collections::HashSet::new();
            for number in 0..4096_u32 {
                let port = 10_000 + 2 * (number % 64) as u16;
                let host = (number / 64) as u8;
                let dst = if round % 2 == 0 {
                    Endpoint::v4([10, 1, host / 16, host], port)
                } else {
                    let mut address = [0x20; 16];
                    address[if round % 4 == 1 { 7 } else { 15 }] = host;
                    Endpoint::v6(address, port)
                };
                let both = Key::new(&dst).hash(seed).map(|hash| hash % BUCKETS);
                both.into_iter().for_each(|bucket| fill[bucket as usize] += 1);
                pairs.insert(both);
            }
            assert!(fill.iter().max() < Some(&16), "two in the mean: {:?}", fill.iter().max());
            assert!(pairs.len() > 4080, "{} of 4096", pairs.len());
        }
    }
}
