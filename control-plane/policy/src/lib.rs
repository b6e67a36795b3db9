//! Who is recorded: facts in, decision with its trace out. Pure: no clock, no storage, no network.
//!
//! | module | what is there |
//! |---|---|
//! | [`document`] | policies as people write them |
//! | [`load`] | from files to a set in force, or to everything that is wrong with them |
//! | [`index`] | the set, compiled for look-up |
//! | [`facts`] | what is known of a call |
//! | `decide` | the rules |
//! | [`decision`], [`trace`] | what becomes of the call, and why |
//! | [`schema`] | JSON Schema of the files |
//!
//! What the rules are stands in `design/policy.md`.

#![forbid(unsafe_code)]

mod cidr;
mod decide;
pub mod decision;
pub mod document;
pub mod facts;
pub mod identity;
pub mod index;
pub mod limits;
pub mod load;
pub mod schema;
pub mod trace;

pub use decide::{Explained, Fallback};
pub use decision::{Answer, Begins, Direction, Form, Outcome, Parts, Voices};
pub use facts::{By, Demand, Facts, Identity, PartyFacts, Stage};
pub use index::{Policy, TenantId};
pub use load::{Faults, Loaded, Source, load};
