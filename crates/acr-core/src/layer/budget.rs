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

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU32::new(CAPACITY)))
    }

    /// Pays for a retry; `false` when there is not enough left.
    pub(crate) fn withdraw(&self, is_throttled: bool) -> bool {
        let cost = if is_throttled { COST_THROTTLED } else { COST };
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |tokens| tokens.checked_sub(cost))
            .is_ok()
    }

    /// A call that ended well brings back what its last retry cost, or one token.
    pub(crate) fn deposit(&self, retried: bool) {
        let refund = if retried { COST } else { 1 };
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
        let paid = (0..1_000).filter(|_| budget.withdraw(false)).count();
        assert_eq!(paid, 35);
        assert!(budget.withdraw(true) && !budget.withdraw(false));
        for _ in 0..10_000 {
            budget.deposit(false);
        }
        assert_eq!((0..1_000).filter(|_| budget.withdraw(true)).count(), 100);
    }
}
