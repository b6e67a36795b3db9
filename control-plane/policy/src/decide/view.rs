//! The parties as a tenant sees them: who they are to it, and whether they are inside.

use crate::decision::Direction;
use crate::document::{NetworkKind, TransferredCalls};
use crate::facts::{By, Facts, PartyFacts};
use crate::identity;
use crate::index::{
    CallflowId, DeviceId, GroupId, Place, Policy, QueueId, Resolved, Target, Tenant, TenantId,
    UserId, Way,
};
use crate::limits::TENANTS_PER_CALL_MAX;
use crate::trace::Tell;

/// Who the parties are.
#[derive(Debug)]
pub struct View {
    caller: Resolved,
    callee: Resolved,
    tenants: [Option<TenantId>; TENANTS_PER_CALL_MAX],
}

impl View {
    pub fn new(policy: &Policy, facts: &Facts<'_>) -> Self {
        let mut caller = policy.resolve(&facts.caller, None);
        let mut callee = policy.resolve(&facts.callee, None);
        let through = || {
            let places = facts.through.iter().filter_map(|identity| policy.place(identity, None));
            places.filter_map(|place| tenant_of(policy, place)).next()
        };
        // What neither a domain nor a number of its own says, the other party's tenant may know.
        let known = callee.tenant.or(caller.tenant).or_else(through).or(policy.catch_all());
        if caller.tenant.is_none() && may_be_within(&facts.caller, known) {
            caller = policy.resolve(&facts.caller, known);
        }
        if callee.tenant.is_none() && may_be_within(&facts.callee, known) {
            callee = policy.resolve(&facts.callee, known);
        }
        let mut tenants = [None; TENANTS_PER_CALL_MAX];
        // Those who talk before a trunk's owner, and the called one's recording before the caller's.
        let talks = [&callee, &caller].map(|party| party.tenant.filter(|_| !party.is_outside));
        let all = talks.into_iter().chain([known, caller.tenant.or(callee.tenant)]);
        for tenant in all.flatten() {
            if !tenants.contains(&Some(tenant))
                && let Some(place) = tenants.iter_mut().find(|place| place.is_none())
            {
                *place = Some(tenant);
            }
        }
        Self { caller, callee, tenants }
    }

    pub fn tenants(&self) -> impl Iterator<Item = TenantId> {
        self.tenants.into_iter().flatten()
    }

    /// As `tenant` sees it.
    pub fn of<'a>(&'a self, policy: &'a Policy, id: TenantId, facts: &'a Facts<'a>) -> Seen<'a> {
        let tenant = &policy.tenants[id.at()];
        let place = |party: &Resolved| match party.place {
            Some(Place::Target(target)) if party.tenant == Some(id) => Some(target),
            _ => None,
        };
        let caller_onnet = is_onnet(tenant, id, &self.caller, &facts.caller);
        let callee_onnet = is_onnet(tenant, id, &self.callee, &facts.callee);
        let through = facts.through.iter().filter_map(|identity| policy.place(identity, Some(id)));
        let through = through.filter_map(|place| match place {
            Place::Target(target) if policy.tenant_of(target) == id => Some(target),
            _ => None,
        });
        let mut seen = Seen {
            tenant,
            id,
            facts,
            direction: Direction::of(caller_onnet, callee_onnet),
            caller_onnet,
            callee_onnet,
            caller: Endpoint::of(id, &self.caller),
            callee: Endpoint::of(id, &self.callee),
            queue: None,
            group: None,
            callflow: None,
            callee_is_machine: matches!(
                place(&self.callee),
                Some(Target::Queue(_) | Target::Callflow(_))
            ),
        };
        let (inbound, outbound) = (Way::inbound(caller_onnet), Way::outbound(callee_onnet));
        let called = place(&self.callee).into_iter().chain(through);
        called.for_each(|target| seen.goes_through(target, inbound));
        place(&self.caller).into_iter().for_each(|target| seen.goes_through(target, outbound));
        seen
    }

    pub fn tell(&self, policy: &Policy, facts: &Facts<'_>, tell: &mut impl Tell) {
        for (name, party, facts) in
            [("caller", &self.caller, &facts.caller), ("callee", &self.callee, &facts.callee)]
        {
            tell.note(|| format!("{name} {}", described(policy, party, facts)));
        }
        let diverted = |by: By| matches!(by, By::Diversion | By::HistoryInfo | By::Question);
        for identity in facts.through.iter().filter(|identity| diverted(identity.by)) {
            tell.note(|| format!("came through {}, by {}", identity.text, identity.by.name()));
        }
    }
}

/// Whether the tenant can know more of a party than what all know: not of a public number in full.
fn may_be_within(party: &PartyFacts<'_>, tenant: Option<TenantId>) -> bool {
    let in_full =
        |identity: &crate::facts::Identity<'_>| identity::split(identity.text).0.starts_with('+');
    tenant.is_some() && !party.is_outside && !party.identities.iter().all(in_full)
}

fn tenant_of(policy: &Policy, place: Place) -> Option<TenantId> {
    Some(match place {
        Place::Target(target) => policy.tenant_of(target),
        Place::Range(tenant) | Place::Domain(tenant) | Place::Network(tenant) => tenant,
    })
}

fn is_onnet(tenant: &Tenant, id: TenantId, party: &Resolved, facts: &PartyFacts<'_>) -> bool {
    if party.is_outside || (party.place.is_some() && party.tenant != Some(id)) {
        return false;
    }
    if party.place.is_some() {
        return true;
    }
    let host =
        |identity: &crate::facts::Identity<'_>| identity::split(identity.text).1.map(str::to_owned);
    let is_foreign = |host: String| {
        tenant.offnet_domains.iter().any(|foreign| host.eq_ignore_ascii_case(foreign))
    };
    let named_foreign = !tenant.offnet_domains.is_empty()
        && facts.identities.iter().filter_map(host).any(is_foreign);
    party.is_anybody && !named_foreign && party.network == Some(NetworkKind::Onnet)
}

fn described(policy: &Policy, party: &Resolved, facts: &PartyFacts<'_>) -> String {
    let called = facts.identities.first().map_or("unknown", |identity| identity.text);
    let by = party.by.map_or("its address", |by| by.name());
    let mut text = match party.place {
        Some(Place::Target(target)) => {
            let owner = party.device.and(party.user);
            let owner = owner.map(|user| format!(", owned by user {}", policy.users[user.at()].id));
            format!("{called} is {}{}, by {by}", policy.name_of(target), owner.unwrap_or_default())
        }
        Some(Place::Range(tenant)) => {
            format!("{called} is a number of tenant {}, by {by}", policy.tenant_name(tenant))
        }
        Some(Place::Domain(tenant)) => {
            format!("{called} is in a domain of tenant {}, by {by}", policy.tenant_name(tenant))
        }
        Some(Place::Network(tenant)) => {
            format!("{called} signals from a network of tenant {}", policy.tenant_name(tenant))
        }
        None => match party.trunk {
            Some(trunk) => {
                format!("{called} is outside, through trunk {}", policy.trunks[trunk.at()].id)
            }
            None if party.is_outside => format!("{called} is outside"),
            None => format!("{called} is nobody whom the policy names"),
        },
    };
    if let Some(by) = facts.transferred_by {
        text += &format!("; transferred by {}", by.text);
    }
    text
}

/// A user or a device in the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    pub device: Option<DeviceId>,
    pub user: Option<UserId>,
}

impl Endpoint {
    fn of(tenant: TenantId, party: &Resolved) -> Option<Self> {
        let Resolved { device, user, .. } = *party;
        let is_one = party.tenant == Some(tenant) && (device.is_some() || user.is_some());
        is_one.then_some(Self { device, user })
    }
}

/// The call as one tenant sees it.
#[derive(Debug)]
pub struct Seen<'a> {
    pub tenant: &'a Tenant,
    pub id: TenantId,
    pub facts: &'a Facts<'a>,
    pub direction: Direction,
    pub caller_onnet: bool,
    pub callee_onnet: bool,
    pub caller: Option<Endpoint>,
    pub callee: Option<Endpoint>,
    /// The way is that of the call for the queue: in, or out if the queue calls.
    pub queue: Option<(QueueId, Way)>,
    pub group: Option<(GroupId, Way)>,
    pub callflow: Option<CallflowId>,
    pub callee_is_machine: bool,
}

impl Seen<'_> {
    fn goes_through(&mut self, target: Target, way: Way) {
        match target {
            Target::Queue(id) => self.queue = self.queue.or(Some((id, way))),
            Target::Group(id) => self.group = self.group.or(Some((id, way))),
            Target::Callflow(id) => self.callflow = self.callflow.or(Some(id)),
            Target::Device(_) | Target::User(_) => {}
        }
    }

    /// Whether video is recorded where no user says anything of it.
    pub fn video(&self) -> bool {
        self.facts.video && self.tenant.video == crate::document::Switch::On
    }

    /// The endpoints of the call, each with the way that the call goes for it.
    pub fn endpoints(&self, policy: &Policy) -> impl Iterator<Item = (Endpoint, Way)> {
        let Facts { caller, callee, .. } = self.facts;
        // 002, SmartPBX: who is transferred to is called, and by whom the call is transferred.
        let by_colleague = |party: &PartyFacts<'_>, other_onnet: bool| {
            let Some(by) = party.transferred_by else { return other_onnet };
            match self.tenant.transferred {
                TransferredCalls::External => other_onnet,
                TransferredCalls::Internal => {
                    other_onnet || policy.place(&by, Some(self.id)).is_some()
                }
            }
        };
        let calling = if caller.transferred_by.is_some() {
            Way::inbound(by_colleague(caller, self.callee_onnet))
        } else {
            Way::outbound(self.callee_onnet)
        };
        let called = Way::inbound(by_colleague(callee, self.caller_onnet));
        let calling = self.caller.map(|endpoint| (endpoint, calling));
        calling.into_iter().chain(self.callee.map(|endpoint| (endpoint, called)))
    }
}
