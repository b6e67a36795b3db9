//! How strict the comparison is, by what was done to the media.

use earwitness_fixtures::codec::{Codec, Fidelity};
use earwitness_fixtures::spec::Trouble;

/// Least correlation of each stretch of speech that need not be equal.
pub const CORRELATION_MIN: f64 = 0.98;

/// Tolerances for one stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grade {
    /// Each sample must be equal.
    pub exact: bool,
    /// How far the stream may lie from where its packets arrived.
    pub shift_ms: f64,
    /// Packet times after a loss or gap that count as concealment still: decoders with memory recover slowly.
    pub recovery: usize,
    /// Packet times at the beginning that are not compared.
    pub warm_up: usize,
}

impl Grade {
    #[must_use]
    pub fn of(codec: Codec, trouble: Trouble) -> Self {
        // A clock that drifts is followed by resampling: alike, not equal.
        let resampled = matches!(trouble, Trouble::Drift(_) | Trouble::Jitter(_));
        let exact = codec.fidelity() == Fidelity::Exact && !resampled;
        let shift_ms = match trouble {
            Trouble::Jitter(ms) => f64::from(ms) + 2.0,
            _ => 2.0,
        };
        // An Opus decoder is told of a loss, and makes of it what its version does; that of the others is known.
        let recovery = if codec == Codec::Opus { 6 } else { 1 };
        // A decoder of iLBC begins as its maker likes: RFC 3951 leaves open what it has heard before.
        let warm_up = if matches!(codec, Codec::Ilbc20 | Codec::Ilbc30) { 6 } else { 0 };
        Self { exact, shift_ms, recovery, warm_up }
    }
}
