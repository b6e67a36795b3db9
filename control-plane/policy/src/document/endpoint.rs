//! Users and devices.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{KazooDevice, KazooUser, Settings, Switch};

/// Somebody who calls and is called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct User {
    /// Unique among the tenant's users.
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// SIP addresses, `user@domain`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<String>,
    /// Numbers, in E.164 or as the tenant dials; extensions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
    /// All calls of the user at once: `on`, `off`, or as `call_recording` and the account have it.
    pub record: Switch,
    /// 003, Record Audio Calls: on, the user's calls are recorded, of video calls the audio.
    pub record_audio_calls: Switch,
    /// 003, Record Video Calls: on, the user's video calls are recorded.
    pub record_video_calls: Switch,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_recording: Option<Settings>,
    /// A KAZOO user document, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kazoo: Option<KazooUser>,
}

/// A phone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Device {
    /// Unique among the tenant's devices.
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Id of the user that it belongs to; a device without one falls to the account's defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// SIP addresses, `user@domain`, with which it registers and calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<String>,
    /// Numbers, in E.164 or as the tenant dials; extensions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
    /// Addresses that it signals from: `address` or `address:port`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// All calls of the device at once: `on`, `off`, or as `call_recording`, the user and the account have it.
    pub record: Switch,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_recording: Option<Settings>,
    /// A KAZOO device document, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kazoo: Option<KazooDevice>,
}

impl User {
    /// Its id, its own or that of the document which was pasted in.
    #[must_use]
    pub fn known_as(&self) -> &str {
        let pasted = || self.kazoo.as_ref().and_then(|pasted| pasted.id.as_deref());
        if self.id.is_empty() { pasted().unwrap_or_default() } else { &self.id }
    }

    /// Its settings, wherever they are given.
    #[must_use]
    pub fn settings(&self) -> Option<&Settings> {
        let pasted = || self.kazoo.as_ref().and_then(|pasted| pasted.call_recording.as_ref());
        self.call_recording.as_ref().or_else(pasted)
    }
}

impl Device {
    /// Its id, its own or that of the document which was pasted in.
    #[must_use]
    pub fn known_as(&self) -> &str {
        let pasted = || self.kazoo.as_ref().and_then(|pasted| pasted.id.as_deref());
        if self.id.is_empty() { pasted().unwrap_or_default() } else { &self.id }
    }

    /// The id of its user.
    #[must_use]
    pub fn owned_by(&self) -> Option<&str> {
        let pasted = || self.kazoo.as_ref().and_then(|pasted| pasted.owner_id.as_deref());
        self.owner.as_deref().or_else(pasted).filter(|owner| !owner.is_empty())
    }

    /// Its settings, wherever they are given.
    #[must_use]
    pub fn settings(&self) -> Option<&Settings> {
        let pasted = || self.kazoo.as_ref().and_then(|pasted| pasted.call_recording.as_ref());
        self.call_recording.as_ref().or_else(pasted)
    }

    /// Its SIP addresses; `realm` is that of the account.
    pub fn addresses_of_record(&self, realm: Option<&str>) -> impl Iterator<Item = String> + '_ {
        let sip = self.kazoo.as_ref().and_then(|pasted| pasted.sip.as_ref());
        let pasted = sip.and_then(|sip| {
            let host = sip.realm.as_deref().or(realm)?;
            Some(format!("{}@{host}", sip.username.as_deref()?))
        });
        self.identities.iter().cloned().chain(pasted)
    }
}
