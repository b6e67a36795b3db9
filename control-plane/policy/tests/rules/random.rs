//! Random settings and calls, the same for the same seed.

use serde_json::{Map, Value, json};

use crate::model::{Told, Who};

/// SplitMix64.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

pub fn outside(number: usize) -> String {
    format!("+4930555{number:03}")
}

/// The identity that stands for somebody.
pub fn identity(who: Who) -> String {
    match who {
        Who::Device(device) => format!("d{device}@t.example"),
        Who::User(user) => format!("u{user}@t.example"),
        Who::Queue => "700@t.example".to_owned(),
        Who::Group => "600@t.example".to_owned(),
        Who::Flow => "800@t.example".to_owned(),
        Who::Member => "someone@t.example".to_owned(),
        Who::Outside(number) => outside(number),
    }
}

fn parameters(random: &mut Random) -> Value {
    let mut object = Map::new();
    let mut add = |random: &mut Random, one_in: usize, key: &str, value: Value| {
        if random.one_in(one_in) {
            object.insert(key.to_owned(), value);
        }
    };
    let enabled = !random.one_in(3);
    add(random, 2, "enabled", enabled.into());
    let format = random.pick(&["mp3", "wav", "opus"]);
    add(random, 4, "format", format.into());
    let seconds = random.below(60);
    add(random, 5, "record_min_sec", seconds.into());
    let is = random.one_in(2);
    add(random, 5, "record_on_answer", is.into());
    let is = random.one_in(2);
    add(random, 6, "record_on_bridge", is.into());
    let rate = random.pick(&[8000, 16_000, 48_000]);
    add(random, 6, "record_sample_rate", rate.into());
    let limit = 1 + random.below(900);
    add(random, 5, "time_limit", limit.into());
    let url = format!("https://a.example/{}", random.below(9));
    add(random, 6, "url", url.into());
    object.into()
}

fn settings(random: &mut Random) -> Value {
    let mut settings = Map::new();
    for direction in ["inbound", "outbound", "any"] {
        let mut networks = Map::new();
        for network in ["onnet", "offnet", "any"] {
            if random.one_in(4) {
                networks.insert(network.to_owned(), parameters(random));
            }
        }
        if !networks.is_empty() {
            settings.insert(direction.to_owned(), networks.into());
        }
    }
    settings.into()
}

fn switch(random: &mut Random) -> Value {
    random.pick(&["default", "default", "default", "on", "off"]).into()
}

fn force(random: &mut Random) -> Value {
    let mut flag = || random.one_in(3);
    let (enabled, inbound, outbound) = (flag(), flag(), flag());
    let (internal, external) = (flag(), flag());
    json!({ "enabled": enabled && inbound != external, "inbound": inbound, "outbound": outbound, "internal": internal, "external": external })
}

/// A tenant of two users, three devices, a queue, a group, a call flow.
pub fn tenant(random: &mut Random) -> Value {
    let mut endpoint = |id: &str, more: Value| {
        let mut object =
            json!({ "id": id, "record": switch(random), "call_recording": settings(random) });
        object
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        object
    };
    let users: Vec<Value> = (0..2)
        .map(|n| endpoint(&format!("u{n}"), json!({ "identities": [format!("u{n}@t.example")] })))
        .collect();
    let owners = [json!("u0"), json!("u1"), Value::Null];
    let devices: Vec<Value> = owners
        .iter()
        .enumerate()
        .map(|(n, owner)| {
            endpoint(
                &format!("d{n}"),
                json!({ "owner": owner, "identities": [format!("d{n}@t.example")] }),
            )
        })
        .collect();
    let queue = endpoint("q", json!({ "numbers": ["700"] }));
    let group = endpoint("g", json!({ "numbers": ["600"] }));
    let mut tenant = json!({
        "id": "t", "domains": { "onnet": ["t.example"] },
        "users": users, "devices": devices, "queues": [queue], "groups": [group],
        "callflows": [{ "id": "c", "numbers": ["800"] }],
        "call_recording": {}
    });
    for user in 0..2 {
        tenant["users"][user]["record_audio_calls"] = switch(random);
        tenant["users"][user]["record_video_calls"] = switch(random);
    }
    if random.one_in(2) {
        tenant["queues"][0]["agents"] =
            json!([{ "user": "u0", "record": switch(random), "call_recording": settings(random) }]);
    }
    if random.one_in(2) {
        let mut action = parameters(random);
        action.as_object_mut().expect("an object").remove("enabled");
        action["action"] = random.pick(&["start", "stop"]).into();
        tenant["callflows"][0]["record_call"] = action;
    }
    if random.one_in(4) {
        tenant["callflows"][0]["record_caller"] = json!({ "format": "mp3", "method": "post" });
    }
    if random.one_in(2) {
        tenant["call_recording"]["account"] = settings(random);
    }
    if random.one_in(2) {
        tenant["call_recording"]["endpoint"] = settings(random);
    }
    tenant["force_record"] = json!({ "all_users": force(random), "entire_account": force(random) });
    tenant["enable_extension_audio_recording"] = switch(random);
    tenant["enable_extension_video_recording"] = switch(random);
    tenant["record_calls_between_external_numbers"] = random.one_in(2).into();
    tenant["transferred_calls"] = random.pick(&["internal", "external"]).into();
    if random.one_in(4) {
        tenant["sampling_percent"] = random.pick(&[0, 100]).into();
    }
    if random.one_in(4) {
        tenant["do_not_record"] = json!([{ "id": "l", "numbers": [outside(random.below(4))] }]);
    }
    tenant
}

fn who(random: &mut Random) -> Who {
    match random.below(14) {
        0..=2 => Who::Device(random.below(3)),
        3..=5 => Who::User(random.below(2)),
        6 => Who::Queue,
        7 => Who::Group,
        8 => Who::Flow,
        9 => Who::Member,
        _ => Who::Outside(random.below(4)),
    }
}

/// A call that concerns the tenant.
pub fn call(random: &mut Random) -> Told {
    loop {
        let (caller, callee) = (who(random), who(random));
        let through: Vec<Who> = (0..random.below(5) / 2).map(|_| who(random)).collect();
        let is_known = [caller, callee].iter().chain(&through).any(|who| who.is_inside());
        if !is_known {
            continue;
        }
        let mut by = || random.one_in(4).then(|| who(random));
        let transferred = [by(), by()];
        return Told {
            caller,
            callee,
            through,
            video: random.one_in(3),
            transferred,
            demand_start: random.one_in(12),
            demand_stop: false,
            sampled: true,
        };
    }
}
