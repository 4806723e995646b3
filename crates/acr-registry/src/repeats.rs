//! Notices a list that gives again what it gave before.

use std::{
    collections::HashSet,
    hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher, RandomState},
};

use acr_core::{Error, ErrorKind, Result};

/// What was seen: hashes of all items up to a number, beyond it of the whole page before
/// and the ends of every page.
///
/// So the memory has a bound, sixteen bytes a page aside. An item that comes back is
/// always noticed within that number; beyond it, a page that comes back is, and any run
/// of a page's length, however it is cut.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    hasher: RandomState,
    previous: Hashes,
    seen: Hashes,
    /// Pages in a row on which there was nothing.
    empty: usize,
}

/// They are spread already, by a hasher that no server knows.
type Hashes = HashSet<u64, BuildHasherDefault<AsItIs>>;

#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Repeats {
    /// Takes a page's items and refuses what was there before, within the page too.
    pub(crate) fn check<K: Hash>(&mut self, items: impl Iterator<Item = K>) -> Result<()> {
        let hashes: Vec<u64> = items.map(|item| self.hasher.hash_one(item)).collect();
        let page: Hashes = hashes.iter().copied().collect();
        let is_seen = |hash: &u64| self.previous.contains(hash) || self.seen.contains(hash);
        if page.len() != hashes.len() || page.iter().any(is_seen) {
            return Err(Error::new(ErrorKind::Protocol, "the list gives an item a second time"));
        }
        if self.seen.len().saturating_add(hashes.len()) <= MAX_ITEMS {
            self.seen.extend(hashes);
        } else {
            self.seen.extend(hashes.first().into_iter().chain(hashes.last()));
            if !page.is_empty() {
                self.previous = page;
            }
        }
        Ok(())
    }

    /// Counts pages that the registry sent without an item. A few are right, since a
    /// registry may leave out what the caller must not see; without end they are not.
    pub(crate) fn count_empty(&mut self, is_empty: bool) -> Result<()> {
        self.empty = if is_empty { self.empty.saturating_add(1) } else { 0 };
        if self.empty > MAX_EMPTY {
            return Err(Error::new(ErrorKind::Protocol, "the list goes on without an item"));
        }
        Ok(())
    }
}

/// A quarter of a mebibyte of hashes.
const MAX_ITEMS: usize = 16 * 1024;

/// Pages in a row without an item.
const MAX_EMPTY: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_comes_back_is_noticed() {
        let mut repeats = Repeats::default();
        assert!(repeats.check([1, 2, 3].iter()).is_ok());
        assert!(repeats.check([4, 5, 6].iter()).is_ok());
        assert!(repeats.check(std::iter::empty::<&i32>()).is_ok());
        for page in [&[1, 2, 3][..], &[7, 5], &[3, 9], &[8, 8], &[2]] {
            assert!(repeats.check(page.iter()).is_err(), "{page:?}");
        }
        assert!(repeats.check([7].iter()).is_ok());
    }

    #[test]
    fn beyond_what_is_remembered_a_run_of_a_pages_length_is_noticed() {
        const PAGE: usize = 1_000;
        let mut repeats = Repeats::default();
        for page in 0..100 {
            assert!(repeats.check(page * PAGE..(page + 1) * PAGE).is_ok());
        }
        assert!(repeats.seen.len() <= MAX_ITEMS + 200, "{}", repeats.seen.len());
        for first in [0, 15_500, 40_000, 60_001, 77_500, 98_999, 99_000] {
            assert!(repeats.check(first..first + PAGE).is_err(), "{first}");
        }
        assert!(repeats.check([10_500_usize].into_iter()).is_err(), "of the first ones every item");
        assert!(repeats.check(100 * PAGE..101 * PAGE).is_ok());
    }

    #[test]
    fn a_list_may_pause_and_not_stop_without_an_end() {
        let mut repeats = Repeats::default();
        for _ in 0..3 {
            for _ in 0..MAX_EMPTY {
                assert!(repeats.count_empty(true).is_ok());
            }
            assert!(repeats.count_empty(false).is_ok());
        }
        for _ in 0..MAX_EMPTY {
            assert!(repeats.count_empty(true).is_ok());
        }
        assert!(repeats.count_empty(true).is_err());
    }
}
