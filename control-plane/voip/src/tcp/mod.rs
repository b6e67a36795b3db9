//! TCP from a tap: segments in any order become the bytes of each direction.
//!
//! A tap cannot ask for a lost segment. What does not come within a bound of bytes or time is a hole, and
//! said to be one. Nothing here knows what the bytes mean.

mod connections;
mod reassembler;

pub use connections::{Connections, Direction};
pub use reassembler::{Chunk, Flags, Reassembler, Segment};
