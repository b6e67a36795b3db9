//! Keys as tones in the audio (ITU-T Q.23, Q.24), by Goertzel's algorithm over blocks of 12.75 ms at 8 kHz.
//!
//! A block is a key where one row and one column tone are there, alone in their group, of about the same level, and make
//! almost all of the block's energy; two such blocks in a row are one that is pressed. Speech has harmonics of its pitch
//! beside any pair that it hits, so it seldom passes once, and hardly ever twice.

use std::f32::consts::PI;

/// Samples a second that the detector takes.
pub const TONE_RATE_HZ: u32 = 8_000;

const BLOCK: usize = 102;
const ROWS_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS_HZ: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// Peak of the weakest tone of a pair: about -39 dBm0 in 16-bit samples.
const PEAK_MIN: f32 = 250.0;
/// The strongest of a group against each other of it: 8 dB.
const ALONE: f32 = 6.3;
/// Q.24 table A-1: the column may be stronger by 4 dB, the row by 8 dB; a decibel more for what networks do.
const COLUMN_OVER_ROW_MAX: f32 = 3.16;
const ROW_OVER_COLUMN_MAX: f32 = 7.9;
/// Of a tone's energy, what its place has when it is 1.5 % off, as Q.24 lets it be: the square of sinc(0.015 · f · block / rate).
const ROWS_KEPT: [f32; 4] = [0.942, 0.931, 0.915, 0.897];
const COLUMNS_KEPT: [f32; 4] = [0.837, 0.800, 0.760, 0.715];
/// Of what a pair keeps so, what it must be of the block: the rest is noise, 15 dB below.
const SHARE_MIN: f32 = 0.97;
/// Blocks without the key before it counts as released.
const MISSES: u32 = 2;

/// A key that was pressed and released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone {
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub key: char,
    /// First sample of it, and the one behind its last, counted from the detector's first; to a block.
    pub from: u64,
    pub until: u64,
}

/// Listens to one stream.
#[derive(Clone, Debug)]
pub struct ToneDetector {
    /// Twice the cosine of each tone's step.
    coefficients: [f32; 8],
    states: [[f32; 2]; 8],
    energy: f32,
    filled: usize,
    /// Samples before this block.
    position: u64,
    last: Option<char>,
    pressed: Option<(char, u64)>,
    misses: u32,
}

impl Default for ToneDetector {
    fn default() -> Self {
        Self::new()
    }
}

impl ToneDetector {
    #[must_use]
    pub fn new() -> Self {
        let step = |hz: &f32| 2.0 * (2.0 * PI * hz / TONE_RATE_HZ as f32).cos();
        let mut coefficients = [0.0; 8];
        for (to, hz) in coefficients.iter_mut().zip(ROWS_HZ.iter().chain(&COLUMNS_HZ)) {
            *to = step(hz);
        }
        Self {
            coefficients,
            states: [[0.0; 2]; 8],
            energy: 0.0,
            filled: 0,
            position: 0,
            last: None,
            pressed: None,
            misses: 0,
        }
    }

    /// Takes samples; what was released in them goes to `sink`.
    pub fn push(&mut self, samples: &[i16], sink: &mut impl FnMut(Tone)) {
        let mut rest = samples;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BLOCK - self.filled));
            for sample in now {
                let sample = f32::from(*sample);
                self.energy += sample * sample;
                for (state, coefficient) in self.states.iter_mut().zip(&self.coefficients) {
                    let next = sample + coefficient * state[0] - state[1];
                    *state = [next, state[0]];
                }
            }
            self.filled += now.len();
            rest = later;
            if self.filled == BLOCK {
                self.end_block(sink);
            }
        }
    }

    /// Something is missing, or the stream is over: what is pressed is released.
    pub fn interrupt(&mut self, sink: &mut impl FnMut(Tone)) {
        self.release(self.position, sink);
        self.position += self.filled as u64;
        self.clear();
        self.last = None;
    }

    fn end_block(&mut self, sink: &mut impl FnMut(Tone)) {
        let hit = self.hit();
        let begin = self.position;
        self.position += BLOCK as u64;
        match self.pressed {
            Some((key, _)) if hit == Some(key) => self.misses = 0,
            Some(_) => {
                self.misses += 1;
                if self.misses == MISSES {
                    self.release(self.position - u64::from(MISSES) * BLOCK as u64, sink);
                }
            }
            None => {}
        }
        if self.pressed.is_none()
            && let Some(key) = hit
            && self.last == hit
        {
            self.pressed = Some((key, begin.saturating_sub(BLOCK as u64)));
            self.misses = 0;
        }
        self.last = hit;
        self.clear();
    }

    fn release(&mut self, until: u64, sink: &mut impl FnMut(Tone)) {
        if let Some((key, from)) = self.pressed.take() {
            sink(Tone { key, from, until: until.max(from) });
        }
        self.misses = 0;
    }

    fn clear(&mut self) {
        self.states = [[0.0; 2]; 8];
        self.energy = 0.0;
        self.filled = 0;
    }

    /// The key that this block is, if it is one.
    fn hit(&self) -> Option<char> {
        let mut powers = [0.0_f32; 8];
        for ((power, [one, two]), coefficient) in
            powers.iter_mut().zip(&self.states).zip(&self.coefficients)
        {
            *power = one * one + two * two - coefficient * one * two;
        }
        let (rows, columns) = powers.split_at(4);
        let (row, row_power) = strongest(rows)?;
        let (column, column_power) = strongest(columns)?;
        // A tone of this peak has this power in a block.
        let half = BLOCK as f32 / 2.0;
        let least = (PEAK_MIN * half) * (PEAK_MIN * half);
        let loud = row_power.min(column_power) >= least;
        let balanced = column_power <= row_power * COLUMN_OVER_ROW_MAX
            && row_power <= column_power * ROW_OVER_COLUMN_MAX;
        let both = row_power + column_power;
        let kept = row_power * ROWS_KEPT[row] + column_power * COLUMNS_KEPT[column];
        let pure = both * both >= SHARE_MIN * half * self.energy * kept;
        (loud && balanced && pure).then(|| KEYS[row][column])
    }
}

/// The strongest of a group, if the others are far below.
fn strongest(group: &[f32]) -> Option<(usize, f32)> {
    let best = group.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let alone = |(at, power): (usize, &f32)| at == best.0 || power * ALONE <= best.1;
    group.iter().enumerate().all(alone).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Peak of a tone of this level; 16-bit samples reach 3.17 dBm0.
    fn peak(dbm0: f32) -> f32 {
        32_124.0 * 10_f32.powf((dbm0 - 3.17) / 20.0)
    }

    fn wave(hz: f32, peak: f32, at: usize) -> f32 {
        peak * (2.0 * PI * hz * at as f32 / TONE_RATE_HZ as f32).sin()
    }

    struct Press {
        key: char,
        ms: usize,
        row_dbm0: f32,
        column_dbm0: f32,
        /// Of both frequencies, in per mille.
        off: f32,
    }

    impl Press {
        fn new(key: char) -> Self {
            Self { key, ms: 80, row_dbm0: -10.0, column_dbm0: -10.0, off: 0.0 }
        }

        fn samples(&self) -> Vec<i16> {
            let places = (0..4).flat_map(|row| (0..4).map(move |column| (row, column)));
            let (row, column) =
                places.into_iter().find(|(row, column)| KEYS[*row][*column] == self.key).unwrap();
            let scale = 1.0 + self.off / 1_000.0;
            let sample = |at| {
                let row = wave(ROWS_HZ[row] * scale, peak(self.row_dbm0), at);
                let column = wave(COLUMNS_HZ[column] * scale, peak(self.column_dbm0), at);
                (row + column).clamp(-32_124.0, 32_124.0) as i16
            };
            (0..self.ms * 8).map(sample).collect()
        }
    }

    fn silence(ms: usize) -> Vec<i16> {
        vec![0; ms * 8]
    }

    fn heard(samples: &[i16]) -> Vec<Tone> {
        let mut tones = Vec::new();
        let mut detector = ToneDetector::new();
        // In packets.
        samples.chunks(160).for_each(|packet| detector.push(packet, &mut |tone| tones.push(tone)));
        detector.interrupt(&mut |tone| tones.push(tone));
        tones
    }

    fn keys(samples: &[i16]) -> String {
        heard(samples).iter().map(|tone| tone.key).collect()
    }

    fn around(press: &Press, before_ms: usize) -> String {
        keys(&[silence(before_ms), press.samples(), silence(100)].concat())
    }

    /// CALL-8: every key, at any place in a block, with its times to two blocks.
    #[test]
    fn every_key_is_heard() {
        for key in KEYS.iter().flatten() {
            for before in [0, 3, 7, 11, 200] {
                let samples = [silence(before), Press::new(*key).samples(), silence(100)].concat();
                let tones = heard(&samples);
                assert_eq!(tones.len(), 1, "{key} after {before} ms: {tones:?}");
                assert_eq!(tones[0].key, *key);
                let (from, until) = (before as u64 * 8, (before as u64 + 80) * 8);
                assert!(tones[0].from.abs_diff(from) <= 2 * BLOCK as u64, "{tones:?}");
                assert!(tones[0].until.abs_diff(until) <= 2 * BLOCK as u64, "{tones:?}");
            }
        }
        let code = ['*', '4', '8', '8']
            .map(|key| [Press { ms: 50, ..Press::new(key) }.samples(), silence(50)].concat());
        assert_eq!(keys(&code.concat()), "*488");
    }

    /// CALL-8: levels, twists and frequencies that Q.24 asks for are accepted, others are not.
    #[test]
    fn levels_twists_and_frequencies() {
        for dbm0 in [-36.0, -25.0, -10.0, 0.0] {
            let press = Press { row_dbm0: dbm0, column_dbm0: dbm0 - 1.0, ..Press::new('4') };
            assert_eq!(around(&press, 20), "4", "{dbm0} dBm0");
        }
        let quiet = Press { row_dbm0: -46.0, column_dbm0: -46.0, ..Press::new('4') };
        assert_eq!(around(&quiet, 20), "");
        for (twist, expected) in [(4.0, "9"), (-8.0, "9"), (8.0, ""), (-13.0, "")] {
            let press = Press { column_dbm0: -10.0 + twist, ..Press::new('9') };
            assert_eq!(around(&press, 20), expected, "column over row by {twist} dB");
        }
        for (off, expected) in [(15.0, "#"), (-15.0, "#"), (60.0, ""), (-60.0, "")] {
            assert_eq!(around(&Press { off, ..Press::new('#') }, 20), expected, "{off} per mille");
        }
        for (ms, expected) in [(20, ""), (40, "1")] {
            assert_eq!(around(&Press { ms, ..Press::new('1') }, 17), expected, "{ms} ms");
        }
    }

    /// CALL-8: a key in noise 15 dB below it is heard, and one of the other party's voice over it is not made up.
    #[test]
    fn noise_is_no_key() {
        let mut seed = 1_u32;
        let mut noise = |peak: f32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 23) as f32 * peak - peak
        };
        let mut press = Press::new('5').samples();
        let level = peak(-10.0) * 0.3;
        press.iter_mut().for_each(|sample| *sample += noise(level) as i16);
        assert_eq!(keys(&[silence(30), press, silence(100)].concat()), "5");
        let hiss: Vec<i16> = (0..480_000).map(|_| noise(9_000.0) as i16).collect();
        assert_eq!(keys(&hiss), "");
    }

    /// CALL-8, talk-off: ten minutes of voices, at all pitches, with formants that move, make no key.
    #[test]
    fn voices_are_no_keys() {
        let mut phase = 0.0_f32;
        let mut samples = Vec::with_capacity(4_800_000);
        for at in 0..4_800_000_usize {
            let seconds = at as f32 / TONE_RATE_HZ as f32;
            let pitch = 90.0 + 110.0 * (seconds * 0.37).sin().abs() + 6.0 * (seconds * 31.0).sin();
            phase = (phase + pitch / TONE_RATE_HZ as f32).fract();
            let first = 500.0 + 350.0 * (seconds * 2.3).sin();
            let second = 1_500.0 + 600.0 * (seconds * 1.7).cos();
            let mut sample = 0.0;
            for harmonic in 1..=18 {
                let hz = pitch * harmonic as f32;
                let near = |formant: f32| (-((hz - formant) / 160.0).powi(2)).exp();
                let level = 0.02 + near(first) + 0.6 * near(second);
                sample += level * (2.0 * PI * phase * harmonic as f32).sin();
            }
            samples.push((sample * 7_000.0).clamp(-32_000.0, 32_000.0) as i16);
        }
        assert_eq!(keys(&samples), "");
    }
}
