//! Keys that a party presses, put together to feature codes. Where somebody presses one is followed by way and stream
//! apart: the same key is often seen twice, as event and as INFO, or on both sides of a relay.

use std::collections::HashMap;
use std::hash::Hash;

use super::limits::{CODE_KEYS_MAX, KEY_PAUSE_NS, KEYPADS_MAX};
use super::operation::Operation;
use earwitness_policy::document::FeatureCodes;

/// One key, and when it was pressed and released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub key: char,
    pub from_ns: u64,
    pub until_ns: u64,
}

/// A feature code that was pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pressed {
    pub operation: Operation,
    pub keys: Vec<Key>,
}

/// The codes: digits, and what they mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Codes {
    codes: Vec<(String, Operation)>,
}

impl Codes {
    /// Empty codes are none.
    #[must_use]
    pub fn new(codes: impl IntoIterator<Item = (String, Operation)>) -> Self {
        Self { codes: codes.into_iter().filter(|(code, _)| !code.is_empty()).collect() }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// Those of a tenant, each instead of the general one of its operation.
    #[must_use]
    pub fn with(&self, own: &FeatureCodes) -> Self {
        let named = own.named();
        let of_tenant = Operation::ALL.into_iter().filter_map(|operation| {
            let (_, code) = named.iter().find(|(name, _)| *name == operation.name())?;
            (!code.is_empty()).then(|| ((*code).to_owned(), operation))
        });
        let mut codes: Vec<(String, Operation)> = of_tenant.collect();
        for (code, operation) in &self.codes {
            let is_taken = |(known, what): &(String, Operation)| known == code || what == operation;
            if !codes.iter().any(is_taken) {
                codes.push((code.clone(), *operation));
            }
        }
        Self { codes }
    }

    /// The operation that was dialled.
    #[must_use]
    pub fn dialled(&self, number: &[u8]) -> Option<Operation> {
        self.codes.iter().find(|(code, _)| code.as_bytes() == number).map(|(_, what)| *what)
    }

    /// The longest code that the keys end in.
    fn at_end(&self, keys: &[Key]) -> Option<(usize, Operation)> {
        let ends = |code: &str| {
            let length = code.chars().count();
            let tail = keys.len().checked_sub(length).map(|from| &keys[from..]);
            tail.is_some_and(|tail| tail.iter().map(|key| key.key).eq(code.chars()))
        };
        let matching = self.codes.iter().filter(|(code, _)| ends(code));
        matching.map(|(code, what)| (code.chars().count(), *what)).max_by_key(|(length, _)| *length)
    }
}

/// The last keys of everybody, by where they press them.
#[derive(Debug)]
pub struct Keypads<P> {
    pads: HashMap<P, Vec<Key>>,
}

impl<P> Default for Keypads<P> {
    fn default() -> Self {
        Self { pads: HashMap::new() }
    }
}

impl<P: Hash + Eq + Copy> Keypads<P> {
    /// A key was pressed. Returns the code that it completes.
    pub fn press(&mut self, place: P, key: Key, codes: &Codes) -> Option<Pressed> {
        if self.pads.len() >= KEYPADS_MAX && !self.pads.contains_key(&place) {
            self.forget_oldest();
        }
        let pad = self.pads.entry(place).or_default();
        if pad.last().is_some_and(|last| last.until_ns.saturating_add(KEY_PAUSE_NS) < key.from_ns) {
            pad.clear();
        }
        if pad.len() == CODE_KEYS_MAX {
            pad.remove(0);
        }
        pad.push(key);
        let (length, operation) = codes.at_end(pad)?;
        let keys = pad.split_off(pad.len() - length);
        self.pads.remove(&place);
        Some(Pressed { operation, keys })
    }

    /// What was pressed at these places was pressed at others.
    pub fn moved(&mut self, to: impl Fn(&P) -> Option<P>) {
        let moves: Vec<(P, P)> =
            self.pads.keys().filter_map(|place| Some((*place, to(place)?))).collect();
        for (from, to) in moves {
            if let Some(pad) = self.pads.remove(&from) {
                self.pads.insert(to, pad);
            }
        }
    }

    /// Forgets what fits `over`.
    pub fn forget(&mut self, over: impl Fn(&P) -> bool) {
        self.pads.retain(|place, _| !over(place));
    }

    fn forget_oldest(&mut self) {
        let last = |pad: &[Key]| pad.last().map_or(0, |key| key.until_ns);
        let oldest = self.pads.iter().min_by_key(|(_, pad)| last(pad)).map(|(place, _)| *place);
        if let Some(oldest) = oldest {
            self.pads.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn codes() -> Codes {
        Codes::new([
            ("*48".to_owned(), Operation::Pause),
            ("*49".to_owned(), Operation::Resume),
            ("8".to_owned(), Operation::Mask),
            (String::new(), Operation::Start),
        ])
    }

    fn press(pads: &mut Keypads<u8>, place: u8, keys: &str, at_ns: u64) -> Vec<Pressed> {
        let key = |(number, key): (u64, char)| {
            let from_ns = at_ns + number * SECOND_NS / 2;
            Key { key, from_ns, until_ns: from_ns + SECOND_NS / 10 }
        };
        let keys = (0..).zip(keys.chars()).map(key);
        keys.filter_map(|key| pads.press(place, key, &codes())).collect()
    }

    /// POL-8: a code is known among other keys, the longest counts, and each key counts once.
    #[test]
    fn codes_are_found() {
        let mut pads = Keypads::default();
        let operations = |pressed: Vec<Pressed>| -> Vec<Operation> {
            pressed.into_iter().map(|pressed| pressed.operation).collect()
        };
        let pressed = press(&mut pads, 1, "12*48", SECOND_NS);
        assert_eq!(pressed.len(), 1);
        assert_eq!(pressed[0].operation, Operation::Pause);
        let keys: String = pressed[0].keys.iter().map(|key| key.key).collect();
        assert_eq!((keys.as_str(), pressed[0].keys[0].from_ns), ("*48", 2 * SECOND_NS));
        assert_eq!(
            operations(press(&mut pads, 1, "*49*488", 9 * SECOND_NS)),
            [Operation::Resume, Operation::Pause, Operation::Mask]
        );
        assert_eq!(press(&mut pads, 1, "*4", 20 * SECOND_NS), []);
        assert_eq!(press(&mut pads, 2, "9", 21 * SECOND_NS), []);
        assert_eq!(operations(press(&mut pads, 1, "9", 21 * SECOND_NS)), [Operation::Resume]);
    }

    /// POL-8: keys that are far apart are no code.
    #[test]
    fn a_pause_begins_anew() {
        let mut pads = Keypads::default();
        assert_eq!(press(&mut pads, 1, "*4", SECOND_NS), []);
        assert_eq!(press(&mut pads, 1, "9", 7 * SECOND_NS), []);
    }

    /// S10: who pressed nothing for longest is forgotten.
    #[test]
    fn keypads_are_bounded() {
        let mut pads = Keypads::default();
        for place in 0..=KEYPADS_MAX as u64 {
            let key = Key { key: '*', from_ns: place, until_ns: place };
            pads.press(place, key, &codes());
        }
        assert_eq!(pads.pads.len(), KEYPADS_MAX);
        assert!(!pads.pads.contains_key(&0));
    }
}
