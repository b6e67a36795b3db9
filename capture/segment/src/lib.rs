//! The segment log: what capture writes and everything else reads.
//!
//! A *lane* is one writer thread's series of segment files. A segment is allocated whole, mapped, and
//! filled with checksummed blocks of records; `design/segments.md` has the bytes. This crate holds
//! the format, the writer, the two readers, recovery and verification. It knows nothing of SIP, of
//! verdicts or of sockets, and needs no privilege.
//!
//! - Writing: [`SegmentWriter`] on the thread that must not wait, [`Keeper`] on one that may.
//! - Reading: [`Follower`] in order as the lane grows, [`Log`] by position.
//! - After a crash: [`recover`]; for `earwitness check`: [`verify`].

#![deny(unsafe_code)]

mod block;
mod block_reader;
mod depot;
pub mod disk;
#[cfg(any(test, feature = "faults"))]
pub mod disk_faults;
mod erase;
mod error;
mod file_name;
mod follower;
mod header;
mod keeper;
mod lane;
pub mod limits;
mod log;
mod map;
mod open_segment;
mod position;
mod record;
mod recover;
mod rewrite;
mod syscall;
mod verify;
mod writer;

pub use erase::{Erasure, Keep};
pub use error::{AppendError, ReadError, SegmentError};
pub use follower::Follower;
pub use keeper::{Keeper, SyncReport};
pub use lane::{LaneId, LaneKind};
pub use log::{Log, SegmentInfo};
pub use position::{Cursor, RecordPos};
pub use record::{Record, RecordClass, RecordMeta};
pub use recover::{RecoveryReport, recover, recover_on};
pub use verify::{Breach, verify, verify_on};
pub use writer::{Packing, Placing, SegmentWriter, WriterOptions, WriterStats};
