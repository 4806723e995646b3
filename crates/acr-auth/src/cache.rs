//! One token slot: fetched once for any number of waiters, refreshed early, dropped by value.

mod flight;

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

use self::flight::Flight;
use crate::clock::{Clock, Moment};

/// A token and when to replace it, counted from receipt. It is due and it is dead as soon as
/// either clock says so: after a machine slept only the wall clock knows, and that one may
/// have been set back.
pub(crate) struct Lease<T> {
    pub(crate) token: Arc<T>,
    received: Moment,
    useful: Duration,
    lifetime: Duration,
}

/// Holds at most one lease and lets at most one fetch run, of those that somebody polls.
///
/// A lease in the last part of its life is refreshed by one caller while all others go
/// on using it. A waiter whose leader is cancelled takes over; waiters of a fetch that
/// failed share its error, and the next caller tries again after a short pause.
/// Failures are never answers.
pub(crate) struct Slot<T> {
    clock: Clock,
    lease: Mutex<Option<Lease<T>>>,
    flight: Flight<Failure>,
    /// How many fetches have ended.
    rounds: AtomicU64,
}

/// How the last fetch failed.
#[derive(Debug)]
struct Failure {
    round: u64,
    error: Arc<Error>,
    at: Moment,
}

impl<T> Lease<T> {
    /// A token that lives so long from now. The jitter, from 0 to 1, moves the refresh
    /// forward by up to a fifth of its margin, so that a fleet does not move in step.
    pub(crate) fn new(token: T, now: Moment, lifetime: Duration, jitter: f64) -> Self {
        let early = margin(lifetime).mul_f64(1.0 + jitter.clamp(0.0, 1.0) / 5.0);
        let useful = lifetime.saturating_sub(early);
        Self { token: Arc::new(token), received: now, useful, lifetime }
    }

    /// One that never dies, and that is due after so long.
    pub(crate) fn lasting(token: Arc<T>, now: Moment, useful: Duration) -> Self {
        Self { token, received: now, useful, lifetime: Duration::MAX }
    }

    /// When it came.
    pub(crate) fn received(&self) -> Moment {
        self.received
    }

    /// How long ago that was.
    fn age(&self, now: Moment) -> Duration {
        now.since(self.received)
    }

    fn is_fresh(&self, now: Moment) -> bool {
        self.age(now) < self.useful
    }

    fn is_alive(&self, now: Moment) -> bool {
        self.age(now) < self.lifetime
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
        let now = self.clock.now();
        let mut turn = match self.live_at(now) {
            Some(lease) if lease.is_fresh(now) => return Ok((lease, false)),
            Some(lease) => match self.flight.try_enter() {
                Some(turn) => turn,
                // Somebody refreshes it already.
                None => return Ok((lease, false)),
            },
            None => self.flight.enter().await,
        };
        let now = self.clock.now();
        let live = self.live_at(now);
        if let Some(lease) = live.clone().filter(|lease| lease.is_fresh(now)) {
            return Ok((lease, false));
        }
        match turn.note() {
            Some(failure) if failure.round > entered => return Err(Error::shared(&failure.error)),
            Some(failure) if live.is_none() => self.clock.wait(failure.at, FAILURE_PAUSE).await,
            _ => {}
        }
        let was = live.as_ref().map(|lease| Arc::clone(&lease.token));
        let result = turn.run(Box::pin(fetch())).await;
        let round = self.rounds.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let now = self.clock.now();
        // Left behind, and somebody else has got what this call could not.
        if result.as_ref().is_err_and(|error| !is_refusal(error))
            && !self.flight.is_current(&turn)
            && let Some(lease) = self.fresh()
        {
            return Ok((lease, false));
        }
        match (result, live.filter(|lease| lease.is_alive(now))) {
            (Ok(lease), _) => {
                turn.leave_note(None);
                // Left behind, it may be older than what another one got meanwhile.
                if self.flight.is_current(&turn) || self.fresh().is_none() {
                    *self.lease() = Some(lease.clone());
                }
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
                turn.leave_note(Some(Failure { round, error, at: now }));
                if let Some(was) = was {
                    self.invalidate(&was);
                }
                Err(copy)
            }
        }
    }
}

impl<T> Slot<T> {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            flight: Flight::new(clock.clone()),
            clock,
            lease: Mutex::default(),
            rounds: AtomicU64::new(0),
        }
    }

    /// The lease in the slot, unless it is dead.
    pub(crate) fn live(&self) -> Option<Lease<T>> {
        self.live_at(self.clock.now())
    }

    fn live_at(&self, now: Moment) -> Option<Lease<T>> {
        self.lease().as_ref().filter(|lease| lease.is_alive(now)).cloned()
    }

    /// The lease in the slot, unless it is due to be replaced.
    pub(crate) fn fresh(&self) -> Option<Lease<T>> {
        let now = self.clock.now();
        self.live_at(now).filter(|lease| lease.is_fresh(now))
    }

    /// Lends the slot a lease that was fetched for another one.
    pub(crate) fn lend(&self, lease: Lease<T>) {
        *self.lease() = Some(lease);
    }

    /// Drops exactly this token, so that a late 401 cannot kill a newer one.
    pub(crate) fn invalidate(&self, token: &Arc<T>) {
        self.invalidate_where(|held| Arc::ptr_eq(held, token));
    }

    /// Drops the token if it is the one that is meant.
    pub(crate) fn invalidate_where(&self, is_meant: impl FnOnce(&Arc<T>) -> bool) {
        let mut lease = self.lease();
        if lease.as_ref().is_some_and(|lease| is_meant(&lease.token)) {
            *lease = None;
        }
    }

    /// Has exactly this token replaced when it is needed next, if it came longer ago than that. Until
    /// then it serves.
    pub(crate) fn make_due(&self, token: &Arc<T>, age: Duration) {
        let now = self.clock.now();
        if let Some(lease) = self.lease().as_mut()
            && Arc::ptr_eq(&lease.token, token)
            && lease.age(now) > age
        {
            lease.useful = Duration::ZERO;
        }
    }

    /// Leaves the token service alone for a while, as far as this token is concerned.
    fn postpone(&self, token: &Arc<T>) {
        let now = self.clock.now();
        if let Some(lease) = self.lease().as_mut()
            && Arc::ptr_eq(&lease.token, token)
        {
            lease.useful = lease.age(now).saturating_add(REFRESH_PAUSE);
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
        Self::new(Clock::default())
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
mod lent;
#[cfg(test)]
mod model;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;
