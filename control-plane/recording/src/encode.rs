//! From samples to the file's bytes.
//!
//! WAV and Ogg Opus are written from front to back, to anything. MP3 goes back to its first frame
//! for the exact length: it is written to a file, or kept in memory until it is whole.

use std::io::{self, Write};

use earwitness_codec::sink::{self, AudioShape, Sink, SinkError};

use crate::disk::DiskFile;
use crate::limits::SAMPLE_RATES;
use crate::options::{Format, Layout};
use crate::render::RenderError;
use crate::spool::Spool;
use crate::wav;

/// Where the bytes go.
pub(crate) enum Target<'a> {
    /// Written to from front to back.
    Stream(&'a mut dyn Write),
    /// A file that is given back, to be synced.
    File(Box<dyn DiskFile>),
}

/// A file being written: both sides go in, laid out as channels.
pub(crate) struct Output<'a> {
    encoder: Encoder<'a>,
    layout: Layout,
    /// Of what was written last, interleaved.
    mixed: Vec<i16>,
}

/// Who makes bytes of samples.
enum Encoder<'a> {
    Wav {
        target: Target<'a>,
        buffer: Vec<u8>,
    },
    Streamed {
        stream: &'a mut dyn Write,
        spool: Spool,
        sink: Box<dyn Sink<Spool>>,
    },
    /// Streamed, but not before it is finished.
    Whole {
        stream: &'a mut dyn Write,
        spool: Spool,
        sink: Box<dyn Sink<Spool>>,
    },
    Filed {
        sink: Box<dyn Sink<Box<dyn DiskFile>>>,
    },
}

impl<'a> Output<'a> {
    pub(crate) fn open(
        format: Format,
        frames: u64,
        layout: Layout,
        sample_rate: u32,
        target: Target<'a>,
    ) -> Result<Self, RenderError> {
        let shape = AudioShape { sample_rate, channels: layout.channels() };
        let encoder = Encoder::open(format, frames, shape, target)?;
        Ok(Self { encoder, layout, mixed: Vec::new() })
    }

    /// Appends samples of both sides, as many of each.
    pub(crate) fn write(&mut self, caller: &[i16], callee: &[i16]) -> Result<(), RenderError> {
        let Self { encoder, layout, mixed } = self;
        if let Encoder::Wav { target, buffer } = encoder {
            wav::encode(*layout, caller, callee, buffer);
            return target.writer().write_all(buffer).map_err(failed);
        }
        mix(*layout, caller, callee, mixed);
        encoder.write(mixed)
    }

    /// Writes what is still held back; gives the file back, if it is one.
    pub(crate) fn finish(self) -> Result<Option<Box<dyn DiskFile>>, RenderError> {
        self.encoder.finish()
    }
}

impl<'a> Encoder<'a> {
    fn open(
        format: Format,
        frames: u64,
        shape: AudioShape,
        mut target: Target<'a>,
    ) -> Result<Self, RenderError> {
        let coded = match format {
            Format::Wav => {
                let header = wav::header(frames, shape.channels, shape.sample_rate);
                target.writer().write_all(&header).map_err(failed)?;
                return Ok(Self::Wav { target, buffer: Vec::new() });
            }
            Format::Mp3 => sink::Format::mp3(shape.channels),
            Format::OggOpus => sink::Format::ogg_opus(shape.channels),
        };
        let spool = Spool::default();
        Ok(match target {
            Target::File(file) => Self::Filed { sink: coded.create(shape, file).map_err(refused)? },
            Target::Stream(stream) => {
                let sink = coded.create(shape, spool.clone()).map_err(refused)?;
                match format {
                    Format::Mp3 => Self::Whole { stream, spool, sink },
                    Format::Wav | Format::OggOpus => Self::Streamed { stream, spool, sink },
                }
            }
        })
    }

    /// Appends interleaved samples.
    fn write(&mut self, samples: &[i16]) -> Result<(), RenderError> {
        match self {
            Self::Wav { .. } => unreachable!("it is laid out as bytes at once"),
            Self::Streamed { stream, spool, sink } => {
                sink.write(samples).map_err(refused)?;
                spool.drain_to(*stream).map_err(failed)
            }
            Self::Whole { sink, .. } => sink.write(samples).map_err(refused),
            Self::Filed { sink } => sink.write(samples).map_err(refused),
        }
    }

    fn finish(self) -> Result<Option<Box<dyn DiskFile>>, RenderError> {
        match self {
            Self::Wav { target: Target::Stream(stream), .. } => {
                stream.flush().map_err(failed)?;
                Ok(None)
            }
            Self::Wav { target: Target::File(mut file), .. } => {
                file.flush().map_err(failed)?;
                Ok(Some(file))
            }
            Self::Streamed { stream, spool, sink } | Self::Whole { stream, spool, sink } => {
                sink.finish().map_err(refused)?;
                spool.drain_to(stream).map_err(failed)?;
                stream.flush().map_err(failed)?;
                Ok(None)
            }
            Self::Filed { sink } => {
                let (file, _) = sink.finish().map_err(refused)?;
                Ok(Some(file))
            }
        }
    }
}

impl Target<'_> {
    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Stream(stream) => *stream,
            Self::File(file) => file,
        }
    }
}

fn mix(layout: Layout, caller: &[i16], callee: &[i16], out: &mut Vec<i16>) {
    let pairs = caller.iter().zip(callee);
    out.resize(caller.len() * usize::from(layout.channels()), 0);
    match layout {
        Layout::Stereo => {
            for (frame, (left, right)) in out.as_chunks_mut().0.iter_mut().zip(pairs) {
                *frame = [*left, *right];
            }
        }
        Layout::MonoMix => {
            for (frame, (left, right)) in out.iter_mut().zip(pairs) {
                *frame = left.saturating_add(*right);
            }
        }
    }
}

fn failed(source: io::Error) -> RenderError {
    RenderError::Sink { source }
}

fn refused(error: SinkError) -> RenderError {
    match error {
        SinkError::Io(source) => RenderError::Sink { source },
        source => RenderError::Encoder { source },
    }
}

impl Format {
    /// The lowest rate of the format that loses nothing of `rate_hz`.
    pub(crate) fn nearest_rate(self, rate_hz: u32) -> u32 {
        let rates: &[u32] = match self {
            Self::Wav | Self::Mp3 => &SAMPLE_RATES,
            Self::OggOpus => &[8_000, 12_000, 16_000, 24_000, 48_000],
        };
        rates.iter().copied().find(|&rate| rate >= rate_hz).unwrap_or(48_000)
    }
}
