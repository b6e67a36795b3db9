//! Audio for packets that were lost: the last pitch period again, fading (after ITU-T G.711 Appendix I).
//!
//! Writes only into the gap. What was received stays as it was, sample by sample.

use crate::limits::{CONCEAL_FULL_MS, CONCEAL_MS};

/// Pitch between 400 Hz and 66 Hz.
const PITCH_HZ_MAX: u32 = 400;
const PITCH_HZ_MIN: u32 = 66;
/// Stretch over which the pitch is sought.
const MATCH_MS: u32 = 10;
const FADE_MS: u32 = 20;

/// Past audio that is looked at, in samples.
pub(crate) const fn history_samples(rate: u32) -> usize {
    (rate / PITCH_HZ_MIN + rate * MATCH_MS / 1_000) as usize + 1
}

/// Longest concealment, in samples.
pub(crate) const fn samples_max(rate: u32) -> usize {
    (rate * CONCEAL_MS / 1_000) as usize
}

/// Fills `gap` (at most [`samples_max`] of it) from the audio just before it, and says how many
/// samples it made up: none where that audio is too short or silent.
pub(crate) fn conceal(history: &[i16], gap: &mut [i16], rate: u32) -> usize {
    let history = &history[history.len().saturating_sub(history_samples(rate))..];
    let Some(period) = pitch(history, rate) else { return 0 };
    let cycle = &history[history.len() - period..];
    let full = (rate * CONCEAL_FULL_MS / 1_000) as usize;
    let fade = samples_max(rate) - full;
    let count = gap.len().min(full + fade);
    for (at, sample) in gap[..count].iter_mut().enumerate() {
        let left = (full + fade - at).min(fade) as i64;
        *sample = (i64::from(cycle[at % period]) * left / fade as i64) as i16;
    }
    count
}

/// Fades the end of concealment that somebody else made.
pub(crate) fn fade_out(audio: &mut [i16], rate: u32) {
    let fade = audio.len().min((rate * FADE_MS / 1_000) as usize);
    let from = audio.len() - fade;
    for (done, sample) in audio[from..].iter_mut().enumerate() {
        *sample = (i64::from(*sample) * (fade - done) as i64 / fade as i64) as i16;
    }
}

/// The lag at which the end of `history` resembles itself most, in samples.
fn pitch(history: &[i16], rate: u32) -> Option<usize> {
    // Speech above 4 kHz says nothing of pitch: look at every n-th sample.
    let step = (rate / 8_000).max(1) as usize;
    let span = (rate * MATCH_MS / 1_000) as usize;
    let shortest = (rate / PITCH_HZ_MAX) as usize;
    let longest = ((rate / PITCH_HZ_MIN) as usize).min(history.len().checked_sub(span)?);
    if longest < shortest {
        return None;
    }
    let recent = &history[history.len() - span..];
    if recent.iter().all(|&sample| sample.unsigned_abs() < 4) {
        return None;
    }
    let score = |lag: usize| {
        let past = &history[history.len() - span - lag..][..span];
        let (mut cross, mut energy) = (0_i64, 1_i64);
        for (&a, &b) in recent.iter().zip(past).step_by(step) {
            cross += i64::from(a) * i64::from(b);
            energy += i64::from(b) * i64::from(b);
        }
        let cross = cross.max(0) as f64;
        cross * cross / energy as f64
    };
    let coarse = best((shortest..=longest).step_by(step), score)?;
    best(coarse.saturating_sub(step).max(shortest)..=(coarse + step).min(longest), score)
}

/// The first of the best: equal scores must not depend on the order of a search.
fn best(lags: impl Iterator<Item = usize>, score: impl Fn(usize) -> f64) -> Option<usize> {
    let mut found: Option<(usize, f64)> = None;
    for lag in lags {
        let value = score(lag);
        if found.is_none_or(|(_, most)| value > most) {
            found = Some((lag, value));
        }
    }
    found.map(|(lag, _)| lag)
}

#[cfg(test)]
mod tests {
    use super::{conceal, samples_max};

    fn voiced(hz: f64, rate: f64, from: usize, count: usize) -> Vec<i16> {
        (from..from + count)
            .map(|n| {
                let t = std::f64::consts::TAU * hz * n as f64 / rate;
                ((t.sin() + 0.5 * (2.0 * t).sin()) * 8_000.0) as i16
            })
            .collect()
    }

    /// REC-2: the first 10 ms of a lost voiced packet continue the wave.
    #[test]
    fn pitch_goes_on() {
        for rate in [8_000_u32, 16_000, 48_000] {
            let hz = 125.0;
            let length = rate as usize / 25;
            let history = voiced(hz, f64::from(rate), 0, length);
            let truth = voiced(hz, f64::from(rate), length, rate as usize / 100);
            let mut gap = vec![0; rate as usize / 50];
            assert_eq!(conceal(&history, &mut gap, rate), gap.len());
            for (made, sent) in gap.iter().zip(&truth) {
                assert!((i32::from(*made) - i32::from(*sent)).abs() < 900, "at {rate}");
            }
        }
    }

    /// A long gap fades within 60 ms and is silent after.
    #[test]
    fn fades_to_silence() {
        let history = voiced(100.0, 8_000.0, 0, 400);
        let mut gap = vec![0; 1_600];
        let made = conceal(&history, &mut gap, 8_000);
        assert_eq!(made, samples_max(8_000));
        assert!(gap[made - 8..].iter().all(|sample| sample.unsigned_abs() < 400));
        assert!(gap[made..].iter().all(|&sample| sample == 0));
    }

    /// Nothing comes of nothing.
    #[test]
    fn silence_stays_silent() {
        assert_eq!(conceal(&[0; 400], &mut [0; 160], 8_000), 0);
        assert_eq!(conceal(&[], &mut [0; 160], 8_000), 0);
        assert_eq!(conceal(&[9; 50], &mut [0; 160], 8_000), 0);
    }
}
