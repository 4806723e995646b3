//! The error of the test infrastructure.

use std::error::Error as StdError;

/// The result of starting, asking or stopping foreign software.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was attempted, and why it failed.
///
/// `Debug` is what a failing test prints, so it shows the text and the source.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    what: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    pub(crate) fn with_source(
        what: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { what: what.into(), source: Some(source.into()) }
    }
}

/// Says what was attempted when something fails: `read(path).attempt(|| "read the index")?`.
pub(crate) trait Attempt<T> {
    fn attempt<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Attempt<T> for Result<T, E> {
    fn attempt<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|source| Error::with_source(what(), source))
    }
}
