//! One round of a stage: how much was done, in what time, with how many allocations.

use std::time::Instant;

use super::allocations;

/// Does one round and tells the meter.
pub type Round = Box<dyn FnMut(&mut Meter) -> anyhow::Result<()>>;

/// What a round did. Only what runs inside of [`Meter::measure`] counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Meter {
    pub items: u64,
    pub seconds: f64,
    pub allocations: u64,
    /// Memory of one thing that is held, where that is a figure of the stage.
    pub bytes_each: Option<f64>,
}

impl Meter {
    /// Runs `work`, which does `items`.
    pub fn measure<T>(&mut self, items: u64, work: impl FnOnce() -> T) -> T {
        let (before, began) = (allocations::count(), Instant::now());
        let result = earwitness_perf_measured(work);
        self.seconds += began.elapsed().as_secs_f64();
        self.allocations += allocations::count() - before;
        self.items += items;
        result
    }
}

/// Has a name of its own, at which valgrind begins and ends to count.
#[inline(never)]
fn earwitness_perf_measured<T>(work: impl FnOnce() -> T) -> T {
    std::hint::black_box(work())
}
