//! Throughput and memory of large transfers; see the crate's documentation.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::future_not_send,
    clippy::cast_precision_loss,
    reason = "a program that measures and prints"
)]

use std::{
    convert::Infallible,
    fs,
    net::{Ipv4Addr, SocketAddr},
    thread,
};

use acr_blob::{BlobClient, BlobInfo, Content};
use acr_core::{
    Endpoint, Pipeline,
    http::{Body, BoxError},
};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, runtime, time::Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let size = match arguments.iter().position(|argument| argument == "--mib") {
        Some(at) => arguments.get(at + 1).unwrap().parse().unwrap(),
        None if arguments.iter().any(|argument| argument == "--test") => 64,
        None => 1024,
    };
    let size: u64 = size << 20;
    let blobs = client(serve());
    let runtime =
        runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!(
        "{} MiB each; the server, which discards and generates, is in this process",
        size >> 20
    );
    runtime.block_on(async {
        // Warm: threads and buffers are there.
        blobs.upload(zeros(32 << 20)).await.unwrap();
        let stream = measure("upload, stream", size, blobs.upload(zeros(size))).await;
        let path = tempfile::NamedTempFile::new().unwrap();
        fs::File::create(path.path()).unwrap().set_len(size).unwrap();
        let content = Content::file(path.path()).await.unwrap();
        let info = measure("upload, file", size, blobs.upload(content)).await;
        assert_eq!(info, stream);
        measure("download", size, download(&blobs, &info)).await;
    });
}

async fn download(blobs: &BlobClient, info: &BlobInfo) -> Result<BlobInfo, acr_core::Error> {
    let mut reader = blobs.download(&info.digest).await?;
    let mut size = 0;
    while let Some(piece) = reader.chunk().await? {
        size += piece.len() as u64;
    }
    assert_eq!(size, info.size);
    Ok(info.clone())
}

/// Prints throughput, and how far the peak of memory rose above the state before.
async fn measure<F>(name: &str, size: u64, work: F) -> BlobInfo
where
    F: IntoFuture<Output = Result<BlobInfo, acr_core::Error>>,
{
    // Resets the peak (Linux).
    let _ = fs::write("/proc/self/clear_refs", "5");
    let before = memory("VmRSS:");
    let start = Instant::now();
    let info = work.await.unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let speed = (size >> 20) as f64 / seconds;
    let growth = memory("VmHWM:").zip(before).map(|(peak, before)| peak.saturating_sub(before));
    let told = growth.map_or_else(|| "unknown".to_owned(), |kib| format!("{} MiB", kib >> 10));
    println!("{name:<16} {speed:>8.0} MiB/s {seconds:>8.2} s   memory growth {told}");
    assert!(growth.is_none_or(|kib| kib <= GROWTH_KIB), "{name}: the memory grew too far");
    info
}

/// However long the content is: the promise of the documentation, with the server's share.
const GROWTH_KIB: u64 = 32 << 10;

fn memory(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Pieces as a program reads them: 64 KiB.
fn zeros(size: u64) -> Content {
    let piece = Bytes::from(vec![0; 64 << 10]);
    let pieces = size / piece.len() as u64;
    let items = (0..pieces).map(move |_| Ok::<_, BoxError>(piece.clone()));
    Content::stream(futures_util::stream::iter(items))
}

fn client(endpoint: Endpoint) -> BlobClient {
    let pipeline = Pipeline::builder(endpoint).build().unwrap();
    BlobClient::new(pipeline, "a".parse().unwrap())
}

/// A registry that discards what it gets and has zeros under every digest: as many as
/// came last.
fn serve() -> Endpoint {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).unwrap();
                let serve = http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service_fn(answer));
                tokio::spawn(serve);
            }
        });
    });
    Endpoint::insecure_loopback(address).unwrap()
}

/// The session's address holds what arrived so far: no state is kept.
async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (head, mut body) = request.into_parts();
    let mut arrived = 0;
    while let Some(Ok(frame)) = body.frame().await {
        arrived += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    let path = head.uri.path().to_owned();
    let before: u64 = path.rsplit('/').next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let now = before + arrived;
    let place = format!("/v2/a/blobs/uploads/{now}");
    let answer = Response::builder();
    let answer = match head.method {
        Method::POST => answer.status(202).header(header::LOCATION, place),
        Method::PATCH => answer
            .status(202)
            .header(header::LOCATION, place)
            .header(header::RANGE, format!("0-{}", now - 1)),
        Method::PUT => {
            SIZE.store(now, std::sync::atomic::Ordering::Relaxed);
            let digest = head.uri.query().unwrap_or_default();
            let digest = digest.trim_start_matches("digest=").replace("%3A", ":");
            answer.status(201).header("docker-content-digest", digest)
        }
        _ => {
            let size = SIZE.load(std::sync::atomic::Ordering::Relaxed);
            let piece = Bytes::from(vec![0; 256 << 10]);
            let frames = futures_util::stream::unfold(size, move |left| {
                let piece = piece.slice(..piece.len().min(usize::try_from(left).unwrap()));
                let left = left - piece.len() as u64;
                async move { (!piece.is_empty()).then(|| (Ok::<_, BoxError>(Frame::data(piece)), left)) }
            });
            let body = Body::stream(StreamBody::new(Box::pin(frames)));
            return Ok(answer
                .status(StatusCode::OK)
                .header(header::CONTENT_LENGTH, size)
                .body(body)
                .unwrap());
        }
    };
    Ok(answer.body(Body::empty()).unwrap())
}

/// The length of the last upload.
static SIZE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
