//! What can be wrong with a recording.

use earwitness_fixtures::spec::Party;

/// One way in which a recording is not the truth. A right one has none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    #[error("{field} is {found}, not {expected}")]
    Fact { field: &'static str, found: String, expected: String },
    #[error("{channels} channels")]
    Channels { channels: u16 },
    #[error("{found_ms} ms long, not {expected_ms}")]
    Duration { found_ms: i64, expected_ms: i64 },
    #[error("{party:?} is not heard (best correlation {correlation:.2})")]
    NotHeard { party: Party, correlation: f64 },
    #[error("{party:?} is {off_ms:.1} ms off")]
    Shifted { party: Party, off_ms: f64 },
    #[error(
        "{party:?}: {differing} of {samples} samples differ from {at_ms} ms on, by up to {most}"
    )]
    Samples { party: Party, at_ms: u64, samples: usize, differing: usize, most: i32 },
    #[error("{party:?}: correlation {correlation:.3} below {least:.2} from {at_ms} ms on")]
    Unlike { party: Party, at_ms: u64, correlation: f64, least: f64 },
    #[error("{party:?}: peak {peak} at {at_ms} ms, where nothing was sent")]
    NotSilent { party: Party, at_ms: u64, peak: u16 },
    #[error("{party:?}: level {level:.0} at {at_ms} ms, in a pause")]
    NotQuiet { party: Party, at_ms: u64, level: f64 },
    #[error("{whose} is heard with {party:?} (correlation {correlation:.2})")]
    Foreign { party: Party, whose: String, correlation: f64 },
}
