//! A client-wide limit on retries, so that a dead service is not hit harder than a live one.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Tokens that retries cost and successes bring back. Shared by all clones.
///
/// The figures are those of the AWS SDKs' standard mode: 500 tokens, 14 for a
/// retry, 5 after throttling (where the server is known to be alive).
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<AtomicU32>);

/// What a retry cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost(u32);

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU32::new(CAPACITY)))
    }

    /// Pays for a retry; `None` when there is not enough left.
    pub(crate) fn withdraw(&self, is_throttled: bool) -> Option<Cost> {
        let cost = if is_throttled { COST_THROTTLED } else { COST };
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |tokens| tokens.checked_sub(cost))
            .ok()
            .map(|_| Cost(cost))
    }

    /// A call that ended well brings back what its last retry cost, or one token.
    pub(crate) fn deposit(&self, last_retry: Option<Cost>) {
        let refund = last_retry.map_or(1, |cost| cost.0);
        let add = |tokens: u32| Some(tokens.saturating_add(refund).min(CAPACITY));
        // The closure never gives up, so the update cannot fail.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
    }
}

const CAPACITY: u32 = 500;
const COST: u32 = 14;
const COST_THROTTLED: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_dry_and_fills_up_to_its_capacity() {
        let budget = Budget::new();
        let paid = (0..1_000).filter(|_| budget.withdraw(false).is_some()).count();
        assert_eq!(paid, 35);
        assert!(budget.withdraw(true).is_some() && budget.withdraw(false).is_none());
        for _ in 0..10_000 {
            budget.deposit(None);
        }
        assert_eq!((0..1_000).filter(|_| budget.withdraw(true).is_some()).count(), 100);
    }

    #[test]
    fn no_kind_of_retry_earns_more_than_it_cost() {
        let budget = Budget::new();
        for is_throttled in [true, false] {
            let all = CAPACITY / COST;
            let paid: Vec<_> = (0..all).filter_map(|_| budget.withdraw(is_throttled)).collect();
            let left = budget.0.load(Ordering::Relaxed);
            budget.deposit(paid.last().copied());
            let cost = if is_throttled { COST_THROTTLED } else { COST };
            assert_eq!(budget.0.load(Ordering::Relaxed), left + cost);
            (0..CAPACITY).for_each(|_| budget.deposit(None));
        }
    }
}
