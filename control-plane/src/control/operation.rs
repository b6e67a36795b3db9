//! What can be asked of a call's recording, and the words for it.

/// One thing that can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Start,
    Stop,
    /// Stop where it is recording, start where it is not.
    Toggle,
    Pause,
    Resume,
    Mask,
    Unmask,
    /// Of video, which is not recorded: understood, and without effect.
    PauseVideo,
    ResumeVideo,
    /// What cannot be read: it is only ever refused.
    Unknown,
}

impl Operation {
    /// Those that can be configured and commanded.
    pub const ALL: [Self; 7] = [
        Self::Start,
        Self::Stop,
        Self::Toggle,
        Self::Pause,
        Self::Resume,
        Self::Mask,
        Self::Unmask,
    ];

    /// The word in commands, traces and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Toggle => "toggle",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Mask => "mask",
            Self::Unmask => "unmask",
            Self::PauseVideo => "pause_video",
            Self::ResumeVideo => "resume_video",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the word of a command, as people and phone systems write it: `pause`, `Pause-Recording`,
    /// `pause-audio-recording`, `pause_video_recording`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase().replace('_', "-");
        let word = word.strip_suffix("-recording").unwrap_or(&word);
        if let Some(word) = word.strip_suffix("-video") {
            return match word {
                "pause" => Some(Self::PauseVideo),
                "resume" => Some(Self::ResumeVideo),
                _ => None,
            };
        }
        let word = word.strip_suffix("-audio").unwrap_or(word);
        Self::ALL.into_iter().find(|known| known.name() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::Operation;

    /// POL-8: the words of 003, and plain ones.
    #[test]
    fn words_are_read() {
        for (word, operation) in [
            ("pause", Some(Operation::Pause)),
            ("resume", Some(Operation::Resume)),
            ("pause-audio-recording", Some(Operation::Pause)),
            ("resume-audio-recording", Some(Operation::Resume)),
            ("pause-video-recording", Some(Operation::PauseVideo)),
            ("resume-video-recording", Some(Operation::ResumeVideo)),
            (" Pause_Recording\r\n", Some(Operation::Pause)),
            ("start", Some(Operation::Start)),
            ("toggle", Some(Operation::Toggle)),
            ("unmask", Some(Operation::Unmask)),
            ("start-video", None),
            ("erase", None),
            ("", None),
        ] {
            assert_eq!(Operation::parse(word), operation, "{word:?}");
        }
    }
}
