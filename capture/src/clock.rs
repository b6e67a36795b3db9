//! From the clock that stamps packets to UTC.
//!
//! The XDP program stamps with CLOCK_MONOTONIC, a device's clock may be TAI. How far they are from CLOCK_REALTIME changes when
//! somebody sets that: it is measured, again and again, not assumed.
#![expect(
    unsafe_code,
    reason = "reads the kernel's clocks, which the standard library does not name"
)]

use crate::limits::CALIBRATION_INTERVAL_NS;

/// Readings of which the one with the least time between its ends counts.
const READINGS: u32 = 5;
/// A stamp further than this from now is no UTC: a device's clock that nobody disciplines.
const PLAUSIBLE_NS: u64 = 10_000_000_000;

/// A clock of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    Monotonic,
    Tai,
    Realtime,
}

/// Converts stamps of one clock. Each thread has its own (S8).
#[derive(Debug, Clone)]
pub struct Clock {
    stamp: Stamp,
    /// What to add to a stamp to get UTC.
    to_utc_ns: i64,
    calibrated_ns: u64,
}

impl Clock {
    #[must_use]
    pub fn new(stamp: Stamp) -> Self {
        let mut clock = Self { stamp, to_utc_ns: 0, calibrated_ns: 0 };
        clock.calibrate(now_ns());
        clock
    }

    /// UTC of a stamp.
    #[inline]
    #[must_use]
    pub fn utc_ns(&self, stamp_ns: u64) -> u64 {
        stamp_ns.saturating_add_signed(self.to_utc_ns)
    }

    /// What to add to a stamp to get UTC.
    #[must_use]
    pub fn to_utc_ns(&self) -> i64 {
        self.to_utc_ns
    }

    /// Measures again, if the time has come.
    #[inline]
    pub fn keep(&mut self, now_ns: u64) {
        if now_ns.wrapping_sub(self.calibrated_ns) >= CALIBRATION_INTERVAL_NS {
            self.calibrate(now_ns);
        }
    }

    fn calibrate(&mut self, now_ns: u64) {
        self.calibrated_ns = now_ns;
        self.to_utc_ns = match self.stamp {
            Stamp::Realtime => 0,
            Stamp::Monotonic => distance_ns(libc::CLOCK_MONOTONIC),
            Stamp::Tai => distance_ns(libc::CLOCK_TAI),
        };
    }
}

/// From a clock to CLOCK_REALTIME.
fn distance_ns(clock: libc::clockid_t) -> i64 {
    let readings = (0..READINGS).map(|_| {
        let before = read(libc::CLOCK_REALTIME);
        let stamp = read(clock);
        let after = read(libc::CLOCK_REALTIME);
        Reading { before, stamp, after }
    });
    let best = readings.min_by_key(|reading| reading.after.saturating_sub(reading.before));
    best.map_or(0, |reading| reading.distance_ns())
}

/// Now, in nanoseconds since the Unix epoch.
#[inline]
#[must_use]
pub fn now_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// A device's stamp, if it can be UTC or TAI; none if nobody disciplines the device's clock.
#[must_use]
pub fn plausible_utc_ns(stamp_ns: u64, tai_to_utc_ns: i64, now_ns: u64) -> Option<u64> {
    let tai = stamp_ns.saturating_add_signed(tai_to_utc_ns);
    [stamp_ns, tai].into_iter().find(|utc| utc.abs_diff(now_ns) <= PLAUSIBLE_NS)
}

struct Reading {
    before: u64,
    stamp: u64,
    after: u64,
}

impl Reading {
    fn distance_ns(&self) -> i64 {
        let middle = self.before + self.after.saturating_sub(self.before) / 2;
        middle.wrapping_sub(self.stamp).cast_signed()
    }
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable, and lives through the call.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(result, 0, "the kernel has this clock");
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CAP-10: a stamp of this moment is UTC of this moment.
    #[test]
    fn stamps_become_utc() {
        for (stamp, number) in
            [(Stamp::Tai, libc::CLOCK_TAI), (Stamp::Monotonic, libc::CLOCK_MONOTONIC)]
        {
            let clock = Clock::new(stamp);
            let before = now_ns();
            let utc = clock.utc_ns(read(number));
            let after = now_ns();
            assert!(
                utc + 2_000_000 >= before && utc <= after + 2_000_000,
                "{stamp:?}: {before} {utc} {after}"
            );
        }
    }

    /// CAP-10: a clock that was set, in either direction, is measured again when it is next looked at.
    #[test]
    fn a_step_is_noticed() {
        let now = now_ns();
        for looked_at in [now - 2 * CALIBRATION_INTERVAL_NS, now + 1_000_000] {
            let mut clock = Clock::new(Stamp::Monotonic);
            let right = clock.to_utc_ns();
            (clock.to_utc_ns, clock.calibrated_ns) = (0, looked_at);
            clock.keep(now);
            assert!(clock.to_utc_ns().abs_diff(right) < 2_000_000);
        }
    }

    /// CAP-10: a device's clock that nobody disciplines is not believed.
    #[test]
    fn wild_stamps_are_refused() {
        let now = 1_800_000_000_000_000_000;
        let tai_to_utc = -37_000_000_000;
        assert_eq!(plausible_utc_ns(now - 5, tai_to_utc, now), Some(now - 5));
        assert_eq!(plausible_utc_ns(now + 37_000_000_000, tai_to_utc, now), Some(now));
        assert_eq!(plausible_utc_ns(12_345, tai_to_utc, now), None);
    }
}
