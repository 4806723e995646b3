//! Lists 1,000 and then 100,000 manifests and prints the memory that took at most.
//!
//! ```text
//! cargo run --example list_memory
//! ```
//!
//! The registry is a function that writes pages as they are asked for, so that all
//! memory is the client's. Exits with 1 when the longer list needs more.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use acr_core::{
    Pipeline, Result, Transport,
    http::{Body, BoxError, Request},
};
use acr_examples::peak_mebibytes;
use acr_registry::RegistryClient;
use tower::service_fn;

const PAGE: usize = 1000;

/// What the longer list may need more, in MiB: the allocator's, not the list's.
const TOLERANCE: u64 = 4;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut peaks = Vec::new();
    for count in [1_000, 100_000] {
        let requests = list(count).await?;
        let peak = peak_mebibytes().unwrap_or_default();
        println!("{count} manifests: {requests} requests, peak memory {peak} MiB");
        if requests != count / PAGE {
            return Err(format!("{requests} requests for {count} manifests").into());
        }
        peaks.push(peak);
    }
    match peaks.as_slice() {
        [short, long] if *long > short + TOLERANCE => {
            Err(format!("the longer list needed {} MiB more", long - short).into())
        }
        _ => Ok(()),
    }
}

/// Lists a repository of so many manifests; gives the number of requests.
async fn list(total: usize) -> Result<usize, BoxError> {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let transport = Transport::new(service_fn(move |request: Request| {
        counter.fetch_add(1, Ordering::Relaxed);
        std::future::ready(page(&request, total))
    }));
    let endpoint = "myregistry.azurecr.io".parse()?;
    let pipeline = Pipeline::builder(endpoint).transport(transport).build()?;
    let repository = RegistryClient::new(pipeline).repository("library/app")?;
    let size = u32::try_from(PAGE).unwrap_or(u32::MAX);
    let mut manifests = repository.list_manifests().page_size(size);
    let mut seen = 0;
    while manifests.try_next().await?.is_some() {
        seen += 1;
        let asked = requests.load(Ordering::Relaxed);
        if asked > seen / PAGE + 1 {
            return Err("a page was fetched ahead of need".into());
        }
    }
    if seen != total {
        return Err(format!("{seen} of {total} manifests").into());
    }
    Ok(requests.load(Ordering::Relaxed))
}

fn page(request: &Request, total: usize) -> Result<http::Response<Body>, BoxError> {
    let query = request.uri().query().unwrap_or_default();
    let last = query.split('&').find_map(|pair| pair.strip_prefix("last="));
    let first: usize = last.map_or(Ok(0), str::parse)?;
    let end = total.min(first + PAGE);
    let mut body = String::from("{\"manifests\":[");
    for n in first..end {
        let comma = if n > first { "," } else { "" };
        write!(
            body,
            "{comma}{{\"digest\":\"sha256:{n:064x}\",\"imageSize\":{n},\
             \"createdTime\":\"2024-01-01T00:00:00.1234567Z\",\
             \"lastUpdateTime\":\"2024-01-01T00:00:00.1234567Z\",\
             \"architecture\":\"amd64\",\"os\":\"linux\",\"tags\":[\"v{n}\"],\
             \"changeableAttributes\":{{\"deleteEnabled\":true,\"writeEnabled\":true}}}}"
        )?;
    }
    body.push_str("]}");
    let mut answer = http::Response::builder();
    if end < total {
        let path = request.uri().path();
        answer = answer.header("link", format!("<{path}?last={end}&n={PAGE}>; rel=\"next\""));
    }
    Ok(answer.body(Body::from(body))?)
}
