//! Uploads and downloads against the fake registry, in process and on a paused clock.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

mod modes;

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::{BlobClient, Content, Phase, Was};
use acr_core::{Digest, ErrorKind, Pipeline, http::BoxError};
use acr_testkit::{BlobDelivery, FakeRegistry, Fault, Kind, Operation};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use proptest::prelude::*;

const CHUNK: usize = 1024;

fn client(registry: &FakeRegistry) -> BlobClient {
    let token = registry.entra_token();
    let source = credential_fn(move |_| {
        let token = AccessToken::new(token.clone(), SystemTime::now() + Duration::from_secs(3600));
        async move { Ok(token) }
    });
    let auth = AuthLayer::new(&registry.endpoint(), Credential::entra(source));
    let pipeline = Pipeline::builder(registry.endpoint())
        .transport(registry.transport())
        .layer_per_hop(auth)
        .hashing(modes::hashing())
        .build()
        .unwrap();
    BlobClient::new(pipeline, "library/app".parse().unwrap())
}

fn content(len: usize) -> Bytes {
    (0..len).map(|n| (n * 7 + n / 251) as u8).collect()
}

fn operations(registry: &FakeRegistry) -> Vec<Operation> {
    let tokens = [Operation::ExchangeEntraToken, Operation::FetchAccessToken];
    let all = registry.journal().operations().into_iter().map(Option::unwrap);
    all.filter(|operation| !tokens.contains(operation)).collect()
}

fn files_in(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn small_content_takes_two_requests_and_comes_back_verified() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    for content in [content(0), content(1), content(CHUNK)] {
        registry.journal().clear();
        let info = blobs.upload(content.clone()).chunk_size(CHUNK).await.unwrap();
        assert_eq!(info.digest, Digest::sha256(&content));
        assert_eq!(info.size, content.len() as u64);
        assert_eq!(operations(&registry), [Operation::StartUpload, Operation::CompleteUpload]);
        let back = blobs.download(&info.digest).await.unwrap().bytes(CHUNK).await.unwrap();
        assert_eq!(back, content);
    }
    assert_eq!(registry.open_uploads(), 0);
    assert_eq!(registry.journal().count(Kind::Challenge), 0);
}

#[tokio::test(start_paused = true)]
async fn large_content_goes_in_chunks_and_the_last_rides_on_the_commit() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let content = content(3 * CHUNK + 5);
    let info = blobs.upload(content.clone()).chunk_size(CHUNK).await.unwrap();
    assert_eq!(
        operations(&registry),
        [
            Operation::StartUpload,
            Operation::UploadChunk,
            Operation::UploadChunk,
            Operation::UploadChunk,
            Operation::CompleteUpload,
        ]
    );
    assert_eq!(blobs.blob_properties(&info.digest).await.unwrap().size, content.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_ended_is_not_polled_again() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    // `Unfold` panics when it is.
    let pieces = stream::unfold(0, |n| async move {
        (n < 3).then(|| (Ok::<_, BoxError>(Bytes::from(vec![n; 700])), n + 1))
    });
    let info = blobs.upload(Content::stream(pieces)).chunk_size(CHUNK).await.unwrap();
    assert_eq!(info.size, 2_100);
}

#[tokio::test(start_paused = true)]
async fn bytes_streams_readers_and_files_store_the_same_blob() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let content = content(5 * CHUNK + 1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source");
    std::fs::write(&path, &content).unwrap();
    let pieces: Vec<Result<Bytes, BoxError>> =
        content.chunks(100).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    for source in [
        Content::from(content.clone()),
        Content::stream(stream::iter(pieces)),
        Content::reader(std::io::Cursor::new(content.clone())),
        Content::file(&path).await.unwrap(),
    ] {
        let info = blobs.upload(source).chunk_size(CHUNK).await.unwrap();
        assert_eq!(info.digest, Digest::sha256(&content));
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_to_a_file_appears_whole_and_leaves_nothing_else() {
    for delivery in [BlobDelivery::Redirect, BlobDelivery::Direct] {
        let registry = FakeRegistry::builder().blobs(delivery).build();
        let blobs = client(&registry);
        let content = content(10_000);
        let info = blobs.upload(content.clone()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("layer");
        std::fs::write(&target, "an older file").unwrap();
        let size = blobs.download(&info.digest).to_file(&target).await.unwrap();
        assert_eq!(size, 10_000);
        assert_eq!(std::fs::read(&target).unwrap(), content);
        assert_eq!(files_in(folder.path()), ["layer"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_byte_a_missing_byte_or_a_broken_line_leaves_no_file() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let info = blobs.upload(content(10_000)).await.unwrap();
    for (fault, kind) in [
        (Fault::corrupt(Operation::GetStorage, 0), ErrorKind::Integrity),
        (Fault::corrupt(Operation::GetStorage, 9_999), ErrorKind::Integrity),
        (Fault::truncate(Operation::GetStorage, 0).times(100), ErrorKind::Transport),
    ] {
        let folder = tempfile::tempdir().unwrap();
        registry.inject(fault);
        let target = folder.path().join("layer");
        let error = blobs.download(&info.digest).to_file(&target).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.operation(), Some("download_blob"));
        assert!(files_in(folder.path()).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn code_that_ignores_the_final_error_never_sees_the_whole_content() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let content = content(600_000);
    let info = blobs.upload(content.clone()).await.unwrap();
    registry.inject(Fault::corrupt(Operation::GetStorage, 599_999));
    let reader = blobs.download(&info.digest).await.unwrap();
    let pieces: Vec<Bytes> = reader.filter_map(|item| async { item.ok() }).collect().await;
    let seen = pieces.concat();
    assert!(seen.len() < content.len() && content.starts_with(&seen));
}

#[tokio::test(start_paused = true)]
async fn the_storage_link_gets_no_credential_and_a_fresh_one_is_asked_for_after_a_failure() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let info = blobs.upload(content(100)).await.unwrap();
    registry.journal().clear();
    registry.inject(Fault::status(Operation::GetStorage, 1, 503));
    blobs.download(&info.digest).await.unwrap().bytes(100).await.unwrap();
    let journal = registry.journal().entries();
    let seen: Vec<_> = journal
        .iter()
        .filter(|e| e.operation != Some(Operation::FetchAccessToken))
        .map(|e| (e.operation.unwrap(), e.authorized))
        .collect();
    let once = [(Operation::DownloadBlob, true), (Operation::GetStorage, false)];
    let expected = [once, once].concat();
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn what_is_absent_is_none_or_not_found_or_already_absent() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let info = blobs.upload(content(10)).await.unwrap();
    assert!(blobs.exists(&info.digest).await.unwrap());
    assert_eq!(blobs.delete_blob(&info.digest).await.unwrap(), Was::Existed);
    assert_eq!(blobs.delete_blob(&info.digest).await.unwrap(), Was::Absent);
    assert!(blobs.blob_properties(&info.digest).await.unwrap_err().is_not_found());
    assert!(blobs.download(&info.digest).await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn an_unexpected_digest_stores_nothing_and_cancels_the_session() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let right = Digest::sha256(&content(5_000));
    let error = blobs
        .upload(content(5_000))
        .digest(Digest::sha256(b"other"))
        .chunk_size(CHUNK)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(!blobs.exists(&right).await.unwrap());
    assert_eq!(registry.open_uploads(), 0);
    assert!(blobs.upload(content(5_000)).digest(&right).chunk_size(CHUNK).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_breaks_cancels_the_session_and_keeps_its_error() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let items: Vec<Result<Bytes, BoxError>> = vec![Ok(content(3_000)), Err("disk on fire".into())];
    let source = Content::stream(stream::iter(items));
    let error = blobs.upload(source).chunk_size(CHUNK).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert_eq!(registry.open_uploads(), 0);
}

#[tokio::test(start_paused = true)]
async fn doubtful_chunks_and_commits_are_asked_about_and_nothing_is_sent_twice() {
    for (fault, sent_twice) in [
        // Applied, but the answer was lost: the status says so, and nothing is sent again.
        (Fault::lose_response(Operation::UploadChunk).on_nth(2), false),
        // Not applied: the chunk goes out again, after asking.
        (Fault::drop_request(Operation::UploadChunk).on_nth(2), true),
        (Fault::status(Operation::UploadChunk, 1, 503), true),
        (Fault::status(Operation::UploadChunk, 3, 500), true),
        (Fault::lose_response(Operation::CompleteUpload), false),
        (Fault::drop_request(Operation::CompleteUpload), true),
        (Fault::status(Operation::CompleteUpload, 1, 503), true),
        (Fault::lose_response(Operation::StartUpload), false),
        (Fault::status(Operation::StartUpload, 1, 503), false),
    ] {
        let registry = FakeRegistry::new();
        let blobs = client(&registry);
        let line = fault.to_string();
        registry.inject(fault);
        let content = content(4 * CHUNK);
        let info = blobs.upload(content.clone()).chunk_size(CHUNK).await.expect(&line);
        assert_eq!(info.digest, Digest::sha256(&content), "{line}");
        let back = blobs.download(&info.digest).await.unwrap().bytes(1 << 20).await.unwrap();
        assert_eq!(back, content, "{line}");
        let writes = operations(&registry)
            .iter()
            .filter(|o| matches!(o, Operation::UploadChunk | Operation::CompleteUpload))
            .count();
        assert_eq!(writes, 4 + usize::from(sent_twice), "{line}: {}", registry.journal());
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_gives_up_in_bounded_time_when_nothing_helps() {
    for operation in [Operation::StartUpload, Operation::UploadChunk, Operation::CompleteUpload] {
        let registry = FakeRegistry::new();
        let blobs = client(&registry);
        registry.inject(Fault::status(operation, 1, 503).times(1_000));
        let start = tokio::time::Instant::now();
        let error = blobs.upload(content(4 * CHUNK)).chunk_size(CHUNK).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server);
        assert!(start.elapsed().as_secs() < 60);
        assert_eq!(registry.open_uploads(), 0, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_registry_is_a_timeout() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    registry.inject(Fault::stall(Operation::UploadChunk));
    registry.inject(Fault::stall(Operation::UploadStatus).times(100));
    let error = blobs.upload(content(4 * CHUNK)).chunk_size(CHUNK).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test(start_paused = true)]
async fn progress_counts_up_to_the_whole() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let content = content(2 * CHUNK + 1);
    let info = blobs
        .upload(content.clone())
        .chunk_size(CHUNK)
        .on_progress(move |p| log.lock().unwrap().push((p.phase, p.transferred)))
        .await
        .unwrap();
    assert_eq!(
        *seen.lock().unwrap(),
        [
            (Phase::Transferring, 1024),
            (Phase::Transferring, 2048),
            (Phase::Committing, 2048),
            (Phase::Done, 2049)
        ]
    );
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let download = blobs
        .download(&info.digest)
        .on_progress(move |p| log.lock().unwrap().push((p.transferred, p.total)));
    download.await.unwrap().bytes(10_000).await.unwrap();
    assert_eq!(seen.lock().unwrap().last(), Some(&(2049, Some(2049))));
}

/// One fault of an upload, on its nth request of that kind.
fn upload_fault() -> impl Strategy<Value = Fault> {
    let operation = prop::sample::select(vec![
        Operation::StartUpload,
        Operation::UploadChunk,
        Operation::UploadStatus,
        Operation::CompleteUpload,
    ]);
    (operation, 1u32..5, 0u8..4).prop_map(|(operation, nth, how)| {
        let fault = match how {
            0 => Fault::status(operation, 1, 503),
            1 => Fault::lose_response(operation),
            2 => Fault::drop_request(operation),
            _ => Fault::status(operation, 1, 429),
        };
        fault.on_nth(nth)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn under_any_faults_the_blob_is_the_source_or_the_error_is_typed(
        len in 0usize..6_000,
        faults in prop::collection::vec(upload_fault(), 0..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let registry = FakeRegistry::new();
            let blobs = client(&registry);
            for fault in faults {
                registry.inject(fault);
            }
            let content = content(len);
            match blobs.upload(content.clone()).chunk_size(CHUNK).await {
                Ok(info) => {
                    assert_eq!(info.digest, Digest::sha256(&content));
                    let back = blobs.download(&info.digest).await.unwrap().bytes(1 << 20).await.unwrap();
                    assert_eq!(back, content);
                }
                Err(error) => assert!(
                    matches!(error.kind(), ErrorKind::Server | ErrorKind::Transport | ErrorKind::Throttled | ErrorKind::Session),
                    "{error}"
                ),
            }
        });
    }
}
