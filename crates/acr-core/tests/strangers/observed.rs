//! An observer in a stack over hyper-util's client.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use acr_core::layer::{
    AttemptEnded, CallEnded, Direction, ObserveCallLayer, ObserveExchangeLayer, Observed, Observer,
    RetryLayer, RetryPolicy, TimeoutLayer, Timeouts, Transferred, Waited,
};
use http::Request;
use http_body_util::BodyExt as _;
use tower::{ServiceBuilder, ServiceExt as _};

use crate::server::{Server, client, text};

#[derive(Default)]
struct Counts(Mutex<Told>);

#[derive(Debug, Default, PartialEq)]
struct Told {
    calls: Vec<&'static str>,
    attempts: Vec<&'static str>,
    waits: usize,
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

    fn waited(&self, _: &Observed, _: &Waited) {
        self.0.lock().unwrap().waits += 1;
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
        waits: 2,
        sent: 3 * 7,
        received: 3 * 5,
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
