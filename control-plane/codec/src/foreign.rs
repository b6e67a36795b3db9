//! Decoders whose frames go to a worker process.

use std::sync::Arc;

use crate::conceal::Concealer;
use crate::decode::{CodecError, DecodeError, Decoder, Outcome, Step};
use crate::framing::{Frame, Frames, Framing, Kind, Level};
use crate::limits::{
    FRAME_SAMPLES_MAX, FRAMES_PER_REQUEST_MAX, PAYLOAD_BYTES_MAX, REQUEST_BYTES_MAX,
    REQUEST_SAMPLES_MAX,
};
use crate::lpc::Spectrum;
use crate::noise::Noise;
use crate::protocol::Direction;
use crate::worker_pool::Session;
use crate::{CodecSpec, WorkerDied, WorkerPool};

/// Order of the spectrum that noise after speech gets.
const NOISE_ORDER: usize = 8;
/// Frames that the worker conceals in one hole: one second of G.729.
const ERASURES_MAX: usize = 100;

/// The decoder of one stream in a worker.
#[derive(Debug)]
pub(crate) struct ForeignDecoder {
    spec: CodecSpec,
    framing: Framing,
    session: Session,
    died: Option<WorkerDied>,
    concealer: Concealer,
    noise: Noise,
    pausing: Pausing,
}

/// Whether the sender is in a pause that it announced (DTX).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pausing {
    Yes,
    No,
}

/// What a step became once taken apart.
#[derive(Debug)]
enum Part<'a> {
    /// So many frames of [`Batch::frames`].
    Frames(usize),
    /// A hole that the worker conceals by so many frames.
    Erased {
        frames: usize,
        samples: usize,
    },
    Local(Step<'a>),
    Refused(DecodeError),
}

/// Steps on their way to the worker.
#[derive(Debug, Default)]
struct Batch<'a> {
    parts: Vec<Part<'a>>,
    frames: Frames,
    samples: usize,
}

impl ForeignDecoder {
    pub(crate) fn open(
        workers: &Arc<WorkerPool>,
        spec: &CodecSpec,
        framing: Framing,
    ) -> Result<Self, CodecError> {
        let session = workers
            .open(Direction::Decode, framing.stream_format())
            .map_err(|source| CodecError::Worker { codec: spec.id, source })?;
        let rate = spec.sample_rate();
        Ok(Self {
            spec: spec.clone(),
            framing,
            session,
            died: None,
            concealer: Concealer::new(rate, 1),
            noise: Noise::new(rate),
            pausing: Pausing::No,
        })
    }

    /// Adds a step to a batch.
    fn collect<'a>(&self, step: Step<'a>, batch: &mut Batch<'a>) {
        let before = batch.frames.list.len();
        let part = match step {
            Step::Packet(payload) if payload.len() > PAYLOAD_BYTES_MAX => {
                Part::Refused(DecodeError::TooLarge { payload_bytes: payload.len() })
            }
            Step::Packet(payload) => match self.framing.split(payload, &mut batch.frames) {
                Ok(()) => Part::Frames(batch.frames.list.len() - before),
                Err(error) => Part::Refused(error),
            },
            Step::Lost { samples, .. } => match self.framing.erasure() {
                Some((bytes, frame_samples)) => {
                    let frames = samples.div_ceil(frame_samples).min(ERASURES_MAX);
                    (0..frames).for_each(|_| batch.frames.speech(frame_samples, bytes));
                    Part::Erased { frames, samples }
                }
                None => Part::Local(step),
            },
            Step::Noise { .. } => Part::Local(step),
        };
        batch.samples += batch.frames.list[before..].iter().map(|f| f.samples).sum::<usize>();
        batch.parts.push(part);
    }

    /// Has the worker decode a batch and puts everything together in order.
    fn flush(&mut self, batch: Batch<'_>, out: &mut Vec<i16>, outcomes: &mut Vec<Outcome>) {
        let decoded = match self.died.map_or_else(|| self.ask(&batch.frames), Err) {
            Ok(decoded) => decoded,
            Err(died) => {
                self.died = Some(died);
                let fail = |_| Err(DecodeError::WorkerDied(died));
                outcomes.extend(batch.parts.iter().map(fail));
                return;
            }
        };
        let mut frames = batch.frames.list.iter().zip(decoded);
        for part in batch.parts {
            let start = out.len();
            outcomes.push(match part {
                Part::Frames(count) => self.packet(frames.by_ref().take(count), out),
                Part::Erased { frames: count, samples } => {
                    self.erased(frames.by_ref().take(count), samples, out)
                }
                Part::Local(Step::Noise { payload, samples }) => {
                    self.noise.describe(payload);
                    self.noise.fill(samples, 1, out);
                    self.concealer.remember(&out[start..]);
                    Ok(samples)
                }
                Part::Local(Step::Lost { samples, .. }) => {
                    self.fill_hole(samples, out);
                    Ok(samples)
                }
                Part::Local(Step::Packet(_)) => Ok(0),
                Part::Refused(error) => Err(error),
            });
        }
    }

    /// The samples of each frame that holds speech; none where the codec refused it.
    fn ask(&mut self, frames: &Frames) -> Result<Vec<Option<Vec<u8>>>, WorkerDied> {
        let mut results = Vec::with_capacity(frames.list.len());
        let mut items: Vec<&[u8]> = Vec::new();
        let mut speech = frames.list.iter().filter_map(|frame| match &frame.kind {
            Kind::Speech(range) => Some((&frames.bytes[range.clone()], frame.samples)),
            Kind::Silence(_) | Kind::NoData | Kind::Lost => None,
        });
        let mut next = speech.next();
        while next.is_some() {
            let (mut bytes, mut samples) = (0, 0);
            items.clear();
            while let Some((frame, length)) = next.filter(|(frame, length)| {
                items.len() < FRAMES_PER_REQUEST_MAX
                    && bytes + frame.len() <= REQUEST_BYTES_MAX
                    && samples + length <= REQUEST_SAMPLES_MAX
            }) {
                items.push(frame);
                bytes += frame.len();
                samples += length;
                next = speech.next();
            }
            results.extend(self.session.work(&items)?);
        }
        let mut results = results.into_iter();
        let mut decoded = Vec::with_capacity(frames.list.len());
        for frame in &frames.list {
            decoded.push(match frame.kind {
                Kind::Speech(_) => {
                    let result = results.next().flatten();
                    if result.as_ref().is_some_and(|pcm| pcm.len() > 2 * FRAME_SAMPLES_MAX) {
                        return Err(self.session.astray("more samples than a frame has"));
                    }
                    // A decoder that makes another length of a frame was given nonsense.
                    result.filter(|pcm| pcm.len() == 2 * frame.samples)
                }
                Kind::Silence(_) | Kind::NoData | Kind::Lost => None,
            });
        }
        Ok(decoded)
    }

    /// The frames of one packet.
    fn packet<'f>(
        &mut self,
        frames: impl Iterator<Item = (&'f Frame, Option<Vec<u8>>)>,
        out: &mut Vec<i16>,
    ) -> Outcome {
        let (mut total, mut refused, mut sound) = (0, 0, 0);
        let start = out.len();
        for (frame, pcm) in frames {
            total += frame.samples;
            match (&frame.kind, pcm) {
                (Kind::Speech(_), Some(pcm)) => {
                    self.pausing = Pausing::No;
                    let from = out.len();
                    out.extend(
                        pcm.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])),
                    );
                    self.concealer.resume(&mut out[from..]);
                    sound += 1;
                }
                (Kind::Speech(_), None) => {
                    refused += 1;
                    self.fill_hole(frame.samples, out);
                }
                (&Kind::Silence(level), _) => {
                    self.pause(level);
                    self.murmur(frame.samples, out);
                    sound += 1;
                }
                (Kind::NoData, _) if self.pausing == Pausing::Yes => {
                    self.murmur(frame.samples, out);
                    sound += 1;
                }
                (Kind::NoData | Kind::Lost, _) => self.fill_hole(frame.samples, out),
            }
        }
        if refused > 0 && sound == 0 {
            out.truncate(start);
            let what = "the codec refused its frames";
            return Err(DecodeError::Malformed { codec: self.spec.id, what });
        }
        Ok(total)
    }

    /// A hole for which the worker made frames.
    fn erased<'f>(
        &mut self,
        frames: impl Iterator<Item = (&'f Frame, Option<Vec<u8>>)>,
        samples: usize,
        out: &mut Vec<i16>,
    ) -> Outcome {
        let start = out.len();
        for (_, pcm) in frames {
            let pcm = pcm.unwrap_or_default();
            out.extend(pcm.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])));
        }
        out.truncate(start + samples);
        let made = out.len() - start;
        if made < samples {
            // What is left of the last frame fades, then there is silence.
            let fade = made.min(80);
            for (n, sample) in out[start + made - fade..].iter_mut().rev().enumerate() {
                *sample = (i32::from(*sample) * n as i32 / fade as i32) as i16;
            }
            out.resize(start + samples, 0);
        }
        self.concealer.remember(&out[start..]);
        Ok(samples)
    }

    /// Begins a pause or takes a new description of its noise.
    fn pause(&mut self, level: Level) {
        let heard = Spectrum::of(self.concealer.tail(), NOISE_ORDER);
        let rms = match level {
            Level::Signal(rms) => rms,
            Level::Excitation(rms) => rms / heard.excitation_power().sqrt().max(0.01),
            Level::AsHeard => quietest(self.concealer.tail()),
        };
        let first = self.pausing == Pausing::No;
        self.pausing = Pausing::Yes;
        // Only speech tells the spectrum: noise made here would tell its own.
        if first {
            self.noise.set(rms, heard);
        } else if level != Level::AsHeard {
            self.noise.set_level(rms);
        }
    }

    fn murmur(&mut self, samples: usize, out: &mut Vec<i16>) {
        let start = out.len();
        self.noise.fill(samples, 1, out);
        self.concealer.remember(&out[start..]);
    }

    fn fill_hole(&mut self, samples: usize, out: &mut Vec<i16>) {
        self.concealer.conceal(samples, out);
    }

    fn one(&mut self, step: Step<'_>, out: &mut Vec<i16>) -> Outcome {
        let mut batch = Batch::default();
        self.collect(step, &mut batch);
        let mut outcomes = Vec::with_capacity(1);
        self.flush(batch, out, &mut outcomes);
        outcomes.pop().unwrap_or(Ok(0))
    }
}

impl Decoder for ForeignDecoder {
    fn sample_rate(&self) -> u32 {
        self.spec.sample_rate()
    }

    fn channels(&self) -> u8 {
        1
    }

    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Outcome {
        self.one(Step::Packet(payload), out)
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<i16>) {
        if self.one(Step::Lost { samples, next: None }, out).is_err() {
            // The worker is gone; the next packet will say so.
            self.fill_hole(samples, out);
        }
    }

    fn comfort_noise(&mut self, payload: &[u8], samples: usize, out: &mut Vec<i16>) {
        self.noise.describe(payload);
        self.murmur(samples, out);
    }

    fn run(&mut self, steps: &[Step<'_>], out: &mut Vec<i16>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(steps.len());
        let mut batch = Batch::default();
        for &step in steps {
            self.collect(step, &mut batch);
            if batch.frames.list.len() >= FRAMES_PER_REQUEST_MAX / 2
                || batch.frames.bytes.len() >= REQUEST_BYTES_MAX / 2
                || batch.samples >= REQUEST_SAMPLES_MAX / 2
            {
                self.flush(std::mem::take(&mut batch), out, &mut outcomes);
            }
        }
        self.flush(batch, out, &mut outcomes);
        outcomes
    }

    fn step(&mut self, step: Step<'_>, out: &mut Vec<i16>) -> Outcome {
        self.one(step, out)
    }
}

/// RMS of the quietest quarter of some samples.
fn quietest(samples: &[i16]) -> f32 {
    let part = (samples.len() / 4).max(1);
    let power = |chunk: &[i16]| {
        chunk.iter().map(|&s| f32::from(s) * f32::from(s)).sum::<f32>() / chunk.len() as f32
    };
    samples.chunks_exact(part).map(power).reduce(f32::min).unwrap_or(0.0).sqrt()
}
