//! How an attempt ended, as far as it decides about another one. Pure, but for the clock.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode};

use crate::{
    http::{
        error::{BoxError, Error, ErrorKind, Fare, Result, kind_of},
        operation::Effect,
        retry_after::RetryAfter,
    },
    layer::observe::{Ending, Marks, Waiting},
};

/// What the policy needs to know about the end of an attempt.
pub(super) struct Outcome {
    status: Option<StatusCode>,
    kind: Option<ErrorKind>,
    /// The kind as observers are told it: none where nothing is known of a stranger's error.
    told: Option<ErrorKind>,
    pub(super) retry_after: Option<Duration>,
    pub(super) is_transient: bool,
    /// Whether nothing was taken of the request.
    pub(super) is_unsent: bool,
    /// Of a failure that others met too.
    pub(super) fare: Option<Fare>,
}

impl Outcome {
    pub(super) fn is_throttled(&self) -> bool {
        self.status == Some(StatusCode::TOO_MANY_REQUESTS)
    }

    pub(super) fn of<R>(result: &Result<http::Response<R>, BoxError>, effect: Effect) -> Self {
        match result {
            Ok(response) => Self::of_answer(response.status(), response.headers(), effect),
            Err(error) => match error.downcast_ref::<Error>() {
                Some(ours) => Self::of_error(ours, effect),
                None => {
                    let stands_for = Error::standing_for(&**error);
                    Self { told: kind_of(error), ..Self::of_error(&stands_for, effect) }
                }
            },
        }
    }

    /// Tells the observers of the wait that follows, until the result is dropped.
    pub(super) fn tell(&self, marks: &Marks, attempt: u32) -> Waiting {
        let reason = match (self.kind, self.status) {
            (None, Some(status)) => Ending::Answered(status),
            _ => Ending::Failed(self.told),
        };
        marks.waiting(reason, self.retry_after.is_some(), attempt)
    }

    fn of_answer(status: StatusCode, headers: &HeaderMap, effect: Effect) -> Self {
        let is_transient = match status.as_u16() {
            429 => true,
            408 | 500 | 502 | 503 | 504 => effect.is_repeatable(),
            _ => false,
        };
        let retry_after = RetryAfter::of(headers, SystemTime::now());
        Self {
            status: Some(status),
            kind: None,
            told: None,
            retry_after,
            is_transient,
            is_unsent: false,
            fare: None,
        }
    }

    fn of_error(error: &Error, effect: Effect) -> Self {
        Self {
            status: error.status(),
            kind: Some(error.kind()),
            told: Some(error.kind()),
            retry_after: error.retry_after(),
            is_transient: error.is_retryable() && (error.is_unsent() || effect.is_repeatable()),
            is_unsent: error.is_unsent(),
            fare: error.fare(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.status) {
            (Some(kind), _) => write!(f, "{kind}"),
            (None, Some(status)) => write!(f, "{}", status.as_u16()),
            (None, None) => f.write_str("unknown"),
        }
    }
}
