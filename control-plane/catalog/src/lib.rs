//! The catalog: every call and every recording, searchable, durable.
//!
//! A recording's row is written only when its file and sidecars are durable (S4), which is the writer's duty;
//! [`Catalog::write`] makes each batch durable as a whole. `design/catalog.md` has the schema.

#![forbid(unsafe_code)]

mod error;
mod insert;
mod integrity;
mod listing;
mod rows;
mod store;
mod timestamp;

pub use error::CatalogError;
pub use listing::{After, Filter, Order, PAGE_ROWS_MAX};
pub use rows::{
    CallRow, Decision, DigitRow, EventRow, Gap, HiddenRow, LegRow, Packets, RecordingRow,
    StreamRow, TakeRow,
};
pub use store::{Catalog, Write};
pub use timestamp::Timestamp;

/// Of the catalog, in the data folder.
pub const FILE_NAME: &str = "catalog.sqlite3";
