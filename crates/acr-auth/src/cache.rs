//! One token slot: fetched once for any number of waiters, refreshed early, dropped by value.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use acr_core::{Error, ErrorKind, Result};
use tokio::time::{Instant, sleep_until};

/// A token and when to replace it. Counted on the monotonic clock from receipt,
/// so that no jump of the wall clock matters.
pub(crate) struct Lease<T> {
    pub(crate) token: Arc<T>,
    refresh_at: Instant,
    expires_at: Instant,
}

/// Holds at most one lease and lets at most one fetch run.
///
/// A lease in the last part of its life is refreshed by one caller while all others go
/// on using it. A waiter whose leader is cancelled takes over; waiters of a fetch that
/// failed share its error, and the next caller tries again after a short pause.
/// Failures are never answers.
pub(crate) struct Slot<T> {
    lease: Mutex<Option<Lease<T>>>,
    /// Held while fetching: this lock is the single flight. Dropping the future
    /// releases it to the next waiter.
    flight: tokio::sync::Mutex<Option<Failure>>,
    /// How many fetches have ended.
    rounds: AtomicU64,
}

/// How the last fetch failed.
#[derive(Debug)]
struct Failure {
    round: u64,
    error: Arc<Error>,
    at: Instant,
}

impl<T> Lease<T> {
    /// A token that lives so long from now. The jitter, from 0 to 1, moves the refresh
    /// forward by up to a fifth of its margin, so that a fleet does not move in step.
    pub(crate) fn new(token: T, lifetime: Duration, jitter: f64) -> Self {
        let early = margin(lifetime).mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 5.0);
        let useful = lifetime.saturating_sub(early);
        let now = Instant::now();
        let refresh_at = now.checked_add(useful).unwrap_or(now);
        let expires_at = now.checked_add(lifetime).unwrap_or(now);
        Self { token: Arc::new(token), refresh_at, expires_at }
    }

    pub(crate) fn is_fresh(&self) -> bool {
        Instant::now() < self.refresh_at
    }

    fn is_alive(&self) -> bool {
        Instant::now() < self.expires_at
    }
}

impl<T: Send + Sync> Slot<T> {
    /// The lease in the slot, or a new one; the flag says whether it was fetched now.
    pub(crate) async fn get<F, Fut>(&self, fetch: F) -> Result<(Lease<T>, bool)>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<Lease<T>>> + Send,
    {
        let entered = self.rounds.load(Ordering::Acquire);
        let mut flight = match self.live() {
            Some(lease) if lease.is_fresh() => return Ok((lease, false)),
            Some(lease) => match self.flight.try_lock() {
                Ok(flight) => flight,
                // Somebody refreshes it already.
                Err(_) => return Ok((lease, false)),
            },
            None => self.flight.lock().await,
        };
        let live = self.live();
        if let Some(lease) = live.clone().filter(Lease::is_fresh) {
            return Ok((lease, false));
        }
        match flight.as_ref() {
            Some(failure) if failure.round > entered => return Err(Error::shared(&failure.error)),
            Some(failure) if live.is_none() => pause_after(failure.at).await,
            _ => {}
        }
        let result = fetch().await;
        let round = self.rounds.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        match (result, live.filter(Lease::is_alive)) {
            (Ok(lease), _) => {
                *flight = None;
                *self.lease() = Some(lease.clone());
                Ok((lease, true))
            }
            // Refreshed early, so trouble on the way to a new one costs nothing yet.
            (Err(error), Some(lease)) if !is_refusal(&error) => {
                tracing::warn!(%error, "a token is kept: it could not be refreshed early");
                self.postpone(&lease.token);
                Ok((lease, false))
            }
            (Err(error), _) => {
                let error = Arc::new(error);
                let copy = Error::shared(&error);
                *flight = Some(Failure { round, error, at: Instant::now() });
                *self.lease() = None;
                Err(copy)
            }
        }
    }
}

impl<T> Slot<T> {
    /// The lease in the slot, unless it is dead.
    pub(crate) fn live(&self) -> Option<Lease<T>> {
        self.lease().as_ref().filter(|lease| lease.is_alive()).cloned()
    }

    /// Lends the slot a lease that was fetched for another one.
    pub(crate) fn lend(&self, lease: Lease<T>) {
        *self.lease() = Some(lease);
    }

    /// Drops exactly this token, so that a late 401 cannot kill a newer one.
    pub(crate) fn invalidate(&self, token: &Arc<T>) {
        let mut lease = self.lease();
        if lease.as_ref().is_some_and(|lease| Arc::ptr_eq(&lease.token, token)) {
            *lease = None;
        }
    }

    /// Leaves the token service alone for a while, as far as this token is concerned.
    fn postpone(&self, token: &Arc<T>) {
        let later = Instant::now().checked_add(REFRESH_PAUSE);
        if let (Some(lease), Some(later)) = (self.lease().as_mut(), later)
            && Arc::ptr_eq(&lease.token, token)
        {
            lease.refresh_at = later;
        }
    }

    fn lease(&self) -> MutexGuard<'_, Option<Lease<T>>> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Lease<T> {
    fn clone(&self) -> Self {
        Self { token: Arc::clone(&self.token), ..*self }
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            lease: Mutex::default(),
            flight: tokio::sync::Mutex::default(),
            rounds: AtomicU64::new(0),
        }
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("has_lease", &self.lease().is_some()).finish_non_exhaustive()
    }
}

/// Whether the registry said that this identity gets no token; all else may pass.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Forbidden)
}

async fn pause_after(failure: Instant) {
    let until = failure.checked_add(FAILURE_PAUSE).unwrap_or(failure);
    if Instant::now() < until {
        sleep_until(until).await;
    }
}

/// How long before its end a token is replaced: a fifth of its life, between one
/// and five minutes, but never more than half.
fn margin(lifetime: Duration) -> Duration {
    (lifetime / 5).clamp(Duration::from_secs(60), Duration::from_secs(300)).min(lifetime / 2)
}

/// Between a failed fetch and the next one.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);

/// Between a failed early refresh and the next one, while the token still lives.
const REFRESH_PAUSE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
