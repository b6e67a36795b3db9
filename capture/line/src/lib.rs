//! The line: from a received frame to a segment.
//!
//! ```text
//!  frame ─► Producer ─► signalling ring ──────────────► Drain ─► signalling lane
//!            parse       media ring, the delay line ──►   │  └─► media lane
//!            assemble                                     │
//!            steer ◄──────────── verdicts ───────────────►│
//! ```
//!
//! A frame is steered ([`producer`]), waits in a ring until its verdict is known, and is written or
//! dropped where it leaves ([`drain`]). No privilege, no clock, no source of packets but files; the
//! same code serves live capture and replay. `design/line.md` has the contract.
//!
//! - [`line`]: both ends on one thread, for replay.
//! - [`producer`], [`tables`], [`reassembly`]: the receiving side.
//! - [`ring`], [`region`]: between the threads.
//! - [`drain`], [`held`], [`verdicts`]: the writing side, and what it asks of a delay line.
//! - [`pcap`], [`frame`]: capture files.
//! - [`options`], [`limits`], [`error`]: what it is told, what it is bounded by, how it fails.
//! - [`bounded`], [`hash`]: the tables underneath.

#![deny(unsafe_code)]

mod announcements;
pub mod bounded;
pub mod drain;
mod ears;
pub mod error;
mod exit;
mod flow_key;
mod flows;
pub mod frame;
mod gaps;
mod gate;
mod gathered;
pub mod hash;
pub mod held;
mod lane;
mod ledger;
pub mod limits;
pub mod line;
pub mod mask;
pub mod options;
pub mod pcap;
pub mod prefetch;
pub mod producer;
pub mod reassembly;
pub mod region;
pub mod ring;
#[cfg(all(test, not(loom)))]
mod sample;
mod sync;
pub mod tables;
pub mod verdicts;
mod waiting;

pub use drain::{Door, Drain};
pub use error::LineError;
pub use frame::Frame;
pub use held::{DelayLine, Held, Hint};
pub use line::Line;
pub use options::{
    DrainOptions, Housekeeping, LineOptions, RingOptions, SteeringOptions, Unmatched,
};
pub use producer::Producer;
