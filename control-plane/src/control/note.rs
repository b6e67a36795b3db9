//! Commands that are in no packet of the log: they are written into it as notes, so that who reads it again does the
//! same (the log is the truth).
//!
//! Those of the machine's own people, and those whose keys came while their media was masked. A note says what was done
//! to which call, when and by whom; the process that did it does not do it again when it reads it.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::operation::Operation;
use super::{Command, limits::RECENT_MAX};
use crate::call::Party;
use crate::call::coverage::By;

/// A note as the log has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// Of the process that wrote it, and when it did.
    number: u64,
    at_ns: u64,
    call: String,
    operation: String,
    by: String,
    party: Option<String>,
    side: Option<String>,
    who: Option<String>,
    from: Option<String>,
}

/// Notes that are to be written, and those that need not be obeyed when they are read.
#[derive(Debug, Default)]
pub struct Notes {
    number: u64,
    unwritten: Vec<String>,
    own: HashSet<(u64, u64)>,
}

impl Notes {
    /// Notes a command that was obeyed.
    pub fn add(&mut self, call: &str, command: &Command) {
        self.number += 1;
        let name = |party: Option<Party>| party.map(|party| party.name().to_owned());
        let note = Note {
            number: self.number,
            at_ns: command.at_ns,
            call: call.to_owned(),
            operation: command.operation.name().to_owned(),
            by: command.by.name().to_owned(),
            party: name(command.party),
            side: name(command.side),
            who: command.who.clone(),
            from: command.from.clone(),
        };
        let Ok(text) = serde_json::to_string(&note) else { return };
        if self.own.len() >= RECENT_MAX {
            self.own.clear();
        }
        self.own.insert((note.at_ns, note.number));
        self.unwritten.push(text);
    }

    /// What is to be written.
    pub fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unwritten)
    }

    /// What a note of the log asks for: the call's id, and the command; none if it was done already, or is of another kind.
    pub fn read(&mut self, text: &str) -> Option<(String, Command)> {
        let note: Note = serde_json::from_str(text).ok()?;
        if self.own.remove(&(note.at_ns, note.number)) {
            return None;
        }
        let command = Command {
            operation: Operation::parse(&note.operation)?,
            at_ns: note.at_ns,
            by: BYS.into_iter().find(|by| by.name() == note.by)?,
            party: party(note.party.as_deref()),
            side: party(note.side.as_deref()),
            who: note.who,
            from: note.from,
        };
        Some((note.call, command))
    }
}

/// By what a noted command may have come.
const BYS: [By; 3] = [By::Socket, By::Event, By::Tone];

fn party(name: Option<&str>) -> Option<Party> {
    [Party::Caller, Party::Callee].into_iter().find(|party| Some(party.name()) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Idea 1: another process does what a note says, the one that wrote it does not do it twice.
    #[test]
    fn a_note_is_obeyed_by_who_did_not_write_it() {
        let command = Command {
            operation: Operation::Mask,
            at_ns: 17,
            by: By::Socket,
            party: None,
            side: Some(Party::Callee),
            who: Some("uid 0".to_owned()),
            from: None,
        };
        let mut notes = Notes::default();
        notes.add("id", &command);
        let written = notes.take();
        assert_eq!(written.len(), 1);
        assert_eq!(notes.read(&written[0]), None);
        let mut other = Notes::default();
        assert_eq!(other.read(&written[0]), Some(("id".to_owned(), command)));
        assert_eq!(other.read("{}"), None);
    }
}
