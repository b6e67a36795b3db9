//! Where bytes come from. The parser asks for one, two, four or eight at an offset and gets nothing beyond the end.

/// A frame, read at offsets from its start. Numbers are in network order on the wire, in host order here.
pub trait Bytes {
    /// Bytes that can be read.
    fn length(&self) -> u32;
    fn u8_at(&self, at: u32) -> Option<u8>;
    fn u16_at(&self, at: u32) -> Option<u16>;
    fn u32_at(&self, at: u32) -> Option<u32>;
    fn u64_at(&self, at: u32) -> Option<u64>;

    /// The same value. The XDP program overrides this so that the verifier forgets what it knows of it: paths that
    /// differ only in how many headers came before are then one path, and there are few enough to verify.
    #[inline(always)]
    fn forget(&self, value: u32) -> u32 {
        value
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
}
