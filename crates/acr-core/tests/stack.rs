//! The finished pipeline: order of the layers, seen from the places where strangers put theirs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use acr_core::{
    Endpoint, Error, ErrorKind, Pipeline, Result, Transport,
    http::{
        Attempt, Body, Effect, FollowRedirects, Operation, Request, RequestBuilder, Response,
        response,
    },
    layer::RequestId,
};
use http::{Method, StatusCode};
use tower::{ServiceBuilder, ServiceExt as _, service_fn};

type Log = Arc<Mutex<Vec<String>>>;

/// A transport that answers by the script, then with 200, and logs what it saw.
fn transport(log: &Log, script: &[(u16, Option<&'static str>)]) -> Transport {
    let (log, script) = (Arc::clone(log), script.to_vec());
    Transport::new(service_fn(move |request: Request| {
        let mut log = log.lock().unwrap();
        let count = log.iter().filter(|line| line.starts_with("wire")).count();
        let id = request.headers().contains_key("x-ms-client-request-id");
        let agent = request.headers().contains_key("user-agent");
        log.push(format!("wire {} id={id} agent={agent}", request.uri().host().unwrap()));
        let (status, location) = script.get(count).copied().unwrap_or((200, None));
        let mut response = http::Response::builder().status(status);
        if let Some(location) = location {
            response = response.header("location", location);
        }
        let response = response.body(Body::from("body")).unwrap();
        async move { Ok::<_, Error>(response) }
    }))
}

/// A layer that logs each request that passes and which attempt it is.
fn spy(
    log: &Log,
    name: &'static str,
) -> impl tower_layer::Layer<Transport, Service = Transport> + Clone + use<> {
    let log = Arc::clone(log);
    tower::layer::layer_fn(move |inner: Transport| {
        let log = Arc::clone(&log);
        Transport::new(service_fn(move |request: Request| {
            let attempt = request.extensions().get::<Attempt>().map_or(0, |a| a.get());
            log.lock().unwrap().push(format!("{name} attempt={attempt}"));
            inner.clone().oneshot(request)
        }))
    })
}

fn request(endpoint: &Endpoint) -> Request {
    let mut request = RequestBuilder::new(Method::GET, endpoint, &["v2", "a", "blobs", "b"])
        .operation(Operation::new("download_blob").on("a@b"))
        .effect(Effect::Read)
        .build()
        .unwrap();
    request.extensions_mut().insert(FollowRedirects::default());
    request
}

#[tokio::test(start_paused = true)]
async fn each_attempt_starts_at_the_registry_and_each_hop_passes_the_per_hop_layers() {
    let log = Log::default();
    let script =
        [(307, Some("https://s.example/x")), (503, None), (307, Some("https://s.example/x"))];
    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    let pipeline = Pipeline::builder(endpoint.clone())
        .transport(transport(&log, &script))
        .layer_per_call(spy(&log, "call"))
        .layer_per_hop(spy(&log, "hop"))
        .build()
        .unwrap();
    let answer = pipeline.send(request(&endpoint)).await.unwrap();
    assert_eq!(answer.extensions().get::<Attempt>().unwrap().get(), 2);
    assert_eq!(
        *log.lock().unwrap(),
        [
            "call attempt=0",
            "hop attempt=1",
            "wire r.azurecr.io id=true agent=true",
            "hop attempt=1",
            "wire s.example id=false agent=true",
            "hop attempt=2",
            "wire r.azurecr.io id=true agent=true",
            "hop attempt=2",
            "wire s.example id=false agent=true",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn all_attempts_of_a_call_share_one_request_id() {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ids);
    let transport = Transport::new(service_fn(move |request: Request| {
        let id = request.extensions().get::<RequestId>().unwrap().as_str().to_owned();
        assert_eq!(request.headers()["x-ms-client-request-id"], id.as_str());
        seen.lock().unwrap().push(id);
        async { Ok::<_, Error>(http::Response::builder().status(503).body(Body::empty()).unwrap()) }
    }));
    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    let pipeline = Pipeline::builder(endpoint.clone()).transport(transport).build().unwrap();
    for _ in 0..2 {
        assert_eq!(pipeline.send(request(&endpoint)).await.unwrap().status(), 503);
    }
    let ids = ids.lock().unwrap();
    assert_eq!(ids.len(), 8);
    assert!(ids[..4].iter().all(|id| *id == ids[0]) && ids[4..].iter().all(|id| *id == ids[4]));
    assert_ne!(ids[0], ids[4]);
}

#[tokio::test]
async fn g12_a_request_says_the_librarys_name_unless_a_layer_below_takes_it_away() {
    let agents = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&agents);
    let transport = Transport::new(service_fn(move |request: Request| {
        let agent = request.headers().get("user-agent").map(|text| text.to_str().unwrap());
        seen.lock().unwrap().push(agent.map(str::to_owned));
        async { Ok::<_, Error>(http::Response::new(Body::empty())) }
    }));
    // What a caller does who wants no telemetry at all: it stands around the transport.
    let silent = Transport::new(
        ServiceBuilder::new()
            .map_request(|mut request: Request| {
                request.headers_mut().remove("user-agent");
                request
            })
            .service(transport.clone()),
    );
    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    for transport in [transport, silent] {
        let pipeline = Pipeline::builder(endpoint.clone()).transport(transport);
        let pipeline = pipeline.application_id("my-app/1").build().unwrap();
        pipeline.send(request(&endpoint)).await.unwrap();
    }
    let agents = agents.lock().unwrap();
    let named = agents[0].as_deref().unwrap();
    assert!(named.starts_with("my-app/1 ") && named.contains("acr-rust/"), "{named}");
    assert_eq!(agents[1], None);
}

#[tokio::test(start_paused = true)]
async fn an_error_names_operation_subject_url_attempts_and_id() {
    let log = Log::default();
    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    let pipeline = Pipeline::builder(endpoint.clone())
        .transport(transport(&log, &[(503, None); 4]))
        .build()
        .unwrap();
    let answer = pipeline.send(request(&endpoint)).await.unwrap();
    let error = response::expect(answer, &[StatusCode::OK]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    assert_eq!(error.operation(), Some("download_blob"));
    assert_eq!(error.url(), Some("https://r.azurecr.io/v2/a/blobs/b"));
    assert_eq!(error.attempts(), 4);
    let id = error.request_id().unwrap();
    assert_eq!(
        error.to_string(),
        format!("download_blob `a@b`: 503: Service Unavailable after 4 attempts (request id {id})")
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_without_an_answer_names_them_too() {
    let transport = Transport::new(service_fn(|_: Request| async {
        Err::<Response, _>(std::io::Error::other("connection reset: sig=x"))
    }));
    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    let pipeline = Pipeline::builder(endpoint.clone()).transport(transport).build().unwrap();
    let error = pipeline.send(request(&endpoint)).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Transport, 4));
    assert!(error.to_string().starts_with("download_blob `a@b`: "));
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "connection reset: …");
}

#[tokio::test]
async fn a_pipeline_stands_in_a_strangers_stack() -> Result<()> {
    let log = Log::default();
    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    let pipeline =
        Pipeline::builder(endpoint.clone()).transport(transport(&log, &[])).build().unwrap();
    let stack = ServiceBuilder::new()
        .concurrency_limit(4)
        .timeout(Duration::from_secs(5))
        .service(pipeline);
    let answer = stack.oneshot(request(&endpoint)).await.unwrap();
    assert_eq!(answer.into_body().bytes(10).await?, "body");
    Ok(())
}

#[test]
fn without_a_usable_application_id_there_is_no_pipeline() {
    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    let builder = Pipeline::builder(endpoint).transport(transport(&Log::default(), &[]));
    let error = builder.application_id("a\nb").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
