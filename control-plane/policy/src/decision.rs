//! What becomes of a call.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::document::{Format, Method};
use crate::facts::Stage;
use crate::index::TenantId;

/// What becomes of the media of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    Record,
    Ignore,
}

/// Which way the call goes, seen from the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Inbound,
    Outbound,
    Internal,
    /// Both parties are outside.
    External,
}

impl Direction {
    pub(crate) const fn of(caller_onnet: bool, callee_onnet: bool) -> Self {
        match (caller_onnet, callee_onnet) {
            (true, true) => Self::Internal,
            (false, true) => Self::Inbound,
            (true, false) => Self::Outbound,
            (false, false) => Self::External,
        }
    }

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Internal => "internal",
            Self::External => "external",
        }
    }
}

/// From when a recording runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Begins {
    #[default]
    AtOnce,
    OnAnswer,
    OnBridge,
}

impl Begins {
    /// Whether it runs at this stage.
    #[must_use]
    pub const fn has_begun(self, stage: Stage) -> bool {
        match self {
            Self::AtOnce => true,
            Self::OnAnswer => !matches!(stage, Stage::Ringing),
            Self::OnBridge => matches!(stage, Stage::Bridged),
        }
    }

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtOnce => "at once",
            Self::OnAnswer => "on answer",
            Self::OnBridge => "on bridge",
        }
    }
}

/// Which parts of a call. A video recording carries its sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Parts {
    pub audio: bool,
    pub video: bool,
}

/// Whose voices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Voices {
    #[default]
    Both,
    /// Voicemail, announcements: the caller alone.
    Caller,
}

/// What the recording is to be like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    pub format: Option<Format>,
    pub sample_rate: Option<u32>,
    /// Shorter recordings are deleted; 0: none.
    pub min_s: u32,
    pub time_limit_s: Option<u32>,
    pub url: Option<Arc<str>>,
    pub method: Option<Method>,
    pub label: Option<Arc<str>>,
    pub media_name: Option<Arc<str>>,
}

impl Form {
    /// One recording of two starts: what it is like, this one says where it says anything of it; it is as long as either
    /// wants, and too short only if it is so for both.
    pub fn take_in(&mut self, next: Self) {
        let Self { format, sample_rate, min_s, time_limit_s, url, method, label, media_name } =
            next;
        self.format = self.format.or(format);
        self.sample_rate = self.sample_rate.or(sample_rate);
        self.min_s = self.min_s.min(min_s);
        self.time_limit_s = self.time_limit_s.zip(time_limit_s).map(|(one, other)| one.max(other));
        if self.url.is_none() {
            (self.url, self.method) = (url, method);
        }
        self.label = self.label.take().or(label);
        self.media_name = self.media_name.take().or(media_name);
    }
}

/// What a decision says, without its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub answer: Answer,
    pub begins: Begins,
    pub parts: Parts,
    pub voices: Voices,
    pub form: Form,
    /// Whose recording it is, or who was asked.
    pub tenant: Option<TenantId>,
    pub direction: Option<Direction>,
    /// The callee is a queue or a call flow: that it answers is no bridge.
    pub callee_is_machine: bool,
    /// Whatever anybody asks for, it is not recorded.
    pub is_forbidden: bool,
}

impl Outcome {
    /// Not recorded.
    #[must_use]
    pub fn ignore() -> Self {
        Self {
            answer: Answer::Ignore,
            begins: Begins::AtOnce,
            parts: Parts::default(),
            voices: Voices::Both,
            form: Form::default(),
            tenant: None,
            direction: None,
            callee_is_machine: false,
            is_forbidden: false,
        }
    }

    /// The audio of all that there is.
    #[must_use]
    pub fn record() -> Self {
        Self {
            answer: Answer::Record,
            parts: Parts { audio: true, video: false },
            ..Self::ignore()
        }
    }

    /// Whether it is recorded at this stage of the call.
    #[must_use]
    pub fn records_at(&self, stage: Stage) -> bool {
        self.answer == Answer::Record && self.begins.has_begun(stage)
    }
}
