//! Lists of payload types: most calls have the same few, which are kept once for all of them.

use std::sync::Arc;

use smallvec::SmallVec;

use super::payload_type::PayloadType;
use super::session::Session;

/// Lists that are remembered; a list that is forgotten stays with the calls that have it.
const LISTS_MAX: usize = 32;

/// Types of most lists.
const USUAL_TYPES: usize = 8;

/// The lists that were asked for lately, those that are asked for often in front.
#[derive(Debug, Default)]
pub struct Formats {
    lists: Vec<Arc<[PayloadType]>>,
}

impl Formats {
    /// The list of these types.
    pub fn list<'a>(&mut self, types: impl Iterator<Item = &'a PayloadType>) -> Arc<[PayloadType]> {
        let asked: SmallVec<[&PayloadType; USUAL_TYPES]> = types.collect();
        let is_it = |list: &Arc<[PayloadType]>| list.iter().eq(asked.iter().copied());
        if let Some(at) = self.lists.iter().position(is_it) {
            let list = Arc::clone(&self.lists[at]);
            self.lists.swap(at, at.saturating_sub(1));
            return list;
        }
        self.lists.truncate(LISTS_MAX - 1);
        let list: Arc<[PayloadType]> = asked.into_iter().cloned().collect();
        self.lists.push(Arc::clone(&list));
        list
    }

    /// Lets a description have the lists that are there already.
    pub fn share(&mut self, session: &mut Session) {
        for media in session.media.iter_mut().filter(|media| !media.payload_types.is_empty()) {
            media.payload_types = self.list(media.payload_types.iter());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CALL-2, S10: a list is what was asked for, one for all who ask, and no more are kept than may be.
    #[test]
    fn lists_are_shared_and_bounded() {
        let types: Vec<PayloadType> = (0..100).map(PayloadType::from_static).collect();
        let mut formats = Formats::default();
        let usual = formats.list(types[..3].iter());
        for at in 0..types.len() {
            let list = formats.list(types[at..].iter());
            assert_eq!(*list, types[at..]);
            assert!(Arc::ptr_eq(&usual, &formats.list(types[..3].iter())));
            assert!(formats.lists.len() <= LISTS_MAX);
        }
    }
}
