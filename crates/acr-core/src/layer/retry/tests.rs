//! What is repeated, when, and how often.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use tower::{ServiceExt as _, service_fn};

use super::{outcome::Outcome, *};
use crate::{
    http::{
        body::Body,
        error::{Error, ErrorKind},
        operation::{Attempt, Effect},
        request::Request,
        response::Response,
    },
    transport::Transport,
};

type Step = Result<(u16, Option<&'static str>), ErrorKind>;
type Script = Vec<Step>;

struct Ran {
    result: Result<Response>,
    bodies: Vec<Bytes>,
    waited: Duration,
}

fn repeating(policy: RetryPolicy, transport: Transport) -> Transport {
    Transport::new(RetryLayer::new(policy).layer(transport))
}

/// Runs a request against a server that follows the script, then answers 200.
async fn run_script(
    policy: RetryPolicy,
    effect: Option<Effect>,
    body: Body,
    script: Script,
) -> Ran {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&bodies);
    let transport = Transport::new(service_fn(move |request: Request| {
        let (log, script) = (Arc::clone(&log), script.clone());
        async move {
            let body = request.into_body().bytes(100).await?;
            let step = {
                let mut log = log.lock().unwrap();
                log.push(body);
                script.get(log.len() - 1).copied().unwrap_or(Ok((200, None)))
            };
            let (status, retry_after) = step.map_err(|kind| Error::new(kind, "scripted"))?;
            let mut response = http::Response::builder().status(status);
            if let Some(text) = retry_after {
                response = response.header("retry-after", text);
            }
            Ok::<_, Error>(response.body(Body::from("discarded")).unwrap())
        }
    }));
    let mut request = Request::new(body);
    if let Some(effect) = effect {
        request.extensions_mut().insert(effect);
    }
    let start = Instant::now();
    let result = repeating(policy, transport).oneshot(request).await;
    let bodies = std::mem::take(&mut *bodies.lock().unwrap());
    Ran { result, bodies, waited: start.elapsed() }
}

#[tokio::test(start_paused = true)]
async fn no_attempt_starts_after_the_deadline_however_slowly_answers_drip() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let (log, start) = (Arc::clone(&calls), Instant::now());
    let transport = Transport::new(service_fn(move |_: Request| {
        log.lock().unwrap().push(start.elapsed());
        async {
            let drip = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Some((Ok::<_, Error>(http_body::Frame::data(Bytes::from_static(b"x"))), ()))
            });
            let body = Body::stream(http_body_util::StreamBody::new(Box::pin(drip)));
            let response = http::Response::builder().status(503).header("retry-after", "4");
            Ok::<_, Error>(response.body(body).unwrap())
        }
    }));
    let policy = RetryPolicy::default().deadline(Duration::from_millis(4_500));
    let mut request = Request::default();
    request.extensions_mut().insert(Effect::Read);
    let answer = repeating(policy, transport).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(*calls.lock().unwrap(), [Duration::ZERO, Duration::from_secs(4)]);
    // And what is read of the last answer ends with the call.
    let error = answer.into_body().bytes(1_000).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_millis()), (ErrorKind::Timeout, 4_500));
}

#[tokio::test(start_paused = true)]
async fn a_look_is_taken_after_each_wait_and_ends_the_call() {
    let (sent, looks) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (counter, start) = (Arc::clone(&sent), Instant::now());
    let transport = Transport::new(service_fn(move |_: Request| {
        *counter.lock().unwrap() += 1;
        let later = http::Response::builder().status(429).header("retry-after", "30");
        std::future::ready(Ok::<_, Error>(later.body(Body::empty()).unwrap()))
    }));
    let seen = Arc::clone(&looks);
    let look = move || {
        let mut seen = seen.lock().unwrap();
        seen.push(start.elapsed().as_secs());
        let is_changed = seen.len() == 2;
        async move { if is_changed { Err(Error::new(ErrorKind::Conflict, "changed")) } else { Ok(()) } }
    };
    let mut request = Request::default();
    request.extensions_mut().insert(Effect::Move);
    request.extensions_mut().insert(Recheck::new(look));
    let policy = RetryPolicy::default().last_start(Duration::from_secs(600));
    let error = repeating(policy, transport).oneshot(request).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Conflict, 2));
    assert_eq!((*sent.lock().unwrap(), &*looks.lock().unwrap()), (2, &vec![30, 60]));
}

#[tokio::test(start_paused = true)]
async fn a_look_ends_with_the_deadline_of_the_call() {
    let (policy, start) = (RetryPolicy::default().deadline(Duration::from_secs(9)), Instant::now());
    let transport = Transport::new(service_fn(|_: Request| {
        let busy = http::Response::builder().status(503).body(Body::empty()).unwrap();
        std::future::ready(Ok::<_, Error>(busy))
    }));
    let mut request = Request::default();
    request.extensions_mut().insert(Effect::Set);
    request.extensions_mut().insert(Recheck::new(std::future::pending));
    let error = repeating(policy, transport).oneshot(request).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Timeout, 9));
}

#[tokio::test(start_paused = true)]
async fn the_matrix_of_effects_and_outcomes() {
    use ErrorKind as K;
    let all = [
        Some(Effect::Read),
        Some(Effect::Set),
        Some(Effect::Claim),
        Some(Effect::Token),
        Some(Effect::Append),
        Some(Effect::Commit),
        Some(Effect::Move),
        None,
    ];
    let outcomes: Vec<(Step, &str)> = vec![
        (Err(K::Connect), "always"),
        (Ok((429, None)), "always"),
        (Err(K::Timeout), "repeatable"),
        (Err(K::Transport), "repeatable"),
        (Ok((408, None)), "repeatable"),
        (Ok((500, None)), "repeatable"),
        (Ok((502, None)), "repeatable"),
        (Ok((503, None)), "repeatable"),
        (Ok((504, None)), "repeatable"),
        (Ok((400, Some("1"))), "never"),
        (Ok((401, None)), "never"),
        (Ok((403, None)), "never"),
        (Ok((404, None)), "never"),
        (Ok((409, None)), "never"),
        (Ok((501, None)), "never"),
        (Err(K::Protocol), "never"),
        (Err(K::Integrity), "never"),
        (Err(K::InvalidInput), "never"),
        (Err(K::Policy), "never"),
        (Err(K::Forbidden), "never"),
        (Ok((307, None)), "never"),
    ];
    for effect in all {
        for (outcome, when) in &outcomes {
            let repeated = match *when {
                "always" => true,
                // Without one, it is that of a GET.
                "repeatable" => effect.is_none_or(Effect::is_repeatable),
                _ => false,
            };
            let ran =
                run_script(RetryPolicy::default(), effect, Body::from("x"), vec![*outcome]).await;
            assert_eq!(ran.bodies.len(), 1 + usize::from(repeated), "{effect:?} {outcome:?}");
            assert!(ran.bodies.iter().all(|b| b == "x"), "the body must go out whole each time");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_sent_once_and_never_as_an_empty_body() {
    let body = Body::stream(Full::new(Bytes::from_static(b"once")));
    let ran =
        run_script(RetryPolicy::default(), Some(Effect::Set), body, vec![Ok((503, None))]).await;
    assert_eq!(ran.bodies, ["once"]);
    assert_eq!(ran.result.unwrap().status(), 503);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_to_the_second_and_only_up_to_its_cap() {
    let read = Some(Effect::Read);
    let script = vec![Ok((429, Some("30"))), Ok((503, Some("20")))];
    let ran = run_script(RetryPolicy::default(), read, Body::empty(), script).await;
    assert_eq!((ran.bodies.len(), ran.waited.as_secs()), (3, 50));
    for too_long in ["61", "86400"] {
        let ran = run_script(
            RetryPolicy::default(),
            read,
            Body::empty(),
            vec![Ok((429, Some(too_long)))],
        )
        .await;
        assert_eq!((ran.bodies.len(), ran.waited.as_secs()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_and_budget_end_the_call_with_the_last_outcome() {
    let down: Script = vec![Err(ErrorKind::Connect); 20];
    let ran = run_script(
        RetryPolicy::default().retries(3),
        Some(Effect::Read),
        Body::empty(),
        down.clone(),
    )
    .await;
    assert_eq!(ran.bodies.len(), 4);
    assert_eq!(ran.result.unwrap_err().attempts(), 4);
    let policy = RetryPolicy::default().retries(100).last_start(Duration::from_secs(20));
    let ran =
        run_script(policy, Some(Effect::Read), Body::empty(), vec![Ok((503, Some("8"))); 50]).await;
    assert_eq!((ran.bodies.len(), ran.waited.as_secs()), (3, 16));
}

#[tokio::test(start_paused = true)]
async fn a_call_is_not_unsent_if_one_of_its_attempts_was_sent() {
    let later = Ok((429, None));
    for (first, is_unsent) in
        [(Err(ErrorKind::Timeout), false), (later, false), (Err(ErrorKind::Connect), true)]
    {
        let script = vec![first, Err(ErrorKind::Connect)];
        let policy = RetryPolicy::default().retries(1);
        let ran = run_script(policy, Some(Effect::Set), Body::empty(), script).await;
        let error = ran.result.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 2));
        assert_eq!(error.is_unsent(), is_unsent, "{first:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_a_silent_attempt_and_no_wait_goes_past_it() {
    let silent = Transport::new(service_fn(|_: Request| {
        std::future::pending::<Result<http::Response<Body>>>()
    }));
    let policy = RetryPolicy::default().deadline(Duration::from_secs(5));
    let start = Instant::now();
    let stack = repeating(policy.clone(), silent);
    let error = stack.oneshot(Request::default()).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Timeout, 5));

    let script = vec![Ok((503, Some("3"))); 10];
    let ran = run_script(policy, Some(Effect::Read), Body::empty(), script).await;
    assert_eq!((ran.bodies.len(), ran.waited.as_secs()), (2, 3));
    assert_eq!(ran.result.unwrap().status(), 503);
}

#[tokio::test(start_paused = true)]
async fn a_dead_service_gets_hardly_more_requests_than_calls() {
    let sent = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counter = Arc::clone(&sent);
    let dead = Transport::new(service_fn(move |_: Request| {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async { Err::<Response, _>(Error::new(ErrorKind::Connect, "down")) }
    }));
    let stack = RetryLayer::new(RetryPolicy::default()).layer(dead);
    for _ in 0..1_000 {
        let mut request = Request::default();
        request.extensions_mut().insert(Effect::Read);
        assert!(stack.clone().oneshot(request).await.is_err());
    }
    let sent = sent.load(std::sync::atomic::Ordering::Relaxed);
    assert!((1_000..=1_300).contains(&sent), "{sent} requests for 1,000 calls");
}

#[tokio::test(start_paused = true)]
async fn options_of_a_call_replace_the_policy() {
    let options = CallOptions::new().retry(RetryPolicy::default().retries(0));
    let transport = Transport::new(service_fn(|_: Request| async {
        Ok::<_, Error>(http::Response::builder().status(503).body(Body::empty()).unwrap())
    }));
    let mut request = Request::default();
    request.extensions_mut().insert(Effect::Read);
    request.extensions_mut().insert(options);
    let layer = RetryLayer::new(RetryPolicy::default());
    let answer = layer.layer(transport).oneshot(request).await.unwrap();
    assert_eq!(answer.extensions().get::<Attempt>().unwrap().get(), 1);
}

#[tokio::test(start_paused = true)]
async fn b1_a_failure_that_many_share_is_paid_for_once() {
    for (is_dry, expected) in [(false, 100), (true, 0)] {
        let original = Arc::new(Error::new(ErrorKind::Server, "down"));
        let calls = Arc::new(Mutex::new(0));
        let transport = Transport::new(service_fn(move |_: Request| {
            let mut calls = calls.lock().unwrap();
            *calls += 1;
            let failure = (*calls <= 100).then(|| Error::shared(&original));
            async { failure.map_or_else(|| Ok(http::Response::new(Body::empty())), Err) }
        }));
        let layer = RetryLayer::new(RetryPolicy::default());
        while is_dry && layer.budget.withdraw(false).is_some() {}
        let call = || {
            let mut request = Request::default();
            request.extensions_mut().insert(Effect::Read);
            layer.layer(transport.clone()).oneshot(request)
        };
        let answers = futures_util::future::join_all((0..100).map(|_| call())).await;
        let well = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(well, expected, "one pays for all, or nobody can");
    }
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_the_waits() {
    let mut waits = Vec::new();
    for _ in 0..2 {
        let policy = RetryPolicy::default().seed(7);
        let ran =
            run_script(policy, Some(Effect::Read), Body::empty(), vec![Ok((503, None)); 3]).await;
        waits.push(ran.waited);
    }
    assert_eq!(waits[0], waits[1]);
    assert!(waits[0] <= Duration::from_millis(500 + 1000 + 2000));
}

#[test]
fn every_bound_of_the_policy_counts_and_is_itself_within() {
    let seconds = Duration::from_secs;
    let policy = RetryPolicy::default;
    for (policy, asked, expected) in [
        (policy(), 60, Some(60)),
        (policy(), 61, None),
        (policy().max_retry_after(seconds(2)), 2, Some(2)),
        (policy().max_retry_after(seconds(2)), 3, None),
        (policy().last_start(seconds(9)), 9, Some(9)),
        (policy().last_start(seconds(9)), 10, None),
        // At the deadline there is no time left for an attempt.
        (policy().deadline(seconds(9)), 8, Some(8)),
        (policy().deadline(seconds(9)), 9, None),
    ] {
        let wait = policy.wait(Some(seconds(asked)), 1, Duration::ZERO);
        assert_eq!(wait, expected.map(seconds), "{asked}: {policy:?}");
    }
}

#[test]
fn waits_lie_within_base_and_cap() {
    let longest = |policy: RetryPolicy| {
        let policy = policy.retries(9).seed(1);
        let waits = (0..200).filter_map(|_| policy.wait(None, 9, Duration::ZERO));
        waits.max().unwrap()
    };
    let at_most = |longest: Duration, bound: Duration| {
        assert!((bound * 9 / 10..=bound).contains(&longest), "{longest:?} of {bound:?}");
    };
    let policy = RetryPolicy::default;
    at_most(longest(policy()), Duration::from_secs(30));
    at_most(longest(policy().base(Duration::from_millis(1))), Duration::from_millis(256));
    at_most(longest(policy().cap(Duration::from_secs(2))), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_may_repeat_more_often_than_one_that_fails() {
    for (status, attempts) in [(429, 101), (503, 36)] {
        let policy = RetryPolicy::default().retries(1_000);
        let script = vec![Ok((status, Some("1"))); 200];
        let ran = run_script(policy, Some(Effect::Read), Body::empty(), script).await;
        assert_eq!(ran.bodies.len(), attempts, "{status}");
    }
}

#[test]
fn a_log_names_the_outcome_and_the_policy() {
    let outcome =
        |result: Result<Response, BoxError>| Outcome::of(&result, Effect::Read).to_string();
    let answer = http::Response::builder().status(503).body(Body::empty()).unwrap();
    assert_eq!(outcome(Ok(answer)), "503");
    assert_eq!(outcome(Err(Error::new(ErrorKind::Connect, "down").into())), "connect");
    assert_eq!(outcome(Err("somebody else's".into())), "transport");
    let policy = RetryPolicy::default().retries(7).deadline(Duration::from_secs(8));
    assert_eq!(
        format!("{policy:?}"),
        "RetryPolicy { retries: 7, last_start: 180s, deadline: Some(8s), .. }"
    );
}
