//! A list that is empty in nearly all calls.

use std::ops::{Deref, DerefMut};

/// Takes one word while it is empty, where a `Vec` takes three. Read as a slice; grows through [`Seldom::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::box_collection, reason = "it is there for what it takes when it is empty")]
pub struct Seldom<T>(Option<Box<Vec<T>>>);

impl<T> Seldom<T> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// The list itself, to add or take away.
    pub fn list(&mut self) -> &mut Vec<T> {
        self.0.get_or_insert_default()
    }

    /// Adds one at the end.
    pub fn push(&mut self, item: T) {
        self.list().push(item);
    }

    /// Keeps what is wanted.
    pub fn retain(&mut self, is_wanted: impl FnMut(&T) -> bool) {
        if let Some(list) = &mut self.0 {
            list.retain(is_wanted);
        }
    }

    /// Keeps so many from the first on.
    pub fn truncate(&mut self, most: usize) {
        if let Some(list) = &mut self.0 {
            list.truncate(most);
        }
    }

    /// Takes all, and leaves it empty.
    pub fn take(&mut self) -> Vec<T> {
        self.0.take().map_or_else(Vec::new, |list| *list)
    }
}

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for Seldom<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl<T> DerefMut for Seldom<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_deref_mut().map_or(&mut [], Vec::as_mut_slice)
    }
}

impl<T> Extend<T> for Seldom<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        for item in items {
            self.push(item);
        }
    }
}

impl<T> FromIterator<T> for Seldom<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut list = Self::new();
        list.extend(items);
        list
    }
}

impl<'a, T> IntoIterator for &'a Seldom<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list_and_takes_a_word() {
        assert_eq!(size_of::<Seldom<u64>>(), size_of::<usize>());
        let mut list: Seldom<u64> = [3, 4].into_iter().collect();
        list.extend([5]);
        list[0] = 2;
        assert_eq!(*list, [2, 4, 5]);
        assert_eq!(list.take(), [2, 4, 5]);
        assert!(list.is_empty());
        assert_eq!(list, Seldom::new());
    }
}
