//! One file; several make a set.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Network, NumberList, Tenant, Trunk};

/// A policy file of Earwitness.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyFile {
    /// Trunks that all tenants share.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trunks: Vec<Trunk>,
    /// Networks that all tenants share.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// Numbers that must not be recorded for any tenant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub do_not_record: Vec<NumberList>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<Tenant>,
}
