//! A registry with a blob, and a folder for it.

use std::{
    fs,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use acr_auth::{AuthLayer, Credential};
use acr_blob::{BlobClient, Download};
use acr_core::{Digest, Pipeline, Result, layer::RetryPolicy};
use acr_testkit::FakeRegistry;
use tempfile::TempDir;
use tokio::sync::Notify;

pub(crate) const MIB: usize = 1 << 20;

pub(crate) struct Place {
    pub(crate) fake: FakeRegistry,
    folder: TempDir,
    pub(crate) content: Vec<u8>,
    pub(crate) digest: Digest,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let fake = FakeRegistry::builder().user("me", "secret").build();
        let content: Vec<u8> = (0..11u32 << 20).map(|n| (n ^ (n >> 9)).to_le_bytes()[0]).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut place = Self { fake, folder, content, digest: Digest::sha256(b"") };
        place.digest = place.blobs("a").upload(place.content.clone()).await.unwrap().digest;
        place
    }

    pub(crate) fn blobs(&self, repository: &str) -> BlobClient {
        let endpoint = self.fake.endpoint();
        let auth = AuthLayer::new(&endpoint, Credential::password("me", "secret"));
        let pipeline = Pipeline::builder(endpoint)
            .layer_per_hop(auth)
            .transport(self.fake.transport())
            .retry(RetryPolicy::default().retries(0))
            .hashing(crate::modes::hashing());
        BlobClient::new(pipeline.build().unwrap(), repository.parse().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names in the folder.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A download that is dropped when so many bytes have come.
    pub(crate) async fn killed_after(&self, bytes: u64) {
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
    pub(crate) async fn finished(&self, download: Download) -> u64 {
        let first = Arc::new(AtomicU64::new(u64::MAX));
        let note = Arc::clone(&first);
        let download = download.on_progress(move |now| {
            note.fetch_min(now.transferred, Ordering::Relaxed);
        });
        let size = download.to_file_resumable(self.path("file")).await.unwrap();
        assert_eq!(size, self.content.len() as u64);
        assert!(fs::read(self.path("file")).unwrap() == self.content);
        assert!(!self.names().iter().any(|name| name.starts_with("file.")));
        first.load(Ordering::Relaxed)
    }

    pub(crate) fn download(&self) -> Download {
        self.blobs("a").download(&self.digest)
    }

    /// A download that got that far, and waits to be gone on with.
    pub(crate) async fn begun(&self, download: Download, bytes: u64) -> Begun {
        let enough = Arc::new(Notify::new());
        let tell = Arc::clone(&enough);
        let download = download.on_progress(move |now| {
            if now.transferred >= bytes {
                tell.notify_one();
            }
        });
        let mut download: Begun = Box::pin(download.to_file_resumable(self.path("file")));
        tokio::select! {
            biased;
            () = enough.notified() => {}
            ended = &mut download => panic!("it was over too early: {ended:?}"),
        }
        download
    }
}

pub(crate) type Begun = Pin<Box<dyn Future<Output = Result<u64>> + Send>>;
