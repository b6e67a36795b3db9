//! Force Record Settings (002, Account Tab).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which calls are forced. Of `inbound` and `outbound`, and of `internal` and `external`, none means both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Force {
    /// Whether anything is forced.
    pub enabled: bool,
    pub inbound: bool,
    pub outbound: bool,
    pub internal: bool,
    pub external: bool,
}

/// Recording that an administrator forces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ForceRecord {
    /// Calls from and to any device of a user, unless the device's setting says otherwise.
    pub all_users: Force,
    /// Every call of the account, unless the setting of a user or device in it says otherwise.
    pub entire_account: Force,
}
