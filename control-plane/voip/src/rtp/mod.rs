//! RTP as an observer needs it: the header, what came and what did not, and how good that sounds.
//!
//! No audio here, no addresses, no clock: arrival times come as arguments.

mod header;
pub mod quality;
mod stats;
mod window;

pub use header::{Extension, Header, RtpError};
pub use stats::{Arrival, Report, Stats, Timing};
