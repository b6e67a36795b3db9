//! `call_recording`: which calls, by direction and network (001).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Parameters;

/// Calls from, or to, inside and outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Networks {
    /// The other side is inside the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onnet: Option<Parameters>,
    /// The other side is outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offnet: Option<Parameters>,
    /// Either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any: Option<Parameters>,
}

/// Settings of one level. The more exact cell goes before `any`, key by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Of an endpoint: calls to it, by where they come from. Of an account: calls that come into it, by where from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound: Option<Networks>,
    /// Of an endpoint: calls that it makes, by where they go. Of an account: calls that go out of it, by where to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound: Option<Networks>,
    /// Either direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any: Option<Networks>,
}

/// Of an account: its own settings, and the defaults of its endpoints. `inbound`, `outbound` and `any` without
/// `account` around them are the account's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccountRecording {
    /// The account's own, judged apart from those of endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Settings>,
    /// What holds for devices and users that say nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Settings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound: Option<Networks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound: Option<Networks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any: Option<Networks>,
}

impl AccountRecording {
    /// The account's own settings in either form; with both, the ones in `account` (such a document is refused).
    #[must_use]
    pub fn own(&self) -> Settings {
        self.account.clone().unwrap_or_else(|| Settings {
            inbound: self.inbound.clone(),
            outbound: self.outbound.clone(),
            any: self.any.clone(),
        })
    }

    /// Whether there are settings without `account` around them.
    #[must_use]
    pub const fn has_direct(&self) -> bool {
        self.inbound.is_some() || self.outbound.is_some() || self.any.is_some()
    }
}
