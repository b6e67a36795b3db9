//! What the tests of the whole share: running the program, and comparing recordings with the truth.
//!
//! Here belongs what two folders of tests need. Calls are made in `fixtures`; nothing here knows how the
//! product works inside, only what its command line promises.

#![forbid(unsafe_code)]

pub mod check;
pub mod needles;
pub mod program;
