//! Rational resampling by a windowed sinc, exact in position: no delay, no state.
//!
//! Output sample k lies at input time k·M/L. Integer arithmetic throughout: the same on every machine.

/// Coefficients are fixed point with this many fractional bits; the sum of products of 16-bit
/// samples then fits 32 bits with room for the overshoot of a sinc.
const COEFFICIENT_BITS: u32 = 14;
/// Lobes of the sinc on each side, at the lower of the two rates.
const LOBES: u32 = 24;
/// Middle of the transition band, relative to the lower rate.
const CUTOFF: f64 = 0.47;
/// Kaiser's beta: 70 dB of stop band.
const BETA: f64 = 7.0;

#[derive(Debug)]
pub(crate) struct Resampler {
    /// Output samples for each `down` input samples.
    up: i64,
    down: i64,
    /// Input samples that matter on each side.
    reach: usize,
    /// `2 * reach` coefficients for each of `up` phases.
    coefficients: Vec<i16>,
}

impl Resampler {
    pub(crate) fn new(from_hz: u32, to_hz: u32) -> Self {
        let divisor = gcd(from_hz, to_hz);
        let (up, down) = (to_hz / divisor, from_hz / divisor);
        let ratio = f64::from(from_hz) / f64::from(to_hz.min(from_hz));
        let reach = (f64::from(LOBES) * ratio).ceil() as usize;
        let mut coefficients = Vec::with_capacity(up as usize * reach * 2);
        for phase in 0..up {
            let fraction = f64::from(phase) / f64::from(up);
            coefficients.extend(one_phase(fraction, reach, CUTOFF / ratio));
        }
        Self { up: i64::from(up), down: i64::from(down), reach, coefficients }
    }

    /// Input samples before and after an output moment that it depends on.
    pub(crate) fn reach(&self) -> usize {
        self.reach
    }

    /// First input sample at or after output sample `index`.
    pub(crate) fn input_of(&self, index: i64) -> i64 {
        (index * self.down).div_euclid(self.up) + i64::from((index * self.down) % self.up != 0)
    }

    /// Output samples `first..first + out.len()`; `input[0]` is input sample `base`, and what is
    /// outside of `input` is silence.
    pub(crate) fn run(&self, input: &[i16], base: i64, first: i64, out: &mut [i16]) {
        let taps = self.reach * 2;
        for (index, sample) in (first..).zip(out) {
            let time = index * self.down;
            let whole = time.div_euclid(self.up);
            let phase = time.rem_euclid(self.up) as usize;
            let row = &self.coefficients[phase * taps..][..taps];
            let from = whole - self.reach as i64 + 1 - base;
            let sum = match usize::try_from(from).ok().and_then(|from| input.get(from..from + taps))
            {
                Some(window) => dot(window, row),
                None => dot_at_edge(input, from, row),
            };
            let rounded = (sum + (1 << (COEFFICIENT_BITS - 1))) >> COEFFICIENT_BITS;
            *sample = rounded.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        }
    }
}

fn dot(window: &[i16], row: &[i16]) -> i32 {
    window.iter().zip(row).map(|(&sample, &weight)| i32::from(sample) * i32::from(weight)).sum()
}

fn dot_at_edge(input: &[i16], from: i64, row: &[i16]) -> i32 {
    (from..)
        .zip(row)
        .filter_map(|(at, &weight)| {
            let sample = *input.get(usize::try_from(at).ok()?)?;
            Some(i32::from(sample) * i32::from(weight))
        })
        .sum()
}

/// The filter as seen from `fraction` of an input sample past a whole one; sums to one exactly.
fn one_phase(fraction: f64, reach: usize, cutoff: f64) -> Vec<i16> {
    let width = reach as f64;
    let raw: Vec<f64> = (0..reach * 2)
        .map(|tap| {
            let distance = tap as f64 - width + 1.0 - fraction;
            let x = 2.0 * cutoff * distance;
            let sinc = if x.abs() < 1e-9 {
                1.0
            } else {
                (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x)
            };
            let inside = (1.0 - (distance / width).powi(2)).max(0.0);
            sinc * bessel(BETA * inside.sqrt()) / bessel(BETA)
        })
        .collect();
    let scale = f64::from(1 << COEFFICIENT_BITS);
    let sum: f64 = raw.iter().sum();
    let mut row: Vec<i16> = raw.iter().map(|value| (value / sum * scale).round() as i16).collect();
    let excess: i32 = row.iter().map(|&value| i32::from(value)).sum::<i32>() - scale as i32;
    let largest = (0..row.len()).max_by_key(|&tap| row[tap]).unwrap_or(0);
    row[largest] -= excess as i16;
    row
}

/// Modified Bessel function of the first kind, order zero.
fn bessel(x: f64) -> f64 {
    let mut sum = 1.0;
    let mut term = 1.0;
    for k in 1..32 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::Resampler;

    fn tone(hz: f64, rate: f64, count: usize) -> Vec<i16> {
        (0..count)
            .map(|n| ((std::f64::consts::TAU * hz * n as f64 / rate).sin() * 12_000.0) as i16)
            .collect()
    }

    /// REC-1: a tone keeps its place in time and its level through every pair of rates.
    #[test]
    fn tone_keeps_place_and_level() {
        let rates = [8_000, 16_000, 44_100, 48_000, 11_025, 32_000];
        for from in rates {
            for to in rates {
                let input = tone(1_000.0, f64::from(from), from as usize / 2);
                let expected = tone(1_000.0, f64::from(to), to as usize / 2);
                let resampler = Resampler::new(from, to);
                let mut out = vec![0; expected.len()];
                resampler.run(&input, 0, 0, &mut out);
                let edge = to as usize / 50;
                for at in edge..out.len() - edge {
                    let error = (i32::from(out[at]) - i32::from(expected[at])).abs();
                    assert!(error < 40, "{from} to {to}: {error} at {at}");
                }
            }
        }
    }

    /// Rendering in pieces gives the same as in one: nothing depends on the chunk.
    #[test]
    fn pieces_equal_the_whole() {
        let input = tone(700.0, 8_000.0, 4_000);
        let resampler = Resampler::new(8_000, 44_100);
        let mut whole = vec![0; 20_000];
        resampler.run(&input, 0, 0, &mut whole);
        let mut pieces = vec![0; 20_000];
        for (number, piece) in pieces.chunks_mut(777).enumerate() {
            resampler.run(&input, 0, number as i64 * 777, piece);
        }
        assert_eq!(whole, pieces);
    }

    /// What a lower rate cannot hold does not come back as something else.
    #[test]
    fn no_alias() {
        let input = tone(6_000.0, 16_000.0, 16_000);
        let resampler = Resampler::new(16_000, 8_000);
        let mut out = vec![0; 8_000];
        resampler.run(&input, 0, 0, &mut out);
        let loudest = out[400..7_600].iter().map(|sample| sample.unsigned_abs()).max();
        assert!(loudest < Some(20), "{loudest:?}");
    }
}
