//! Whether a recording is right: its sound against what was said, its facts against what was signalled.

mod correlation;
mod facts;
mod fault;
mod grade;
#[cfg(test)]
mod proof;
mod silence;
mod sound;
mod wav;

pub use correlation::{aligned, anywhere, nearest};
pub use facts::{call_faults, milliseconds, recording_faults, started_ns};
pub use fault::Fault;
pub use grade::Grade;
pub use sound::{Expected, sound_faults};
pub use wav::{Wav, WavError};
