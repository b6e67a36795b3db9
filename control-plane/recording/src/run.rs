//! Runs of a stream, and where each lies in time.
//!
//! A *line* ties timestamps to the tap's clock: arrival is media time plus transit, and the least
//! transit is that of a packet that waited nowhere. A line lasts as long as the sender's clock does:
//! until sequence or timestamp begin anew, or the sender stood still. A *run* is the part of a line
//! with one native sample rate. A *spell* is a part of a run without a long pause.

use crate::draft::{Continuity, Draft};
use crate::drift::Drift;
use crate::limits::SAMPLE_RATES;
use crate::sequence::Place;

/// From timestamps to the tap's clock.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) clock_hz: u32,
    pub(crate) first_ticks: i64,
    pub(crate) first_arrival_ns: u64,
    /// Transit of a packet that waited nowhere, relative to the first one's.
    pub(crate) level_ns: f64,
    pub(crate) drift: Option<Drift>,
}

impl Line {
    /// The moment of these ticks, nanoseconds since the epoch.
    pub(crate) fn at_ns(&self, ticks: i64) -> i64 {
        let media_ns = self.media_ns(ticks);
        let transit_ns =
            self.drift.as_ref().map_or(self.level_ns, |drift| drift.transit_ns(media_ns));
        self.first_arrival_ns as i64 + (media_ns + transit_ns).round() as i64
    }

    /// How far drift has moved these ticks since the line began, in samples of `rate_hz`.
    pub(crate) fn drifted_samples(&self, ticks: i64, rate_hz: u32) -> i64 {
        let Some(drift) = &self.drift else { return 0 };
        let moved_ns = drift.transit_ns(self.media_ns(ticks)) - drift.transit_ns(0.0);
        (moved_ns * f64::from(rate_hz) * 1e-9).round() as i64
    }

    fn media_ns(&self, ticks: i64) -> f64 {
        (ticks - self.first_ticks) as f64 * (1e9 / f64::from(self.clock_hz))
    }
}

/// A stretch of ticks.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spell {
    pub(crate) from_ticks: i64,
    pub(crate) until_ticks: i64,
}

/// One native rate on one line; it has all places from its first to the next run's first.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) first: Place,
    pub(crate) line: usize,
    /// `None` where nothing in it can be decoded.
    pub(crate) rate_hz: Option<u32>,
    pub(crate) spells: Vec<Spell>,
}

impl Run {
    /// Of its audio; the lowest there is where nothing can be decoded.
    pub(crate) fn rate_hz(&self) -> u32 {
        self.rate_hz.unwrap_or(SAMPLE_RATES[0])
    }

    pub(crate) fn first_ticks(&self) -> i64 {
        self.spells.iter().map(|spell| spell.from_ticks).min().unwrap_or(0)
    }

    pub(crate) fn end_ticks(&self) -> i64 {
        self.spells.iter().map(|spell| spell.until_ticks).max().unwrap_or(0)
    }
}

/// What the timeline needs of one packet.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Tick {
    pub(crate) place: Place,
    pub(crate) arrival_ns: u64,
    /// Timestamp without wraps.
    pub(crate) ticks: i64,
    pub(crate) duration_ticks: i64,
    pub(crate) clock_hz: u32,
    /// `None`: whatever the run has.
    pub(crate) rate_hz: Option<u32>,
}

/// Packets in sending order become lines and runs.
#[derive(Debug, Default)]
pub(crate) struct RunBuilder {
    sure: Option<Draft>,
    trial: Option<Draft>,
    lines: Vec<Line>,
    runs: Vec<Run>,
    epoch: u32,
}

impl RunBuilder {
    pub(crate) fn push(&mut self, tick: &Tick) {
        let epoch = std::mem::replace(&mut self.epoch, tick.place.epoch);
        let Some(draft) = self.trial.as_mut().or(self.sure.as_mut()) else {
            self.sure = Some(Draft::new(tick));
            return;
        };
        if epoch != tick.place.epoch || draft.clock_hz != tick.clock_hz {
            self.begin(tick);
            return;
        }
        match draft.continues(tick) {
            Continuity::Goes => draft.push(tick),
            Continuity::Doubtful => {
                self.settle_before(tick);
                self.trial = self.sure.as_ref().map(|sure| Draft::trial(tick, sure));
            }
            Continuity::Ends => self.begin(tick),
        }
        if self.trial.as_ref().is_some_and(|trial| !trial.is_young()) {
            self.settle();
        }
    }

    /// The clock that timestamps are on now.
    pub(crate) fn clock_hz(&self) -> Option<u32> {
        self.trial.as_ref().or(self.sure.as_ref()).map(|draft| draft.clock_hz)
    }

    /// Lines so far; hostile timestamps make many.
    pub(crate) fn count(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn finish(mut self) -> (Vec<Line>, Vec<Run>) {
        self.settle();
        if let Some(sure) = self.sure.take() {
            sure.finish(&mut self.lines, &mut self.runs);
        }
        (self.lines, self.runs)
    }

    /// A new line, without question.
    fn begin(&mut self, tick: &Tick) {
        self.settle();
        if let Some(sure) = self.sure.replace(Draft::new(tick)) {
            sure.finish(&mut self.lines, &mut self.runs);
        }
    }

    /// Decides what the trial is, knowing what comes after it.
    fn settle_before(&mut self, next: &Tick) {
        if let (Some(sure), Some(trial)) = (&mut self.sure, &self.trial)
            && sure.passes_over(trial, next)
            && let Some(trial) = self.trial.take()
        {
            sure.absorb(trial);
        }
        self.settle();
    }

    /// Decides what the trial is.
    fn settle(&mut self) {
        let Some(trial) = self.trial.take() else { return };
        match &mut self.sure {
            Some(sure) if !sure.parts_from(&trial) => sure.absorb(trial),
            sure => {
                if let Some(sure) = sure.replace(trial) {
                    sure.finish(&mut self.lines, &mut self.runs);
                }
            }
        }
    }
}
