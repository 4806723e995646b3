//! Calls, attempts, waits, 429s and hops.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use acr_core::{
    CallOptions, ErrorKind,
    http::{FollowRedirects, Request},
    layer::{Ending, Target, Timeouts},
};
use http::{Method, StatusCode};
use tokio::time::Instant;

use crate::recorder::{Event, Recorder, answer, observed, request};

fn answered(status: u16) -> Ending {
    Ending::Answered(StatusCode::from_u16(status).unwrap())
}

/// Answers by a script, and 200 then.
fn script(statuses: &[u16]) -> Arc<Mutex<Vec<u16>>> {
    Arc::new(Mutex::new(statuses.iter().rev().copied().collect()))
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_answered_503_twice_is_one_with_three_attempts_and_two_waits() {
    let statuses = script(&[503, 503]);
    let (builder, told) = observed(move |_| {
        let status = statuses.lock().unwrap().pop().unwrap_or(200);
        async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok(answer(status, ""))
        }
    });
    let pipeline = builder.build().unwrap();
    let start = Instant::now();
    pipeline.clone().send(request(Method::PUT, "x")).await.unwrap();

    assert_eq!((told.started(), told.ended().len()), (1, 1));
    let call = &told.ended()[0];
    assert_eq!((call.ending, call.duration), (answered(200), start.elapsed()));
    let attempts: Vec<_> = told.attempts().iter().map(|it| (it.number, it.ending)).collect();
    assert_eq!(attempts, [(1, answered(503)), (2, answered(503)), (3, answered(200))]);
    let waits = told.waits();
    let reasons: Vec<_> = waits.iter().map(|it| (it.attempt, it.reason, it.is_asked)).collect();
    assert_eq!(reasons, [(1, answered(503), false), (2, answered(503), false)]);
    assert!(told.attempts().iter().all(|it| it.duration == Duration::from_secs(2)));
    let waited: Duration = waits.iter().map(|it| it.duration).sum();
    assert!(!waited.is_zero());
    assert_eq!(
        waited + Duration::from_secs(6),
        call.duration,
        "nothing is told twice or not at all"
    );
    assert!(told.throttled().is_empty() && told.token_calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_throttled_says_how_long_the_server_asked_to_wait() {
    let statuses = script(&[429]);
    let (builder, told) = observed(move |_| {
        let status = statuses.lock().unwrap().pop().unwrap_or(200);
        async move {
            let mut answer = answer(status, "");
            answer.headers_mut().insert("retry-after", "7".parse().unwrap());
            Ok(answer)
        }
    });
    builder.build().unwrap().send(request(Method::PUT, "x")).await.unwrap();
    let seven = Duration::from_secs(7);
    let asked: Vec<_> = told.throttled().iter().map(|it| it.retry_after).collect();
    assert_eq!(asked, [Some(seven)]);
    let [wait] = &told.waits()[..] else { panic!("{:?}", told.waits()) };
    assert_eq!((wait.reason, wait.is_asked), (answered(429), true));
    assert!(wait.duration >= seven && wait.duration < seven + Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_time_out_is_told_as_one_and_not_as_given_up() {
    let (builder, told) = observed(|_| std::future::pending());
    let timeouts = Timeouts::default().head(Duration::from_secs(3));
    let pipeline = builder.timeouts(timeouts).build().unwrap();
    pipeline.send(request(Method::PUT, "")).await.unwrap_err();
    let timeout = Ending::Failed(Some(ErrorKind::Timeout));
    assert_eq!(told.attempts().len(), 4);
    assert!(told.attempts().iter().all(|it| it.ending == timeout && it.duration.as_secs() == 3));
    assert!(told.waits().iter().all(|it| it.reason == timeout));
    assert_eq!(told.ended()[0].ending, timeout);
}

#[tokio::test(start_paused = true)]
async fn a_hop_is_told_without_the_name_that_the_server_chose() {
    let (builder, told) = observed(|request: Request| async move {
        let is_storage = request.uri().host() == Some("random-name.storage.example");
        let mut answer = answer(if is_storage { 200 } else { 307 }, "content");
        let to = "https://random-name.storage.example/c?sig=secret-signature";
        answer.headers_mut().insert("location", to.parse().unwrap());
        Ok(answer)
    });
    let mut read = request(Method::GET, "");
    read.extensions_mut().insert(FollowRedirects::default());
    let answer = builder.build().unwrap().send(read).await.unwrap();
    answer.into_body().bytes(100).await.unwrap();

    let hops: Vec<_> = told
        .all()
        .into_iter()
        .filter(|(_, event)| matches!(event, Event::Attempt(_)))
        .map(|(of, _)| (of.target, of.host))
        .collect();
    let host = || "r.azurecr.io".to_owned();
    assert_eq!(hops, [(Target::Asked, host()), (Target::Redirected, host())]);
    // No path, no digest, no subject, no signature, no name of a server's choice.
    let all = format!("{:?}", told.all());
    for word in ["secret", "5ec4e7", "random-name", "v2", "https"] {
        assert!(!all.contains(word), "`{word}` in {all}");
    }
    let is_named = |of: &acr_core::layer::Observed| {
        (of.operation, of.method, of.host.as_str()) == (Some("operate"), "GET", "r.azurecr.io")
    };
    assert!(told.all().iter().all(|(of, _)| is_named(of)), "{all}");
}

#[tokio::test(start_paused = true)]
async fn a_second_observer_is_told_too_and_clones_tell_the_same() {
    let (builder, first) = observed(|_| async { Ok(answer(200, "x")) });
    let second = Arc::new(Recorder::default());
    let pipeline = builder.observer(second.clone()).build().unwrap();
    pipeline.send(request(Method::PUT, "x")).await.unwrap();
    pipeline.with(CallOptions::new().quiet()).send(request(Method::PUT, "x")).await.unwrap();
    assert_eq!(first.ended().len(), 2);
    assert_eq!(format!("{:?}", first.all()), format!("{:?}", second.all()));
}

#[tokio::test]
async fn methods_and_statuses_that_nobody_knows_have_one_word() {
    let (builder, told) = observed(|_| async { Ok(answer(600, "")) });
    let odd = Method::from_bytes(b"RANDOM-7").unwrap();
    builder.build().unwrap().send(request(odd, "")).await.unwrap();
    assert!(told.all().iter().all(|(of, _)| of.method == "_OTHER"));
    assert_eq!(told.ended()[0].ending.as_str(), "other");
}
