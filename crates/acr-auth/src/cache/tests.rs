//! The slot by itself, on a paused clock.

use std::sync::atomic::AtomicU32;

use acr_core::ErrorKind;
use futures_util::{FutureExt as _, future::join_all};

use tokio::time::Instant;

use super::*;
use crate::clock::tests::Manual;

fn lease(seconds: u64) -> Lease<()> {
    Lease::new((), Clock::default().now(), Duration::from_secs(seconds), 0.0)
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
async fn b3_a_failure_of_one_who_was_left_behind_drops_no_token_of_another() {
    let slot = Slot::default();
    let refused = || async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Err(Error::new(ErrorKind::Forbidden, "no"))
    };
    let mut idle = std::pin::pin!(slot.get(refused));
    assert!(idle.as_mut().now_or_never().is_none());
    let (lease, is_new) = slot.get(|| async { Ok(lease(4_500)) }).await.unwrap();
    assert!(is_new);
    assert_eq!(idle.await.err().map(|error| error.kind()), Some(ErrorKind::Forbidden));
    assert!(slot.live().is_some_and(|live| Arc::ptr_eq(&live.token, &lease.token)));
}

#[tokio::test(start_paused = true)]
async fn b3_who_was_left_behind_and_fails_takes_what_another_one_got() {
    let slot = Slot::default();
    let dead_line = || async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Err(Error::new(ErrorKind::Connect, "gone"))
    };
    let mut idle = std::pin::pin!(slot.get(dead_line));
    assert!(idle.as_mut().now_or_never().is_none());
    let (lease, _) = slot.get(|| async { Ok(lease(4_500)) }).await.unwrap();
    let (taken, is_new) = idle.await.unwrap();
    assert!(!is_new && Arc::ptr_eq(&taken.token, &lease.token));
}

#[tokio::test(start_paused = true)]
async fn b3_the_token_of_one_who_was_left_behind_replaces_no_newer_one() {
    let slot = Slot::default();
    let fetch = || async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(lease(4_500))
    };
    for newer_lives in [4_500, 1] {
        let mut idle = std::pin::pin!(slot.get(fetch));
        assert!(idle.as_mut().now_or_never().is_none());
        let (newer, _) = slot.get(|| async { Ok(lease(newer_lives)) }).await.unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        let (late, is_new) = idle.await.unwrap();
        assert!(is_new && !Arc::ptr_eq(&late.token, &newer.token));
        // Unless that one has served its time.
        let kept = if newer_lives == 1 { &late } else { &newer };
        assert!(slot.live().is_some_and(|live| Arc::ptr_eq(&live.token, &kept.token)));
        slot.invalidate(&kept.token);
    }
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
async fn what_is_doubted_is_replaced_if_it_is_old_and_serves_until_then() {
    let slot = Slot::default();
    let second = Duration::from_secs(1);
    let lasting = || Lease::lasting(Arc::new(()), Clock::default().now(), Duration::MAX);
    let (old, _) = slot.get(|| async { Ok(lasting()) }).await.unwrap();
    tokio::time::advance(second).await;
    slot.make_due(&old.token, second);
    slot.make_due(&Arc::new(()), Duration::ZERO);
    assert!(slot.fresh().is_some(), "too young, and another one");
    tokio::time::advance(second).await;
    slot.make_due(&old.token, second);
    assert!(slot.fresh().is_none());
    let mut search = Box::pin(slot.get(|| async {
        tokio::time::sleep(second).await;
        Ok(lasting())
    }));
    assert!(search.as_mut().now_or_never().is_none());
    let (used, is_new) = slot.get(|| async { Ok(lasting()) }).await.unwrap();
    assert!(!is_new && Arc::ptr_eq(&used.token, &old.token), "nobody else waits");
    let (found, is_new) = search.await.unwrap();
    assert!(is_new && !Arc::ptr_eq(&found.token, &old.token));
    tokio::time::advance(Duration::from_secs(1_000_000)).await;
    assert!(slot.fresh().is_some(), "for good");
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
        let lease = Lease::new((), Clock::default().now(), Duration::from_secs(4_500), jitter);
        assert_eq!(lease.useful.as_secs(), refresh_at, "{jitter}");
    }
}

#[tokio::test(start_paused = true)]
async fn b2_a_token_is_dead_when_either_clock_says_so() {
    let hour = Duration::from_secs(3_600);
    let lives = async |jump: &dyn Fn(&Manual)| {
        let (clock, hand) = Manual::clock();
        let slot = Slot::new(clock.clone());
        let new = || async { Ok(Lease::new((), clock.now(), hour, 0.0)) };
        slot.get(new).await.unwrap();
        jump(&hand);
        let is_alive = slot.live().is_some();
        assert_eq!(slot.get(new).await.unwrap().1, !is_alive, "a dead one is never handed out");
        is_alive
    };
    let seconds = Duration::from_secs;
    assert!(lives(&|hand| hand.advance(seconds(3_000))).await);
    assert!(!lives(&|hand| hand.advance(hour)).await);
    assert!(lives(&|hand| hand.suspend(seconds(3_000))).await);
    assert!(!lives(&|hand| hand.suspend(hour)).await, "the machine slept");
    let in_parts = |hand: &Manual| {
        hand.advance(seconds(1_800));
        hand.suspend(seconds(1_800));
    };
    assert!(!lives(&in_parts).await, "awake and asleep count together");
    let set_back = |hand: &Manual| hand.set_back(seconds(86_400));
    assert!(lives(&set_back).await, "a clock that is set kills nothing");
    let set_back_and_on = |hand: &Manual| {
        hand.set_back(seconds(86_400));
        hand.advance(hour);
    };
    assert!(!lives(&set_back_and_on).await, "and gives no life");
}

#[tokio::test(start_paused = true)]
async fn b2_a_token_that_is_due_by_the_wall_clock_only_is_replaced() {
    let (clock, hand) = Manual::clock();
    let slot = Slot::new(clock.clone());
    let hour = Duration::from_secs(3_600);
    let new = || async { Ok(Lease::new((), clock.now(), hour, 0.0)) };
    slot.get(new).await.unwrap();
    hand.suspend(Duration::from_secs(3_299));
    assert!(slot.fresh().is_some() && !slot.get(new).await.unwrap().1);
    hand.suspend(Duration::from_secs(1));
    assert!(slot.fresh().is_none() && slot.live().is_some());
    // Trouble costs nothing yet, and the service is let alone for a while.
    let fail = || async { Err(Error::new(ErrorKind::Server, "down")) };
    assert!(!slot.get(fail).await.unwrap().1);
    hand.suspend(Duration::from_secs(29));
    assert!(!slot.get(new).await.unwrap().1);
    hand.suspend(Duration::from_secs(1));
    assert!(slot.get(new).await.unwrap().1);
}
