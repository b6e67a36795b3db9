//! From checked documents to the index. What is found here are claims of one part against another.

use std::sync::Arc;

use super::cells::{Cell, Cells, Way};
use super::claims::claim;
use super::{
    CallAction, CallerAction, Callflow, CallflowId, Device, DeviceId, Forced, Group, GroupId, List,
    Map, NumberSet, Policy, Queue, QueueId, Target, Tenant, TenantId, Trunk, TrunkId, User, UserId,
};
use crate::cidr::Cidr;
use crate::document::{self, Force, PolicyFile};
use crate::identity::{self, Dialling, Number};
use crate::limits::CALLFLOW_TIME_LIMIT_S;
use crate::load::{Findings, Scope, socket};

impl Policy {
    /// Compiles checked documents.
    pub(crate) fn compile(
        names: &[&str],
        documents: &[PolicyFile],
        findings: &mut Findings,
    ) -> Self {
        let mut compiler = Compiler { policy: Self::default(), findings };
        for (name, document) in names.iter().zip(documents) {
            let file = Scope::file(name);
            compiler.shared(&file, document);
            for (index, tenant) in document.tenants.iter().enumerate() {
                compiler.tenant(&file.element("tenants", index), tenant);
            }
        }
        compiler.policy
    }
}

struct Compiler<'a> {
    policy: Policy,
    findings: &'a mut Findings,
}

fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Compiler<'_> {
    fn shared(&mut self, at: &Scope<'_>, document: &PolicyFile) {
        self.trunks(at, None, &document.trunks);
        self.networks(at, None, &document.networks);
        let dialling = Dialling::default();
        self.policy.do_not_record.extend(lists(&document.do_not_record, &dialling));
    }

    fn tenant(&mut self, at: &Scope<'_>, tenant: &document::Tenant) {
        let id = TenantId(index(self.policy.tenants.len()));
        let recording = tenant.recording();
        let dialling = Dialling::of(&tenant.numbering);
        self.policy.tenants.push(Tenant {
            id: tenant.known_as().into(),
            offnet_domains: tenant.domains.offnet.iter().map(|host| lower(host)).collect(),
            extensions: Map::default(),
            extension_ranges: NumberSet::default(),
            own: recording
                .and_then(|own| Cells::compile(document::Switch::Default, Some(&own.own()))),
            endpoint: recording
                .and_then(|own| Cells::compile(document::Switch::Default, own.endpoint.as_ref())),
            force_users: forced(&tenant.force_record.all_users),
            force_account: forced(&tenant.force_record.entire_account),
            on_demand: Arc::new(tenant.on_demand.clone()),
            pause: tenant.pause,
            between_external: tenant.record_calls_between_external_numbers.unwrap_or(true),
            audio: tenant.enable_extension_audio_recording,
            video: tenant.enable_extension_video_recording,
            transferred: tenant.transferred_calls,
            sampling: tenant.sampling_percent.filter(|percent| *percent > 0.0),
            do_not_record: lists(&tenant.do_not_record, &dialling).collect(),
            dialling: dialling.clone(),
        });
        let codes = tenant.on_demand.feature_codes.named().map(|(_, code)| code);
        self.policy.codes.extend(codes.into_iter().filter(|code| !code.is_empty()).map(Box::from));
        if tenant.catch_all {
            self.policy.catch_all = Some(id);
        }
        self.domains(at, id, tenant);
        for (number, entry) in tenant.numbers.iter().enumerate() {
            if is_extension(entry, &dialling) {
                self.policy.tenants[id.at()].extension_ranges.add(entry, &dialling);
            } else if let Some(other) = self.policy.ranges.add(entry, id, &dialling) {
                let problem = format!("is of tenant {:?} already", self.policy.tenant_name(other));
                at.element("numbers", number).fault(self.findings, problem);
            }
        }
        self.trunks(at, Some(id), &tenant.trunks);
        self.networks(at, Some(id), &tenant.networks);
        let users = self.users(at, id, tenant);
        self.devices(at, id, tenant, &users);
        self.places(at, id, tenant, &users);
    }

    fn domains(&mut self, at: &Scope<'_>, id: TenantId, tenant: &document::Tenant) {
        let own = tenant.domains.onnet.iter().map(String::as_str).enumerate();
        let own = own.map(|(index, host)| (Some(index), host));
        let all: Vec<(Option<usize>, &str)> =
            own.chain(tenant.realm().map(|realm| (None, realm))).collect();
        for (index, host) in all {
            let known = self.policy.domains.insert(lower(host), id);
            if let Some(other) = known.filter(|known| *known != id) {
                let problem = format!(
                    "{host:?} is a domain of tenant {:?} already",
                    self.policy.tenant_name(other)
                );
                match index {
                    Some(index) => {
                        at.key("domains").element("onnet", index).fault(self.findings, problem)
                    }
                    None => at.key("kazoo").key("realm").fault(self.findings, problem),
                }
            }
        }
    }

    fn trunks(&mut self, at: &Scope<'_>, tenant: Option<TenantId>, trunks: &[document::Trunk]) {
        for (number, trunk) in trunks.iter().enumerate() {
            let at = at.element("trunks", number);
            let id = TrunkId(index(self.policy.trunks.len()));
            self.policy.trunks.push(Trunk { id: trunk.id.as_str().into(), tenant });
            for (number, text) in trunk.addresses.iter().enumerate() {
                let Some(cidr) = Cidr::read(text) else { continue };
                if let Some(other) =
                    self.policy.trunk_networks.add(cidr, id).copied().filter(|other| *other != id)
                {
                    let problem = format!(
                        "is of trunk {:?} already; what several tenants share stands beside them",
                        self.policy.trunks[other.at()].id
                    );
                    at.element("addresses", number).fault(self.findings, problem);
                }
            }
        }
    }

    fn networks(
        &mut self,
        at: &Scope<'_>,
        tenant: Option<TenantId>,
        networks: &[document::Network],
    ) {
        for (number, network) in networks.iter().enumerate() {
            let at = at.element("networks", number);
            let Some(kind) = network.kind else { continue };
            for (number, text) in network.addresses.iter().enumerate() {
                let Some(cidr) = Cidr::read(text) else { continue };
                let known = self.policy.networks.add(cidr, (tenant, kind)).copied();
                if known.is_some_and(|known| known != (tenant, kind)) {
                    let problem =
                        "is a network already; what several tenants share stands beside them";
                    at.element("addresses", number).fault(self.findings, problem);
                }
            }
        }
    }

    fn users(
        &mut self,
        at: &Scope<'_>,
        tenant: TenantId,
        document: &document::Tenant,
    ) -> Map<Box<str>, UserId> {
        let mut users = Map::default();
        for (number, user) in document.users.iter().enumerate() {
            let id = UserId(index(self.policy.users.len()));
            self.policy.users.push(User {
                id: user.known_as().into(),
                tenant,
                cells: Cells::compile(user.record, user.settings()),
                audio: user.record_audio_calls,
                video: user.record_video_calls,
            });
            users.insert(user.known_as().into(), id);
            let at = at.element("users", number);
            self.identities(&at, Target::User(id), user.identities.iter().map(String::as_str));
            self.numbers(&at, tenant, Target::User(id), &user.numbers);
        }
        users
    }

    fn devices(
        &mut self,
        at: &Scope<'_>,
        tenant: TenantId,
        document: &document::Tenant,
        users: &Map<Box<str>, UserId>,
    ) {
        for (number, device) in document.devices.iter().enumerate() {
            let id = DeviceId(index(self.policy.devices.len()));
            let owner = device.owned_by().and_then(|owner| users.get(owner).copied());
            self.policy.devices.push(Device {
                id: device.known_as().into(),
                tenant,
                owner,
                cells: Cells::compile(device.record, device.settings()),
            });
            let at = at.element("devices", number);
            let addresses: Vec<String> = device.addresses_of_record(document.realm()).collect();
            self.identities(&at, Target::Device(id), addresses.iter().map(String::as_str));
            self.numbers(&at, tenant, Target::Device(id), &device.numbers);
            for (number, text) in device.addresses.iter().enumerate() {
                let Some(address) = socket(text) else { continue };
                let key = (address.ip().to_canonical(), address.port());
                if let Some(other) = self.policy.hosts.insert(key, id).filter(|other| *other != id)
                {
                    let problem =
                        format!("{text} is {} already", self.policy.name_of(Target::Device(other)));
                    at.element("addresses", number).fault(self.findings, problem);
                }
            }
        }
    }

    fn places(
        &mut self,
        at: &Scope<'_>,
        tenant: TenantId,
        document: &document::Tenant,
        users: &Map<Box<str>, UserId>,
    ) {
        for (number, queue) in document.queues.iter().enumerate() {
            let target = Target::Queue(QueueId(index(self.policy.queues.len())));
            let agent = |agent: &document::Agent| {
                let cells = Cells::compile(agent.record, agent.call_recording.as_ref());
                Some((*users.get(agent.user.as_str())?, cells))
            };
            self.policy.queues.push(Queue {
                id: queue.id.as_str().into(),
                tenant,
                cells: Cells::compile(queue.record, queue.call_recording.as_ref()),
                sampling: queue.sampling_percent.filter(|percent| *percent > 0.0),
                agents: queue.agents.iter().filter_map(agent).collect(),
            });
            let at = at.element("queues", number);
            self.identities(&at, target, queue.identities.iter().map(String::as_str));
            self.numbers(&at, tenant, target, &queue.numbers);
        }
        for (number, group) in document.groups.iter().enumerate() {
            let target = Target::Group(GroupId(index(self.policy.groups.len())));
            self.policy.groups.push(Group {
                id: group.id.as_str().into(),
                tenant,
                cells: Cells::compile(group.record, group.call_recording.as_ref()),
            });
            let at = at.element("groups", number);
            self.identities(&at, target, group.identities.iter().map(String::as_str));
            self.numbers(&at, tenant, target, &group.numbers);
        }
        for (number, flow) in document.callflows.iter().enumerate() {
            let target = Target::Callflow(CallflowId(index(self.policy.callflows.len())));
            self.policy.callflows.push(callflow(tenant, flow));
            let at = at.element("callflows", number);
            self.identities(&at, target, flow.identities.iter().map(String::as_str));
            self.numbers(&at, tenant, target, &flow.numbers);
        }
    }

    fn identities<'a>(
        &mut self,
        at: &Scope<'_>,
        target: Target,
        all: impl Iterator<Item = &'a str>,
    ) {
        for (number, text) in all.enumerate() {
            let (user, Some(host)) = identity::split(text) else { continue };
            let key = identity::address(user, host);
            let Policy { addresses, devices, .. } = &mut self.policy;
            if let Err(other) = claim(addresses, devices, &key, target) {
                let problem = format!("{text} is {} already", self.policy.name_of(other));
                at.element("identities", number).fault(self.findings, problem);
            }
        }
    }

    fn numbers(&mut self, at: &Scope<'_>, tenant: TenantId, target: Target, all: &[String]) {
        for (number, text) in all.iter().enumerate() {
            let Policy { tenants, numbers, devices, .. } = &mut self.policy;
            let tenant = &mut tenants[tenant.at()];
            let Some(read) = Number::read(text, &tenant.dialling) else { continue };
            let known_to_all = read.with_plus().unwrap_or(read);
            let claimed = match read.is_public() {
                true => claim(numbers, devices, known_to_all.as_str(), target),
                false => claim(&mut tenant.extensions, devices, read.as_str(), target),
            };
            if let Err(other) = claimed {
                let problem = format!("{text} is {} already", self.policy.name_of(other));
                at.element("numbers", number).fault(self.findings, problem);
            }
        }
    }
}

/// Ranges of the public network begin with `+`, or are long enough.
fn is_extension(entry: &str, dialling: &Dialling) -> bool {
    let stem = entry.strip_suffix('*').unwrap_or(entry);
    Number::read(stem, dialling).is_some_and(|number| !number.is_public())
}

fn lower(host: &str) -> Box<str> {
    host.to_ascii_lowercase().into()
}

fn lists<'a>(
    lists: &'a [document::NumberList],
    dialling: &'a Dialling,
) -> impl Iterator<Item = List> + 'a {
    lists.iter().map(|list| {
        let mut numbers = NumberSet::default();
        list.numbers.iter().for_each(|entry| numbers.add(entry, dialling));
        List { id: list.id.as_str().into(), numbers }
    })
}

/// 002: "you can indicate if you want to force inbound, outbound, and/or internal and external calls".
fn forced(force: &Force) -> Forced {
    let both = |one: bool, other: bool| if one || other { (one, other) } else { (true, true) };
    let (inbound, outbound) = both(force.inbound, force.outbound);
    let (internal, external) = both(force.internal, force.external);
    Way::ALL.map(|way| {
        let direction = if way.is_inbound() { inbound } else { outbound };
        let network = if way.is_onnet() { internal } else { external };
        force.enabled && direction && network
    })
}

fn callflow(tenant: TenantId, flow: &document::Callflow) -> Callflow {
    let limit = |said: Option<u32>| Some(said.unwrap_or(CALLFLOW_TIME_LIMIT_S));
    let record_call = flow.record_call.as_ref().map(|said| CallAction {
        action: said.action,
        cell: Cell {
            enabled: Some(true),
            format: said.format,
            min_s: said.record_min_sec,
            on_answer: Some(said.record_on_answer),
            on_bridge: Some(said.record_on_bridge),
            sample_rate: said.record_sample_rate,
            time_limit_s: limit(said.time_limit),
            url: said.url.as_deref().map(Arc::from),
        },
        label: said.label.as_deref().map(Arc::from),
        media_name: said.media_name.as_deref().map(Arc::from),
    });
    let record_caller = flow.record_caller.as_ref().map(|said| CallerAction {
        cell: Cell {
            enabled: Some(true),
            format: said.format,
            time_limit_s: limit(said.time_limit),
            url: said.url.as_deref().map(Arc::from),
            ..Cell::default()
        },
        method: said.method,
    });
    Callflow { id: flow.id.as_str().into(), tenant, record_call, record_caller }
}
