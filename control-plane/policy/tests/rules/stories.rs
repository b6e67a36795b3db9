//! The examples: each is a set that loads by itself, and that decides as its story tells.

use earwitness_policy::{Demand, Fallback, Policy, Source, load};

use crate::call::{Call, OUTSIDE};

macro_rules! example {
    ($name:literal) => {
        of($name, include_str!(concat!("../../examples/", $name)))
    };
}

fn of(name: &str, text: &str) -> Policy {
    load(&[Source { name, text }]).unwrap_or_else(|faults| panic!("{faults}")).policy
}

fn recorded(policy: &Policy, from: &str, to: &str) -> bool {
    Call::new(from, to).is_recorded(policy)
}

/// 001, "Concrete example": calls to and from customers, but not calls within the account.
#[test]
fn sales() {
    let policy = example!("sales.json");
    assert!(recorded(&policy, OUTSIDE, "sally@acme.example"));
    assert!(recorded(&policy, "sally@acme.example", OUTSIDE));
    assert!(!recorded(&policy, "sally@acme.example", "sam@acme.example"));
    assert!(!recorded(&policy, "otto@acme.example", OUTSIDE), "Otto is not in sales");
}

/// 002: "An administrator wants to establish global settings for account-wide call recording processes."
#[test]
fn account_wide() {
    let policy = example!("account-wide.json");
    assert!(recorded(&policy, OUTSIDE, "otto@acme.example"));
    assert!(recorded(&policy, "otto@acme.example", OUTSIDE));
    assert!(
        !recorded(&policy, "otto@acme.example", "sally@acme.example"),
        "internal calls are not"
    );
    assert!(!recorded(&policy, "otto@acme.example", "+4930555999"), "the lawyers are on the list");
}

/// 002: "An administrator wants to record all support calls in a Call Center queue".
#[test]
fn support_queue() {
    let policy = example!("support-queue.json");
    assert!(recorded(&policy, OUTSIDE, "700@acme.example"));
    let answered =
        Call { through: &["700@acme.example"], ..Call::new(OUTSIDE, "otto@acme.example") };
    assert!(answered.is_recorded(&policy));
    assert!(!recorded(&policy, OUTSIDE, "otto@acme.example"), "the account has recording off");
}

/// 002: "A user wants to record calls only on his/her office phone but not on her cell phone".
#[test]
fn office_phone_only() {
    let policy = example!("office-phone-only.json");
    assert!(recorded(&policy, OUTSIDE, "sally-office@acme.example"));
    assert!(!recorded(&policy, OUTSIDE, "sally-cell@acme.example"));
    assert!(!recorded(&policy, "sally-cell@acme.example", OUTSIDE));
}

/// 002: "A user wants to be able to initiate a call recording session after the call has started."
#[test]
fn on_demand() {
    let policy = example!("on-demand.json");
    let call = Call::new(OUTSIDE, "sally@acme.example");
    assert!(!call.is_recorded(&policy));
    assert!(Call { demand: Demand::Start, ..call }.is_recorded(&policy));
    let tenant =
        call.ask(&policy, |policy, facts| policy.decide(facts, Fallback::RecordNone).tenant);
    let (on_demand, _) = policy.on_demand(tenant.expect("acme"));
    assert!(on_demand.enabled && on_demand.feature_codes.toggle == "*7");
}

/// 002: "A support team wants to record incoming calls to track content/effectiveness of calls".
#[test]
fn support_team() {
    let policy = example!("support-team.json");
    assert!(recorded(&policy, OUTSIDE, "600@acme.example"), "the team's number");
    assert!(recorded(&policy, OUTSIDE, "sally@acme.example"));
    assert!(!recorded(&policy, "sally@acme.example", OUTSIDE), "incoming calls only");
}
