//! A model of the rules, written from 001, 002 and 003 on the bare JSON: slow, and without a thought of the product's
//! types. What differs is wrong on one side.

use serde_json::Value;

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Index of a device.
    Device(usize),
    User(usize),
    Queue,
    Group,
    Flow,
    /// Of the tenant, but nobody in particular.
    Member,
    Outside(usize),
}

impl Who {
    pub fn is_inside(self) -> bool {
        !matches!(self, Self::Outside(_))
    }
}

/// A call as the model knows it.
#[derive(Debug, Clone)]
pub struct Told {
    pub caller: Who,
    pub callee: Who,
    pub through: Vec<Who>,
    pub video: bool,
    /// Who transferred the call to the caller's, the callee's place.
    pub transferred: [Option<Who>; 2],
    pub demand_start: bool,
    pub demand_stop: bool,
    /// Whether the call is one of the sampled.
    pub sampled: bool,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fate {
    pub audio: bool,
    pub video: bool,
    pub caller_only: bool,
    /// 0 at once, 1 on answer, 2 on bridge.
    pub begins: u8,
    pub format: Option<String>,
    pub rate: Option<u64>,
    pub min_s: u64,
    pub limit_s: Option<u64>,
    pub url: Option<String>,
}

/// One thing that wants the call recorded.
struct Wish {
    fate: Fate,
    /// Taken back by a call flow's stop.
    can_be_stopped: bool,
}

/// Whether, and how, the tenant records the call.
pub fn fate(tenant: &Value, call: &Told) -> Option<Fate> {
    if is_listed(tenant, call) {
        return None;
    }
    let both_external = !call.caller.is_inside() && !call.callee.is_inside();
    if both_external && tenant["record_calls_between_external_numbers"] == false {
        return None;
    }
    if call.demand_stop {
        return None;
    }
    let tenant_video = call.video && tenant["enable_extension_video_recording"] == "on";
    let mut wishes: Vec<Wish> = Vec::new();
    if call.demand_start {
        wishes.push(Wish { fate: plain(tenant_video), can_be_stopped: false });
    }
    let flow_stops = callflow(tenant, call, tenant_video, &mut wishes);
    let mut an_endpoint_says_no = false;
    for (who, direction, network) in endpoints(tenant, call) {
        if endpoint_said(tenant, who, direction, network) == Some(false) {
            an_endpoint_says_no = true;
        }
        wishes.extend(endpoint(tenant, call, who, direction, network));
    }
    let queue_says_no = queue(tenant, call, tenant_video, &mut wishes);
    group(tenant, call, tenant_video, &mut wishes);
    account(tenant, call, queue_says_no, an_endpoint_says_no, tenant_video, &mut wishes);
    if call.sampled && tenant["sampling_percent"] == 100 {
        wishes.push(Wish { fate: plain(tenant_video), can_be_stopped: true });
    }
    if flow_stops {
        wishes.retain(|wish| !wish.can_be_stopped);
    }
    together(wishes)
}

fn is_in(call: &Told, who: Who) -> bool {
    call.callee == who || call.through.contains(&who) || call.caller == who
}

/// The way of the call for a queue or a group: by where it comes from; if the queue calls, by where it goes.
fn way(call: &Told, who: Who) -> (&'static str, &'static str) {
    let is_called = call.callee == who || call.through.contains(&who);
    if is_called { ("inbound", net(call.caller)) } else { ("outbound", net(call.callee)) }
}

/// Whether the call flow stops what others start.
fn callflow(tenant: &Value, call: &Told, tenant_video: bool, wishes: &mut Vec<Wish>) -> bool {
    let mut flow_stops = false;
    if is_in(call, Who::Flow) {
        let action = &tenant["callflows"][0]["record_call"];
        if action.is_object() {
            if action["action"] == "stop" {
                flow_stops = true;
            } else {
                let mut fate = with(plain(tenant_video), action);
                fate.limit_s = fate.limit_s.or(Some(3600));
                wishes.push(Wish { fate, can_be_stopped: true });
            }
        }
        let action = &tenant["callflows"][0]["record_caller"];
        if action.is_object() {
            let mut fate = with(plain(false), action);
            fate.caller_only = true;
            fate.limit_s = fate.limit_s.or(Some(3600));
            wishes.push(Wish { fate, can_be_stopped: true });
        }
    }
    flow_stops
}

/// Whether the queue says no.
fn queue(tenant: &Value, call: &Told, tenant_video: bool, wishes: &mut Vec<Wish>) -> bool {
    let mut queue_says_no = false;
    if is_in(call, Who::Queue) {
        let queue = &tenant["queues"][0];
        let agents = queue["agents"].as_array().cloned().unwrap_or_default();
        let user_of = |who| endpoint_user(tenant, who).map(|user| format!("u{user}"));
        let talks = [user_of(call.callee), user_of(call.caller)];
        let agent = talks
            .iter()
            .flatten()
            .find_map(|user| agents.iter().find(|agent| agent["user"] == user.as_str()));
        let (direction, network) = way(call, Who::Queue);
        let levels: Vec<&Value> = agent.into_iter().chain([queue]).collect();
        match first(&levels, direction, network, "enabled").as_bool() {
            Some(true) => wishes.push(Wish {
                fate: of_levels(plain(tenant_video), &levels, direction, network),
                can_be_stopped: true,
            }),
            Some(false) => queue_says_no = true,
            None => {}
        }
    }
    queue_says_no
}

fn group(tenant: &Value, call: &Told, tenant_video: bool, wishes: &mut Vec<Wish>) {
    if is_in(call, Who::Group) {
        let group = [&tenant["groups"][0]];
        let (direction, network) = way(call, Who::Group);
        if first(&group, direction, network, "enabled") == true {
            let fate = of_levels(plain(tenant_video), &group, direction, network);
            wishes.push(Wish { fate, can_be_stopped: true });
        }
    }
}

fn plain(video: bool) -> Fate {
    Fate {
        audio: true,
        video,
        caller_only: false,
        begins: 0,
        format: None,
        rate: None,
        min_s: 0,
        limit_s: None,
        url: None,
    }
}

/// The parameters of one object.
fn with(mut fate: Fate, parameters: &Value) -> Fate {
    let text = |key: &str| parameters[key].as_str().map(str::to_owned);
    fate.begins = if parameters["record_on_bridge"] == true {
        2
    } else {
        u8::from(parameters["record_on_answer"] == true)
    };
    fate.format = text("format");
    fate.url = text("url");
    fate.rate = parameters["record_sample_rate"].as_u64();
    fate.min_s = parameters["record_min_sec"].as_u64().unwrap_or(0);
    fate.limit_s = parameters["time_limit"].as_u64();
    fate
}

fn of_levels(fate: Fate, levels: &[&Value], direction: &str, network: &str) -> Fate {
    const KEYS: [&str; 7] = [
        "format",
        "record_min_sec",
        "record_on_answer",
        "record_on_bridge",
        "record_sample_rate",
        "time_limit",
        "url",
    ];
    let mut merged = serde_json::json!({});
    for key in KEYS {
        merged[key] = first(levels, direction, network, key);
    }
    with(fate, &merged)
}

/// What the first of the levels says that says anything.
fn first(levels: &[&Value], direction: &str, network: &str, key: &str) -> Value {
    let said = levels.iter().map(|level| said(level, direction, network, key));
    said.into_iter().find(|value| !value.is_null()).unwrap_or_default()
}

fn said(level: &Value, direction: &str, network: &str, key: &str) -> Value {
    if key == "enabled" && level["record"] == "on" {
        return true.into();
    }
    if key == "enabled" && level["record"] == "off" {
        return false.into();
    }
    let settings = &level["call_recording"];
    for (direction, network) in
        [(direction, network), (direction, "any"), ("any", network), ("any", "any")]
    {
        let value = &settings[direction][network][key];
        if !value.is_null() {
            return value.clone();
        }
    }
    Value::Null
}

fn net(who: Who) -> &'static str {
    if who.is_inside() { "onnet" } else { "offnet" }
}

/// The endpoints of the call, and which way it goes for each.
fn endpoints(tenant: &Value, call: &Told) -> Vec<(Who, &'static str, &'static str)> {
    let is_one = |who: Who| matches!(who, Who::Device(_) | Who::User(_));
    let internal = tenant["transferred_calls"] != "external";
    let from = |other: Who, by: Option<Who>| match by {
        Some(by) if internal && by.is_inside() => "onnet",
        _ => net(other),
    };
    let mut found = Vec::new();
    if is_one(call.caller) {
        found.push(match call.transferred[0] {
            Some(by) => (call.caller, "inbound", from(call.callee, Some(by))),
            None => (call.caller, "outbound", net(call.callee)),
        });
    }
    if is_one(call.callee) {
        found.push((call.callee, "inbound", from(call.caller, call.transferred[1])));
    }
    found
}

fn endpoint_user(tenant: &Value, who: Who) -> Option<usize> {
    match who {
        Who::User(user) => Some(user),
        Who::Device(device) => {
            let owner = tenant["devices"][device]["owner"].as_str()?;
            owner.strip_prefix('u')?.parse().ok()
        }
        _ => None,
    }
}

fn device_of(tenant: &Value, who: Who) -> Value {
    match who {
        Who::Device(device) => tenant["devices"][device].clone(),
        _ => Value::Null,
    }
}

fn user_of(tenant: &Value, who: Who) -> Value {
    endpoint_user(tenant, who).map(|user| tenant["users"][user].clone()).unwrap_or_default()
}

/// What device, or else user, say for themselves.
fn endpoint_said(tenant: &Value, who: Who, direction: &str, network: &str) -> Option<bool> {
    let (device, user) = (device_of(tenant, who), user_of(tenant, who));
    first(&[&device, &user], direction, network, "enabled").as_bool()
}

fn forced(force: &Value, direction: &str, network: &str) -> bool {
    let is = |key: &str| force[key] == true;
    let direction_is = match (is("inbound"), is("outbound")) {
        (false, false) => true,
        (inbound, outbound) => {
            if direction == "inbound" {
                inbound
            } else {
                outbound
            }
        }
    };
    let network_is = match (is("internal"), is("external")) {
        (false, false) => true,
        (internal, external) => {
            if network == "onnet" {
                internal
            } else {
                external
            }
        }
    };
    is("enabled") && direction_is && network_is
}

fn endpoint(tenant: &Value, call: &Told, who: Who, direction: &str, network: &str) -> Option<Wish> {
    let (device, user) = (device_of(tenant, who), user_of(tenant, who));
    let default = serde_json::json!({ "call_recording": tenant["call_recording"]["endpoint"] });
    let audio_key = "enable_extension_audio_recording";
    let video_key = "enable_extension_video_recording";
    let switched = |audio: &Value, video: &Value| audio == "on" || (call.video && video == "on");
    let has_user = !user.is_null();
    let is_forced = has_user && forced(&tenant["force_record"]["all_users"], direction, network);
    let by = |level: &Value| said(level, direction, network, "enabled").as_bool();
    let mut by_force = false;
    let enabled = if let Some(said) = by(&device) {
        said
    } else if is_forced {
        by_force = true;
        true
    } else if let Some(said) = by(&user) {
        said
    } else if has_user && switched(&user["record_audio_calls"], &user["record_video_calls"]) {
        true
    } else if let Some(said) = by(&default) {
        said
    } else {
        has_user && switched(&tenant[audio_key], &tenant[video_key])
    };
    if !enabled {
        return None;
    }
    let switch = |user_key: &str, tenant_key: &str| -> Option<bool> {
        let of = |value: &Value| match value.as_str() {
            Some("on") => Some(true),
            Some("off") => Some(false),
            _ => None,
        };
        let tenant = of(&tenant[tenant_key]);
        if tenant == Some(false) { Some(false) } else { of(&user[user_key]).or(tenant) }
    };
    let (audio, video) = if has_user {
        let video = call.video && switch("record_video_calls", video_key) == Some(true);
        (switch("record_audio_calls", audio_key) != Some(false), video)
    } else {
        (true, call.video && tenant[video_key] == "on")
    };
    if !audio && !video {
        return None;
    }
    // A video recording carries its sound.
    let fate = of_levels(plain(video), &[&device, &user, &default], direction, network);
    Some(Wish { fate, can_be_stopped: !by_force })
}

fn account(
    tenant: &Value,
    call: &Told,
    queue_says_no: bool,
    an_endpoint_says_no: bool,
    video: bool,
    wishes: &mut Vec<Wish>,
) {
    let own = serde_json::json!({ "call_recording": tenant["call_recording"]["account"] });
    let ways = [("inbound", net(call.caller)), ("outbound", net(call.callee))];
    if !queue_says_no {
        let on =
            |(direction, network): &(&str, &str)| said(&own, direction, network, "enabled") == true;
        if let Some((direction, network)) = ways.iter().find(|way| on(way)) {
            let fate = of_levels(plain(video), &[&own], direction, network);
            wishes.push(Wish { fate, can_be_stopped: true });
        }
    }
    let force = &tenant["force_record"]["entire_account"];
    if ways.iter().any(|(direction, network)| forced(force, direction, network))
        && !an_endpoint_says_no
    {
        wishes.push(Wish { fate: plain(video), can_be_stopped: false });
    }
}

fn is_listed(tenant: &Value, call: &Told) -> bool {
    let listed = tenant["do_not_record"][0]["numbers"].as_array().cloned().unwrap_or_default();
    let all = [call.caller, call.callee].into_iter().chain(call.through.iter().copied());
    all.into_iter().any(|who| match who {
        Who::Outside(number) => listed.iter().any(|entry| entry == &crate::random::outside(number)),
        _ => false,
    })
}

/// One recording of all wishes.
fn together(wishes: Vec<Wish>) -> Option<Fate> {
    let mut all = wishes.into_iter().map(|wish| wish.fate);
    let mut fate = all.next()?;
    for next in all {
        fate.audio |= next.audio;
        fate.video |= next.video;
        fate.caller_only &= next.caller_only;
        fate.begins = fate.begins.min(next.begins);
        fate.min_s = fate.min_s.min(next.min_s);
        fate.limit_s = match (fate.limit_s, next.limit_s) {
            (Some(one), Some(other)) => Some(one.max(other)),
            _ => None,
        };
        fate.format = fate.format.or(next.format);
        fate.rate = fate.rate.or(next.rate);
        fate.url = fate.url.or(next.url);
    }
    Some(fate)
}
