//! Verdicts and connections on their way into the XDP programs: what they drop costs no copy.
//!
//! That a program does not take them is no breach: the writer applies the same verdicts where packets leave the line.

use earwitness_ipc::{Command, Event, Fault};

use crate::program::{Program, ProgramError};
use crate::source::chain;
use crate::tapping::Tapping;

#[derive(Debug, Default)]
pub(crate) struct Steering {
    /// Kernels before 5.19 update no map for who has no privilege; it is told once.
    refused: bool,
    full: bool,
}

impl Steering {
    /// Takes a command over into all programs; gives what the control plane should know.
    pub(crate) fn apply(&mut self, command: &Command, taps: &[Tapping]) -> Vec<Event> {
        let mut told = Vec::new();
        for program in taps.iter().filter_map(|tap| tap.program.as_deref()) {
            if let Err(error) = put(program, command) {
                told.extend(self.tell(&error));
            }
        }
        told
    }

    fn tell(&mut self, error: &ProgramError) -> Option<Event> {
        let (already, fault) = match error {
            ProgramError::VerdictsFull { .. } => (&mut self.full, Fault::TableFull),
            _ => (&mut self.refused, Fault::Source),
        };
        if std::mem::replace(already, true) {
            return None;
        }
        let text = format!(
            "the XDP program does not take verdicts; ignored media is dropped behind it: {}",
            chain(error)
        );
        tracing::warn!("{text}");
        Some(Event::error(fault, &text))
    }
}

/// Everything that the program takes, and the first of its refusals.
fn put(program: &Program, command: &Command) -> Result<(), ProgramError> {
    match command {
        Command::Verdicts(changes) => {
            let each = changes.iter().map(|change| match change.verdict {
                Some(verdict) => program.set_verdict(&change.dst, verdict),
                None => {
                    program.forget_verdict(&change.dst);
                    Ok(())
                }
            });
            each.fold(Ok(()), Result::and)
        }
        Command::LearnTcp(connections) => {
            let each = connections.iter().map(|(one, other)| program.learn_tcp(one, other));
            each.fold(Ok(()), Result::and)
        }
        Command::Hello { .. }
        | Command::Release(_)
        | Command::Erase(_)
        | Command::Note(_)
        | Command::Shutdown => Ok(()),
    }
}
