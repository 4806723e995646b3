//! The slot by itself, on a paused clock.

use std::sync::atomic::AtomicU32;

use acr_core::ErrorKind;
use futures_util::{FutureExt as _, future::join_all};

use super::*;

fn lease(seconds: u64) -> Lease<()> {
    Lease::new((), Duration::from_secs(seconds), 0.0)
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
    tokio::time::advance(REFRESH_PAUSE).await;
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
    let mut leader = Box::pin(slot.get(std::future::pending::<Result<Lease<()>>>));
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
    slot.invalidate(&old.token);
    let (new, fetched) = slot.get(|| async { Ok(lease(60)) }).await.unwrap();
    assert!(fetched);
    slot.invalidate(&old.token);
    let (kept, fetched) = slot.get(|| async { Ok(lease(60)) }).await.unwrap();
    assert!(!fetched && Arc::ptr_eq(&kept.token, &new.token));
}

#[tokio::test(start_paused = true)]
async fn all_but_one_go_on_with_the_old_token_while_it_is_refreshed() {
    let slot = Slot::default();
    let (old, _) = slot.get(|| async { Ok(lease(4_500)) }).await.unwrap();
    tokio::time::advance(Duration::from_secs(4_210)).await;
    let start = Instant::now();
    let get = || {
        slot.get(|| async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            Ok(lease(4_500))
        })
    };
    let mut leader = Box::pin(get());
    assert!(leader.as_mut().now_or_never().is_none());
    for _ in 0..10 {
        let (used, is_new) = get().await.unwrap();
        assert!(!is_new && Arc::ptr_eq(&used.token, &old.token));
    }
    assert_eq!(start.elapsed(), Duration::ZERO, "nobody waits for the leader");
    assert!(leader.await.unwrap().1);
    assert!(!Arc::ptr_eq(&get().await.unwrap().0.token, &old.token));
}

#[tokio::test(start_paused = true)]
async fn a_failing_service_gets_a_pause() {
    let slot = Slot::default();
    let fail = || slot.get(|| async { Err::<Lease<()>, _>(Error::new(ErrorKind::Server, "down")) });
    let start = Instant::now();
    for _ in 0..11 {
        assert!(fail().await.is_err());
    }
    assert_eq!(start.elapsed(), 10 * FAILURE_PAUSE);
}

#[tokio::test(start_paused = true)]
async fn jitter_only_ever_refreshes_earlier() {
    for (jitter, refresh_at) in [(0.0, 4_200), (1.0, 4_140), (7.0, 4_140), (-1.0, 4_200)] {
        let lease = Lease::new((), Duration::from_secs(4_500), jitter);
        let left = lease.refresh_at.duration_since(Instant::now());
        assert_eq!(left.as_secs(), refresh_at, "{jitter}");
    }
}
