//! Transfers over a line that is cut at many bytes of theirs, in `.ci/long` at every one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "tests may stop at the first surprise"
)]

mod line;
mod modes;

use acr_blob::{BlobClient, BlobInfo, Content};
use acr_core::{
    Digest, Endpoint, Error, ErrorKind, Pipeline, Transport,
    hashing::Hashing,
    http::{BoxError, Request},
};
use acr_testkit::{BlobDelivery, FakeRegistry, Operation, Tls};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use line::{Cut, Direction, How};
use tower::ServiceExt as _;

const CHUNK: usize = 64;

const KINDS: [How; 3] = [How::Fin, How::Rst, How::Stall];

fn content() -> Bytes {
    (0..3 * CHUNK as u32).map(|n| (n * 7 + 1) as u8).collect()
}

/// Pieces of 10 bytes, and not one of them twice.
fn source() -> Content {
    let content = content();
    let pieces: Vec<Result<Bytes, BoxError>> =
        content.chunks(10).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Content::stream(stream::iter(pieces))
}

fn registry() -> FakeRegistry {
    FakeRegistry::builder().user("user", "password").blobs(BlobDelivery::Direct).seed(7).build()
}

/// Signs every request in, so that no token call is in the way.
fn client(endpoint: Endpoint, transport: Transport) -> BlobClient {
    let transport = Transport::new(tower::service_fn(move |mut request: Request| {
        let basic = HeaderValue::from_static("Basic dXNlcjpwYXNzd29yZA==");
        request.headers_mut().insert(header::AUTHORIZATION, basic);
        transport.clone().oneshot(request)
    }));
    let pipeline =
        Pipeline::builder(endpoint).transport(transport).hashing(modes::hashing()).build().unwrap();
    BlobClient::new(pipeline, "a".parse().unwrap())
}

fn in_memory(registry: &FakeRegistry, cut: &Cut) -> BlobClient {
    client(registry.endpoint(), line::in_memory(registry.transport(), cut.clone()))
}

/// The ways an upload takes: chunks of a stream, chunks of bytes, one body.
#[derive(Clone, Copy, Debug)]
enum Way {
    Stream,
    Bytes,
    Whole,
}

async fn upload(blobs: &BlobClient, way: Way) -> Result<BlobInfo, Error> {
    match way {
        Way::Stream => blobs.upload(source()).chunk_size(CHUNK).await,
        Way::Bytes => blobs.upload(content()).chunk_size(CHUNK).await,
        Way::Whole => blobs.upload(content()).digest(Digest::sha256(&content())).await,
    }
}

fn check_upload(registry: &FakeRegistry, result: Result<BlobInfo, Error>, case: &str) -> bool {
    match result {
        Ok(info) => {
            assert_eq!(info.digest, Digest::sha256(&content()), "{case}");
            assert_eq!(info.size, content().len() as u64, "{case}");
            true
        }
        Err(error) => {
            let kinds = [ErrorKind::Transport, ErrorKind::Timeout, ErrorKind::Session];
            assert!(kinds.contains(&error.kind()), "{case}: {error}");
            assert_eq!(registry.open_uploads(), 0, "{case}: {error}");
            false
        }
    }
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// How far apart the cuts are: each of `KINDS` has others. Where the thread hashes there are fewer.
/// `.ci/long` cuts at every one.
fn step() -> usize {
    let usual = if modes::hashing() == Hashing::Beside { 21 } else { 7 };
    std::env::var("ACR_BLOB_CUT_STEP")
        .map_or(usual, |step| step.parse().expect("ACR_BLOB_CUT_STEP"))
}

/// Where a cut of this kind is tried.
fn places(how: How, step: usize, end: u64) -> impl Iterator<Item = u64> {
    let first = KINDS.iter().position(|kind| *kind == how).unwrap() % step;
    (first as u64..end).step_by(step)
}

fn every_cut_of_an_upload(way: Way, step: usize) {
    for direction in [Direction::Request, Direction::Response] {
        let whole = Cut::new(direction, How::Fin, None);
        paused().block_on(async {
            let registry = registry();
            upload(&in_memory(&registry, &whole), way).await.unwrap();
        });
        let end = whole.passed(direction);
        assert!(end > 500, "{end} bytes are no upload");
        std::thread::scope(|scope| {
            for how in KINDS {
                scope.spawn(move || {
                    for at in places(how, step, end) {
                        one_cut_of_an_upload(way, direction, how, at, end);
                    }
                });
            }
        });
    }
}

fn one_cut_of_an_upload(way: Way, direction: Direction, how: How, at: u64, end: u64) {
    let case = format!("{way:?} {direction:?} {how:?} at {at} of {end}");
    paused().block_on(async {
        let registry = registry();
        let cut = Cut::new(direction, how, Some(at));
        let blobs = in_memory(&registry, &cut);
        let result = upload(&blobs, way).await;
        // The signed state in the addresses is a few bytes longer or shorter.
        assert!(cut.has_struck() || at + 16 > end, "{case}");
        // One cut is always mended: the content is stored whatever was cut.
        assert!(check_upload(&registry, result, &case), "{case}");
        let digest = Digest::sha256(&content());
        let back = blobs.download(&digest).await.unwrap().bytes(1 << 20).await;
        assert_eq!(back.unwrap(), content(), "{case}");
        // A start whose answer was lost leaves a session nobody knows the place of.
        assert!(registry.open_uploads() <= 1, "{case}");
        let starts = registry.journal().count_of(Operation::StartUpload);
        assert!(registry.open_uploads() < starts, "{case}");
    });
}

#[test]
fn an_upload_of_a_stream_survives_a_cut_anywhere() {
    every_cut_of_an_upload(Way::Stream, step());
}

#[test]
fn an_upload_of_bytes_in_chunks_survives_a_cut_anywhere() {
    every_cut_of_an_upload(Way::Bytes, step());
}

#[test]
fn an_upload_in_one_body_survives_a_cut_anywhere() {
    every_cut_of_an_upload(Way::Whole, step());
}

/// A download whose answers each hold a third at most, cut at one more byte.
#[test]
fn a_download_survives_a_cut_anywhere() {
    use acr_testkit::Fault;
    let digest = Digest::sha256(&content());
    let prepare = || async {
        let registry = registry();
        let open = Cut::new(Direction::Request, How::Fin, None);
        upload(&in_memory(&registry, &open), Way::Whole).await.unwrap();
        registry.inject(Fault::truncate(Operation::DownloadBlob, CHUNK as u64).times(2));
        registry
    };
    for direction in [Direction::Request, Direction::Response] {
        let whole = Cut::new(direction, How::Fin, None);
        paused().block_on(async {
            let registry = prepare().await;
            let blobs = in_memory(&registry, &whole);
            let back = blobs.download(&digest).await.unwrap().bytes(1 << 20).await.unwrap();
            assert_eq!(back, content());
            assert_eq!(registry.journal().count_of(Operation::DownloadBlob), 3);
        });
        let end = whole.passed(direction);
        for how in KINDS {
            for at in places(how, step(), end) {
                let case = format!("{direction:?} {how:?} at {at} of {end}");
                paused().block_on(async {
                    let registry = prepare().await;
                    let cut = Cut::new(direction, how, Some(at));
                    let blobs = in_memory(&registry, &cut);
                    let back = blobs.download(&digest).await.expect(&case).bytes(1 << 20).await;
                    assert_eq!(back.expect(&case), content(), "{case}");
                    assert!(cut.has_struck() || at + 16 > end, "{case}");
                });
            }
        }
    }
}

/// Over real sockets; a stall is as long as the time-outs that end it.
#[tokio::test]
async fn fifty_cuts_over_sockets() {
    use acr_core::layer::Timeouts;
    use std::time::Duration;
    let soon = Duration::from_millis(150);
    for number in 0..50u64 {
        let how = KINDS[number as usize % 3];
        let direction = if number % 2 == 0 { Direction::Request } else { Direction::Response };
        let registry = registry();
        let server = registry.serve(Tls::Off).await.unwrap();
        let cut = Cut::new(direction, how, Some(number * 29 + 3));
        let endpoint = server.endpoint();
        let transport = Transport::new(tower::service_fn({
            let cut = cut.clone();
            move |request: Request| {
                let cut = cut.clone();
                async move {
                    let authority = request.uri().authority().unwrap().to_string();
                    let socket = tokio::net::TcpStream::connect(authority).await.unwrap();
                    line::exchange(line::Line::new(socket, cut), request).await
                }
            }
        }));
        let short = Timeouts::default().head(soon).idle(soon).commit(soon);
        let options = acr_core::CallOptions::new().timeouts(short);
        let blobs = client(endpoint, transport).with(options);
        let result = upload(&blobs, Way::Stream).await;
        let case = format!("{direction:?} {how:?} {number}");
        assert!(check_upload(&registry, result, &case), "{case}");
        let digest = Digest::sha256(&content());
        let back = blobs.download(&digest).await.unwrap().bytes(1 << 20).await.unwrap();
        assert_eq!(back, content(), "{case}");
        server.shutdown().await;
    }
}
