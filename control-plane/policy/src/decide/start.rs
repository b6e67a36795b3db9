//! What starts a recording, and what each wants it to be like.

use std::sync::Arc;

use crate::decision::{Parts, Voices};
use crate::document::Method;
use crate::index::{CallflowId, Cell, DeviceId, GroupId, Policy, QueueId, UserId, Way};
use crate::trace::{Mark, Tell};

/// Which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Demand,
    Callflow(CallflowId),
    CallflowCaller(CallflowId),
    /// What says so is the device's own setting.
    Device(DeviceId, Way),
    User(UserId, Way),
    /// The user's, or the tenant's, switch of 003.
    UserSwitch(UserId),
    ExtensionSwitch(UserId),
    ForceUsers(UserId, Way),
    /// The account's defaults of endpoints, for this one.
    EndpointDefault(Option<DeviceId>, Option<UserId>, Way),
    Agent(QueueId, UserId),
    Queue(QueueId),
    Group(GroupId),
    Account(Way),
    ForceAccount(Way),
    Sampling,
    QueueSampling(QueueId),
}

impl Origin {
    pub fn text(self, policy: &Policy) -> String {
        let user = |id: UserId| &policy.users[id.at()].id;
        let device = |id: DeviceId| &policy.devices[id.at()].id;
        let queue = |id: QueueId| &policy.queues[id.at()].id;
        let flow = |id: CallflowId| &policy.callflows[id.at()].id;
        match self {
            Self::Demand => "on demand".to_owned(),
            Self::Callflow(id) => format!("call flow {}: record_call", flow(id)),
            Self::CallflowCaller(id) => format!("call flow {}: record_caller", flow(id)),
            Self::Device(id, way) => format!("device {}: {}", device(id), way.name()),
            Self::User(id, way) => format!("user {}: {}", user(id), way.name()),
            Self::UserSwitch(id) => format!("user {}: record calls", user(id)),
            Self::ExtensionSwitch(id) => format!("extension recording of user {}", user(id)),
            Self::ForceUsers(id, way) => {
                format!("force-record all users: user {}, {}", user(id), way.name())
            }
            Self::EndpointDefault(Some(id), _, way) => {
                format!("endpoint default of device {}: {}", device(id), way.name())
            }
            Self::EndpointDefault(None, Some(id), way) => {
                format!("endpoint default of user {}: {}", user(id), way.name())
            }
            Self::EndpointDefault(None, None, way) => format!("endpoint default: {}", way.name()),
            Self::Agent(id, agent) => format!("agent {} of queue {}", user(agent), queue(id)),
            Self::Queue(id) => format!("queue {}", queue(id)),
            Self::Group(id) => format!("group {}", policy.groups[id.at()].id),
            Self::Account(way) => format!("account {}", way.name()),
            Self::ForceAccount(way) => format!("force-record entire account: {}", way.name()),
            Self::Sampling => "sampling".to_owned(),
            Self::QueueSampling(id) => format!("sampling of queue {}", queue(id)),
        }
    }
}

/// One that starts a recording.
#[derive(Debug, Clone)]
pub struct Start {
    pub origin: Origin,
    pub cell: Cell,
    pub parts: Parts,
    pub voices: Voices,
    pub method: Option<Method>,
    pub label: Option<Arc<str>>,
    pub media_name: Option<Arc<str>>,
}

impl Start {
    pub fn new(origin: Origin, cell: Cell, parts: Parts) -> Self {
        let voices = Voices::Both;
        Self { origin, cell, parts, voices, method: None, label: None, media_name: None }
    }

    pub fn on_demand(video: bool) -> Self {
        Self::new(Origin::Demand, Cell::default(), Parts { audio: true, video })
    }
}

/// All of them, in the order in which they say what the recording is like.
#[derive(Debug, Default)]
pub struct Starts {
    all: Vec<Start>,
}

impl Starts {
    pub fn add(&mut self, start: Start) {
        self.all.push(start);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Start> {
        self.all.iter()
    }

    pub fn origins(&self) -> Vec<Origin> {
        self.all.iter().map(|start| start.origin).collect()
    }

    /// A call flow's `stop` takes back all but what an administrator forces and what somebody asks for.
    pub fn stop_by_callflow(&mut self, tell: &mut impl Tell) {
        let stays = |start: &Start| {
            matches!(
                start.origin,
                Origin::Demand | Origin::ForceUsers(..) | Origin::ForceAccount(_)
            )
        };
        if self.all.iter().all(stays) {
            return;
        }
        self.all.retain(stays);
        tell.say(Mark::No, || "the call flow stops what others started".to_owned());
    }
}
