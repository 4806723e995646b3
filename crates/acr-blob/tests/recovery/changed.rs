//! Sources that are not what they were: between two processes, and while they are sent.

use std::{
    fs,
    future::IntoFuture as _,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use acr_blob::{BlobClient, Content, UploadCheckpoint};
use acr_core::{Digest, ErrorKind, http::BoxError};
use acr_testkit::{FakeRegistry, Fault, Operation};
use bytes::Bytes;
use futures_util::stream;

use crate::{
    CHUNK, client, content, pieces, stored,
    unkind::{Manners, Unkind, Wrong},
};

/// Breaks an upload off in its fourth chunk; the newest checkpoint, through its text.
async fn broken_off(
    registry: &FakeRegistry,
    blobs: &BlobClient,
    source: Content,
) -> UploadCheckpoint {
    registry.inject(Fault::stall(Operation::UploadChunk).on_nth(4));
    let saved = Arc::new(Mutex::new(None));
    let log = Arc::clone(&saved);
    let upload = blobs.upload(source).chunk_size(CHUNK).on_checkpoint(move |checkpoint| {
        *log.lock().unwrap() = Some(serde_json::to_string(checkpoint).unwrap());
    });
    let end = tokio::time::timeout(Duration::from_secs(5), upload.into_future()).await;
    assert!(end.is_err());
    let text = saved.lock().unwrap().take().unwrap();
    let checkpoint: UploadCheckpoint = serde_json::from_str(&text).unwrap();
    assert_eq!(checkpoint.confirmed(), 3 * CHUNK as u64);
    checkpoint
}

fn changed(old: &Bytes, at: usize, len: usize) -> Bytes {
    let mut new = old.to_vec();
    new.resize(len, 9);
    if let Some(byte) = new.get_mut(at) {
        *byte ^= 1;
    }
    new.into()
}

/// Writes over a file; the time of its last change may be set back.
fn rewrite(path: &Path, content: &[u8], sets_time_back: bool) {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    fs::write(path, content).unwrap();
    if sets_time_back {
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a1_a_file_that_changed_after_its_checkpoint_starts_anew() {
    let old = content(10 * CHUNK);
    for new in [
        changed(&old, 5, old.len()),
        changed(&old, 5, old.len() + 77),
        changed(&old, 5, old.len() - 77),
        changed(&old, 5, 2 * CHUNK),
        changed(&old, 5, 0),
        // Only behind what was sent: that is the same content, as far as anybody knows.
        changed(&old, 9 * CHUNK, old.len()),
        changed(&old, usize::MAX, 6 * CHUNK),
    ] {
        for sets_time_back in [false, true] {
            for is_gone in [false, true] {
                let registry = FakeRegistry::new();
                let blobs = client(&registry);
                let file = crate::file(&old);
                let source = Content::file(file.path()).await.unwrap();
                let checkpoint = broken_off(&registry, &blobs, source).await;
                if is_gone {
                    registry.inject(Fault::status(Operation::UploadStatus, 1, 404));
                }
                rewrite(file.path(), &new, sets_time_back);
                let source = Content::file(file.path()).await.unwrap();
                let info = blobs.upload(source).resume(checkpoint).await.unwrap();
                assert_eq!(info.digest, Digest::sha256(&new));
                assert!(stored(&blobs, &new).await);
                assert!(!blobs.exists(&Digest::sha256(&old)).await.unwrap() || new == old);
                assert_eq!(registry.open_uploads(), 0);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a1_bytes_that_are_others_start_anew_and_the_same_go_on() {
    let old = content(10 * CHUNK);
    for (new, is_same) in [(old.clone(), true), (changed(&old, 5, old.len()), false)] {
        let registry = FakeRegistry::new();
        let blobs = client(&registry);
        let checkpoint = broken_off(&registry, &blobs, Content::from(old.clone())).await;
        registry.journal().clear();
        let info = blobs.upload(new.clone()).resume(checkpoint).await.unwrap();
        assert_eq!(info.digest, Digest::sha256(&new));
        let sent: u64 = registry.journal().entries().iter().map(|e| e.body_bytes).sum();
        assert_eq!(sent < 9 * CHUNK as u64, is_same, "{sent}");
        assert_eq!(registry.journal().count_of(Operation::StartUpload), usize::from(!is_same));
        assert_eq!(registry.open_uploads(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a1_a_stream_that_is_another_one_is_an_error_of_the_source() {
    let old = content(10 * CHUNK);
    for at in [5, 3 * CHUNK - 1] {
        for len in [old.len(), old.len() + 7, 3 * CHUNK, 3 * CHUNK - 1, 0] {
            let registry = FakeRegistry::new();
            let blobs = client(&registry);
            let checkpoint = broken_off(&registry, &blobs, pieces(&old, 100)).await;
            let new = changed(&old, at, len);
            let upload = blobs.upload(pieces(&new, 100)).chunk_size(CHUNK);
            let result = upload.resume(checkpoint).await;
            // What is still in memory can begin anew.
            match result {
                Ok(info) => {
                    assert!(new.is_empty());
                    assert_eq!(info.digest, Digest::sha256(&new));
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Source, "{at} {len}: {error}");
                    // Both ways out, of which one needs a name to be found.
                    let text = error.to_string();
                    let is_told = text.contains("without the checkpoint, or")
                        && text.contains("`resume_vouched`");
                    assert!(is_told, "{text}");
                }
            }
            assert_eq!(registry.open_uploads(), 0);
            assert!(!blobs.exists(&Digest::sha256(&old)).await.unwrap());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a1_what_cannot_be_read_again_is_vouched_for_by_name() {
    let whole = content(10 * CHUNK);
    for is_stream in [true, false] {
        let registry = FakeRegistry::new();
        let blobs = client(&registry);
        let checkpoint = broken_off(&registry, &blobs, pieces(&whole, 100)).await;
        let rest = whole.slice(3 * CHUNK..);
        let rest = if is_stream { pieces(&rest, 100) } else { Content::from(rest) };
        registry.journal().clear();
        let info = blobs.upload(rest).resume_vouched(checkpoint.clone()).await.unwrap();
        assert_eq!((info.digest, info.size), (Digest::sha256(&whole), whole.len() as u64));
        assert_eq!(registry.journal().count_of(Operation::StartUpload), 0);
        // The session is over, and its beginning cannot be given again.
        let again = blobs.upload(pieces(&whole, 100)).resume_vouched(checkpoint).await;
        assert_eq!(again.unwrap_err().kind(), ErrorKind::Session);
    }
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a1_a_file_that_provably_did_not_change_is_not_read_again() {
    let old = content(10 * CHUNK);
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let file = crate::file(&old);
    let path = file.path().to_owned();
    tokio::task::spawn_blocking(move || crate::settled::until_settled(&path)).await.unwrap();
    let checkpoint = broken_off(&registry, &blobs, Content::file(file.path()).await.unwrap()).await;
    // A hash that is not the one of the file: it is believed, and the registry refuses it; then
    // all begins anew.
    let text = serde_json::to_string(&checkpoint).unwrap();
    let at = text.find("\"state\":\"").unwrap() + 10;
    let mut damaged = text.clone();
    let digit = if &text[at..=at] == "0" { "1" } else { "0" };
    damaged.replace_range(at..=at, digit);
    let damaged: UploadCheckpoint = serde_json::from_str(&damaged).unwrap();
    registry.journal().clear();
    let source = Content::file(file.path()).await.unwrap();
    let info = blobs.upload(source).resume(damaged).await.unwrap();
    assert_eq!(info.digest, Digest::sha256(&old));
    assert_eq!(registry.journal().count_of(Operation::CompleteUpload), 2, "{}", registry.journal());
    assert!(stored(&blobs, &old).await);
}

#[tokio::test(start_paused = true)]
async fn a1_a_checkpoint_that_claims_more_than_was_hashed_is_damaged() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let whole = content(10 * CHUNK);
    let checkpoint = broken_off(&registry, &blobs, Content::from(whole.clone())).await;
    let text = serde_json::to_string(&checkpoint).unwrap();
    let more = text.replace("\"confirmed\":3072", "\"confirmed\":3073");
    assert_ne!(text, more);
    let more: UploadCheckpoint = serde_json::from_str(&more).unwrap();
    let error = blobs.upload(whole.clone()).resume(more).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // One that claims less is as good, and one with more than the registry has begins anew.
    let less: UploadCheckpoint =
        serde_json::from_str(&text.replace("\"confirmed\":3072", "\"confirmed\":0")).unwrap();
    assert_eq!(blobs.upload(whole.clone()).resume(less).await.unwrap().size, 10_240);
    let shorter = Unkind::new(Manners::default());
    shorter.wrong([Wrong::Nothing]);
    let elsewhere = shorter.client();
    let session = elsewhere.start_upload().await.unwrap();
    let place = serde_json::to_value(session.checkpoint().unwrap()).unwrap();
    let mut ahead: serde_json::Value = serde_json::from_str(&text).unwrap();
    (ahead["location"], ahead["repository"]) =
        (place["location"].clone(), place["repository"].clone());
    let ahead: UploadCheckpoint = serde_json::from_value(ahead).unwrap();
    assert_eq!(elsewhere.upload(whole.clone()).resume(ahead).await.unwrap().size, 10_240);
    assert_eq!(shorter.blobs(), [whole.to_vec()]);
}

/// What the earlier process sent after its last checkpoint is not what the file holds now.
#[tokio::test(start_paused = true)]
async fn a1_more_than_the_checkpoint_knows_is_checked_by_the_registry() {
    let old = content(10 * CHUNK);
    let new = changed(&old, 3 * CHUNK + 5, old.len());
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    registry.inject(Fault::stall(Operation::UploadChunk).on_nth(6));
    let saved = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&saved);
    let upload = blobs.upload(old.clone()).chunk_size(CHUNK);
    let upload =
        upload.on_checkpoint(move |checkpoint| log.lock().unwrap().push(checkpoint.clone()));
    assert!(tokio::time::timeout(Duration::from_secs(5), upload.into_future()).await.is_err());
    let third = saved.lock().unwrap()[3].clone();
    assert_eq!(third.confirmed(), 3 * CHUNK as u64);
    let info = blobs.upload(new.clone()).chunk_size(CHUNK).resume(third).await.unwrap();
    assert_eq!(info.digest, Digest::sha256(&new));
    assert!(stored(&blobs, &new).await);
    assert_eq!(registry.open_uploads(), 0);
}

/// The ways a file is sent, each with a change right before the n-th request is answered.
#[tokio::test(start_paused = true)]
async fn a1_a_file_that_changes_while_it_is_sent_is_not_stored() {
    let old = content(5 * CHUNK);
    for (is_whole, is_known) in [(false, false), (false, true), (true, false), (true, true)] {
        for is_settled in [false, true] {
            for new in [
                changed(&old, 4 * CHUNK + 1, old.len()),
                changed(&old, 1, old.len()),
                changed(&old, 1, old.len() + 1),
                changed(&old, 1, old.len() - 1),
            ] {
                for sets_time_back in [false, true] {
                    let registry = Unkind::new(Manners::default());
                    let file = crate::file(&old);
                    if is_settled {
                        let past = std::time::SystemTime::now() - Duration::from_secs(100);
                        let handle = fs::File::options().write(true).open(file.path()).unwrap();
                        handle.set_modified(past).unwrap();
                    }
                    let (path, mut text) = (file.path().to_owned(), Some(new.clone()));
                    // With the start of the upload: nothing of the content was read yet.
                    registry.before(move |line| {
                        let is_time = if is_whole { "POST" } else { "PATCH" };
                        if line.starts_with(is_time)
                            && let Some(text) = text.take()
                        {
                            rewrite(&path, &text, sets_time_back);
                        }
                    });
                    let blobs = registry.client();
                    let mut upload = blobs.upload(Content::file(file.path()).await.unwrap());
                    if !is_whole {
                        upload = upload.chunk_size(CHUNK);
                    }
                    if is_known {
                        upload = upload.digest(Digest::sha256(&old));
                    }
                    let error = upload.await.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
                    assert!(registry.blobs().is_empty());
                    assert_eq!(registry.open(), 0);
                }
            }
        }
    }
}

/// A body that breaks is read again, and gives other bytes then.
#[tokio::test(start_paused = true)]
async fn a1_a_file_read_again_after_a_failure_with_other_bytes_is_not_stored() {
    let old = content(5 * CHUNK);
    for wrong in [Wrong::Cut(0), Wrong::Cut(100), Wrong::Forgotten, Wrong::Status(503)] {
        let registry = Unkind::new(Manners::default());
        registry.wrong([Wrong::Nothing, Wrong::Nothing, wrong]);
        let file = crate::file(&old);
        let (path, new) = (file.path().to_owned(), changed(&old, CHUNK + 1, old.len()));
        let mut patches = 0;
        registry.before(move |line| {
            patches += usize::from(line.starts_with("PATCH"));
            if patches == 2 {
                rewrite(&path, &new, true);
                patches += 1;
            }
        });
        let source = Content::file(file.path()).await.unwrap();
        let error = registry.client().upload(source).chunk_size(CHUNK).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source, "{wrong:?} {error}");
        assert!(registry.blobs().is_empty());
        assert_eq!(registry.open(), 0);
    }
}

/// The proof of a stream costs nothing: it passes anyway.
#[tokio::test(start_paused = true)]
async fn a1_a_stream_with_a_break_below_the_checkpoint_sends_nothing() {
    let whole = content(10 * CHUNK);
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let checkpoint = broken_off(&registry, &blobs, pieces(&whole, 100)).await;
    registry.journal().clear();
    let items: Vec<Result<Bytes, BoxError>> = vec![Ok(whole.slice(..100)), Err("gone".into())];
    let error =
        blobs.upload(Content::stream(stream::iter(items))).resume(checkpoint).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert_eq!(registry.journal().count_of(Operation::UploadChunk), 0);
}
