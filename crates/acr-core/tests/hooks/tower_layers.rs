//! tower's time-out, limits, load shed and buffer.

use std::time::Duration;

use acr_core::{
    Error, ErrorKind, Pipeline,
    http::{Attempt, Body, BoxError, Effect, Request},
    layer::{RetryLayer, RetryPolicy},
};
use futures_util::future::join_all;
use tokio::time::Instant;
use tower::{
    Layer as _, ServiceBuilder, ServiceExt as _, buffer::BufferLayer, limit::ConcurrencyLimitLayer,
    load_shed::error::Overloaded, service_fn, timeout::TimeoutLayer,
};

use crate::registry::{Hook, Registry, both, both_as_usual, once, sent};

const SECOND: Duration = Duration::from_secs(1);

async fn eight(pipeline: &Pipeline) -> Vec<acr_core::Result<bytes::Bytes>> {
    join_all((0..8).map(|_| sent(pipeline, Effect::Read, "x"))).await
}

#[tokio::test(start_paused = true)]
async fn a_time_out_is_a_time_out_and_repeated_inside_of_retry() {
    let slow = || Registry::that_takes(5 * SECOND);
    for (hook, pipeline, registry) in both_as_usual(|| TimeoutLayer::new(2 * SECOND), slow) {
        let start = Instant::now();
        let error = sent(&pipeline, Effect::Read, "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{hook:?}");
        let exchanges = registry.seen().len();
        match hook {
            Hook::Call => assert_eq!((exchanges, start.elapsed()), (1, 2 * SECOND)),
            Hook::Hop => assert_eq!((exchanges, error.attempts()), (4, 4)),
        }
    }
    let quick = || Registry::that_takes(SECOND);
    for (hook, pipeline, _) in both_as_usual(|| TimeoutLayer::new(2 * SECOND), quick) {
        assert_eq!(sent(&pipeline, Effect::Read, "x").await.unwrap(), "x", "{hook:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_limits_and_lets_all_through() {
    let registry = || Registry::that_takes(SECOND);
    for (hook, pipeline, registry) in both_as_usual(|| ConcurrencyLimitLayer::new(2), registry) {
        let start = Instant::now();
        assert!(eight(&pipeline).await.iter().all(Result::is_ok), "{hook:?}");
        assert_eq!((registry.most_at_once(), start.elapsed()), (2, 4 * SECOND), "{hook:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn shed_load_was_not_sent_and_is_throttled() {
    let shed = || ServiceBuilder::new().load_shed().concurrency_limit(1);
    let registry = || Registry::that_takes(SECOND);
    for (hook, pipeline, registry) in both(shed, registry, &once()) {
        let start = Instant::now();
        let results = eight(&pipeline).await;
        assert_eq!(start.elapsed(), SECOND, "{hook:?}: nobody waits");
        let refused: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        assert_eq!(refused.len(), 7, "{hook:?}");
        for error in refused {
            assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Throttled, true));
        }
        assert_eq!(registry.seen().len(), 1, "{hook:?}");
    }
}

/// The first attempt may have been taken, whatever became of the last one.
#[tokio::test(start_paused = true)]
async fn a_call_is_not_unsent_where_only_its_last_attempt_was_shed() {
    for (first, is_unsent) in [(ErrorKind::Timeout, false), (ErrorKind::Connect, true)] {
        let then_shed = service_fn(move |request: Request| {
            let is_first = request.extensions().get() == Some(&Attempt::new(1));
            let error: BoxError = match is_first {
                true => Error::new(first, "scripted").into(),
                false => Overloaded::new().into(),
            };
            async move { Err::<http::Response<Body>, _>(error) }
        });
        let stack = RetryLayer::new(RetryPolicy::default().retries(1)).layer(then_shed);
        let mut request = Request::default();
        request.extensions_mut().insert(Effect::Set);
        let error = Error::from(stack.oneshot(request).await.unwrap_err());
        assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Throttled, is_unsent));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_shed_inside_of_retry_comes_again_also_where_it_could_not_be_sent_twice() {
    let shed = || ServiceBuilder::new().load_shed().concurrency_limit(1);
    let registry = || Registry::that_takes(Duration::from_millis(10));
    let policy = RetryPolicy::default().retries(20).seed(1);
    for (hook, pipeline, registry) in both(shed, registry, &policy) {
        let append = || sent(&pipeline, Effect::Append, "x");
        let results = tokio::join!(append(), append());
        let well = usize::from(results.0.is_ok()) + usize::from(results.1.is_ok());
        let expected = if hook == Hook::Hop { 2 } else { 1 };
        assert_eq!((well, registry.seen().len()), (expected, expected), "{hook:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_buffer_stands_in_both() {
    let registry = || Registry::that_takes(SECOND);
    for (hook, pipeline, registry) in both_as_usual(|| BufferLayer::new(2), registry) {
        assert!(eight(&pipeline).await.iter().all(Result::is_ok), "{hook:?}");
        assert_eq!(registry.seen().len(), 8, "{hook:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_stands_behind_a_buffer() {
    let limited = || ServiceBuilder::new().buffer(8).rate_limit(2, SECOND);
    for (hook, pipeline, registry) in both_as_usual(limited, Registry::default) {
        let start = Instant::now();
        assert!(eight(&pipeline).await.iter().all(Result::is_ok), "{hook:?}");
        // Two at once, and two more each second.
        assert_eq!((registry.seen().len(), start.elapsed().as_secs()), (8, 3), "{hook:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn limits_of_one_in_both_hooks_with_attempts_that_wait_end() {
    let script = vec![503, 429, 503];
    let registry = Registry { script, ..Registry::that_takes(SECOND) };
    let inner = || ServiceBuilder::new().buffer(1).rate_limit(1, SECOND).concurrency_limit(1);
    let pipeline = registry
        .builder()
        .retry(RetryPolicy::default().seed(1))
        .layer_per_hop(inner())
        .layer_per_hop(ConcurrencyLimitLayer::new(1))
        .layer_per_call(inner())
        .layer_per_call(ConcurrencyLimitLayer::new(1))
        .build()
        .unwrap();
    assert!(eight(&pipeline).await.iter().all(Result::is_ok));
    assert_eq!((registry.seen().len(), registry.most_at_once()), (8 + 3, 1));
}
