//! Policies in the daemon: read from files, in force by version, kept in a history.
//!
//! What the rules are is in `earwitness_policy`; who asks them, and when, is in `crate::call::decide`.

mod files;
mod folder;
mod history;
mod in_force;
mod version;

pub use files::RulesError;
pub use folder::{Copy, Edit, Folder, FolderError};
pub use history::{By, Change, Kept, keep, who};
pub use in_force::Rules;
pub use version::{Loaded, Version};
