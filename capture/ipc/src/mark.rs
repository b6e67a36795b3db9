//! Notes that capture writes into its signalling lanes, so that the log alone tells what was missed.

use serde::{Deserialize, Serialize};

use crate::{LostBy, SourceInfo};

/// Payload of a record of class `Mark`, as `encode` writes it.
#[derive(Clone, Eq, PartialEq, Debug, Serialize, Deserialize)]
pub enum Mark {
    /// Capture began.
    Start {
        /// Of the writers' segments.
        epoch: u64,
        ts_ns: u64,
        sources: Vec<SourceInfo>,
    },
    /// Between these times packets were lost, or capture did not run.
    Gap { from_ns: u64, to_ns: u64, lost: LostBy },
    /// Capture ended in order.
    Stop { ts_ns: u64 },
    /// What somebody asked the control plane to do, in its words.
    Note { ts_ns: u64, text: String },
}
