//! What is kept, and what is not, when a download ends with an error.

use std::fs;

use acr_core::{Digest, ErrorKind};
use acr_testkit::{Fault, Operation};

use crate::place::{MIB, Place};

const KEPT: [&str; 2] = ["file.acr-checkpoint", "file.acr-partial"];

/// None of them says that what came is not the blob's.
#[tokio::test]
async fn what_says_nothing_against_the_content_leaves_it() {
    let place = Place::new().await;
    place.killed_after(9 * MIB as u64).await;
    let kept = crate::checkpoint(&place.path("file.acr-checkpoint")).delivered();
    for wrong in 0..6 {
        let mut download = place.download();
        match wrong {
            // Descriptors of the caller's: less than is there, as much, more than the blob has.
            0 => download = download.size(5),
            1 => download = download.size(kept),
            2 => download = download.size(12 * MIB as u64),
            // The page of a proxy in place of the rest; the content of another blob.
            3 => place.fake.inject(Fault::early_status(Operation::DownloadBlob, 200)),
            4 => {
                let digest = Digest::sha256(b"").to_string();
                let name = "docker-content-digest";
                place.fake.inject(Fault::set_header(Operation::DownloadBlob, name, &digest));
            }
            // Connections that break again and again.
            _ => place.fake.inject(Fault::truncate(Operation::GetStorage, 0).forever()),
        }
        let error = download.to_file_resumable(place.path("file")).await.unwrap_err();
        if wrong < 5 {
            assert_eq!(error.kind(), ErrorKind::Integrity, "{wrong}: {error}");
            assert!(error.to_string().contains("to begin anew"), "{wrong}: {error}");
        }
        assert_eq!(place.names(), KEPT, "{wrong}: {error}");
        place.fake.clear_faults();
    }
    let begun_at = place.finished(place.download()).await;
    assert!(begun_at >= kept, "{begun_at} of {kept}");
}

/// Nothing is given up for a blob of which nobody knows that it exists.
#[tokio::test]
async fn what_was_kept_outlives_a_call_for_a_blob_that_is_not_there() {
    let place = Place::new().await;
    place.killed_after(9 * MIB as u64).await;
    let path = place.path("file");
    let absent = place.blobs("a").download(Digest::sha256(b"a typing error"));
    let error = absent.to_file_resumable(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(place.names(), KEPT);
    // The digest says what it is, wherever it comes from.
    place.blobs("mirror").upload(place.content.clone()).await.unwrap();
    let begun_at = place.finished(place.blobs("mirror").download(&place.digest)).await;
    assert!(begun_at >= 4 * MIB as u64, "{begun_at}");
}

#[tokio::test]
async fn an_error_before_the_content_leaves_nothing() {
    let place = Place::new().await;
    let absent = place.blobs("a").download(Digest::sha256(b"a typing error"));
    let error = absent.to_file_resumable(place.path("file")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(place.names(), [""; 0]);
    place.fake.inject(Fault::truncate(Operation::GetStorage, 0));
    place.fake.inject(Fault::status(Operation::DownloadBlob, 2, 503));
    place.download().to_file_resumable(place.path("file")).await.unwrap_err();
    assert_eq!(place.names(), [""; 0]);
}

/// A process that is killed while it notes leaves the beginning of a checkpoint.
#[tokio::test]
async fn half_a_checkpoint_is_written_over_and_removed() {
    let place = Place::new().await;
    place.killed_after(9 * MIB as u64).await;
    fs::write(place.path("file.acr-next"), "{\"version\":").unwrap();
    let begun_at = place.finished(place.download()).await;
    assert!(begun_at >= 4 * MIB as u64, "{begun_at}");
}

/// Where nothing can be removed it is emptied, which says the same.
#[cfg(unix)]
#[tokio::test]
async fn what_is_not_the_blobs_is_emptied_before_it_is_removed() {
    let place = Place::new().await;
    place.fake.inject(Fault::corrupt(Operation::GetStorage, MIB as u64));
    place.killed_after(9 * MIB as u64).await;
    let held = fs::File::open(place.path("file.acr-partial")).unwrap();
    let error = place.download().to_file_resumable(place.path("file")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    assert_eq!(held.metadata().unwrap().len(), 0);
}

/// Found before the first byte is asked for.
#[tokio::test]
async fn a_target_that_cannot_be_written_is_found_at_once() {
    let place = Place::new().await;
    let folder = place.path("folder");
    fs::create_dir(&folder).unwrap();
    let long = "n".repeat(241);
    let before = place.fake.journal().entries().len();
    let mut targets = vec![("folder", "it is a folder")];
    if cfg!(unix) {
        // Windows bounds whole paths, and tells only who opens one.
        targets.push((long.as_str(), "too long"));
    }
    for (name, why) in targets {
        let error = place.download().to_file_resumable(place.path(name)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source);
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(place.fake.journal().entries().len(), before);
    assert_eq!(place.names(), ["folder"]);
    // A name that has room.
    let room = if cfg!(windows) { 60 } else { 240 };
    let size = place.download().to_file_resumable(place.path(&long[..room])).await.unwrap();
    assert_eq!(size, place.content.len() as u64);
}

/// Whatever the system says of it, the error names the file and the remedy. On Windows it depends on
/// who one is.
#[cfg(unix)]
#[tokio::test]
async fn a_partial_file_that_cannot_be_written_is_named() {
    let place = Place::new().await;
    let partial = place.path("file.acr-partial");
    fs::write(&partial, "earlier").unwrap();
    let writable = fs::metadata(&partial).unwrap().permissions();
    let mut refused = writable.clone();
    refused.set_readonly(true);
    fs::set_permissions(&partial, refused).unwrap();
    let error = place.download().to_file_resumable(place.path("file")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    let text = error.to_string();
    assert!(text.contains("file.acr-partial` ") && text.contains("remove it"), "{text}");
    fs::set_permissions(&partial, writable).unwrap();
    assert_eq!(fs::read(&partial).unwrap(), b"earlier");
}
