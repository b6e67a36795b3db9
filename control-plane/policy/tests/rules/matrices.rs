//! POL-3: the matrices of 001, row by row, all cells.

use serde_json::{Value, json};

use crate::call::{ALICE, BOB, Call, OUTSIDE, acme};

/// The columns: onnet to onnet, onnet to offnet, offnet to onnet.
const CALLS: [(&str, &str); 3] = [(ALICE, BOB), (ALICE, OUTSIDE), (OUTSIDE, BOB)];

const SETTINGS: [&str; 4] =
    ["inbound.onnet", "inbound.offnet", "outbound.onnet", "outbound.offnet"];

/// `a.b` on, as a document.
fn on(setting: &str) -> Value {
    let (direction, network) = setting.split_once('.').expect("two words");
    json!({ direction: { network: { "enabled": true } } })
}

fn row(policy: &earwitness_policy::Policy) -> [bool; 3] {
    CALLS.map(|(from, to)| Call::new(from, to).is_recorded(policy))
}

/// POL-3: "Account Settings".
#[test]
fn account_settings() {
    let rows =
        [[true, true, false], [false, false, true], [true, false, true], [false, true, false]];
    for (setting, expected) in SETTINGS.into_iter().zip(rows) {
        for document in [json!({ "account": on(setting) }), on(setting)] {
            let policy = acme(json!({ "call_recording": document }));
            assert_eq!(row(&policy), expected, "{setting}");
        }
    }
}

/// POL-3: "yes (if inbound → onnet isn't configured)": then it is inbound that records, once, and the trace names both.
#[test]
fn outbound_yields_to_inbound() {
    for (inbound, outbound, call) in [
        ("inbound.onnet", "outbound.onnet", CALLS[0]),
        ("inbound.onnet", "outbound.offnet", CALLS[1]),
        ("inbound.offnet", "outbound.onnet", CALLS[2]),
    ] {
        let mut document = on(inbound);
        document["outbound"] = on(outbound)["outbound"].clone();
        let network = inbound.split_once('.').expect("two words").1;
        document["inbound"][network]["format"] = json!("mp3");
        let network = outbound.split_once('.').expect("two words").1;
        document["outbound"][network]["format"] = json!("wav");
        let policy = acme(json!({ "call_recording": { "account": document } }));
        let explained = Call::new(call.0, call.1).explained(&policy);
        let format = explained.outcome.form.format.map(|format| format.name());
        assert_eq!(format, Some("mp3"), "{inbound} goes before {outbound}");
        assert_eq!(explained.rule, format!("acme: account {inbound}"));
        let text = explained.tree.to_string();
        assert!(text.contains(&format!("account {outbound} is on, too")), "{text}");
    }
}

/// POL-3: "Endpoint Settings": the setting is on the endpoint that is called for inbound, that calls for outbound.
#[test]
fn endpoint_settings() {
    let rows =
        [[true, false, false], [false, false, true], [true, false, false], [false, true, false]];
    for (setting, expected) in SETTINGS.into_iter().zip(rows) {
        for level in ["device", "user", "account default"] {
            let found = CALLS.map(|(from, to)| {
                let calls = setting.starts_with("outbound");
                // Of a call with one endpoint only, that one.
                let is_alice = (calls && from == ALICE) || to == OUTSIDE;
                let policy = acme(endpoint(level, is_alice, on(setting)));
                Call::new(from, to).is_recorded(&policy)
            });
            assert_eq!(found, expected, "{setting} of the {level}");
        }
    }
}

/// The other endpoint's setting is not this one's: only the called one's inbound and the caller's outbound count.
#[test]
fn each_endpoint_is_asked_for_its_own_direction() {
    for (setting, is_alice) in [("inbound.onnet", true), ("outbound.onnet", false)] {
        let policy = acme(endpoint("user", is_alice, on(setting)));
        assert!(!Call::new(ALICE, BOB).is_recorded(&policy), "{setting}");
        assert!(Call::new(BOB, ALICE).is_recorded(&policy), "{setting}");
    }
}

fn endpoint(level: &str, is_alice: bool, settings: Value) -> Value {
    let phone = |id: &str, is_it: bool| {
        let more = if is_it && level == "device" { settings.clone() } else { json!({}) };
        json!({ "id": format!("{id}-desk"), "owner": id, "identities": [format!("{id}@acme.example")], "call_recording": more })
    };
    let user = |id: &str, is_it: bool| {
        let more = if is_it && level == "user" { settings.clone() } else { json!({}) };
        json!({ "id": id, "call_recording": more })
    };
    let default = if level == "account default" { settings.clone() } else { json!({}) };
    json!({
        "users": [user("alice", is_alice), user("bob", !is_alice)],
        "devices": [phone("alice", is_alice), phone("bob", !is_alice)],
        "call_recording": { "endpoint": default }
    })
}
