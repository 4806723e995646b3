//! The questions that callers ask of an error instead of matching on its kind.

use std::io;

use http::StatusCode;

use super::{Error, ErrorKind};
use crate::http::error::code::ErrorCode;

/// What sort of failure it is. An error may be of several sorts, or of none.
impl Error {
    /// Whether the same call may succeed later: what the retry layer goes by.
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::Connect, "…").is_retryable());
    /// assert!(!Error::new(ErrorKind::Forbidden, "…").is_retryable());
    /// ```
    pub fn is_retryable(&self) -> bool {
        if self.0.permanent {
            return false;
        }
        match self.0.kind {
            ErrorKind::Throttled
            | ErrorKind::Timeout
            | ErrorKind::Transport
            | ErrorKind::Connect => true,
            ErrorKind::Server => {
                self.0.status.is_none_or(|s| matches!(s.as_u16(), 500 | 502 | 503 | 504))
            }
            ErrorKind::Rejected => self.0.status == Some(StatusCode::REQUEST_TIMEOUT),
            _ => false,
        }
    }

    /// Whether the trouble passes by itself, so that the whole job may be tried again later: all
    /// that is [retryable](Error::is_retryable), every other 5xx but those that say "never" (501,
    /// 505), and an upload session that was lost, where the same call cannot go on and a new one can.
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::Session, "…").is_transient());
    /// assert!(!Error::new(ErrorKind::InvalidInput, "…").is_transient());
    /// ```
    pub fn is_transient(&self) -> bool {
        if self.0.permanent {
            return false;
        }
        match self.0.kind {
            ErrorKind::Server => !self.0.status.is_some_and(|s| matches!(s.as_u16(), 501 | 505)),
            ErrorKind::Session => true,
            _ => self.is_retryable(),
        }
    }

    /// Whether somebody has to sign in or to be given rights: the credential failed, was not
    /// taken, or does not suffice. A lock is none of it ([`ErrorKind::Disallowed`]).
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::Credential, "…").is_auth());
    /// assert!(!Error::new(ErrorKind::Disallowed, "…").is_auth());
    /// ```
    pub fn is_auth(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Credential | ErrorKind::Unauthenticated | ErrorKind::Forbidden
        )
    }

    /// Whether the thing asked for does not exist.
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::NotFound, "…").is_not_found());
    /// assert!(!Error::new(ErrorKind::Rejected, "…").is_not_found());
    /// ```
    pub fn is_not_found(&self) -> bool {
        self.0.kind == ErrorKind::NotFound
    }

    /// Whether something else stands there than was expected: somebody was faster, or a tag
    /// stands elsewhere. Read again, decide, repeat.
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::Conflict, "…").is_conflict());
    /// assert!(!Error::new(ErrorKind::Rejected, "…").is_conflict());
    /// ```
    pub fn is_conflict(&self) -> bool {
        self.0.kind == ErrorKind::Conflict
    }

    /// Whether the registry has no such operation: it says so (`UNSUPPORTED`), or answers 405 or
    /// 501. A lock, which is a 405 too, is none of it.
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    /// use http::StatusCode;
    ///
    /// let error = Error::new(ErrorKind::Server, "…").with_status(StatusCode::NOT_IMPLEMENTED);
    /// assert!(error.is_unsupported());
    /// ```
    pub fn is_unsupported(&self) -> bool {
        let status = self.0.status.map(|status| status.as_u16());
        match self.0.kind {
            ErrorKind::Rejected => {
                status == Some(405) || self.code() == Some(&ErrorCode::UNSUPPORTED)
            }
            ErrorKind::Server => status == Some(501),
            _ => false,
        }
    }

    /// The exit code for a program that ends with this error: [`ErrorKind::exit_code`].
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::NotFound, "no such tag");
    /// assert_eq!(error.exit_code(), ErrorKind::NotFound.exit_code());
    /// ```
    pub fn exit_code(&self) -> u8 {
        self.0.kind.exit_code()
    }
}

/// An error of the kind that comes nearest, with this one inside. What failed in the caller's own
/// file or stream keeps its kind.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let source = error.0.source.as_deref().filter(|_| error.kind() == ErrorKind::Source);
        let own = source.and_then(|source| source.downcast_ref::<Self>()).map(Self::kind);
        Self::new(own.unwrap_or_else(|| error.kind().as_io()), error)
    }
}

#[cfg(test)]
mod tests;
