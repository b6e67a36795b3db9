//! Stretches in which nothing, or next to nothing, may be heard.

use earwitness_fixtures::spec::Party;

use super::fault::Fault;

/// A-law's quietest value is 8; twice that is silence for every codec.
const SILENT_PEAK: u16 = 16;
/// Comfort noise at -68 dBov is 13 in amplitude; a voice is some thousands.
const QUIET_LEVEL: f64 = 200.0;

/// Nothing was sent: nothing is heard.
pub(super) fn silent(party: Party, samples: &[i16], at_ms: u64) -> Option<Fault> {
    let peak = samples.iter().map(|sample| sample.unsigned_abs()).max()?;
    (peak > SILENT_PEAK).then_some(Fault::NotSilent { party, at_ms, peak })
}

/// A pause that was not sent: comfort noise at most.
pub(super) fn quiet(party: Party, samples: &[i16], at_ms: u64) -> Option<Fault> {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    let level = (energy / samples.len().max(1) as f64).sqrt();
    (level > QUIET_LEVEL).then_some(Fault::NotQuiet { party, at_ms, level })
}
