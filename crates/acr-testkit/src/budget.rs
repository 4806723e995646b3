//! A bound on what is kept in memory, shared by all that keep something there.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How many bytes may be kept, and how many are.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

/// A part of a budget; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Takes a part, if it is there to take.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let mut share = self.owe(0);
        share.grow(bytes).then_some(share)
    }

    /// Takes a part, there or not: for what has to be kept all the same.
    pub(crate) fn owe(self: &Arc<Self>, bytes: usize) -> Share {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Share { budget: Arc::clone(self), bytes }
    }
}

impl Share {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more, if it is there to take; whether it was.
    pub(crate) fn grow(&mut self, by: usize) -> bool {
        let Budget { limit, used } = &*self.budget;
        let more = |used: usize| used.checked_add(by).filter(|sum| sum <= limit);
        let is_taken = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if is_taken {
            self.bytes += by;
        }
        is_taken
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let budget = Budget::new(10);
        let mut first = budget.take(6).unwrap();
        assert!(budget.take(5).is_none());
        assert!(first.grow(4) && !first.grow(1));
        let owed = budget.owe(5);
        drop(first);
        assert!(budget.take(6).is_none() && budget.take(5).is_some());
        drop(owed);
        assert!(budget.take(usize::MAX).is_none() && budget.take(10).is_some());
    }
}
