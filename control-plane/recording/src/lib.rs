//! From the media of one call to a durable recording.
//!
//! In: the RTP packets of a finished or running call, by stream, in order of arrival. Out: one audio
//! file with its two sidecars, on disk for good, or an error and nothing. How packets find their
//! place in time is written in `design/recording.md`.
//!
//! | module | noun |
//! |---|---|
//! | [`stream`], [`options`], [`report`], [`facts`] | what goes in and comes out |
//! | `codecs`, `sequence`, `order` | packets in the order they were sent, each once |
//! | `survey`, `run`, `draft`, `drift`, `owner`, `digits`, `quality` | first pass: where everything lies in time, and how good it is |
//! | `player`, `voice`, `grid`, `canvas`, `decode`, `conceal`, `slip`, `resample` | second pass: the audio of streams and their runs |
//! | [`mod@render`], `encode`, `spool`, `wav` | both channels, chunk by chunk, into a sink |
//! | [`archive`], `json`, `xml`, `digest`, [`disk`], [`mod@finalize`] | files: names, sidecars, durability (S4, S6) |
//!
//! Nothing here reads a clock, opens a socket or knows SIP. Same input, same bytes.

#![forbid(unsafe_code)]

pub mod archive;
mod canvas;
mod codecs;
mod conceal;
mod decode;
mod digest;
mod digits;
pub mod disk;
mod draft;
mod drift;
mod encode;
pub mod facts;
pub mod finalize;
mod grid;
mod json;
pub mod limits;
mod moment;
pub mod options;
mod order;
mod owner;
mod player;
mod quality;
pub mod render;
pub mod report;
mod resample;
mod run;
mod sequence;
mod slip;
mod spool;
pub mod stream;
mod survey;
mod voice;
mod wav;
mod xml;

pub use facts::{CallFacts, CaptureGap, Direction};
pub use finalize::{FinalizeError, FinishedRecording, finalize};
pub use options::{Blank, Format, Layout, Noise, RenderOptions, Silence};
pub use render::{RenderError, render, render_to_file};
pub use report::{CodecUse, PacketTotals, RenderReport, StreamReport};
pub use stream::{
    MediaPacket, PacketSource, PayloadType, Side, SourceError, StreamInput, StreamKey,
};
