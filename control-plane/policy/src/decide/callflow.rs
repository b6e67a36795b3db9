//! The call flow's actions `record_call` and `record_caller` (001).

use super::start::{Origin, Start, Starts};
use super::view::Seen;
use crate::decision::{Parts, Voices};
use crate::document::Action;
use crate::index::Policy;
use crate::trace::{Mark, Tell};

/// What it says of recordings that others start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Nothing,
    Stop,
}

pub fn judge(policy: &Policy, seen: &Seen<'_>, starts: &mut Starts, tell: &mut impl Tell) -> Said {
    let Some(id) = seen.callflow else { return Said::Nothing };
    let flow = &policy.callflows[id.at()];
    let mut said = Said::Nothing;
    let parts = Parts { audio: true, video: seen.video() };
    if let Some(action) = &flow.record_call {
        let origin = Origin::Callflow(id);
        match action.action {
            Action::Start => {
                tell.say(Mark::Yes, || format!("{} starts", origin.text(policy)));
                starts.add(Start {
                    label: action.label.clone(),
                    media_name: action.media_name.clone(),
                    ..Start::new(origin, action.cell.clone(), parts)
                });
            }
            Action::Stop => {
                tell.say(Mark::No, || format!("{} stops", origin.text(policy)));
                said = Said::Stop;
            }
        }
    }
    if let Some(action) = &flow.record_caller {
        let origin = Origin::CallflowCaller(id);
        tell.say(Mark::Yes, || format!("{} records the caller alone", origin.text(policy)));
        starts.add(Start {
            voices: Voices::Caller,
            method: Some(action.method),
            ..Start::new(origin, action.cell.clone(), Parts { audio: true, video: false })
        });
    }
    said
}
