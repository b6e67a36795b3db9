//! What is inside a tenant, and what outside: domains, trunks, networks, numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Hosts of SIP addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Domains {
    /// The tenant's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub onnet: Vec<String>,
    /// Others', although their hosts lie in the tenant's networks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub offnet: Vec<String>,
}

/// The way to other operators: who signals from here is outside, whoever he says he is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Trunk {
    pub id: String,
    /// `address` or `address/bits`.
    pub addresses: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    Onnet,
    Offnet,
}

/// Parties that nothing else is known of, by the address that they signal from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// `address` or `address/bits`.
    pub addresses: Vec<String>,
    /// Inside or outside; must be said.
    pub kind: Option<NetworkKind>,
}

/// How numbers are dialled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Numbering {
    /// Digits of the country code, such as `49`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_code: Option<String>,
    /// In front of numbers abroad; `00` unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub international_prefix: Option<String>,
    /// In front of national numbers, such as `0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub national_prefix: Option<String>,
    /// Numbers of so many digits are national without a prefix, such as 10 in North America.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub national_digits: Option<u8>,
}

/// Numbers that must not be recorded, whoever calls whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NumberList {
    pub id: String,
    /// Numbers; with `*` at the end, all that begin so. Or SIP addresses, `user@domain`.
    pub numbers: Vec<String>,
}
