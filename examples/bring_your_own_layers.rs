//! Your own pieces in the stack, and our layers in a stack of your own.
//!
//! ```text
//! cargo run --example bring_your_own_layers
//! ```
//!
//! 1. **In a `Pipeline`**: a transport that writes down what passes it; around the whole
//!    call, tower's `ConcurrencyLimitLayer` and a layer of one's own that measures; the same
//!    layer around every hop, with one that counts by host. Talks to the emulator, or to the
//!    registry named by `CONTAINERREGISTRY_ENDPOINT` (see `src/registry.rs`), and deletes what
//!    it pushed.
//! 2. **Without a `Pipeline`**: single layers of acr-core and acr-auth, put together with
//!    tower's `ServiceBuilder` around a hyper-util client that knows nothing of us.
//!    Talks to an emulator without TLS whose first answer is a 503.
//!
//! Both parts print what each piece saw and exit with 1 on a surprise. docs/embed.md says which
//! layer fits where; `axum_service` puts ours into a server.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use acr_auth::{AuthLayer, Credential};
use acr_blob::BlobClient;
use acr_core::{
    Error, Pipeline, Result, Scope, Transport,
    http::{Body, BoxError, Effect, Operation, Redaction, Request, RequestBuilder, response},
    layer::{
        LogLayer, RedirectLayer, RequestIdLayer, RetryLayer, RetryPolicy, TimeoutLayer, Timeouts,
        TraceLayer, UserAgentLayer,
    },
};
use acr_examples::Registry;
use acr_testkit::{Anonymous, FakeRegistry, Fault, Operation as Asked, Tls};
use futures_util::future::try_join_all;
use http::{Method, StatusCode, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::Instant;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt as _, limit::ConcurrencyLimitLayer, service_fn,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let registry = Registry::from_env().await?;
    let result = own_pieces_in_the_pipeline(&registry).await;
    registry.shutdown().await;
    result?;
    single_layers_without_pipeline().await
}

async fn own_pieces_in_the_pipeline(registry: &Registry) -> Result<(), BoxError> {
    let (exchanges, hosts) = (Tally::default(), Tally::default());
    let (calls, hops) = (Calls::default(), Calls::default());
    let pipeline = Pipeline::builder(registry.endpoint().clone())
        .transport(recording(registry.transport()?, &exchanges))
        .layer_per_hop(registry.auth())
        // Added later, so outside of the sign-in: these do not see the token calls.
        .layer_per_hop(CountHosts(hosts.clone()))
        .layer_per_hop(Measure(hops.clone()))
        .layer_per_call(ConcurrencyLimitLayer::new(LIMIT))
        // Added last, so outside of the limit: what it measures includes the waiting.
        .layer_per_call(Measure(calls.clone()))
        .build()?;

    let blobs = BlobClient::new(pipeline, "custom/stack".parse()?);
    let digest = blobs.upload("content").await?.digest;
    let reads = (0..READS).map(|_| async { blobs.download(&digest).await?.bytes(1024).await });
    let contents = try_join_all(reads).await?;
    blobs.delete_blob(&digest).await?;

    let Measured { done, failed, longest } = *calls.lock();
    println!("calls: {done}, failed: {failed}, the longest took {longest:?}");
    let hops = hops.lock().done;
    println!("hops: {hops}, by host: {:?}", hosts.counts());
    println!("exchanges by path: {:?}", exchanges.counts());
    ensure(contents.iter().all(|content| content == "content"), "a content differs")?;
    // Two for the upload, one for the deletion: a call is one, whatever it took.
    ensure((done, failed) == (READS + 3, 0), "the number of calls")?;
    let exchanges = exchanges.total();
    ensure(hops >= done && hops == hosts.total(), "every call is a hop or more")?;
    ensure(exchanges > hops || !registry.is_emulator(), "the token calls are exchanges too")
}

/// The order is that of `PipelineBuilder::build`; docs/architecture.md says why.
async fn single_layers_without_pipeline() -> Result<(), BoxError> {
    let fake = FakeRegistry::builder().anonymous(Anonymous::Pull).build();
    fake.inject(Fault::status(Asked::Ping, 1, 503));
    let server = fake.serve(Tls::Off).await?;
    let endpoint = server.endpoint();

    // Any client will do whose bodies carry `Bytes`.
    let client: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
    let exchanges = Tally::default();
    let stack = ServiceBuilder::new()
        .layer(RequestIdLayer::new())
        .layer(RetryLayer::new(RetryPolicy::default().base(Duration::from_millis(10))))
        .layer(RedirectLayer::new())
        .layer(AuthLayer::new(&endpoint, Credential::anonymous()))
        .layer(UserAgentLayer::new(Some("custom-stack/1.0"))?)
        .layer(TraceLayer::new(Redaction::new()))
        .layer(LogLayer::new(Redaction::new()))
        .layer(TimeoutLayer::new(Timeouts::default()))
        .service(recording(Transport::new(client), &exchanges));

    let request = RequestBuilder::new(Method::GET, &endpoint, &["v2", ""])
        .operation(Operation::new("ping"))
        .scope(Scope::empty())
        .effect(Effect::Read)
        .build()?;
    let answer = stack.oneshot(request).await?.map(Body::new);
    let answer = response::expect(answer, &[StatusCode::OK]).await?;
    println!(
        "without a pipeline: {}, exchanges by path: {:?}",
        answer.status(),
        exchanges.counts()
    );
    server.shutdown().await;
    let expected = BTreeMap::from([("/oauth2/token".into(), 1), ("/v2/".into(), 2)]);
    ensure(exchanges.counts() == expected, "one token call, one attempt repeated")
}

/// A transport around a transport: it sees every exchange, as it goes on the wire.
fn recording(inner: Transport, tally: &Tally) -> Transport {
    let tally = tally.clone();
    Transport::new(service_fn(move |request: Request| {
        tally.add(request.uri().path());
        let has_agent = request.headers().contains_key(header::USER_AGENT);
        let inner = inner.clone();
        async move {
            if !has_agent {
                return Err(Error::new(acr_core::ErrorKind::Policy, "no user agent"));
            }
            inner.oneshot(request).await
        }
    }))
}

/// A layer in full: counts what passes it and how long it took. For metrics, put your meter's
/// counter and histogram where `Measured` stands. It asks for no more than it needs, so it fits
/// around a call, around a hop, and around any other service.
#[derive(Clone, Debug)]
struct Measure(Calls);

#[derive(Clone, Debug)]
struct MeasureService<S> {
    inner: S,
    calls: Calls,
}

#[derive(Clone, Debug, Default)]
struct Calls(Arc<Mutex<Measured>>);

#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    done: u64,
    failed: u64,
    longest: Duration,
}

impl<S> Layer<S> for Measure {
    type Service = MeasureService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let calls = self.0.clone();
        MeasureService { inner, calls }
    }
}

impl<S, Q> Service<Q> for MeasureService<S>
where
    S: Service<Q, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        // At once, on the instance that was polled ready. A layer that awaits something first
        // answers `poll_ready` at once and uses `acr_core::layer::call`.
        let future = self.inner.call(request);
        let (calls, start) = (self.calls.clone(), Instant::now());
        Box::pin(async move {
            let result = future.await;
            let mut measured = calls.lock();
            measured.done += 1;
            measured.failed += u64::from(result.is_err());
            measured.longest = measured.longest.max(start.elapsed());
            result
        })
    }
}

impl Calls {
    fn lock(&self) -> MutexGuard<'_, Measured> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A layer that only looks at the request can leave the future to tower's combinators.
#[derive(Clone, Debug)]
struct CountHosts(Tally);

impl Layer<Transport> for CountHosts {
    type Service = Transport;

    fn layer(&self, inner: Transport) -> Transport {
        let tally = self.0.clone();
        Transport::new(inner.map_request(move |request: Request| {
            tally.add(request.uri().authority().map_or("", |authority| authority.as_str()));
            request
        }))
    }
}

/// How often each name was seen.
#[derive(Clone, Debug, Default)]
struct Tally(Arc<Mutex<BTreeMap<String, u64>>>);

impl Tally {
    fn add(&self, name: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(name.to_owned()).or_default() += 1;
    }

    fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn total(&self) -> u64 {
        self.counts().values().sum()
    }
}

fn ensure(holds: bool, what: &str) -> Result<(), BoxError> {
    if holds { Ok(()) } else { Err(format!("surprise: {what}").into()) }
}

/// So many calls at once; the others wait their turn.
const LIMIT: usize = 2;
const READS: u64 = 8;
