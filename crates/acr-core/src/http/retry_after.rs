//! The wait a server asks for, in its three forms. Pure.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, header};
use thiserror::Error as ThisError;

use crate::http::headers::{header_text, header_u64};

/// The value of `Retry-After`: seconds, or an HTTP date (RFC 9110 §10.2.3).
///
/// ```
/// use acr_core::http::RetryAfter;
/// use std::time::{Duration, SystemTime};
///
/// let wait: RetryAfter = "120".parse()?;
/// assert_eq!(wait.from_now(SystemTime::now()), Some(Duration::from_secs(120)));
/// assert!("+5".parse::<RetryAfter>().is_err());
/// # Ok::<(), acr_core::http::ParseRetryAfterError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// This many seconds after the answer.
    Seconds(u64),
    /// Not before this time, by the server's clock.
    Date(SystemTime),
}

/// The text is neither seconds in ASCII digits nor an HTTP date.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("`{}` is not a time to retry after", crate::http::redact::printable(.text))]
pub struct ParseRetryAfterError {
    text: String,
}

impl RetryAfter {
    /// What the headers of an answer ask for: `retry-after-ms` and `x-ms-retry-after-ms`
    /// in milliseconds, else `Retry-After`. `None` for no wish, a wish that cannot be
    /// read, zero, and the past.
    ///
    /// ```
    /// use acr_core::http::RetryAfter;
    /// use http::{HeaderMap, HeaderValue, header};
    /// use std::time::{Duration, SystemTime};
    ///
    /// let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static("2"))]);
    /// let wait = RetryAfter::of(&headers, SystemTime::now());
    /// assert_eq!(wait, Some(Duration::from_secs(2)));
    /// ```
    pub fn of(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
        let millis = [RETRY_AFTER_MS, X_MS_RETRY_AFTER_MS]
            .iter()
            .find_map(|name| header_u64(headers, name))
            .map(Duration::from_millis);
        let standard = || {
            let text = header_text(headers, &header::RETRY_AFTER)?;
            text.parse::<Self>().ok()?.from_now(now)
        };
        millis.filter(|wait| !wait.is_zero()).or_else(standard)
    }

    /// How long that is from now; `None` for zero and the past.
    pub fn from_now(&self, now: SystemTime) -> Option<Duration> {
        let wait = match self {
            Self::Seconds(seconds) => Duration::from_secs(*seconds),
            Self::Date(date) => date.duration_since(now).ok()?,
        };
        (!wait.is_zero()).then_some(wait)
    }
}

impl FromStr for RetryAfter {
    type Err = ParseRetryAfterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseRetryAfterError { text: text.to_owned() };
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().map(Self::Seconds).map_err(|_| refuse());
        }
        httpdate::parse_http_date(text).map(Self::Date).map_err(|_| refuse())
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => seconds.fmt(f),
            Self::Date(date) => httpdate::HttpDate::from(*date).fmt(f),
        }
    }
}

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const X_MS_RETRY_AFTER_MS: HeaderName = HeaderName::from_static("x-ms-retry-after-ms");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    #[test]
    fn every_form_and_every_nonsense() {
        const STANDARD: &str = "retry-after";
        for (name, text, seconds) in [
            (STANDARD, "1", Some(1.0)),
            (STANDARD, "2", Some(2.0)),
            (STANDARD, "60", Some(60.0)),
            (STANDARD, "86400", Some(86_400.0)),
            (STANDARD, "007", Some(7.0)),
            (STANDARD, "9223372036854775807", Some(9_223_372_036_854_775_807.0)),
            (STANDARD, "18446744073709551615", Some(18_446_744_073_709_551_615.0)),
            (STANDARD, "18446744073709551616", None),
            (STANDARD, "99999999999999999999999", None),
            (STANDARD, "0", None),
            (STANDARD, "000", None),
            (STANDARD, "-1", None),
            (STANDARD, "-0", None),
            (STANDARD, "+5", None),
            (STANDARD, " 5", None),
            (STANDARD, "5 ", None),
            (STANDARD, "5s", None),
            (STANDARD, "1.5", None),
            (STANDARD, "1,5", None),
            (STANDARD, "5, 6", None),
            (STANDARD, "1e9", None),
            (STANDARD, "0x10", None),
            (STANDARD, "inf", None),
            (STANDARD, "Infinity", None),
            (STANDARD, "NaN", None),
            (STANDARD, "soon", None),
            (STANDARD, "", None),
            (STANDARD, "\u{661}", None),
            (STANDARD, "Sun, 06 Nov 1994 08:49:40 GMT", Some(3.0)),
            (STANDARD, "Sunday, 06-Nov-94 08:49:40 GMT", Some(3.0)),
            (STANDARD, "Sun Nov  6 08:49:40 1994", Some(3.0)),
            (STANDARD, "Sun, 06 Nov 1994 08:49:37 GMT", None),
            (STANDARD, "Sun, 06 Nov 1994 08:49:30 GMT", None),
            (STANDARD, "Thu, 01 Jan 1970 00:00:00 GMT", None),
            (STANDARD, "Sun, 06 Nov 1994 08:49:40", None),
            (STANDARD, "Sun, 06 Nov 1994 08:49:40 CET", None),
            (STANDARD, "Sun, 36 Nov 1994 08:49:40 GMT", None),
            (STANDARD, "1994-11-06T08:49:40Z", None),
            (STANDARD, "Mon, 07 Nov 1994 08:49:37 GMT", Some(86_400.0)),
            ("retry-after-ms", "1500", Some(1.5)),
            ("retry-after-ms", "0", None),
            ("retry-after-ms", "-5", None),
            ("retry-after-ms", "1.5", None),
            ("x-ms-retry-after-ms", "250", Some(0.25)),
            ("x-ms-retry-after-ms", "soon", None),
        ] {
            let Ok(value) = http::HeaderValue::from_str(text) else { panic!("{text}") };
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value)]);
            let wait = RetryAfter::of(&headers, now()).map(|wait| wait.as_secs_f64());
            assert_eq!(wait, seconds, "{name}: {text}");
        }
    }

    #[test]
    fn milliseconds_go_before_seconds_and_two_wishes_are_none() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        headers.insert("x-ms-retry-after-ms", "1500".parse().unwrap());
        assert_eq!(RetryAfter::of(&headers, now()), Some(Duration::from_millis(1_500)));
        headers.remove("x-ms-retry-after-ms");
        headers.append("retry-after", "8".parse().unwrap());
        assert_eq!(RetryAfter::of(&headers, now()), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic_and_round_trips(text in "\\PC{0,30}") {
            if let Ok(value) = text.parse::<RetryAfter>() {
                prop_assert_eq!(value.to_string().parse(), Ok(value));
                let _ = value.from_now(now());
            }
        }

        #[test]
        fn what_is_printed_is_read(seconds in any::<u64>(), date in 0u64..250_000_000_000) {
            let date = RetryAfter::Date(SystemTime::UNIX_EPOCH + Duration::from_secs(date));
            for value in [RetryAfter::Seconds(seconds), date] {
                prop_assert_eq!(value.to_string().parse(), Ok(value));
            }
        }
    }
}
