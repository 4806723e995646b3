//! Keeps a source's tokens, a slot for each scope.

use std::{
    collections::HashMap,
    error::Error as StdError,
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use acr_core::{Error, ErrorKind};

use super::failure::Failure;
use crate::{
    access_token::AccessToken,
    cache::{Lease, Slot},
    clock::Clock,
};

/// The tokens of one source.
///
/// A token in the last part of its life is refreshed by one caller while the others go on
/// with it, and outlives every failure but a refusal.
#[derive(Debug, Default)]
pub(crate) struct TokenCache {
    clock: Clock,
    slots: Mutex<HashMap<String, Arc<Slot<AccessToken>>>>,
}

impl TokenCache {
    /// Drops this token, for whatever scopes it is kept: whoever it is for took it no more.
    pub(crate) fn refused(&self, token: &AccessToken) {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.values().for_each(|slot| slot.invalidate_where(|held| held.is_same(token)));
    }

    /// The token that is kept for these scopes, or a new one.
    pub(crate) async fn get<F, Fut>(
        &self,
        scopes: &[&str],
        fetch: F,
    ) -> Result<AccessToken, Failure>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<AccessToken, Failure>> + Send,
    {
        let fetch = || async {
            let token = fetch().await.map_err(Carried::wrap)?;
            let now = self.clock.now();
            let lifetime = token.expires_at().duration_since(now.wall).unwrap_or_default();
            Ok(Lease::new(token, now, lifetime, fastrand::f64()))
        };
        match self.slot(scopes).get(fetch).await {
            Ok((lease, _)) => Ok(AccessToken::clone(&lease.token)),
            Err(error) => Err(Carried::unwrap(error)),
        }
    }

    fn slot(&self, scopes: &[&str]) -> Arc<Slot<AccessToken>> {
        let key = scopes.join(" ");
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_SCOPES && !slots.contains_key(&key) {
            // Slots in use stay: somebody waits on them.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        let new = || Arc::new(Slot::new(self.clock.clone()));
        Arc::clone(slots.entry(key).or_insert_with(new))
    }
}

/// A failure on its way through a slot, which knows errors only and judges them by their
/// kind: a refusal drops a living token, trouble does not.
#[derive(Debug)]
struct Carried(Parcel);

/// One level down, since a copy of an error keeps only what is below its source.
#[derive(Debug)]
struct Parcel(Failure);

impl Carried {
    fn wrap(failure: Failure) -> Error {
        let kind =
            if failure.is_refusal() { ErrorKind::Unauthenticated } else { ErrorKind::Server };
        Error::new(kind, failure.to_string()).with_source(Self(Parcel(failure)))
    }

    fn unwrap(error: Error) -> Failure {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if let Some(Parcel(failure)) = inner.downcast_ref() {
                return failure.clone();
            }
            cause = inner.source();
        }
        error.into()
    }
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Carried {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

impl fmt::Display for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Parcel {}

/// Scopes remembered at once; a program has one or two.
const MAX_SCOPES: usize = 64;

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::{Duration, SystemTime},
    };

    use futures_util::{FutureExt as _, future::join_all};
    use tokio::time::{Instant, advance, sleep};

    use super::*;
    use crate::clock::tests::Manual;

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
                    sleep(Duration::from_secs(1)).await;
                    Ok(token(3_600))
                };
                cache.get(&[scope], fetch).await
            }
        };
        assert!(join_all((0..100).map(|_| get("a"))).await.iter().all(Result::is_ok));
        assert_eq!(fetches.load(Ordering::Relaxed), 1);
        get("b").await.unwrap();
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
        // Five or six minutes before its end.
        advance(Duration::from_secs(3_230)).await;
        get("a").await.unwrap();
        assert_eq!(fetches.load(Ordering::Relaxed), 2);
        advance(Duration::from_secs(71)).await;
        get("a").await.unwrap();
        assert_eq!(fetches.load(Ordering::Relaxed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_share_a_failure_and_the_next_caller_tries_again() {
        let cache = TokenCache::default();
        let fetches = AtomicU32::new(0);
        for kind in [None, Some(ErrorKind::InvalidInput), Some(ErrorKind::Timeout)] {
            fetches.store(0, Ordering::Relaxed);
            let fail = || {
                cache.get(&["a"], || async {
                    fetches.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_secs(1)).await;
                    Err(match kind {
                        None => Failure::unavailable("nothing here"),
                        Some(kind) => {
                            let cause = std::io::Error::other("the cause");
                            Error::new(kind, "nothing here").with_source(cause).into()
                        }
                    })
                })
            };
            let results = join_all((0..100).map(|_| fail())).await;
            for result in results.into_iter().chain([fail().await]) {
                let failure = result.unwrap_err();
                assert_eq!(failure.to_string(), "nothing here");
                match (failure, kind) {
                    (Failure::Unavailable(_), None) => {}
                    (Failure::Failed(error), Some(kind)) => {
                        assert_eq!(error.kind(), kind, "the kind is the failure's own");
                        assert_eq!(error.source().unwrap().to_string(), "the cause");
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(fetches.load(Ordering::Relaxed), 2, "{kind:?}");
        }
        assert!(cache.get(&["a"], || async { Ok(token(60)) }).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_living_token_outlasts_every_failure_but_a_refusal() {
        let failures = || {
            let trouble = [
                ErrorKind::Server,
                ErrorKind::Connect,
                ErrorKind::Timeout,
                ErrorKind::Credential,
                ErrorKind::Source,
                ErrorKind::Protocol,
                ErrorKind::TooLarge,
            ];
            let trouble = trouble.map(|kind| (Failure::new(kind, "no"), true));
            let refusal = [ErrorKind::Unauthenticated, ErrorKind::Forbidden, ErrorKind::Rejected];
            let refusal = refusal.map(|kind| (Failure::new(kind, "no"), false));
            let unavailable = (Failure::unavailable("no"), true);
            trouble.into_iter().chain(refusal).chain([unavailable])
        };
        for (failure, is_kept) in failures() {
            let cache = TokenCache::default();
            let fail = || cache.get(&["a"], || async { Err(failure.clone()) });
            cache.get(&["a"], || async { Ok(token(3_600)) }).await.unwrap();
            advance(Duration::from_secs(3_400)).await;
            assert_eq!(fail().await.is_ok(), is_kept, "{failure:?}");
            advance(Duration::from_secs(201)).await;
            assert!(fail().await.is_err(), "{failure:?}: dead");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn callers_go_on_with_a_living_token_while_one_asks_a_service_in_trouble() {
        let cache = TokenCache::default();
        let fetches = AtomicU32::new(0);
        cache.get(&["a"], || async { Ok(token(3_600)) }).await.unwrap();
        advance(Duration::from_secs(3_310)).await;
        let fail = || async {
            let start = Instant::now();
            let fetch = || async {
                fetches.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_secs(20)).await;
                Err(Failure::new(ErrorKind::Server, "no"))
            };
            cache.get(&["a"], fetch).await.unwrap();
            start.elapsed().as_secs()
        };
        let waits = join_all((0..20).map(|_| fail())).await;
        assert_eq!(waits.iter().sum::<u64>(), 20, "{waits:?}");
        advance(Duration::from_secs(29)).await;
        assert_eq!((fail().await, fetches.load(Ordering::Relaxed)), (0, 1), "let alone");
        advance(Duration::from_secs(2)).await;
        assert_eq!((fail().await, fetches.load(Ordering::Relaxed)), (20, 2));
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

    #[tokio::test]
    async fn b2_a_token_is_kept_until_either_clock_or_the_registry_says_no() {
        let (clock, hand) = Manual::clock();
        let cache = TokenCache { clock: clock.clone(), ..TokenCache::default() };
        let fetches = AtomicU32::new(0);
        let get = async |scope: &str| {
            let fetch = || async {
                let number = fetches.fetch_add(1, Ordering::Relaxed);
                let end = clock.now().wall + Duration::from_secs(3_600);
                Ok(AccessToken::new(format!("token-{number}"), end))
            };
            cache.get(&[scope], fetch).await.unwrap()
        };
        let first = get("a").await;
        assert!(get("a").await.is_same(&first));
        hand.suspend(Duration::from_secs(3_600));
        let second = get("a").await;
        assert!(!second.is_same(&first), "dead since the machine slept");
        hand.set_back(Duration::from_secs(86_400));
        assert!(get("a").await.is_same(&second));
        hand.advance(Duration::from_secs(3_600));
        let third = get("a").await;
        assert!(!third.is_same(&second), "dead although its clock was set back");
        let other = get("b").await;
        cache.refused(&second);
        assert!(get("a").await.is_same(&third), "only what was refused is dropped");
        cache.refused(&third);
        assert!(!get("a").await.is_same(&third));
        assert!(get("b").await.is_same(&other));
        assert_eq!(fetches.load(Ordering::Relaxed), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_scopes_is_bounded() {
        let cache = TokenCache::default();
        for scope in 0..1_000 {
            let scope = scope.to_string();
            cache.get(&[&scope], || async { Ok(token(60)) }).await.unwrap();
        }
        assert!(cache.slots.lock().unwrap().len() <= MAX_SCOPES);
    }
}
