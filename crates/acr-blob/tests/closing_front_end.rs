//! A front end that closes the connection on large bodies, so that its refusal is never read.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::sync::{Arc, Mutex};

use acr_blob::{BlobClient, Content};
use acr_core::{
    Digest, Endpoint, Error, ErrorKind, Pipeline, Transport,
    http::{Body, Request, Response},
    layer::RetryPolicy,
};
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Response as HttpResponse};
use http_body::Body as _;
use tower::service_fn;

const LIMIT: u64 = 1 << 20;
const LENGTH: usize = 9 << 20;

/// What the registry behind it has, and the lengths of the bodies that broke.
#[derive(Default)]
struct Seen {
    received: u64,
    broken: Vec<u64>,
    passed: Vec<u64>,
}

fn client() -> (BlobClient, Arc<Mutex<Seen>>) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let state = Arc::clone(&seen);
    let digest = Digest::sha256(&vec![3u8; LENGTH]);
    let transport = Transport::new(service_fn(move |request: Request| {
        let answer = answer(&mut state.lock().unwrap(), &request, &digest);
        async move { answer }
    }));
    let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
    let retry = RetryPolicy::default().retries(0);
    let pipeline = Pipeline::builder(endpoint).transport(transport).retry(retry).build().unwrap();
    (BlobClient::new(pipeline, "a".parse().unwrap()), seen)
}

fn answer(seen: &mut Seen, request: &Request, digest: &Digest) -> Result<Response, Error> {
    let session = |status: u16, received: u64| {
        let answer = HttpResponse::builder().status(status);
        let answer = answer.header("location", "/v2/a/blobs/uploads/u");
        let range = format!("0-{}", received.saturating_sub(1));
        answer.header("range", range).body(Body::empty()).unwrap()
    };
    let length = request.body().size_hint().exact().unwrap();
    match *request.method() {
        Method::POST => Ok(session(202, 0)),
        Method::GET => Ok(session(204, seen.received)),
        Method::HEAD => Ok(HttpResponse::builder().status(404).body(Body::empty()).unwrap()),
        _ if length > LIMIT => {
            seen.broken.push(length);
            Err(Error::new(ErrorKind::Transport, "broken pipe"))
        }
        Method::PATCH => {
            seen.received += length;
            seen.passed.push(length);
            Ok(session(202, seen.received))
        }
        _ => {
            seen.received += length;
            let stored = HttpResponse::builder().status(201);
            let stored = stored.header("docker-content-digest", digest.as_str());
            Ok(stored.body(Body::empty()).unwrap())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_break_and_do_not_arrive_get_smaller() {
    let content = Bytes::from(vec![3u8; LENGTH]);
    let pieces = [content.clone()].map(Ok::<_, std::io::Error>);
    for source in [Content::from(content.clone()), Content::stream(stream::iter(pieces))] {
        let (blobs, seen) = client();
        let info = blobs.upload(source).await.unwrap();
        assert_eq!((info.size, info.digest), (LENGTH as u64, Digest::sha256(&content)));
        let seen = seen.lock().unwrap();
        assert_eq!(seen.received, LENGTH as u64);
        assert!((1..=3).contains(&seen.broken.len()), "{:?}", seen.broken);
        assert!(seen.passed.iter().all(|length| *length >= LIMIT / 8), "{:?}", seen.passed);
    }
}

/// A body that broke by chance says nothing about the next upload.
#[tokio::test(start_paused = true)]
async fn the_next_upload_is_as_bold_as_the_first() {
    let (blobs, seen) = client();
    blobs.upload(vec![3u8; LENGTH]).await.unwrap();
    let first = std::mem::take(&mut *seen.lock().unwrap());
    blobs.upload(vec![3u8; LENGTH]).await.unwrap();
    assert_eq!(seen.lock().unwrap().broken.first(), first.broken.first());
}
