//! Codecs: what telephony sends becomes samples, and samples become files.
//!
//! | module | noun |
//! |---|---|
//! | `spec` | which codec a stream speaks |
//! | `duration` | how long a packet lasts, without decoding |
//! | `decode` | the decoder's interface and who decodes what |
//! | `worker_pool` | client of the sandboxed process `earwitness-codec` |
//! | `expand` | G.711 without a decoder |
//! | `encode` | encoders, for fixtures and for files |
//! | `sink` | WAV, MP3, Ogg Opus files |
//! | `resample` | sample rates |
//! | `measure` | likeness of sounds, for tests |
//! | `vectors` | sounds encoded elsewhere, for tests |
//!
//! FFmpeg is linked by the program `earwitness-codec` alone, never by users of this library.
//! Which codec is decoded by what, and why: `design/codec.md`.

#![deny(unsafe_code)]

mod conceal;
pub mod decode;
mod duration;
pub mod encode;
mod expand;
mod foreign;
mod framing;
mod g711;
mod g722;
mod l16;
mod limits;
mod lpc;
pub mod measure;
mod noise;
mod opus_voice;
pub mod protocol;
mod resample;
pub mod sandbox;
pub mod sink;
mod spec;
pub mod vectors;
mod voice;
mod worker_pool;

pub use decode::{CodecError, DecodeError, Decoder, Decoders, Outcome, Step};
pub use duration::samples_in;
pub use expand::Expander;
pub use g711::expansion;
pub use resample::Resampler;
pub use spec::{CodecId, CodecSpec};
pub use worker_pool::{
    Death, PROGRAM_NAME, PROGRAM_VARIABLE, WorkerCounters, WorkerDied, WorkerError, WorkerOptions,
    WorkerPool,
};
