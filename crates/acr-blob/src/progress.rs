//! How far a transfer got.

use std::{fmt, sync::Arc};

/// How far a transfer got. Passed to the function given to `on_progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes the other side has taken so far.
    pub transferred: u64,
    /// Bytes in all, if known.
    pub total: Option<u64>,
}

/// Calls the caller's function, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl Observer {
    pub(crate) fn new(function: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(function)))
    }

    pub(crate) fn note(&self, transferred: u64, total: Option<u64>) {
        if let Some(function) = &self.0 {
            function(Progress { transferred, total });
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observer" } else { "None" })
    }
}
