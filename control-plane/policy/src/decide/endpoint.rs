//! Endpoints: device over user over the account's defaults (001), forced users (002), audio and video (003).

use super::start::{Origin, Start, Starts};
use super::view::{Endpoint, Seen};
use crate::decision::Parts;
use crate::document::Switch;
use crate::index::{Cell, Policy, Way};
use crate::trace::{Mark, Tell};

/// Whether the device, or else the user, says no by a setting of its own, of any endpoint of the call.
pub fn judge(
    policy: &Policy,
    seen: &Seen<'_>,
    starts: &mut Starts,
    tell: &mut impl Tell,
) -> SaysNo {
    let mut says_no = SaysNo(false);
    for (endpoint, way) in seen.endpoints(policy) {
        let chain = Chain::of(policy, seen, endpoint, way);
        says_no.0 |= chain.own == Some(false);
        let (audio, video) = chain.parts(policy, seen);
        let name = || name(policy, endpoint);
        match chain.cell.enabled {
            Some(true) if !audio && !video => tell.say(Mark::No, || {
                format!("{}: {} is on, but its audio is switched off", name(), way.name())
            }),
            Some(true) => {
                let origin = chain.origin.unwrap_or(Origin::EndpointDefault(
                    endpoint.device,
                    endpoint.user,
                    way,
                ));
                tell.say(Mark::Yes, || format!("{} is on", origin.text(policy)));
                starts.add(Start::new(origin, chain.cell, Parts { audio: true, video }));
            }
            Some(false) => tell.say(Mark::No, || {
                let said = chain.origin.map(|origin| origin.text(policy));
                format!("{} is off", said.unwrap_or_else(|| format!("{}: {}", name(), way.name())))
            }),
            None => tell.say(Mark::No, || format!("{}: nothing is set for {}", name(), way.name())),
        }
    }
    says_no
}

/// Whether an endpoint says no for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaysNo(pub bool);

fn name(policy: &Policy, endpoint: Endpoint) -> String {
    match (endpoint.device, endpoint.user) {
        (Some(device), _) => format!("device {}", policy.devices[device.at()].id),
        (None, Some(user)) => format!("user {}", policy.users[user.at()].id),
        (None, None) => "endpoint".to_owned(),
    }
}

/// What the levels of one endpoint say, the nearest first.
struct Chain {
    endpoint: Endpoint,
    cell: Cell,
    /// Who said whether it is on.
    origin: Option<Origin>,
    /// What device or user say themselves.
    own: Option<bool>,
}

impl Chain {
    fn of(policy: &Policy, seen: &Seen<'_>, endpoint: Endpoint, way: Way) -> Self {
        let mut chain = Self { endpoint, cell: Cell::default(), origin: None, own: None };
        let device = endpoint.device.map(|id| (id, &policy.devices[id.at()]));
        let user = endpoint.user.map(|id| (id, &policy.users[id.at()]));
        if let Some((id, device)) = device
            && let Some(cells) = &device.cells
        {
            chain.add(cells.get(way), Origin::Device(id, way));
        }
        chain.own = chain.cell.enabled;
        // 002: "unless the device's setting explicitly is set otherwise".
        if let Some((id, _)) = user
            && seen.tenant.force_users[way as usize]
        {
            chain.enable(Origin::ForceUsers(id, way));
        }
        if let Some((id, user)) = user {
            if let Some(cells) = &user.cells {
                chain.own = chain.own.or(cells.get(way).enabled);
                chain.add(cells.get(way), Origin::User(id, way));
            }
            if user.audio == Switch::On || (user.video == Switch::On && seen.facts.video) {
                chain.enable(Origin::UserSwitch(id));
            }
        }
        if let Some(cells) = &seen.tenant.endpoint {
            chain.add(cells.get(way), Origin::EndpointDefault(endpoint.device, endpoint.user, way));
        }
        if let Some((id, _)) = user
            && (seen.tenant.audio == Switch::On
                || (seen.tenant.video == Switch::On && seen.facts.video))
        {
            chain.enable(Origin::ExtensionSwitch(id));
        }
        chain
    }

    fn add(&mut self, level: &Cell, origin: Origin) {
        if self.cell.enabled.is_none() && level.enabled.is_some() {
            self.origin = Some(origin);
        }
        self.cell.fill(level);
    }

    fn enable(&mut self, origin: Origin) {
        if self.cell.enabled.is_none() {
            self.cell.enabled = Some(true);
            self.origin = Some(origin);
        }
    }

    /// 003: audio unless it is switched off, video where it is switched on. A tenant that switches off does so for all
    /// users.
    fn parts(&self, policy: &Policy, seen: &Seen<'_>) -> (bool, bool) {
        let Some(user) = self.endpoint.user else { return (true, seen.video()) };
        let user = &policy.users[user.at()];
        let said = |user: Switch, tenant: Switch| match tenant {
            Switch::Off => Some(false),
            Switch::On | Switch::Default => user.said().or(tenant.said()),
        };
        let audio = said(user.audio, seen.tenant.audio) != Some(false);
        let video = seen.facts.video && said(user.video, seen.tenant.video) == Some(true);
        (audio, video)
    }
}
