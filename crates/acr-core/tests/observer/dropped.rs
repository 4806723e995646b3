//! Futures that nobody waits for any more: what began ends, once.

use std::time::Duration;

use acr_core::layer::Ending;
use http::Method;
use tower::Service as _;

use crate::recorder::{answer, observed, request};

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_in_an_attempt_is_cancelled_and_so_is_the_attempt() {
    let (builder, told) = observed(|_| std::future::pending());
    let pipeline = builder.build().unwrap();
    let call = pipeline.send(request(Method::PUT, "x"));
    let limit = Duration::from_secs(5);
    assert!(tokio::time::timeout(limit, call).await.is_err());
    assert_eq!(told.started(), 1);
    let calls: Vec<_> = told.ended().iter().map(|it| (it.ending, it.duration)).collect();
    assert_eq!(calls, [(Ending::Cancelled, limit)]);
    let attempts: Vec<_> = told.attempts().iter().map(|it| (it.number, it.ending)).collect();
    assert_eq!(attempts, [(1, Ending::Cancelled)]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_in_a_wait_tells_how_long_it_waited() {
    let (builder, told) = observed(|_| async {
        let mut answer = answer(503, "");
        answer.headers_mut().insert("retry-after", "60".parse().unwrap());
        Ok(answer)
    });
    let pipeline = builder.build().unwrap();
    let call = pipeline.send(request(Method::PUT, "x"));
    let limit = Duration::from_secs(5);
    assert!(tokio::time::timeout(limit, call).await.is_err());
    let waits: Vec<_> = told.waits().iter().map(|it| it.duration).collect();
    assert_eq!(waits, [limit]);
    assert_eq!(told.attempts().len(), 1);
    assert!(matches!(told.attempts()[0].ending, Ending::Answered(_)), "it had ended before");
    assert_eq!((told.started(), told.ended().len()), (1, 1));
    assert_eq!(told.ended()[0].ending, Ending::Cancelled);
}

#[tokio::test]
async fn a_call_that_is_never_polled_does_not_count() {
    let (builder, told) = observed(|_| async { Ok(answer(200, "")) });
    let mut pipeline = builder.build().unwrap();
    drop(pipeline.call(request(Method::PUT, "x")));
    assert!(told.all().is_empty());
    pipeline.call(request(Method::PUT, "x")).await.unwrap();
    assert_eq!((told.started(), told.ended().len()), (1, 1));
}
