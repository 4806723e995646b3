//! Sessions to which their owner writes: dropped writes, and sessions that are lost.

use std::{
    future::Future as _,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Waker},
    time::Duration,
};

use acr_blob::{BlobClient, UploadSession};
use acr_core::{Digest, ErrorKind};
use acr_testkit::{FakeRegistry, Fault, Operation};
use bytes::Bytes;

use crate::{
    CHUNK, client, content,
    unkind::{Manners, Unkind, Wrong},
};

/// Polls a write so many times and drops it; whether it was done.
#[expect(clippy::future_not_send, reason = "a context is held while others run")]
async fn write_dropped(session: &mut UploadSession, piece: Bytes, polls: usize) -> bool {
    let mut write = pin!(session.write(piece));
    for _ in 0..polls {
        let mut cx = Context::from_waker(Waker::noop());
        if let std::task::Poll::Ready(result) = write.as_mut().poll(&mut cx) {
            result.unwrap();
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

#[expect(clippy::future_not_send, reason = "as what it calls")]
async fn complete(blobs: &BlobClient, lens: &[usize], polls: usize) -> bool {
    let whole = content(lens.iter().sum::<usize>() + 7);
    let mut session = blobs.start_upload().await.unwrap();
    let (mut at, mut was_done) = (0, true);
    for len in lens {
        let piece = whole.slice(at..at + len);
        at += len;
        was_done &= write_dropped(&mut session, piece, polls).await;
    }
    let info = session.complete(whole.slice(at..), None).await.unwrap();
    assert_eq!(info.digest, Digest::sha256(&whole), "{lens:?} {polls}");
    was_done
}

/// Sizes around every threshold, and small pieces behind large ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a3_a_write_dropped_at_any_poll_loses_nothing() {
    const K: usize = 1024;
    for lens in [
        vec![128 * K, 1],
        vec![128 * K - 1, 128 * K, 128 * K + 1],
        vec![1 << 20, 5, 1 << 20, 5],
        vec![512 * K + 1, 0, 64 * K, 64 * K],
        vec![1; 20],
    ] {
        let mut done = 0;
        for polls in 1..60 {
            let registry = FakeRegistry::new();
            done += usize::from(complete(&client(&registry), &lens, polls).await);
            assert_eq!(registry.open_uploads(), 0);
            if done > 1 {
                break;
            }
        }
    }
}

/// The same where the bodies break as well.
#[tokio::test(start_paused = true)]
async fn a3_dropped_writes_and_broken_bodies_lose_nothing() {
    for polls in 1..12 {
        for wrong in [Wrong::Cut(0), Wrong::Cut(1), Wrong::Cut(700), Wrong::Unanswered] {
            let registry = Unkind::new(Manners::default());
            registry.wrong([Wrong::Nothing, wrong, Wrong::Nothing, wrong]);
            complete(&registry.client(), &[1000, 1, 200_000, 3], polls).await;
            assert_eq!(registry.blobs().len(), 1);
        }
    }
}

/// A caller that is dropped has not failed, however often.
#[tokio::test(start_paused = true)]
async fn a3_a_write_dropped_a_hundred_times_is_no_failure() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let mut session = blobs.start_upload().await.unwrap();
    for _ in 0..100 {
        write_dropped(&mut session, Bytes::from_static(b"x"), 1).await;
    }
    let info = session.complete("y", None).await.unwrap();
    let whole = [vec![b'x'; 100], vec![b'y']].concat();
    assert_eq!(info.digest, Digest::sha256(&whole));
}

#[tokio::test(start_paused = true)]
async fn a3_a_checkpoint_after_a_dropped_write_counts_what_was_taken_over() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let whole = content(300_000);
    let mut session = blobs.start_upload().await.unwrap();
    session.write(whole.slice(..1000)).await.unwrap();
    registry.inject(Fault::delay(Operation::UploadChunk, Duration::from_secs(1)));
    assert!(!write_dropped(&mut session, whole.slice(1000..), 20).await);
    let checkpoint = session.checkpoint().unwrap();
    drop(session);
    assert_eq!(checkpoint.confirmed(), 1000);
    let info = blobs.upload(whole.clone()).resume(checkpoint.clone()).await.unwrap();
    assert_eq!(info.digest, Digest::sha256(&whole));
    assert_eq!(blobs.resume_upload(&checkpoint).await.unwrap_err().kind(), ErrorKind::Session);
}

#[tokio::test(start_paused = true)]
async fn a11_a_lost_session_without_confirmed_bytes_is_told_as_lost() {
    let registry = Unkind::new(Manners::default());
    let blobs = registry.client();
    let mut session = blobs.start_upload().await.unwrap();
    let checkpoint = session.checkpoint().unwrap();
    assert_eq!(session.status().await.unwrap(), 0);
    registry.forget_sessions();
    registry.take_seen();
    assert_eq!(session.status().await.unwrap_err().kind(), ErrorKind::Session);
    let resumed = blobs.resume_upload(&checkpoint).await;
    assert_eq!(resumed.unwrap_err().kind(), ErrorKind::Session);
    assert_eq!(registry.take_seen(), ["GET 0", "GET 0"]);
    // What was told to be over stays over.
    assert_eq!(session.write("x").await.unwrap_err().kind(), ErrorKind::Session);
    assert!(session.checkpoint().is_none());
}

#[tokio::test(start_paused = true)]
async fn a11_a_first_write_begins_anew_and_a_later_one_is_told() {
    let registry = Unkind::new(Manners::default());
    let blobs = registry.client();
    let mut session = blobs.start_upload().await.unwrap();
    registry.forget_sessions();
    session.write("hello ").await.unwrap();
    assert_eq!(session.offset(), 6);
    let info = session.complete("world", None).await.unwrap();
    assert_eq!(info.digest, Digest::sha256(b"hello world"));

    let mut session = blobs.start_upload().await.unwrap();
    session.write(content(CHUNK)).await.unwrap();
    session.write(content(CHUNK)).await.unwrap();
    registry.forget_sessions();
    assert_eq!(session.write("x").await.unwrap_err().kind(), ErrorKind::Session);
}

/// Dropped while another session is being opened in place of the lost one.
#[tokio::test(start_paused = true)]
async fn a11_a_write_dropped_while_it_begins_anew_goes_on_with_the_next() {
    for polls in 1..20 {
        let registry = FakeRegistry::new();
        let blobs = client(&registry);
        let mut session = blobs.start_upload().await.unwrap();
        registry.inject(Fault::lose_session(Operation::UploadChunk));
        write_dropped(&mut session, Bytes::from_static(b"hello "), polls).await;
        session.write("new ").await.unwrap();
        let info = session.complete("world", None).await.unwrap();
        assert_eq!(info.digest, Digest::sha256(b"hello new world"), "{polls}");
    }
}

#[tokio::test(start_paused = true)]
async fn asking_in_vain_ends_no_upload() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let mut session = blobs.start_upload().await.unwrap();
    session.write("hello ").await.unwrap();
    let checkpoint = session.checkpoint().unwrap();
    for status in [403, 429, 503] {
        let fault = Fault::status(Operation::UploadStatus, 1, status).retry_after("600").forever();
        registry.inject(fault);
        let told = session.status().await.unwrap_err().status().unwrap();
        let resumed = blobs.resume_upload(&checkpoint).await.unwrap_err();
        assert_eq!((told, resumed.status().unwrap()), (told, told), "{resumed}");
        assert_eq!(told.as_u16(), status);
        assert_eq!(registry.open_uploads(), 1, "{status}");
        registry.clear_faults();
        assert_eq!(session.status().await.unwrap(), 6);
    }
    // Nothing is in doubt, so nothing needs to be asked before more is written.
    for (at, status) in [(7, 403), (8, 429), (9, 503)] {
        let fault = Fault::status(Operation::UploadStatus, 1, status).retry_after("600").forever();
        registry.inject(fault);
        session.status().await.unwrap_err();
        session.write("-").await.unwrap();
        assert_eq!(session.offset(), at);
        registry.clear_faults();
    }
    // Nor in one that was gone on with, once its place is known.
    let checkpoint = session.checkpoint().unwrap();
    drop(session);
    let mut session = blobs.resume_upload(&checkpoint).await.unwrap();
    registry.inject(Fault::status(Operation::UploadStatus, 1, 503).retry_after("600").forever());
    session.status().await.unwrap_err();
    session.write("+").await.unwrap();
    registry.clear_faults();
    // After a write that was dropped its owner still asks before anything is sent.
    registry.inject(Fault::delay(Operation::UploadChunk, Duration::from_secs(3600)));
    let dropped = tokio::time::timeout(Duration::from_secs(1), session.write("new ")).await;
    assert!(dropped.is_err());
    registry.inject(Fault::status(Operation::UploadStatus, 1, 403).forever());
    session.status().await.unwrap_err();
    registry.clear_faults();
    registry.journal().clear();
    let info = session.complete("world", None).await.unwrap();
    assert_eq!(info.digest, Digest::sha256(b"hello ---+new world"));
    let operations = registry.journal().operations();
    assert_eq!(operations.first(), Some(&Some(Operation::UploadStatus)), "{operations:?}");
}

#[tokio::test(start_paused = true)]
async fn who_resumes_in_times_of_trouble_can_do_so_later() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let whole = content(4 * CHUNK);
    let mut session = blobs.start_upload().await.unwrap();
    session.write(whole.slice(..2 * CHUNK)).await.unwrap();
    let checkpoint = session.checkpoint().unwrap();
    drop(session);
    for operation in [Operation::UploadStatus, Operation::UploadChunk, Operation::CompleteUpload] {
        registry.inject(Fault::status(operation, 1, 403).forever());
        let upload = blobs.upload(whole.clone()).chunk_size(CHUNK).resume(checkpoint.clone());
        assert_eq!(upload.await.unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(registry.open_uploads(), 1, "{operation}");
        registry.clear_faults();
    }
    registry.journal().clear();
    let upload = blobs.upload(whole.clone()).chunk_size(CHUNK).resume(checkpoint);
    assert_eq!(upload.await.unwrap().digest, Digest::sha256(&whole));
    assert_eq!(registry.journal().count_of(Operation::StartUpload), 0);
    let mut session = blobs.start_upload().await.unwrap();
    session.write("hello ").await.unwrap();
    let checkpoint = session.checkpoint().unwrap();
    registry.inject(Fault::status(Operation::UploadChunk, 1, 403).forever());
    assert_eq!(session.write("new ").await.unwrap_err().kind(), ErrorKind::Forbidden);
    registry.clear_faults();
    let session = blobs.resume_upload(&checkpoint).await.unwrap();
    let info = session.complete("world", None).await.unwrap();
    assert_eq!(info.digest, Digest::sha256(b"hello world"));
    // Who writes checkpoints down can do so too.
    let saved = Arc::new(Mutex::new(None));
    let last = Arc::clone(&saved);
    let other = content(4 * CHUNK + 1);
    registry.inject(Fault::status(Operation::UploadChunk, 3, 503).forever());
    registry.inject(Fault::status(Operation::UploadStatus, 1, 503).forever());
    let upload = blobs.upload(other.clone()).chunk_size(CHUNK);
    let upload = upload.on_checkpoint(move |c| *last.lock().unwrap() = Some(c.clone()));
    assert_eq!(upload.await.unwrap_err().kind(), ErrorKind::Server);
    registry.clear_faults();
    assert_eq!(registry.open_uploads(), 1);
    let checkpoint = saved.lock().unwrap().take().unwrap();
    assert_eq!(checkpoint.confirmed(), 2 * CHUNK as u64);
    let upload = blobs.upload(other.clone()).chunk_size(CHUNK).resume(checkpoint);
    assert_eq!(upload.await.unwrap().digest, Digest::sha256(&other));
    assert_eq!(registry.open_uploads(), 0);
}

/// The registry takes its time to end the session, and the caller none.
#[tokio::test(start_paused = true)]
async fn a_session_that_was_about_to_be_given_up_is_cancelled() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let mut session = blobs.start_upload().await.unwrap();
    registry.inject(Fault::status(Operation::UploadChunk, 1, 403));
    registry.inject(Fault::stall(Operation::CancelUpload));
    let write = tokio::time::timeout(Duration::from_secs(3), session.write("content")).await;
    assert!(write.is_err(), "{write:?}");
    assert_eq!(registry.open_uploads(), 1);
    session.cancel().await.unwrap();
    assert_eq!(registry.open_uploads(), 0);
}

/// What was there no more when it was given up needs no end.
#[tokio::test(start_paused = true)]
async fn a_session_that_has_expired_is_not_cancelled_again() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let mut session = blobs.start_upload().await.unwrap();
    registry.inject(Fault::status(Operation::UploadChunk, 1, 403));
    registry.inject(Fault::status(Operation::CancelUpload, 1, 404));
    assert_eq!(session.write("content").await.unwrap_err().kind(), ErrorKind::Forbidden);
    registry.journal().clear();
    session.cancel().await.unwrap();
    assert_eq!(registry.journal().count_of(Operation::CancelUpload), 0);
}
