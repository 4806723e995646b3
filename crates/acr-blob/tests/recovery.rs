//! What uploads and downloads adapt to, and the ways to go on with them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

use std::{
    future::IntoFuture as _,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::{BlobClient, Content, DownloadCheckpoint, Mount, UploadCheckpoint};
use acr_core::{BoxError, ByteRange, Digest, ErrorKind, Pipeline, Request, Transport};
use acr_testkit::{BlobDelivery, FakeRegistry, Fault};
use bytes::Bytes;
use futures_util::stream;
use http::Method;
use tokio::io::AsyncReadExt as _;
use tower::ServiceExt as _;

const CHUNK: usize = 1024;
const MIB: usize = 1 << 20;

fn client_over(registry: &FakeRegistry, transport: Transport, repository: &str) -> BlobClient {
    let token = registry.entra_token();
    let source = credential_fn(move |_| {
        let token = AccessToken::new(token.clone(), SystemTime::now() + Duration::from_secs(3600));
        async move { Ok(token) }
    });
    let auth = AuthLayer::new(&registry.endpoint(), Credential::entra(source));
    let pipeline = Pipeline::builder(registry.endpoint())
        .transport(transport)
        .layer_per_hop(auth)
        .build()
        .unwrap();
    BlobClient::new(pipeline, repository.parse().unwrap())
}

fn client(registry: &FakeRegistry) -> BlobClient {
    client_over(registry, registry.transport(), "library/app")
}

fn content(len: usize) -> Bytes {
    (0..len).map(|n| (n * 7 + n / 251) as u8).collect()
}

fn pieces(content: &Bytes, size: usize) -> Content {
    let pieces: Vec<Result<Bytes, BoxError>> =
        content.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Content::stream(stream::iter(pieces))
}

fn file(content: &Bytes) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

async fn stored(blobs: &BlobClient, content: &Bytes) -> bool {
    let back = blobs.download(&Digest::sha256(content)).await;
    back.unwrap().bytes(1 << 30).await.unwrap() == *content
}

/// Acceptance 4: requests in all, sign-in included.
#[tokio::test]
async fn requests_of_cold_transfers() {
    let (ten, sixty_four) = (content(10 * MIB), content(64 * MIB));
    let (ten_file, sixty_four_file) = (file(&ten), file(&sixty_four));
    for (name, source, requests) in [
        ("10 MiB file", Content::file(ten_file.path()).await.unwrap(), 5),
        ("10 MiB stream", pieces(&ten, 64 * 1024), 5),
        ("10 MiB bytes", Content::from(ten.clone()), 5),
        ("64 MiB file", Content::file(sixty_four_file.path()).await.unwrap(), 5),
        ("64 MiB stream", pieces(&sixty_four, 64 * 1024), 2 + 1 + 7 + 1),
    ] {
        let registry = FakeRegistry::builder().blobs(BlobDelivery::Redirect).build();
        let blobs = client(&registry);
        let info = blobs.upload(source).await.unwrap();
        assert_eq!(registry.journal().entries().len(), requests, "{name}");
        registry.journal().clear();
        assert_eq!(
            info.digest,
            Digest::sha256(if info.size == ten.len() as u64 { &ten } else { &sixty_four })
        );
        let reader = blobs.download(&info.digest).await.unwrap();
        assert_eq!(reader.bytes(1 << 30).await.unwrap().len() as u64, info.size);
        let sent = registry.journal().entries();
        let sent = sent.iter().filter(|e| e.operation != "token" && e.operation != "exchange");
        assert_eq!(sent.count(), 2, "{name}: the registry and the storage");
    }
    // With the digest known, one body does it all.
    let registry = FakeRegistry::new();
    let source = Content::file(sixty_four_file.path()).await.unwrap();
    client(&registry).upload(source).digest(Digest::sha256(&sixty_four)).await.unwrap();
    assert_eq!(registry.journal().entries().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_cut_down_and_later_ones_with_it() {
    let registry = FakeRegistry::new();
    let inner = registry.transport();
    // Somebody on the way takes 3 MiB at most.
    let transport = Transport::new(tower::service_fn(move |request: Request| {
        let inner = inner.clone();
        let len = http_body::Body::size_hint(request.body()).exact().unwrap_or(u64::MAX);
        async move {
            if len > 3 << 20 {
                return Ok(http::Response::builder()
                    .status(413)
                    .body(acr_core::Body::empty())
                    .unwrap());
            }
            inner.oneshot(request).await
        }
    }));
    let blobs = client_over(&registry, transport, "library/app");
    let whole = content(20 * MIB);
    blobs.upload(whole.clone()).await.unwrap();
    assert!(stored(&blobs, &whole).await);
    registry.journal().clear();
    let next = content(21 * MIB);
    blobs.upload(pieces(&next, 100_000)).await.unwrap();
    // It was learned: 2 MiB at once, and nothing was refused any more.
    assert_eq!(registry.journal().count_of("write_chunk"), 10);
    assert!(stored(&blobs, &next).await);
}

#[tokio::test(start_paused = true)]
async fn a_minimum_length_of_chunks_is_kept_to() {
    let registry = FakeRegistry::new();
    registry.inject(Fault::set_header("start_upload", "oci-chunk-min-length", "5000"));
    let blobs = client(&registry);
    let whole = content(12_000);
    blobs.upload(pieces(&whole, 100)).chunk_size(CHUNK).await.unwrap();
    assert_eq!(registry.journal().count_of("write_chunk"), 2);
    assert!(stored(&blobs, &whole).await);
}

#[tokio::test(start_paused = true)]
async fn a_lost_session_is_begun_again_if_the_content_is_still_there() {
    let whole = content(5 * CHUNK);
    let path = file(&whole);
    for (source, nth, is_mended) in [
        (Content::from(whole.clone()), 3, true),
        (Content::file(path.path()).await.unwrap(), 3, true),
        (pieces(&whole, 100), 1, true),
        (pieces(&whole, 100), 3, false),
    ] {
        let registry = FakeRegistry::new();
        registry.inject(Fault::status("write_chunk", nth, 404));
        let blobs = client(&registry);
        let result = blobs.upload(source).chunk_size(CHUNK).await;
        match result {
            Ok(_) => assert!(is_mended && stored(&blobs, &whole).await),
            Err(error) => assert_eq!((is_mended, error.kind()), (false, ErrorKind::Session)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_closing_request_that_may_have_no_body_has_none() {
    for status in [400, 405, 415] {
        let registry = FakeRegistry::new();
        registry.inject(Fault::status("complete_upload", 1, status));
        let blobs = client(&registry);
        let whole = content(3 * CHUNK + 1);
        blobs.upload(pieces(&whole, 100)).chunk_size(CHUNK).await.unwrap();
        assert!(stored(&blobs, &whole).await);
        registry.journal().clear();
        blobs.upload(pieces(&whole, 100)).chunk_size(CHUNK).await.unwrap();
        let closing = registry.journal().entries();
        let closing = closing.iter().find(|e| e.operation == "complete_upload").unwrap();
        assert_eq!(closing.body_bytes, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_in_one_body_goes_on_after_a_failure_in_chunks() {
    for fault in [
        Fault::lose_response("write_chunk"),
        Fault::drop_request("write_chunk"),
        Fault::status("write_chunk", 1, 503),
        Fault::status("write_chunk", 1, 429),
        Fault::status("write_chunk", 1, 401),
        Fault::lose_response("complete_upload"),
    ] {
        let registry = FakeRegistry::new();
        let line = fault.to_string();
        registry.inject(fault);
        let blobs = client(&registry);
        let whole = content(20 * MIB);
        let path = file(&whole);
        let source = Content::file(path.path()).await.unwrap();
        blobs.upload(source).await.expect(&line);
        assert!(stored(&blobs, &whole).await, "{line}");
        assert_eq!(registry.open_uploads(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_or_has_another_digest_is_not_stored() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    for len in [5_000, 20 * MIB] {
        let whole = content(len);
        let path = file(&whole);
        let source = Content::file(path.path()).await.unwrap();
        let error = blobs.upload(source).digest(Digest::sha256(b"x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
        for other in [len - 1, len + 1] {
            let path = file(&whole);
            let source = Content::file(path.path()).await.unwrap();
            std::fs::write(path.path(), content(other)).unwrap();
            assert_eq!(blobs.upload(source).await.unwrap_err().kind(), ErrorKind::Source);
        }
    }
    assert_eq!(registry.open_uploads(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_there_already_is_not_sent() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let whole = content(5_000);
    let digest = Digest::sha256(&whole);
    let upload = |source: Bytes| blobs.upload(source).digest(digest.clone()).skip_existing();
    upload(whole.clone()).await.unwrap();
    registry.journal().clear();
    assert_eq!(upload(whole.clone()).await.unwrap().size, 5_000);
    assert_eq!(registry.journal().count_of("start_upload"), 0);

    // From another repository, in the request that starts the upload.
    let other = other_repository(&registry);
    let mounted =
        other.upload(whole.clone()).digest(digest.clone()).mount_from(blobs.repository().clone());
    assert_eq!(mounted.await.unwrap().size, 5_000);
    assert_eq!(registry.journal().count_of("complete_upload"), 0);
    // And where there is nothing to mount, the same session takes the content.
    let new = content(6_000);
    let absent = Digest::sha256(&new);
    let sent = other.upload(new.clone()).digest(absent).mount_from(blobs.repository().clone());
    sent.await.unwrap();
    assert_eq!(registry.journal().count_of("start_upload"), 0);
    assert!(stored(&other, &new).await);
}

fn other_repository(registry: &FakeRegistry) -> BlobClient {
    client_over(registry, registry.transport(), "library/other")
}

#[tokio::test(start_paused = true)]
async fn a_session_is_written_step_by_step_resumed_mounted_and_cancelled() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let mut session = blobs.start_upload().await.unwrap();
    assert_eq!(session.status().await.unwrap(), 0);
    session.write("hello ").await.unwrap();
    registry.inject(Fault::lose_response("write_chunk"));
    session.write("new ").await.unwrap();
    assert_eq!((session.offset(), session.status().await.unwrap()), (10, 10));
    let saved = serde_json::to_string(&session.checkpoint().unwrap()).unwrap();
    drop(session);

    let saved: UploadCheckpoint = serde_json::from_str(&saved).unwrap();
    let other = other_repository(&registry).resume_upload(&saved).await.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::InvalidInput);
    let session = blobs.resume_upload(&saved).await.unwrap();
    let info = session.complete("world", None).await.unwrap();
    assert_eq!((info.digest.clone(), info.size), (Digest::sha256(b"hello new world"), 15));
    assert_eq!(blobs.resume_upload(&saved).await.unwrap_err().kind(), ErrorKind::Session);

    let session = blobs.start_upload().await.unwrap();
    let wrong = session.complete("x", Some(&info.digest)).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Integrity);
    blobs.start_upload().await.unwrap().cancel().await.unwrap();
    assert_eq!(registry.open_uploads(), 0);

    let other = other_repository(&registry);
    let mount = other.mount(&info.digest, blobs.repository()).await.unwrap();
    assert!(matches!(mount, Mount::Mounted));
    let absent = Digest::sha256(b"absent");
    let Mount::NotMounted(session) = other.mount(&absent, blobs.repository()).await.unwrap() else {
        panic!("there is nothing to mount");
    };
    assert_eq!(session.complete("absent", Some(&absent)).await.unwrap().digest, absent);
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_resumed_from_any_of_its_checkpoints() {
    let whole = content(10 * CHUNK + 5);
    let path = file(&whole);
    for is_stream in [false, true] {
        let registry = FakeRegistry::new();
        let blobs = client(&registry);
        let saved = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&saved);
        registry.inject(Fault::stall("write_chunk").on_nth(6));
        let source = || async {
            if is_stream { pieces(&whole, 100) } else { Content::file(path.path()).await.unwrap() }
        };
        let upload =
            blobs.upload(source().await).chunk_size(CHUNK).on_checkpoint(move |checkpoint| {
                log.lock().unwrap().push(serde_json::to_string(checkpoint).unwrap());
            });
        let interrupted = tokio::time::timeout(Duration::from_secs(5), upload.into_future()).await;
        assert!(interrupted.is_err());
        let saved = std::mem::take(&mut *saved.lock().unwrap());
        assert_eq!(saved.len(), 6);
        // An old one is as good: the registry tells what it has.
        let checkpoint: UploadCheckpoint = serde_json::from_str(&saved[2]).unwrap();
        assert_eq!(checkpoint.confirmed(), 2 * CHUNK as u64);
        assert!(!format!("{checkpoint:?}").contains("_state"));
        registry.journal().clear();
        let resumed = blobs.upload(source().await).chunk_size(CHUNK).resume(checkpoint.clone());
        assert_eq!(resumed.await.unwrap().digest, Digest::sha256(&whole));
        let sent: u64 = registry.journal().entries().iter().map(|e| e.body_bytes).sum();
        assert!(sent <= (6 * CHUNK + 5) as u64 + 2_000, "{sent}");
        // Of a session that is over, the upload begins anew.
        let again = blobs.upload(source().await).chunk_size(CHUNK).resume(checkpoint);
        assert_eq!(again.await.unwrap().size, whole.len() as u64);
        assert!(stored(&blobs, &whole).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tampered_checkpoint_sends_nothing_elsewhere() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let session = blobs.start_upload().await.unwrap();
    let text = serde_json::to_string(&session.checkpoint().unwrap()).unwrap();
    let host =
        registry.endpoint().to_string().replace("https://", "").trim_end_matches('/').to_owned();
    let text = text.replace(&host, "evil.example");
    let checkpoint: UploadCheckpoint = serde_json::from_str(&text).unwrap();
    registry.journal().clear();
    let error = blobs.resume_upload(&checkpoint).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy);
    assert!(registry.journal().entries().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_download_goes_on_where_it_broke_and_where_it_was_left() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let whole = content(3 * MIB);
    let digest = blobs.upload(whole.clone()).await.unwrap().digest;
    registry.journal().clear();
    for after in [0, 1, 1_000_000] {
        registry.inject(Fault::truncate("get_storage", after));
        assert!(stored(&blobs, &whole).await);
    }
    // Each time from the registry, since a signed link does not live for long.
    assert_eq!(registry.journal().count_of("get_blob"), 6);

    let mut reader = blobs.download(&digest).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < MIB {
        seen.extend_from_slice(&reader.chunk().await.unwrap().unwrap());
    }
    let saved = serde_json::to_string(&reader.checkpoint()).unwrap();
    drop(reader);
    let saved: DownloadCheckpoint = serde_json::from_str(&saved).unwrap();
    assert_eq!(saved.delivered(), seen.len() as u64);
    let mut rest = Vec::new();
    let mut reader = blobs.download(&digest).resume(saved.clone()).await.unwrap();
    reader.read_to_end(&mut rest).await.unwrap();
    seen.extend(rest);
    assert_eq!(seen, whole);
    let absent = Digest::sha256(b"absent");
    let error = blobs.download(&absent).resume(saved).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // At the very end there is nothing to fetch, and still all is verified.
    let end = reader.checkpoint();
    assert_eq!(blobs.download(&digest).resume(end).await.unwrap().bytes(1).await.unwrap(), "");
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_blob_come_from_their_place_and_existence_is_told() {
    for delivery in [BlobDelivery::Redirect, BlobDelivery::Direct] {
        let registry = FakeRegistry::builder().blobs(delivery).build();
        let blobs = client(&registry);
        let whole = content(5_000);
        let digest = blobs.upload(whole.clone()).await.unwrap().digest;
        for (first, last, end) in [
            (0, Some(99), 100),
            (100, Some(100), 101),
            (4_000, None, 5_000),
            (10, Some(9_999), 5_000),
        ] {
            let range = ByteRange::new(first, last).unwrap();
            let part = blobs.download_range(&digest, range).await.unwrap();
            assert_eq!(part.total(), Some(5_000));
            assert_eq!(part.bytes(10_000).await.unwrap(), whole[first as usize..end]);
            let reaches = last.unwrap_or(first) < 5_000;
            assert_eq!(blobs.has_range(&digest, range).await.unwrap(), reaches);
        }
        let beyond = ByteRange::new(5_000, None).unwrap();
        let error = blobs.download_range(&digest, beyond).await.unwrap_err();
        assert_eq!(error.status().unwrap(), 416);
        assert!(!blobs.has_range(&digest, beyond).await.unwrap());
        assert!(!blobs.has_range(&Digest::sha256(b"x"), beyond).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_in_the_middle_is_fetched_anew() {
    let registry = FakeRegistry::builder().access_token_lifetime(Duration::from_secs(20)).build();
    let blobs = client(&registry);
    let whole = content(10 * CHUNK);
    let slow = stream::unfold(whole.clone(), |mut rest| async move {
        tokio::time::sleep(Duration::from_secs(15)).await;
        let piece = rest.split_to(rest.len().min(CHUNK));
        (!piece.is_empty()).then_some((Ok::<_, BoxError>(piece), rest))
    });
    blobs.upload(Content::stream(slow)).chunk_size(CHUNK).await.unwrap();
    assert!(stored(&blobs, &whole).await);
    assert!(registry.journal().count_of("token") > 3);
}

/// Drops transfers after every number of polls; what is left must be good for a new try.
#[tokio::test(start_paused = true)]
async fn a_transfer_dropped_at_any_poll_leaves_nothing_half() {
    let whole = content(3 * CHUNK);
    let mut finished = 0;
    for polls in 1..400 {
        let registry = FakeRegistry::new();
        let blobs = client(&registry);
        let mut is_done = false;
        {
            let upload = blobs.upload(pieces(&whole, 100)).chunk_size(CHUNK);
            let mut upload = pin!(upload.into_future());
            for _ in 0..polls {
                let mut cx = Context::from_waker(Waker::noop());
                if let Poll::Ready(result) = upload.as_mut().poll(&mut cx) {
                    result.unwrap();
                    is_done = true;
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        blobs.upload(pieces(&whole, 100)).chunk_size(CHUNK).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("x");
        let digest = Digest::sha256(&whole);
        {
            let mut download = pin!(blobs.download(&digest).to_file(&target));
            for _ in 0..polls {
                let mut cx = Context::from_waker(Waker::noop());
                if download.as_mut().poll(&mut cx).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert!(left.is_empty() || left == [target.clone()], "{left:?}");
        if !left.is_empty() {
            assert_eq!(std::fs::read(&target).unwrap(), whole);
        }
        finished += usize::from(is_done);
        if finished > 3 {
            return;
        }
    }
    assert!(finished > 0, "it never came to its end");
}

#[tokio::test(start_paused = true)]
async fn a_session_dropped_in_a_write_goes_on_with_the_next() {
    for polls in 1..30 {
        let registry = FakeRegistry::new();
        let blobs = client(&registry);
        let mut session = blobs.start_upload().await.unwrap();
        {
            let mut write = pin!(session.write("hello "));
            for _ in 0..polls {
                let mut cx = Context::from_waker(Waker::noop());
                if write.as_mut().poll(&mut cx).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        session.write("new ").await.unwrap();
        let info = session.complete("world", None).await.unwrap();
        assert_eq!(info.digest, Digest::sha256(b"hello new world"), "{polls}");
        assert!(stored(&blobs, &Bytes::from_static(b"hello new world")).await);
        let gets = registry.journal().entries();
        assert!(gets.iter().filter(|e| e.method == Method::PUT).count() == 1);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_full_disk_is_an_error_of_the_target() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let digest = blobs.upload(content(100_000)).await.unwrap().digest;
    // A folder in which nothing can be created, for root neither.
    let target = std::path::Path::new("/proc/self/layer");
    let error = blobs.download(&digest).to_file(target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
}
