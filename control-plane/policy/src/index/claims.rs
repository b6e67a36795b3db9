//! Who has an address or a number: nobody shares one but the devices of one user with each other and with that user.

use std::collections::hash_map::Entry;

use super::{Device, Map, Policy, Target, UserId};

/// Claims `key` for `target`.
///
/// # Errors
/// Another has it, who is given back.
pub fn claim(
    map: &mut Map<Box<str>, Target>,
    devices: &[Device],
    key: &str,
    target: Target,
) -> Result<(), Target> {
    match map.entry(key.into()) {
        Entry::Vacant(place) => {
            place.insert(target);
            Ok(())
        }
        Entry::Occupied(mut place) => {
            let known = *place.get();
            if known == target {
                return Ok(());
            }
            *place.get_mut() = shared(devices, known, target).ok_or(known)?;
            Ok(())
        }
    }
}

/// Of a user and its only device the device is meant, of several devices the user.
fn shared(devices: &[Device], known: Target, news: Target) -> Option<Target> {
    let owner = |target| match target {
        Target::Device(device) => devices[device.at()].owner,
        Target::User(user) => Some(user),
        Target::Queue(_) | Target::Group(_) | Target::Callflow(_) => None,
    };
    let user: UserId = owner(known)?;
    (owner(news)? == user).then_some(match (known, news) {
        (Target::User(_), Target::Device(_)) => news,
        (Target::Device(_), Target::User(_)) => known,
        _ => Target::User(user),
    })
}

impl Policy {
    /// A target with its tenant, for people.
    pub(crate) fn name_of(&self, target: Target) -> String {
        let tenant = |tenant: super::TenantId| &self.tenants[tenant.at()].id;
        match target {
            Target::Device(id) => {
                let device = &self.devices[id.at()];
                format!("device {} of {}", device.id, tenant(device.tenant))
            }
            Target::User(id) => {
                let user = &self.users[id.at()];
                format!("user {} of {}", user.id, tenant(user.tenant))
            }
            Target::Queue(id) => {
                let queue = &self.queues[id.at()];
                format!("queue {} of {}", queue.id, tenant(queue.tenant))
            }
            Target::Group(id) => {
                let group = &self.groups[id.at()];
                format!("group {} of {}", group.id, tenant(group.tenant))
            }
            Target::Callflow(id) => {
                let flow = &self.callflows[id.at()];
                format!("call flow {} of {}", flow.id, tenant(flow.tenant))
            }
        }
    }
}
