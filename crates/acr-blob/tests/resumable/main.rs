//! Downloads into a file that can be gone on with: killed, damaged, of another blob, two at once.

#![cfg(feature = "fs")]
#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

#[path = "../modes/mod.rs"]
mod modes;
mod place;
mod remains;
mod rivals;
#[cfg(unix)]
mod traps;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use acr_blob::DownloadCheckpoint;
use acr_core::ErrorKind;
use acr_testkit::{Fault, Operation};

use crate::place::{MIB, Place};

#[tokio::test]
async fn a_download_that_was_killed_goes_on_where_it_was() {
    let place = Place::new().await;
    place.killed_after(9 * MIB as u64).await;
    assert!(!place.path("file").exists());
    let begun_at = place.finished(place.download()).await;
    // Of the content at most what was not noted is fetched twice.
    assert!((4 * MIB as u64..11 * MIB as u64).contains(&begun_at), "{begun_at}");
    // Over the older file, from the first byte: nothing is left of what was kept.
    assert!(place.finished(place.download()).await < MIB as u64);
}

#[tokio::test]
async fn an_error_keeps_what_came() {
    let place = Place::new().await;
    let mut before = 0;
    for cut in [3 * MIB as u64, 2 * MIB as u64] {
        // The link breaks, and the storage is away when the rest is asked for.
        place.fake.inject(Fault::truncate(Operation::GetStorage, cut));
        place.fake.inject(Fault::status(Operation::DownloadBlob, 2, 503));
        let first = Arc::new(AtomicU64::new(u64::MAX));
        let note = Arc::clone(&first);
        let download = place.download().on_progress(move |now| {
            note.fetch_min(now.transferred, Ordering::Relaxed);
        });
        let ended = download.to_file_resumable(place.path("file")).await;
        assert!(ended.unwrap_err().is_transient());
        let begun_at = first.load(Ordering::Relaxed);
        assert!(begun_at >= before, "{begun_at}");
        let kept = checkpoint(&place.path("file.acr-checkpoint")).delivered();
        // What is being hashed when the connection breaks is not given out.
        assert!(kept >= before + cut - MIB as u64 / 2, "{kept} of {cut} after {before}");
        before = kept;
        assert_eq!(place.names(), ["file.acr-checkpoint", "file.acr-partial"]);
    }
    let begun_at = place.finished(place.download()).await;
    assert!(begun_at >= before, "{begun_at}");
}

fn checkpoint(path: &Path) -> DownloadCheckpoint {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Each begins anew, and none gives another file than the blob.
#[tokio::test]
async fn what_cannot_be_gone_on_with_is_begun_anew() {
    let place = Place::new().await;
    let (partial, saved) = (place.path("file.acr-partial"), place.path("file.acr-checkpoint"));
    let other = place.blobs("a").upload(vec![7; 6 * MIB]).await.unwrap().digest;
    for damage in 0..8 {
        place.killed_after(9 * MIB as u64).await;
        let delivered = checkpoint(&saved).delivered();
        match damage {
            // A machine that lost power: zeros, or a file that is too short.
            0 => {
                let mut bytes = fs::read(&partial).unwrap();
                bytes[MIB..2 * MIB].fill(0);
                fs::write(&partial, bytes).unwrap();
            }
            1 => fs::write(&partial, &place.content[..usize::try_from(delivered).unwrap() - 1])
                .unwrap(),
            2 => fs::remove_file(&partial).unwrap(),
            3 => fs::write(&saved, "{\"version\":1,").unwrap(),
            4 => fs::write(&saved, vec![b' '; 100_000]).unwrap(),
            5 => fs::remove_file(&saved).unwrap(),
            // Of another blob, whose beginning would fit nowhere.
            6 => {
                let text = fs::read_to_string(&saved).unwrap();
                let text = text.replace(&place.digest.to_string(), other.as_ref());
                fs::write(&saved, text).unwrap();
            }
            _ => {
                fs::remove_file(&saved).unwrap();
                fs::create_dir(&saved).unwrap();
            }
        }
        if damage == 7 {
            // It cannot be replaced, and that is said.
            let error = place.download().to_file_resumable(place.path("file")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Source);
            fs::remove_dir(&saved).unwrap();
        }
        assert!(place.finished(place.download()).await < MIB as u64, "{damage}");
        fs::remove_file(place.path("file")).unwrap();
    }
}

#[tokio::test]
async fn another_blob_at_the_same_path_takes_nothing_of_the_first() {
    let place = Place::new().await;
    place.killed_after(9 * MIB as u64).await;
    let other = place.blobs("a").upload(vec![7; 6 * MIB]).await.unwrap();
    let download = place.blobs("a").download(&other.digest);
    assert_eq!(download.to_file_resumable(place.path("file")).await.unwrap(), 6 * MIB as u64);
    assert!(fs::read(place.path("file")).unwrap() == vec![7; 6 * MIB]);
    assert_eq!(place.names(), ["file"]);
}

/// What a server sent before is not the blob: it cannot be mended by going on.
#[tokio::test]
async fn content_that_is_another_one_is_not_kept() {
    let place = Place::new().await;
    place.fake.inject(Fault::corrupt(Operation::GetStorage, MIB as u64));
    let error = place.download().to_file_resumable(place.path("file")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert!(error.to_string().contains("begin anew"), "{error}");
    assert_eq!(place.names(), [""; 0]);
    // The same with a beginning that was kept: the file and its checkpoint agree, and are wrong.
    place.fake.inject(Fault::corrupt(Operation::GetStorage, MIB as u64));
    place.killed_after(9 * MIB as u64).await;
    let error = place.download().to_file_resumable(place.path("file")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert_eq!(place.names(), [""; 0]);
    place.finished(place.download()).await;
}

#[tokio::test]
async fn odd_paths_and_checkpoints_are_told() {
    let place = Place::new().await;
    let error = place.download().to_file_resumable("..").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let absent = place.path("no folder").join("file");
    let error = place.download().to_file_resumable(absent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    let saved = place.download().await.unwrap().checkpoint();
    let error = place.download().resume(saved).to_file_resumable(place.path("file")).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
    let error = place.blobs("a").download("odd").to_file_resumable(place.path("file")).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(place.names(), [""; 0]);
}
