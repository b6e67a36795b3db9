//! The sender's clock against the tap's.
//!
//! In: the minimum transit of each window of a run. Two crystals differ by a nearly constant rate,
//! so that drift is a line through these minima; jitter lies above the line, and a route that
//! changes is a step, not a line. What no line explains is not corrected.

use crate::limits::{DRIFT_BLOCK_NS, DRIFT_NS_MIN, DRIFT_PPM_MAX, DRIFT_RUN_NS_MIN};

/// Minimum transit in one window.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) struct Minimum {
    /// On the sender's clock, nanoseconds since the run's first timestamp.
    pub(crate) media_ns: f64,
    /// Arrival minus media time.
    pub(crate) transit_ns: f64,
}

/// Transit over the length of a run: straight lines between knots.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drift {
    knots: Vec<Minimum>,
}

/// More points would not make the line better, and pairs of them grow with the square.
const POINTS_MAX: usize = 128;
/// Minima lie this close to where there is no drift.
const ERROR_NS: f64 = 2e6;

impl Drift {
    /// Measures drift, or finds none worth correcting.
    pub(crate) fn measure(minima: &[Minimum]) -> Option<Self> {
        let (first, last) = (minima.first()?, minima.last()?);
        let span_ns = last.media_ns - first.media_ns;
        if span_ns < DRIFT_RUN_NS_MIN as f64 || minima.len() < 6 {
            return None;
        }
        let blocks = (span_ns / DRIFT_BLOCK_NS as f64).ceil().max(1.0);
        let knots = knots(minima, blocks as usize, span_ns)?;
        let drift = Self { knots };
        drift.explains(minima).then_some(drift)
    }

    /// Transit at a moment of the sender's clock, relative to the run's first timestamp.
    pub(crate) fn transit_ns(&self, media_ns: f64) -> f64 {
        let after = self.knots.partition_point(|knot| knot.media_ns < media_ns);
        let after = after.clamp(1, self.knots.len() - 1);
        let (a, b) = (self.knots[after - 1], self.knots[after]);
        let slope = (b.transit_ns - a.transit_ns) / (b.media_ns - a.media_ns);
        a.transit_ns + slope * (media_ns - a.media_ns)
    }

    /// Mean rate: positive where the sender is slow.
    pub(crate) fn ppm(&self) -> f64 {
        let (a, b) = (self.knots[0], self.knots[self.knots.len() - 1]);
        (b.transit_ns - a.transit_ns) / (b.media_ns - a.media_ns) * 1e6
    }

    /// Large enough to matter, slow enough for a crystal, and the minima lie on it.
    fn explains(&self, minima: &[Minimum]) -> bool {
        let total_ns = self
            .knots
            .iter()
            .map(|knot| (knot.transit_ns - self.knots[0].transit_ns).abs())
            .fold(0.0, f64::max);
        let steepest = self
            .knots
            .windows(2)
            .map(|pair| {
                (pair[1].transit_ns - pair[0].transit_ns) / (pair[1].media_ns - pair[0].media_ns)
            })
            .fold(0.0, |most: f64, slope| most.max(slope.abs()));
        let followed = self.knots.windows(2).all(|pair| {
            let change_ns = (pair[1].transit_ns - pair[0].transit_ns).abs();
            let mut errors: Vec<f64> = minima
                .iter()
                .filter(|at| (pair[0].media_ns..=pair[1].media_ns).contains(&at.media_ns))
                .map(|at| (at.transit_ns - self.transit_ns(at.media_ns)).abs())
                .collect();
            errors.is_empty() || median(&mut errors) <= (change_ns / 10.0).max(ERROR_NS)
        });
        followed && total_ns > DRIFT_NS_MIN && steepest * 1e6 <= DRIFT_PPM_MAX
    }
}

/// One line for each block; where two meet, the mean of both.
fn knots(minima: &[Minimum], blocks: usize, span_ns: f64) -> Option<Vec<Minimum>> {
    let start_ns = minima[0].media_ns;
    let block_ns = span_ns / blocks as f64;
    let mut knots: Vec<Minimum> = Vec::with_capacity(blocks + 1);
    let mut rest = minima;
    for block in 0..blocks {
        let from_ns = start_ns + block_ns * block as f64;
        let until_ns = from_ns + block_ns;
        let last = block + 1 == blocks;
        let count =
            if last { rest.len() } else { rest.partition_point(|point| point.media_ns < until_ns) };
        let (points, after) = rest.split_at(count);
        rest = after;
        let (slope, level_ns) = line(points)?;
        let at = |media_ns: f64| Minimum { media_ns, transit_ns: level_ns + slope * media_ns };
        match knots.last_mut() {
            Some(knot) => knot.transit_ns = (knot.transit_ns + at(from_ns).transit_ns) / 2.0,
            None => knots.push(at(from_ns)),
        }
        knots.push(at(until_ns));
    }
    Some(knots)
}

/// Theil and Sen: the median of the slopes of all pairs, then the median of the levels.
fn line(points: &[Minimum]) -> Option<(f64, f64)> {
    let step = points.len().div_ceil(POINTS_MAX).max(1);
    let chosen: Vec<Minimum> = points.iter().copied().step_by(step).collect();
    let mut slopes = Vec::with_capacity(chosen.len() * chosen.len() / 2);
    for (index, a) in chosen.iter().enumerate() {
        for b in &chosen[index + 1..] {
            if b.media_ns > a.media_ns {
                slopes.push((b.transit_ns - a.transit_ns) / (b.media_ns - a.media_ns));
            }
        }
    }
    if slopes.is_empty() {
        return None;
    }
    let slope = median(&mut slopes);
    let mut levels: Vec<f64> =
        points.iter().map(|point| point.transit_ns - slope * point.media_ns).collect();
    Some((slope, median(&mut levels)))
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::{Drift, Minimum};

    /// One window each 10 s over `seconds`, transit by `shape`, and up to 2 ms of noise.
    fn minima(seconds: u32, shape: impl Fn(f64) -> f64) -> Vec<Minimum> {
        (0..seconds / 10)
            .map(|window| {
                let media_ns = f64::from(window) * 10e9;
                let noise_ns = f64::from(window * 7_919 % 2_000) * 1e3;
                Minimum { media_ns, transit_ns: shape(media_ns) + noise_ns }
            })
            .collect()
    }

    /// REC-2: 100 ppm over half an hour is found, either way.
    #[test]
    fn drift_is_measured() {
        for ppm in [100.0, -100.0, 30.0] {
            let drift = Drift::measure(&minima(1_800, |at| at * ppm * 1e-6)).expect("drift");
            assert!((drift.ppm() - ppm).abs() < 1.5, "{} for {ppm}", drift.ppm());
        }
    }

    /// REC-2: jitter and a route that changes are no drift.
    #[test]
    fn steps_and_noise_are_not_drift() {
        assert_eq!(Drift::measure(&minima(1_800, |_| 5e6)), None);
        assert_eq!(Drift::measure(&minima(1_800, |at| if at > 9e11 { 40e6 } else { 0.0 })), None);
        assert_eq!(Drift::measure(&minima(3_600, |at| if at > 9e11 { -90e6 } else { 0.0 })), None);
    }

    /// Ten hours whose rate changes with temperature: followed block by block.
    #[test]
    fn slow_change_of_rate_is_followed() {
        let shape = |at: f64| 200e6 * (at / 1e13).sin() + at * 20e-6;
        let drift = Drift::measure(&minima(36_000, shape)).expect("drift");
        for at in [1e12, 1e13, 2e13, 3.5e13] {
            let error_ns = drift.transit_ns(at) - shape(at);
            assert!(error_ns.abs() < 8e6, "{error_ns} at {at}");
        }
    }
}
