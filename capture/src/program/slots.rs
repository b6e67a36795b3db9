//! Places of the table of verdicts, in memory that the program reads: one sort for each version of IP.
#![expect(unsafe_code, reason = "words that the program reads meanwhile")]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use earwitness_abi::verdicts::{
    ADDRESSES_AT, Codes, Key, V4_BYTES, V4_CODES_AT, V6_BYTES, V6_CODES_AT, WAYS_V4, WAYS_V6,
};

use super::cuckoo::{Place, Slots};
use crate::mapping::Mapping;

/// A word that this process alone stores, and the program loads.
pub(super) fn word(map: &Mapping, at: usize) -> &AtomicU64 {
    // SAFETY: within the mapping, which `at` checks, and aligned, as everything in these maps is; only one thread stores it, and the
    // program loads whole words.
    unsafe { AtomicU64::from_ptr(map.at(at, size_of::<u64>()).cast()) }
}

/// Those of `BucketV4`: an entry is a word.
#[derive(Debug)]
pub(super) struct SlotsV4(pub(super) Mapping);

impl SlotsV4 {
    fn word(&self, place: Place) -> &AtomicU64 {
        word(&self.0, place.bucket as usize * V4_BYTES + place.way * size_of::<u64>())
    }
}

impl Slots for SlotsV4 {
    const WAYS: usize = WAYS_V4;

    fn entry(&self, place: Place) -> Option<(Key, Codes)> {
        let word = self.word(place).load(Ordering::Relaxed);
        (word != 0).then(|| (Key::of_v4_word(word), (word >> V4_CODES_AT) as Codes))
    }

    fn put(&self, place: Place, key: &Key, codes: Codes) {
        let word = if codes == 0 { 0 } else { key.v4_word() | u64::from(codes) << V4_CODES_AT };
        self.word(place).store(word, Ordering::Release);
    }
}

/// Those of `BucketV6`: an entry is a state, and two words of address, which are there before it.
#[derive(Debug)]
pub(super) struct SlotsV6(pub(super) Mapping);

impl SlotsV6 {
    fn state(&self, place: Place) -> &AtomicU32 {
        let at = place.bucket as usize * V6_BYTES + place.way * size_of::<u32>();
        // SAFETY: as in `word`.
        unsafe { AtomicU32::from_ptr(self.0.at(at, size_of::<u32>()).cast()) }
    }

    fn address(&self, place: Place, half: usize) -> &AtomicU64 {
        let within = ADDRESSES_AT + (2 * place.way + half) * size_of::<u64>();
        word(&self.0, place.bucket as usize * V6_BYTES + within)
    }
}

impl Slots for SlotsV6 {
    const WAYS: usize = WAYS_V6;

    fn entry(&self, place: Place) -> Option<(Key, Codes)> {
        let state = self.state(place).load(Ordering::Relaxed);
        let address = || [0, 1].map(|half| self.address(place, half).load(Ordering::Relaxed));
        (state != 0).then(|| {
            (Key { address: address(), pair: state as u16 }, (state >> V6_CODES_AT) as Codes)
        })
    }

    fn put(&self, place: Place, key: &Key, codes: Codes) {
        if codes == 0 {
            self.state(place).store(0, Ordering::Release);
            return;
        }
        for (half, word) in key.address.into_iter().enumerate() {
            self.address(place, half).store(word, Ordering::Relaxed);
        }
        let state = u32::from(key.pair) | u32::from(codes) << V6_CODES_AT;
        self.state(place).store(state, Ordering::Release);
    }
}
