//! Asks the cache for what will be looked at soon. A packet's way touches a record that another core has just written
//! and entries of tables larger than the cache: waited for one after the other, they cost more than all else.
#![expect(
    unsafe_code,
    reason = "an instruction that the standard library names for each processor"
)]

/// Asks for the cache line at `place`, which may be any address: it is not read.
#[inline(always)]
pub fn prefetch<T>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint that reads nothing and faults on nothing; the instruction is in every processor of this kind.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(place.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) place,
            options(nostack, readonly, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = place;
}
