//! Downloads into a file that can be gone on with: killed, damaged, of another blob, two at once.

#![cfg(feature = "fs")]
#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use acr_auth::{AuthLayer, Credential};
use acr_blob::{BlobClient, Download, DownloadCheckpoint};
use acr_core::{Digest, ErrorKind, Pipeline, layer::RetryPolicy};
use acr_testkit::{FakeRegistry, Fault, Operation};
use tempfile::TempDir;
use tokio::sync::Notify;

const MIB: usize = 1 << 20;

struct Place {
    fake: FakeRegistry,
    folder: TempDir,
    content: Vec<u8>,
    digest: Digest,
}

impl Place {
    async fn new() -> Self {
        let fake = FakeRegistry::builder().user("me", "secret").build();
        let content: Vec<u8> = (0..11u32 << 20).map(|n| (n ^ (n >> 9)).to_le_bytes()[0]).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut place = Self { fake, folder, content, digest: Digest::sha256(b"") };
        place.digest = place.blobs("a").upload(place.content.clone()).await.unwrap().digest;
        place
    }

    fn blobs(&self, repository: &str) -> BlobClient {
        let endpoint = self.fake.endpoint();
        let auth = AuthLayer::new(&endpoint, Credential::password("me", "secret"));
        let pipeline = Pipeline::builder(endpoint)
            .layer_per_hop(auth)
            .transport(self.fake.transport())
            .retry(RetryPolicy::default().retries(0));
        BlobClient::new(pipeline.build().unwrap(), repository.parse().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names in the folder.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A download that is dropped when so many bytes have come.
    async fn killed_after(&self, bytes: u64) {
        let enough = Arc::new(Notify::new());
        let tell = Arc::clone(&enough);
        let download = self.blobs("a").download(&self.digest).on_progress(move |now| {
            if now.transferred >= bytes {
                tell.notify_one();
            }
        });
        tokio::select! {
            biased;
            () = enough.notified() => {}
            ended = download.to_file_resumable(self.path("file")) => {
                assert!(ended.is_err(), "it was over before it could be killed");
            }
        }
        assert_eq!(self.names(), ["file.acr-checkpoint", "file.acr-partial"]);
    }

    /// Downloads the rest: how many bytes were there before.
    async fn finished(&self, download: Download) -> u64 {
        let first = Arc::new(AtomicU64::new(u64::MAX));
        let note = Arc::clone(&first);
        let download = download.on_progress(move |now| {
            note.fetch_min(now.transferred, Ordering::Relaxed);
        });
        let size = download.to_file_resumable(self.path("file")).await.unwrap();
        assert_eq!(size, self.content.len() as u64);
        assert!(fs::read(self.path("file")).unwrap() == self.content);
        assert_eq!(self.names(), ["file"]);
        first.load(Ordering::Relaxed)
    }

    fn download(&self) -> Download {
        self.blobs("a").download(&self.digest)
    }
}

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
async fn of_two_at_once_one_is_told_and_neither_spoils_the_other() {
    let place = Place::new().await;
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, first) = (Arc::clone(&begun), place.download());
    let first = first.on_progress(move |_| tell.notify_one());
    let path = place.path("file");
    let (target, wait) = (path.clone(), Arc::clone(&go_on));
    let first = async {
        let mut download = Box::pin(first.to_file_resumable(&target));
        tokio::select! {
            biased;
            () = begun.notified() => {}
            _ = &mut download => panic!("it was over before the other began"),
        }
        wait.notified().await;
        download.await
    };
    let second = async {
        // The first is in the middle, and stays there.
        let refused = place.download().to_file_resumable(&path).await;
        go_on.notify_one();
        refused
    };
    let (first, second) = tokio::join!(first, async {
        tokio::task::yield_now().await;
        while !place.path("file.acr-partial").exists() {
            tokio::task::yield_now().await;
        }
        second.await
    });
    assert_eq!(first.unwrap(), place.content.len() as u64);
    let error = second.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert!(error.to_string().contains("another download is writing to it"), "{error}");
    assert!(fs::read(&path).unwrap() == place.content);
    assert_eq!(place.names(), ["file"]);
}

/// The names beside the target can be foreseen, in folders that others may write to.
#[cfg(unix)]
#[tokio::test]
async fn a_trap_beside_the_target_is_not_written_through() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let place = Place::new().await;
    let victim = place.path("victim");
    fs::write(&victim, "mine").unwrap();
    symlink(&victim, place.path("file.acr-partial")).unwrap();
    let error = place.download().to_file_resumable(place.path("file")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    fs::remove_file(place.path("file.acr-partial")).unwrap();
    symlink(&victim, place.path("file.acr-checkpoint")).unwrap();
    place.download().to_file_resumable(place.path("file")).await.unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
    assert_eq!(fs::metadata(place.path("file")).unwrap().permissions().mode() & 0o777, 0o600);
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
