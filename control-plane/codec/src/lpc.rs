//! Linear prediction in the form that comfort noise needs: reflection coefficients.
//!
//! The sign is that of RFC 3389 as deployed (WebRTC, FFmpeg): the first is −r(1)/r(0).

/// Highest order used; RFC 3389 allows more, which noise does not need.
pub(crate) const ORDER_MAX: usize = 12;

/// A short-term spectrum and its prediction gain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spectrum {
    pub(crate) reflection: [f32; ORDER_MAX],
}

impl Spectrum {
    /// The flat spectrum: white noise.
    pub(crate) const FLAT: Self = Self { reflection: [0.0; ORDER_MAX] };

    /// The spectrum of some samples (autocorrelation method, Schur-like recursion).
    pub(crate) fn of(samples: &[i16], order: usize) -> Self {
        let order = order.min(ORDER_MAX);
        let mut spectrum = Self::FLAT;
        if samples.len() <= 2 * order {
            return spectrum;
        }
        let mut correlation = [0.0_f64; ORDER_MAX + 1];
        for (lag, sum) in correlation.iter_mut().enumerate().take(order + 1) {
            *sum = samples
                .iter()
                .zip(&samples[lag..])
                .map(|(&a, &b)| f64::from(a) * f64::from(b))
                .sum();
        }
        // A floor of −40 dB keeps the recursion stable on tones.
        correlation[0] *= 1.0001;
        let mut error = correlation[0];
        let mut predictor = [0.0_f64; ORDER_MAX + 1];
        for m in 1..=order {
            if error <= 0.0 {
                break;
            }
            let sum: f64 = (1..m).map(|i| predictor[i] * correlation[m - i]).sum();
            let k = (-(correlation[m] + sum) / error).clamp(-0.98, 0.98);
            let before = predictor;
            predictor[m] = k;
            for i in 1..m {
                predictor[i] = before[i] + k * before[m - i];
            }
            error *= 1.0 - k * k;
            spectrum.reflection[m - 1] = k as f32;
        }
        spectrum
    }

    /// Power of white noise that becomes power 1 through the synthesis filter.
    pub(crate) fn excitation_power(&self) -> f32 {
        self.reflection.iter().map(|k| 1.0 - k * k).product()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REC-2: the first reflection coefficient is −r(1)/r(0).
    #[test]
    fn low_pass_noise_has_negative_first_coefficient() {
        let mut seed = 1_u32;
        let mut last = 0.0_f32;
        let samples: Vec<i16> = (0..4_000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                last = 0.9 * last + (seed >> 16) as f32 - 32_768.0;
                (last / 8.0) as i16
            })
            .collect();
        let spectrum = Spectrum::of(&samples, 4);
        assert!((spectrum.reflection[0] + 0.9).abs() < 0.05, "{spectrum:?}");
        assert!(spectrum.reflection[1].abs() < 0.1);
    }
}
