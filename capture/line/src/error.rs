//! Why a line could not be opened, or not be ended well.

use earwitness_ipc::MessageError;
use earwitness_segment::SegmentError;
use thiserror::Error;

use crate::region::RegionError;

#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LineError {
    /// No ring. With `RegionError::LockRefused`, `Residence::Pageable` is the way on.
    #[error("no ring for the line")]
    Ring {
        #[from]
        source: RegionError,
    },
    #[error("no segments for the line")]
    Segment {
        #[from]
        source: SegmentError,
    },
    #[error("a note does not fit the log")]
    Mark {
        #[from]
        source: MessageError,
    },
    /// The log does not say that capture began: the disk has no room for it.
    #[error("no room for a note in lane {lane}")]
    MarkRefused { lane: u16 },
    /// The control plane released a segment of a lane that is not written here.
    #[error("lane {lane} is not one of this line")]
    LaneUnknown { lane: u16 },
}
