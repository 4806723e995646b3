//! What an operator counts, exported to OpenTelemetry and to Prometheus.
//!
//! ```text
//! cargo run --example metrics
//! ```
//!
//! A pipeline tells an observer of calls, attempts, token calls, 429s, waits, bytes and
//! connections; an exporter is an `impl Observer` of some sixty lines, one in
//! `metrics/open_telemetry.rs`, one in `metrics/prometheus.rs`. The program talks to an emulator
//! that answers one request with 503, one with 429, and one with 401, as if its token had been
//! revoked; it prints the text that a Prometheus server
//! would read, but for the buckets of histograms, and exits with 1 unless OpenTelemetry's
//! instruments say the same. Put the OTLP exporter in the place of that in memory for a collector,
//! and the text behind `GET /metrics` of your service for Prometheus.
//!
//! `docs/embed.md`, "What an operator counts", has names, units and cardinality.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

#[path = "metrics/labels.rs"]
mod labels;
#[path = "metrics/open_telemetry.rs"]
mod open_telemetry;
#[path = "metrics/prometheus.rs"]
mod prometheus;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use acr_blob::BlobClient;
use acr_core::{Pipeline, RepositoryName, Tag, http::BoxError, layer::RetryPolicy};
use acr_examples::Registry;
use acr_registry::RepositoryClient;
use acr_testkit::{FakeRegistry, Fault, Operation};
use opentelemetry::{KeyValue, metrics::MeterProvider as _};
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, SdkMeterProvider,
    data::{AggregatedMetrics, MetricData},
};

use crate::{open_telemetry::Instruments, prometheus::Metrics};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
    let instruments = Arc::new(Instruments::of(&provider.meter("acr-client")));
    let metrics = Arc::new(Metrics::new());

    let fake = FakeRegistry::new();
    fake.inject(Fault::status(Operation::GetManifest, 1, 503));
    fake.inject(Fault::status(Operation::ListTags, 1, 429));
    fake.inject(Fault::status(Operation::PutManifest, 1, 401));
    let registry = Registry::emulator(&fake).await?;
    let pipeline = Pipeline::builder(registry.endpoint().clone())
        .transport(registry.transport()?)
        .layer_per_hop(registry.auth())
        .retry(RetryPolicy::default().base(Duration::from_millis(10)))
        // Two of them, here, since both are shown.
        .observer(metrics.clone())
        .observer(instruments)
        .build()?;
    let result = Box::pin(operate(pipeline)).await;
    registry.shutdown().await;
    result?;

    let text = metrics.text()?;
    let read = counts(&text);
    // Which exchange opens a connection is a matter of moments.
    let (connections, counted): (Vec<_>, Vec<_>) =
        read.iter().partition(|(line, _)| line.starts_with("acr_client_connections"));
    counted.iter().for_each(|(line, count)| println!("{line} {count}"));
    let exchanges: u64 = connections.iter().map(|(_, count)| **count).sum();
    println!("{exchanges} exchanges were on a connection");
    provider.force_flush()?;
    let exported = exported(&exporter)?;
    if read != exported {
        return Err(format!("Prometheus says {read:#?}, and OpenTelemetry {exported:#?}").into());
    }
    println!("OpenTelemetry has the same {} counts", exported.len());
    // Two exchanges, and one of them is the attempt.
    for (outcome, signed_anew) in [("4xx", false), ("2xx", true)] {
        let is_it = |line: &str| {
            let of = [
                "attempt_duration_seconds_count",
                "\"put_manifest\"",
                &format!("\"{outcome}\""),
                &format!("signed_anew=\"{signed_anew}\""),
            ];
            of.iter().all(|part| line.contains(part))
        };
        if !exported.iter().any(|(line, count)| is_it(line) && *count == 1) {
            return Err(
                format!("no {outcome}, signed anew: {signed_anew}, in {exported:#?}").into()
            );
        }
    }
    Ok(())
}

async fn operate(pipeline: Pipeline) -> Result<(), BoxError> {
    let name: RepositoryName = "metrics/app".parse()?;
    let blobs = BlobClient::new(pipeline.clone(), name.clone());
    let repo = RepositoryClient::new(pipeline, name);
    let blob = blobs.upload(vec![7; 3_000_000]).await?;
    blobs.download(&blob.digest).await?.bytes(4_000_000).await?;
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"{CONFIG}","digest":"{}","size":{}}},"layers":[]}}"#,
        blob.digest, blob.size
    );
    let tag: Tag = "v1".parse()?;
    repo.put_manifest(manifest).media_type(MANIFEST).tag(&tag).await?;
    repo.get_manifest(tag).await?;
    let mut tags = repo.list_tags();
    while tags.try_next().await?.is_some() {}
    Ok(())
}

/// The samples of a text in the OpenMetrics format, without buckets and sums, by name and labels.
fn counts(text: &str) -> BTreeMap<String, u64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.filter_map(|line| line.rsplit_once(' '));
    samples
        .filter(|(name, _)| !name.contains("_bucket{") && !name.contains("_sum{"))
        .filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?)))
        .collect()
}

/// What OpenTelemetry's reader gave last, under the names that Prometheus has for them.
fn exported(exporter: &InMemoryMetricExporter) -> Result<BTreeMap<String, u64>, BoxError> {
    let mut counts = BTreeMap::new();
    let collected = exporter.get_finished_metrics()?;
    let scopes = collected.last().into_iter().flat_map(|last| last.scope_metrics());
    for metric in scopes.flat_map(|scope| scope.metrics()) {
        let name = metric.name().replace('.', "_");
        let mut add = |suffix: &str, labels: String, count| {
            counts.insert(format!("{name}{suffix}{{{labels}}}"), count)
        };
        match metric.data() {
            AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                for point in histogram.data_points() {
                    add("_seconds_count", shown(point.attributes().collect()), point.count());
                }
            }
            AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                let suffix = if metric.unit() == "By" { "_bytes_total" } else { "_total" };
                for point in sum.data_points() {
                    add(suffix, shown(point.attributes().collect()), point.value());
                }
            }
            AggregatedMetrics::I64(MetricData::Sum(sum)) => {
                for point in sum.data_points() {
                    add("", shown(point.attributes().collect()), u64::try_from(point.value())?);
                }
            }
            other => return Err(format!("`{name}` is {other:?}").into()),
        }
    }
    Ok(counts)
}

/// Labels as Prometheus writes them.
fn shown(mut pairs: Vec<&KeyValue>) -> String {
    const ORDER: [&str; 8] = [
        "operation",
        "host",
        "outcome",
        "reason",
        "direction",
        "connection",
        "target",
        "signed_anew",
    ];
    pairs.sort_by_key(|pair| ORDER.iter().position(|name| *name == pair.key.as_str()));
    let pairs: Vec<_> =
        pairs.iter().map(|pair| format!("{}=\"{}\"", pair.key, pair.value)).collect();
    pairs.join(",")
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.empty.v1+json";
