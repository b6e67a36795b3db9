//! Conversion between sample rates by a polyphase windowed sinc.
//!
//! Stop band −85 dB, pass band up to 0.88 of the lower Nyquist frequency. Sums are made in one
//! order on every machine, so that the same input makes the same output.

/// Zero crossings of the sinc on each side, at the lower of the two rates.
const CROSSINGS: f64 = 48.0;
/// Kaiser window of −85 dB.
const BETA: f64 = 8.4;
/// Cut-off (−6 dB), relative to the lower Nyquist frequency.
const CUTOFF: f64 = 0.94;
/// More phases than these are rounded to the nearest: rates without a common measure.
const PHASES_MAX: u64 = 2_048;
/// Products summed side by side.
const LANES: usize = 8;

/// A streaming converter of one channel. Output sample k belongs to the instant k / `to` of the
/// input: there is no delay, and n samples in make ceil(n × `to` / `from`) out once finished.
#[derive(Clone, Debug)]
pub struct Resampler {
    /// `to` and `from` without common divisors.
    up: u64,
    down: u64,
    phases: u64,
    /// Taps of each phase, one after the other; empty where the rates are the same.
    taps: Vec<f32>,
    width: usize,
    /// Input still needed; its first sample is number `first` less `width / 2 - 1`.
    held: Vec<f32>,
    first: u64,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// A converter between two sample rates in Hz.
    ///
    /// # Panics
    /// If a rate is 0.
    #[must_use]
    pub fn new(from: u32, to: u32) -> Self {
        assert!(from > 0 && to > 0, "a sample rate is positive");
        let divisor = greatest_common_divisor(from, to);
        let (up, down) = (u64::from(to / divisor), u64::from(from / divisor));
        let phases = up.min(PHASES_MAX);
        let (taps, width) = if up == down { (Vec::new(), 0) } else { design(up, down, phases) };
        let mut resampler =
            Self { up, down, phases, taps, width, held: vec![], first: 0, taken: 0, given: 0 };
        resampler.reset();
        resampler
    }

    /// Takes samples and appends what can be computed so far.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        self.taken += samples.len() as u64;
        if self.width == 0 {
            out.extend_from_slice(samples);
            return;
        }
        self.held.extend(samples.iter().map(|&sample| f32::from(sample)));
        self.drain(u64::MAX, out);
    }

    /// Appends the rest, as if silence followed, and starts anew.
    pub fn finish(&mut self, out: &mut Vec<i16>) {
        if self.width > 0 {
            let whole = (self.taken * self.up).div_ceil(self.down);
            self.held.resize(self.held.len() + self.width, 0.0);
            self.drain(whole, out);
        }
        self.reset();
    }

    fn reset(&mut self) {
        self.held.clear();
        self.held.resize((self.width / 2).saturating_sub(1), 0.0);
        (self.first, self.taken, self.given) = (0, 0, 0);
    }

    /// Computes what the held input suffices for, up to `bound` samples in all.
    fn drain(&mut self, bound: u64, out: &mut Vec<i16>) {
        while self.given < bound {
            let position = self.given * self.down;
            let start = (position / self.up - self.first) as usize;
            // A phase rounded up to a whole sample is the next sample's first.
            let phase = (position % self.up * self.phases + self.up / 2) / self.up;
            let (start, phase) =
                if phase == self.phases { (start + 1, 0) } else { (start, phase as usize) };
            let Some(input) = self.held.get(start..start + self.width) else { break };
            let taps = &self.taps[phase * self.width..(phase + 1) * self.width];
            let sample = dot(input, taps).round();
            out.push(sample.clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16);
            self.given += 1;
        }
        let needed = self.given * self.down / self.up;
        let spent = ((needed - self.first) as usize).min(self.held.len());
        // Moving what remains costs nothing beside the sums once it is long enough.
        if spent > self.width.max(1_024) {
            self.held.drain(..spent);
            self.first += spent as u64;
        }
    }
}

/// A sum of products in a fixed order that the compiler can do `LANES` at a time.
fn dot(input: &[f32], taps: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (x, h) in input.chunks_exact(LANES).zip(taps.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * h[lane];
        }
    }
    sums.iter().sum()
}

/// The taps of every phase: tap j of phase p weighs the input at distance j − width/2 + 1 − p/phases.
fn design(up: u64, down: u64, phases: u64) -> (Vec<f32>, usize) {
    // Downwards the sinc is stretched to the output's rate.
    let stretch = (down as f64 / up as f64).max(1.0);
    let half = CROSSINGS * stretch;
    let width = (2 * half.ceil() as usize + 2).next_multiple_of(LANES);
    let mut taps = Vec::with_capacity(width * phases as usize);
    for phase in 0..phases {
        let offset = phase as f64 / phases as f64;
        let start = taps.len();
        for tap in 0..width {
            let distance = (tap as f64 - (width / 2 - 1) as f64 - offset) / stretch;
            taps.push((kernel(distance) / stretch) as f32);
        }
        // Each phase passes direct current alike, or there would be tones at the phases' rate.
        let sum: f32 = taps[start..].iter().sum();
        taps[start..].iter_mut().for_each(|tap| *tap /= sum);
    }
    (taps, width)
}

/// The windowed sinc at a distance in samples of the lower rate.
fn kernel(distance: f64) -> f64 {
    let edge = distance / CROSSINGS;
    if edge.abs() >= 1.0 {
        return 0.0;
    }
    let x = std::f64::consts::PI * distance * CUTOFF;
    let sinc = if x.abs() < 1e-9 { 1.0 } else { x.sin() / x };
    CUTOFF * sinc * bessel(BETA * (1.0 - edge * edge).sqrt()) / bessel(BETA)
}

/// The modified Bessel function of order 0, by its series.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..60 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, samples: usize) -> Vec<i16> {
        let step = std::f64::consts::TAU * hertz / f64::from(rate);
        (0..samples).map(|n| (20_000.0 * (step * n as f64).sin()).round() as i16).collect()
    }

    fn convert(from: u32, to: u32, input: &[i16], piece: usize) -> Vec<i16> {
        let mut resampler = Resampler::new(from, to);
        let mut out = Vec::new();
        input.chunks(piece).for_each(|samples| resampler.push(samples, &mut out));
        resampler.finish(&mut out);
        out
    }

    /// Signal to error of `found` against `truth`, leaving out a stretch at each end.
    fn snr_db(truth: &[i16], found: &[i16], edge: usize) -> f64 {
        let (mut signal, mut error) = (0.0, 1e-9);
        for (&t, &f) in truth.iter().zip(found).skip(edge).take(truth.len() - 2 * edge) {
            signal += f64::from(t).powi(2);
            error += (f64::from(t) - f64::from(f)).powi(2);
        }
        10.0 * (signal / error).log10()
    }

    const PAIRS: [(u32, u32); 9] = [
        (8_000, 16_000),
        (8_000, 48_000),
        (16_000, 8_000),
        (16_000, 48_000),
        (48_000, 8_000),
        (48_000, 16_000),
        (44_100, 48_000),
        (44_100, 8_000),
        (8_000, 44_100),
    ];

    // REC-1: a tone comes out as the same tone at the same instant, 75 dB above any error.
    #[test]
    fn tones_survive() {
        for (from, to) in PAIRS {
            for hertz in [200.0, 1_000.0, 3_300.0] {
                let found = convert(from, to, &tone(from, hertz, from as usize / 2), 160);
                let truth = tone(to, hertz, to as usize / 2);
                assert_eq!(found.len(), truth.len(), "{from} {to}");
                let snr = snr_db(&truth, &found, to as usize / 20);
                assert!(snr > 75.0, "{from} to {to} at {hertz} Hz: {snr:.1} dB");
            }
        }
    }

    // REC-1: what the lower rate cannot hold is gone, not folded back.
    #[test]
    fn images_are_suppressed() {
        for (from, to) in [(16_000, 8_000), (48_000, 8_000), (44_100, 16_000)] {
            let found = convert(from, to, &tone(from, f64::from(to) * 0.55, 20_000), 160);
            let middle = &found[400..found.len() - 400];
            let peak = middle.iter().map(|sample| sample.abs()).max().unwrap_or(0);
            assert!(peak <= 4, "{from} to {to}: {peak}");
        }
    }

    // REC-2: the length is right, however the input is divided, and dividing changes nothing.
    #[test]
    fn pieces_make_no_difference() {
        for (from, to) in PAIRS {
            for samples in [0, 1, 159, 4_321] {
                let input = tone(from, 440.0, samples);
                let whole = convert(from, to, &input, 100_000);
                let expected = (samples as u64 * u64::from(to)).div_ceil(u64::from(from));
                assert_eq!(whole.len() as u64, expected);
                assert_eq!(whole, convert(from, to, &input, 7));
            }
        }
    }

    // REC-2: rates without a common measure are close enough, and bounded in memory.
    #[test]
    fn odd_rates_work() {
        let found = convert(22_051, 48_000, &tone(22_051, 1_000.0, 22_051), 160);
        assert_eq!(found.len(), 48_000);
        assert!(snr_db(&tone(48_000, 1_000.0, 48_000), &found, 2_000) > 50.0);
        assert!(Resampler::new(95_999, 96_000).taps.len() < 1 << 20);
    }
}
