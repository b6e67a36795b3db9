//! The highest rate that a receiver takes without loss: found by halving, and tried again in each round.

use std::time::Duration;

use earwitness_wire::Verdict;

use super::Session;
use super::round::{Offer, Run};
use super::session::{Bench, Case};
use super::system::{Source, System};
use super::table;

/// Steps of the search, from the rate of the runs before: the last is three hundredths of that.
const STEPS: u32 = 5;
/// How long each rate is offered.
const SECONDS: f64 = 2.0;
/// A run that was this much slower than asked for did not offer the rate.
const REACHED: f64 = 0.95;
/// How far the next rate is from one that is known, and how often it is lowered.
const UP: f64 = 1.08;
const DOWN: f64 = 0.9;
const DOWN_MAX: u32 = 4;
/// What `--quick` leaves.
const QUICK_STEPS: u32 = 4;

/// How often it is searched.
pub fn rounds(session: &Session) -> u32 {
    match session {
        Session { unpaced: true, .. } => 0,
        Session { quick: true, .. } => 1,
        Session { rounds, .. } => *rounds,
    }
}

/// Who has been measured, of those that may.
pub fn takes_part(case: &Case, session: &Session, round: u32) -> bool {
    !case.runs.is_empty() && may_take_part(case, session, round)
}

/// Once all that record; then the two sides of the claim: the best source, and the peers.
pub fn may_take_part(case: &Case, session: &Session, round: u32) -> bool {
    let records = case.system.is_peer() || case.system.writes_segments();
    let claims = case.system == System::Earwitness(Source::BpfRing, Verdict::Record);
    case.is_compared(session) && records && (round == 1 || claims || case.system.is_peer())
}

/// About how long it takes.
pub fn expected(case: &Case, session: &Session, round: u32) -> Duration {
    // Rates of a million or two. Where the rate is known nearly, it is tried, and one beside it.
    case.expected((1.5e6 * SECONDS) as u64) * if round == 1 { steps(session) } else { 2 }
}

fn steps(session: &Session) -> u32 {
    if session.quick { QUICK_STEPS } else { STEPS }
}

/// The highest rate of which nothing was lost; 0 if every one lost something.
///
/// # Errors
/// It could not be measured.
pub fn lossless(bench: &mut Bench, case: &Case, session: &Session) -> anyhow::Result<f64> {
    let fastest = case.runs.iter().map(Run::mpps).fold(0.0, f64::max) * 1e6;
    let holds = |rate| holds(bench, case, rate);
    match case.lossless.last() {
        Some(&before) if before > 0.0 => nearby(before, holds),
        _ => halving(fastest * 1.05, steps(session), holds),
    }
}

fn halving(
    fastest: f64,
    steps: u32,
    mut holds: impl FnMut(f64) -> anyhow::Result<bool>,
) -> anyhow::Result<f64> {
    let (mut good, mut bad) = (0.0, fastest);
    for _ in 0..steps {
        let rate = f64::midpoint(good, bad);
        if holds(rate)? {
            good = rate;
        } else {
            bad = rate;
        }
    }
    Ok(good)
}

/// The rate of the round before again: one more where it holds, less and less where it does not.
fn nearby(before: f64, mut holds: impl FnMut(f64) -> anyhow::Result<bool>) -> anyhow::Result<f64> {
    if holds(before)? {
        let more = before * UP;
        return Ok(if holds(more)? { more } else { before });
    }
    let mut rate = before;
    for _ in 0..DOWN_MAX {
        rate *= DOWN;
        if holds(rate)? {
            return Ok(rate);
        }
    }
    Ok(0.0)
}

/// Whether a rate is offered, and taken whole.
fn holds(bench: &mut Bench, case: &Case, rate: f64) -> anyhow::Result<bool> {
    let packets = (rate * SECONDS) as u64;
    let run = bench.run(case, Offer { packets, rate: rate as u64, ..case.offer() })?;
    let reached = run.mpps() * 1e6 >= rate * REACHED;
    let (asked, late) = (rate / 1e6, run.sent.late);
    let line = table::line(&case.name, &run);
    eprintln!("  asked for {asked:.2} Mpps, late {late} times: {line}");
    Ok(run.lost == 0 && run.refused == 0 && reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_found_and_found_again() {
        for limit in [0.4, 1.0, 1.9] {
            let found = halving(2.0, STEPS, |rate| Ok(rate <= limit)).unwrap();
            assert!(found <= limit && limit - found <= 2.0 / 32.0, "{found} of {limit}");
            let again = nearby(found, |rate| Ok(rate <= limit)).unwrap();
            assert!((found..=limit).contains(&again), "{again}");
            let less = nearby(2.0 * limit, |rate| Ok(rate <= 1.5 * limit)).unwrap();
            assert!((1.4 * limit..=1.5 * limit).contains(&less), "{less}");
        }
        assert_eq!(nearby(1.0, |_| Ok(false)).unwrap(), 0.0);
        assert!(nearby(1.0, |_| anyhow::bail!("gone")).is_err());
    }
}
