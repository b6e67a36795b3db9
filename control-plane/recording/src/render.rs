//! Both channels, chunk by chunk, into a sink.

use std::io::{self, Write};
use std::ops::Range;
use std::rc::Rc;

use earwitness_codec::sink::SinkError;
use earwitness_codec::{CodecError, Decoders};

use crate::disk::DiskFile;
use crate::encode::{Output, Target};
use crate::grid::Stage;
use crate::limits::{
    CHUNK_MS, JUMP_NS, NS_PER_MS, NS_PER_S, PACKET_NS_MAX, RECORDING_NS_MAX, SAMPLE_RATES,
    STREAMS_MAX, YOUNG_FALL_NS,
};
use crate::options::{Blank, RenderOptions, Silence};
use crate::owner::{self, Claim, Span, VoiceId};
use crate::player::{PlayError, Player};
use crate::quality;
use crate::report::RenderReport;
use crate::resample::Resampler;
use crate::run::Run;
use crate::stream::{Side, SourceError, StreamInput};
use crate::survey::Survey;

/// Why there is no audio. What was written to the sink by then is worthless.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// No stream has a packet, and the options name no start and end.
    #[error("no media")]
    NoMedia,
    #[error("packets of stream {stream} could not be read")]
    Source {
        stream: usize,
        #[source]
        source: SourceError,
    },
    /// A decoder's process could not be had just now. A codec that has no decoder is no error.
    #[error("stream {stream} could not be decoded")]
    Decoder {
        stream: usize,
        #[source]
        source: CodecError,
    },
    #[error("audio could not be written")]
    Sink {
        #[source]
        source: io::Error,
    },
    #[error("audio could not be encoded")]
    Encoder {
        #[source]
        source: SinkError,
    },
    /// Outside of what the format, or this crate, can do.
    #[error("cannot render at {sample_rate} frames a second")]
    SampleRate { sample_rate: u32 },
    /// More than [`crate::limits::RECORDING_NS_MAX`], or an end before the start.
    #[error("recording cannot span {span_ns} ns")]
    Span { span_ns: i64 },
    /// Less than the options ask for.
    #[error("recording has {length_ns} ns only")]
    TooShort { length_ns: u64 },
    /// More than [`crate::limits::STREAMS_MAX`].
    #[error("call has {streams} streams")]
    TooManyStreams { streams: usize },
}

/// Renders the call's media into `sink` and says what was found.
///
/// A running call is rendered the same way (REC-4): the streams as far as they are, and
/// `end_ns` = now.
pub fn render(
    streams: &[StreamInput<'_>],
    options: &RenderOptions,
    sink: &mut dyn Write,
    decoders: &Decoders,
) -> Result<RenderReport, RenderError> {
    let (report, _) = Plan::new(streams, options)?.run(Target::Stream(sink), decoders)?;
    Ok(report)
}

/// The same into a new file, which is given back unsynced. For MP3 of any length; a stream of MP3 is
/// kept in memory until it is whole, up to [`crate::limits::SPOOL_BYTES_MAX`].
pub fn render_to_file(
    streams: &[StreamInput<'_>],
    options: &RenderOptions,
    file: Box<dyn DiskFile>,
    decoders: &Decoders,
) -> Result<(RenderReport, Box<dyn DiskFile>), RenderError> {
    match Plan::new(streams, options)?.run(Target::File(file), decoders)? {
        (report, Some(file)) => Ok((report, file)),
        (_, None) => unreachable!("a file that is written is given back"),
    }
}

/// A recording whose place in time is known, not yet rendered.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    streams: &'a [StreamInput<'a>],
    options: &'a RenderOptions,
    surveys: Vec<Survey>,
    start_ns: i64,
    rate_hz: u32,
    frames: u64,
    /// Who is heard, by side.
    spans: [Vec<Span>; 2],
    masks: [Vec<(i64, i64)>; 2],
    /// Frames that are left out, in order and apart.
    cuts: Vec<(u64, u64)>,
    /// From each native rate that is not the recording's.
    resamplers: Vec<(u32, Rc<Resampler>)>,
}

impl<'a> Plan<'a> {
    /// The first pass over all streams.
    pub(crate) fn new(
        streams: &'a [StreamInput<'a>],
        options: &'a RenderOptions,
    ) -> Result<Self, RenderError> {
        if streams.len() > STREAMS_MAX {
            return Err(RenderError::TooManyStreams { streams: streams.len() });
        }
        let mut surveys = Vec::with_capacity(streams.len());
        for (stream, input) in streams.iter().enumerate() {
            let survey = Survey::of(*input);
            surveys.push(survey.map_err(|source| RenderError::Source { stream, source })?);
        }
        let rate_hz = sample_rate(&surveys, options)?;
        let (start_ns, end_ns) = extent(&surveys, options)?;
        let mut plan = Self {
            streams,
            options,
            surveys,
            start_ns,
            rate_hz,
            frames: 0,
            spans: [Vec::new(), Vec::new()],
            masks: [masks(options, Side::Caller), masks(options, Side::Callee)],
            cuts: Vec::new(),
            resamplers: Vec::new(),
        };
        plan.resamplers = plan.resamplers();
        plan.frames = owner::frames(end_ns - start_ns, rate_hz).max(0) as u64;
        plan.cuts = plan.cuts();
        let length_ns = ns_of(plan.kept_frames(), rate_hz);
        if length_ns < options.length_min_ns {
            return Err(RenderError::TooShort { length_ns });
        }
        plan.spans = [plan.divide(Side::Caller), plan.divide(Side::Callee)];
        Ok(plan)
    }

    fn resamplers(&self) -> Vec<(u32, Rc<Resampler>)> {
        let runs = self.surveys.iter().flat_map(|survey| &survey.runs);
        let mut rates: Vec<u32> = runs.map(Run::rate_hz).collect();
        rates.sort_unstable();
        rates.dedup();
        rates
            .into_iter()
            .filter(|&rate_hz| rate_hz != self.rate_hz)
            .map(|rate_hz| (rate_hz, Rc::new(Resampler::new(rate_hz, self.rate_hz))))
            .collect()
    }

    fn cuts(&self) -> Vec<(u64, u64)> {
        let frame = |at_ns: i64| {
            owner::frames(at_ns.saturating_sub(self.start_ns), self.rate_hz).max(0) as u64
        };
        apart(self.options.silences.iter().filter(|silence| silence.becomes == Blank::Cut))
            .into_iter()
            .map(|(from_ns, until_ns)| (frame(from_ns), frame(until_ns).min(self.frames)))
            .filter(|(from, until)| from < until)
            .collect()
    }

    /// Frames that are in the file.
    fn kept_frames(&self) -> u64 {
        self.frames - self.cuts.iter().map(|(from, until)| until - from).sum::<u64>()
    }

    /// Of the frames from `frame` on, those that are in the file, as ranges counted from there.
    fn kept(&self, frame: u64, count: usize) -> Vec<Range<usize>> {
        let end = frame + count as u64;
        let mut kept = Vec::with_capacity(1);
        let mut at = frame;
        for &(from, until) in self.cuts.iter().filter(|cut| cut.0 < end && frame < cut.1) {
            if at < from {
                kept.push((at - frame) as usize..(from - frame) as usize);
            }
            at = until.min(end);
        }
        if at < end {
            kept.push((at - frame) as usize..count);
        }
        kept
    }

    pub(crate) fn start_ns(&self) -> u64 {
        self.start_ns.max(0) as u64
    }

    fn divide(&self, side: Side) -> Vec<Span> {
        let mut claims = Vec::new();
        let streams = self.streams.iter().zip(&self.surveys).enumerate();
        for (stream, (input, survey)) in streams.filter(|(_, (input, _))| input.side == side) {
            for (run, it) in survey.runs.iter().enumerate() {
                let line = &survey.lines[it.line];
                let frame =
                    |ticks: i64| owner::frames(line.at_ns(ticks) - self.start_ns, self.rate_hz);
                let run_from = frame(it.first_ticks());
                claims.extend(it.spells.iter().map(|spell| Claim {
                    from: frame(spell.from_ticks),
                    until: frame(spell.until_ticks),
                    priority: input.priority,
                    run_from,
                    voice: VoiceId { stream, run },
                }));
            }
        }
        owner::divide(&claims)
    }

    /// The second pass: audio into the sink.
    pub(crate) fn run(
        self,
        target: Target<'_>,
        decoders: &Decoders,
    ) -> Result<(RenderReport, Option<Box<dyn DiskFile>>), RenderError> {
        let mut players: Vec<Player<'_>> = self
            .streams
            .iter()
            .zip(&self.surveys)
            .enumerate()
            .map(|(id, (input, survey))| Player::new(id, *input, survey))
            .collect();
        let RenderOptions { format, layout, .. } = *self.options;
        let mut output = Output::open(format, self.kept_frames(), layout, self.rate_hz, target)?;
        let chunk = u64::from(self.rate_hz) * u64::from(CHUNK_MS) / 1_000;
        let mut sides = [vec![0_i16; chunk as usize], vec![0_i16; chunk as usize]];
        let mut frame = 0;
        while frame < self.frames {
            let count = chunk.min(self.frames - frame) as usize;
            for side in [Side::Caller, Side::Callee] {
                let out = &mut sides[side.index()][..count];
                self.fill(side, frame as i64, &mut players, out, decoders)?;
            }
            let [caller, callee] = &sides;
            for kept in self.kept(frame, count) {
                output.write(&caller[kept.clone()], &callee[kept])?;
            }
            frame += count as u64;
        }
        let file = output.finish()?;
        Ok((self.report(&players), file))
    }

    /// One side of one chunk.
    fn fill(
        &self,
        side: Side,
        frame: i64,
        players: &mut [Player<'_>],
        out: &mut [i16],
        decoders: &Decoders,
    ) -> Result<(), RenderError> {
        let spans = &self.spans[side.index()];
        let stage = Stage {
            rate_hz: self.rate_hz,
            start_ns: self.start_ns,
            masks: &self.masks[side.index()],
            noise: self.options.noise,
            resamplers: &self.resamplers,
            decoders,
        };
        for (stream, player) in players.iter_mut().enumerate() {
            if self.streams[stream].side == side {
                player.fill(frame, spans, &stage).map_err(|error| match error {
                    PlayError::Source(source) => RenderError::Source { stream, source },
                    PlayError::Decoder(source) => RenderError::Decoder { stream, source },
                })?;
            }
        }
        if spans.is_empty() {
            // Spans cover all time, if there are any.
            out.fill(0);
        }
        let until = frame + out.len() as i64;
        let first = spans.partition_point(|span| span.until <= frame);
        for span in spans[first..].iter().take_while(|span| span.from < until) {
            let (a, b) = (span.from.max(frame), span.until.min(until));
            let room = &mut out[(a - frame) as usize..(b - frame) as usize];
            players[span.voice.stream].copy_to(span.voice.run, a, room);
        }
        Ok(())
    }

    fn report(&self, players: &[Player<'_>]) -> RenderReport {
        let end_ns = i128::from(self.frames) * i128::from(NS_PER_S) / i128::from(self.rate_hz)
            + i128::from(self.start_ns);
        let mut report = RenderReport {
            start_ns: self.start_ns(),
            end_ns: end_ns.max(0) as u64,
            duration_ms: self.kept_frames() * 1_000 / u64::from(self.rate_hz),
            frames: self.kept_frames(),
            sample_rate: self.rate_hz,
            channels: self.options.layout.channels(),
            ..RenderReport::default()
        };
        for ((input, survey), player) in self.streams.iter().zip(&self.surveys).zip(players) {
            quality::add_stream(&mut report, input, survey, player);
        }
        report.mos = quality::worst(&report);
        let (from_ns, until_ns) = (report.start_ns, report.end_ns);
        report.digits.retain(|digit| {
            let masked = self.masks[digit.side.index()].iter().any(|&(mask_ns, end_ns)| {
                // A key that touches a mask is as secret as what is said in it.
                let last_ns = digit.at_ns + u64::from(digit.duration_ms) * NS_PER_MS;
                mask_ns <= last_ns as i64 && (digit.at_ns as i64) < end_ns
            });
            (from_ns..=until_ns).contains(&digit.at_ns) && !masked
        });
        report.gaps.retain(|gap| gap.from_ns <= until_ns && from_ns <= gap.until_ns);
        report.digits.sort_by_key(|digit| (digit.at_ns, digit.side));
        report.gaps.sort_by_key(|gap| (gap.from_ns, gap.side));
        report
    }
}

/// The highest native rate of what can be heard, or what was asked for.
fn sample_rate(surveys: &[Survey], options: &RenderOptions) -> Result<u32, RenderError> {
    let native = surveys
        .iter()
        .flat_map(|survey| &survey.runs)
        .filter_map(|run| run.rate_hz)
        .max()
        .unwrap_or(SAMPLE_RATES[0]);
    let sample_rate = options.sample_rate.unwrap_or_else(|| options.format.nearest_rate(native));
    let fits = SAMPLE_RATES.contains(&sample_rate)
        && options.format.nearest_rate(sample_rate) == sample_rate;
    fits.then_some(sample_rate).ok_or(RenderError::SampleRate { sample_rate })
}

/// From the first media of either side to the end of the last, bounded by when packets arrived:
/// timestamps alone make no recording longer.
fn extent(surveys: &[Survey], options: &RenderOptions) -> Result<(i64, i64), RenderError> {
    let media =
        surveys.iter().filter_map(stream_extent).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let given = |at_ns: Option<u64>| at_ns.map(|at_ns| i64::try_from(at_ns).unwrap_or(i64::MAX));
    let start_ns = given(options.start_ns).or(media.map(|(start_ns, _)| start_ns));
    let end_ns = given(options.end_ns).or(media.map(|(_, end_ns)| end_ns));
    let (Some(start_ns), Some(end_ns)) = (start_ns, end_ns) else {
        return Err(RenderError::NoMedia);
    };
    let span_ns = end_ns.saturating_sub(start_ns);
    if span_ns < 0 || span_ns as u64 > RECORDING_NS_MAX {
        return Err(RenderError::Span { span_ns });
    }
    Ok((start_ns, end_ns))
}

fn stream_extent(survey: &Survey) -> Option<(i64, i64)> {
    let (first_ns, last_ns) = survey.arrivals_ns?;
    let (first_ns, last_ns) = (first_ns as i64, last_ns as i64);
    let earliest_ns = first_ns - YOUNG_FALL_NS;
    let latest_ns = last_ns + JUMP_NS + PACKET_NS_MAX as i64;
    let media = survey
        .runs
        .iter()
        .map(|run| {
            let line = &survey.lines[run.line];
            (line.at_ns(run.first_ticks()), line.at_ns(run.end_ticks()))
        })
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let (start_ns, end_ns) = media.unwrap_or((first_ns, last_ns));
    // Events and unknown packets have no length, but they were part of the call.
    let event = survey.untimed_arrivals_ns;
    let start_ns = event.map_or(start_ns, |(from, _)| start_ns.min(from as i64));
    let end_ns = event.map_or(end_ns, |(_, until)| end_ns.max(until as i64));
    Some((start_ns.max(earliest_ns), end_ns.min(latest_ns)))
}

/// The masks of a side.
fn masks(options: &RenderOptions, side: Side) -> Vec<(i64, i64)> {
    apart(options.silences.iter().filter(|silence| silence.side.is_none_or(|only| only == side)))
}

fn ns_of(frames: u64, rate_hz: u32) -> u64 {
    (u128::from(frames) * u128::from(NS_PER_S) / u128::from(rate_hz.max(1))) as u64
}

/// In order, and apart.
fn apart<'s>(silences: impl Iterator<Item = &'s Silence>) -> Vec<(i64, i64)> {
    let mut all: Vec<(i64, i64)> = silences
        .map(|silence| {
            let bound = |at_ns: u64| i64::try_from(at_ns).unwrap_or(i64::MAX);
            (bound(silence.from_ns), bound(silence.until_ns))
        })
        .filter(|(from, until)| from < until)
        .collect();
    all.sort_unstable();
    let mut apart: Vec<(i64, i64)> = Vec::with_capacity(all.len());
    for (from, until) in all {
        match apart.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => apart.push((from, until)),
        }
    }
    apart
}
