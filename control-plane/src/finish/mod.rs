//! Finished calls become recordings, on threads of their own, and rows of the catalog.

mod clerk;
mod job;
mod joined;
mod places;
mod pool;
mod rows;
pub mod source;
mod takes;

pub use clerk::{Clerk, ClerkError, Pace};
pub use job::{Done, JobError, Workshop, finish_silent, render_so_far};
pub use places::Places;
pub use pool::{FinishPool, Outcome, PoolOptions};
pub use rows::{Findings, call_row};
