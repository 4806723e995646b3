//! How long to wait before the next attempt. Pure.

use std::time::Duration;

/// A random part of `base · 2^(attempt−1)`, the latter capped: full jitter.
pub(crate) fn full_jitter(base: Duration, cap: Duration, attempt: u32, random: f64) -> Duration {
    let exponent = attempt.saturating_sub(1).min(31);
    let ceiling = base.saturating_mul(1 << exponent).min(cap);
    ceiling.mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_stay_within_bounds(attempt in any::<u32>(), random in any::<f64>(), base in 0u64..100_000, cap in 0u64..100_000) {
            prop_assume!(!random.is_nan());
            let (base, cap) = (Duration::from_millis(base), Duration::from_millis(cap));
            let wait = full_jitter(base, cap, attempt, random);
            prop_assert!(wait <= cap);
        }
    }
}
