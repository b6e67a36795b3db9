//! The rules in force: a set of policies, and what holds where none speaks.

use std::sync::Arc;

use earwitness_policy::{Fallback, Policy};

use super::version::Version;
use crate::config::RecordDefault;

/// What the calls are asked against; cheap to hand on.
#[derive(Debug, Clone)]
pub struct Rules {
    pub policy: Arc<Policy>,
    /// `None`: there are no policies.
    pub version: Option<Arc<Version>>,
    pub fallback: Fallback,
}

impl Rules {
    /// Without policies: `recording.default` holds for all calls.
    #[must_use]
    pub fn without_policies(default: RecordDefault) -> Self {
        let fallback = match default {
            RecordDefault::All => Fallback::RecordAll,
            RecordDefault::None => Fallback::RecordNone,
        };
        Self { policy: Arc::default(), version: None, fallback }
    }

    /// With a set; `recording.default` holds for calls of no tenant.
    #[must_use]
    pub fn with(self, policy: Policy, version: Version) -> Self {
        Self { policy: Arc::new(policy), version: Some(Arc::new(version)), ..self }
    }
}
