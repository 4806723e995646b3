//! Transfers with a registry that does not keep to the rules.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod modes;
mod settled;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use acr_blob::{BlobClient, Content};
use acr_core::{
    Algorithm, ByteRange, Digest, Digester, Endpoint, Error, ErrorKind, Pipeline, Transport,
    http::{Body, Request, Response},
};
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
    at("r.azurecr.io", transport)
}

fn at(endpoint: &str, transport: Transport) -> BlobClient {
    let endpoint: Endpoint = endpoint.parse().unwrap();
    let pipeline =
        Pipeline::builder(endpoint).transport(transport).hashing(modes::hashing()).build().unwrap();
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
        let stat = Arc::new(Mutex::new(Some(stat)));
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
    let error = blobs.download(Digest::sha256(b"x")).await.unwrap_err();
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

/// What a proxy says of its own pages says nothing of a blob.
#[tokio::test(start_paused = true)]
async fn a_404_that_is_not_the_registrys_is_no_absence() {
    let digest = Digest::sha256(b"x");
    for (media_type, is_absent) in [("application/json; charset=utf-8", true), ("text/html", false)]
    {
        let puts = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&puts);
        let blobs = client(move |method, _| {
            counter.fetch_add(u64::from(method == Method::PUT), Ordering::Relaxed);
            match *method {
                Method::HEAD => status(404).header("content-type", media_type),
                Method::POST => session(202),
                _ => status(201).header("docker-content-digest", Digest::sha256(b"x").as_str()),
            }
        });
        let range = ByteRange::new(0, Some(3)).unwrap();
        let upload = blobs.upload("x").digest(&digest).skip_existing();
        let found = [
            blobs.exists(&digest).await,
            blobs.has_range(&digest, range).await,
            upload.await.map(|_| false),
        ];
        for found in found {
            match found {
                Ok(found) => assert!(is_absent && !found, "{media_type}"),
                Err(error) => {
                    assert!(!is_absent && error.is_not_found() && error.is_foreign(), "{error}");
                }
            }
        }
        assert_eq!(puts.load(Ordering::Relaxed), u64::from(is_absent));
    }
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

/// Where the path of an upload is opaque, a checkpoint could name anything of the registry.
#[tokio::test(start_paused = true)]
async fn a1_what_a_checkpoint_names_is_cancelled_only_if_it_is_a_session() {
    for (path, is_session) in [("/v2/a/manifests/v1", false), ("/u/old", true)] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let transport = Transport::new(service_fn(move |request: Request| {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            log.lock().unwrap().push(format!("{method} {path}"));
            let digest =
                request.uri().query().unwrap_or_default().replace("digest=sha256%3A", "sha256:");
            let response = match (method.as_str(), path.as_str()) {
                ("POST", _) => status(202).header("location", "/u/new"),
                ("PATCH", _) => status(202).header("location", path),
                ("PUT", _) => status(201).header("docker-content-digest", digest),
                ("GET", "/u/old") => status(204).header("range", "0-9"),
                ("GET", _) => status(200),
                _ => status(202),
            };
            async move { Ok::<_, Error>(response.body(Body::empty()).unwrap()) }
        }));
        let blobs = at("registry.example", transport);
        let session = blobs.start_upload().await.unwrap();
        let saved = serde_json::to_string(&session.checkpoint().unwrap()).unwrap();
        let edited = saved.replace("/u/new", path);
        assert_ne!(edited, saved);
        // Shorter than what the session has.
        let checkpoint = serde_json::from_str(&edited).unwrap();
        blobs.upload("content").resume(checkpoint).await.unwrap();
        let deleted = format!("DELETE {path}");
        let seen = seen.lock().unwrap();
        assert_eq!(seen.contains(&deleted), is_session, "{seen:?}");
    }
}

fn sha512(content: &[u8]) -> Digest {
    let mut digester = Digester::new(Algorithm::Sha512);
    digester.update(content);
    digester.finish()
}

/// As distribution 2.8 answers: it takes `sha512` and knows the blob by `sha256`.
#[tokio::test(start_paused = true)]
async fn a10_a_blob_by_one_digest_is_known_by_another() {
    let content = Bytes::from_static(b"hello");
    let (ours, theirs) = (sha512(&content), Digest::sha256(&content));
    for is_there in [true, false] {
        let (content, theirs) = (content.clone(), theirs.clone());
        let body = content.clone();
        let blobs = respond(move |request| {
            let named = |code: u16| status(code).header("docker-content-digest", theirs.as_str());
            match (request.method().as_str(), is_there) {
                ("POST", _) => session(202).body(Body::empty()).unwrap(),
                ("PUT", _) => named(201).body(Body::empty()).unwrap(),
                (_, false) => status(404).body(Body::empty()).unwrap(),
                ("HEAD", _) => named(200).header("content-length", 5).body(Body::empty()).unwrap(),
                _ => named(200).body(Body::from(body.clone())).unwrap(),
            }
        });
        let stored = blobs.upload(content.clone()).digest(&ours).await;
        if is_there {
            assert_eq!(stored.unwrap().digest, ours);
            let reader = blobs.download(&ours).await.unwrap();
            assert_eq!(reader.bytes(100).await.unwrap(), content);
        } else {
            assert_eq!(stored.unwrap_err().kind(), ErrorKind::Integrity);
        }
    }
}

#[tokio::test]
async fn a1_a_file_is_resumed_under_a_digest_of_another_algorithm() {
    let content = [7u8; 100];
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    settled::until_settled(file.path());
    let blobs = respond(|request| {
        let digest = request.uri().query().unwrap_or_default().replace("digest=", "");
        let response = match request.method().as_str() {
            "PUT" => status(201).header("docker-content-digest", digest.replace("%3A", ":")),
            "GET" => session(204).header("range", "0-15"),
            _ => session(202),
        };
        response.body(Body::empty()).unwrap()
    });
    let saved = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&saved);
    let source = Content::file(file.path()).await.unwrap();
    let upload = blobs.upload(source).chunk_size(16);
    upload.on_checkpoint(move |saved| log.lock().unwrap().push(saved.clone())).await.unwrap();
    let saved = saved.lock().unwrap()[1].clone();
    assert_eq!(saved.confirmed(), 16);
    for expected in [sha512(&content), Digest::sha256(&content)] {
        let source = Content::file(file.path()).await.unwrap();
        let upload = blobs.upload(source).digest(&expected).resume(saved.clone());
        assert_eq!(upload.await.unwrap().digest, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a6_a_look_that_is_answered_with_another_blob_is_none() {
    let content = Bytes::from_static(b"hello");
    let (ours, other) = (Digest::sha256(&content), Digest::sha256(b"other"));
    let blobs = client(move |method, _| match *method {
        Method::POST => session(202),
        Method::PUT => status(201),
        _ => {
            status(200).header("content-length", 5).header("docker-content-digest", other.as_str())
        }
    });
    assert_eq!(blobs.blob_properties(&ours).await.unwrap_err().kind(), ErrorKind::Integrity);
    let upload = blobs.upload(content.clone()).digest(&ours).skip_existing();
    assert_eq!(upload.await.unwrap_err().kind(), ErrorKind::Integrity);
    assert_eq!(blobs.upload(content).await.unwrap_err().kind(), ErrorKind::Integrity);
}
