//! A decision, with 10,000 tenants and 1,000,000 devices loaded.

use std::hint::black_box;

use earwitness_policy::{Answer, By, Facts, Fallback, Identity, PartyFacts, Policy, Source, load};
use serde_json::{Value, json};

use super::meter::Round;
use super::{Scale, Stage};

const TENANTS: u32 = 10_000;
/// Of each tenant: as many users as devices.
const DEVICES: u32 = 100;
/// Decisions of a round, over calls of all tenants.
const DECISIONS: u64 = 200_000;
const DECISION: Scale = Scale::Each("decision");

pub const STAGES: &[Stage] = &[
    Stage { name: "policy decision, 10 tenants", scale: DECISION, prepare: || decisions(10) },
    Stage {
        name: "policy decision, 10000 tenants",
        scale: DECISION,
        prepare: || decisions(TENANTS),
    },
    Stage {
        name: "policy explained, 10000 tenants",
        scale: DECISION,
        prepare: || explanations(TENANTS),
    },
];

fn tenant(number: u32) -> Value {
    let on = json!({ "offnet": { "enabled": true, "format": "mp3", "time_limit": 600 } });
    let user = |user: u32| match user % 4 {
        0 => {
            json!({ "id": format!("u{user}"), "call_recording": { "inbound": on, "outbound": on } })
        }
        _ => json!({ "id": format!("u{user}") }),
    };
    let device = |device: u32| {
        let identity = format!("d{device}@t{number}.example");
        let extension = (1_000 + device).to_string();
        json!({ "id": format!("d{device}"), "owner": format!("u{device}"), "identities": [identity], "numbers": [extension] })
    };
    json!({
        "id": format!("t{number}"),
        "domains": { "onnet": [format!("t{number}.example")] },
        "numbers": [format!("+4930{number:05}*")],
        "call_recording": { "account": { "inbound": { "onnet": { "enabled": number.is_multiple_of(8) } } } },
        "do_not_record": [{ "id": "list", "numbers": ["+4940*"] }],
        "users": (0..DEVICES).map(user).collect::<Vec<_>>(),
        "devices": (0..DEVICES).map(device).collect::<Vec<_>>(),
    })
}

fn policy(tenants: u32) -> anyhow::Result<Policy> {
    let all: Vec<Value> = (0..tenants).map(tenant).collect();
    let shared = json!([{ "id": "carrier", "addresses": ["203.0.113.0/24"] }]);
    let text = json!({ "tenants": all, "trunks": shared }).to_string();
    Ok(load(&[Source { name: "generated.json", text: &text }])?.policy)
}

/// Parties of a call as its messages name them: a device to outside, outside to a device, two devices.
fn parties(call: u32, tenants: u32) -> [String; 2] {
    let tenant = call.wrapping_mul(0x9e37_79b9) % tenants;
    let device = |n: u32| format!("d{}@t{tenant}.example", n % DEVICES);
    let outside = format!("+49301{:06}@carrier.example", call % 1_000_000);
    match call % 3 {
        0 => [device(call), outside],
        1 => [outside, format!("+4930{tenant:05}{}@t{tenant}.example", call % 10)],
        _ => [device(call), format!("{}@t{tenant}.example", 1_000 + call % DEVICES)],
    }
}

fn ask<T>(parties: &[String; 2], ask: impl FnOnce(&Facts<'_>) -> T) -> T {
    let named = |by, text| [Identity { by, text }];
    let [from, to] = parties;
    // Nearly every call names its callee twice.
    let caller = named(By::From, from);
    let callee = [named(By::To, to), named(By::RequestUri, to)].concat();
    ask(&Facts {
        call: to,
        caller: PartyFacts { identities: &caller, ..PartyFacts::default() },
        callee: PartyFacts { identities: &callee, ..PartyFacts::default() },
        ..Facts::default()
    })
}

fn decisions(tenants: u32) -> anyhow::Result<Round> {
    measure(tenants, |policy, parties| {
        ask(parties, |facts| policy.decide(facts, Fallback::RecordNone)).answer
    })
}

fn explanations(tenants: u32) -> anyhow::Result<Round> {
    measure(tenants, |policy, parties| {
        ask(parties, |facts| policy.explain(facts, Fallback::RecordNone)).outcome.answer
    })
}

fn measure(
    tenants: u32,
    decide: impl Fn(&Policy, &[String; 2]) -> Answer + 'static,
) -> anyhow::Result<Round> {
    let policy = policy(tenants)?;
    let calls: Vec<[String; 2]> =
        (0..DECISIONS as u32).map(|call| parties(call, tenants)).collect();
    Ok(Box::new(move |meter| {
        let recorded = meter.measure(DECISIONS, || {
            let answers = calls.iter().map(|parties| black_box(decide(&policy, parties)));
            answers.filter(|answer| *answer == Answer::Record).count()
        });
        anyhow::ensure!(recorded > 0, "nothing is recorded");
        Ok(())
    }))
}
