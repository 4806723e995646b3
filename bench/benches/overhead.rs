//! The cost of the stack per request; see the crate's documentation.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::future_not_send,
    reason = "a program on one thread that measures and prints"
)]

use std::{
    convert::Infallible,
    fs,
    net::{Ipv4Addr, SocketAddr},
    thread,
    time::Duration,
};

use acr_auth::{AuthLayer, Credential};
use acr_core::{
    Action, Endpoint, Pipeline, Scope, Transport,
    http::{Body, Effect, Operation, Request, RequestBuilder},
};
use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpListener, runtime, runtime::Runtime, time::Instant};
use tower::{Service, ServiceExt as _};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (runtime, endpoint) = (single_threaded(), serve());
    let bench = Bench { runtime, endpoint };
    let (bare, no_op) = (bench.bare_client(), Transport::new(tower::service_fn(answer)));
    let over_socket = bench.pipeline(Transport::new(bench.bare_client()));
    let over_no_op = bench.pipeline(no_op.clone());

    let mut group = criterion.benchmark_group("overhead");
    bench.wall(&mut group, "bare_client", &bare, &same_lines());
    bench.wall(&mut group, "pipeline", &over_socket, &HeaderMap::new());
    bench.wall(&mut group, "no_op", &no_op, &HeaderMap::new());
    bench.wall(&mut group, "pipeline_over_no_op", &over_no_op, &HeaderMap::new());
    group.finish();
    criterion.final_summary();

    let has = |option: &str| std::env::args().any(|argument| argument == option);
    if has("--profile-time") || has("--list") {
        return;
    }
    let is_test = has("--test");
    let (rounds, requests) = if is_test { (1, 1) } else { (ROUNDS, REQUESTS) };
    let none = HeaderMap::new();
    let mut samples = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        let [a, b, n, c] = &mut samples;
        a.push(bench.cpu(&bare, requests, &same_lines()));
        b.push(bench.cpu(&over_socket, requests, &none));
        n.push(bench.cpu(&no_op, 10 * requests, &none));
        c.push(bench.cpu(&over_no_op, 10 * requests, &none));
    }
    if !is_test {
        report(samples);
    }
}

struct Bench {
    runtime: Runtime,
    endpoint: Endpoint,
}

impl Bench {
    fn bare_client(&self) -> Client<HttpConnector, Body> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let _entered = self.runtime.enter();
        Client::builder(TokioExecutor::new()).build(connector)
    }

    /// All layers, none configured away.
    fn pipeline(&self, transport: Transport) -> Pipeline {
        let auth = AuthLayer::new(&self.endpoint, Credential::anonymous());
        Pipeline::builder(self.endpoint.clone())
            .transport(transport)
            .application_id("acr-bench")
            .layer_per_hop(auth)
            .build()
            .unwrap()
    }

    fn wall<S, B>(
        &self,
        group: &mut BenchmarkGroup<'_, WallTime>,
        name: &str,
        service: &S,
        lines: &HeaderMap,
    ) where
        S: Service<Request, Response = Response<B>, Error: std::fmt::Debug> + Clone,
        B: http_body::Body<Error: std::fmt::Debug>,
    {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|requests| {
                self.runtime.block_on(async {
                    send(service, &self.endpoint, 1, lines).await;
                    let start = Instant::now();
                    send(service, &self.endpoint, requests, lines).await;
                    start.elapsed()
                })
            });
        });
    }

    /// CPU time per request of this thread, which is the client's.
    fn cpu<S, B>(&self, service: &S, requests: u32, lines: &HeaderMap) -> Option<Duration>
    where
        S: Service<Request, Response = Response<B>, Error: std::fmt::Debug> + Clone,
        B: http_body::Body<Error: std::fmt::Debug>,
    {
        self.runtime.block_on(async {
            send(service, &self.endpoint, 1, lines).await;
            let before = thread_cpu_time()?;
            send(service, &self.endpoint, requests.into(), lines).await;
            Some((thread_cpu_time()?.checked_sub(before)?) / requests)
        })
    }
}

async fn send<S, B>(service: &S, endpoint: &Endpoint, requests: u64, lines: &HeaderMap)
where
    S: Service<Request, Response = Response<B>, Error: std::fmt::Debug> + Clone,
    B: http_body::Body<Error: std::fmt::Debug>,
{
    let name = "library/app".parse().unwrap();
    let scope = Scope::repository(&name, &[Action::PULL]);
    let template =
        RequestBuilder::new(Method::GET, endpoint, &["v2", "library/app", "tags", "list"])
            .operation(Operation::new("list_tag_names").on("library/app"))
            .scope(scope)
            .effect(Effect::Read)
            .accept_json()
            .build()
            .unwrap();
    let (mut head, _) = template.into_parts();
    head.headers.extend(lines.clone());
    let mut service = service.clone();
    for _ in 0..requests {
        let request = Request::from_parts(head.clone(), Body::empty());
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.unwrap();
        std::hint::black_box(body.to_bytes());
    }
}

/// The lines that the stack adds to a request. The bare client gets them ready-made, so
/// that both sides put the same bytes on the wire and the difference is the stack's.
fn same_lines() -> HeaderMap {
    let agent = "acr-bench acr-rust/0.1.0 (linux; x86_64)";
    HeaderMap::from_iter([
        (header::USER_AGENT, HeaderValue::from_static(agent)),
        (header::AUTHORIZATION, HeaderValue::from_static("Bearer warm")),
        (
            HeaderName::from_static("x-ms-client-request-id"),
            HeaderValue::from_static("e5ed2a52-25d7-4af3-8b9c-4f5d4a1e0f6b"),
        ),
    ])
}

/// The server, and the whole of it in the case without a socket.
async fn answer(request: Request) -> Result<Response<Body>, Infallible> {
    Ok(respond(request.uri().path()).map(Body::from))
}

/// A token for whoever asks, and a tiny list.
fn respond(path: &str) -> Response<Bytes> {
    Response::new(Bytes::from_static(match path {
        "/oauth2/token" => TOKEN.as_bytes(),
        _ => br#"{"name":"library/app","tags":[]}"#,
    }))
}

/// Serves on a thread of its own until the process ends.
fn serve() -> Endpoint {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        single_threaded().block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let service = service_fn(|request: http::Request<Incoming>| async move {
                    Ok::<_, Infallible>(respond(request.uri().path()).map(Full::new))
                });
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
    });
    Endpoint::insecure_loopback(address).unwrap()
}

fn single_threaded() -> Runtime {
    runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// How long this thread has run, as the scheduler counts it.
fn thread_cpu_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split(' ').next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

fn median(samples: impl IntoIterator<Item = f64>) -> f64 {
    let mut samples: Vec<f64> = samples.into_iter().collect();
    samples.sort_unstable_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

fn report(samples: [Vec<Option<Duration>>; 4]) {
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    let samples = samples.map(|side| {
        side.into_iter().map(|sample| sample.map(micros)).collect::<Option<Vec<f64>>>()
    });
    let [Some(bare), Some(pipeline), Some(no_op), Some(over_no_op)] = samples else {
        println!("CPU time per request: not told by this platform");
        return;
    };
    // Of the differences of each round: what disturbs the machine disturbs both sides of it.
    let layers = median(over_no_op.iter().zip(&no_op).map(|(with, without)| with - without));
    let on_a_socket = median(pipeline.iter().zip(&bare).map(|(with, without)| with - without));
    println!("CPU time of the client's thread per request, median of the rounds:");
    println!("  bare client (a)         {:8.2} µs", median(bare));
    println!("  pipeline (b)            {:8.2} µs", median(pipeline));
    println!("  no-op                   {:8.2} µs", median(no_op));
    println!("  pipeline over no-op (c) {:8.2} µs", median(over_no_op));
    println!("  (b) - (a)               {on_a_socket:8.2} µs");
    println!("  (c) - no-op             {layers:8.2} µs");
    for (what, cost) in [("on a socket", on_a_socket), ("by itself", layers)] {
        let verdict = if cost <= LIMIT { "within" } else { "ABOVE" };
        println!("the stack {what} is {verdict} the limit of {LIMIT} µs");
    }
}

const ROUNDS: u32 = 41;
const REQUESTS: u32 = 2_000;

/// In microseconds: what the stack may add to a request that takes tens at least.
const LIMIT: f64 = 5.0;

/// Opaque, so it is taken to live for the shortest time that tokens do.
const TOKEN: &str = r#"{"access_token":"warm"}"#;
