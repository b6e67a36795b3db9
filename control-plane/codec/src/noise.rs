//! Comfort noise: RFC 3389 descriptions and a deterministic generator.

use crate::lpc::{ORDER_MAX, Spectrum};

/// Level taken where nobody ever described one, in dB below overload.
const LEVEL_DEFAULT_DBOV: u8 = 65;
/// RMS of a full-scale square wave: 0 dBov.
const OVERLOAD: f32 = 32_768.0;

/// A generator of background noise with a level and a spectrum.
#[derive(Clone, Debug)]
pub(crate) struct Noise {
    rms: f32,
    spectrum: Spectrum,
    seed: u32,
    /// Level moved by one pole towards `rms`, so that steps do not click.
    gain: f32,
    approach: f32,
    backward: [f32; ORDER_MAX + 1],
}

impl Noise {
    pub(crate) fn new(sample_rate: u32) -> Self {
        Self {
            rms: level(LEVEL_DEFAULT_DBOV),
            spectrum: Spectrum::FLAT,
            seed: 0x6561_7277,
            gain: 0.0,
            // A time constant of 4 ms.
            approach: 1.0 - (-250.0 / sample_rate.max(1) as f32).exp(),
            backward: [0.0; ORDER_MAX + 1],
        }
    }

    /// Takes an RFC 3389 payload; an empty one changes nothing.
    pub(crate) fn describe(&mut self, payload: &[u8]) {
        let Some((&first, coefficients)) = payload.split_first() else { return };
        // RFC 3389 section 3.1: the level in −dBov, its first bit 0.
        self.rms = level(first & 0x7f);
        // RFC 3389 section 3.2: k = 258 (N − 127) / 32768.
        self.spectrum = Spectrum::FLAT;
        for (k, &n) in self.spectrum.reflection.iter_mut().zip(coefficients) {
            *k = (258.0 * (f32::from(n) - 127.0) / 32_768.0).clamp(-0.99, 0.99);
        }
    }

    /// Takes a level (RMS) and a spectrum found otherwise.
    pub(crate) fn set(&mut self, rms: f32, spectrum: Spectrum) {
        self.rms = rms.clamp(0.0, OVERLOAD);
        self.spectrum = spectrum;
    }

    /// Takes a level alone.
    pub(crate) fn set_level(&mut self, rms: f32) {
        self.rms = rms.clamp(0.0, OVERLOAD);
    }

    /// Appends noise: the same in all channels.
    pub(crate) fn fill(&mut self, samples: usize, channels: u8, out: &mut Vec<i16>) {
        out.reserve(samples * usize::from(channels));
        let scale = self.spectrum.excitation_power().sqrt();
        for _ in 0..samples {
            self.gain += (self.rms - self.gain) * self.approach;
            let excitation = self.white() * self.gain * scale;
            let value = self.lattice(excitation);
            let sample = value.clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16;
            out.extend(std::iter::repeat_n(sample, usize::from(channels)));
        }
    }

    /// White noise of power 1, uniform.
    fn white(&mut self) -> f32 {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        const SQRT_3: f32 = 1.732_050_8;
        ((self.seed >> 8) as f32 / 8_388_608.0 - 1.0) * SQRT_3
    }

    /// One step of the all-pole lattice filter.
    fn lattice(&mut self, excitation: f32) -> f32 {
        let mut forward = excitation;
        for stage in (0..ORDER_MAX).rev() {
            let k = self.spectrum.reflection[stage];
            forward -= k * self.backward[stage];
            self.backward[stage + 1] = self.backward[stage] + k * forward;
        }
        self.backward[0] = forward;
        forward
    }
}

fn level(dbov: u8) -> f32 {
    OVERLOAD * 10.0_f32.powf(-f32::from(dbov) / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rms(samples: &[i16]) -> f32 {
        (samples.iter().map(|&s| f32::from(s).powi(2)).sum::<f32>() / samples.len() as f32).sqrt()
    }

    // REC-2 (RFC 3389): noise has the level that was sent, whatever its spectrum.
    #[test]
    fn level_is_as_described() {
        for payload in [&[40][..], &[40, 30, 140], &[40, 200, 90, 127, 100]] {
            let mut noise = Noise::new(8_000);
            noise.describe(payload);
            let mut out = Vec::new();
            noise.fill(16_000, 1, &mut out);
            let expected = 32_768.0 / 100.0;
            let found = rms(&out[400..]);
            assert!((found / expected - 1.0).abs() < 0.1, "{payload:?}: {found} for {expected}");
        }
    }

    // REC-2 (RFC 3389): the spectrum is the one that was sent.
    #[test]
    fn spectrum_is_as_described() {
        let mut noise = Noise::new(8_000);
        noise.describe(&[30, 27, 157]);
        let mut out = Vec::new();
        noise.fill(32_000, 1, &mut out);
        let spectrum = Spectrum::of(&out, 4);
        assert!((spectrum.reflection[0] - 258.0 * -100.0 / 32_768.0).abs() < 0.05);
        assert!((spectrum.reflection[1] - 258.0 * 30.0 / 32_768.0).abs() < 0.05);
    }

    // Replay: the same input gives the same output.
    #[test]
    fn noise_is_deterministic() {
        let run = || {
            let mut noise = Noise::new(16_000);
            noise.describe(&[50, 100]);
            let mut out = Vec::new();
            noise.fill(100, 2, &mut out);
            out
        };
        assert_eq!(run(), run());
        assert_eq!(run().len(), 200);
    }
}
