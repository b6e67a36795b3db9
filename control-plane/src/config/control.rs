//! `[control]`: who may start, stop, pause and mask recordings while a call runs.

use super::section::settings;
use super::{Commander, ConfigError, OnDemand, PauseStyle};
use crate::call::coverage;
use crate::control::keys::Codes;
use crate::control::network::Network;
use crate::control::{self, Operation, Settings};

/// Keys of a telephone.
const KEYS: &str = "0123456789*#ABCD";
/// The longest feature code.
const CODE_KEYS_MAX: usize = 16;

settings! {
    /// Who may start, stop, pause and mask recordings while a call runs.
    pub struct Control in "control" {
        /// Networks whose commands in signalling and media are obeyed, such as `["10.0.0.0/8"]`; none: nobody's.
        pub allow: Vec<String> = Vec::new(),
        /// Which party's commands are obeyed: `caller`, `callee` or `either`.
        pub from: Commander = Commander::Either,
        /// Feature codes: keys pressed in the call, or dialled. An empty one is off.
        pub pause_code: String = "*48".to_owned(),
        /// Goes on after a pause.
        pub resume_code: String = "*49".to_owned(),
        /// Begins a recording.
        pub start_code: String = String::new(),
        /// Ends it; what is begun after that is another one.
        pub stop_code: String = String::new(),
        /// Begins a recording, or ends the one that runs.
        pub toggle_code: String = String::new(),
        /// Silence for both parties.
        pub mask_code: String = String::new(),
        /// Ends the silence.
        pub unmask_code: String = String::new(),
        /// Whether feature codes are also looked for as tones in G.711 audio, which costs time for every packet.
        pub tones: bool = false,
        /// The header of INVITE, or of its answer, by whose value a MESSAGE names the call.
        pub session_header: String = "X-Session-Id".to_owned(),
        /// Recordings that no rule began: `off`, `now` (from the word on) or `call_start` (media is kept until the call is over).
        pub on_demand: OnDemand = OnDemand::Off,
        /// What a pause becomes: `silence` of its length, or `cut`.
        pub pause: PauseStyle = PauseStyle::Silence,
        /// Whether all keys (RFC 4733, INFO) are hidden, in audio and rows, not those of feature codes alone; those of RFC 4733 in the log, too, where INFO stays as SIP said it.
        pub mask_keys: bool = false,
    }
}

impl Control {
    /// What the control module is told.
    ///
    /// # Errors
    /// A network or a code that is none.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let network = |text: &String| {
            text.parse::<Network>().map_err(|_| ConfigError::Value {
                key: "control.allow",
                value: text.clone(),
                remedy: "write addresses and networks, such as [\"10.0.0.0/8\", \"192.0.2.7\"]",
            })
        };
        Ok(Settings {
            allow: self.allow.iter().map(network).collect::<Result<_, _>>()?,
            commander: match self.from {
                Commander::Caller => control::Commander::Caller,
                Commander::Callee => control::Commander::Callee,
                Commander::Either => control::Commander::Either,
            },
            codes: Codes::new(self.codes()?),
            session_header: self.session_header.clone(),
            tones: self.tones,
            on_demand: match self.on_demand {
                OnDemand::Off => control::OnDemand::Off,
                OnDemand::Now => control::OnDemand::FromNow,
                OnDemand::CallStart => control::OnDemand::FromStart,
            },
            mask_keys: self.mask_keys,
        })
    }

    /// What takes are agreed to be, as far as control says it.
    #[must_use]
    pub fn pause_style(&self) -> coverage::PauseStyle {
        match self.pause {
            PauseStyle::Silence => coverage::PauseStyle::Silence,
            PauseStyle::Cut => coverage::PauseStyle::Cut,
        }
    }

    fn codes(&self) -> Result<Vec<(String, Operation)>, ConfigError> {
        let all = [
            ("control.pause_code", &self.pause_code, Operation::Pause),
            ("control.resume_code", &self.resume_code, Operation::Resume),
            ("control.start_code", &self.start_code, Operation::Start),
            ("control.stop_code", &self.stop_code, Operation::Stop),
            ("control.toggle_code", &self.toggle_code, Operation::Toggle),
            ("control.mask_code", &self.mask_code, Operation::Mask),
            ("control.unmask_code", &self.unmask_code, Operation::Unmask),
        ];
        let mut codes: Vec<(String, Operation)> = Vec::new();
        for (key, code, operation) in all {
            let refused = |remedy| ConfigError::Value { key, value: code.clone(), remedy };
            if code.len() > CODE_KEYS_MAX || !code.chars().all(|key| KEYS.contains(key)) {
                return Err(refused("use up to 16 of the keys 0 to 9, *, #, A to D"));
            }
            if !code.is_empty() && codes.iter().any(|(known, _)| known == code) {
                return Err(refused("use each code once"));
            }
            codes.push((code.clone(), operation));
        }
        Ok(codes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// POL-8: what cannot be meant is refused by its key.
    #[test]
    fn codes_and_networks_are_checked() {
        let refused = |control: Control| control.settings().expect_err("refused").to_string();
        Control::default().settings().expect("defaults are valid");
        let control = Control { start_code: "*48".to_owned(), ..Control::default() };
        assert!(refused(control).contains("control.start_code"));
        let control = Control { mask_code: "x".to_owned(), ..Control::default() };
        assert!(refused(control).contains("control.mask_code"));
        let control = Control { allow: vec!["10.0.0.0/40".to_owned()], ..Control::default() };
        assert!(refused(control).contains("control.allow"));
    }
}
