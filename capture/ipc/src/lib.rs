//! The door between capture and control plane: what they say to each other, and the socket they say
//! it through. Packets do not pass here; they are in the segments.
//!
//! - [`Command`]s go to capture, [`Event`]s come from it, [`Mark`]s lie in the log.
//! - [`Listener`] is capture's, [`ControlDoor`] connects to it; both ends are [`Door`]s.
//! - [`Wiping`] is how both allocate, so that nothing is left of what passed.

#![deny(unsafe_code)]

mod command;
mod door;
mod event;
pub mod limits;
mod listener;
mod mark;
mod message;
mod socket;
mod stats;
mod wiping;
mod wire_format;

pub use command::{Command, Erasure, VerdictChange};
pub use door::{CaptureDoor, ControlDoor, Door, DoorError};
pub use event::{Erased, Event, Fault, FlowSeen, LaneInfo, Overheard, SourceInfo, SourceMode};
pub use listener::Listener;
pub use mark::Mark;
pub use message::Message;
pub use stats::{CaptureStats, LostBy, Rejects};
pub use wiping::Wiping;
pub use wire_format::{MessageError, decode, encode};

/// Version of the messages; both sides must have the same.
pub const VERSION: u16 = 2;

/// What a capture process ends with where another one serves its folder.
pub const EXIT_IN_USE: u8 = 3;
