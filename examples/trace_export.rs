//! The spans of the stack, exported through OpenTelemetry.
//!
//! ```text
//! cargo run --example trace_export
//! ```
//!
//! The library only opens `tracing` spans; the program decides where they go. Here
//! `tracing-opentelemetry` turns them into OpenTelemetry spans and an exporter keeps
//! them in memory; put the OTLP exporter in its place for a collector.
//!
//! A call gives one span, named after the operation. Each exchange below it (an attempt,
//! a hop of a redirect, a token call) gives a client span with the attributes of the
//! HTTP conventions. The program pushes and pulls a blob and gets a manifest whose first
//! attempt the emulator answers with 503, prints the spans as a tree, and exits with 1
//! if one is missing, misplaced, or tells a secret.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use std::{future::Future, time::Duration};

use acr_blob::BlobClient;
use acr_core::{CallOptions, Pipeline, RepositoryName, http::BoxError, layer::RetryPolicy};
use acr_examples::{Registry, Wire, connect};
use acr_registry::{MediaType, RepositoryClient};
use acr_testkit::{FakeRegistry, Fault, Operation};
use opentelemetry::trace::{SpanId, SpanKind, Status, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde_json::json;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let subscriber = tracing_subscriber::registry()
        // The spans of operations have the level INFO, those of exchanges DEBUG.
        .with(LevelFilter::DEBUG)
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("trace_export")));
    tracing::subscriber::set_global_default(subscriber)?;

    let fake = FakeRegistry::new();
    fake.inject(Fault::status(Operation::GetManifest, 1, 503));
    let registry = Registry::emulator(&fake).await?;
    let result = Box::pin(operate(connect(&registry, &Wire::default())?)).await;
    registry.shutdown().await;
    result?;

    provider.force_flush()?;
    let spans = Spans(exporter.get_finished_spans()?);
    spans.print(SpanId::INVALID, 0);
    spans.check(&fake.entra_token())
}

async fn operate(pipeline: Pipeline) -> Result<(), BoxError> {
    let name: RepositoryName = "trace/export".parse()?;
    let blobs = BlobClient::new(pipeline.clone(), name.clone());
    let repo = RepositoryClient::new(pipeline, name);
    let blob = blobs.upload("{}").await?;
    blobs.download(&blob.digest).await?.bytes(1024).await?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": { "mediaType": MediaType::OCI_EMPTY, "digest": blob.digest, "size": blob.size },
        "layers": [],
    });
    let digest =
        repo.put_manifest(manifest.to_string()).media_type(MediaType::OCI_MANIFEST).await?;
    let soon = RetryPolicy::default().base(Duration::from_millis(10));
    let repo = repo.with(CallOptions::new().retry(soon));
    in_a_span_of_ours(async { repo.get_manifest(&digest).await }).await?;
    Ok(())
}

/// Spans of the program come above those of the library, as ever with `tracing`.
async fn in_a_span_of_ours<T>(work: impl Future<Output = T>) -> T {
    use tracing::Instrument as _;
    work.instrument(tracing::info_span!("deploy")).await
}

/// The spans that were exported, each after its children.
struct Spans(Vec<SpanData>);

impl Spans {
    fn print(&self, parent: SpanId, depth: usize) {
        for span in self.below(parent) {
            let indent = 2 * depth;
            println!("{:indent$}{} ({:?}, {:?})", "", span.name, span.span_kind, span.status);
            for key in ATTRIBUTES {
                if let Some(value) = attribute(span, key) {
                    println!("{:indent$}    {key} = {value}", "");
                }
            }
            self.print(span.span_context.span_id(), depth + 1);
        }
    }

    fn check(&self, entra_token: &str) -> Result<(), BoxError> {
        let deploy = self.only("deploy")?;
        let operation = self.only("get_manifest")?;
        ensure(is_child(operation, deploy), "the operation is below the program's span")?;
        let exchanges = self.below(operation.span_context.span_id());
        let [first, second] = exchanges.as_slice() else {
            return Err(format!("get_manifest has {} exchanges", exchanges.len()).into());
        };
        for span in [first, second] {
            ensure(span.span_kind == SpanKind::Client, "an exchange is a client span")?;
            ensure(attribute(span, "server.port").is_some(), "it names the server")?;
            expect(span, "http.request.method", Some("GET"))?;
            expect(span, "acr.operation", Some("get_manifest"))?;
        }
        expect(first, "http.response.status_code", Some("503"))?;
        expect(first, "error.type", Some("503"))?;
        expect(first, "http.request.resend_count", None)?;
        ensure(matches!(first.status, Status::Error { .. }), "a 503 is an error")?;
        expect(second, "http.response.status_code", Some("200"))?;
        expect(second, "error.type", None)?;
        expect(second, "http.request.resend_count", Some("1"))?;

        let download = self.only("download_blob")?;
        let exchanges = self.below(download.span_context.span_id());
        let [redirect, storage] = exchanges.as_slice() else {
            return Err(format!("download_blob has {} exchanges", exchanges.len()).into());
        };
        let is_token = |span: &&SpanData| {
            attribute(span, "acr.operation").as_deref() == Some("fetch_access_token")
        };
        ensure(self.0.iter().any(|span| is_token(&span)), "a token call is a span of its own")?;
        expect(redirect, "http.response.status_code", Some("307"))?;
        expect(storage, "http.response.status_code", Some("200"))?;
        let url = attribute(storage, "url.full").unwrap_or_default();
        ensure(url.contains("&sig=REDACTED"), "the signed link is shown without its signature")?;

        let everything = format!("{:?}", self.0);
        let parts = entra_token.split('.').filter(|part| part.len() > 8);
        for secret in parts.chain(["Bearer ", "eyJ"]) {
            ensure(!everything.contains(secret), "a secret was exported")?;
        }
        let mut signatures = everything.split("sig=").skip(1);
        ensure(signatures.all(|rest| rest.starts_with("REDACTED")), "a signature was exported")?;
        println!("{} spans, as documented", self.0.len());
        Ok(())
    }

    fn only(&self, name: &str) -> Result<&SpanData, BoxError> {
        let mut found = self.0.iter().filter(|span| span.name == name);
        match (found.next(), found.next()) {
            (Some(span), None) => Ok(span),
            _ => Err(format!("not exactly one span `{name}`").into()),
        }
    }

    fn below(&self, parent: SpanId) -> Vec<&SpanData> {
        let mut spans: Vec<_> = self.0.iter().filter(|s| s.parent_span_id == parent).collect();
        spans.sort_by_key(|span| span.start_time);
        spans
    }
}

fn is_child(span: &SpanData, parent: &SpanData) -> bool {
    span.parent_span_id == parent.span_context.span_id()
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|pair| pair.key.as_str() == key);
    found.map(|pair| pair.value.to_string())
}

fn expect(span: &SpanData, key: &str, value: Option<&str>) -> Result<(), BoxError> {
    let found = attribute(span, key);
    ensure(found.as_deref() == value, &format!("`{key}` is {found:?}, not {value:?}"))
}

fn ensure(holds: bool, what: &str) -> Result<(), BoxError> {
    if holds { Ok(()) } else { Err(format!("surprise: {what}").into()) }
}

/// What is worth printing.
const ATTRIBUTES: &[&str] = &[
    "acr.subject",
    "http.request.method",
    "url.full",
    "http.response.status_code",
    "http.request.resend_count",
    "error.type",
];
