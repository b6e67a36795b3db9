//! The paste-in place: documents of KAZOO as its API gives them, of which a few keys are read.
//!
//! Other keys are let be; what is below `call_recording` is checked as everywhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountRecording, Settings};

/// What the API puts a document in; refused, because nothing in it would be read.
pub type Envelope = Option<serde_json::Value>;

/// An account document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KazooAccount {
    /// Stands for `id`.
    pub id: Option<String>,
    /// Stands for `name`.
    pub name: Option<String>,
    /// A domain of the tenant, and that of its devices' user names.
    pub realm: Option<String>,
    pub call_recording: Option<AccountRecording>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub data: Envelope,
}

/// A user document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KazooUser {
    /// Stands for `id`.
    pub id: Option<String>,
    /// Stands for `name`.
    pub username: Option<String>,
    pub call_recording: Option<Settings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub data: Envelope,
}

/// A device document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KazooDevice {
    /// Stands for `id`.
    pub id: Option<String>,
    /// Stands for `name`.
    pub name: Option<String>,
    /// Stands for `owner`.
    pub owner_id: Option<String>,
    pub sip: Option<KazooSip>,
    pub call_recording: Option<Settings>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub data: Envelope,
}

/// How a device registers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KazooSip {
    /// With the realm, an identity of the device.
    pub username: Option<String>,
    /// Instead of the account's.
    pub realm: Option<String>,
}
