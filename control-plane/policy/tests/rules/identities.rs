//! POL-1: whoever a call names, in whatever form, is found; and who only says to be somebody is not.

use std::net::SocketAddr;

use earwitness_policy::{
    Answer, By, Direction, Fallback, Identity, PartyFacts, Policy, TenantId, facts::Facts,
};
use serde_json::{Value, json};

use crate::call::{ALICE, Call, OUTSIDE, policy, tenant};

fn all(more: Value) -> Policy {
    let on = json!({ "any": { "any": { "enabled": true } } });
    let mut own = tenant(json!({
        "numbering": { "country_code": "49", "national_prefix": "0" },
        "call_recording": { "account": on },
        "users": [{ "id": "alice", "numbers": ["+498912300201", "201"], "identities": ["alice.a@acme.example"] }, { "id": "bob" }],
        "numbers": ["+498912300*", "3*"],
        "networks": [{ "addresses": ["10.7.0.0/16"], "kind": "onnet" }]
    }));
    own["devices"][2]["addresses"] = json!(["10.7.0.9"]);
    let mut document = json!({
        "trunks": [{ "id": "carrier", "addresses": ["203.0.113.0/24"] }],
        "tenants": [own, { "id": "globex", "domains": { "onnet": ["globex.example"] }, "numbers": ["+4955*"],
            "users": [{ "id": "zoe", "numbers": ["201"] }] }]
    });
    if let (Value::Object(document), Value::Object(more)) = (&mut document, more) {
        document.extend(more);
    }
    policy(&document)
}

/// The tenant's name and the direction.
fn seen(
    policy: &Policy,
    from: (&str, Option<&str>),
    to: (&str, Option<&str>),
) -> (Option<String>, Option<Direction>) {
    let address =
        |text: Option<&str>| text.map(|text| text.parse::<SocketAddr>().expect("an address"));
    let (caller, callee) =
        ([Identity { by: By::From, text: from.0 }], [Identity { by: By::To, text: to.0 }]);
    let party =
        |identities, at| PartyFacts { identities, address: address(at), ..PartyFacts::default() };
    let facts =
        Facts { caller: party(&caller, from.1), callee: party(&callee, to.1), ..Facts::default() };
    let outcome = policy.decide(&facts, Fallback::RecordNone);
    let name = |id: TenantId| policy.tenant_name(id).to_owned();
    (outcome.tenant.map(name), outcome.direction)
}

#[test]
fn who_is_meant_and_which_way_the_call_goes() {
    let policy = all(json!({}));
    use Direction::{External, Inbound, Internal, Outbound};
    for (from, to, tenant, direction) in [
        (ALICE, OUTSIDE, "acme", Outbound),
        ("alice@ACME.example", OUTSIDE, "acme", Outbound),
        ("201@acme.example", "089 12300-299@acme.example", "acme", Internal),
        ("+4989 12300201", "alice@acme.example", "acme", Internal),
        ("004930555123@acme.example", "201@acme.example", "acme", Inbound),
        ("030555123@acme.example", "+498912300201@10.1.1.1", "acme", Inbound),
        // Extensions count within the other party's tenant.
        (ALICE, "201@10.1.1.1", "acme", Internal),
        (ALICE, "399@10.1.1.1", "acme", Internal),
        (ALICE, "499@10.1.1.1", "acme", Outbound),
        ("zoe@globex.example", "201@globex.example", "globex", Internal),
        ("stranger@elsewhere.example", ALICE, "acme", Inbound),
        ("anonymous@anonymous.invalid", ALICE, "acme", Inbound),
        ("unknown@acme.example", ALICE, "acme", Internal),
        ("+4955123", "+4955124", "globex", Internal),
    ] {
        let expected = (Some(tenant.to_owned()), Some(direction));
        assert_eq!(seen(&policy, (from, None), (to, None)), expected, "{from} to {to}");
    }
    assert_eq!(seen(&policy, (OUTSIDE, None), ("+1555", None)), (None, None));
    let _ = External;
}

/// Who signals from a trunk is outside, whoever he says he is.
#[test]
fn a_trunk_is_outside() {
    let policy = all(json!({}));
    let found = seen(&policy, (ALICE, Some("203.0.113.7:5060")), ("201@acme.example", None));
    assert_eq!(found, (Some("acme".to_owned()), Some(Direction::Inbound)));
    let found = seen(&policy, (ALICE, None), ("+4955123", Some("203.0.113.7:5060")));
    assert_eq!(found, (Some("acme".to_owned()), Some(Direction::Outbound)));
}

/// Of whom nothing is known but an address, the network says where he is; a known device is found by its address.
#[test]
fn addresses_say_where() {
    let policy = all(json!({}));
    let acme = |direction| (Some("acme".to_owned()), Some(direction));
    assert_eq!(
        seen(&policy, ("door@10.7.1.1", Some("10.7.1.1:5060")), (OUTSIDE, None)),
        acme(Direction::Outbound)
    );
    // A public number through the telephone system's own address is outside all the same.
    assert_eq!(
        seen(&policy, (OUTSIDE, Some("10.7.1.1:5060")), (ALICE, None)),
        acme(Direction::Inbound)
    );
    assert_eq!(
        seen(&policy, ("anonymous@anonymous.invalid", Some("10.7.1.1:5060")), (ALICE, None)),
        acme(Direction::Inbound)
    );
    let explained = {
        let caller = [Identity { by: By::From, text: "x@10.7.0.9" }];
        let callee = [Identity { by: By::To, text: OUTSIDE }];
        let address = "10.7.0.9:5060".parse().ok();
        let facts = Facts {
            caller: PartyFacts { identities: &caller, address, ..PartyFacts::default() },
            callee: PartyFacts { identities: &callee, ..PartyFacts::default() },
            ..Facts::default()
        };
        policy.explain(&facts, Fallback::RecordNone)
    };
    let text = explained.tree.to_string();
    assert!(text.contains("x@10.7.0.9 is device lobby of acme, by its address"), "{text}");
}

/// What is trusted most says who it is.
#[test]
fn the_more_trusted_identity_goes_first() {
    let policy = all(json!({}));
    let caller = [
        Identity { by: By::PAssertedIdentity, text: ALICE },
        Identity { by: By::From, text: "bob@acme.example" },
    ];
    let callee = [Identity { by: By::To, text: OUTSIDE }];
    let facts = Facts {
        caller: PartyFacts { identities: &caller, ..PartyFacts::default() },
        callee: PartyFacts { identities: &callee, ..PartyFacts::default() },
        ..Facts::default()
    };
    let text = policy.explain(&facts, Fallback::RecordNone).tree.to_string();
    assert!(text.contains("alice@acme.example is device alice-desk of acme, owned by user alice, by P-Asserted-Identity"), "{text}");
}

/// A call between two tenants concerns both; either may record it.
#[test]
fn two_tenants_are_both_asked() {
    let policy = all(json!({}));
    let call = Call::new("zoe@globex.example", ALICE);
    let explained = call.explained(&policy);
    assert_eq!(explained.outcome.answer, Answer::Record);
    assert_eq!(explained.rule, "acme: account inbound.offnet");
    let text = explained.tree.to_string();
    assert!(text.contains("tenant globex: outbound call"), "{text}");
    let back = Call::new(ALICE, "zoe@globex.example").explained(&policy);
    assert_eq!(back.rule, "acme: account inbound.onnet");
}

/// Calls that no tenant is found for are of the one that takes them all, if there is one.
#[test]
fn one_tenant_may_take_the_rest() {
    let document =
        json!({ "tenants": [{ "id": "only", "catch_all": true, "sampling_percent": 100 }] });
    let policy = policy(&document);
    assert!(Call::new("a@x.example", "b@y.example").is_recorded(&policy));
    let none =
        crate::call::policy(&json!({ "tenants": [{ "id": "only", "sampling_percent": 100 }] }));
    assert!(!Call::new("a@x.example", "b@y.example").is_recorded(&none));
    let explained = Call::new("a@x.example", "b@y.example").explained(&none);
    assert_eq!(explained.rule, "recording.default=none");
}

/// POL-1, POL-4: documents of KAZOO are pasted as they are.
#[test]
fn kazoo_documents_paste_in() {
    let policy = policy(&json!({ "tenants": [{
        "kazoo": { "id": "009afc511c97b2ae693c6cc4920988e8", "name": "Acme", "realm": "sip.acme.example", "timezone": "Europe/Berlin",
            "call_recording": { "account": { "inbound": { "onnet": { "enabled": false } } }, "endpoint": {} }, "notifications": { "x": [1, 2] } },
        "users": [{ "kazoo": { "id": "u1", "username": "alice", "priv_level": "user",
            "call_recording": { "inbound": { "offnet": { "enabled": true, "format": "mp3" } }, "outbound": { "offnet": { "enabled": true } } } } }],
        "devices": [{ "kazoo": { "id": "d1", "name": "desk", "owner_id": "u1", "enabled": true,
            "sip": { "username": "user_x7", "password": "secret", "method": "password" } } }]
    }] }));
    let explained = Call::new("user_x7@sip.acme.example", OUTSIDE).explained(&policy);
    assert_eq!(explained.rule, "009afc511c97b2ae693c6cc4920988e8: user u1: outbound.offnet");
    assert!(
        !Call::new("user_x7@sip.acme.example", "someone@sip.acme.example").is_recorded(&policy)
    );
}
