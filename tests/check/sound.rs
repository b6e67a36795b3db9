//! A recording's two channels against what the two parties said.

use std::ops::Range;

use earwitness_fixtures::spec::{Party, Trouble};
use earwitness_fixtures::truth::{Mark, SideTruth, Truth};

use super::correlation::{aligned, anywhere, nearest};
use super::fault::Fault;
use super::grade::{CORRELATION_MIN, Grade};
use super::silence;
use super::wav::Wav;

/// Loudest stretch by which a stream is found.
const TEMPLATE_MS: usize = 200;
/// By less correlation a stream is not found at all.
const LOCATED_MIN: f64 = 0.8;
/// A stretch of speech may lie so far from its neighbours: one sample of rounding each way, and one to spare.
const RUN_SHIFT_SAMPLES: i64 = 2;
/// Shorter stretches say too little by their form.
const RUN_MS_MIN: usize = 60;
/// After the last packet of a stretch, concealment fades out.
const FADE_MS: usize = 120;
/// Above what strangers have in common by chance in two seconds.
const FOREIGN_MAX: f64 = 0.3;

/// What was said, ready for comparison, as each right decoder may give it.
#[derive(Debug)]
pub struct Expected<'a> {
    pub truth: &'a Truth,
    /// First to one that got everything.
    readings: [Vec<Vec<i16>>; 2],
}

impl<'a> Expected<'a> {
    #[must_use]
    pub fn new(truth: &'a Truth) -> Self {
        Self { truth, readings: Party::BOTH.map(|party| readings(truth, party)) }
    }

    #[must_use]
    pub fn pcm(&self, party: Party) -> &[i16] {
        &self.readings[party.index()][0]
    }
}

/// What was sent; and where packets are missing or the stream begins anew, what a decoder with memory makes of that.
fn readings(truth: &Truth, party: Party) -> Vec<Vec<i16>> {
    let side = truth.side(party);
    let mut readings = vec![side.pcm()];
    match truth.trouble {
        Trouble::Loss(_) | Trouble::BurstLoss => {
            readings.push(side.pcm_received(side.marks.len()));
        }
        Trouble::SsrcChange | Trouble::Restart => {
            readings.push(side.pcm_received(side.marks.len() / 2));
        }
        _ => {}
    }
    readings
}

/// All that is wrong with the sound of a recording that says it began at `started_ns`. `strangers` are voices
/// that must not be in it, with whose they are.
#[must_use]
pub fn sound_faults(
    expected: &Expected<'_>,
    wav: &Wav,
    started_ns: u64,
    strangers: &[(String, &[i16])],
) -> Vec<Fault> {
    let [left, right] = &wav.channels[..] else {
        return vec![Fault::Channels { channels: wav.channels.len() as u16 }];
    };
    let mut faults = Vec::new();
    faults.extend(duration(expected.truth, wav));
    for (party, heard) in Party::BOTH.into_iter().zip([left, right]) {
        let side = Side {
            party,
            truth: expected.truth.side(party),
            grade: Grade::of(expected.truth.side(party).codec, expected.truth.trouble),
            trouble: expected.truth.trouble,
            readings: &expected.readings[party.index()],
            heard,
            rate_hz: wav.rate_hz,
        };
        faults.extend(side.faults(started_ns));
        // Where all speak the same words, only their places tell them apart.
        if side.truth.codec.voiced() {
            let other = (format!("{:?}", party.other()), expected.pcm(party.other()));
            let all = strangers.iter().cloned().chain([other]);
            faults.extend(all.filter_map(|(whose, voice)| foreign(party, heard, whose, voice)));
        }
    }
    faults
}

fn duration(truth: &Truth, wav: &Wav) -> Option<Fault> {
    let ends = |pick: fn(&SideTruth) -> u64| {
        truth.sides.iter().filter(|side| !side.marks.is_empty()).map(pick).collect::<Vec<_>>()
    };
    let first = ends(|side| side.first_ns).into_iter().min()?;
    let certain = truth.sides.iter().filter_map(SideTruth::certain_from_ns).min()?;
    let last = ends(SideTruth::last_ns).into_iter().max()?;
    let heard_until = ends(SideTruth::heard_until_ns).into_iter().max()?;
    let packet_ms = i64::from(truth.sides[0].packet_ms);
    let slack = packet_ms + i64::from(matches!(truth.trouble, Trouble::Jitter(_))) * 40;
    let found_ms = wav.duration_ms();
    // What may be missing at the ends may be there as well.
    let least_ms = (heard_until - certain) as i64 / 1_000_000 - slack;
    let most_ms = (last - first) as i64 / 1_000_000 + slack;
    let expected_ms = (last - first) as i64 / 1_000_000;
    (!(least_ms..=most_ms).contains(&found_ms)).then_some(Fault::Duration { found_ms, expected_ms })
}

fn foreign(party: Party, heard: &[i16], whose: String, voice: &[i16]) -> Option<Fault> {
    let correlation = anywhere(&thin(heard), &thin(voice));
    (correlation > FOREIGN_MAX).then_some(Fault::Foreign { party, whose, correlation })
}

/// Every so many samples one, so that long signals stay cheap: aliases are the same on both sides.
fn thin(samples: &[i16]) -> Vec<i16> {
    let step = (samples.len() / 24_000).max(1);
    samples.chunks_exact(step).map(|chunk| chunk[0]).collect()
}

/// One channel and the stream that belongs in it.
struct Side<'a> {
    party: Party,
    truth: &'a SideTruth,
    grade: Grade,
    trouble: Trouble,
    readings: &'a [Vec<i16>],
    heard: &'a [i16],
    rate_hz: u32,
}

/// A stretch of places with one kind of mark.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: usize,
    to: usize,
    mark: Mark,
}

impl Side<'_> {
    fn faults(&self, started_ns: u64) -> Vec<Fault> {
        if !self.truth.marks.contains(&Mark::Heard) {
            // What is only possible, or was never sent, is judged by the other side and by `foreign`.
            return Vec::new();
        }
        let expected_rate = self.truth.codec.rate_hz();
        if self.rate_hz != expected_rate {
            let (found, expected) = (self.rate_hz.to_string(), expected_rate.to_string());
            return vec![Fault::Fact { field: "sample_rate", found, expected }];
        }
        let offset = match self.locate(started_ns) {
            Ok(offset) => offset,
            Err(fault) => return vec![fault],
        };
        let mut faults: Vec<Fault> =
            self.runs().into_iter().filter_map(|run| self.judge(run, offset)).collect();
        faults.extend(self.outside(offset));
        faults
    }

    fn said(&self) -> &[i16] {
        &self.readings[0]
    }

    fn samples(&self, ms: f64) -> i64 {
        (ms * f64::from(self.rate_hz) / 1_000.0).round() as i64
    }

    fn place_samples(&self) -> usize {
        self.truth.codec.samples(self.truth.packet_ms)
    }

    /// Where in the channel the stream's first sample lies.
    fn locate(&self, started_ns: u64) -> Result<i64, Fault> {
        let expected = self.samples((self.truth.first_ns as f64 - started_ns as f64) / 1e6);
        let template = self.loudest();
        let at = expected + template.start as i64 + self.drift(template.start);
        let reach = self.samples(self.grade.shift_ms + f64::from(self.truth.packet_ms) * 2.0);
        let found = self
            .readings
            .iter()
            .map(|said| nearest(self.heard, &said[template.clone()], at, reach));
        let (shift, correlation) =
            found.max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap_or_default();
        if correlation < LOCATED_MIN {
            return Err(Fault::NotHeard { party: self.party, correlation });
        }
        let off_ms = shift as f64 * 1_000.0 / f64::from(self.rate_hz);
        if off_ms.abs() > self.grade.shift_ms {
            return Err(Fault::Shifted { party: self.party, off_ms });
        }
        Ok(expected + shift)
    }

    /// By how many samples a drifting clock has moved the sample at `place`.
    fn drift(&self, place: usize) -> i64 {
        place as i64 * self.truth.drift_ppm / 1_000_000
    }

    /// The loudest stretch without loss or gap, in samples of the stream.
    fn loudest(&self) -> Range<usize> {
        let place = self.place_samples();
        let count = (TEMPLATE_MS / usize::from(self.truth.packet_ms)).max(2);
        let energy = |from: usize| -> i64 {
            self.said()[from * place..(from + count) * place]
                .iter()
                .map(|sample| i64::from(*sample).pow(2))
                .sum()
        };
        let whole = |from: usize| {
            let before = from.saturating_sub(self.grade.recovery);
            let marks = &self.truth.marks[before..from + count];
            // The beginning settles where the stream lies; decoders are warm after a little.
            from >= self.grade.warm_up.max(2) && marks.iter().all(|mark| *mark == Mark::Heard)
        };
        let last = self.truth.marks.len().saturating_sub(count);
        let best = (0..=last).filter(|from| whole(*from)).max_by_key(|from| energy(*from));
        let from = best.unwrap_or(0);
        from * place..((from + count) * place).min(self.said().len())
    }

    /// The marks as runs; streams that begin anew are cut there.
    fn runs(&self) -> Vec<Run> {
        let marks = &self.truth.marks;
        let anew = matches!(self.trouble, Trouble::SsrcChange | Trouble::Restart);
        let mut runs: Vec<Run> = Vec::new();
        for (place, mark) in marks.iter().enumerate() {
            match runs.last_mut() {
                Some(run) if run.mark == *mark && !(anew && place == marks.len() / 2) => {
                    run.to = place + 1;
                }
                _ => runs.push(Run { from: place, to: place + 1, mark: *mark }),
            }
        }
        runs
    }

    fn judge(&self, run: Run, offset: i64) -> Option<Fault> {
        let place = self.place_samples();
        let fade = FADE_MS.div_ceil(usize::from(self.truth.packet_ms));
        // What follows a loss or a gap is concealed into; what follows speech fades out.
        let from = match run.mark {
            Mark::Heard if run.from > 0 => run.from + self.grade.recovery,
            Mark::Heard => self.grade.warm_up,
            Mark::Absent | Mark::Quiet => run.from + fade,
            _ => run.from,
        };
        if from >= run.to {
            return None;
        }
        let stretch = from * place..run.to * place;
        let at = offset + (from * place) as i64 + self.drift(from * place);
        let at_ms = (from * usize::from(self.truth.packet_ms)) as u64;
        match run.mark {
            Mark::Heard => self.compare(stretch, at, at_ms),
            Mark::Absent => silence::silent(self.party, self.cut(at, stretch.len()), at_ms),
            Mark::Quiet => silence::quiet(self.party, self.cut(at, stretch.len()), at_ms),
            Mark::Possible | Mark::Lost | Mark::Key => None,
        }
    }

    fn cut(&self, at: i64, length: usize) -> &[i16] {
        let within = |place: i64| place.clamp(0, self.heard.len() as i64) as usize;
        &self.heard[within(at)..within(at.saturating_add(length as i64))]
    }

    fn compare(&self, stretch: Range<usize>, at: i64, at_ms: u64) -> Option<Fault> {
        let said = &self.said()[stretch.clone()];
        if self.grade.exact {
            let (shift, _) = nearest(self.heard, said, at, RUN_SHIFT_SAMPLES);
            return self.equal(said, self.cut(at + shift, said.len()), at_ms);
        }
        if said.len() < self.rate_hz as usize * RUN_MS_MIN / 1_000 {
            return None;
        }
        // Resampling moves a drifting stream's samples between each other's places: judge in pieces.
        let alike = |said: &[i16]| match self.trouble {
            Trouble::Drift(_) | Trouble::Jitter(_) => self.in_pieces(said, at),
            _ => nearest(self.heard, said, at, RUN_SHIFT_SAMPLES).1,
        };
        let readings = self.readings.iter().map(|reading| alike(&reading[stretch.clone()]));
        let correlation = readings.fold(-1.0, f64::max);
        let (party, least) = (self.party, CORRELATION_MIN);
        (correlation < least).then_some(Fault::Unlike { party, at_ms, correlation, least })
    }

    /// The correlation of the worst piece, each where it fits best.
    fn in_pieces(&self, said: &[i16], at: i64) -> f64 {
        let piece = self.rate_hz as usize / 5;
        let reach = self.samples(self.grade.shift_ms);
        let pieces = said.chunks_exact(piece).enumerate();
        let loud = pieces.filter(|(_, said)| aligned(said, said) > 0.0 && level(said) > 500.0);
        loud.map(|(index, said)| {
            let at = at + (index * piece) as i64;
            nearest(self.heard, said, at, reach).1
        })
        .fold(1.0, f64::min)
    }

    fn equal(&self, said: &[i16], heard: &[i16], at_ms: u64) -> Option<Fault> {
        let differences =
            said.iter().zip(heard).map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs());
        let differing = differences.clone().filter(|difference| *difference > 0).count()
            + said.len().abs_diff(heard.len());
        let most = differences.max().unwrap_or(0);
        let (party, samples) = (self.party, said.len());
        (differing > 0).then_some(Fault::Samples { party, at_ms, samples, differing, most })
    }

    /// Before the first packet and after the last there is nothing.
    fn outside(&self, offset: i64) -> Vec<Fault> {
        let said = self.said().len();
        let end = offset + said as i64 + self.drift(said);
        // Where a drifting stream begins is known as well as where it lies.
        let early = match self.trouble {
            Trouble::Drift(_) => self.samples(self.grade.shift_ms),
            _ => RUN_SHIFT_SAMPLES,
        };
        let faded = end + self.samples(FADE_MS as f64);
        let before = self.cut(0, (offset - early).max(0) as usize);
        let after = self.cut(faded, self.heard.len());
        let end_ms = faded.max(0) as u64 * 1_000 / u64::from(self.rate_hz);
        [silence::silent(self.party, before, 0), silence::silent(self.party, after, end_ms)]
            .into_iter()
            .flatten()
            .collect()
    }
}

fn level(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (energy / samples.len().max(1) as f64).sqrt()
}
