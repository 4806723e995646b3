//! Errors of strangers: what kind they are, and how they become ours.
//!
//! Layers of tower stand in the stack with errors of their own. What these mean is known by
//! their types, so that the retry loop and the caller can act on it.

use std::{any::Any, error::Error as StdError};

use http_body_util::LengthLimitError;
use tower::{load_shed::error::Overloaded, timeout::error::Elapsed};

use super::{BoxError, Error, ErrorKind};
use crate::http::error::foreign::{ForeignError, chain};

impl From<BoxError> for Error {
    /// One of ours stays what it is, also inside of somebody else's error; but then nothing is
    /// known of what was sent, so it is not [unsent](Error::is_unsent). What tower's layers say of themselves keeps its meaning: a
    /// time-out is [`ErrorKind::Timeout`], shed load is [`ErrorKind::Throttled`] and
    /// [unsent](Error::is_unsent), if nothing wraps it, and a body above a limit is
    /// [`ErrorKind::TooLarge`]. Anything else is [`ErrorKind::Transport`], "no connection" too: a
    /// client that follows redirects may have sent the request before. The source is the words of the error and its causes that are
    /// known to be no secret, such as `connection refused`, with `…` for the rest.
    fn from(error: BoxError) -> Self {
        adopt(error, "the exchange with the server broke")
    }
}

impl Error {
    /// An error of a body: kept if it is one of ours, mostly a broken connection otherwise.
    pub(crate) fn from_body<E: Into<BoxError>>(error: E) -> Self {
        adopt(error.into(), "the connection broke in the body")
    }
}

fn adopt(error: BoxError, otherwise: &'static str) -> Error {
    let other = match error.downcast::<Error>() {
        Ok(ours) => return *ours,
        Err(other) => other,
    };
    match Nature::of(&*other) {
        Nature::Ours(ours) => ours.inside_of_another(),
        nature => nature.to_error(&*other, otherwise).with_source(ForeignError::of(&*other)),
    }
}

impl Error {
    /// One of ours that means what somebody else's does, for those who only look.
    pub(crate) fn standing_for(other: &(dyn StdError + 'static)) -> Self {
        Nature::of(other).to_error(other, "")
    }
}

/// Whether a limit refused the request. One inside of another error may have refused a request
/// that came after this one.
fn is_shed(error: &(dyn StdError + 'static)) -> bool {
    error.is::<Overloaded>()
}

/// The kind of any error that a layer passes on; `None` where nothing is known of it.
pub(crate) fn kind_of<E: 'static>(error: &E) -> Option<ErrorKind> {
    let error: &dyn Any = error;
    if let Some(ours) = error.downcast_ref::<Error>() {
        return Some(ours.kind());
    }
    let boxed: &BoxError = error.downcast_ref()?;
    if let Some(ours) = boxed.downcast_ref::<Error>() {
        return Some(ours.kind());
    }
    match Nature::of(&**boxed) {
        Nature::Unknown => None,
        nature => Some(nature.kind()),
    }
}

/// The kind for logs and spans; OpenTelemetry's word where there is none.
pub(crate) fn kind_name<E: 'static>(error: &E) -> String {
    kind_of(error).map_or_else(|| "_OTHER".to_owned(), |kind| kind.to_string())
}

/// What is known of somebody else's error.
#[derive(Clone, Copy, Debug)]
enum Nature<'a> {
    /// It wraps one of ours.
    Ours(&'a Error),
    /// A time-out of a layer.
    Elapsed,
    /// A limit that lets nobody wait.
    Shed,
    /// A body above a limit.
    TooLarge,
    Unknown,
}

impl<'a> Nature<'a> {
    fn of(error: &'a (dyn StdError + 'static)) -> Self {
        for cause in chain(error).take(MAX_CAUSES) {
            if let Some(ours) = cause.downcast_ref() {
                return Self::Ours(ours);
            }
            if cause.is::<Elapsed>() || cause.is::<tokio::time::error::Elapsed>() {
                return Self::Elapsed;
            }
            if cause.is::<Overloaded>() {
                return Self::Shed;
            }
            if cause.is::<LengthLimitError>() {
                return Self::TooLarge;
            }
        }
        Self::Unknown
    }

    fn to_error(self, error: &(dyn StdError + 'static), otherwise: &'static str) -> Error {
        if let Self::Ours(ours) = self {
            return ours.inside_of_another();
        }
        let meant = Error::new(self.kind(), self.words().unwrap_or(otherwise));
        if is_shed(error) { meant.before_sending() } else { meant }
    }

    fn kind(self) -> ErrorKind {
        match self {
            Self::Ours(ours) => ours.kind(),
            Self::Elapsed => ErrorKind::Timeout,
            Self::Shed => ErrorKind::Throttled,
            Self::TooLarge => ErrorKind::TooLarge,
            Self::Unknown => ErrorKind::Transport,
        }
    }

    fn words(self) -> Option<&'static str> {
        match self {
            Self::Elapsed => Some("the time-out of a layer passed"),
            Self::Shed => Some("a layer lets no more calls through at once"),
            Self::TooLarge => Some("the body is larger than a layer allows"),
            Self::Ours(_) | Self::Unknown => None,
        }
    }
}

/// Of a chain, which a stranger could tie into a knot.
const MAX_CAUSES: usize = 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use thiserror::Error as ThisError;

    use super::*;

    /// As a layer of somebody's wraps what came from below.
    #[derive(Debug, ThisError)]
    #[error("the call failed")]
    struct Wrapper(#[source] BoxError);

    #[test]
    fn one_of_ours_in_somebody_elses_stays_what_it_is_but_may_have_been_sent() {
        let wrapped = |ours: Error| BoxError::from(Wrapper(Wrapper(ours.into()).into()));
        let untrusted = || Error::new(ErrorKind::Connect, "not trusted").permanent();
        let throttled = || {
            let seven = Some(Duration::from_secs(7));
            Error::new(ErrorKind::Throttled, "wait").with_retry_after(seven).before_sending()
        };
        let error = wrapped(untrusted());
        assert_eq!(kind_of(&error), Some(ErrorKind::Connect));
        for error in [Error::standing_for(&*wrapped(untrusted())), Error::from(error)] {
            assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Connect, false));
            assert!(!error.is_unsent(), "who knows what the layer sent before");
            assert_eq!(error.to_string(), untrusted().to_string());
        }
        for error in [Error::standing_for(&*wrapped(throttled())), wrapped(throttled()).into()] {
            assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
            assert!(error.is_retryable() && !error.is_unsent());
        }
        let body = Error::from_body(wrapped(Error::new(ErrorKind::Integrity, "other bytes")));
        assert_eq!(body.kind(), ErrorKind::Integrity);
    }

    #[test]
    fn towers_errors_keep_their_meaning_and_ours_stay_ours() {
        let refused = Error::new(ErrorKind::Policy, "no").with_attempts(2);
        for (error, kind, is_unsent) in [
            (BoxError::from(Elapsed::new()), ErrorKind::Timeout, false),
            (BoxError::from(Overloaded::new()), ErrorKind::Throttled, true),
            (BoxError::from(std::io::Error::other("x")), ErrorKind::Transport, false),
            (BoxError::from(refused), ErrorKind::Policy, false),
        ] {
            let known = kind_of(&error);
            let error = Error::from(error);
            assert_eq!((error.kind(), error.is_unsent()), (kind, is_unsent));
            assert_eq!(known, Some(kind).filter(|kind| *kind != ErrorKind::Transport));
        }
        assert_eq!(kind_of(&std::io::Error::other("x")), None);
        assert_eq!(kind_of(&Error::new(ErrorKind::Connect, "x")), Some(ErrorKind::Connect));
    }
}
