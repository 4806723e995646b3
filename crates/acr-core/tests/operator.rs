//! What an operator sees of a call: one event per exchange, a warning per retry, spans with
//! OpenTelemetry's names; and nothing of a quiet call.
//!
//! One test in its own program, since tracing decides once per process what is wanted.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use acr_core::{
    CallOptions, Endpoint, Error, Pipeline, Transport,
    http::{Body, Effect, Operation, Request, RequestBuilder},
};
use http::Method;
use tower::service_fn;
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    /// The lines since the last call.
    fn take(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }
}

/// Answers 503 first, then 200.
fn pipeline() -> Pipeline {
    let calls = Arc::new(AtomicU32::new(0));
    let transport = Transport::new(service_fn(move |_: Request| {
        let status =
            if calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { 503 } else { 200 };
        let response = http::Response::builder()
            .status(status)
            .header("x-ms-correlation-request-id", "correlation-1")
            .body(Body::empty());
        async move { Ok::<_, Error>(response.unwrap()) }
    }));
    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    Pipeline::builder(endpoint).transport(transport).build().unwrap()
}

fn request(pipeline: &Pipeline) -> Request {
    RequestBuilder::new(Method::GET, pipeline.endpoint(), &["acr", "v1", "_catalog"])
        .operation(Operation::new("list_repositories"))
        .effect(Effect::Read)
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn exchanges_retries_and_spans_are_told_and_a_quiet_call_is_not() {
    let log = Captured::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(move || writer.clone())
        .init();
    let pipeline = pipeline();
    assert_eq!(pipeline.send(request(&pipeline)).await.unwrap().status(), 200);
    let lines = log.take();
    let with = |words: &[&str]| {
        lines.iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    };
    let info = " INFO ";
    assert_eq!(with(&[info, "exchange", "status=503", "https://r.azurecr.io/acr/v1/_catalog"]), 1);
    assert_eq!(with(&[info, "exchange", "status=200", "method=GET"]), 1);
    assert_eq!(with(&[info, ": exchange"]), 2, "one for each exchange: {lines:#?}");
    assert_eq!(with(&[" WARN ", "retrying", "attempt=1", "operation=\"list_repositories\""]), 1);
    assert_eq!(with(&["DEBUG", "request", "headers=", "x-ms-client-request-id"]), 2);
    assert_eq!(with(&["DEBUG", "response", "headers=", "correlation-1"]), 2);
    let exchange = [
        "close",
        "http.exchange{",
        "http.request.method=\"GET\"",
        "server.address=\"r.azurecr.io\"",
    ];
    let first = [
        "http.response.status_code=503",
        "error.type=\"503\"",
        "azure.service.request.id=\"correlation-1\"",
    ];
    let second = ["http.response.status_code=200", "http.request.resend_count=1"];
    assert_eq!(with(&[&exchange[..], &first[..]].concat()), 1, "{lines:#?}");
    assert_eq!(with(&[&exchange[..], &second[..]].concat()), 1, "{lines:#?}");
    assert_eq!(with(&["close", "resend_count"]), 1, "only where it was sent again");
    assert_eq!(with(&["close", "acr.operation{", "acr.operation=\"list_repositories\""]), 3);

    let quiet = pipeline.with(CallOptions::new().quiet());
    assert_eq!(quiet.send(request(&quiet)).await.unwrap().status(), 200);
    let lines = log.take();
    let events = lines.iter().filter(|line| !line.contains(": close "));
    let told: Vec<_> = events.filter(|line| !line.contains(" WARN ")).collect();
    assert!(told.is_empty(), "{told:#?}");
}
