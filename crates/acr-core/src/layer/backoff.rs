//! How long to wait before the next attempt. Pure.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, header};

use crate::response::{header_text, header_u64};

/// A random part of `base · 2^(attempt−1)`, the latter capped: full jitter.
pub(crate) fn full_jitter(base: Duration, cap: Duration, attempt: u32, random: f64) -> Duration {
    let exponent = attempt.saturating_sub(1).min(31);
    let ceiling = base.saturating_mul(1 << exponent).min(cap);
    ceiling.mul_f64(random.clamp(0.0, 1.0))
}

/// The wait a server asks for, in any of its forms; anything else is ignored.
///
/// `retry-after-ms` and `x-ms-retry-after-ms` in milliseconds, `Retry-After` in
/// seconds or as an HTTP date. Zero and the past count as no wish.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let millis = [RETRY_AFTER_MS, X_MS_RETRY_AFTER_MS]
        .iter()
        .find_map(|name| header_u64(headers, name))
        .map(Duration::from_millis);
    let seconds = || header_u64(headers, &header::RETRY_AFTER).map(Duration::from_secs);
    let date = || {
        let text = header_text(headers, &header::RETRY_AFTER)?;
        httpdate::parse_http_date(text)
            .ok()?
            .duration_since(now)
            .ok()
    };
    millis
        .or_else(seconds)
        .or_else(date)
        .filter(|wait| !wait.is_zero())
}

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const X_MS_RETRY_AFTER_MS: HeaderName = HeaderName::from_static("x-ms-retry-after-ms");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_of_retry_after() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        for (name, text, seconds) in [
            ("retry-after", "2", Some(2.0)),
            ("retry-after", "86400", Some(86_400.0)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT", Some(3.0)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:30 GMT", None),
            ("retry-after-ms", "1500", Some(1.5)),
            ("x-ms-retry-after-ms", "250", Some(0.25)),
            ("retry-after", "0", None),
            ("retry-after", "-1", None),
            ("retry-after", "+5", None),
            ("retry-after", "1.5", None),
            ("retry-after", "1e9", None),
            ("retry-after", "inf", None),
            ("retry-after", "NaN", None),
            ("retry-after", "soon", None),
            ("retry-after", "", None),
            ("retry-after", "99999999999999999999999", None),
        ] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), text.parse().unwrap())]);
            let wait = retry_after(&headers, now).map(|wait| wait.as_secs_f64());
            assert_eq!(wait, seconds, "{name}: {text}");
        }
    }

    proptest! {
        #[test]
        fn waits_stay_within_bounds(attempt in any::<u32>(), random in any::<f64>(), base in 0u64..100_000, cap in 0u64..100_000) {
            prop_assume!(!random.is_nan());
            let (base, cap) = (Duration::from_millis(base), Duration::from_millis(cap));
            let wait = full_jitter(base, cap, attempt, random);
            prop_assert!(wait <= cap);
        }

        #[test]
        fn any_header_text_is_read_without_panic(text in "[ -~]{0,30}") {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            let _ = retry_after(&headers, SystemTime::UNIX_EPOCH);
        }
    }
}
