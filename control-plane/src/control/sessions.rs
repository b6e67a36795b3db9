//! Which calls a session id names: `X-Session-Id`, or what the configuration calls it, and Session-ID (RFC 7989).
//!
//! A call has as many ids as its legs say; the id of legs that are one call names it once. Several calls may have the same.

use std::collections::HashMap;

use earwitness_voip::sip::{self, Message};

use super::limits::{SESSION_BYTES_MAX, SESSIONS_MAX, SESSIONS_PER_CALL_MAX};
use crate::call::CallSlot;

/// The ids of calls in progress.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_id: HashMap<String, Vec<CallSlot>>,
    by_call: HashMap<CallSlot, Vec<String>>,
    /// Ids of all calls.
    count: usize,
}

/// There are too many ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// The session ids that a message names: in the header of that name, and in Session-ID, of both ends.
pub(super) fn named(message: &Message<'_>, header: &str) -> Vec<String> {
    let own = message.header_by_name(header.as_bytes()).next();
    let own = own.map(|id| sip::text(id.trim_ascii()).into_owned());
    let hex = |half: [u8; 16]| half.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let halves = message.session_id().into_iter();
    let halves = halves.flat_map(|id| [Some(id.local), id.remote]).flatten().map(hex);
    let all = own.into_iter().chain(halves);
    all.filter(|id| !id.is_empty() && id.len() <= SESSION_BYTES_MAX).collect()
}

impl Sessions {
    /// The calls that have the id.
    pub(super) fn of(&self, id: &str) -> &[CallSlot] {
        let id = id.trim();
        // RFC 7989 section 5: of hexadecimal digits, in lower case; people copy them as they like.
        let calls = self.by_id.get(id).or_else(|| self.by_id.get(&id.to_ascii_lowercase()));
        calls.map_or(&[], Vec::as_slice)
    }

    /// A message of a call says that it has this id.
    pub(super) fn add(&mut self, id: String, slot: CallSlot) -> Result<(), Full> {
        let own = self.by_call.entry(slot).or_default();
        if own.contains(&id) {
            return Ok(());
        }
        if own.len() >= SESSIONS_PER_CALL_MAX || self.count >= SESSIONS_MAX {
            return Err(Full);
        }
        self.count += 1;
        own.push(id.clone());
        self.by_id.entry(id).or_default().push(slot);
        Ok(())
    }

    /// A call has become a part of another, which has its ids from now on.
    pub(super) fn moved(&mut self, from: CallSlot, into: CallSlot) -> Result<(), Full> {
        let ids = self.forget(from);
        ids.into_iter().try_for_each(|id| self.add(id, into))
    }

    /// The call is over. Its ids are told.
    pub(super) fn forget(&mut self, slot: CallSlot) -> Vec<String> {
        let ids = self.by_call.remove(&slot).unwrap_or_default();
        self.count -= ids.len();
        for id in &ids {
            if let Some(calls) = self.by_id.get_mut(id) {
                calls.retain(|known| *known != slot);
                if calls.is_empty() {
                    self.by_id.remove(id);
                }
            }
        }
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(index: u32) -> CallSlot {
        CallSlot::new(index, 0)
    }

    /// POL-8, CALL-5: ids of legs that are one call name one call, those of several calls all of them.
    #[test]
    fn an_id_names_calls() {
        let mut sessions = Sessions::default();
        for (id, call) in [("a", 1), ("b", 2), ("a", 3), ("a", 1), ("c", 1)] {
            sessions.add(id.to_owned(), slot(call)).expect("there is room");
        }
        assert_eq!(sessions.of(" a "), [slot(1), slot(3)]);
        sessions.moved(slot(2), slot(1)).expect("there is room");
        assert_eq!(sessions.of("b"), [slot(1)]);
        sessions.moved(slot(3), slot(1)).expect("there is room");
        assert_eq!(sessions.of("a"), [slot(1)]);
        let mut ids = sessions.forget(slot(1));
        ids.sort_unstable();
        assert_eq!(ids, ["a", "b", "c"]);
        assert!(sessions.by_id.is_empty() && sessions.by_call.is_empty() && sessions.count == 0);
    }

    /// S10: no call has more ids than there may be.
    #[test]
    fn ids_are_bounded() {
        let mut sessions = Sessions::default();
        for id in 0..SESSIONS_PER_CALL_MAX {
            sessions.add(id.to_string(), slot(1)).expect("there is room");
        }
        assert_eq!(sessions.add("another".to_owned(), slot(1)), Err(Full));
        assert_eq!(sessions.of("another"), []);
    }
}
