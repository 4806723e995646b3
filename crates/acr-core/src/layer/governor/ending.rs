//! How a call ended, as far as it tells something of the host. Pure.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, StatusCode};

use crate::http::{
    error::{ErrorKind, kind_of},
    headers::header_text,
    retry_after::RetryAfter,
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ending {
    /// Dropped, or nothing that says whether the host counted it.
    Unknown,
    TimedOut,
    Throttled {
        wish: Option<Duration>,
    },
    Answered {
        /// How many calls the host still takes, if it says so.
        left: Option<f64>,
        is_overloaded: bool,
        /// Whether the time to its head says something of the host.
        is_comparable: bool,
    },
}

impl Ending {
    /// `has_content` is of the request: to send it takes as long as it takes.
    pub(super) fn of<R, E: 'static>(
        result: &Result<http::Response<R>, E>,
        has_content: bool,
    ) -> Self {
        match result {
            Ok(answer) => Self::of_answer(answer.status(), answer.headers(), has_content),
            Err(error) if kind_of(error) == Some(ErrorKind::Timeout) => Self::TimedOut,
            Err(_) => Self::Unknown,
        }
    }

    fn of_answer(status: StatusCode, headers: &HeaderMap, has_content: bool) -> Self {
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Self::Throttled { wish: RetryAfter::of(headers, SystemTime::now()) };
        }
        let is_overloaded = matches!(status.as_u16(), 408 | 503 | 504);
        let is_comparable = !has_content && status.is_success();
        Self::Answered { left: left(headers), is_overloaded, is_comparable }
    }
}

/// What is left of a quota of a minute, told as calls a second.
fn left(headers: &HeaderMap) -> Option<f64> {
    let per_second: f64 = header_text(headers, &REMAINING)?.parse().ok()?;
    let left = per_second * 60.0;
    (left.is_finite() && left >= 0.0).then_some(left)
}

const REMAINING: HeaderName = HeaderName::from_static("x-ms-ratelimit-remaining-calls-per-second");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::Error;

    fn answer(status: u16, headers: &[(&'static str, &str)]) -> Result<http::Response<()>, Error> {
        let mut answer = http::Response::new(());
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            answer.headers_mut().append(*name, value.parse().unwrap());
        }
        Ok(answer)
    }

    #[test]
    fn what_a_host_says_is_left_is_believed_if_it_is_a_number() {
        const NAME: &str = "x-ms-ratelimit-remaining-calls-per-second";
        for (text, calls) in [
            ("0.000000", Some(0.0)),
            ("0.5", Some(30.0)),
            ("166.65", Some(9_999.0)),
            ("-1", None),
            ("NaN", None),
            ("inf", None),
            ("1e300", Some(6e301)),
            ("1e308", None),
            ("many", None),
            ("", None),
        ] {
            let Ending::Answered { left, .. } = Ending::of(&answer(200, &[(NAME, text)]), false)
            else {
                panic!("{text}")
            };
            assert_eq!(left, calls, "{text}");
        }
        let two = answer(200, &[(NAME, "1"), (NAME, "2")]);
        assert!(matches!(Ending::of(&two, false), Ending::Answered { left: None, .. }));
    }

    #[test]
    fn answers_and_errors_are_told_apart() {
        let wish = Some(Duration::from_secs(7));
        let throttled = Ending::of(&answer(429, &[("retry-after", "7")]), false);
        assert_eq!(throttled, Ending::Throttled { wish });
        assert_eq!(Ending::of(&answer(429, &[]), true), Ending::Throttled { wish: None });
        for (status, has_content, is_overloaded, is_comparable) in [
            (200, false, false, true),
            (200, true, false, false),
            (404, false, false, false),
            (503, false, true, false),
        ] {
            let ending = Ending::of(&answer(status, &[]), has_content);
            let expected = Ending::Answered { left: None, is_overloaded, is_comparable };
            assert_eq!(ending, expected, "{status}");
        }
        for (kind, ending) in
            [(ErrorKind::Timeout, Ending::TimedOut), (ErrorKind::Connect, Ending::Unknown)]
        {
            let error = Err::<http::Response<()>, _>(Error::new(kind, "x"));
            assert_eq!(Ending::of(&error, false), ending);
        }
    }
}
