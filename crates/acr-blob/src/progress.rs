//! How far a transfer got.

use std::{fmt, sync::Arc};

/// How far a transfer got. Passed to the function given to `on_progress`.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |blobs, digest| {
/// use acr_blob::{Phase, Progress};
///
/// let bar = |progress: Progress| match (progress.phase, progress.total) {
///     (Phase::Done, _) => println!("done: {} bytes", progress.transferred),
///     (Phase::Transferring, Some(total)) => println!("{} of {total}", progress.transferred),
///     (phase, _) => println!("{phase:?}, tried again {} times", progress.retries),
/// };
/// blobs.upload("sample layer").on_progress(bar).await?;
/// # Ok(()) });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes the other side has taken so far; within one long body, those handed to the
    /// connection. Smaller than before when some have to be sent again.
    pub transferred: u64,
    /// Bytes in all, if known.
    pub total: Option<u64>,
    /// What is being done.
    pub phase: Phase,
    /// How often something went wrong since the last success, and was mended.
    pub retries: u32,
}

/// What a transfer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Bytes pass.
    Transferring,
    /// The last request of an upload: the registry checks and stores the content.
    Committing,
    /// Something went wrong, and it is being found out how to go on.
    Recovering,
    /// All is done and verified.
    Done,
}

/// Calls the caller's function, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl Observer {
    pub(crate) fn new(function: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(function)))
    }

    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn note(&self, transferred: u64, total: Option<u64>) {
        self.tell(Phase::Transferring, transferred, total, 0);
    }

    pub(crate) fn tell(&self, phase: Phase, transferred: u64, total: Option<u64>, retries: u32) {
        if let Some(function) = &self.0 {
            function(Progress { transferred, total, phase, retries });
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observer" } else { "None" })
    }
}
