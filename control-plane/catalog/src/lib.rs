//! The catalog: every call and every recording, searchable, durable.
//!
//! A recording's row is written only when its file and sidecars are durable (S4), which is the writer's duty;
//! [`Catalog::write`] makes each batch durable as a whole. `design/catalog.md` has the schema.

#![deny(unsafe_code)]

mod batch;
mod entry;
mod error;
mod integrity;
mod listing;
mod policy_version;
mod rows;
mod store;
mod timestamp;

pub use entry::{Entry, Write};
pub use error::CatalogError;
pub use listing::{After, Filter, Order, PAGE_ROWS_MAX};
pub use policy_version::PolicyVersionRow;
pub use rows::{
    CallRow, Decision, DestinationRow, DigitRow, EventRow, Gap, HiddenRow, LegRow, Packets,
    PartiesRow, RecordingRow, StreamRow, TakeRow,
};
pub use store::Catalog;
pub use timestamp::Timestamp;

/// Of the catalog, in the data folder.
pub const FILE_NAME: &str = "catalog.sqlite3";
