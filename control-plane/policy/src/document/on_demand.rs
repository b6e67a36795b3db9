//! Recording on demand, and what people may do during a call (002, 003).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys pressed, or a number dialled, during a call. Empty: as `[control]` of the daemon has it, where pause is `*48`
/// and resume `*49` (003).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FeatureCodes {
    pub start: String,
    pub stop: String,
    /// Starts, or stops what was started.
    pub toggle: String,
    pub pause: String,
    pub resume: String,
    pub mask: String,
    pub unmask: String,
}

impl FeatureCodes {
    /// Every code with its name, also the empty ones.
    #[must_use]
    pub fn named(&self) -> [(&'static str, &str); 7] {
        [
            ("start", &self.start),
            ("stop", &self.stop),
            ("toggle", &self.toggle),
            ("pause", &self.pause),
            ("resume", &self.resume),
            ("mask", &self.mask),
            ("unmask", &self.unmask),
        ]
    }
}

/// On-demand (in-call) recording.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OnDemand {
    /// Whether people may start a recording during a call.
    pub enabled: bool,
    pub feature_codes: FeatureCodes,
    /// A recording that is started on demand begins with the call, not with the code.
    pub from_call_start: bool,
}

/// What becomes of a pause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PauseMode {
    /// Silence of the same length.
    #[default]
    Mask,
    /// Left out.
    Cut,
}
