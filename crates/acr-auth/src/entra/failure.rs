//! Why a source gave no token; cheap to hand to everybody who waited for it.

use std::{fmt, sync::Arc};

use acr_core::{Error, ErrorKind, http::BoxError};

use super::unavailable::CredentialUnavailable;

/// The two ways to give no token.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    Unavailable(CredentialUnavailable),
    Failed(Arc<Error>),
}

impl Failure {
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable(CredentialUnavailable::new(message.into()))
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error::new(kind, message).into()
    }

    /// Whether an authority was asked and said no, as against trouble on the way to it.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Unavailable(_) => false,
            Self::Failed(error) => match error.kind() {
                ErrorKind::Unauthenticated | ErrorKind::Forbidden => true,
                ErrorKind::Rejected => !error.is_retryable(),
                _ => false,
            },
        }
    }

    /// For constructors, which have one kind of error.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Unavailable(error) => {
                Error::new(ErrorKind::Credential, "the credential is not available here")
                    .with_source(error)
            }
            Self::Failed(error) => Error::shared(&error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(error) => fmt::Display::fmt(error, f),
            Self::Failed(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(Arc::new(error))
    }
}

impl From<Failure> for BoxError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable(error) => error.into(),
            Failure::Failed(error) => Error::shared(&error).into(),
        }
    }
}
