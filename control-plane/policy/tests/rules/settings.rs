//! The settings of 001, 002 and 003, each with the meaning that it has there.

use earwitness_policy::document::{Format, Method};
use earwitness_policy::{Begins, Demand, Direction, Parts, Stage, Voices};
use serde_json::{Value, json};

use crate::call::{ALICE, BOB, Call, OUTSIDE, OUTSIDE_TOO, acme, policy, tenant};

fn everywhere(enabled: bool) -> Value {
    json!({ "any": { "any": { "enabled": enabled } } })
}

fn users(alice: Value, bob: Value) -> Value {
    let with = |id: &str, more: Value| {
        let mut user = json!({ "id": id });
        user.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        user
    };
    json!([with("alice", alice), with("bob", bob)])
}

fn devices(alice: Value) -> Value {
    let mut desk = json!({ "id": "alice-desk", "owner": "alice", "identities": [ALICE] });
    desk.as_object_mut().expect("an object").extend(alice.as_object().expect("an object").clone());
    json!([desk, { "id": "bob-desk", "owner": "bob", "identities": [BOB] },
        { "id": "lobby", "identities": ["lobby@acme.example"] }])
}

const OUT: Call<'static> = Call {
    from: ALICE,
    to: OUTSIDE,
    through: &[],
    video: false,
    stage: Stage::Ringing,
    demand: Demand::None,
    transferred: [None; 2],
    id: "1",
};

/// POL-1: "Precedence of settings is: Device > User"; what is undefined falls through; either of account and endpoint
/// starts a recording.
#[test]
fn precedence() {
    let user_on = users(json!({ "call_recording": everywhere(true) }), json!({}));
    let device_off = devices(json!({ "call_recording": everywhere(false) }));
    assert!(OUT.is_recorded(&acme(json!({ "users": user_on }))));
    let off = json!({ "users": user_on, "devices": device_off });
    assert!(!OUT.is_recorded(&acme(off.clone())));
    // "A user who has disabled recording, within an account that has enabled recording, will still have calls recorded."
    let mut account_on = off;
    account_on["call_recording"] = json!({ "account": everywhere(true) });
    assert!(OUT.is_recorded(&acme(account_on)));
    // The account's defaults of endpoints are no such setting.
    let default_on = json!({
        "users": users(json!({ "record": "off" }), json!({})),
        "call_recording": { "endpoint": everywhere(true) }
    });
    assert!(!OUT.is_recorded(&acme(default_on.clone())));
    assert!(Call::new("lobby@acme.example", OUTSIDE).is_recorded(&acme(default_on)));
}

/// POL-1, POL-4: key by key, the nearest level that says something.
#[test]
fn parameters_fall_through_key_by_key() {
    let policy = acme(json!({
        "devices": devices(json!({ "call_recording": { "outbound": { "offnet": { "format": "mp3" } } } })),
        "users": users(json!({ "call_recording": { "outbound": { "any": { "enabled": true, "format": "wav", "time_limit": 60 } } } }), json!({})),
        "call_recording": { "endpoint": { "any": { "any": {
            "record_min_sec": 4, "record_sample_rate": 16000, "time_limit": 90, "record_on_answer": true, "url": "https://a.example/x" } } } }
    }));
    let form = OUT.outcome(&policy).form;
    assert_eq!((form.format, form.time_limit_s, form.min_s), (Some(Format::Mp3), Some(60), 4));
    assert_eq!(
        (form.sample_rate, form.url.as_deref()),
        (Some(16_000), Some("https://a.example/x"))
    );
    assert_eq!(OUT.outcome(&policy).begins, Begins::OnAnswer);
    assert!(!OUT.outcome(&policy).records_at(Stage::Ringing));
    assert!(OUT.outcome(&policy).records_at(Stage::Answered));
}

/// POL-5: three states at user and device.
#[test]
fn three_states() {
    for (user, device, expected) in [
        ("default", "default", true),
        ("off", "default", false),
        ("off", "on", true),
        ("on", "off", false),
        ("default", "off", false),
    ] {
        let policy = acme(json!({
            "users": users(json!({ "record": user }), json!({})),
            "devices": devices(json!({ "record": device })),
            "call_recording": { "endpoint": everywhere(true) }
        }));
        assert_eq!(OUT.is_recorded(&policy), expected, "user {user}, device {device}");
    }
}

/// POL-5: "Force Record all Users … unless the device's setting explicitly is set otherwise".
#[test]
fn force_record_all_users() {
    let force = json!({ "all_users": { "enabled": true, "outbound": true, "external": true } });
    let with = |device: &str| {
        acme(json!({
            "force_record": force,
            "users": users(json!({ "record": "off" }), json!({})),
            "devices": devices(json!({ "record": device }))
        }))
    };
    assert!(OUT.is_recorded(&with("default")));
    assert!(!OUT.is_recorded(&with("off")));
    assert!(!Call::new(ALICE, BOB).is_recorded(&with("default")), "internal calls are not forced");
    assert!(
        !Call::new(OUTSIDE, ALICE).is_recorded(&with("default")),
        "inbound calls are not forced"
    );
    assert!(!Call::new("lobby@acme.example", OUTSIDE).is_recorded(&with("default")), "of no user");
}

/// POL-5: "Force Record Entire Account … unless specific settings for the user and/or device indicate otherwise".
#[test]
fn force_record_entire_account() {
    let with = |user: &str| {
        acme(json!({
            "force_record": { "entire_account": { "enabled": true } },
            "users": users(json!({ "record": user }), json!({})),
            "groups": [{ "id": "all", "numbers": ["600"] }]
        }))
    };
    assert!(OUT.is_recorded(&with("default")));
    assert!(!OUT.is_recorded(&with("off")));
    assert!(
        Call::new(OUTSIDE, "600@acme.example").is_recorded(&with("off")),
        "no endpoint is in it"
    );
    let external = json!({ "force_record": { "entire_account": { "enabled": true, "external": true, "inbound": true } } });
    let policy = acme(external);
    assert!(Call::new(OUTSIDE, ALICE).is_recorded(&policy));
    assert!(!OUT.is_recorded(&policy) && !Call::new(ALICE, BOB).is_recorded(&policy));
}

/// POL-6: queue and agent go before an account that has recording off.
#[test]
fn queue_and_agent() {
    let with = |queue: &str, agent: &str| {
        acme(json!({
            "call_recording": { "account": everywhere(false) },
            "queues": [{ "id": "support", "numbers": ["700"], "record": queue,
                "agents": [{ "user": "alice", "record": agent }, { "user": "bob" }] }]
        }))
    };
    let waiting = Call::new(OUTSIDE, "700@acme.example");
    let through = ["700@acme.example"];
    let agent = |to| Call { through: &through, ..Call::new(OUTSIDE, to) };
    assert!(waiting.is_recorded(&with("on", "default")));
    assert!(agent(ALICE).is_recorded(&with("on", "default")));
    assert!(agent(ALICE).is_recorded(&with("default", "on")));
    assert!(!agent(BOB).is_recorded(&with("default", "on")), "the setting is Alice's");
    assert!(!agent(ALICE).is_recorded(&with("on", "off")), "agent before queue");
    assert!(agent(BOB).is_recorded(&with("on", "off")));
    assert!(!Call::new(OUTSIDE, ALICE).is_recorded(&with("on", "on")), "not a call of the queue");
    let off = acme(json!({
        "call_recording": { "account": everywhere(true) },
        "queues": [{ "id": "support", "numbers": ["700"], "record": "off" }]
    }));
    assert!(!waiting.is_recorded(&off) && Call::new(OUTSIDE, ALICE).is_recorded(&off));
}

/// POL-1: a group's setting is for calls to the group.
#[test]
fn group() {
    let policy = acme(json!({ "groups": [{ "id": "sales", "numbers": ["600"],
        "call_recording": { "inbound": { "offnet": { "enabled": true, "time_limit": 9 } } } }] }));
    assert_eq!(Call::new(OUTSIDE, "600@acme.example").outcome(&policy).form.time_limit_s, Some(9));
    assert!(!Call::new(ALICE, "600@acme.example").is_recorded(&policy), "from inside");
    assert!(!Call::new(OUTSIDE, ALICE).is_recorded(&policy));
}

/// POL-4: `record_call` with its parameters, `start` and `stop`; `record_caller`.
#[test]
fn call_flow_actions() {
    let policy = acme(json!({
        "call_recording": { "account": everywhere(true) },
        "callflows": [
            { "id": "start", "numbers": ["800"], "record_call": { "label": "ivr", "media_name": "m", "format": "mp3", "record_on_bridge": true } },
            { "id": "stop", "numbers": ["801"], "record_call": { "action": "stop" } },
            { "id": "voicemail", "numbers": ["802"], "record_caller": { "method": "post", "url": "https://a.example/" } }
        ]
    }));
    let to = |number: &str| Call::new(OUTSIDE, number).outcome(&policy);
    let started = to("800@acme.example");
    assert_eq!(
        (started.form.label.as_deref(), started.form.media_name.as_deref()),
        (Some("ivr"), Some("m"))
    );
    assert_eq!((started.form.format, started.form.time_limit_s), (Some(Format::Mp3), None));
    assert_eq!(started.begins, Begins::AtOnce, "the account wants it from the beginning");
    assert!(!Call::new(OUTSIDE, "801@acme.example").is_recorded(&policy));
    assert_eq!(to("802@acme.example").voices, Voices::Both, "the account records both");
    let alone = acme(json!({ "callflows": [
        { "id": "voicemail", "numbers": ["802"], "record_caller": { "method": "post", "url": "https://a.example/" } },
        { "id": "start", "numbers": ["800"], "record_call": { "record_on_bridge": true } }] }));
    let voicemail = Call::new(OUTSIDE, "802@acme.example").outcome(&alone);
    assert_eq!(
        (voicemail.voices, voicemail.form.method, voicemail.form.time_limit_s),
        (Voices::Caller, Some(Method::Post), Some(3600))
    );
    let started = Call::new(OUTSIDE, "800@acme.example").outcome(&alone);
    assert_eq!((started.begins, started.form.time_limit_s), (Begins::OnBridge, Some(3600)));
}

/// POL-7: what somebody asked for during the call; a list of numbers goes before it.
#[test]
fn on_demand() {
    let policy = acme(
        json!({ "on_demand": { "enabled": true }, "do_not_record": [{ "id": "l", "numbers": [OUTSIDE_TOO] }] }),
    );
    let start = Call { demand: Demand::Start, ..OUT };
    assert!(start.is_recorded(&policy));
    assert_eq!(start.explained(&policy).rule, "acme: on demand");
    assert!(!Call { to: OUTSIDE_TOO, ..start }.is_recorded(&policy));
    let on = acme(json!({ "call_recording": { "account": everywhere(true) } }));
    assert!(!Call { demand: Demand::Stop, ..OUT }.is_recorded(&on));
    assert!(OUT.is_recorded(&on));
}

/// POL-9: "stops recording when a call transitions to two external endpoints".
#[test]
fn between_external_numbers() {
    let with = |switch: bool| {
        acme(
            json!({ "call_recording": { "account": everywhere(true) }, "record_calls_between_external_numbers": switch }),
        )
    };
    let agent = Call::new(OUTSIDE, ALICE);
    let transferred = Call {
        to: OUTSIDE_TOO,
        through: &["+4989123001"],
        transferred: [None, Some(ALICE)],
        ..agent
    };
    assert!(agent.is_recorded(&with(false)) && agent.is_recorded(&with(true)));
    assert!(!transferred.is_recorded(&with(false)));
    assert!(transferred.is_recorded(&with(true)));
    assert_eq!(transferred.outcome(&with(true)).direction, Some(Direction::External));
    assert_eq!(transferred.explained(&with(false)).rule, "acme: both parties are external");
}

/// POL-10: "internal call recording is not turned on and an external caller is transferred from one user to another,
/// that transferred call will stop recording once transferred to the next extension".
#[test]
fn a_transfer_to_whom_is_not_recorded() {
    let external = json!({ "inbound": { "offnet": { "enabled": true } } });
    let both = users(json!({ "call_recording": external }), json!({ "call_recording": external }));
    let one = users(json!({ "call_recording": external }), json!({}));
    let first = Call::new(OUTSIDE, ALICE);
    let then = Call { to: BOB, transferred: [None, Some(ALICE)], ..first };
    for users in [&one, &both] {
        let policy = acme(json!({ "users": users }));
        assert!(first.is_recorded(&policy));
        assert!(!then.is_recorded(&policy));
    }
    let internal_too = json!({ "inbound": { "any": { "enabled": true } } });
    let all =
        users(json!({ "call_recording": external }), json!({ "call_recording": internal_too }));
    assert!(then.is_recorded(&acme(json!({ "users": all }))));
    let as_external = acme(json!({ "users": both, "transferred_calls": "external" }));
    assert!(then.is_recorded(&as_external));
    let account = acme(
        json!({ "call_recording": { "account": { "inbound": { "offnet": { "enabled": true } } } } }),
    );
    assert!(
        first.is_recorded(&account) && then.is_recorded(&account),
        "the account is asked apart"
    );
    // Who stays may be the one who was called: the new party stands where the caller stood, and is called all the same.
    let back = Call { from: BOB, to: OUTSIDE, transferred: [Some(ALICE), None], ..first };
    assert!(!back.is_recorded(&acme(json!({ "users": both }))));
}

/// POL-11: audio and video, per user and per tenant.
#[test]
fn audio_and_video() {
    let with = |tenant: [&str; 2], user: [&str; 2]| {
        acme(json!({
            "enable_extension_audio_recording": tenant[0], "enable_extension_video_recording": tenant[1],
            "users": users(json!({ "record_audio_calls": user[0], "record_video_calls": user[1] }), json!({}))
        }))
    };
    let video = Call { video: true, ..OUT };
    let none = Parts::default();
    let audio = Parts { audio: true, video: false };
    let both = Parts { audio: true, video: true };
    for (tenant, user, of_audio_call, of_video_call) in [
        (["default", "default"], ["default", "default"], none, none),
        (["default", "default"], ["on", "default"], audio, audio),
        (["default", "default"], ["on", "on"], audio, both),
        (["default", "default"], ["default", "on"], none, both),
        (["default", "default"], ["off", "on"], none, both),
        (["on", "default"], ["default", "default"], audio, audio),
        (["on", "on"], ["default", "default"], audio, both),
        (["on", "on"], ["default", "off"], audio, audio),
        (["on", "default"], ["off", "default"], none, none),
        (["off", "off"], ["on", "on"], none, none),
    ] {
        let policy = with(tenant, user);
        assert_eq!(OUT.outcome(&policy).parts, of_audio_call, "{tenant:?} {user:?}");
        assert_eq!(video.outcome(&policy).parts, of_video_call, "{tenant:?} {user:?}");
    }
}

/// POL-12: lists of a tenant, and of all.
#[test]
fn do_not_record_lists() {
    let own = tenant(
        json!({ "call_recording": { "account": everywhere(true) }, "force_record": { "entire_account": { "enabled": true } },
        "do_not_record": [{ "id": "lawyers", "numbers": ["+4930555999", "+4940*", "secret@acme.example"] }] }),
    );
    let policy = policy(
        &json!({ "do_not_record": [{ "id": "emergency", "numbers": ["112"] }], "tenants": [own] }),
    );
    assert!(OUT.is_recorded(&policy));
    for to in [
        OUTSIDE_TOO,
        "004930555999@carrier.example",
        "+49401",
        "secret@acme.example",
        "112@acme.example",
    ] {
        assert!(!Call { to, ..OUT }.is_recorded(&policy), "{to}");
        assert!(!Call { from: to, to: ALICE, ..OUT }.is_recorded(&policy), "{to}");
        assert!(!Call { through: &[to], ..OUT }.is_recorded(&policy), "through {to}");
    }
    let explained = Call { to: OUTSIDE_TOO, ..OUT }.explained(&policy);
    assert_eq!(explained.rule, "acme: do-not-record list lawyers");
}

/// POL-12: a list for all tenants holds for what each of them dials.
#[test]
fn lists_for_all_hold_for_what_is_dialled() {
    let own = tenant(json!({ "numbering": { "country_code": "49", "national_prefix": "0" },
        "call_recording": { "account": everywhere(true) } }));
    let listed = json!([{ "id": "all", "numbers": ["+49 (0)30 777*"] }]);
    let policy = policy(&json!({ "do_not_record": listed, "tenants": [own] }));
    for to in ["+4930777123", "0049 30 777123", "030777123", "030777123@acme.example"] {
        let explained = Call { to, ..OUT }.explained(&policy);
        assert_eq!(explained.rule, "do-not-record list all", "{to}");
    }
    assert!(Call { to: "030778123", ..OUT }.is_recorded(&policy));
}

/// Sampling: as many percent as are set, the same ones each time.
#[test]
fn sampling() {
    let policy = acme(json!({ "sampling_percent": 10 }));
    let ids: Vec<String> = (0..20_000).map(|n| format!("{n:012x}-{:012x}", n * 7919)).collect();
    let recorded = ids.iter().filter(|id| Call { id, ..OUT }.is_recorded(&policy)).count();
    assert!((1_800..2_200).contains(&recorded), "{recorded} of 20000");
    let queue =
        acme(json!({ "queues": [{ "id": "q", "numbers": ["700"], "sampling_percent": 100 }] }));
    assert!(Call::new(OUTSIDE, "700@acme.example").is_recorded(&queue) && !OUT.is_recorded(&queue));
}

/// Several start one recording: it holds what all want, and is like the nearest says.
#[test]
fn one_recording_of_all() {
    let policy = acme(json!({
        "users": users(json!({ "call_recording": { "outbound": { "offnet": {
            "enabled": true, "format": "mp3", "record_on_answer": true, "time_limit": 60, "record_min_sec": 10 } } } }), json!({})),
        "call_recording": { "account": { "outbound": { "offnet": {
            "enabled": true, "format": "wav", "time_limit": 30, "record_min_sec": 2, "url": "ftp://a.example/" } } } }
    }));
    let explained = OUT.explained(&policy);
    let form = &explained.outcome.form;
    assert_eq!(explained.rule, "acme: user alice: outbound.offnet; account outbound.offnet");
    assert_eq!((form.format, form.time_limit_s, form.min_s), (Some(Format::Mp3), Some(60), 2));
    assert_eq!(
        (explained.outcome.begins, form.url.as_deref()),
        (Begins::AtOnce, Some("ftp://a.example/"))
    );
}
