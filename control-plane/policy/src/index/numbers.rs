//! Sets of numbers and beginnings of numbers.

use std::collections::HashSet;

use super::{Map, TenantId};
use crate::identity::{self, Dialling, Number};

/// Prefixes with what each stands for; the longest counts.
#[derive(Debug)]
pub struct Prefixes<T> {
    entries: Map<Box<str>, T>,
    /// Their lengths, longest first.
    lengths: Vec<usize>,
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self { entries: Map::default(), lengths: Vec::new() }
    }
}

impl<T: Copy> Prefixes<T> {
    /// Adds a prefix; one that is there stays, and is given back.
    pub fn add(&mut self, prefix: &str, value: T) -> Option<T> {
        if let Some(known) = self.entries.get(prefix) {
            return Some(*known);
        }
        self.entries.insert(prefix.into(), value);
        if let Err(at) = self.lengths.binary_search_by(|length| prefix.len().cmp(length)) {
            self.lengths.insert(at, prefix.len());
        }
        None
    }

    /// What the longest prefix of `number` stands for.
    pub fn find(&self, number: &str) -> Option<T> {
        let prefix = |length: &usize| self.entries.get(number.get(..*length)?).copied();
        self.lengths.iter().find_map(prefix)
    }
}

/// Numbers and ranges of tenants in the public network.
#[derive(Debug, Default)]
pub struct Ranges {
    exact: Map<Box<str>, TenantId>,
    prefixes: Prefixes<TenantId>,
}

impl Ranges {
    /// Adds an entry; one that another tenant has stays with it, and its owner is given back.
    pub fn add(&mut self, entry: &str, tenant: TenantId, dialling: &Dialling) -> Option<TenantId> {
        let (stem, is_prefix) = stem(entry);
        let number = Number::read(stem, dialling)?;
        let known = match is_prefix {
            true => self.prefixes.add(number.as_str(), tenant),
            false => self.exact.insert(number.as_str().into(), tenant),
        };
        known.filter(|known| *known != tenant)
    }

    pub fn find(&self, number: &str) -> Option<TenantId> {
        self.exact.get(number).copied().or_else(|| self.prefixes.find(number))
    }
}

fn stem(entry: &str) -> (&str, bool) {
    entry.strip_suffix('*').map_or((entry, false), |stem| (stem, true))
}

/// A list of numbers, ranges and addresses.
#[derive(Debug, Default)]
pub struct NumberSet {
    addresses: HashSet<Box<str>, foldhash::fast::RandomState>,
    exact: HashSet<Box<str>, foldhash::fast::RandomState>,
    prefixes: Prefixes<()>,
}

impl NumberSet {
    pub fn add(&mut self, entry: &str, dialling: &Dialling) {
        if let (user, Some(host)) = identity::split(entry) {
            self.addresses.insert(identity::address(user, host).into());
            return;
        }
        let (stem, is_prefix) = stem(entry);
        let Some(number) = Number::read(stem, dialling) else { return };
        if is_prefix {
            self.prefixes.add(number.as_str(), ());
        } else {
            self.exact.insert(number.as_str().into());
        }
    }

    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.exact.is_empty() && self.prefixes.lengths.is_empty()
    }

    /// Whether a SIP address or a number is in it, as a tenant dials it.
    pub fn holds(&self, text: &str, dialling: &Dialling) -> bool {
        let (user, host) = identity::split(text);
        if let Some(host) = host
            && !self.addresses.is_empty()
            && self.addresses.contains(identity::address(user, host).as_str())
        {
            return true;
        }
        let Some(number) = Number::read(user, dialling) else { return false };
        let forms = [Some(number), number.with_plus()];
        forms.into_iter().flatten().any(|number| {
            self.exact.contains(number.as_str()) || self.prefixes.find(number.as_str()).is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// POL-12: lists hold numbers in any form, ranges, and addresses.
    #[test]
    fn lists_hold_numbers_ranges_and_addresses() {
        let mut set = NumberSet::default();
        assert!(set.is_empty());
        let dialling = Dialling::default();
        for entry in ["+49 30 123456", "+4940*", "299", "lawyer@firm.example"] {
            set.add(entry, &dialling);
        }
        for text in [
            "+4930123456",
            "004930123456",
            "4930123456",
            "+494012",
            "+4940",
            "299",
            "lawyer@FIRM.example",
            "+4930123456@carrier.example",
        ] {
            assert!(set.holds(text, &dialling), "{text}");
        }
        for text in
            ["+493012345", "+493", "2990", "Lawyer@firm.example", "lawyer@other.example", "alice"]
        {
            assert!(!set.holds(text, &dialling), "{text}");
        }
    }

    #[test]
    fn the_longest_range_counts() {
        let (mut ranges, dialling) = (Ranges::default(), Dialling::default());
        assert_eq!(ranges.add("+4930*", TenantId(0), &dialling), None);
        assert_eq!(ranges.add("+49301*", TenantId(1), &dialling), None);
        assert_eq!(ranges.add("+4930199", TenantId(2), &dialling), None);
        assert_eq!(ranges.add("+4930*", TenantId(3), &dialling), Some(TenantId(0)));
        assert_eq!(ranges.find("+49302"), Some(TenantId(0)));
        assert_eq!(ranges.find("+493012"), Some(TenantId(1)));
        assert_eq!(ranges.find("+4930199"), Some(TenantId(2)));
        assert_eq!(ranges.find("+4940"), None);
    }
}
