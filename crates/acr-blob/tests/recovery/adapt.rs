//! What an upload adapts to, and what it does not send.

use acr_blob::Content;
use acr_core::{Digest, ErrorKind, Transport, http::Request};
use acr_testkit::{BlobDelivery, FakeRegistry, Fault, Operation};
use bytes::Bytes;
use tower::ServiceExt as _;

use crate::{CHUNK, MIB, client, client_over, content, file, other_repository, pieces, stored};

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
        let sent = sent.iter().filter(|e| {
            e.operation != Some(Operation::FetchAccessToken)
                && e.operation != Some(Operation::ExchangeEntraToken)
        });
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
                    .body(acr_core::http::Body::empty())
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
    assert_eq!(registry.journal().count_of(Operation::UploadChunk), 10);
    assert!(stored(&blobs, &next).await);
}

#[tokio::test(start_paused = true)]
async fn a_minimum_length_of_chunks_is_kept_to() {
    let registry = FakeRegistry::new();
    registry.inject(Fault::set_header(Operation::StartUpload, "oci-chunk-min-length", "5000"));
    let blobs = client(&registry);
    let whole = content(12_000);
    blobs.upload(pieces(&whole, 100)).chunk_size(CHUNK).await.unwrap();
    assert_eq!(registry.journal().count_of(Operation::UploadChunk), 2);
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
        registry.inject(Fault::status(Operation::UploadChunk, nth, 404));
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
        registry.inject(Fault::status(Operation::CompleteUpload, 1, status));
        let blobs = client(&registry);
        let whole = content(3 * CHUNK + 1);
        blobs.upload(pieces(&whole, 100)).chunk_size(CHUNK).await.unwrap();
        assert!(stored(&blobs, &whole).await);
        registry.journal().clear();
        blobs.upload(pieces(&whole, 100)).chunk_size(CHUNK).await.unwrap();
        let closing = registry.journal().entries();
        let closing =
            closing.iter().find(|e| e.operation == Some(Operation::CompleteUpload)).unwrap();
        assert_eq!(closing.body_bytes, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_in_one_body_goes_on_after_a_failure_in_chunks() {
    for fault in [
        Fault::lose_response(Operation::UploadChunk),
        Fault::drop_request(Operation::UploadChunk),
        Fault::status(Operation::UploadChunk, 1, 503),
        Fault::status(Operation::UploadChunk, 1, 429),
        Fault::status(Operation::UploadChunk, 1, 401),
        Fault::lose_response(Operation::CompleteUpload),
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
    let upload = |source: Bytes| blobs.upload(source).digest(&digest).skip_existing();
    upload(whole.clone()).await.unwrap();
    registry.journal().clear();
    assert_eq!(upload(whole.clone()).await.unwrap().size, 5_000);
    assert_eq!(registry.journal().count_of(Operation::StartUpload), 0);

    // From another repository, in the request that starts the upload.
    let other = other_repository(&registry);
    let mounted =
        other.upload(whole.clone()).digest(&digest).mount_from(blobs.repository().clone());
    assert_eq!(mounted.await.unwrap().size, 5_000);
    assert_eq!(registry.journal().count_of(Operation::CompleteUpload), 0);
    // And where there is nothing to mount, the same session takes the content.
    let new = content(6_000);
    let absent = Digest::sha256(&new);
    let sent = other.upload(new.clone()).digest(&absent).mount_from(blobs.repository().clone());
    sent.await.unwrap();
    assert_eq!(registry.journal().count_of(Operation::StartUpload), 0);
    assert!(stored(&other, &new).await);
}
