//! How long to wait before the next attempt. Pure.

use std::time::Duration;

/// A random part of `base · 2^(attempt−1)`, the latter capped: full jitter.
pub(crate) fn full_jitter(base: Duration, cap: Duration, attempt: u32, random: f64) -> Duration {
    let exponent = attempt.saturating_sub(1).min(31);
    let ceiling = base.saturating_mul(1 << exponent).min(cap);
    let part = ceiling.as_secs_f64() * random.clamp(0.0, 1.0);
    // A float can be a little more than the duration it came from, up to what no duration holds.
    Duration::try_from_secs_f64(part).map_or(ceiling, |wait| wait.min(ceiling))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn durations() -> impl Strategy<Value = Duration> {
        prop_oneof![
            (0u64..100_000).prop_map(Duration::from_millis),
            (any::<u64>(), 0u32..1_000_000_000).prop_map(|(s, n)| Duration::new(s, n)),
            Just(Duration::ZERO),
            Just(Duration::MAX),
        ]
    }

    proptest! {
        #[test]
        fn b9_waits_stay_within_bounds(attempt in any::<u32>(), random in prop_oneof![any::<f64>(), Just(1.0)], base in durations(), cap in durations()) {
            let wait = full_jitter(base, cap, attempt, random);
            prop_assert!(wait <= cap);
        }
    }
}
