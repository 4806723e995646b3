//! How long the parts of an exchange may take.

use std::time::Duration;

use crate::http::{
    error::{BoxError, Error, ErrorKind},
    operation::Effect,
};

/// How long the parts of an exchange may take.
///
/// ```
/// use std::time::Duration;
/// use acr_core::layer::Timeouts;
///
/// let timeouts = Timeouts::default().head(Duration::from_secs(10)).idle(Duration::from_secs(5));
/// # let _ = timeouts;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    head: Duration,
    commit: Duration,
    pub(super) idle: Duration,
}

impl Timeouts {
    /// How long the head of an answer may take (default 30 s).
    #[must_use]
    pub fn head(mut self, limit: Duration) -> Self {
        self.head = limit;
        self
    }

    /// The same where the registry has to hash or check content first: the end
    /// of an upload and a manifest put (default 120 s).
    #[must_use]
    pub fn commit(mut self, limit: Duration) -> Self {
        self.commit = limit;
        self
    }

    /// How long a body in either direction may make no progress (default 30 s).
    #[must_use]
    pub fn idle(mut self, limit: Duration) -> Self {
        self.idle = limit;
        self
    }

    /// What holds for the head of the answer to a request of this effect.
    pub(super) fn head_of(&self, effect: Option<Effect>) -> Duration {
        match effect {
            Some(Effect::Commit | Effect::Move) => self.commit,
            _ => self.head,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            commit: Duration::from_secs(120),
            idle: Duration::from_secs(30),
        }
    }
}

pub(super) fn timed_out(what: &str, limit: Duration) -> BoxError {
    Error::new(ErrorKind::Timeout, format!("{what} within {limit:?}")).into()
}
