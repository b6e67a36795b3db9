//! Three states (002): as the level above has it, on, off.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `default` leaves it to the level above; `on` and `off` override it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    #[default]
    Default,
    On,
    Off,
}

impl Switch {
    /// What it says; `None` where it says nothing.
    #[must_use]
    pub const fn said(self) -> Option<bool> {
        match self {
            Self::Default => None,
            Self::On => Some(true),
            Self::Off => Some(false),
        }
    }
}
