//! Registries that cannot be asked how far a transfer got: everything goes again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may stop at the first surprise"
)]

use std::sync::{Arc, Mutex};

use acr_blob::{BlobClient, DownloadCheckpoint};
use acr_core::{
    Digest, Endpoint, Error, ErrorKind, Pipeline, Transport,
    http::{Body, Request, Response},
};
use bytes::Bytes;
use http::{Method, Response as HttpResponse};
use tower::service_fn;

const CHUNK: usize = 1024;
const LOCATION: &str = "/v2/a/blobs/uploads/u";

/// A client of a registry that answers as the function says, and what it was asked.
fn client<F>(answer: F) -> (BlobClient, Arc<Mutex<Vec<String>>>)
where
    F: Fn(&Request) -> Response + Clone + Send + Sync + 'static,
{
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let transport = Transport::new(service_fn(move |request: Request| {
        let range = request.headers().get("range").map(|range| range.to_str().unwrap().to_owned());
        let line = format!("{} {}", request.method(), range.unwrap_or_default());
        seen.lock().unwrap().push(line.trim().to_owned());
        let response = answer(&request);
        async move { Ok::<_, Error>(response) }
    }));
    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    let pipeline = Pipeline::builder(endpoint).transport(transport).build().unwrap();
    (BlobClient::new(pipeline, "a".parse().unwrap()), asked)
}

fn refuse(status: u16, code: &str) -> Response {
    let text = format!(r#"{{"errors":[{{"code":"{code}","message":"no"}}]}}"#);
    HttpResponse::builder().status(status).body(Body::from(text)).unwrap()
}

fn session() -> Response {
    let answer = HttpResponse::builder().status(202).header("location", LOCATION);
    answer.body(Body::empty()).unwrap()
}

/// The second `PATCH` breaks, and the question for what arrived is answered so.
fn broken_once(status: u16, code: &'static str) -> (BlobClient, Arc<Mutex<Vec<String>>>) {
    mute((status, code), 2)
}

/// One `PATCH` breaks, and the question for what arrived is answered so.
fn mute(
    (status, code): (u16, &'static str),
    broken: usize,
) -> (BlobClient, Arc<Mutex<Vec<String>>>) {
    let patches = Arc::new(Mutex::new(0));
    let digest = Digest::sha256(&[1u8; 3 * CHUNK]);
    client(move |request| match *request.method() {
        Method::GET => refuse(status, code),
        Method::PATCH => {
            let mut patches = patches.lock().unwrap();
            *patches += 1;
            if *patches == broken { refuse(500, "UNKNOWN") } else { session() }
        }
        Method::PUT => {
            let stored = HttpResponse::builder().status(201);
            let stored = stored.header("docker-content-digest", digest.as_str());
            stored.body(Body::empty()).unwrap()
        }
        Method::DELETE => HttpResponse::builder().status(204).body(Body::empty()).unwrap(),
        _ => session(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_session_goes_on_where_the_registry_only_cannot_be_asked() {
    for status in [400, 405, 501] {
        let (blobs, asked) = mute((status, "UNSUPPORTED"), usize::MAX);
        let mut session = blobs.start_upload().await.unwrap();
        session.write(vec![1u8; CHUNK]).await.unwrap();
        let error = session.status().await.unwrap_err();
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
        assert_ne!(error.kind(), ErrorKind::Session);
        session.write(vec![1u8; CHUNK]).await.unwrap();
        let info = session.complete(vec![1u8; CHUNK], None).await.unwrap();
        assert_eq!(info.size, 3 * CHUNK as u64);
        let asked = asked.lock().unwrap();
        assert_eq!(*asked, ["POST", "PATCH", "GET", "PATCH", "PUT"], "{status}");
    }
}

/// A success, and nothing said: of a front end, or of a registry that has no bytes yet.
#[tokio::test(start_paused = true)]
async fn a_session_goes_on_where_the_answer_says_nothing() {
    let content = [1u8; 2 * CHUNK];
    let (blobs, asked) = client(move |request| match *request.method() {
        Method::GET => HttpResponse::builder().status(204).body(Body::empty()).unwrap(),
        Method::PUT => {
            let stored = HttpResponse::builder().status(201);
            let digest = Digest::sha256(&content);
            let stored = stored.header("docker-content-digest", digest.as_str());
            stored.body(Body::empty()).unwrap()
        }
        _ => session(),
    });
    let mut session = blobs.start_upload().await.unwrap();
    for _ in 0..2 {
        let error = session.status().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        session.write(vec![1u8; CHUNK]).await.unwrap();
    }
    let info = session.complete("", None).await.unwrap();
    assert_eq!(info.size, 2 * CHUNK as u64);
    assert_eq!(*asked.lock().unwrap(), ["POST", "GET", "PATCH", "GET", "PATCH", "PUT"]);
}

#[tokio::test(start_paused = true)]
async fn content_that_can_be_given_again_is_sent_anew() {
    for (status, code) in [(400, "NAME_INVALID"), (405, "UNSUPPORTED"), (501, "UNSUPPORTED")] {
        let (blobs, asked) = broken_once(status, code);
        let info = blobs.upload(vec![1u8; 3 * CHUNK]).chunk_size(CHUNK).await.unwrap();
        assert_eq!(info.size, 3 * CHUNK as u64);
        let asked = asked.lock().unwrap();
        let count = |method: &str| asked.iter().filter(|line| line.starts_with(method)).count();
        assert_eq!((count("POST"), count("GET"), count("PUT")), (2, 1, 1), "{status}: {asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_to_which_the_owner_writes_is_lost() {
    // Unknown to the registry, whatever status says it, and no refusal of the request.
    for (status, code) in [(404, "NAME_UNKNOWN"), (400, "BLOB_UPLOAD_UNKNOWN")] {
        let (blobs, _) = client(move |request| match *request.method() {
            Method::POST | Method::PATCH => session(),
            _ => refuse(status, code),
        });
        let mut session = blobs.start_upload().await.unwrap();
        // After the second of them the first is kept no longer, and cannot be sent again.
        session.write(vec![1u8; CHUNK]).await.unwrap();
        session.write(vec![1u8; CHUNK]).await.unwrap();
        let error = session.status().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Session, "{error}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(code), "{cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_unknown_at_a_chunk_is_lost() {
    let (blobs, _) = client(|request| match *request.method() {
        Method::POST => session(),
        _ => refuse(400, "BLOB_UPLOAD_UNKNOWN"),
    });
    let mut session = blobs.start_upload().await.unwrap();
    let error = session.write(vec![1u8; CHUNK]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Session, "{error}");
}

fn whole(content: &Bytes, from: usize, until: usize) -> Response {
    let answer = HttpResponse::builder().status(200).header("content-length", content.len());
    answer.body(Body::from(content.slice(from..until))).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_range_that_is_not_understood_is_replaced_by_everything() {
    let content = Bytes::from((0..100u8).collect::<Vec<_>>());
    let digest = Digest::sha256(&content);
    let given = content.clone();
    let first = Arc::new(Mutex::new(true));
    // The first answer ends early; ranges are refused; everything comes when asked for.
    let (blobs, asked) = client(move |request| {
        if request.headers().contains_key("range") {
            return refuse(416, "BLOB_UNKNOWN");
        }
        let is_first = std::mem::replace(&mut *first.lock().unwrap(), false);
        whole(&given, 0, if is_first { 40 } else { 100 })
    });
    let back = blobs.download(&digest).await.unwrap().bytes(100).await.unwrap();
    assert_eq!(back, content);
    assert_eq!(*asked.lock().unwrap(), ["GET", "GET bytes=40-99", "GET"]);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_before_or_at_the_end_goes_on_without_ranges() {
    let content = Bytes::from((0..100u8).collect::<Vec<_>>());
    let digest = Digest::sha256(&content);
    let given = content.clone();
    let (blobs, asked) = client(move |request| {
        if request.headers().contains_key("range") {
            return refuse(416, "BLOB_UNKNOWN");
        }
        let pieces = [given.slice(..40), given.slice(40..90), given.slice(90..)];
        let pieces = pieces.map(|piece| Ok::<_, Error>(http_body::Frame::data(piece)));
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(pieces));
        HttpResponse::builder().status(200).body(Body::stream(body)).unwrap()
    });
    let mut reader = blobs.download(&digest).await.unwrap();
    let mut read = Vec::new();
    let mut checkpoints = Vec::new();
    while let Some(piece) = reader.chunk().await.unwrap() {
        read.extend_from_slice(&piece);
        checkpoints.push((reader.checkpoint(), read.clone()));
    }
    assert_eq!(read, content);
    assert_eq!(checkpoints.len(), 3);
    asked.lock().unwrap().clear();
    for (checkpoint, mut read) in checkpoints {
        let saved = serde_json::to_string(&checkpoint).unwrap();
        let checkpoint: DownloadCheckpoint = serde_json::from_str(&saved).unwrap();
        let rest = blobs.download(&digest).resume(checkpoint).await.unwrap();
        read.extend_from_slice(&rest.bytes(100).await.unwrap());
        assert_eq!(read, content);
    }
    // Twice everything anew; at the end the digest says that nothing is left to ask for.
    assert_eq!(*asked.lock().unwrap(), ["GET bytes=40-", "GET", "GET bytes=90-", "GET"]);
}
