//! Builders own what they need: a task can take each as it stands.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::time::{Duration, SystemTime};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::BlobClient;
use acr_core::{ByteRange, Digest, Pipeline};
use acr_testkit::FakeRegistry;

const CONTENT: &[u8] = b"sample layer";

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
        .build()
        .unwrap();
    BlobClient::new(pipeline, "library/app".parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_task_takes_an_upload() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let task = tokio::spawn(blobs.upload(CONTENT).chunk_size(16).into_future());
    let blob = task.await.unwrap().unwrap();
    assert_eq!((&blob.digest, blob.size), (&Digest::sha256(CONTENT), CONTENT.len() as u64));
    assert!(blobs.exists(&blob.digest).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_task_takes_a_download() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let blob = blobs.upload(CONTENT).await.unwrap();
    let task = tokio::spawn(blobs.download(&blob.digest).max_size(100).into_future());
    drop(blobs);
    let content = task.await.unwrap().unwrap().bytes(100).await.unwrap();
    assert_eq!(content, CONTENT);
}

#[tokio::test(start_paused = true)]
async fn a_task_takes_the_download_of_a_part() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let blob = blobs.upload(CONTENT).await.unwrap();
    let range = ByteRange::new(7, Some(11)).unwrap();
    let task = tokio::spawn(blobs.download_range(&blob.digest, range).into_future());
    drop(blobs);
    let content = task.await.unwrap().unwrap().bytes(100).await.unwrap();
    assert_eq!(content, &b"layer"[..]);
}
