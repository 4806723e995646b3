//! One token slot: fetched once for any number of waiters, refreshed early, dropped by value.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use acr_core::{Error, Result, Secret};
use tokio::{sync::Mutex, time::Instant};

/// A token and when to replace it. Counted on the monotonic clock from receipt,
/// so that no jump of the wall clock matters.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) token: Arc<Secret>,
    refresh_at: Instant,
    expires_at: Instant,
}

/// Holds at most one lease and lets at most one fetch run.
///
/// A waiter whose leader is cancelled takes over; waiters of a fetch that failed
/// share its error, and the next caller tries again. Failures are never kept.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    state: Mutex<State>,
    /// How many fetches have ended.
    rounds: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    lease: Option<Lease>,
    /// The last failure and the round it ended.
    failure: Option<(u64, Arc<Error>)>,
}

impl Lease {
    /// A token that lives so long from now.
    pub(crate) fn new(token: Secret, lifetime: Duration) -> Self {
        let useful = lifetime.saturating_sub(margin(lifetime));
        let now = Instant::now();
        let refresh_at = now.checked_add(useful).unwrap_or(now);
        let expires_at = now.checked_add(lifetime).unwrap_or(now);
        Self { token: Arc::new(token), refresh_at, expires_at }
    }

    fn is_alive(&self) -> bool {
        Instant::now() < self.expires_at
    }

    fn is_fresh(&self) -> bool {
        Instant::now() < self.refresh_at
    }
}

impl Slot {
    /// The lease in the slot, or a new one; the flag says whether it was fetched now.
    pub(crate) async fn get<F, Fut>(&self, fetch: F) -> Result<(Lease, bool)>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Lease>>,
    {
        let entered = self.rounds.load(Ordering::Acquire);
        // Held while fetching: this lock is the single flight. Dropping the future
        // releases it to the next waiter.
        let mut state = self.state.lock().await;
        if let Some(lease) = state.lease.as_ref().filter(|lease| lease.is_fresh()) {
            return Ok((lease.clone(), false));
        }
        if let Some((_, error)) = state.failure.as_ref().filter(|(round, _)| *round > entered) {
            return Err(Error::shared(error));
        }
        let result = fetch().await;
        let round = self.rounds.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        match result {
            // Refreshed early, so a token service in trouble costs nothing yet.
            Err(error) if error.is_retryable() && state.has_live_lease() => {
                tracing::warn!(%error, "a token is kept: it could not be refreshed early");
                state.lease.clone().map(|lease| (lease, false)).ok_or(error)
            }
            Ok(lease) => {
                *state = State { lease: Some(lease.clone()), failure: None };
                Ok((lease, true))
            }
            Err(error) => {
                let error = Arc::new(error);
                let copy = Error::shared(&error);
                *state = State { lease: None, failure: Some((round, error)) };
                Err(copy)
            }
        }
    }

    /// Drops exactly this token, so that a late 401 cannot kill a newer one.
    pub(crate) async fn invalidate(&self, token: &Arc<Secret>) {
        let mut state = self.state.lock().await;
        if state.lease.as_ref().is_some_and(|lease| Arc::ptr_eq(&lease.token, token)) {
            state.lease = None;
        }
    }
}

impl State {
    fn has_live_lease(&self) -> bool {
        self.lease.as_ref().is_some_and(Lease::is_alive)
    }
}

/// How long before its end a token is replaced: a fifth of its life, between one
/// and five minutes, but never more than half.
fn margin(lifetime: Duration) -> Duration {
    (lifetime / 5).clamp(Duration::from_secs(60), Duration::from_secs(300)).min(lifetime / 2)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use acr_core::ErrorKind;
    use futures_util::{FutureExt as _, future::join_all};

    use super::*;

    fn lease(seconds: u64) -> Lease {
        Lease::new(Secret::new("t"), Duration::from_secs(seconds))
    }

    #[test]
    fn the_margin_leaves_every_token_some_use() {
        for (life, seconds) in
            [(11_700, 300), (4_500, 300), (600, 120), (200, 60), (60, 30), (30, 15), (0, 0)]
        {
            assert_eq!(margin(Duration::from_secs(life)).as_secs(), seconds, "{life}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_callers_cause_one_fetch_and_expiry_another() {
        let slot = Slot::default();
        let fetches = AtomicU32::new(0);
        let get = || {
            slot.get(|| async {
                fetches.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(lease(4_500))
            })
        };
        assert!(join_all((0..1_000).map(|_| get())).await.iter().all(Result::is_ok));
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        tokio::time::advance(Duration::from_secs(4_190)).await;
        get().await.unwrap();
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        tokio::time::advance(Duration::from_secs(11)).await;
        get().await.unwrap();
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_share_a_failure_and_the_next_caller_tries_again() {
        let slot = Slot::default();
        let fetches = AtomicU32::new(0);
        let fail = || {
            slot.get(|| async {
                fetches.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
                Err(Error::new(ErrorKind::Server, "down"))
            })
        };
        let results = join_all((0..100).map(|_| fail())).await;
        assert!(results.iter().all(|r| r.as_ref().is_err_and(|e| e.kind() == ErrorKind::Server)));
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        assert!(fail().await.is_err());
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
        assert!(slot.get(|| async { Ok(lease(60)) }).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_live_token_outlasts_a_failing_refresh_but_not_its_own_end() {
        let slot = Slot::default();
        slot.get(|| async { Ok(lease(4_500)) }).await.unwrap();
        let fail = |kind| slot.get(move || async move { Err(Error::new(kind, "down")) });
        tokio::time::advance(Duration::from_secs(4_210)).await;
        assert!(!fail(ErrorKind::Server).await.unwrap().1);
        assert!(
            fail(ErrorKind::Unauthenticated).await.is_err(),
            "a refusal is no trouble of the service"
        );
        slot.get(|| async { Ok(lease(4_500)) }).await.unwrap();
        tokio::time::advance(Duration::from_secs(4_500)).await;
        assert!(fail(ErrorKind::Server).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_leader_leaves_its_place_to_a_waiter() {
        let slot = Slot::default();
        let mut leader = Box::pin(slot.get(std::future::pending::<Result<Lease>>));
        assert!(leader.as_mut().now_or_never().is_none());
        let mut waiter = Box::pin(slot.get(|| async { Ok(lease(60)) }));
        assert!(waiter.as_mut().now_or_never().is_none());
        drop(leader);
        assert!(waiter.await.unwrap().1);
    }

    #[tokio::test]
    async fn only_the_refused_token_is_dropped() {
        let slot = Slot::default();
        let (old, _) = slot.get(|| async { Ok(lease(60)) }).await.unwrap();
        slot.invalidate(&old.token).await;
        let (new, fetched) = slot.get(|| async { Ok(lease(60)) }).await.unwrap();
        assert!(fetched);
        slot.invalidate(&old.token).await;
        let (kept, fetched) = slot.get(|| async { Ok(lease(60)) }).await.unwrap();
        assert!(!fetched && Arc::ptr_eq(&kept.token, &new.token));
    }
}
