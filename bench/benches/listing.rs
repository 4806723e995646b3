//! Memory and requests of long lists; see the crate's documentation.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::future_not_send,
    reason = "a program that measures and prints"
)]

use std::{
    env, fs,
    process::{Command, ExitCode},
};

use acr_auth::{AuthLayer, Credential};
use acr_core::{Endpoint, Pipeline, RepositoryName};
use acr_registry::{ImageIndex, Order, RegistryClient, RepositoryClient};
use acr_testkit::{FakeRegistry, Operation, Tls};
use tokio::{runtime, time::Instant};

/// What a registry sends at most.
const PAGE: usize = 1_000;

const COUNTS: [usize; 2] = [1_000, 100_000];

/// Room for that many manifests, which is more than a registry of a test needs.
const MEMORY: usize = 64 << 20;

/// What the longest list may need more than the shortest, in KiB: the allocator's.
const TOLERANCE: u64 = 4 << 10;

/// Names the registry to a child, and makes a process one.
const CHILD: &str = "LISTING_OF";

fn main() -> ExitCode {
    if let Ok(address) = env::var(CHILD) {
        return child(&address);
    }
    let runtime =
        runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure())
}

/// Fills a registry, and lets a process of its own list it: all memory there is the client's.
async fn measure() -> ExitCode {
    let mut peaks = Vec::new();
    for count in COUNTS {
        let registry = FakeRegistry::builder();
        let registry = registry.user("bench", "bench").manifest_memory(MEMORY).build();
        let repository = client(registry.endpoint(), Some(registry.transport()));
        for n in 0..count {
            let index = ImageIndex::new().annotation("n", n.to_string());
            repository.put_manifest(index.to_json().unwrap()).await.unwrap();
        }
        let server = registry.serve(Tls::Off).await.unwrap();
        let address = server.endpoint().to_string();
        // Not a page more than is needed, wherever the reader stops.
        let mut stops = vec![1, PAGE, PAGE + 1, count];
        stops.retain(|stop| *stop <= count);
        stops.dedup();
        for taken in stops {
            registry.journal().clear();
            let start = Instant::now();
            let peak = list(&address, taken);
            let requests = registry.journal().count_of(Operation::ListManifests);
            assert_eq!(requests, taken.div_ceil(PAGE), "{taken} of {count} manifests");
            if taken == count {
                let seconds = start.elapsed().as_secs_f64();
                println!(
                    "{count:>7} manifests: {requests:>3} requests, {seconds:.2} s, peak memory {:.1} MiB",
                    mebibytes(peak)
                );
                peaks.push(peak);
            }
        }
        server.shutdown().await;
    }
    match peaks.as_slice() {
        [short, long] if *long > short + TOLERANCE => {
            println!("the longer list needed {:.1} MiB more", mebibytes(long - short));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}

/// Lists so many in a process of its own; its peak of memory in KiB.
fn list(address: &str, take: usize) -> u64 {
    let output = Command::new(env::current_exe().unwrap())
        .env(CHILD, format!("{address} {take}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.trim().parse().unwrap()
}

fn child(order: &str) -> ExitCode {
    let (address, take) = order.split_once(' ').unwrap();
    let address = address.trim_start_matches("http://").parse().unwrap();
    let endpoint = Endpoint::insecure_loopback(address).unwrap();
    let take: usize = take.parse().unwrap();
    let repository = client(endpoint, None);
    let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let size = u32::try_from(PAGE).unwrap();
        let mut manifests =
            repository.list_manifests().order_by(Order::OLDEST_FIRST).page_size(size);
        for _ in 0..take {
            assert!(manifests.try_next().await.unwrap().is_some(), "the list is too short");
        }
    });
    println!("{}", peak().unwrap_or_default());
    ExitCode::SUCCESS
}

fn client(endpoint: Endpoint, transport: Option<acr_core::Transport>) -> RepositoryClient {
    let auth = AuthLayer::new(&endpoint, Credential::password("bench", "bench"));
    let mut pipeline = Pipeline::builder(endpoint).layer_per_hop(auth);
    if let Some(transport) = transport {
        pipeline = pipeline.transport(transport);
    }
    let name: RepositoryName = "library/app".parse().unwrap();
    RegistryClient::new(pipeline.build().unwrap()).repository(name).unwrap()
}

/// The peak of this process's memory in KiB (Linux).
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
