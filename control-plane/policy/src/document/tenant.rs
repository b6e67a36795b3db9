//! A tenant, also called account (002) or company (003).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    AccountRecording, Callflow, Device, Domains, ForceRecord, Group, KazooAccount, Network,
    NumberList, Numbering, OnDemand, PauseMode, Queue, Switch, Trunk, User,
};

/// What a call is to the party that it is transferred to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransferredCalls {
    /// A call from the colleague who transfers (002, SmartPBX): where internal calls are not recorded, it stops.
    #[default]
    Internal,
    /// A call from the party that stays.
    External,
}

/// One tenant with everything that belongs to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tenant {
    /// Unique among all tenants of all files.
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Takes the calls that no tenant is found for; one at most.
    pub catch_all: bool,
    /// A KAZOO account document, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kazoo: Option<KazooAccount>,
    pub domains: Domains,
    pub numbering: Numbering,
    /// Numbers that are the tenant's; with `*` at the end, all that begin so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
    /// Trunks of this tenant alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trunks: Vec<Trunk>,
    /// Networks of this tenant alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_recording: Option<AccountRecording>,
    pub force_record: ForceRecord,
    pub on_demand: OnDemand,
    /// Whether a pause is silence of its length, or left out.
    pub pause: PauseMode,
    /// `false`: recording stops when both parties are outside (003); `true` unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_calls_between_external_numbers: Option<bool>,
    /// 003: on, calls of all users are recorded; off, those of none on their own account.
    pub enable_extension_audio_recording: Switch,
    /// 003: the same of video.
    pub enable_extension_video_recording: Switch,
    pub transferred_calls: TransferredCalls,
    /// So many percent of all calls are recorded, whatever the rest says; 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling_percent: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub do_not_record: Vec<NumberList>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<User>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<Queue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub callflows: Vec<Callflow>,
}

impl Tenant {
    /// Its id, its own or that of the document which was pasted in.
    #[must_use]
    pub fn known_as(&self) -> &str {
        let pasted = || self.kazoo.as_ref().and_then(|pasted| pasted.id.as_deref());
        if self.id.is_empty() { pasted().unwrap_or_default() } else { &self.id }
    }

    /// The realm of the account that was pasted in.
    #[must_use]
    pub fn realm(&self) -> Option<&str> {
        self.kazoo.as_ref().and_then(|pasted| pasted.realm.as_deref())
    }

    /// Its settings, wherever they are given.
    #[must_use]
    pub fn recording(&self) -> Option<&AccountRecording> {
        let pasted = || self.kazoo.as_ref().and_then(|pasted| pasted.call_recording.as_ref());
        self.call_recording.as_ref().or_else(pasted)
    }
}
