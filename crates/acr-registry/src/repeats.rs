//! Notices a list that gives again what it gave before.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, Hash, RandomState},
};

use acr_core::{Error, ErrorKind, Result};

/// What was seen: the whole page before, and of every page its ends.
///
/// Sixteen bytes a page, so that a list of any length is read in the same memory.
/// A page that comes back is always noticed.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    hasher: RandomState,
    previous: HashSet<u64>,
    ends: HashSet<u64>,
}

impl Repeats {
    /// Takes a page's items and refuses what was there before, within the page too.
    pub(crate) fn check<K: Hash>(&mut self, items: impl Iterator<Item = K>) -> Result<()> {
        let hashes: Vec<u64> = items.map(|item| self.hasher.hash_one(item)).collect();
        let page: HashSet<u64> = hashes.iter().copied().collect();
        let is_seen = |hash: &u64| self.previous.contains(hash) || self.ends.contains(hash);
        if page.len() != hashes.len() || page.iter().any(is_seen) {
            return Err(Error::new(ErrorKind::Protocol, "the list gives an item a second time"));
        }
        self.ends.extend(hashes.first().into_iter().chain(hashes.last()));
        if !page.is_empty() {
            self.previous = page;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_comes_back_is_noticed() {
        let mut repeats = Repeats::default();
        assert!(repeats.check([1, 2, 3].iter()).is_ok());
        assert!(repeats.check([4, 5, 6].iter()).is_ok());
        assert!(repeats.check(std::iter::empty::<&i32>()).is_ok());
        for page in [&[1, 2, 3][..], &[7, 5], &[3, 9], &[8, 8]] {
            assert!(repeats.check(page.iter()).is_err(), "{page:?}");
        }
        assert!(repeats.check([7].iter()).is_ok());
    }
}
