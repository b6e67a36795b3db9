//! Follows SIP dialogs from the side: parsed messages in the order they were seen go in, events come out.
//!
//! A *leg* is what one INVITE started: Call-ID and the caller's tag. It has one *dialog* per answering party
//! (forks), each with its offers and answers. The same message may be seen several times: sent again, or
//! before and behind a proxy. Each place is a *hop*; where a proxy rewrites the media addresses, hops differ
//! in their *path*, and each path has offers and answers of its own.
//!
//! No clock, no I/O: time comes with the messages and with [`Dialogs::tick`]. What calls, parties and
//! recordings are is decided elsewhere; this module says only what the protocol says.

mod dialogs;
mod event;
mod exchange;
mod hops;
mod identifier;
mod leg;
mod leg_hash;
mod media;
mod queue;
mod recent;
mod step;

pub use dialogs::{Class, Dialogs, LegView, Observed, Seen, Timeouts};
pub use event::{DialogEvent, DialogId, EndReason, EventKind, Hop, LegId, Origin, Party};
pub use leg_hash::{LegHasher, LegMap};
pub use media::{CallMedia, MediaState, PathId};

#[cfg(test)]
mod call_scenarios;
#[cfg(test)]
mod media_scenarios;
#[cfg(test)]
mod stage;
