//! Content of a known length that passes once, as one body.

#![cfg(feature = "tokio-io")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod modes;

use std::{
    io::Cursor,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use acr_auth::{AuthLayer, Credential};
use acr_blob::{BlobClient, Content};
use acr_core::{
    Digest, ErrorKind, Pipeline, Transport,
    http::{Body, Request},
};
use acr_testkit::{FakeRegistry, Operation};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, Method, header};
use tower::{Service as _, service_fn};

const MIB: usize = 1 << 20;

fn content(len: usize) -> Vec<u8> {
    (0..u32::try_from(len).unwrap()).map(|at| (at % 251) as u8).collect()
}

fn registry() -> FakeRegistry {
    FakeRegistry::builder().user("me", "secret").build()
}

fn client(registry: &FakeRegistry, transport: Transport) -> BlobClient {
    let auth = AuthLayer::new(&registry.endpoint(), Credential::password("me", "secret"));
    let pipeline = Pipeline::builder(registry.endpoint()).transport(transport);
    let pipeline = pipeline.layer_per_hop(auth).hashing(modes::hashing()).build().unwrap();
    BlobClient::new(pipeline, "library/app".parse().unwrap())
}

/// What the transfer asked for, sign-in left out.
fn asked(registry: &FakeRegistry) -> Vec<Operation> {
    let all = registry.journal().operations();
    all.into_iter().flatten().filter(|asked| *asked != Operation::FetchAccessToken).collect()
}

/// Does something else with the first request that carries more than a chunk.
fn first_body<F, Fut>(registry: &FakeRegistry, instead: F) -> BlobClient
where
    F: Fn(Transport, Request) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<http::Response<Body>, acr_core::Error>> + Send,
{
    let (inner, is_first) = (registry.transport(), Arc::new(AtomicBool::new(true)));
    let transport = Transport::new(service_fn(move |request: Request| {
        let is_body = http_body::Body::size_hint(request.body()).lower() > 8 * MIB as u64;
        let is_it = is_body && is_first.swap(false, Ordering::Relaxed);
        let (mut inner, instead) = (inner.clone(), instead.clone());
        async move { if is_it { instead(inner, request).await } else { inner.call(request).await } }
    }));
    client(registry, transport)
}

/// Reads so much of a body, or what there is.
async fn read(body: Body, most: usize) -> Vec<u8> {
    let (mut stream, mut read) = (body.into_data_stream(), Vec::new());
    while read.len() < most
        && let Some(Ok(piece)) = stream.next().await
    {
        read.extend_from_slice(&piece);
    }
    read
}

fn status(status: u16) -> http::Response<Body> {
    http::Response::builder().status(status).body(Body::empty()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_a_known_length_is_one_body() {
    use Operation as O;
    for (len, with_digest, expected) in [
        (0, false, &[O::StartUpload, O::CompleteUpload][..]),
        (5, false, &[O::StartUpload, O::CompleteUpload]),
        (8 * MIB, false, &[O::StartUpload, O::CompleteUpload]),
        (12 * MIB, false, &[O::StartUpload, O::UploadChunk, O::CompleteUpload]),
        (12 * MIB, true, &[O::StartUpload, O::CompleteUpload]),
    ] {
        let (registry, content) = (registry(), content(len));
        let (blobs, digest) = (client(&registry, registry.transport()), Digest::sha256(&content));
        let pieces: Vec<_> = content.chunks(300_001).map(Bytes::copy_from_slice).collect();
        let pieces = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        for given in [
            Content::sized_reader(Cursor::new(content.clone()), len as u64),
            Content::sized_stream(pieces, len as u64),
        ] {
            assert_eq!(given.len(), Some(len as u64));
            registry.journal().clear();
            let upload = blobs.upload(given);
            let upload = if with_digest { upload.digest(digest.clone()) } else { upload };
            let blob = upload.await.unwrap();
            assert_eq!((&blob.digest, blob.size), (&digest, len as u64));
            assert_eq!(asked(&registry), expected, "{len} {with_digest}");
        }
        let stored = blobs.download(&digest).await.unwrap().bytes(16 * MIB).await.unwrap();
        assert!(stored == content);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_another_length_or_that_breaks_stores_nothing() {
    for len in [1_000_000, 12 * MIB] {
        let (registry, whole) = (registry(), content(len));
        let blobs = client(&registry, registry.transport());
        let sized =
            |content: &[u8]| Content::sized_reader(Cursor::new(content.to_vec()), len as u64);
        let broken = stream::iter([
            Ok(Bytes::from(whole[..len / 2].to_vec())),
            Err(std::io::Error::other("the disk is gone")),
        ]);
        for (given, said) in [
            (sized(&whole[1..]), "ended after"),
            (sized(&[]), "ended after 0"),
            (sized(&[&whole[..], b"!"].concat()), "has more"),
            (Content::sized_stream(broken, len as u64), "could not be read"),
        ] {
            let error = blobs.upload(given).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Source, "{error}");
            assert!(error.to_string().contains(said), "{error}");
            assert_eq!(registry.open_uploads(), 0);
        }
        // The right length, and other content than was named.
        let upload = blobs.upload(sized(&whole)).digest(Digest::sha256(b"other"));
        assert_eq!(upload.await.unwrap_err().kind(), ErrorKind::Integrity);
        assert_eq!(registry.open_uploads(), 0);
        assert!(!blobs.exists(&Digest::sha256(&whole)).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn what_passed_is_not_sent_again_blindly() {
    let (registry, whole) = (registry(), content(12 * MIB));
    let blobs = first_body(&registry, |_, request| async {
        assert_eq!(read(request.into_body(), usize::MAX).await.len(), 12 * MIB);
        Ok(status(503))
    });
    let given = Content::sized_reader(Cursor::new(whole.clone()), whole.len() as u64);
    let error = blobs.upload(given).await.unwrap_err();
    assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Server, 503));
    assert!(error.to_string().contains("passed once"), "{error}");
    // One question about how much arrived, and no byte more.
    use Operation as O;
    assert_eq!(asked(&registry), [O::StartUpload, O::UploadStatus, O::CancelUpload]);
}

#[tokio::test(start_paused = true)]
async fn what_did_not_pass_yet_or_is_kept_still_is_sent_again() {
    for passes in [0, 3 * MIB] {
        let (registry, whole) = (registry(), content(12 * MIB));
        let blobs = first_body(&registry, move |_, request| async move {
            read(request.into_body(), passes).await;
            Ok(status(503))
        });
        let given = Content::sized_reader(Cursor::new(whole.clone()), whole.len() as u64);
        let blob = blobs.upload(given).await.unwrap();
        assert_eq!((blob.digest, blob.size), (Digest::sha256(&whole), whole.len() as u64));
    }
}

/// The line breaks after nine tenths; the registry has two mebibytes less than were sent.
#[tokio::test(start_paused = true)]
async fn a_body_that_broke_off_is_gone_on_with_from_what_arrived() {
    for with_digest in [false, true] {
        let (registry, whole) = (registry(), content(30 * MIB));
        let blobs = first_body(&registry, |mut inner, request| async move {
            let (mut head, body) = request.into_parts();
            let sent = read(body, 27 * MIB).await;
            let arrived = Bytes::from(sent).slice(..25 * MIB);
            let range = format!("0-{}", arrived.len() - 1);
            head.headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(range).unwrap());
            head.headers.remove(header::CONTENT_LENGTH);
            // What came with the closing request is there like the rest.
            head.method = Method::PATCH;
            let query = head.uri.query().unwrap_or_default();
            let kept: Vec<_> =
                query.split('&').filter(|part| !part.starts_with("digest=")).collect();
            let place = format!("{}?{}", head.uri.path(), kept.join("&"));
            let mut parts = head.uri.clone().into_parts();
            parts.path_and_query = Some(place.parse().unwrap());
            head.uri = parts.try_into().unwrap();
            inner.call(Request::from_parts(head, Body::from(arrived))).await?;
            Err(acr_core::Error::new(ErrorKind::Transport, "the connection broke"))
        });
        let digest = Digest::sha256(&whole);
        let upload = blobs.upload(Content::sized_reader(Cursor::new(whole.clone()), 30 << 20));
        let upload = if with_digest { upload.digest(digest.clone()) } else { upload };
        let blob = upload.await.unwrap();
        assert_eq!((&blob.digest, blob.size), (&digest, whole.len() as u64));
        let stored = blobs.download(&digest).await.unwrap().bytes(32 * MIB).await.unwrap();
        assert!(stored == whole);
    }
}

/// A success that came before the content: nothing is believed.
#[tokio::test(start_paused = true)]
async fn an_answer_before_the_content_is_no_success() {
    let (registry, whole) = (registry(), content(12 * MIB));
    let blobs = first_body(&registry, |_, request| async move {
        let place = request.uri().to_string();
        Ok(http::Response::builder()
            .status(202)
            .header(header::LOCATION, place)
            .body(Body::empty())
            .unwrap())
    });
    let given = Content::sized_reader(Cursor::new(whole.clone()), whole.len() as u64);
    let blob = blobs.upload(given).await.unwrap();
    assert_eq!(blob.digest, Digest::sha256(&whole));
    let stored = blobs.download(&blob.digest).await.unwrap().bytes(16 * MIB).await.unwrap();
    assert!(stored == whole);
}
