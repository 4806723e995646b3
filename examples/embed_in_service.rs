//! A service around the stack: a read-only caching proxy in front of a registry.
//!
//! ```text
//! cargo run --example embed_in_service                 # shows itself, then ends
//! cargo run --example embed_in_service -- --serve [--listen 127.0.0.1:5000]
//! ```
//!
//! Clients need no credential: the proxy signs in for them, which is why it listens on
//! loopback only. It answers `GET` and `HEAD` of `/v2/`, manifests, blobs and tag
//! lists, verifies every content, keeps what its digest names, and refuses all else.
//! What to look at:
//!
//! - `answer` is `Request → Response` in the types of acr-core. hyper's request becomes
//!   ours by `request.map(Body::stream)`; our response is one hyper sends as it is.
//! - `embed_in_service/target.rs` builds requests with the facts the layers read: the
//!   permission, the effect, the operation's name.
//! - `embed_in_service/refusal.rs` turns our `Error` into a status and the OCI envelope.
//!
//! Talks to the emulator, or to the registry named by `CONTAINERREGISTRY_ENDPOINT` (see
//! `src/registry.rs`). With `--serve` it prints one line of JSON when it is ready and
//! ends on SIGTERM or Ctrl-C; only the emulator is filled with a small artifact then.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

#[path = "embed_in_service/cache.rs"]
mod cache;
#[path = "embed_in_service/proxy.rs"]
mod proxy;
#[path = "embed_in_service/refusal.rs"]
mod refusal;
#[path = "embed_in_service/target.rs"]
mod target;

use std::{convert::Infallible, net::SocketAddr};

use acr_blob::BlobClient;
use acr_core::{
    Digest, Pipeline, RepositoryName, Tag,
    http::{Body, BoxError},
};
use acr_examples::{Registry, Wire, connect};
use acr_registry::{MediaType, RepositoryClient};
use bytes::Bytes;
use clap::Parser;
use http::{Method, Request, StatusCode, header, response};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use self::proxy::Proxy;

/// A read-only caching proxy in front of a registry.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// Keep serving until SIGTERM or Ctrl-C
    #[arg(long)]
    serve: bool,
    /// The loopback address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let options = Options::parse();
    if !options.listen.ip().is_loopback() {
        return Err("whoever reaches the proxy reads with its rights: loopback only".into());
    }
    let (registry, wire) = (Registry::from_env().await?, Wire::default());
    let pipeline = connect(&registry, &wire)?;
    let listener = TcpListener::bind(options.listen).await?;
    let address = listener.local_addr()?;
    let mut server = JoinSet::new();
    server.spawn(serve(listener, pipeline.clone()));
    let result = if options.serve {
        if registry.is_emulator() {
            Artifact::push(&pipeline).await?;
        }
        let ready = json!({ "listen": address, "registry": registry.endpoint().to_string() });
        println!("{ready}");
        stopped().await
    } else {
        demonstrate(&pipeline, &wire, address).await
    };
    server.shutdown().await;
    registry.shutdown().await;
    result
}

/// Serves clients until it is dropped, which ends all connections.
pub async fn serve(listener: TcpListener, pipeline: Pipeline) {
    let proxy = Proxy::new(pipeline, CAPACITY);
    let mut connections = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(connections.spawn(connection(stream, proxy.clone()))),
            // Out of file descriptors, or the like: others may be freed meanwhile.
            Err(_) => tokio::task::yield_now().await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, proxy: Proxy) {
    let service = service_fn(move |request: Request<Incoming>| {
        let proxy = proxy.clone();
        // Both conversions: hyper's body becomes ours, and ours is one hyper sends.
        async move { Ok::<_, Infallible>(proxy.answer(request.map(Body::stream)).await) }
    });
    let result = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Fetches everything twice, as a client that knows nothing of us.
async fn demonstrate(
    pipeline: &Pipeline,
    wire: &Wire,
    address: SocketAddr,
) -> Result<(), BoxError> {
    wire.step("push");
    let artifact = Artifact::push(pipeline).await?;
    let paths = [
        format!("/v2/{NAME}/manifests/{}", artifact.manifest),
        format!("/v2/{NAME}/blobs/{}", artifact.layer),
    ];
    for step in ["first", "second"] {
        wire.step(step);
        for path in &paths {
            let (head, body) = fetch(address, Method::GET, path).await?;
            println!("{step}: {} {} bytes {path}", head.status, body.len());
            if head.status != StatusCode::OK || body.is_empty() {
                return Err(format!("{path}: {head:?}").into());
            }
        }
    }
    let (head, body) = fetch(address, Method::DELETE, &paths[0]).await?;
    println!("DELETE: {} {}", head.status, String::from_utf8_lossy(&body));
    wire.step("clean up");
    artifact.delete(pipeline).await?;

    for step in wire.steps() {
        let sent = step.counts.calls + step.counts.storage + step.counts.tokens;
        println!("{:>8}: {sent} requests to the registry", step.name);
        let is_cached = step.name == "second";
        if is_cached != (sent == 0) {
            return Err(format!("step `{}` sent {sent} requests", step.name).into());
        }
    }
    match head.status {
        StatusCode::METHOD_NOT_ALLOWED => Ok(()),
        other => Err(format!("a DELETE was answered {other}").into()),
    }
}

/// One exchange on a connection of its own, with hyper alone.
///
/// # Errors
///
/// When the connection breaks.
pub async fn fetch(
    address: SocketAddr,
    method: Method,
    path: &str,
) -> Result<(response::Parts, Bytes), BoxError> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, address.to_string())
        .body(Empty::<Bytes>::new())?;
    let exchange = async move {
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok((head, body.collect().await?.to_bytes()))
    };
    tokio::try_join!(exchange, connection).map(|(answer, ())| answer).map_err(BoxError::from)
}

/// What the demonstration pushes.
#[derive(Debug)]
pub struct Artifact {
    /// The manifest's digest; it also has the tag `v1`.
    pub manifest: Digest,
    /// The digest of the only layer.
    pub layer: Digest,
    config: Digest,
}

impl Artifact {
    /// Pushes `embed/artifact:v1`.
    ///
    /// # Errors
    ///
    /// When the registry refuses it.
    pub async fn push(pipeline: &Pipeline) -> Result<Self, BoxError> {
        let name: RepositoryName = NAME.parse()?;
        let tag: Tag = "v1".parse()?;
        let blobs = BlobClient::new(pipeline.clone(), name.clone());
        let (config, layer) = (blobs.upload("{}").await?, blobs.upload(LAYER).await?);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "artifactType": "application/vnd.acr-rust.example",
            "config": { "mediaType": MediaType::OCI_EMPTY, "digest": config.digest, "size": config.size },
            "layers": [{ "mediaType": "text/plain", "digest": layer.digest, "size": layer.size }],
        });
        let manifest = RepositoryClient::new(pipeline.clone(), name)
            .put_manifest(manifest.to_string())
            .tag(&tag)
            .media_type(MediaType::OCI_MANIFEST)
            .await?;
        Ok(Self { manifest, layer: layer.digest, config: config.digest })
    }

    async fn delete(&self, pipeline: &Pipeline) -> Result<(), BoxError> {
        let name: RepositoryName = NAME.parse()?;
        let repo = RepositoryClient::new(pipeline.clone(), name.clone());
        repo.delete_manifest(&self.manifest).await?;
        let blobs = BlobClient::new(pipeline.clone(), name);
        for digest in [&self.layer, &self.config] {
            blobs.delete_blob(digest).await?;
        }
        Ok(())
    }
}

#[cfg(unix)]
async fn stopped() -> Result<(), BoxError> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(not(unix))]
async fn stopped() -> Result<(), BoxError> {
    Ok(tokio::signal::ctrl_c().await?)
}

const NAME: &str = "embed/artifact";
const LAYER: &[u8] = b"content that is fetched once";

/// What the cache may hold. A real service would read it from its settings.
const CAPACITY: usize = 64 * 1024 * 1024;
