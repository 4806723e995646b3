//! The emulator under load: a registry of 100,000 manifests and 10,000 tags, and 1,000
//! clients at once for a minute, each on a connection of its own.
//!
//! ```text
//! cargo bench -p acr-bench --bench load -- [--seconds 60] [--clients 1000] [--manifests 100000] [--tags 10000]
//! ```
//!
//! Prints the percentiles of the latency by kind of request, and the memory. Any answer
//! but the expected one ends the program with an error.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a program that measures and prints"
)]

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use acr_core::{Digest, http::Body};
use acr_testkit::{FakeRegistry, Tls};
use bytes::Bytes;
use clap::Parser;
use hdrhistogram::Histogram;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{task::JoinSet, time::Instant};
use tower::ServiceExt as _;

/// How much load.
#[derive(Clone, Debug, Parser)]
struct Load {
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    #[arg(long, default_value_t = 1_000)]
    clients: usize,
    #[arg(long, default_value_t = 100_000)]
    manifests: usize,
    #[arg(long, default_value_t = 10_000)]
    tags: usize,
    /// Given by `cargo bench`; ignored.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The kinds of requests, in turn.
const KINDS: [&str; 6] = [
    "get_manifest",
    "tag_properties",
    "list_tags",
    "list_manifests",
    "put_manifest",
    "upload_blob",
];

fn main() {
    let load = Load::parse();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(run(load));
}

async fn run(load: Load) {
    let registry = FakeRegistry::builder().user("owner", "secret").manifest_memory(MEMORY).build();
    let start = Instant::now();
    fill(&registry, &load).await;
    println!(
        "{} manifests, {} tags put in {:.1?}; resident {} MiB",
        load.manifests,
        load.tags,
        start.elapsed(),
        resident_mib("VmRSS:")
    );
    let server = registry.serve(Tls::Off).await.unwrap();
    let origin = format!("http://{}", server.endpoint().authority());
    let end = Instant::now() + Duration::from_secs(load.seconds);
    let times: Arc<[Mutex<Histogram<u64>>; 6]> =
        Arc::new(std::array::from_fn(|_| Mutex::new(Histogram::new(3).unwrap())));
    let mut clients = JoinSet::new();
    for number in 0..load.clients {
        let worker = Worker {
            client: Client::builder(TokioExecutor::new()).build(HttpConnector::new()),
            origin: origin.clone(),
            load: load.clone(),
            times: Arc::clone(&times),
        };
        clients.spawn(worker.work(number, end));
    }
    let cleaner = tokio::spawn(forget(registry.clone(), end));
    let mut requests = 0;
    while let Some(done) = clients.join_next().await {
        requests += done.expect("no client fails");
    }
    cleaner.await.unwrap();
    println!(
        "{} clients, {} s: {requests} requests, {:.0} a second, 0 errors",
        load.clients,
        load.seconds,
        requests as f64 / load.seconds as f64
    );
    println!("{:<16}{:>9}{:>10}{:>10}{:>10}{:>10}", "ms", "count", "p50", "p90", "p99", "max");
    for (kind, times) in KINDS.iter().zip(times.iter()) {
        let times = times.lock().unwrap();
        let at = |quantile| times.value_at_quantile(quantile) as f64 / 1_000.0;
        println!(
            "{kind:<16}{:>9}{:>10.1}{:>10.1}{:>10.1}{:>10.1}",
            times.len(),
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        );
    }
    println!(
        "resident {} MiB, at most {} MiB, clients included",
        resident_mib("VmRSS:"),
        resident_mib("VmHWM:")
    );
    server.shutdown().await;
}

/// Puts all manifests through the door in process; the first ones get the tags.
async fn fill(registry: &FakeRegistry, load: &Load) {
    let transport = registry.transport();
    for number in 0..load.manifests {
        let reference = match number < load.tags {
            true => format!("tag-{number:06}"),
            false => Digest::sha256(&document(number)).to_string(),
        };
        let uri = format!(
            "https://{}/v2/load/app/manifests/{reference}",
            registry.endpoint().authority()
        );
        let request = request(Method::PUT, &uri, Body::from(document(number)));
        let answer = transport.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        if number % 10_000 == 0 {
            registry.journal().clear();
        }
    }
}

/// An index without entries is a manifest of its own that needs no blobs.
fn document(number: usize) -> Bytes {
    format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[],"annotations":{{"n":"{number}"}}}}"#).into()
}

/// The journal is for tests; a minute of load would fill it.
async fn forget(registry: FakeRegistry, end: Instant) {
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_secs(1)).await;
        registry.journal().clear();
    }
}

struct Worker {
    client: Client<HttpConnector, Body>,
    origin: String,
    load: Load,
    times: Arc<[Mutex<Histogram<u64>>; 6]>,
}

impl Worker {
    async fn work(self, number: usize, end: Instant) -> u64 {
        let mut random = fastrand::Rng::with_seed(number as u64);
        let mut requests = 0;
        let mut turn = number;
        while Instant::now() < end {
            let kind = turn % KINDS.len();
            let start = Instant::now();
            requests += self.one(kind, &mut random).await;
            let micros = start.elapsed().as_micros().try_into().unwrap();
            self.times[kind].lock().unwrap().record(micros).unwrap();
            turn += 1;
        }
        requests
    }

    /// One operation; how many requests it took.
    async fn one(&self, kind: usize, random: &mut fastrand::Rng) -> u64 {
        let tag = format!("tag-{:06}", random.usize(..self.load.tags));
        let page = format!("?n=100&last=tag-{:06}", random.usize(..self.load.tags));
        match KINDS[kind] {
            "get_manifest" => self.get(&format!("/v2/load/app/manifests/{tag}")).await,
            "tag_properties" => self.get(&format!("/acr/v1/load/app/_tags/{tag}")).await,
            "list_tags" => self.get(&format!("/acr/v1/load/app/_tags{page}")).await,
            "list_manifests" => {
                let from = format!("sha256%3A{:02x}", random.u8(..));
                self.get(&format!("/acr/v1/load/app/_manifests?n=100&last={from}")).await
            }
            "put_manifest" => {
                let body = document(random.usize(..self.load.tags));
                let path = format!("/v2/load/app/manifests/{}", Digest::sha256(&body));
                self.ask(Method::PUT, &path, Body::from(body), StatusCode::CREATED).await;
                1
            }
            _ => {
                let content = Bytes::from(random.u64(..).to_le_bytes().repeat(128));
                let start = "/v2/load/app/blobs/uploads/";
                let at = self.ask(Method::POST, start, Body::empty(), StatusCode::ACCEPTED).await;
                let path = format!("{at}&digest={}", Digest::sha256(&content));
                self.ask(Method::PUT, &path, Body::from(content), StatusCode::CREATED).await;
                2
            }
        }
    }

    async fn get(&self, path: &str) -> u64 {
        self.ask(Method::GET, path, Body::empty(), StatusCode::OK).await;
        1
    }

    /// Sends a request, reads the answer to its end, and returns its location.
    async fn ask(&self, method: Method, path: &str, body: Body, expected: StatusCode) -> String {
        let request = request(method, &format!("{}{path}", self.origin), body);
        let answer = self.client.request(request).await.unwrap();
        assert_eq!(answer.status(), expected, "{path}");
        let location = answer.headers().get("location").map(|at| at.to_str().unwrap().to_owned());
        answer.into_body().collect().await.unwrap();
        location.unwrap_or_default()
    }
}

fn request(method: Method, uri: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(uri.parse::<Uri>().unwrap())
        .header("authorization", "Basic b3duZXI6c2VjcmV0")
        .header("content-type", INDEX)
        .header("accept", "*/*")
        .body(body)
        .unwrap()
}

/// A line of the kernel's account of this process; 0 where there is none.
fn resident_mib(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|text| text.strip_prefix(line));
    let kib = line.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Room for the manifests, which is more than a registry of a test needs.
const MEMORY: usize = 64 << 20;
