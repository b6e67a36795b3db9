//! The atomics of the ring, switched to loom's under `--cfg loom` so that the model checker sees
//! every load and store. Nothing else belongs here.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
