//! From what a call says of a party to who it is.

use std::net::SocketAddr;

use super::{DeviceId, Policy, Target, TenantId, TrunkId, UserId};
use crate::document::NetworkKind;
use crate::facts::{By, Identity, PartyFacts};
use crate::identity::{self, Dialling, Number};

/// Why a party is inside a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is one of the tenant's own.
    Target(Target),
    /// Its number is in the tenant's ranges.
    Range(TenantId),
    /// Its domain is the tenant's.
    Domain(TenantId),
    /// It signals from the tenant's network.
    Network(TenantId),
}

/// Who a party is, as far as the set knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resolved {
    pub place: Option<Place>,
    /// Where that was read; `None`: its address.
    pub by: Option<By>,
    pub device: Option<DeviceId>,
    pub user: Option<UserId>,
    /// It comes, or is reached, through this trunk.
    pub trunk: Option<TrunkId>,
    pub tenant: Option<TenantId>,
    /// Whatever it is called.
    pub is_outside: bool,
    /// What the network says of whom nothing else is known.
    pub(crate) network: Option<NetworkKind>,
    /// Nothing but the network says where it is.
    pub(crate) is_anybody: bool,
}

impl Policy {
    /// Who `party` is. `within`: a tenant whose extensions count although no domain says so.
    #[must_use]
    pub fn resolve(&self, party: &PartyFacts<'_>, within: Option<TenantId>) -> Resolved {
        let address = party.address;
        let trunk = address.and_then(|address| self.trunk_networks.find(address.ip()).copied());
        if trunk.is_some() || party.is_outside {
            let tenant = trunk.and_then(|trunk| self.trunks[trunk.at()].tenant);
            return Resolved { trunk, tenant, is_outside: true, ..Resolved::default() };
        }
        let mut found = Resolved { is_anybody: true, ..Resolved::default() };
        for identity in party.identities {
            // Only an address says more of whom nothing is known.
            found.is_anybody &= address.is_none() || !says_where(identity);
            let place = self.place(identity, within);
            // Somebody goes before a range or a domain that a more trusted identity is only part of.
            if found.place.is_none()
                || matches!(
                    (found.place, place),
                    (Some(Place::Range(_) | Place::Domain(_)), Some(Place::Target(_)))
                )
            {
                found.place = place;
                found.by = place.map(|_| identity.by);
            }
            if matches!(found.place, Some(Place::Target(_))) {
                break;
            }
        }
        if let Some(address) = address {
            self.by_address(address, &mut found);
        }
        self.complete(&mut found);
        found
    }

    fn by_address(&self, address: SocketAddr, found: &mut Resolved) {
        let ip = address.ip().to_canonical();
        let device = self.hosts.get(&(ip, address.port())).or_else(|| self.hosts.get(&(ip, 0)));
        if let Some(&device) = device {
            let owner = self.devices[device.at()].owner;
            let refines = match found.place {
                None => found.is_anybody,
                Some(Place::Target(Target::User(user))) => owner == Some(user),
                Some(Place::Target(_)) => false,
                Some(Place::Range(tenant) | Place::Domain(tenant) | Place::Network(tenant)) => {
                    self.devices[device.at()].tenant == tenant
                }
            };
            if refines {
                found.place = Some(Place::Target(Target::Device(device)));
                found.by = found.by.filter(|_| owner.is_some());
            }
        }
        if let Some(&(tenant, kind)) = self.networks.find(ip) {
            found.network = Some(kind);
            if found.place.is_none() && found.is_anybody && kind == NetworkKind::Onnet {
                found.place = tenant.map(Place::Network);
            }
        }
    }

    fn complete(&self, found: &mut Resolved) {
        match found.place {
            Some(Place::Target(target)) => {
                found.tenant = Some(self.tenant_of(target));
                match target {
                    Target::Device(device) => {
                        found.device = Some(device);
                        found.user = self.devices[device.at()].owner;
                    }
                    Target::User(user) => found.user = Some(user),
                    Target::Queue(_) | Target::Group(_) | Target::Callflow(_) => {}
                }
            }
            Some(Place::Range(tenant) | Place::Domain(tenant) | Place::Network(tenant)) => {
                found.tenant = Some(tenant);
            }
            None => {}
        }
    }

    pub(crate) fn tenant_of(&self, target: Target) -> TenantId {
        match target {
            Target::Device(id) => self.devices[id.at()].tenant,
            Target::User(id) => self.users[id.at()].tenant,
            Target::Queue(id) => self.queues[id.at()].tenant,
            Target::Group(id) => self.groups[id.at()].tenant,
            Target::Callflow(id) => self.callflows[id.at()].tenant,
        }
    }

    /// Where an identity leads to.
    pub(crate) fn place(&self, identity: &Identity<'_>, within: Option<TenantId>) -> Option<Place> {
        let (user, host) = identity::split(identity.text);
        if let Some(host) = host
            && let Some(target) = self.address(user, host)
        {
            return Some(Place::Target(target));
        }
        if user.starts_with('+')
            && let Some(number) = Number::read(user, &self.dialling)
        {
            return self.public(&number);
        }
        let domain = host.and_then(|host| self.domain(host));
        let tenant = domain.or(within).map(|tenant| &self.tenants[tenant.at()]);
        let dialling = tenant.map_or(&self.dialling, |tenant| &tenant.dialling);
        let number = Number::read(user, dialling);
        if let (Some(id), Some(tenant), Some(number)) = (domain.or(within), tenant, number) {
            if let Some(target) = tenant.extensions.get(number.as_str()) {
                return Some(Place::Target(*target));
            }
            if !number.is_public() && tenant.extension_ranges.holds(number.as_str(), dialling) {
                return Some(Place::Range(id));
            }
        }
        if let Some(number) = number.filter(Number::is_public) {
            return self.public(&number.with_plus().unwrap_or(number));
        }
        domain.map(Place::Domain)
    }

    /// A public number of nobody here is outside, whatever domain the telephone system writes behind it.
    fn public(&self, number: &Number) -> Option<Place> {
        if let Some(target) = self.numbers.get(number.as_str()) {
            return Some(Place::Target(*target));
        }
        self.ranges.find(number.as_str()).map(Place::Range)
    }

    fn address(&self, user: &str, host: &str) -> Option<Target> {
        if self.addresses.is_empty() {
            return None;
        }
        // As it came where it is in its one form already, which most are.
        if !host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let mut key = [0_u8; 128];
            let length = user.len() + 1 + host.len();
            if let Some(key) = key.get_mut(..length) {
                key[..user.len()].copy_from_slice(user.as_bytes());
                key[user.len()] = b'@';
                key[user.len() + 1..].copy_from_slice(host.as_bytes());
                let key = std::str::from_utf8(key).ok()?;
                return self.addresses.get(key).copied();
            }
        }
        self.addresses.get(identity::address(user, host).as_str()).copied()
    }

    fn domain(&self, host: &str) -> Option<TenantId> {
        if let Some(tenant) = self.domains.get(host) {
            return Some(*tenant);
        }
        let has_capitals = host.bytes().any(|byte| byte.is_ascii_uppercase());
        has_capitals.then(|| self.domains.get(host.to_ascii_lowercase().as_str()).copied())?
    }

    pub(crate) const fn catch_all(&self) -> Option<TenantId> {
        self.catch_all
    }
}

/// Whether the identity itself says inside or outside: a public number, a name at a host that nobody is at.
fn says_where(identity: &Identity<'_>) -> bool {
    let (user, host) = identity::split(identity.text);
    let is_public = Number::read(user, &Dialling::default()).is_some_and(|n| n.is_public());
    // RFC 3323 section 4.1.1.3: nobody is called anonymous inside.
    is_public || host.is_some_and(|host| host.ends_with(".invalid"))
}
