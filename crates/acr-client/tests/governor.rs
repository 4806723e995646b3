//! Whole runs against a registry whose quota the program does not know, by a clock that jumps
//! when everybody waits.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use acr_client::{
    CallOptions, Credential, ErrorKind, Registry, Transport,
    layer::{Governor, RetryPolicy},
};
use acr_core::http::Request;
use acr_testkit::{FakeRegistry, Fault, Operation, Quota};
use tokio::{task::JoinSet, time::Instant};
use tower::{ServiceExt as _, service_fn};

const TASKS: usize = 64;

/// The time of each answer to a delete, and whether it was a 429.
type Answers = Arc<Mutex<Vec<(Duration, bool)>>>;

/// The registry some milliseconds away.
fn distant(fake: &FakeRegistry) -> (Transport, Answers) {
    let (answers, near, start) = (Answers::default(), fake.transport(), Instant::now());
    let log = Arc::clone(&answers);
    let calls = Arc::new(AtomicU64::new(0));
    let far = service_fn(move |request: Request| {
        let (near, log) = (near.clone(), Arc::clone(&log));
        let way = Duration::from_millis(1 + calls.fetch_add(1, Ordering::Relaxed) * 5 % 14);
        async move {
            let is_counted = request.method() == "DELETE";
            tokio::time::sleep(way).await;
            let answer = near.oneshot(request).await;
            let is_refused = answer.as_ref().is_ok_and(|answer| answer.status() == 429);
            tokio::time::sleep(way).await;
            if is_counted {
                log.lock().unwrap().push((start.elapsed(), is_refused));
            }
            answer
        }
    });
    (Transport::new(far), answers)
}

fn client(fake: &FakeRegistry, governor: &Governor) -> (Registry, Answers) {
    let (transport, answers) = distant(fake);
    let governor = governor.clone();
    let registry = Registry::builder(fake.endpoint())
        .credential(Credential::password("me", "secret"))
        .transport(transport)
        .stack(move |pipeline| {
            // A turn among many tasks may come late.
            let patient = RetryPolicy::default().last_start(Duration::from_secs(3_600));
            pipeline.governor(&governor).retry(patient)
        })
        .build()
        .unwrap();
    (registry, answers)
}

/// 64 tasks that delete what is not there, one call after the other; how many calls failed.
async fn run(registry: &Registry, until: Duration) -> usize {
    let governed = registry.with(CallOptions::new().governed());
    let repository = governed.repository("library/app").unwrap();
    let end = Instant::now() + until;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let repository = repository.clone();
        tasks.spawn(async move {
            let mut failed = 0;
            while Instant::now() < end {
                failed += usize::from(repository.delete().await.is_err());
            }
            failed
        });
    }
    tasks.join_all().await.into_iter().sum()
}

/// When the third of the refusals began: those on the way at once are one.
fn third_refusal(answers: &[(Duration, bool)]) -> Option<Duration> {
    let refused = answers.iter().filter(|(_, is_refused)| *is_refused).map(|(at, _)| *at);
    let (mut last, mut events) = (None, 0);
    for at in refused {
        if last.is_none_or(|last| at > last + Duration::from_millis(200)) {
            events += 1;
        }
        if events == 3 {
            return Some(at);
        }
        last = Some(at);
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_quota_nobody_named_is_used_and_seldom_overdrawn() {
    for (quota, rate, minutes) in [(Quota::new(1_000, 100), 1, 14), (Quota::new(1_000, 400), 20, 8)]
    {
        for hidden in [&[][..], &["retry-after"], &[REMAINING], &["retry-after", REMAINING]] {
            let fake =
                FakeRegistry::builder().user("me", "secret").quota(quota).clock_rate(rate).build();
            for name in hidden {
                fake.inject(Fault::remove_header(Operation::DeleteRepository, name).forever());
            }
            let (registry, answers) = client(&fake, &Governor::new());
            let minute = Duration::from_secs(60) / rate;
            let failed = run(&registry, minute * minutes).await;
            assert_eq!(failed, 0, "without {hidden:?}");

            let answers = answers.lock().unwrap();
            // Where the registry tells what is left, it may never have to refuse a third time.
            let begin = third_refusal(&answers).unwrap_or(minute * 3).min(minute * 3);
            let counted: Vec<_> = answers
                .iter()
                .filter(|(at, _)| {
                    *at > begin + Duration::from_millis(200) && *at < minute * minutes
                })
                .collect();
            let refused = counted.iter().filter(|(_, is_refused)| *is_refused).count();
            let taken = counted.len() - refused;
            let left = (minute * minutes).saturating_sub(begin).as_secs_f64();
            let allowed = left / minute.as_secs_f64() * f64::from(quota.writes);
            let used = taken as f64 / allowed;
            let case = format!("{used:.3} used, {refused} of {} refused", counted.len());
            println!("rate {rate}, without {hidden:?}: {case}");
            assert!(used >= 0.9, "without {hidden:?}: {case}");
            assert!((refused as f64) < counted.len() as f64 * 0.02, "without {hidden:?}: {case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_governor_the_same_run_fails() {
    let quota = Quota::new(1_000, 100);
    let fake = FakeRegistry::builder().user("me", "secret").quota(quota).build();
    let (registry, answers) = client(&fake, &Governor::new());
    let repository = registry.repository("library/app").unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let repository = repository.clone();
        tasks.spawn(async move {
            let mut failed = 0;
            for _ in 0..5 {
                failed += usize::from(repository.delete().await.is_err());
            }
            failed
        });
    }
    let failed: usize = tasks.join_all().await.into_iter().sum();
    let refused = answers.lock().unwrap().iter().filter(|(_, is_refused)| *is_refused).count();
    assert!(failed > 0 && refused > 64, "{failed} failed, {refused} refused");
}

#[tokio::test(start_paused = true)]
async fn reads_go_on_where_writes_are_throttled() {
    let governor = Governor::new();
    let tight = FakeRegistry::builder().user("me", "secret").quota(Quota::new(60, 60)).build();
    let (registry, answers) = client(&tight, &governor);
    let slow = tokio::spawn(async move { run(&registry, Duration::from_secs(300)).await });
    // Of the same name, and so of the same two lanes.
    let free = FakeRegistry::builder().user("me", "secret").build();
    let (registry, _) = client(&free, &governor);
    let run = registry.with(CallOptions::new().governed());
    let repository = run.repository("library/app").unwrap();
    let start = Instant::now();
    for _ in 0..200 {
        let error = repository.properties().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    assert!(start.elapsed() < Duration::from_secs(200) / 4, "{:?}", start.elapsed());
    assert_eq!(slow.await.unwrap(), 0);
    assert!(answers.lock().unwrap().len() >= 300);
    let lanes = governor.snapshot();
    assert!(lanes.iter().any(|lane| lane.is_read && lane.throttled == 0 && lane.taken == 200));
    assert!(lanes.iter().any(|lane| !lane.is_read && lane.calls_per_second.is_some()));
    assert!(lanes.iter().all(|lane| lane.in_flight == 0 && lane.waiting == 0));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_throttles_for_ever_ends_in_errors() {
    let fake = FakeRegistry::builder().user("me", "secret").build();
    let target = Operation::DeleteRepository;
    fake.inject(Fault::status(target, 1, 429).retry_after("5").forever());
    let governor = Governor::new();
    let (registry, answers) = client(&fake, &governor);
    let repository =
        registry.with(CallOptions::new().governed()).repository("library/app").unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let repository = repository.clone();
        tasks.spawn(async move { repository.delete().await });
    }
    let ended = tokio::time::timeout(Duration::from_secs(1_800), tasks.join_all()).await;
    for result in ended.unwrap_or_else(|_| panic!("hangs: {governor:?}")) {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Throttled);
    }
    assert!(answers.lock().unwrap().len() <= TASKS * 4);
    assert!(governor.snapshot().iter().all(|lane| lane.in_flight == 0 && lane.waiting == 0));
}

const REMAINING: &str = "x-ms-ratelimit-remaining-calls-per-second";
