//! What the XDP program and user space agree on: names, layouts, numbers.
//!
//! Both sides are built from this crate, at the same time: there is no version to negotiate. What a frame *is*
//! belongs to `earwitness-wire`; loading, attaching and reading belong to `earwitness-capture`.
//!
//! - [`names`]: of the program, its maps and its settings.
//! - [`flow`]: keys and values of the maps that steer.
//! - [`counter`]: indexes of the per-CPU counters.
//! - [`record`]: what stands before a frame in a ring.
//! - [`ring`]: how records lie in the ring of a CPU.
//! - [`settings`]: values that are fixed when the program is loaded.
//! - [`verdicts`]: the table that says which media is wanted.
//! - [`limits`]: sizes of maps and classes of records.

#![no_std]
#![forbid(unsafe_code)]

pub mod counter;
pub mod flow;
pub mod limits;
pub mod names;
pub mod record;
pub mod ring;
pub mod settings;
pub mod verdicts;

pub use counter::{COUNTERS, Counter};
pub use flow::{Connection, FlowKey, SipPorts};
pub use record::{Class, RecordHeader};
