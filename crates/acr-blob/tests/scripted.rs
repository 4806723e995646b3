//! Transfers with a registry that does not keep to the rules.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use acr_blob::BlobClient;
use acr_core::{Body, Digest, Endpoint, Error, ErrorKind, Pipeline, Request, Response, Transport};
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Response as HttpResponse};
use http_body::Frame;
use http_body_util::StreamBody;
use tower::service_fn;

const CHUNK: usize = 1024;
const LOCATION: &str = "/v2/a/blobs/uploads/u";

/// A client of a registry that answers each request as the function says.
fn client<F>(answer: F) -> BlobClient
where
    F: Fn(&Method, u64) -> http::response::Builder + Clone + Send + Sync + 'static,
{
    let sent = Arc::new(AtomicU64::new(0));
    respond(move |request| {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        answer(request.method(), number).body(Body::empty()).unwrap()
    })
}

fn respond<F>(answer: F) -> BlobClient
where
    F: Fn(&Request) -> Response + Clone + Send + Sync + 'static,
{
    let transport = Transport::new(service_fn(move |request: Request| {
        let response = answer(&request);
        async move { Ok::<_, Error>(response) }
    }));
    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    let pipeline = Pipeline::builder(endpoint).transport(transport).build().unwrap();
    BlobClient::new(pipeline, "a".parse().unwrap())
}

fn status(status: u16) -> http::response::Builder {
    HttpResponse::builder().status(status)
}

fn session(code: u16) -> http::response::Builder {
    status(code).header("location", LOCATION)
}

async fn upload(blobs: &BlobClient) -> Error {
    blobs.upload(vec![1u8; 5_000]).chunk_size(CHUNK).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_201_that_names_no_digest_is_looked_at() {
    let digest = Digest::sha256(&[1u8; 5_000]);
    for (stat, kind) in [
        (status(404), Some(ErrorKind::Integrity)),
        (status(200).header("content-length", "4999"), Some(ErrorKind::Integrity)),
        (status(200).header("content-length", "5000"), None),
    ] {
        let stat = Arc::new(std::sync::Mutex::new(Some(stat)));
        let blobs = respond(move |request| {
            let answer = match *request.method() {
                Method::POST | Method::PATCH => session(202),
                Method::PUT => status(201),
                _ => stat.lock().unwrap().take().unwrap(),
            };
            answer.body(Body::empty()).unwrap()
        });
        let result = blobs.upload(vec![1u8; 5_000]).chunk_size(CHUNK).await;
        match (result, kind) {
            (Ok(info), None) => assert_eq!((info.digest, info.size), (digest.clone(), 5_000)),
            (Err(error), Some(kind)) => assert_eq!(error.kind(), kind),
            (result, kind) => panic!("{result:?} instead of {kind:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_names_another_digest_is_an_integrity_error() {
    let other = Digest::sha256(b"other");
    let blobs = client(move |method, _| match *method {
        Method::POST | Method::PATCH => session(202),
        _ => status(201).header("docker-content-digest", other.as_str()),
    });
    assert_eq!(upload(&blobs).await.kind(), ErrorKind::Integrity);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_confirmed_short_or_long_is_no_success() {
    for range in ["0-1022", "0-1024", "0-99999"] {
        let blobs = client(move |method, _| match *method {
            Method::POST => session(202),
            Method::PATCH => session(202).header("range", range),
            _ => status(404),
        });
        let error = upload(&blobs).await;
        assert_eq!(error.kind(), ErrorKind::Protocol, "{range}");
        assert_eq!(error.operation(), Some("upload_chunk"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_does_not_fit_is_a_lost_session() {
    for range in [Some("0-99999"), Some("5-10"), Some("nonsense"), None] {
        let blobs = client(move |method, _| match *method {
            Method::POST => session(202),
            Method::PATCH => status(503),
            Method::GET => {
                let answer = session(204);
                if let Some(range) = range { answer.header("range", range) } else { answer }
            }
            _ => status(404),
        });
        assert_eq!(upload(&blobs).await.kind(), ErrorKind::Session, "{range:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_confirmed_once_are_not_taken_back() {
    // The first chunk is confirmed, the second fails, and the status says there is nothing.
    let blobs = client(|method, number| match (method, number) {
        (&Method::POST, _) => session(202),
        (&Method::PATCH, 1) => session(202).header("range", "0-1023"),
        (&Method::PATCH, _) => status(503),
        (&Method::GET, _) => session(204).header("range", "0-0"),
        _ => status(404),
    });
    // It starts again, and then the registry is only unavailable.
    assert_eq!(upload(&blobs).await.kind(), ErrorKind::Server);
}

#[tokio::test(start_paused = true)]
async fn an_ambiguous_commit_is_success_only_if_the_size_fits() {
    for (size, stored) in [("5000", true), ("4999", false)] {
        let blobs = client(move |method, _| match *method {
            Method::POST | Method::PATCH => session(202),
            Method::PUT => status(503),
            Method::HEAD => status(200).header("content-length", size),
            Method::GET => session(204).header("range", "0-4095"),
            _ => status(404),
        });
        let result = blobs.upload(vec![1u8; 5_000]).chunk_size(CHUNK).await;
        assert_eq!(result.is_ok(), stored, "{size}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_location_elsewhere_gets_no_byte() {
    let blobs = respond(|request| {
        assert_eq!(request.uri().host(), Some("r.azurecr.io"));
        let location = "https://evil.example/v2/a/blobs/uploads/u";
        status(202).header("location", location).body(Body::empty()).unwrap()
    });
    assert_eq!(upload(&blobs).await.kind(), ErrorKind::Policy);
}

#[tokio::test(start_paused = true)]
async fn a_compressed_blob_is_refused() {
    let blobs = client(|_, _| status(200).header("content-encoding", "gzip"));
    let error = blobs.download(&Digest::sha256(b"x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

/// A body without an announced length that goes on for 2 GiB unless it is dropped.
fn endless(sent: &Arc<AtomicU64>) -> Body {
    let sent = Arc::clone(sent);
    let pieces = stream::unfold(0u64, move |n| {
        let sent = Arc::clone(&sent);
        async move {
            sent.fetch_add(1 << 20, Ordering::Relaxed);
            let piece = Frame::data(Bytes::from(vec![0; 1 << 20]));
            (n < 2_048).then(|| (Ok::<_, Error>(piece), n + 1))
        }
    });
    Body::stream(StreamBody::new(Box::pin(pieces)))
}

#[tokio::test(start_paused = true)]
async fn an_endless_download_ends_at_the_size_expected_or_allowed() {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let blobs = respond(move |_| HttpResponse::new(endless(&counter)));
    let digest = Digest::sha256(b"x");
    let folder = tempfile::tempdir().unwrap();
    for (download, kind) in [
        (blobs.download(&digest).size(3 << 20), ErrorKind::Integrity),
        (blobs.download(&digest).max_size(3 << 20), ErrorKind::TooLarge),
    ] {
        sent.store(0, Ordering::Relaxed);
        let error = download.to_file(folder.path().join("x")).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(sent.load(Ordering::Relaxed) <= 8 << 20);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_announced_length_that_does_not_fit_is_refused_before_the_content() {
    let content = Bytes::from_static(b"hello world");
    let digest = Digest::sha256(&content);
    let blobs = respond(move |_| {
        status(200).header("content-length", "11").body(Body::from(content.clone())).unwrap()
    });
    let refused = |error: Error| error.kind();
    assert_eq!(refused(blobs.download(&digest).size(12).await.unwrap_err()), ErrorKind::Integrity);
    assert_eq!(
        refused(blobs.download(&digest).max_size(10).await.unwrap_err()),
        ErrorKind::TooLarge
    );
    let read = blobs.download(&digest).size(11).max_size(11).await.unwrap().bytes(100).await;
    assert_eq!(read.unwrap(), "hello world");
}
