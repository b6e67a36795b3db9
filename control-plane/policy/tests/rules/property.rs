//! The product against the model, over random settings and calls.

use earwitness_policy::{Answer, Begins, Demand, Outcome, Voices};
use serde_json::json;

use crate::call::{Call, policy};
use crate::model::{self, Fate};
use crate::random::{self, Random};

/// As many decisions, unless `EARWITNESS_POLICY_DECISIONS` says another number, such as a million.
const DECISIONS: usize = 200_000;
/// Calls of each random tenant.
const CALLS: usize = 200;

fn as_model(outcome: &Outcome) -> Option<Fate> {
    (outcome.answer == Answer::Record).then(|| Fate {
        audio: outcome.parts.audio,
        video: outcome.parts.video,
        caller_only: outcome.voices == Voices::Caller,
        begins: match outcome.begins {
            Begins::AtOnce => 0,
            Begins::OnAnswer => 1,
            Begins::OnBridge => 2,
        },
        format: outcome.form.format.map(|format| format.name().to_owned()),
        rate: outcome.form.sample_rate.map(u64::from),
        min_s: outcome.form.min_s.into(),
        limit_s: outcome.form.time_limit_s.map(u64::from),
        url: outcome.form.url.as_deref().map(str::to_owned),
    })
}

/// POL-1 to POL-12: no difference.
#[test]
fn decisions_are_those_of_the_model() {
    let wanted = std::env::var("EARWITNESS_POLICY_DECISIONS");
    let decisions = wanted.ok().and_then(|text| text.parse().ok()).unwrap_or(DECISIONS);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let tenants = decisions.div_ceil(CALLS);
    let recorded: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    (thread..tenants).step_by(threads).map(of_one_tenant).sum::<usize>()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("no difference")).sum()
    });
    // Neither always nor never: what is compared says something.
    assert!(
        (decisions / 4..decisions * 3 / 4).contains(&recorded),
        "{recorded} of {decisions} are recorded"
    );
}

/// How many of its calls are recorded.
fn of_one_tenant(seed: usize) -> usize {
    let mut random = Random(seed as u64);
    let tenant = random::tenant(&mut random);
    let policy = policy(&json!({ "tenants": [tenant] }));
    let mut recorded = 0;
    for number in 0..CALLS {
        let mut told = random::call(&mut random);
        told.demand_stop = !told.demand_start && random.one_in(20);
        let (from, to) = (random::identity(told.caller), random::identity(told.callee));
        let through: Vec<String> = told.through.iter().map(|who| random::identity(*who)).collect();
        let through: Vec<&str> = through.iter().map(String::as_str).collect();
        let transferred = told.transferred.map(|by| by.map(random::identity));
        let call = Call {
            through: &through,
            video: told.video,
            transferred: [transferred[0].as_deref(), transferred[1].as_deref()],
            demand: match (told.demand_start, told.demand_stop) {
                (true, _) => Demand::Start,
                (_, true) => Demand::Stop,
                _ => Demand::None,
            },
            ..Call::new(&from, &to)
        };
        let expected = model::fate(&tenant, &told);
        let found = call.ask(&policy, |policy, facts| {
            policy.decide(facts, earwitness_policy::Fallback::RecordNone)
        });
        assert_eq!(
            as_model(&found),
            expected,
            "seed {seed}, call {number}: {told:?}\n{tenant:#}\n{}",
            call.explained(&policy).tree
        );
        recorded += usize::from(expected.is_some());
    }
    recorded
}
