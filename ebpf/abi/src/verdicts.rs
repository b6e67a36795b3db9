//! The table of verdicts: the program looks in it for each packet of media, user space writes it in place.
//!
//! Each destination has two buckets, given by its hash, and is in one of them; a bucket is one cache line. So a look-up
//! touches two lines at most, however full the table is, and mostly one. Where both buckets are full, user space moves
//! others to their other bucket (cuckoo hashing). An entry that moves is in both for a moment, never in none.
//!
//! The table begins small and doubles as it fills: entries of few calls lie in few pages, or finding the page would cost more
//! than all else. What is found by its hash in `buckets` is, when they double, found in the same bucket or in the one so many
//! further on.
//!
//! Writers: one thread of user space. An entry is its `state`, stored last, with release order; 0 is none. A program that
//! looks while an entry changes finds the old verdict, or none: then the payload decides, as for a flow that nobody
//! announced, and user space looks again where the packet leaves its line.

use earwitness_wire::{Endpoint, Verdict};

use crate::flow::FlowKey;

/// What stands before an IPv4 address: `::ffff`, as half a word.
const MAPPED: u32 = u32::from_ne_bytes([0, 0, 0xff, 0xff]);

/// Entries of a bucket.
pub const WAYS: usize = 3;

/// One cache line.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Bucket {
    /// Port and verdict, as [`state`] puts them together; the fourth is not used.
    pub states: [u32; WAYS + 1],
    /// Addresses, in the order of the wire.
    pub addresses: [[u64; 2]; WAYS],
}

impl Bucket {
    pub const BYTES: usize = 64;
    pub const ADDRESSES_AT: usize = 16;
}

const _: () = assert!(size_of::<Bucket>() == Bucket::BYTES);
const _: () = assert!(core::mem::offset_of!(Bucket, addresses) == Bucket::ADDRESSES_AT);

/// What is known of the whole table.
#[repr(C)]
#[derive(Debug, Default)]
pub struct Table {
    /// Entries whose verdict is ignore.
    pub ignored: u64,
    /// Buckets in use, less one; they are a power of two.
    pub mask: u64,
}

impl Table {
    pub const BYTES: usize = 16;
    pub const IGNORED_AT: usize = 0;
    pub const MASK_AT: usize = 8;
}

const _: () = assert!(size_of::<Table>() == Table::BYTES);
const _: () = assert!(core::mem::offset_of!(Table, mask) == Table::MASK_AT);

/// Buckets of a table for so many entries: two thirds of it are used then, where moving is rare and short.
#[must_use]
pub const fn buckets_for(entries: u32) -> u32 {
    let wanted = entries.div_ceil(WAYS as u32 - 1);
    if wanted < 2 { 2 } else { wanted.next_power_of_two() }
}

/// What an entry with this verdict has as its state; never 0.
#[must_use]
#[inline(always)]
pub const fn state(port: u16, verdict: Verdict) -> u32 {
    port as u32 | (verdict as u32 + 1) << 16
}

/// The verdict of an entry for this port; none if it is for another, or empty.
#[must_use]
#[inline(always)]
pub const fn verdict_of(state: u32, port: u16) -> Option<Verdict> {
    if state as u16 != port || state >> 16 == 0 {
        return None;
    }
    Some(Verdict::from_u8((state >> 16) as u8 - 1))
}

/// The port of an entry.
#[must_use]
pub const fn port_of(state: u32) -> u16 {
    state as u16
}

/// Both buckets of a destination, not yet cut to the table's size. Who sends packets must not be able to guess it, or
/// could fill two buckets: `seed` is secret.
#[must_use]
#[inline(always)]
pub fn hash(dst: &Endpoint, seed: [u64; 2]) -> [u32; 2] {
    hash_of(FlowKey::new(dst).addr, dst.port, seed)
}

/// As [`hash`].
#[must_use]
#[inline(always)]
pub fn hash_of(address: [u64; 2], port: u16, seed: [u64; 2]) -> [u32; 2] {
    // Both factors are secret, and odd: what was different stays so.
    let first = (seed[0] ^ 0x9e37_79b9_7f4a_7c15) | 1;
    let second = (seed[1] ^ 0xbf58_476d_1ce4_e5b9) | 1;
    let mut mixed = (address[1] >> 32 | (port as u64) << 32) ^ seed[1];
    mixed = mixed.wrapping_mul(first);
    mixed ^= mixed >> 32;
    // That was all of IPv4: the rest says only that it is.
    if address[0] != 0 || address[1] as u32 != MAPPED {
        mixed = (mixed ^ address[0]).wrapping_mul(second);
        mixed ^= mixed >> 32;
        mixed = (mixed ^ address[1] << 32).wrapping_mul(first);
        mixed ^= mixed >> 32;
    }
    mixed = mixed.wrapping_mul(second);
    mixed ^= mixed >> 29;
    [mixed as u32 ^ (mixed >> 40) as u32, (mixed >> 32) as u32]
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    /// CAP-1: a state says port and verdict, and an empty one nothing.
    #[test]
    fn states_are_exact() {
        for verdict in [Verdict::Undecided, Verdict::Record, Verdict::Mask, Verdict::Ignore] {
            for port in [0, 1, 5060, 65_535] {
                assert_eq!(verdict_of(state(port, verdict), port), Some(verdict));
                assert_eq!(verdict_of(state(port, verdict), port ^ 1), None);
            }
        }
        assert_eq!(verdict_of(0, 0), None);
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
                    fill[hash(&dst, [1, 2])[choice] as usize % BUCKETS] += 1;
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
                let both = hash(&dst, seed).map(|hash| hash % BUCKETS);
                both.into_iter().for_each(|bucket| fill[bucket as usize] += 1);
                pairs.insert(both);
            }
            assert!(fill.iter().max() < Some(&16), "two in the mean: {:?}", fill.iter().max());
            assert!(pairs.len() > 4080, "{} of 4096", pairs.len());
        }
    }
}
