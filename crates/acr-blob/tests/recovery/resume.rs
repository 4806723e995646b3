//! Sessions, checkpoints, and the ways to go on with them.

use std::{
    future::IntoFuture as _,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Waker},
    time::Duration,
};

use acr_blob::{Content, DownloadCheckpoint, Mount, UploadCheckpoint};
use acr_core::{ByteRange, Digest, ErrorKind};
use acr_testkit::{BlobDelivery, FakeRegistry, Fault, Operation};
use bytes::Bytes;
use http::Method;
use tokio::io::AsyncReadExt as _;

use crate::{CHUNK, MIB, client, content, file, other_repository, pieces, stored};

#[tokio::test(start_paused = true)]
async fn a_session_is_written_step_by_step_resumed_mounted_and_cancelled() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let mut session = blobs.start_upload().await.unwrap();
    assert_eq!(session.status().await.unwrap(), 0);
    session.write("hello ").await.unwrap();
    registry.inject(Fault::lose_response(Operation::UploadChunk));
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
        registry.inject(Fault::stall(Operation::UploadChunk).on_nth(6));
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

/// A second interruption loses no more than the first one.
#[tokio::test(start_paused = true)]
async fn a_resumed_upload_tells_and_saves_every_chunk() {
    let whole = content(10 * CHUNK + 5);
    for (name, is_vouched) in [("bytes", false), ("stream", false), ("stream", true)] {
        let source = |from: usize| match name {
            "bytes" => Content::from(whole.slice(from..)),
            _ => pieces(&whole.slice(from..), 100),
        };
        let registry = FakeRegistry::new();
        let blobs = client(&registry);
        registry.inject(Fault::stall(Operation::UploadChunk).on_nth(4));
        let first = Arc::new(Mutex::new(None));
        let log = Arc::clone(&first);
        let upload = blobs.upload(source(0)).chunk_size(CHUNK).on_checkpoint(move |checkpoint| {
            *log.lock().unwrap() = Some(checkpoint.clone());
        });
        let end = tokio::time::timeout(Duration::from_secs(5), upload.into_future()).await;
        assert!(end.is_err());

        let checkpoint = first.lock().unwrap().take().unwrap();
        let start = usize::try_from(checkpoint.confirmed()).unwrap();
        let (saved, told) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let (saves, tells) = (Arc::clone(&saved), Arc::clone(&told));
        let upload = blobs.upload(source(if is_vouched { start } else { 0 }));
        let upload = match is_vouched {
            true => upload.resume_vouched(checkpoint),
            false => upload.resume(checkpoint),
        };
        let upload = upload
            .chunk_size(CHUNK)
            .on_checkpoint(move |checkpoint| saves.lock().unwrap().push(checkpoint.confirmed()))
            .on_progress(move |progress| tells.lock().unwrap().push(progress.transferred));
        assert_eq!(upload.await.unwrap().digest, Digest::sha256(&whole));
        let chunks: Vec<u64> = (start / CHUNK + 1..=10).map(|n| (n * CHUNK) as u64).collect();
        assert_eq!(*saved.lock().unwrap(), chunks, "{name}, vouched: {is_vouched}");
        let told = told.lock().unwrap();
        assert!(chunks.iter().all(|chunk| told.contains(chunk)), "{name}: {told:?}");
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
        registry.inject(Fault::truncate(Operation::GetStorage, after));
        assert!(stored(&blobs, &whole).await);
    }
    // Each time from the registry, since a signed link does not live for long.
    assert_eq!(registry.journal().count_of(Operation::DownloadBlob), 6);

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
