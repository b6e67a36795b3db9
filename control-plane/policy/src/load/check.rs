//! What each part of a document must be by itself and within its tenant; claims of one against the other are
//! found when the set is compiled.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::fault::Findings;
use super::scope::Scope;
use crate::cidr::Cidr;
use crate::document::{
    AccountRecording, Callflow, Device, Envelope, FeatureCodes, Group, Network, Networks,
    NumberList, Numbering, Parameters, PolicyFile, Queue, Settings, Tenant, Trunk, User,
};
use crate::identity::{self, Dialling, Number};
use crate::limits::{CODE_CHARACTERS_MAX, SECONDS_MAX, TEXT_CHARACTERS_MAX, URL_CHARACTERS_MAX};

/// Sample rates that recordings may have.
const RATES: [u32; 6] = [8000, 16_000, 24_000, 32_000, 44_100, 48_000];
/// 002: http, https, ftp and ftps; and object storage.
const SCHEMES: [&str; 5] = ["http://", "https://", "ftp://", "ftps://", "s3://"];

/// Checks a set.
pub fn check(names: &[&str], documents: &[PolicyFile], findings: &mut Findings) {
    let mut tenants = HashMap::new();
    let mut catch_all: Option<&str> = None;
    for (name, document) in names.iter().zip(documents) {
        let file = Scope::file(name);
        shared(&file, document, findings);
        for (index, tenant) in document.tenants.iter().enumerate() {
            let at = file.element("tenants", index);
            let id = tenant.known_as();
            id_of(&at, id, findings);
            if let Some(other) = tenants.insert(id.to_owned(), *name).filter(|_| !id.is_empty()) {
                at.key("id").fault(findings, format!("{id:?} is a tenant of {other} already"));
            }
            if tenant.catch_all
                && let Some(other) = catch_all.replace(id)
            {
                let problem =
                    format!("tenant {other:?} takes the calls that no tenant is found for");
                at.key("catch_all").fault(findings, problem);
            }
            check_tenant(&at, tenant, findings);
        }
    }
}

fn shared(at: &Scope<'_>, document: &PolicyFile, findings: &mut Findings) {
    let dialling = Dialling::default();
    trunks(at, &document.trunks, findings);
    networks(at, &document.networks, findings);
    lists(at, &document.do_not_record, &dialling, findings);
}

fn check_tenant(at: &Scope<'_>, tenant: &Tenant, findings: &mut Findings) {
    numbering(&at.key("numbering"), &tenant.numbering, findings);
    let dialling = Dialling::of(&tenant.numbering);
    name(at, tenant.name.as_deref(), findings);
    for (key, hosts) in [("onnet", &tenant.domains.onnet), ("offnet", &tenant.domains.offnet)] {
        for (index, host) in hosts.iter().enumerate() {
            if host.is_empty() || host.contains(['@', ' ', '/']) || host.len() > TEXT_CHARACTERS_MAX
            {
                let problem = format!("{host:?} is no host, such as \"acme.example\"");
                at.key("domains").element(key, index).fault(findings, problem);
            }
        }
    }
    for (index, entry) in tenant.numbers.iter().enumerate() {
        pattern(&at.element("numbers", index), entry, &dialling, findings);
    }
    trunks(at, &tenant.trunks, findings);
    networks(at, &tenant.networks, findings);
    lists(at, &tenant.do_not_record, &dialling, findings);
    let pasted = tenant.kazoo.as_ref().and_then(|pasted| pasted.call_recording.as_ref());
    account(&at.key("call_recording"), tenant.call_recording.as_ref(), findings);
    account(&at.key("kazoo").key("call_recording"), pasted, findings);
    unpacked(at, tenant.kazoo.as_ref().map(|pasted| &pasted.data), findings);
    once(at, tenant.call_recording.is_some(), pasted.is_some(), findings);
    percent(at, tenant.sampling_percent, findings);
    codes(&at.key("on_demand").key("feature_codes"), &tenant.on_demand.feature_codes, findings);
    members(at, tenant, &dialling, findings);
}

fn members(at: &Scope<'_>, tenant: &Tenant, dialling: &Dialling, findings: &mut Findings) {
    let users: HashSet<&str> = tenant.users.iter().map(User::known_as).collect();
    let mut seen = HashSet::new();
    for (index, user) in tenant.users.iter().enumerate() {
        let at = at.element("users", index);
        unique(&at, user.known_as(), &mut seen, findings);
        check_user(&at, user, dialling, findings);
    }
    seen.clear();
    for (index, device) in tenant.devices.iter().enumerate() {
        let at = at.element("devices", index);
        unique(&at, device.known_as(), &mut seen, findings);
        check_device(&at, device, &users, dialling, findings);
    }
    seen.clear();
    for (index, queue) in tenant.queues.iter().enumerate() {
        let at = at.element("queues", index);
        unique(&at, &queue.id, &mut seen, findings);
        check_queue(&at, queue, &users, dialling, findings);
    }
    seen.clear();
    for (index, group) in tenant.groups.iter().enumerate() {
        let at = at.element("groups", index);
        unique(&at, &group.id, &mut seen, findings);
        check_group(&at, group, dialling, findings);
    }
    seen.clear();
    for (index, flow) in tenant.callflows.iter().enumerate() {
        let at = at.element("callflows", index);
        unique(&at, &flow.id, &mut seen, findings);
        check_callflow(&at, flow, dialling, findings);
    }
}

fn unique<'a>(at: &Scope<'_>, id: &'a str, seen: &mut HashSet<&'a str>, findings: &mut Findings) {
    id_of(at, id, findings);
    if !id.is_empty() && !seen.insert(id) {
        at.key("id").fault(findings, format!("{id:?} is there already"));
    }
}

fn id_of(at: &Scope<'_>, id: &str, findings: &mut Findings) {
    if id.is_empty() {
        at.key("id").fault(findings, "is missing");
    }
    text(&at.key("id"), Some(id), findings);
}

fn name(at: &Scope<'_>, name: Option<&str>, findings: &mut Findings) {
    text(&at.key("name"), name, findings);
}

fn text(at: &Scope<'_>, text: Option<&str>, findings: &mut Findings) {
    let Some(text) = text else { return };
    if text.chars().count() > TEXT_CHARACTERS_MAX || text.chars().any(char::is_control) {
        at.fault(
            findings,
            format!("must have at most {TEXT_CHARACTERS_MAX} characters, all printable"),
        );
    }
}

fn check_user(at: &Scope<'_>, user: &User, dialling: &Dialling, findings: &mut Findings) {
    name(at, user.name.as_deref(), findings);
    identities(at, &user.identities, findings);
    numbers(at, &user.numbers, dialling, findings);
    let pasted = user.kazoo.as_ref().and_then(|pasted| pasted.call_recording.as_ref());
    settings(&at.key("call_recording"), user.call_recording.as_ref(), findings);
    settings(&at.key("kazoo").key("call_recording"), pasted, findings);
    unpacked(at, user.kazoo.as_ref().map(|pasted| &pasted.data), findings);
    once(at, user.call_recording.is_some(), pasted.is_some(), findings);
}

fn check_device(
    at: &Scope<'_>,
    device: &Device,
    users: &HashSet<&str>,
    dialling: &Dialling,
    findings: &mut Findings,
) {
    name(at, device.name.as_deref(), findings);
    identities(at, &device.identities, findings);
    numbers(at, &device.numbers, dialling, findings);
    for (index, address) in device.addresses.iter().enumerate() {
        if socket(address).is_none() {
            let problem = format!("{address:?} is neither address nor address:port");
            at.element("addresses", index).fault(findings, problem);
        }
    }
    if let Some(owner) = device.owned_by().filter(|owner| !users.contains(owner)) {
        at.key("owner").fault(findings, format!("no user of the tenant has the id {owner:?}"));
    }
    let pasted = device.kazoo.as_ref().and_then(|pasted| pasted.call_recording.as_ref());
    settings(&at.key("call_recording"), device.call_recording.as_ref(), findings);
    settings(&at.key("kazoo").key("call_recording"), pasted, findings);
    unpacked(at, device.kazoo.as_ref().map(|pasted| &pasted.data), findings);
    once(at, device.call_recording.is_some(), pasted.is_some(), findings);
}

/// An address that a device signals from; port 0 stands for any.
pub fn socket(text: &str) -> Option<SocketAddr> {
    let alone = || text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 0));
    text.parse::<SocketAddr>().ok().or_else(alone)
}

fn check_queue(
    at: &Scope<'_>,
    queue: &Queue,
    users: &HashSet<&str>,
    dialling: &Dialling,
    findings: &mut Findings,
) {
    name(at, queue.name.as_deref(), findings);
    identities(at, &queue.identities, findings);
    numbers(at, &queue.numbers, dialling, findings);
    settings(&at.key("call_recording"), queue.call_recording.as_ref(), findings);
    percent(at, queue.sampling_percent, findings);
    let mut seen = HashSet::new();
    for (index, agent) in queue.agents.iter().enumerate() {
        let at = at.element("agents", index);
        let user = agent.user.as_str();
        if !users.contains(user) {
            at.key("user").fault(findings, format!("no user of the tenant has the id {user:?}"));
        } else if !seen.insert(user) {
            at.key("user").fault(findings, format!("{user:?} is an agent of the queue already"));
        }
        settings(&at.key("call_recording"), agent.call_recording.as_ref(), findings);
    }
}

fn check_group(at: &Scope<'_>, group: &Group, dialling: &Dialling, findings: &mut Findings) {
    name(at, group.name.as_deref(), findings);
    identities(at, &group.identities, findings);
    numbers(at, &group.numbers, dialling, findings);
    settings(&at.key("call_recording"), group.call_recording.as_ref(), findings);
}

fn check_callflow(at: &Scope<'_>, flow: &Callflow, dialling: &Dialling, findings: &mut Findings) {
    name(at, flow.name.as_deref(), findings);
    identities(at, &flow.identities, findings);
    numbers(at, &flow.numbers, dialling, findings);
    if let Some(action) = &flow.record_call {
        let at = at.key("record_call");
        text(&at.key("label"), action.label.as_deref(), findings);
        text(&at.key("media_name"), action.media_name.as_deref(), findings);
        seconds(&at.key("record_min_sec"), action.record_min_sec, 0, findings);
        seconds(&at.key("time_limit"), action.time_limit, 1, findings);
        rate(&at, action.record_sample_rate, findings);
        url(&at, action.url.as_deref(), findings);
    }
    if let Some(action) = &flow.record_caller {
        let at = at.key("record_caller");
        seconds(&at.key("time_limit"), action.time_limit, 1, findings);
        url(&at, action.url.as_deref(), findings);
    }
}

fn account(at: &Scope<'_>, recording: Option<&AccountRecording>, findings: &mut Findings) {
    let Some(recording) = recording else { return };
    if recording.account.is_some() && recording.has_direct() {
        let problem = "has the account's settings twice: in `account`, and without it";
        at.fault(findings, problem);
    }
    settings(&at.key("account"), recording.account.as_ref(), findings);
    settings(&at.key("endpoint"), recording.endpoint.as_ref(), findings);
    let AccountRecording { inbound, outbound, any, .. } = recording;
    for (key, networks) in [("inbound", inbound), ("outbound", outbound), ("any", any)] {
        cells(&at.key(key), networks.as_ref(), findings);
    }
}

fn settings(at: &Scope<'_>, settings: Option<&Settings>, findings: &mut Findings) {
    let Some(Settings { inbound, outbound, any }) = settings else { return };
    for (key, networks) in [("inbound", inbound), ("outbound", outbound), ("any", any)] {
        cells(&at.key(key), networks.as_ref(), findings);
    }
}

fn cells(at: &Scope<'_>, networks: Option<&Networks>, findings: &mut Findings) {
    let Some(Networks { onnet, offnet, any }) = networks else { return };
    for (key, cell) in [("onnet", onnet), ("offnet", offnet), ("any", any)] {
        let Some(cell) = cell else { continue };
        parameters(&at.key(key), cell, findings);
    }
}

fn parameters(at: &Scope<'_>, cell: &Parameters, findings: &mut Findings) {
    seconds(&at.key("record_min_sec"), cell.record_min_sec, 0, findings);
    seconds(&at.key("time_limit"), cell.time_limit, 1, findings);
    rate(at, cell.record_sample_rate, findings);
    url(at, cell.url.as_deref(), findings);
}

fn seconds(at: &Scope<'_>, value: Option<u32>, min: u32, findings: &mut Findings) {
    if value.is_some_and(|value| !(min..=SECONDS_MAX).contains(&value)) {
        at.fault(findings, format!("must be {min} to {SECONDS_MAX} seconds"));
    }
}

fn rate(at: &Scope<'_>, value: Option<u32>, findings: &mut Findings) {
    if value.is_some_and(|value| !RATES.contains(&value)) {
        at.key("record_sample_rate").fault(findings, format!("must be one of {RATES:?}"));
    }
}

fn url(at: &Scope<'_>, url: Option<&str>, findings: &mut Findings) {
    let Some(url) = url else { return };
    let printable = |url: &str| url.chars().all(|c| !c.is_control() && !c.is_whitespace());
    let known = |scheme: &&str| url.len() > scheme.len() && url.starts_with(*scheme);
    if !SCHEMES.iter().any(known) || !printable(url) || url.len() > URL_CHARACTERS_MAX {
        at.key("url").fault(findings, format!("must begin with one of {}", SCHEMES.join(", ")));
    }
}

/// What is read of a document stands at its top.
fn unpacked(at: &Scope<'_>, data: Option<&Envelope>, findings: &mut Findings) {
    if data.is_some_and(Option::is_some) {
        let problem = "is what the API puts a document in: paste what stands below it";
        at.key("kazoo").key("data").fault(findings, problem);
    }
}

fn once(at: &Scope<'_>, own: bool, pasted: bool, findings: &mut Findings) {
    if own && pasted {
        at.key("call_recording").fault(findings, "is also in `kazoo`: give one of them");
    }
}

fn percent(at: &Scope<'_>, value: Option<f64>, findings: &mut Findings) {
    if value.is_some_and(|value| !(0.0..=100.0).contains(&value)) {
        at.key("sampling_percent").fault(findings, "must be 0 to 100");
    }
}

fn codes(at: &Scope<'_>, codes: &FeatureCodes, findings: &mut Findings) {
    let named = codes.named();
    for (index, (name, code)) in named.iter().enumerate().filter(|(_, (_, code))| !code.is_empty())
    {
        let is_key = |c: char| matches!(c, '0'..='9' | '*' | '#' | 'A'..='D');
        if code.len() > CODE_CHARACTERS_MAX || !code.chars().all(is_key) {
            let problem =
                format!("{code:?} is not made of 1 to {CODE_CHARACTERS_MAX} keys: 0-9 * # A-D");
            at.key(name).fault(findings, problem);
        }
        let begins = |other: &&(&str, &str)| !other.1.is_empty() && code.starts_with(other.1);
        if let Some((other, _)) = named
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != index)
            .map(|(_, other)| other)
            .find(begins)
        {
            at.key(name).fault(findings, format!("{code:?} begins with the code of `{other}`"));
        }
    }
}

fn identities(at: &Scope<'_>, identities: &[String], findings: &mut Findings) {
    for (index, text) in identities.iter().enumerate() {
        identity(&at.element("identities", index), text, findings);
    }
}

fn identity(at: &Scope<'_>, text: &str, findings: &mut Findings) {
    let (user, host) = identity::split(text);
    let is_whole = !user.is_empty() && host.is_some_and(|host| !host.is_empty());
    if !is_whole || text.contains(char::is_whitespace) || text.len() > TEXT_CHARACTERS_MAX {
        at.fault(findings, format!("{text:?} is not user@domain"));
    }
}

fn numbers(at: &Scope<'_>, numbers: &[String], dialling: &Dialling, findings: &mut Findings) {
    for (index, number) in numbers.iter().enumerate() {
        let at = at.element("numbers", index);
        if number.ends_with('*') && number.len() > 1 && !number.starts_with('*') {
            at.fault(findings, "ranges are numbers of a tenant; here they stand one by one");
        } else if Number::read(number, dialling).is_none() {
            at.fault(findings, format!("{number:?} is no number"));
        }
    }
}

fn pattern(at: &Scope<'_>, pattern: &str, dialling: &Dialling, findings: &mut Findings) {
    let stem = pattern.strip_suffix('*').unwrap_or(pattern);
    if stem.contains('*') || Number::read(stem, dialling).is_none() {
        let problem = format!("{pattern:?} is neither a number nor the beginning of one and `*`");
        at.fault(findings, problem);
    }
}

fn lists(at: &Scope<'_>, lists: &[NumberList], dialling: &Dialling, findings: &mut Findings) {
    let mut seen = HashSet::new();
    for (index, list) in lists.iter().enumerate() {
        let at = at.element("do_not_record", index);
        unique(&at, &list.id, &mut seen, findings);
        for (index, entry) in list.numbers.iter().enumerate() {
            let at = at.element("numbers", index);
            match entry.contains('@') {
                true => identity(&at, entry, findings),
                false => pattern(&at, entry, dialling, findings),
            }
        }
    }
}

fn trunks(at: &Scope<'_>, trunks: &[Trunk], findings: &mut Findings) {
    let mut seen = HashSet::new();
    for (index, trunk) in trunks.iter().enumerate() {
        let at = at.element("trunks", index);
        unique(&at, &trunk.id, &mut seen, findings);
        cidrs(&at, &trunk.addresses, findings);
    }
}

fn networks(at: &Scope<'_>, networks: &[Network], findings: &mut Findings) {
    for (index, network) in networks.iter().enumerate() {
        let at = at.element("networks", index);
        cidrs(&at, &network.addresses, findings);
        if network.kind.is_none() {
            at.key("kind").fault(findings, "is missing: `onnet` or `offnet`");
        }
    }
}

fn cidrs(at: &Scope<'_>, addresses: &[String], findings: &mut Findings) {
    if addresses.is_empty() {
        at.key("addresses").fault(findings, "is empty");
    }
    for (index, text) in addresses.iter().enumerate() {
        if Cidr::read(text).is_none() {
            let problem =
                format!("{text:?} is no network, such as \"10.1.0.0/16\" or \"10.1.2.3\"");
            at.element("addresses", index).fault(findings, problem);
        }
    }
}

fn numbering(at: &Scope<'_>, numbering: &Numbering, findings: &mut Findings) {
    let Numbering { country_code, international_prefix, national_prefix, .. } = numbering;
    let all = [
        ("country_code", country_code),
        ("international_prefix", international_prefix),
        ("national_prefix", national_prefix),
    ];
    for (key, digits) in all {
        let Some(digits) = digits else { continue };
        if digits.is_empty()
            || digits.len() > 8
            || !digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            at.key(key).fault(findings, format!("{digits:?} is not 1 to 8 digits"));
        }
    }
    if country_code.is_none() && (national_prefix.is_some() || numbering.national_digits.is_some())
    {
        at.key("country_code").fault(findings, "is missing: national numbers are of a country");
    }
}
