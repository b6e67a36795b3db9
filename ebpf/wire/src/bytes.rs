//! Where bytes come from. The parser asks for one, two, four or eight at an offset and gets nothing beyond the end.

use core::ops::ControlFlow;

use crate::upgrade;

/// A walk over bytes, one step at a time.
pub trait Walk: Copy {
    /// Goes one step; breaks if it was the last.
    fn step<B: Bytes + ?Sized>(&mut self, bytes: &B) -> ControlFlow<()>;
}

/// A frame, read at offsets from its start. Numbers are in network order on the wire, in host order here.
pub trait Bytes {
    /// Bytes that can be read.
    fn length(&self) -> u32;
    fn u8_at(&self, at: u32) -> Option<u8>;
    fn u16_at(&self, at: u32) -> Option<u16>;
    fn u32_at(&self, at: u32) -> Option<u32>;
    fn u64_at(&self, at: u32) -> Option<u64>;

    /// Thirty-two bytes, as four numbers.
    fn four_words_at(&self, at: u32) -> Option<[u64; 4]>;

    /// The same value. The XDP program overrides this so that the verifier forgets what it knows of it: paths that
    /// differ only in how they came here are then one path, and there are few enough to verify.
    #[inline(always)]
    fn forget(&self, value: u32) -> u32 {
        value
    }

    /// Walks at most so many steps. The XDP program overrides this: the kernel's own loop is verified once, not for
    /// each time round.
    #[inline(always)]
    fn walk<W: Walk>(&self, mut walk: W, steps_max: u32) -> W {
        for _ in 0..steps_max {
            if walk.step(self).is_break() {
                break;
            }
        }
        walk
    }

    /// Whether an HTTP request may ask for SIP over WebSocket. The XDP program overrides this to have it apart, so
    /// that no other frame pays for it.
    #[inline(always)]
    fn may_offer_sip(&self, at: u32, length: u32) -> bool {
        upgrade::may_offer_sip(self, at, length)
    }
}

impl Bytes for [u8] {
    #[inline(always)]
    fn length(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    #[inline(always)]
    fn u8_at(&self, at: u32) -> Option<u8> {
        self.get(at as usize).copied()
    }

    #[inline(always)]
    fn u16_at(&self, at: u32) -> Option<u16> {
        Some(u16::from_be_bytes(*self.get(at as usize..)?.first_chunk()?))
    }

    #[inline(always)]
    fn u32_at(&self, at: u32) -> Option<u32> {
        Some(u32::from_be_bytes(*self.get(at as usize..)?.first_chunk()?))
    }

    #[inline(always)]
    fn u64_at(&self, at: u32) -> Option<u64> {
        Some(u64::from_be_bytes(*self.get(at as usize..)?.first_chunk()?))
    }

    #[inline(always)]
    fn four_words_at(&self, at: u32) -> Option<[u64; 4]> {
        let bytes: &[u8; 32] = self.get(at as usize..)?.first_chunk()?;
        let words = bytes.as_chunks::<8>().0;
        Some(core::array::from_fn(|at| u64::from_be_bytes(words[at])))
    }
}
