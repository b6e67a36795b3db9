//! What can go wrong with the log. Callers match; nobody reads the text.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::{LaneId, LaneKind, RecordPos};

/// Opening, preparing, releasing or syncing segments failed.
#[derive(Debug, Error)]
pub enum SegmentError {
    #[error("no space for a segment of {bytes} bytes at {path}")]
    NoSpace { path: PathBuf, bytes: u64 },
    #[error("{operation} {path}: {source}")]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
    /// The file is not a segment, or one of another version.
    #[error("{path} is not a segment: {reason}")]
    Format { path: PathBuf, reason: &'static str },
    #[error("lane {lane} is a {found} lane, not {wanted}")]
    Kind { lane: LaneId, found: LaneKind, wanted: LaneKind },
    #[error("option {option} is {value}, must be {minimum} to {maximum}")]
    Option { option: &'static str, value: u64, minimum: u64, maximum: u64 },
    /// Another writer holds the lane.
    #[error("lane {lane} has a writer already")]
    Locked { lane: LaneId },
    /// All 2^24 sequence numbers of the lane are used up.
    #[error("lane {lane} has no sequence number left")]
    Exhausted { lane: LaneId },
    /// The segment is being written, or is not there.
    #[error("lane {lane} has no segment {seq} to release")]
    NotReleasable { lane: LaneId, seq: u32 },
    /// A sync failed, and the data is not durable elsewhere yet; the next sync sees to it (S6).
    #[error("sync of segment {seq} of lane {lane} failed: {source}")]
    Sync { lane: LaneId, seq: u32, source: io::Error },
}

impl SegmentError {
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { operation, path: path.to_owned(), source }
    }

    /// As `io`, where an allocation may have failed for want of space.
    pub(crate) fn allocation(path: &Path, bytes: u64, source: io::Error) -> Self {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        match source.kind() {
            StorageFull | QuotaExceeded => Self::NoSpace { path: path.to_owned(), bytes },
            _ => Self::io("create", path, source),
        }
    }

    /// The kind of the operating system's error, where there is one.
    pub fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::NoSpace { .. } => io::ErrorKind::StorageFull,
            Self::Io { source, .. } | Self::Sync { source, .. } => source.kind(),
            _ => io::ErrorKind::Other,
        }
    }
}

/// A record was not written. The writer stays usable.
#[derive(Debug, Error)]
pub enum AppendError {
    #[error("frame of {bytes} bytes, at most {bytes_max} fit a record")]
    TooLarge { bytes: usize, bytes_max: u32 },
    /// No segment to write into for lack of space; `SegmentWriter::prepare_next` tries again.
    #[error("no space for the next segment of lane {lane}")]
    NoSpace { lane: LaneId },
    /// No segment to write into for another reason; `SegmentWriter::prepare_next` tries again.
    #[error("no next segment for lane {lane}: {kind}")]
    Io { lane: LaneId, kind: io::ErrorKind },
}

/// A record or block could not be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The block's checksum or a length in it is wrong. `Follower::skip_block` goes on behind it.
    #[error("corrupt block at {offset:#x} of segment {seq} of lane {lane}: {reason}")]
    Corrupt { lane: LaneId, seq: u32, offset: u64, reason: &'static str },
    /// The segment was released, or never was.
    #[error("segment {seq} of lane {lane} is gone; the oldest there is {oldest:?}")]
    Gone { lane: LaneId, seq: u32, oldest: Option<u32> },
    /// The position is not that of a committed record.
    #[error("no record at {pos} of lane {lane}")]
    NoRecord { lane: LaneId, pos: RecordPos },
    #[error(transparent)]
    Segment(#[from] SegmentError),
}
