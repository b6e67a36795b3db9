//! Measures of likeness between sounds, for tests: which signal is this, when, how well.

use std::f64::consts::TAU;

/// How one sound lies in another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alignment {
    /// Samples by which the second sound is late.
    pub lag: isize,
    /// Normalised correlation at that lag, −1 to 1.
    pub correlation: f64,
}

/// Root mean square; 0 of nothing.
#[must_use]
pub fn rms(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    (energy / samples.len().max(1) as f64).sqrt()
}

/// Root mean square of each window of so many samples; a part window at the end counts as one.
#[must_use]
pub fn rms_windows(samples: &[i16], window: usize) -> Vec<f64> {
    samples.chunks(window.max(1)).map(rms).collect()
}

/// Normalised correlation of two sounds as they lie, over the shorter; 0 where one is silent.
#[must_use]
pub fn correlation(a: &[i16], b: &[i16]) -> f64 {
    let (mut cross, mut energy_a, mut energy_b) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        cross += a * b;
        energy_a += a * a;
        energy_b += b * b;
    }
    let energy: f64 = energy_a * energy_b;
    if energy > 0.0 { cross / energy.sqrt() } else { 0.0 }
}

/// Where `found` resembles `reference` best, within `lag_max` samples either way.
///
/// Correlation is over the stretch that both have at that lag.
#[must_use]
pub fn align(reference: &[i16], found: &[i16], lag_max: usize) -> Alignment {
    let size = (reference.len() + found.len()).next_power_of_two().max(2);
    let mut a = spectrum(reference, size);
    let b = spectrum(found, size);
    for (a, b) in a.iter_mut().zip(&b) {
        // Conjugate of the reference times the other.
        *a = (a.0 * b.0 + a.1 * b.1, a.0 * b.1 - a.1 * b.0);
    }
    transform(&mut a, Way::Back);
    let best = |lag: isize| a[lag.rem_euclid(size as isize) as usize].0;
    let bound = lag_max.min(size / 2 - 1) as isize;
    let lag = (-bound..=bound).max_by(|&x, &y| best(x).total_cmp(&best(y))).unwrap_or(0);
    let (reference, found) = match usize::try_from(lag) {
        Ok(late) => (reference, found.get(late..).unwrap_or_default()),
        Err(_) => (reference.get(lag.unsigned_abs()..).unwrap_or_default(), found),
    };
    Alignment { lag, correlation: correlation(reference, found) }
}

/// Ratio of a signal to what `found` differs from it, in dB, over the shorter.
#[must_use]
pub fn snr_db(reference: &[i16], found: &[i16]) -> f64 {
    let (mut signal, mut error) = (0.0, 1e-9);
    for (&r, &f) in reference.iter().zip(found) {
        signal += f64::from(r).powi(2);
        error += (f64::from(r) - f64::from(f)).powi(2);
    }
    10.0 * (f64::max(signal, 1e-9) / error).log10()
}

/// A sound that codecs take for speech: voiced syllables with gliding pitch and formants, pauses
/// between them. Different seeds make sounds that do not correlate.
#[must_use]
pub fn speech_like(sample_rate: u32, samples: usize, seed: u32) -> Vec<i16> {
    let rate = f64::from(sample_rate);
    let mut random = Random(seed.wrapping_mul(2_654_435_761).wrapping_add(1));
    let mut out = Vec::with_capacity(samples);
    let mut pulse_phase = 0.0;
    while out.len() < samples {
        let length = (rate * (0.12 + 0.2 * random.unit())) as usize;
        let pause = (rate * (0.03 + 0.1 * random.unit())) as usize;
        let pitch = (95.0 + 90.0 * random.unit(), 95.0 + 90.0 * random.unit());
        let mut formants = [(500.0, 80.0), (1_400.0, 110.0), (2_500.0, 160.0)]
            .map(|(hertz, width)| Resonator::new(rate, hertz * (0.7 + 0.6 * random.unit()), width));
        let mut glottis = (0.0, 0.0);
        let mut flow = 0.0;
        let syllable: Vec<f64> = (0..length)
            .map(|n| {
                let at = n as f64 / length as f64;
                pulse_phase += (pitch.0 + (pitch.1 - pitch.0) * at) / rate;
                let pulse = if pulse_phase >= 1.0 { 1.0 } else { 0.0 };
                pulse_phase -= pulse;
                // The glottis falls by 12 dB an octave above 600 Hz; lips radiate the difference.
                let pole = (-TAU * 600.0 / rate).exp();
                glottis.0 += (pulse - glottis.0) * (1.0 - pole);
                glottis.1 += (glottis.0 - glottis.1) * (1.0 - pole);
                let source = glottis.1 - flow + 0.000_5 * (random.unit() - 0.5);
                flow = glottis.1;
                let voice: f64 = formants.iter_mut().map(|formant| formant.next(source)).sum();
                voice * (std::f64::consts::PI * at).sin().sqrt()
            })
            .collect();
        let peak = syllable.iter().fold(1e-9, |peak: f64, sample| peak.max(sample.abs()));
        let loudness = 9_000.0 + 7_000.0 * random.unit();
        out.extend(syllable.iter().map(|sample| (sample / peak * loudness) as i16));
        out.extend((0..pause).map(|_| (8.0 * (random.unit() - 0.5)) as i16));
    }
    out.truncate(samples);
    out
}

/// White noise of a level (RMS).
#[must_use]
pub fn noise(samples: usize, level: f64, seed: u32) -> Vec<i16> {
    let mut random = Random(seed.wrapping_mul(2_654_435_761).wrapping_add(1));
    (0..samples).map(|_| (level * 12.0_f64.sqrt() * (random.unit() - 0.5)) as i16).collect()
}

/// A linear congruential generator: the same on every machine.
struct Random(u32);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0 >> 8) / f64::from(1 << 24)
    }
}

/// A two-pole filter with a peak of height 1 to a pulse train.
struct Resonator {
    gain: f64,
    a: (f64, f64),
    last: (f64, f64),
}

impl Resonator {
    fn new(rate: f64, hertz: f64, width: f64) -> Self {
        let radius = (-std::f64::consts::PI * width / rate).exp();
        let angle = TAU * hertz.min(rate * 0.45) / rate;
        let a = (2.0 * radius * angle.cos(), -radius * radius);
        Self { gain: angle.sin() * 0.35, a, last: (0.0, 0.0) }
    }

    fn next(&mut self, input: f64) -> f64 {
        let output = self.gain * input + self.a.0 * self.last.0 + self.a.1 * self.last.1;
        self.last = (output, self.last.0);
        output
    }
}

/// Which way a transform goes.
#[derive(Clone, Copy)]
enum Way {
    There,
    Back,
}

fn spectrum(samples: &[i16], size: usize) -> Vec<(f64, f64)> {
    let mut values: Vec<_> = samples.iter().map(|&sample| (f64::from(sample), 0.0)).collect();
    values.resize(size, (0.0, 0.0));
    transform(&mut values, Way::There);
    values
}

/// The Fourier transform of a power of two values (radix 2, in place).
fn transform(values: &mut [(f64, f64)], way: Way) {
    let size = values.len();
    let bits = size.trailing_zeros();
    for n in 0..size {
        let mirrored = n.reverse_bits() >> (usize::BITS - bits);
        if n < mirrored {
            values.swap(n, mirrored);
        }
    }
    let sign = match way {
        Way::There => -1.0,
        Way::Back => 1.0,
    };
    let mut half = 1;
    while half < size {
        let twiddles: Vec<(f64, f64)> = (0..half)
            .map(|k| (sign * std::f64::consts::PI * k as f64 / half as f64).sin_cos())
            .map(|(sin, cos)| (cos, sin))
            .collect();
        for block in values.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for ((a, b), w) in low.iter_mut().zip(high).zip(&twiddles) {
                let turned = (b.0 * w.0 - b.1 * w.1, b.0 * w.1 + b.1 * w.0);
                *b = (a.0 - turned.0, a.1 - turned.1);
                *a = (a.0 + turned.0, a.1 + turned.1);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_sound_is_found() {
        let sound = speech_like(8_000, 16_000, 1);
        for lag in [-1_234_isize, 0, 777] {
            let shifted: Vec<i16> = match usize::try_from(lag) {
                Ok(late) => std::iter::repeat_n(0, late).chain(sound.iter().copied()).collect(),
                Err(_) => sound[lag.unsigned_abs()..].to_vec(),
            };
            let found = align(&sound, &shifted, 2_000);
            assert_eq!(found.lag, lag);
            assert!(found.correlation > 0.999);
        }
    }

    #[test]
    fn different_sounds_are_different() {
        let (one, two) = (speech_like(8_000, 40_000, 1), speech_like(8_000, 40_000, 2));
        assert!(align(&one, &two, 4_000).correlation.abs() < 0.3);
        assert!(rms(&one) > 1_000.0, "{}", rms(&one));
        assert!((rms(&noise(8_000, 500.0, 3)) / 500.0 - 1.0).abs() < 0.05);
        assert_eq!(rms_windows(&[3; 10], 4), [3.0; 3]);
    }
}
