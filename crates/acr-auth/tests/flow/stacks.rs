//! The layer among tower's own: limits, buffers, time-outs, load shedding, above and below.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use acr_auth::{AuthLayer, Credential};
use acr_core::{
    Action, Error, ErrorKind, Scope, Transport,
    http::{BoxError, FollowRedirects, Request, Response},
    layer::{HttpService, RedirectLayer, RetryLayer, RetryPolicy},
};
use futures_util::future::join_all;
use tower::{
    Layer, ServiceBuilder, ServiceExt as _,
    buffer::BufferLayer,
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer, RateLimitLayer},
    load_shed::LoadShedLayer,
    service_fn,
    timeout::TimeoutLayer,
};

use crate::support::{self, Call, endpoint, entra, get, ok, token_service};

const CALLS: usize = 64;

/// A registry that takes a moment for every answer, and the most it ever worked on at once.
fn registry() -> (Transport, Arc<AtomicUsize>) {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let peak = Arc::clone(&most);
    let transport = Transport::new(service_fn(move |request: Request| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        async move {
            let now = running.fetch_add(1, Ordering::Relaxed) + 1;
            most.fetch_max(now, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(10)).await;
            running.fetch_sub(1, Ordering::Relaxed);
            let call = Call {
                line: format!("{} {}", request.method(), request.uri().path()),
                authorization: None,
                request_id: None,
                body: String::new(),
            };
            let answer = token_service(&call, r#"[]"#);
            let is_signed = request.headers().contains_key("authorization");
            Ok::<_, Error>(answer.unwrap_or_else(|| match is_signed {
                true => ok("{}"),
                false => support::challenge(r#",scope="repository:a:pull""#),
            }))
        }
    }));
    (transport, peak)
}

/// What another layer says, in the one error type.
fn foreign(error: BoxError) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => *ours,
        Err(other) => Error::new(ErrorKind::Server, "a layer refused").with_source(other),
    }
}

fn credentials() -> [Credential; 2] {
    [entra(), Credential::password("me", "secret")]
}

/// All calls end well, or as `allowed` says, within an hour of a clock that jumps when
/// everybody waits.
async fn all_end<S: HttpService>(name: &str, stack: S, allowed: Option<ErrorKind>) {
    for scopes in [1, CALLS, 0] {
        let calls = (0..CALLS).map(|n| {
            let named = format!("app{}", n % scopes.max(1)).parse().unwrap();
            let scope = (scopes > 0).then(|| Scope::repository(&named, &[Action::PULL]));
            stack.clone().oneshot(get("/v2/", scope))
        });
        let answers = tokio::time::timeout(Duration::from_secs(3600), join_all(calls)).await;
        for answer in answers.unwrap_or_else(|_| panic!("{name}, {scopes} scopes: hangs")) {
            match answer {
                Ok(answer) => assert_eq!(answer.status(), 200, "{name}"),
                Err(error) => {
                    let error = Error::from(error.into());
                    assert_eq!(Some(error.kind()), allowed, "{name}: {error:?}");
                }
            }
        }
    }
}

fn retry() -> RetryLayer {
    RetryLayer::new(RetryPolicy::default())
}

#[tokio::test(start_paused = true)]
async fn b3_cold_calls_pass_a_concurrency_limit_below_around_and_between() {
    for credential in credentials() {
        for limit in 1..=4 {
            let (registry, most) = registry();
            let auth = || AuthLayer::new(&endpoint(), credential.clone());
            let below = || ConcurrencyLimitLayer::new(limit);
            let name = format!("limit {limit}, {credential:?}");
            let stack = ServiceBuilder::new().layer(retry()).layer(auth()).layer(below());
            all_end(&name, stack.service(registry.clone()), None).await;
            assert!(most.load(Ordering::Relaxed) <= limit, "{name}: the limit holds");
            let stack = ServiceBuilder::new().layer(below()).layer(retry()).layer(auth());
            all_end(&name, stack.service(registry.clone()), None).await;
            let stack = ServiceBuilder::new().layer(retry()).layer(below()).layer(auth());
            all_end(&name, stack.service(registry.clone()), None).await;
            let stack = ServiceBuilder::new()
                .layer(below())
                .layer(retry())
                .layer(RedirectLayer::new())
                .layer(GlobalConcurrencyLimitLayer::new(limit))
                .layer(auth())
                .layer(below());
            all_end(&name, stack.service(registry.clone()), None).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b3_cold_calls_pass_a_pipeline_with_a_limit_inside_of_sign_in() {
    for credential in credentials() {
        for limit in [1, 4] {
            let pipeline = acr_core::Pipeline::builder(endpoint())
                .transport(registry().0)
                .layer_per_hop(ConcurrencyLimitLayer::new(limit))
                .layer_per_hop(AuthLayer::new(&endpoint(), credential.clone()))
                .layer_per_hop(ConcurrencyLimitLayer::new(limit))
                .layer_per_call(ConcurrencyLimitLayer::new(limit))
                .build()
                .unwrap();
            all_end(&format!("pipeline {limit}"), pipeline, None).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b3_cold_calls_pass_every_layer_of_tower_that_keeps_readiness() {
    for credential in credentials() {
        let auth = || AuthLayer::new(&endpoint(), credential.clone());
        let stack = || ServiceBuilder::new().layer(retry()).layer(auth()).map_err(foreign);
        let registry = registry().0;

        let buffer = stack().layer(BufferLayer::new(1)).service(registry.clone());
        all_end("a buffer of one below", buffer, None).await;
        let buffer = stack()
            .layer(BufferLayer::new(1))
            .layer(ConcurrencyLimitLayer::new(1))
            .service(registry.clone());
        all_end("a buffered limit below", buffer, None).await;
        let limited = stack()
            .layer(BufferLayer::new(2))
            .layer(RateLimitLayer::new(1, Duration::from_millis(100)))
            .service(registry.clone());
        all_end("a rate below", limited, None).await;
        let timeout = stack()
            .layer(TimeoutLayer::new(Duration::from_secs(60)))
            .layer(ConcurrencyLimitLayer::new(1))
            .service(registry.clone());
        all_end("a time-out below", timeout, None).await;
        let shed = stack()
            .layer(LoadShedLayer::new())
            .layer(ConcurrencyLimitLayer::new(2))
            .service(registry.clone());
        all_end("load shedding below", shed, Some(ErrorKind::Server)).await;

        let around = || ServiceBuilder::new().map_err(foreign);
        let inner = || {
            ServiceBuilder::new().layer(retry()).layer(auth()).layer(ConcurrencyLimitLayer::new(1))
        };
        let buffer = around().layer(BufferLayer::new(1)).service(inner().service(registry.clone()));
        all_end("a buffer of one around", buffer, None).await;
        let rate = around()
            .layer(BufferLayer::new(1))
            .layer(RateLimitLayer::new(1, Duration::from_millis(100)))
            .service(inner().service(registry.clone()));
        all_end("a rate around", rate, None).await;
        let shed = around()
            .layer(LoadShedLayer::new())
            .layer(ConcurrencyLimitLayer::new(1))
            .service(inner().service(registry.clone()));
        all_end("load shedding around", shed, Some(ErrorKind::Server)).await;
    }
}

/// One clone is polled ready and left alone, as a balancer does it.
async fn is_not_kept_by_an_idle_clone<S: HttpService>(name: &str, stack: S, request: Request) {
    let mut idle = stack.clone();
    assert!(idle.ready().await.is_ok());
    let unpolled = idle.call(get("/v2/", None));
    let mut idle = stack.clone();
    assert!(idle.ready().await.is_ok());
    let call = tokio::time::timeout(Duration::from_secs(3600), stack.oneshot(request)).await;
    let answer = call.unwrap_or_else(|_| panic!("{name} hangs"));
    assert_eq!(answer.ok().map(|answer| answer.status().as_u16()), Some(200), "{name}");
    drop((idle, unpolled));
}

/// Answers the first request to every path with a redirect or trouble.
fn trouble() -> Transport {
    let seen = Arc::new(AtomicUsize::new(0));
    Transport::new(service_fn(move |_: Request| {
        let first = seen.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            let mut answer: Response = ok("");
            if first {
                *answer.status_mut() = http::StatusCode::TEMPORARY_REDIRECT;
                let location = "https://storage.example/c".parse().unwrap();
                answer.headers_mut().insert("location", location);
            }
            Ok::<_, Error>(answer)
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn b3_nothing_is_reserved_by_a_layer_that_calls_more_than_once() {
    let limit = || ConcurrencyLimitLayer::new(1);
    let scope = Scope::catalog();
    let auth = AuthLayer::new(&endpoint(), entra());
    let (registry, _) = registry();
    let stack = auth.layer(limit().layer(registry.clone()));
    is_not_kept_by_an_idle_clone("sign-in", stack, get("/v2/", Some(scope))).await;

    let mut read = get("/v2/a/blobs/b", None);
    read.extensions_mut().insert(FollowRedirects::default());
    let stack = RedirectLayer::new().layer(limit().layer(trouble()));
    is_not_kept_by_an_idle_clone("redirect", stack, read).await;

    let calls = Arc::new(AtomicUsize::new(0));
    let flaky = Transport::new(service_fn(move |_: Request| {
        let is_down = calls.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            let mut answer: Response = ok("");
            if is_down {
                *answer.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            }
            Ok::<_, Error>(answer)
        }
    }));
    let stack = retry().layer(limit().layer(flaky));
    is_not_kept_by_an_idle_clone("retry", stack, get("/v2/", None)).await;

    // Erased, and called without being polled.
    let erased = acr_core::Pipeline::builder(endpoint())
        .transport(registry)
        .layer_per_hop(limit())
        .layer_per_hop(AuthLayer::new(&endpoint(), entra()))
        .build()
        .unwrap();
    let scoped = get("/v2/", Some(Scope::catalog()));
    is_not_kept_by_an_idle_clone("the pipeline", erased, scoped).await;
}

#[tokio::test(start_paused = true)]
async fn b3_a_call_that_is_given_up_leaves_its_place() {
    let (registry, _) = registry();
    let stack = ServiceBuilder::new()
        .layer(retry())
        .layer(AuthLayer::new(&endpoint(), entra()))
        .layer(ConcurrencyLimitLayer::new(1))
        .service(registry);
    // Dropped at every point of its life, from before the exchange to the answer.
    for millis in 0..35 {
        let given_up = stack.clone().oneshot(get("/v2/", Some(Scope::catalog())));
        let _ = tokio::time::timeout(Duration::from_millis(millis), given_up).await.is_ok();
    }
    all_end("after calls that were given up", stack, None).await;
}
