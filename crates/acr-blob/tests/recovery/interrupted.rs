//! Transfers that are dropped, outlive their token, or fill the disk.

use std::{
    future::IntoFuture as _,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use acr_blob::Content;
use acr_core::{Digest, ErrorKind, http::BoxError};
use acr_testkit::{FakeRegistry, Operation};
use futures_util::stream;

use crate::{CHUNK, client, content, pieces, stored};

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
    assert!(registry.journal().count_of(Operation::FetchAccessToken) > 3);
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
