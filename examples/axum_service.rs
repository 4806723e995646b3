//! A service of one's own on axum: tower-http's trace, compression and limit of bodies beside our
//! request id, redacted log, time-outs and retry, and our client behind it.
//!
//! ```text
//! cargo run --example axum_service
//! ```
//!
//! - **The server** answers `GET /tags/{repository}` with the tags, asked of a registry. Around
//!   it: `TraceLayer`, `CompressionLayer` and `RequestBodyLimitLayer` of tower-http;
//!   `RequestIdLayer`, `LogLayer` and `TimeoutLayer` of acr-core. The id of a request goes on to
//!   the registry (`CallOptions::request_id`), so one name finds all three logs.
//! - **The caller** is hyper-util's client in a stack of ours: request id, retry, trace, log,
//!   time-outs, over `http::Request<Full<Bytes>>`. The first answer is a 503, which a `GET`
//!   survives without a word about it.
//!
//! Talks to an emulator and ends by itself. docs/embed.md tells which layer fits where.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use acr_core::{
    CallOptions, ErrorKind, Pipeline,
    http::{Attempt, BoxError, Redaction},
    layer::{
        LogLayer, RequestId, RequestIdLayer, RetryLayer, RetryPolicy, TimeoutLayer, Timeouts,
        TraceLayer,
    },
};
use acr_examples::{Registry, Wire, connect, push_samples};
use acr_registry::RepositoryClient;
use acr_testkit::FakeRegistry;
use axum::{
    Router,
    error_handling::HandleErrorLayer,
    extract::{Extension, Path, State},
    routing,
};
use bytes::Bytes;
use http::{HeaderName, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{net::TcpListener, task::JoinSet};
use tower::{ServiceBuilder, ServiceExt as _};
use tower_http::{compression::CompressionLayer, limit::RequestBodyLimitLayer};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let fake = FakeRegistry::new();
    let registry = Registry::emulator(&fake).await?;
    let pipeline = connect(&registry, &Wire::default())?;
    let app = RepositoryClient::new(pipeline.clone(), "library/app".parse()?);
    let tags: Vec<String> = (1..=40).map(|number| format!("v{number}")).collect();
    push_samples(&app, &tags.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    fake.journal().clear();

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, service(pipeline)).await });
    let result = ask(address).await;
    server.shutdown().await;

    println!("the registry was asked {} times", fake.journal().entries().len());
    registry.shutdown().await;
    result
}

#[derive(Clone)]
struct Service {
    pipeline: Pipeline,
    is_warm: Arc<AtomicBool>,
}

/// The server: outside to inside.
fn service(pipeline: Pipeline) -> Router {
    let layers = ServiceBuilder::new()
        .layer(tower_http::trace::TraceLayer::new_for_http())
        .layer(RequestIdLayer::new().header(ID))
        .layer(LogLayer::new(Redaction::new().show_header(ID)))
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(64 * 1024))
        // What our time-outs say is an error; to axum, every error is an answer.
        .layer(HandleErrorLayer::new(|_: BoxError| async { StatusCode::GATEWAY_TIMEOUT }))
        .layer(TimeoutLayer::new(Timeouts::default()));
    Router::new()
        .route("/tags/{*repository}", routing::get(tags).post(|_: Bytes| async { "taken" }))
        .layer(layers)
        .with_state(Service { pipeline, is_warm: Arc::default() })
}

/// The tags of a repository, one a line.
async fn tags(
    State(service): State<Service>,
    Extension(id): Extension<RequestId>,
    Path(repository): Path<String>,
) -> Result<String, StatusCode> {
    if !service.is_warm.swap(true, Ordering::Relaxed) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let name = repository.parse().map_err(|_| StatusCode::BAD_REQUEST)?;
    let options = CallOptions::new().request_id(id.as_str());
    let repository = RepositoryClient::new(service.pipeline.with(options), name);
    let (mut tags, mut lines) = (repository.list_tags(), String::new());
    loop {
        match tags.try_next().await {
            Ok(Some(tag)) => lines.push_str(&format!("{}\n", tag.name)),
            Ok(None) => return Ok(lines),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(StatusCode::NOT_FOUND),
            Err(_) => return Err(StatusCode::BAD_GATEWAY),
        }
    }
}

/// The caller: a client that knows nothing of registries.
async fn ask(address: SocketAddr) -> Result<(), BoxError> {
    let stack = ServiceBuilder::new()
        .layer(RequestIdLayer::new().header(ID))
        .layer(RetryLayer::new(RetryPolicy::default().base(Duration::from_millis(10))))
        .layer(TraceLayer::new(Redaction::new()))
        .layer(LogLayer::new(Redaction::new()))
        .layer(TimeoutLayer::new(Timeouts::default().head(Duration::from_secs(10))))
        .service(Client::builder(TokioExecutor::new()).build_http());

    let uri = |repository| format!("http://{address}/tags/{repository}");
    for (method, repository, content) in [
        ("GET", "library/app", Bytes::new()),
        ("GET", "library/none", Bytes::new()),
        ("GET", "UPPER", Bytes::new()),
        ("POST", "library/app", Bytes::from(vec![b'x'; 100_000])),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(uri(repository))
            .header(ID, "one-name-for-all")
            .header(header::ACCEPT_ENCODING, "gzip")
            .body(Full::new(content))?;
        let answer = stack.clone().oneshot(request).await?;
        let attempts = answer.extensions().get::<Attempt>().map_or(0, |attempt| attempt.get());
        let coding = answer.headers().get(header::CONTENT_ENCODING).cloned();
        let status = answer.status().as_u16();
        let length = answer.into_body().collect().await?.to_bytes().len();
        println!(
            "{method} {repository}: {status}, attempts: {attempts}, {coding:?}, {length} bytes"
        );
    }
    Ok(())
}

const ID: HeaderName = HeaderName::from_static("x-request-id");
