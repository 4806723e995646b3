//! tower-http's trace, limit of request bodies, catch-panic and decompression.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use acr_core::{
    ErrorKind,
    http::{Effect, FollowRedirects},
};
use http::Response;
use tower_http::{
    catch_panic::CatchPanicLayer, decompression::DecompressionLayer, limit::RequestBodyLimitLayer,
    trace::TraceLayer,
};

use crate::registry::{Hook, Registry, both_as_usual, request, sent};

#[tokio::test(start_paused = true)]
async fn trace_sees_calls_or_attempts() {
    let answers = Arc::new(AtomicU32::new(0));
    let layer = || {
        let answers = Arc::clone(&answers);
        TraceLayer::new_for_http().on_response(
            move |_: &Response<_>, _: Duration, _: &tracing::Span| {
                answers.fetch_add(1, Ordering::Relaxed);
            },
        )
    };
    let registry = || Registry { script: vec![503], ..Registry::default() };
    for (hook, pipeline, _) in both_as_usual(layer, registry) {
        answers.store(0, Ordering::Relaxed);
        assert_eq!(sent(&pipeline, Effect::Set, "x").await.unwrap(), "x");
        let expected = if hook == Hook::Hop { 2 } else { 1 };
        assert_eq!(answers.load(Ordering::Relaxed), expected, "{hook:?}");
    }
}

/// Ours tells the same with `sig=REDACTED`.
#[tokio::test]
async fn trace_sees_signed_links_whole_where_hops_are_seen() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let layer = || {
        let seen = Arc::clone(&seen);
        TraceLayer::new_for_http().make_span_with(move |request: &acr_core::http::Request| {
            seen.lock().unwrap().push(request.uri().to_string());
            tracing::Span::none()
        })
    };
    let registry = || Registry { redirects: Some(SIGNED), ..Registry::default() };
    for (hook, pipeline, _) in both_as_usual(layer, registry) {
        seen.lock().unwrap().clear();
        let mut read = request(&pipeline, Effect::Read, "");
        *read.method_mut() = http::Method::GET;
        read.extensions_mut().insert(FollowRedirects::default());
        assert_eq!(pipeline.send(read).await.unwrap().status(), 200);
        let seen = seen.lock().unwrap();
        let expected: &[&str] = if hook == Hook::Hop { &[ASKED, SIGNED] } else { &[ASKED] };
        assert_eq!(*seen, expected, "{hook:?}");
    }
}

const ASKED: &str = "https://r.azurecr.io/v2/a";
const SIGNED: &str = "https://storage.example/a?sig=secret";

#[tokio::test]
async fn a_limit_of_request_bodies_answers_413_to_a_length_that_is_told() {
    for (hook, pipeline, registry) in
        both_as_usual(|| RequestBodyLimitLayer::new(5), Registry::default)
    {
        let mut request = request(&pipeline, Effect::Set, "hello!");
        request.headers_mut().insert("content-length", 6.into());
        assert_eq!(pipeline.send(request).await.unwrap().status(), 413, "{hook:?}");
        assert_eq!(registry.seen().len(), 0, "{hook:?}: nothing was sent");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_request_bodies_is_an_error_and_not_repeated() {
    for (hook, pipeline, registry) in
        both_as_usual(|| RequestBodyLimitLayer::new(5), Registry::default)
    {
        assert_eq!(sent(&pipeline, Effect::Set, "hello").await.unwrap(), "hello", "{hook:?}");
        let error = sent(&pipeline, Effect::Set, "hello!").await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::TooLarge, 1), "{hook:?}");
        assert_eq!(registry.seen().len(), 2, "{hook:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn around_a_call_a_limit_of_bodies_lets_only_the_empty_ones_be_sent_again() {
    for (content, hook_of_call) in [("", true), ("x", false)] {
        let registry = || Registry { script: vec![503], ..Registry::default() };
        for (hook, pipeline, registry) in both_as_usual(|| RequestBodyLimitLayer::new(5), registry)
        {
            let request = request(&pipeline, Effect::Set, content);
            let answer = pipeline.send(request).await.unwrap();
            let is_repeated = hook == Hook::Hop || hook_of_call;
            assert_eq!(answer.status() == 200, is_repeated, "{hook:?} `{content}`");
            assert_eq!(registry.seen().len(), 1 + usize::from(is_repeated));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_below_is_an_answer_with_status_500() {
    let registry = || Registry { panics: true, ..Registry::default() };
    for (hook, pipeline, registry) in both_as_usual(CatchPanicLayer::new, registry) {
        let request = request(&pipeline, Effect::Read, "x");
        let answer = pipeline.send(request).await.unwrap();
        assert_eq!(answer.status(), 500, "{hook:?}");
        let expected = if hook == Hook::Hop { 4 } else { 1 };
        assert_eq!(registry.seen().len(), expected, "{hook:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn decompression_has_nothing_to_do() {
    for (hook, pipeline, registry) in both_as_usual(DecompressionLayer::new, Registry::default) {
        assert_eq!(sent(&pipeline, Effect::Read, "x").await.unwrap(), "x");
        assert_eq!(registry.seen()[0]["accept-encoding"], "identity", "{hook:?}");
    }
}
