//! A set in force, compiled for look-up: from what a call says of its parties to device, user, tenant in constant
//! time, and from there to what is set.

mod cells;
mod claims;
mod compile;
mod numbers;
mod resolve;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub use cells::{Cell, Cells, Way};
pub(crate) use numbers::NumberSet;
pub use resolve::{Place, Resolved};

use crate::cidr::CidrMap;
use crate::document::{Action, Method, NetworkKind, OnDemand, PauseMode, Switch, TransferredCalls};
use crate::facts::{By, Identity, PartyFacts};
use crate::identity::Dialling;

/// For keys that are checked when a set is loaded, and texts of calls that are only looked up.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

macro_rules! ids {
    ( $( #[doc = $doc:literal] $name:ident ),* $(,)? ) => { $(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(crate) u32);

        impl $name {
            pub(crate) const fn at(self) -> usize {
                self.0 as usize
            }
        }
    )* };
}

ids! {
    /// A tenant's place in its set.
    TenantId,
    /// A user's place in its set, over all tenants.
    UserId,
    /// A device's.
    DeviceId,
    /// A queue's.
    QueueId,
    /// A group's.
    GroupId,
    /// A call flow's.
    CallflowId,
    /// A trunk's.
    TrunkId,
}

/// Whom an address or a number leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    Device(DeviceId),
    User(UserId),
    Queue(QueueId),
    Group(GroupId),
    Callflow(CallflowId),
}

#[derive(Debug)]
pub(crate) struct User {
    pub id: Box<str>,
    pub tenant: TenantId,
    pub cells: Option<Box<Cells>>,
    pub audio: Switch,
    pub video: Switch,
}

#[derive(Debug)]
pub(crate) struct Device {
    pub id: Box<str>,
    pub tenant: TenantId,
    pub owner: Option<UserId>,
    pub cells: Option<Box<Cells>>,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub id: Box<str>,
    pub tenant: TenantId,
    pub cells: Option<Box<Cells>>,
    pub sampling: Option<f64>,
    pub agents: Map<UserId, Option<Box<Cells>>>,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub id: Box<str>,
    pub tenant: TenantId,
    pub cells: Option<Box<Cells>>,
}

#[derive(Debug)]
pub(crate) struct Callflow {
    pub id: Box<str>,
    pub tenant: TenantId,
    pub record_call: Option<CallAction>,
    pub record_caller: Option<CallerAction>,
}

/// `record_call`, compiled.
#[derive(Debug)]
pub(crate) struct CallAction {
    pub action: Action,
    pub cell: Cell,
    pub label: Option<Arc<str>>,
    pub media_name: Option<Arc<str>>,
}

/// `record_caller`, compiled.
#[derive(Debug)]
pub(crate) struct CallerAction {
    pub cell: Cell,
    pub method: Method,
}

#[derive(Debug)]
pub(crate) struct Trunk {
    pub id: Box<str>,
    pub tenant: Option<TenantId>,
}

/// A list of numbers that must not be recorded.
#[derive(Debug)]
pub(crate) struct List {
    pub id: Box<str>,
    pub numbers: NumberSet,
}

/// Which ways are forced (002).
pub(crate) type Forced = [bool; 4];

#[derive(Debug)]
pub(crate) struct Tenant {
    pub id: Box<str>,
    pub dialling: Dialling,
    pub offnet_domains: Vec<Box<str>>,
    /// Numbers that only the tenant knows: extensions.
    pub extensions: Map<Box<str>, Target>,
    /// Further extensions, of nobody in particular.
    pub extension_ranges: NumberSet,
    pub own: Option<Box<Cells>>,
    pub endpoint: Option<Box<Cells>>,
    pub force_users: Forced,
    pub force_account: Forced,
    pub on_demand: Arc<OnDemand>,
    pub pause: PauseMode,
    pub between_external: bool,
    pub audio: Switch,
    pub video: Switch,
    pub transferred: TransferredCalls,
    pub sampling: Option<f64>,
    pub do_not_record: Vec<List>,
}

/// A set in force.
#[derive(Debug, Default)]
pub struct Policy {
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) users: Vec<User>,
    pub(crate) devices: Vec<Device>,
    pub(crate) queues: Vec<Queue>,
    pub(crate) groups: Vec<Group>,
    pub(crate) callflows: Vec<Callflow>,
    pub(crate) trunks: Vec<Trunk>,
    pub(crate) do_not_record: Vec<List>,
    /// `user@host`.
    addresses: Map<Box<str>, Target>,
    /// Numbers of the public network.
    numbers: Map<Box<str>, Target>,
    /// Numbers and ranges of tenants.
    ranges: numbers::Ranges,
    domains: Map<Box<str>, TenantId>,
    /// Where devices signal from; port 0 is any.
    hosts: Map<(IpAddr, u16), DeviceId>,
    trunk_networks: CidrMap<TrunkId>,
    networks: CidrMap<(Option<TenantId>, NetworkKind)>,
    catch_all: Option<TenantId>,
    /// Feature codes of all tenants.
    codes: HashSet<Box<str>, foldhash::fast::RandomState>,
    /// Of who is of no tenant.
    dialling: Dialling,
}

/// How much a set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Extent {
    pub tenants: usize,
    pub users: usize,
    pub devices: usize,
    pub queues: usize,
    pub groups: usize,
    pub callflows: usize,
}

impl Policy {
    #[must_use]
    pub fn extent(&self) -> Extent {
        Extent {
            tenants: self.tenants.len(),
            users: self.users.len(),
            devices: self.devices.len(),
            queues: self.queues.len(),
            groups: self.groups.len(),
            callflows: self.callflows.len(),
        }
    }

    /// What may be done during calls of the tenant.
    #[must_use]
    pub fn on_demand(&self, tenant: TenantId) -> (&Arc<OnDemand>, PauseMode) {
        let tenant = &self.tenants[tenant.at()];
        (&tenant.on_demand, tenant.pause)
    }

    /// Whether the number is a feature code of some tenant.
    #[must_use]
    pub fn is_feature_code(&self, number: &[u8]) -> bool {
        std::str::from_utf8(number).is_ok_and(|number| self.codes.contains(number))
    }

    /// Whose tenant is who calls himself so and signals from there; none of who is outside.
    #[must_use]
    pub fn tenant_of_caller(&self, caller: &str, from: SocketAddr) -> Option<TenantId> {
        let identities = [Identity { by: By::From, text: caller }];
        let address = Some(from);
        let party = PartyFacts { identities: &identities, address, ..PartyFacts::default() };
        let found = self.resolve(&party, self.catch_all);
        (!found.is_outside).then_some(found.tenant).flatten()
    }

    /// The id of a tenant.
    #[must_use]
    pub fn tenant_name(&self, tenant: TenantId) -> &str {
        &self.tenants[tenant.at()].id
    }
}
