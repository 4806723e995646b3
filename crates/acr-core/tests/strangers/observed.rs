//! An observer in a stack over hyper-util's client.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use acr_core::{
    http::BoxError,
    layer::{
        AttemptEnded, CallEnded, CountedBody, Direction, ObserveCallLayer, ObserveExchangeLayer,
        Observed, Observer, RetryLayer, RetryPolicy, TimeoutLayer, Timeouts, Transferred, Waited,
    },
};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tower::{ServiceBuilder, ServiceExt as _};

use crate::server::{Server, client, text};

#[derive(Default)]
struct Counts(Mutex<Told>);

#[derive(Debug, Default, PartialEq)]
struct Told {
    calls: Vec<&'static str>,
    attempts: Vec<&'static str>,
    waits: Vec<&'static str>,
    sent: u64,
    received: u64,
}

impl Observer for Counts {
    fn call_ended(&self, of: &Observed, event: &CallEnded) {
        assert_eq!((of.operation, of.host.as_str(), of.method), (None, "127.0.0.1", "PUT"));
        self.0.lock().unwrap().calls.push(event.ending.as_str());
    }

    fn attempt_ended(&self, _: &Observed, event: &AttemptEnded) {
        self.0.lock().unwrap().attempts.push(event.ending.as_str());
    }

    fn waited(&self, _: &Observed, event: &Waited) {
        self.0.lock().unwrap().waits.push(event.reason.as_str());
    }

    fn transferred(&self, _: &Observed, event: &Transferred) {
        let mut told = self.0.lock().unwrap();
        match event.direction {
            Direction::Sent => told.sent += event.bytes,
            Direction::Received => told.received += event.bytes,
            _ => panic!("{event:?}"),
        }
    }
}

#[tokio::test]
async fn an_observer_is_told_of_a_strangers_stack() {
    let server = Server::start(&[503, 503]).await;
    let counts = Arc::new(Counts::default());
    let stack = ServiceBuilder::new()
        .layer(ObserveCallLayer::new(counts.clone()))
        .layer(RetryLayer::new(RetryPolicy::default().base(Duration::from_millis(1))))
        .layer(ObserveExchangeLayer::new(counts.clone()))
        .layer(TimeoutLayer::new(Timeouts::default()))
        .service(client());
    let request = Request::put(server.uri("/")).body(text("content")).unwrap();
    let answer = stack.oneshot(request).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hello");
    let told = Told {
        calls: vec!["2xx"],
        attempts: vec!["5xx", "5xx", "2xx"],
        waits: vec!["5xx"; 2],
        sent: 3 * 7,
        received: 3 * 5,
    };
    assert_eq!(*counts.0.lock().unwrap(), told);
}

/// A failure of which nothing is known has one word, whoever tells it.
#[tokio::test]
async fn a_failure_is_told_by_the_same_name_of_attempt_wait_and_call() {
    let counts = Arc::new(Counts::default());
    let policy = RetryPolicy::default().base(Duration::from_millis(1)).retries(1);
    let stack = ServiceBuilder::new()
        .layer(ObserveCallLayer::new(counts.clone()))
        .layer(RetryLayer::new(policy))
        .layer(ObserveExchangeLayer::new(counts.clone()))
        .service(client());
    stack.oneshot(Request::put("http://127.0.0.1:1/").body(text("x")).unwrap()).await.unwrap_err();
    let told = Told {
        calls: vec!["unknown"],
        attempts: vec!["unknown"; 2],
        waits: vec!["unknown"],
        ..Told::default()
    };
    assert_eq!(*counts.0.lock().unwrap(), told);
}

/// No retry, no time-outs, no runtime's clock: what is left works alone.
#[tokio::test]
async fn each_of_the_two_layers_works_alone_and_keeps_the_clients_error() {
    let counts = Arc::new(Counts::default());
    let nowhere = || Request::put("http://127.0.0.1:1/").body(text("x")).unwrap();
    let calls = ServiceBuilder::new().layer(ObserveCallLayer::new(counts.clone()));
    let error: hyper_util::client::legacy::Error =
        calls.service(client()).oneshot(nowhere()).await.unwrap_err();
    assert!(error.is_connect());
    let exchanges = ServiceBuilder::new().layer(ObserveExchangeLayer::new(counts.clone()));
    let error: hyper_util::client::legacy::Error =
        exchanges.service(client()).oneshot(nowhere()).await.unwrap_err();
    assert!(error.is_connect());
    let told = Told { calls: vec!["unknown"], attempts: vec!["unknown"], ..Told::default() };
    assert_eq!(*counts.0.lock().unwrap(), told);
}

/// Whoever calls a server writes any name into the URL, or into HTTP/2's `:authority`.
#[tokio::test]
async fn around_a_server_no_client_makes_a_label() {
    #[derive(Default)]
    struct Hosts(Mutex<Vec<(String, u64)>>);

    impl Observer for Hosts {
        fn call_ended(&self, of: &Observed, _: &CallEnded) {
            self.0.lock().unwrap().push((of.host.clone(), 0));
        }
        fn transferred(&self, of: &Observed, event: &Transferred) {
            self.0.lock().unwrap().push((of.host.clone(), event.bytes));
        }
    }

    for is_server in [true, false] {
        let hosts = Arc::new(Hosts::default());
        let (mut calls, mut exchanges) =
            (ObserveCallLayer::new(hosts.clone()), ObserveExchangeLayer::new(hosts.clone()));
        if is_server {
            (calls, exchanges) = (calls.server(), exchanges.server());
        }
        let server = ServiceBuilder::new().layer(calls).layer(exchanges).service_fn(
            |request: Request<_>| async {
                Ok::<_, std::convert::Infallible>(http::Response::new(request.into_body()))
            },
        );
        let request = Request::put("http://RANDOM-7.example/").body(text("x")).unwrap();
        server.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
        let host = if is_server { "" } else { "random-7.example" };
        let seen = hosts.0.lock().unwrap();
        assert_eq!(*seen, [(host.to_owned(), 0), (host.to_owned(), 1), (host.to_owned(), 1)]);
    }
}

/// Each side tells what it sent and received itself.
#[tokio::test]
async fn around_a_server_a_request_is_received_and_an_answer_is_sent() {
    for is_server in [true, false] {
        let counts = Arc::new(Counts::default());
        let mut exchanges = ObserveExchangeLayer::new(counts.clone());
        if is_server {
            exchanges = exchanges.server();
        }
        let service = ServiceBuilder::new().layer(exchanges).service_fn(
            |request: Request<CountedBody<Full<Bytes>>>| async {
                let body = request.into_body().collect().await?.to_bytes();
                assert_eq!(body, "request");
                Ok::<_, std::convert::Infallible>(http::Response::new(text("answer")))
            },
        );
        let request = Request::put("http://a.example/").body(text("request")).unwrap();
        service.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
        let told = std::mem::take(&mut *counts.0.lock().unwrap());
        let expected = if is_server { (6, 7) } else { (7, 6) };
        assert_eq!((told.sent, told.received), expected, "{is_server}");
    }
}

/// `ObserveExchange` sees the service's own error, which nobody can look into: boxed, it is read
/// as retry reads it.
#[tokio::test(start_paused = true)]
async fn an_error_around_one_that_is_known_is_told_by_its_kind_if_it_is_boxed() {
    #[derive(Debug)]
    struct Late(tower::timeout::error::Elapsed);

    impl std::fmt::Display for Late {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("late")
        }
    }

    impl std::error::Error for Late {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    let late = |_: Request<CountedBody<_>>| async {
        Err::<http::Response<Full<Bytes>>, _>(Late(tower::timeout::error::Elapsed::new()))
    };
    let policy = RetryPolicy::default().base(Duration::from_millis(1)).retries(1);
    let request = || Request::put("http://127.0.0.1/").body(text("x")).unwrap();
    let around = |counts: &Arc<Counts>| {
        ServiceBuilder::new()
            .layer(ObserveCallLayer::new(counts.clone()))
            .layer(RetryLayer::new(policy.clone()))
            .layer(ObserveExchangeLayer::new(counts.clone()))
    };
    let (bare, boxed) = (Arc::new(Counts::default()), Arc::new(Counts::default()));
    around(&bare).service_fn(late).oneshot(request()).await.unwrap_err();
    around(&boxed).map_err(BoxError::from).service_fn(late).oneshot(request()).await.unwrap_err();
    for (counts, attempts) in [(bare, "unknown"), (boxed, "timeout")] {
        let told = Told {
            calls: vec!["timeout"],
            attempts: vec![attempts; 2],
            waits: vec!["timeout"],
            ..Told::default()
        };
        assert_eq!(*counts.0.lock().unwrap(), told);
    }
}

/// Nothing was sent, so there is no exchange; the wait and the call say what was.
#[tokio::test]
async fn a_service_that_is_never_ready_has_no_exchange() {
    #[derive(Clone)]
    struct Closed;

    impl tower::Service<Request<CountedBody<Full<Bytes>>>> for Closed {
        type Response = http::Response<Full<Bytes>>;
        type Error = std::io::Error;
        type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Err(std::io::Error::other("closed")))
        }
        fn call(&mut self, _: Request<CountedBody<Full<Bytes>>>) -> Self::Future {
            panic!("called though it is not ready")
        }
    }

    let counts = Arc::new(Counts::default());
    let policy = RetryPolicy::default().base(Duration::from_millis(1)).retries(1);
    let stack = ServiceBuilder::new()
        .layer(ObserveCallLayer::new(counts.clone()))
        .layer(RetryLayer::new(policy))
        .layer(ObserveExchangeLayer::new(counts.clone()))
        .service(Closed);
    stack.oneshot(Request::put("http://127.0.0.1:1/").body(text("x")).unwrap()).await.unwrap_err();
    let told = Told { calls: vec!["unknown"], waits: vec!["unknown"], ..Told::default() };
    assert_eq!(*counts.0.lock().unwrap(), told);
}
