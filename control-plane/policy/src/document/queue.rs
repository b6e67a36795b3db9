//! Queues with their agents, and groups.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Settings, Switch};

/// A queue of a call centre. What it says goes before the account's own settings (002).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// Unique among the tenant's queues.
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Numbers that lead into it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
    /// SIP addresses, `user@domain`, that lead into it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<String>,
    /// All calls in the queue at once.
    pub record: Switch,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_recording: Option<Settings>,
    /// So many percent of its calls are recorded, whatever the rest says; 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling_percent: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<Agent>,
}

/// A member of a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// Id of the user.
    pub user: String,
    /// All calls of the queue that this agent takes; `on` and `off` go before the queue's.
    pub record: Switch,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_recording: Option<Settings>,
}

/// Several who are called by one number (002, Group Settings).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// Unique among the tenant's groups.
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Numbers that call the group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<String>,
    /// SIP addresses, `user@domain`, that call the group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<String>,
    /// All calls to the group at once.
    pub record: Switch,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_recording: Option<Settings>,
}
