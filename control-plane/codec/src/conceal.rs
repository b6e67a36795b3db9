//! Packet-loss concealment for codecs without their own, after the idea of ITU-T G.711 Appendix I:
//! the last pitch periods are repeated and fade away within 60 ms.
//!
//! Unlike the appendix nothing already given out is changed, so there is no delay: the step at the
//! start of a hole is spread over a quarter of a period instead.

/// Shortest and longest pitch period looked for, in µs (200 Hz and 66 Hz).
const PITCH_MIN_US: u32 = 5_000;
const PITCH_MAX_US: u32 = 15_000;
/// Stretch of the signal that the search compares.
const WINDOW_US: u32 = 20_000;
/// One more period is repeated after each of these, up to three.
const STAGE_US: u32 = 10_000;
/// Where the repetition has faded to silence.
const SILENT_US: u32 = 60_000;
/// The fade-in after a hole grows by this much per stage, up to one stage.
const RESUME_US: u32 = 4_000;

/// Remembers the last sound of a stream and makes more of it.
#[derive(Clone, Debug)]
pub(crate) struct Concealer {
    rate: u32,
    channels: usize,
    /// The last 48.75 ms, interleaved.
    tail: Vec<i16>,
    gap: Option<Gap>,
}

impl Concealer {
    pub(crate) fn new(sample_rate: u32, channels: u8) -> Self {
        Self { rate: sample_rate, channels: usize::from(channels.max(1)), tail: vec![], gap: None }
    }

    /// The last sound, for estimates of background noise.
    pub(crate) fn tail(&self) -> &[i16] {
        &self.tail
    }

    /// Takes note of samples that went out and ends a hole without a transition.
    pub(crate) fn remember(&mut self, samples: &[i16]) {
        self.gap = None;
        self.keep(samples);
    }

    /// Appends `samples` (per channel) that sound like what came before.
    pub(crate) fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        let start = out.len();
        let gap = match self.gap.take() {
            Some(gap) => self.gap.insert(gap),
            None => self.gap.insert(Gap::new(self.rate, self.channels, &self.tail)),
        };
        let audible = samples.min(gap.audible());
        out.reserve(samples * self.channels);
        for _ in 0..audible {
            gap.next(|_, sample| out.push(round(sample)));
        }
        gap.skip(samples - audible);
        out.resize(start + samples * self.channels, 0);
        self.keep(&out[start..]);
    }

    /// Lets decoded samples fade in from the hole before them, if there was one, and takes note.
    pub(crate) fn resume(&mut self, samples: &mut [i16]) {
        if let Some(mut gap) = self.gap.take() {
            let fade = gap.resume_samples().min(samples.len() / self.channels);
            for (n, frame) in samples.chunks_exact_mut(self.channels).take(fade).enumerate() {
                let weight = (n + 1) as f32 / (fade + 1) as f32;
                gap.next(|channel, synthetic| {
                    let mixed = synthetic * (1.0 - weight) + f32::from(frame[channel]) * weight;
                    frame[channel] = round(mixed);
                });
            }
        }
        self.keep(samples);
    }

    fn keep(&mut self, samples: &[i16]) {
        let bound = (per(self.rate, PITCH_MAX_US) * 13 / 4) * self.channels;
        if samples.len() >= bound {
            self.tail.clear();
            self.tail.extend_from_slice(&samples[samples.len() - bound..]);
        } else {
            let surplus = (self.tail.len() + samples.len()).saturating_sub(bound);
            self.tail.drain(..surplus);
            self.tail.extend_from_slice(samples);
        }
    }
}

/// A hole being filled.
#[derive(Clone, Debug)]
struct Gap {
    rate: u32,
    channels: usize,
    /// What came before the hole, interleaved; empty where there is too little to go on.
    source: Vec<i16>,
    pitch: usize,
    /// Where the repeated periods are read, in samples from their start.
    position: usize,
    periods: usize,
    /// The wave before the last change of `periods`, while it fades out.
    fading: Option<Fading>,
    /// Step per channel between what was last heard and what the repetition begins with.
    step: Vec<f32>,
    done: usize,
}

#[derive(Clone, Copy, Debug)]
struct Fading {
    periods: usize,
    position: usize,
    left: usize,
}

impl Gap {
    fn new(rate: u32, channels: usize, tail: &[i16]) -> Self {
        let frames = tail.len() / channels;
        let needed = per(rate, PITCH_MAX_US) * 13 / 4;
        let mut source = vec![0; needed.saturating_sub(frames) * channels];
        source.extend_from_slice(&tail[..frames * channels]);
        let pitch = pitch(rate, channels, &source);
        let last = source.len() - channels;
        let step = (0..channels)
            .map(|channel| {
                let heard = source[last + channel];
                let predicted = source[last - pitch * channels + channel];
                f32::from(heard) - f32::from(predicted)
            })
            .collect();
        Self { rate, channels, source, pitch, position: 0, periods: 1, fading: None, step, done: 0 }
    }

    fn quarter(&self) -> usize {
        (self.pitch / 4).max(1)
    }

    /// Samples until silence.
    fn audible(&self) -> usize {
        per(self.rate, SILENT_US).saturating_sub(self.done)
    }

    fn skip(&mut self, samples: usize) {
        self.done = self.done.saturating_add(samples);
    }

    fn resume_samples(&self) -> usize {
        let stages = self.done / per(self.rate, STAGE_US).max(1);
        let longest = per(self.rate, STAGE_US);
        (self.quarter() + stages.saturating_sub(1) * per(self.rate, RESUME_US)).min(longest)
    }

    /// Gives the next sample of each channel.
    fn next(&mut self, mut give: impl FnMut(usize, f32)) {
        let stage = per(self.rate, STAGE_US).max(1);
        let periods = (1 + self.done / stage).min(3);
        if periods != self.periods {
            self.fading = Some(Fading {
                periods: self.periods,
                position: self.position,
                left: self.quarter(),
            });
            self.position %= self.pitch;
            self.periods = periods;
        }
        let gain = self.gain(stage);
        let correction = 1.0 - (self.done as f32 / self.quarter() as f32).min(1.0);
        for channel in 0..self.channels {
            let mut sample = self.wave(self.periods, self.position, channel);
            if let Some(fading) = self.fading {
                let weight = fading.left as f32 / (self.quarter() + 1) as f32;
                let before = self.wave(fading.periods, fading.position, channel);
                sample = sample * (1.0 - weight) + before * weight;
            }
            give(channel, (sample + self.step[channel] * correction) * gain);
        }
        self.position = (self.position + 1) % (self.periods * self.pitch);
        self.fading = self.fading.and_then(|fading| {
            (fading.left > 1).then_some(Fading {
                position: (fading.position + 1) % (fading.periods * self.pitch),
                left: fading.left - 1,
                ..fading
            })
        });
        self.done += 1;
    }

    fn gain(&self, stage: usize) -> f32 {
        let silent = per(self.rate, SILENT_US);
        if self.done < stage {
            1.0
        } else {
            silent.saturating_sub(self.done) as f32 / (silent - stage).max(1) as f32
        }
    }

    /// The last `periods` of the source as an endless wave: its end runs into its start by a
    /// quarter of a period of overlap with what preceded the start.
    fn wave(&self, periods: usize, position: usize, channel: usize) -> f32 {
        let frames = self.source.len() / self.channels;
        let length = periods * self.pitch;
        let at = |frame: usize| f32::from(self.source[frame * self.channels + channel]);
        let here = frames - length + position;
        let quarter = self.quarter();
        match (position + quarter).checked_sub(length) {
            None => at(here),
            Some(into) => {
                let weight = (into + 1) as f32 / (quarter + 1) as f32;
                at(here) * (1.0 - weight) + at(here - length) * weight
            }
        }
    }
}

/// The lag of the best normalised correlation of the source's end with what came before, found
/// coarsely at 8 kHz and refined. All channels count.
fn pitch(rate: u32, channels: usize, source: &[i16]) -> usize {
    let stride = (rate / 8_000).max(1) as usize;
    let (shortest, longest) = (per(rate, PITCH_MIN_US), per(rate, PITCH_MAX_US));
    let coarse = best_lag(rate, channels, source, (shortest..=longest).step_by(stride), stride);
    if stride == 1 {
        return coarse;
    }
    let refined = coarse.saturating_sub(stride).max(shortest)..=(coarse + stride).min(longest);
    best_lag(rate, channels, source, refined, 1)
}

fn best_lag(
    rate: u32,
    channels: usize,
    source: &[i16],
    lags: impl Iterator<Item = usize>,
    stride: usize,
) -> usize {
    let window = per(rate, WINDOW_US) * channels;
    let start = source.len() - window;
    let mut best = (per(rate, PITCH_MAX_US), 0.0_f32);
    for lag in lags {
        let (mut cross, mut energy) = (0.0_f32, 1.0_f32);
        for n in (start..source.len()).step_by(stride * channels) {
            let (now, then) = (f32::from(source[n]), f32::from(source[n - lag * channels]));
            cross += now * then;
            energy += then * then;
        }
        let score = cross / energy.sqrt();
        if score > best.1 {
            best = (lag, score);
        }
    }
    best.0
}

fn per(rate: u32, micros: u32) -> usize {
    (u64::from(rate) * u64::from(micros) / 1_000_000) as usize
}

fn round(sample: f32) -> i16 {
    sample.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f32, samples: usize) -> Vec<i16> {
        (0..samples)
            .map(|n| {
                let phase = std::f32::consts::TAU * hertz * n as f32 / rate as f32;
                (8_000.0 * phase.sin() + 4_000.0 * (2.0 * phase).sin()) as i16
            })
            .collect()
    }

    fn steepest(samples: &[i16]) -> i32 {
        samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap_or(0)
    }

    // REC-2: a concealed hole has no click at its start, inside, or at its end.
    #[test]
    fn holes_are_continuous() {
        for rate in [8_000, 16_000, 48_000] {
            for hole_ms in [10, 20, 40, 100] {
                for hertz in [90.0, 137.0, 196.0] {
                    let per_ms = rate as usize / 1_000;
                    let truth = tone(rate, hertz, 300 * per_ms);
                    let mut concealer = Concealer::new(rate, 1);
                    let mut out = truth[..100 * per_ms].to_vec();
                    concealer.remember(&out);
                    concealer.conceal(hole_ms * per_ms, &mut out);
                    let mut after = truth[(100 + hole_ms) * per_ms..].to_vec();
                    concealer.resume(&mut after);
                    out.extend(after);
                    assert_eq!(out.len(), truth.len());
                    let (found, natural) = (steepest(&out), steepest(&truth));
                    assert!(
                        found <= natural * 3 / 2,
                        "{rate} {hole_ms} {hertz}: {found} {natural}"
                    );
                }
            }
        }
    }

    // REC-2: a short hole in a voiced sound is filled with that sound.
    #[test]
    fn short_holes_sound_like_before() {
        let truth = tone(8_000, 125.0, 1_600);
        let mut concealer = Concealer::new(8_000, 1);
        concealer.remember(&truth[..800]);
        let mut filled = Vec::new();
        concealer.conceal(80, &mut filled);
        let error: i32 =
            filled.iter().zip(&truth[800..]).map(|(a, b)| i32::from(a - b).abs()).max().unwrap();
        assert!(error < 400, "{error}");
    }

    // REC-2: a long hole becomes silence, in one call or in many.
    #[test]
    fn long_holes_fade() {
        let mut concealer = Concealer::new(8_000, 1);
        concealer.remember(&tone(8_000, 150.0, 800));
        let mut many = concealer.clone();
        let (mut once, mut split) = (Vec::new(), Vec::new());
        concealer.conceal(800, &mut once);
        (0..10).for_each(|_| many.conceal(80, &mut split));
        assert_eq!(once, split);
        assert!(once[480..].iter().all(|&sample| sample == 0));
        assert!(once[..80].iter().any(|&sample| sample.abs() > 4_000));
    }

    // REC-2: with nothing heard before, a hole is silence; channels stay apart.
    #[test]
    fn nothing_makes_nothing() {
        let mut concealer = Concealer::new(44_100, 2);
        let mut out = Vec::new();
        concealer.conceal(441, &mut out);
        assert_eq!(out, vec![0; 882]);
        let left: Vec<i16> = tone(44_100, 150.0, 4_410).into_iter().flat_map(|s| [s, 0]).collect();
        concealer.remember(&left);
        out.clear();
        concealer.conceal(441, &mut out);
        assert!(out.iter().skip(1).step_by(2).all(|&right| right == 0));
        assert!(out.iter().step_by(2).any(|&left| left != 0));
    }
}
