//! A set is refused as a whole, and everything that is wrong with it is named.

use earwitness_policy::{Source, load};
use serde_json::{Value, json};

fn refused(files: &[(&str, &Value)]) -> Vec<String> {
    let texts: Vec<String> = files.iter().map(|(_, document)| document.to_string()).collect();
    let sources: Vec<Source<'_>> =
        files.iter().zip(&texts).map(|((name, _), text)| Source { name, text }).collect();
    let faults = load(&sources).expect_err("it shall be refused");
    faults.faults.iter().map(ToString::to_string).collect()
}

fn assert_named(found: &[String], parts: &[&str]) {
    for part in parts {
        assert!(found.iter().any(|fault| fault.contains(part)), "{part} is not in {found:#?}");
    }
    assert_eq!(found.len(), parts.len(), "{found:#?}");
}

/// POL-1 to POL-12: every fault of every part, at once.
#[test]
fn everything_that_is_wrong_is_named() {
    let document = json!({
        "trunks": [{ "id": "t", "addresses": ["10.0.0.1/8"] }, { "addresses": [] }],
        "networks": [{ "addresses": ["10.0.0.0/8"] }],
        "tenants": [
            { "id": "a", "catch_all": true, "sampling_percent": 101,
              "domains": { "onnet": ["a b"] }, "numbers": ["+49*3"],
              "numbering": { "national_prefix": "x" },
              "call_recording": { "account": {}, "inbound": { "onnet": { "time_limit": 0, "record_sample_rate": 7 } } },
              "on_demand": { "feature_codes": { "start": "*4", "stop": "hello", "pause": "*48", "resume": "*49" } },
              "users": [{ "id": "u", "identities": ["nobody"], "numbers": ["abc"] }, { "id": "u" }, {}],
              "devices": [{ "id": "d", "owner": "nobody", "addresses": ["10.0.0.256"] }],
              "queues": [{ "id": "q", "agents": [{ "user": "nobody" }, { "user": "u" }, { "user": "u" }] }],
              "callflows": [{ "id": "c", "record_call": { "url": "gopher://x" } }],
              "do_not_record": [{ "id": "l", "numbers": ["12a"] }] },
            { "id": "a", "catch_all": true }
        ]
    });
    assert_named(
        &refused(&[("one.json", &document)]),
        &[
            "one.json: trunks[0].addresses[0]: \"10.0.0.1/8\" is no network",
            "trunks[1].id: is missing",
            "trunks[1].addresses: is empty",
            "networks[0].kind: is missing",
            "tenants[0].sampling_percent: must be 0 to 100",
            "tenants[0].domains.onnet[0]: \"a b\" is no host",
            "tenants[0].numbers[0]: \"+49*3\"",
            "tenants[0].numbering.national_prefix: \"x\" is not 1 to 8 digits",
            "tenants[0].numbering.country_code: is missing",
            "tenants[0].call_recording: has the account's settings twice",
            "tenants[0].on_demand.feature_codes.stop: \"hello\" is not made of",
            "tenants[0].on_demand.feature_codes.pause: \"*48\" begins with the code of `start`",
            "tenants[0].on_demand.feature_codes.resume: \"*49\" begins with the code of `start`",
            "tenants[0].users[0].identities[0]: \"nobody\" is not user@domain",
            "tenants[0].users[0].numbers[0]: \"abc\" is no number",
            "tenants[0].users[1].id: \"u\" is there already",
            "tenants[0].users[2].id: is missing",
            "tenants[0].devices[0].owner: no user of the tenant has the id \"nobody\"",
            "tenants[0].devices[0].addresses[0]: \"10.0.0.256\"",
            "tenants[0].queues[0].agents[0].user: no user",
            "tenants[0].queues[0].agents[2].user: \"u\" is an agent of the queue already",
            "tenants[0].callflows[0].record_call.url: must begin with one of",
            "tenants[0].do_not_record[0].numbers[0]: \"12a\"",
            "tenants[1].id: \"a\" is a tenant of one.json already",
            "tenants[1].catch_all: tenant \"a\" takes the calls",
        ],
    );
}

/// Where the account's settings stand twice, what is in both is not looked at further.
#[test]
fn values_out_of_range_are_named() {
    let document = json!({ "tenants": [{ "id": "a", "call_recording": { "inbound": { "onnet": {
        "time_limit": 0, "record_min_sec": 700_000, "record_sample_rate": 7, "url": "x" } } } }] });
    assert_named(
        &refused(&[("one.json", &document)]),
        &[
            "onnet.time_limit: must be 1 to",
            "onnet.record_min_sec: must be 0 to",
            "onnet.record_sample_rate: must be one of",
            "onnet.url: must begin",
        ],
    );
}

/// Nobody has what is another's, in whatever file; the devices of one user may share.
#[test]
fn claims_are_settled() {
    let one = json!({ "tenants": [{ "id": "a", "domains": { "onnet": ["a.example"] }, "numbers": ["+4930*"],
        "users": [{ "id": "u", "identities": ["u@a.example"], "numbers": ["20"] }, { "id": "v", "numbers": ["20"] }],
        "devices": [{ "id": "d", "owner": "u", "identities": ["u@a.example"] }, { "id": "e", "owner": "u", "identities": ["u@a.example"] }] }] });
    let two = json!({ "trunks": [{ "id": "t", "addresses": ["192.0.2.1"] }], "tenants": [{ "id": "b", "domains": { "onnet": ["A.example"] }, "numbers": ["+4930*"],
        "trunks": [{ "id": "s", "addresses": ["192.0.2.1"] }],
        "queues": [{ "id": "q", "identities": ["u@a.example"], "numbers": ["20"] }] }] });
    assert_named(
        &refused(&[("one.json", &one), ("two.json", &two)]),
        &[
            "one.json: tenants[0].users[1].numbers[0]: 20 is user u of a already",
            "two.json: tenants[0].domains.onnet[0]: \"A.example\" is a domain of tenant \"a\" already",
            "two.json: tenants[0].numbers[0]: is of tenant \"a\" already",
            "two.json: tenants[0].trunks[0].addresses[0]: is of trunk \"t\" already",
            "two.json: tenants[0].queues[0].identities[0]: u@a.example is user u of a already",
        ],
    );
}

/// Claims are named together with all else that is wrong, in whatever file.
#[test]
fn claims_hide_behind_nothing() {
    let one = json!({ "tenants": [{ "id": "a", "colour": 1, "numbers": ["+4930*"],
        "users": [{ "id": "u", "numbers": ["20"] }, { "id": "v", "numbers": ["20"] }] }] });
    let two = json!({ "tenants": [{ "id": "b", "sampling_percent": 101, "numbers": ["+4930*"] }] });
    assert_named(
        &refused(&[("one.json", &one), ("two.json", &two)]),
        &[
            "one.json: tenants[0].colour: unknown field",
            "one.json: tenants[0].users[1].numbers[0]: 20 is user u of a already",
            "two.json: tenants[0].sampling_percent: must be 0 to 100",
            "two.json: tenants[0].numbers[0]: is of tenant \"a\" already",
        ],
    );
}

/// 001: the answer of KAZOO's API has the document below `data`, where nothing is read.
#[test]
fn an_answer_of_the_api_is_no_document() {
    let cell = json!({ "enabled": true });
    let answer = json!({ "data": { "id": "u", "call_recording": { "any": { "any": cell } } } });
    let document = json!({ "tenants": [{ "id": "a", "kazoo": answer,
        "users": [{ "id": "u", "kazoo": answer }], "devices": [{ "id": "d", "kazoo": answer }] }] });
    assert_named(
        &refused(&[("one.json", &document)]),
        &[
            "tenants[0].kazoo.data: is what the API puts a document in",
            "tenants[0].users[0].kazoo.data: is what the API",
            "tenants[0].devices[0].kazoo.data: is what the API",
        ],
    );
}

/// The schema is that of the types; the committed one is the one that is published.
#[test]
fn the_schema_is_the_committed_one() {
    let committed = include_str!("../../../../docs/policy.schema.json");
    assert_eq!(
        committed,
        earwitness_policy::schema::schema(),
        "run: earwitness policy schema > docs/policy.schema.json"
    );
}
