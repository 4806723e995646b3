//! Keeps a source's tokens by scope and lets one fetch a scope run.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex as StdMutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::{sync::Mutex, time::Instant};

use super::failure::Failure;
use crate::access_token::AccessToken;

/// The tokens of one source.
///
/// A waiter whose leader is cancelled takes over; waiters of a fetch that failed share its
/// failure, and the next caller tries again. Failures are never kept.
#[derive(Debug, Default)]
pub(crate) struct TokenCache(StdMutex<HashMap<String, Arc<Slot>>>);

#[derive(Debug, Default)]
struct Slot {
    state: Mutex<State>,
    /// How many fetches have ended.
    rounds: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    kept: Option<Kept>,
    /// The last failure and the round it ended.
    failure: Option<(u64, Failure)>,
}

/// Counted on the monotonic clock from receipt, so that no jump of the wall clock matters.
#[derive(Debug)]
struct Kept {
    token: AccessToken,
    refresh_at: Instant,
    expires_at: Instant,
}

impl TokenCache {
    /// The token that is kept for these scopes, or a new one.
    pub(crate) async fn get<F, Fut>(
        &self,
        scopes: &[&str],
        fetch: F,
    ) -> Result<AccessToken, Failure>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<AccessToken, Failure>>,
    {
        let slot = self.slot(scopes);
        let entered = slot.rounds.load(Ordering::Acquire);
        // Held while fetching: this lock is the single flight. Dropping the future
        // releases it to the next waiter.
        let mut state = slot.state.lock().await;
        let now = Instant::now();
        if let Some(kept) = state.kept.as_ref().filter(|kept| now < kept.refresh_at) {
            return Ok(kept.token.clone());
        }
        if let Some((_, failure)) = state.failure.as_ref().filter(|(round, _)| *round > entered) {
            return Err(failure.clone());
        }
        let result = fetch().await;
        let round = slot.rounds.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        match result {
            Ok(token) => {
                let kept = Kept::new(token.clone());
                *state = State { kept: Some(kept), failure: None };
                Ok(token)
            }
            Err(failure) => {
                let alive = state.kept.as_ref().filter(|kept| Instant::now() < kept.expires_at);
                if let Some(kept) = alive.filter(|_| failure.is_passing()) {
                    // Refreshed early, so a service in trouble costs nothing yet.
                    return Ok(kept.token.clone());
                }
                *state = State { kept: None, failure: Some((round, failure.clone())) };
                Err(failure)
            }
        }
    }

    fn slot(&self, scopes: &[&str]) -> Arc<Slot> {
        let key = scopes.join(" ");
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_SCOPES && !slots.contains_key(&key) {
            // Slots in use stay: somebody waits on them.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(key).or_default())
    }
}

impl Kept {
    fn new(token: AccessToken) -> Self {
        let lifetime = token.expires_at().duration_since(SystemTime::now()).unwrap_or_default();
        let useful = lifetime.saturating_sub(MARGIN.min(lifetime / 2));
        let now = Instant::now();
        let refresh_at = now.checked_add(useful).unwrap_or(now);
        let expires_at = now.checked_add(lifetime).unwrap_or(now);
        Self { token, refresh_at, expires_at }
    }
}

/// How long before its end a token is replaced: whoever gets it has time to use it.
const MARGIN: Duration = Duration::from_secs(300);

/// Scopes remembered at once; a program has one or two.
const MAX_SCOPES: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use acr_core::ErrorKind;
    use futures_util::{FutureExt as _, future::join_all};

    use super::*;

    fn token(seconds: u64) -> AccessToken {
        AccessToken::new("t", SystemTime::now() + Duration::from_secs(seconds))
    }

    #[tokio::test(start_paused = true)]
    async fn many_callers_cause_one_fetch_a_scope_and_a_late_one_another() {
        let cache = TokenCache::default();
        let fetches = AtomicU32::new(0);
        let get = |scope| {
            let (cache, fetches) = (&cache, &fetches);
            async move {
                let fetch = || async {
                    fetches.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Ok(token(3_600))
                };
                cache.get(&[scope], fetch).await
            }
        };
        assert!(join_all((0..100).map(|_| get("a"))).await.iter().all(Result::is_ok));
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        get("b").await.unwrap();
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
        tokio::time::advance(Duration::from_secs(3_290)).await;
        get("a").await.unwrap();
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
        tokio::time::advance(Duration::from_secs(11)).await;
        get("a").await.unwrap();
        assert_eq!(fetches.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_share_a_failure_and_the_next_caller_tries_again() {
        let cache = TokenCache::default();
        let fetches = AtomicU32::new(0);
        let fail = || {
            cache.get(&["a"], || async {
                fetches.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(1)).await;
                Err(Failure::unavailable("nothing here"))
            })
        };
        let results = join_all((0..100).map(|_| fail())).await;
        assert!(results.iter().all(|r| matches!(r, Err(Failure::Unavailable(_)))));
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        assert!(fail().await.is_err());
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
        assert!(cache.get(&["a"], || async { Ok(token(60)) }).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_live_token_outlasts_a_passing_failure_but_not_a_refusal() {
        let cache = TokenCache::default();
        let fail = |kind| cache.get(&["a"], move || async move { Err(Failure::new(kind, "no")) });
        cache.get(&["a"], || async { Ok(token(3_600)) }).await.unwrap();
        tokio::time::advance(Duration::from_secs(3_400)).await;
        assert!(fail(ErrorKind::Server).await.is_ok());
        assert!(fail(ErrorKind::Unauthenticated).await.is_err());
        cache.get(&["a"], || async { Ok(token(3_600)) }).await.unwrap();
        tokio::time::advance(Duration::from_secs(3_601)).await;
        assert!(fail(ErrorKind::Server).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_leader_leaves_its_place_to_a_waiter() {
        let cache = TokenCache::default();
        let mut leader = Box::pin(cache.get(&["a"], std::future::pending));
        assert!(leader.as_mut().now_or_never().is_none());
        let mut waiter = Box::pin(cache.get(&["a"], || async { Ok(token(60)) }));
        assert!(waiter.as_mut().now_or_never().is_none());
        drop(leader);
        assert!(waiter.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_scopes_is_bounded() {
        let cache = TokenCache::default();
        for scope in 0..1_000 {
            let scope = scope.to_string();
            cache.get(&[&scope], || async { Ok(token(60)) }).await.unwrap();
        }
        assert!(cache.0.lock().unwrap().len() <= MAX_SCOPES);
    }
}
