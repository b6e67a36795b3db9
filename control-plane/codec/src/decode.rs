//! The decoder's interface, its errors, and the one place that chooses a decoder for a codec.

use std::sync::Arc;

use crate::foreign::ForeignDecoder;
use crate::framing::Framing;
use crate::g711::{Companding, G711};
use crate::g722::G722;
use crate::l16::L16;
use crate::limits::{CHANNELS_MAX, RATE_MAX_HZ, RATE_MIN_HZ};
use crate::opus_voice::OpusVoice;
use crate::voice::Voice;
use crate::{CodecId, CodecSpec, WorkerDied, WorkerError, WorkerPool};

/// Why no decoder could be opened.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("codec {codec} has no decoder")]
    NoDecoder { codec: CodecId },
    #[error("codec {codec} with {parameter} is not supported")]
    Parameter { codec: CodecId, parameter: &'static str },
    #[error("codec {codec} cannot run at {clock_hz} Hz with {channels} channels")]
    Shape { codec: CodecId, clock_hz: u32, channels: u8 },
    #[error("codec {codec} was refused by its library: {reason}")]
    Library { codec: CodecId, reason: String },
    #[error("codec {codec} needs a worker process")]
    Worker {
        codec: CodecId,
        #[source]
        source: WorkerError,
    },
}

/// Why a payload could not be decoded. But for [`DecodeError::WorkerDied`] the decoder stays usable
/// and the caller treats the packet as lost.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("{codec} payload of {payload_bytes} bytes is cut short")]
    Truncated { codec: CodecId, payload_bytes: usize },
    #[error("{codec} payload is malformed: {what}")]
    Malformed { codec: CodecId, what: &'static str },
    #[error("payload of {payload_bytes} bytes is past the limit")]
    TooLarge { payload_bytes: usize },
    /// The decoder is gone with its state: open another and decode the stream again, once.
    #[error("the decoder's process ended")]
    WorkerDied(#[source] WorkerDied),
}

/// One thing that happened to a stream, in order, for [`Decoder::run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A packet's payload.
    Packet(&'a [u8]),
    /// A hole of so many samples per channel; the payload after it, if it is at hand, may tell what
    /// was lost (Opus in-band FEC).
    Lost { samples: usize, next: Option<&'a [u8]> },
    /// Background noise as an RFC 3389 payload describes it; an empty one repeats the last.
    Noise { payload: &'a [u8], samples: usize },
}

/// What became of one [`Step`]: samples per channel appended, or why none were.
pub type Outcome = Result<usize, DecodeError>;

/// The decoder of one stream. Samples are interleaved where there are channels; every count of
/// samples is per channel.
pub trait Decoder: Send {
    /// Samples a second and channel of what is given out.
    fn sample_rate(&self) -> u32;

    /// Channels given out (Opus and all telephony codecs: 1; L16 as in its SDP).
    fn channels(&self) -> u8;

    /// Decodes one payload, appends to `out`, and returns samples per channel. Nothing is appended
    /// on an error. After a hole the first samples fade in from what concealed it.
    fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Outcome;

    /// Fills a hole of `samples` by what came before it (packet-loss concealment).
    fn conceal(&mut self, samples: usize, out: &mut Vec<i16>);

    /// Fills a hole of `samples` just before the packet `next`, which is not consumed: codecs with
    /// in-band FEC find the lost audio in it, others conceal.
    fn recover(&mut self, samples: usize, next: &[u8], out: &mut Vec<i16>) {
        let _ = next;
        self.conceal(samples, out);
    }

    /// Background noise after an RFC 3389 payload (level and spectrum); an empty payload goes on
    /// with the last one.
    fn comfort_noise(&mut self, payload: &[u8], samples: usize, out: &mut Vec<i16>);

    /// Many steps at once, in order; one outcome for each. For codecs in the worker process this is
    /// one round trip instead of one per packet: prefer it wherever packets are at hand. After
    /// [`DecodeError::WorkerDied`] every further step fails likewise.
    fn run(&mut self, steps: &[Step<'_>], out: &mut Vec<i16>) -> Vec<Outcome> {
        steps.iter().map(|&step| self.step(step, out)).collect()
    }

    /// One step.
    fn step(&mut self, step: Step<'_>, out: &mut Vec<i16>) -> Outcome {
        match step {
            Step::Packet(payload) => self.decode(payload, out),
            Step::Lost { samples, next: None } => {
                self.conceal(samples, out);
                Ok(samples)
            }
            Step::Lost { samples, next: Some(next) } => {
                self.recover(samples, next, out);
                Ok(samples)
            }
            Step::Noise { payload, samples } => {
                self.comfort_noise(payload, samples, out);
                Ok(samples)
            }
        }
    }
}

/// Opens decoders: in process where the code is small or trusted, in the worker process otherwise.
#[derive(Clone, Debug)]
pub struct Decoders {
    workers: Arc<WorkerPool>,
}

impl Decoders {
    #[must_use]
    pub fn new(workers: Arc<WorkerPool>) -> Self {
        Self { workers }
    }

    /// A decoder for a stream of this format.
    pub fn open(&self, spec: &CodecSpec) -> Result<Box<dyn Decoder>, CodecError> {
        let rate = spec.sample_rate();
        if !(RATE_MIN_HZ..=RATE_MAX_HZ).contains(&rate) || spec.channels > CHANNELS_MAX {
            let (codec, clock_hz, channels) = (spec.id, spec.clock_hz, spec.channels);
            return Err(CodecError::Shape { codec, clock_hz, channels });
        }
        Ok(match spec.id {
            CodecId::Pcma => Box::new(Voice::new(G711::new(Companding::A), rate, 1)),
            CodecId::Pcmu => Box::new(Voice::new(G711::new(Companding::Mu), rate, 1)),
            CodecId::G722 => Box::new(Voice::new(G722::new(), rate, 1)),
            CodecId::L16 => Box::new(Voice::new(L16::new(spec.channels), rate, spec.channels)),
            CodecId::Opus => Box::new(Voice::new(OpusVoice::new()?, rate, 1)),
            codec => match Framing::of(spec)? {
                Some(framing) => Box::new(ForeignDecoder::open(&self.workers, spec, framing)?),
                None => return Err(CodecError::NoDecoder { codec }),
            },
        })
    }

    /// The pool behind codecs that run in a process of their own, for its counters.
    #[must_use]
    pub fn workers(&self) -> &WorkerPool {
        &self.workers
    }
}
