//! Each option of a single call does what it says, in a pipeline and in a stack of one's own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use acr_core::{
    CallOptions, Endpoint, Error, ErrorKind, Pipeline, Transport,
    http::{Body, Effect, Request, RequestBuilder},
    layer::{RedirectLayer, RequestIdLayer, RetryLayer, RetryPolicy, TimeoutLayer, Timeouts},
};
use http::{HeaderMap, Method};
use tokio::time::Instant;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

type Seen = Arc<Mutex<Vec<(String, HeaderMap)>>>;

/// `/redirect` leads to the storage, `/silent` never answers, `/down` is down.
fn servers() -> (Transport, Seen) {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let transport = Transport::new(service_fn(move |request: Request| {
        log.lock().unwrap().push((request.uri().to_string(), request.headers().clone()));
        async move {
            let response = http::Response::builder();
            Ok::<_, Error>(match request.uri().path() {
                "/silent" => std::future::pending().await,
                "/down" => response.status(503).body(Body::empty()).unwrap(),
                "/redirect" => response
                    .status(307)
                    .header("location", "https://s.example/silent")
                    .body(Body::empty())
                    .unwrap(),
                _ => response.body(Body::empty()).unwrap(),
            })
        }
    }));
    (transport, seen)
}

fn pipeline() -> (Pipeline, Seen) {
    let (transport, seen) = servers();
    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    (Pipeline::builder(endpoint).transport(transport).build().unwrap(), seen)
}

fn get(pipeline: &Pipeline, path: &str) -> Request {
    RequestBuilder::new(Method::GET, pipeline.endpoint(), &[path])
        .effect(Effect::Read)
        .follow_redirects()
        .build()
        .unwrap()
}

fn options() -> CallOptions {
    let mine = "x-mine".parse().unwrap();
    CallOptions::new().request_id("build-1").header(mine, "1".parse().unwrap()).unwrap()
}

fn header(seen: &Seen, at: usize, name: &str) -> Option<String> {
    let seen = seen.lock().unwrap();
    seen.get(at).unwrap().1.get(name).map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_header_and_an_id_are_sent() {
    let (pipeline, seen) = pipeline();
    pipeline.with(options()).send(get(&pipeline, "ok")).await.unwrap();
    // As an extension of the request they count as well, before those of the client.
    let mut request = get(&pipeline, "ok");
    request.extensions_mut().insert(options());
    let other = CallOptions::new().request_id("other");
    pipeline.with(other).send(request).await.unwrap();
    for at in 0..2 {
        assert_eq!(header(&seen, at, "x-mine").as_deref(), Some("1"));
        assert_eq!(header(&seen, at, "x-ms-client-request-id").as_deref(), Some("build-1"));
    }
    pipeline.send(get(&pipeline, "ok")).await.unwrap();
    assert_eq!(header(&seen, 2, "x-mine"), None, "the client itself is as it was");
    assert_ne!(header(&seen, 2, "x-ms-client-request-id").as_deref(), Some("build-1"));
}

#[tokio::test(start_paused = true)]
async fn options_set_one_after_the_other_all_hold_and_the_last_word_counts() {
    let (pipeline, seen) = pipeline();
    let named = |name: &str, value: &str| {
        CallOptions::new().header(name.parse().unwrap(), value.parse().unwrap()).unwrap()
    };
    let hasty = CallOptions::new().retry(RetryPolicy::default().retries(0));
    let client = pipeline.with(hasty).with(options()).with(named("x-mine", "2"));
    let mut request = get(&client, "down");
    request.extensions_mut().insert(named("x-call", "3").request_id("call-1"));
    client.send(request).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1, "the retries of the first");
    assert_eq!(header(&seen, 0, "x-mine").as_deref(), Some("2"));
    assert_eq!(header(&seen, 0, "x-call").as_deref(), Some("3"));
    assert_eq!(header(&seen, 0, "x-ms-client-request-id").as_deref(), Some("call-1"));
    client.send(get(&client, "ok")).await.unwrap();
    assert_eq!(header(&seen, 1, "x-ms-client-request-id").as_deref(), Some("build-1"));
    assert_eq!(header(&seen, 1, "x-call"), None);
}

#[tokio::test(start_paused = true)]
async fn time_outs_and_retries_hold_for_the_call_and_its_hops() {
    let (pipeline, seen) = pipeline();
    let hasty = CallOptions::new()
        .timeouts(Timeouts::default().head(Duration::from_secs(2)))
        .retry(RetryPolicy::default().retries(0));
    for path in ["silent", "redirect"] {
        let start = Instant::now();
        let error = pipeline.with(hasty.clone()).send(get(&pipeline, path)).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Timeout, 2), "{path}");
    }
    seen.lock().unwrap().clear();
    let answer = pipeline.with(hasty).send(get(&pipeline, "down")).await.unwrap();
    assert_eq!((answer.status().as_u16(), seen.lock().unwrap().len()), (503, 1));
    pipeline.send(get(&pipeline, "down")).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 1 + 4, "the client itself is as it was");
}

#[tokio::test(start_paused = true)]
async fn nothing_that_names_the_caller_goes_to_a_host_that_a_server_named() {
    let (pipeline, seen) = pipeline();
    let hasty = options().timeouts(Timeouts::default().head(Duration::from_secs(1)));
    let hasty = hasty.retry(RetryPolicy::default().retries(0));
    pipeline.with(hasty.clone()).send(get(&pipeline, "redirect")).await.unwrap_err();
    assert_eq!(seen.lock().unwrap().len(), 2);
    for name in ["x-mine", "x-ms-client-request-id"] {
        assert!(header(&seen, 0, name).is_some());
        assert_eq!(header(&seen, 1, name), None, "{name}");
    }
    // Not even where the order of the layers is wrong.
    let (transport, seen) = servers();
    let wrong = ServiceBuilder::new()
        .layer(RedirectLayer::new())
        .layer(RequestIdLayer::new())
        .layer(TimeoutLayer::new(Timeouts::default()))
        .service(transport);
    let mut request = get(&pipeline, "redirect");
    hasty.apply_to(&mut request);
    wrong.oneshot(request).await.unwrap_err();
    assert_ne!(header(&seen, 1, "x-ms-client-request-id").as_deref(), Some("build-1"));
    assert_eq!(header(&seen, 1, "x-mine"), None);
}

#[tokio::test(start_paused = true)]
async fn a_stack_of_ones_own_takes_them_too() {
    let (transport, seen) = servers();
    let stack = ServiceBuilder::new()
        .layer(RequestIdLayer::new())
        .layer(RetryLayer::new(RetryPolicy::default()))
        .service(transport);
    let mut request = Request::default();
    *request.uri_mut() = "https://r.azurecr.io/down".parse().unwrap();
    request.extensions_mut().insert(Effect::Read);
    options().retry(RetryPolicy::default().retries(1)).apply_to(&mut request);
    assert_eq!(stack.oneshot(request).await.unwrap().status(), 503);
    assert_eq!(seen.lock().unwrap().len(), 2);
    assert_eq!(header(&seen, 1, "x-mine").as_deref(), Some("1"));
    assert_eq!(header(&seen, 1, "x-ms-client-request-id").as_deref(), Some("build-1"));
}
