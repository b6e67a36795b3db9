//! Where the native samples of a run lie in the recording.

use std::rc::Rc;

use earwitness_codec::Decoders;

use crate::limits::{CHUNK_MS, CONCEAL_MS, NS_PER_MS, NS_PER_S, OVERLAP_MS, PACKET_NS_MAX};
use crate::options::Noise;
use crate::owner;
use crate::resample::Resampler;
use crate::run::Line;

/// What a voice has in common with all of its side.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Stage<'a> {
    /// Frames a second of the recording.
    pub(crate) rate_hz: u32,
    /// Time of its first frame.
    pub(crate) start_ns: i64,
    /// Stretches that must not be heard: in order, apart, in nanoseconds.
    pub(crate) masks: &'a [(i64, i64)],
    pub(crate) noise: Noise,
    /// To the recording's rate, by native rate.
    pub(crate) resamplers: &'a [(u32, Rc<Resampler>)],
    pub(crate) decoders: &'a Decoders,
}

/// Native samples of a run: where they lie in the recording.
#[derive(Debug)]
pub(crate) struct Grid {
    pub(crate) rate_hz: u32,
    clock_hz: u32,
    first_ticks: i64,
    /// Frame of the recording where native sample 0 lies, the line's first tick.
    pub(crate) origin: i64,
    pub(crate) resampler: Option<Rc<Resampler>>,
}

impl Grid {
    pub(crate) fn new(line: &Line, rate_hz: u32, stage: &Stage<'_>) -> Self {
        let origin_ns = line.at_ns(line.first_ticks) - stage.start_ns;
        Self {
            rate_hz,
            clock_hz: line.clock_hz,
            first_ticks: line.first_ticks,
            origin: owner::frames(origin_ns, stage.rate_hz),
            resampler: stage
                .resamplers
                .iter()
                .find(|(from_hz, _)| *from_hz == rate_hz)
                .map(|(_, resampler)| Rc::clone(resampler)),
        }
    }

    pub(crate) fn samples_in(&self, ticks: i64) -> i64 {
        if self.rate_hz == self.clock_hz {
            return ticks;
        }
        (i128::from(ticks) * i128::from(self.rate_hz)).div_euclid(i128::from(self.clock_hz)) as i64
    }

    pub(crate) fn sample_of(&self, ticks: i64) -> i64 {
        self.samples_in(ticks - self.first_ticks)
    }

    pub(crate) fn frame_of(&self, sample: i64, stage: &Stage<'_>) -> i64 {
        let frame = match self.resampler {
            None => sample,
            Some(_) => (i128::from(sample) * i128::from(stage.rate_hz))
                .div_euclid(i128::from(self.rate_hz)) as i64,
        };
        self.origin + frame
    }

    /// First native sample that the recording needs from `frame` on.
    pub(crate) fn base_for(&self, frame: i64) -> i64 {
        let index = frame - self.origin;
        match &self.resampler {
            None => index,
            Some(resampler) => resampler.input_of(index) - resampler.reach() as i64,
        }
    }

    /// Samples that the canvas of a chunk takes, with what overlaps it.
    pub(crate) fn canvas_samples(&self) -> usize {
        let packet_ms = (PACKET_NS_MAX / NS_PER_MS) as u32;
        let ahead_ms = u64::from(CHUNK_MS + OVERLAP_MS + packet_ms + CONCEAL_MS);
        let reach = self.resampler.as_ref().map_or(0, |resampler| resampler.reach());
        (u64::from(self.rate_hz) * ahead_ms / 1_000) as usize + 2 * reach
    }

    /// Masks in native samples, outward: nothing of what they cover may stay.
    pub(crate) fn masks(&self, stage: &Stage<'_>) -> Vec<(i64, i64)> {
        let second = i128::from(NS_PER_S);
        let origin_ns = i128::from(self.origin) * second / i128::from(stage.rate_hz);
        let sample = |at_ns: i64| {
            let relative_ns = i128::from(at_ns) - i128::from(stage.start_ns) - origin_ns;
            (relative_ns * i128::from(self.rate_hz)).div_euclid(second) as i64
        };
        stage.masks.iter().map(|&(from, until)| (sample(from) - 1, sample(until) + 2)).collect()
    }
}
