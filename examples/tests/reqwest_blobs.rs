//! Blobs over reqwest, with the transport of the example `reqwest_transport`: bodies stream both ways.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

#[path = "../reqwest_transport/transport.rs"]
mod transport;

use acr_auth::{AuthLayer, Credential};
use acr_blob::{BlobClient, Content};
use acr_core::{Digest, ErrorKind, Pipeline};
use acr_testkit::{FakeRegistry, Operation, Server, Tls};
use bytes::Bytes;
use futures_util::stream;
use reqwest::{Certificate, Client, redirect, retry};

/// More than any bound of a read into memory, and more than the chunks of an upload.
const LEN: usize = 20_000_000;

async fn registry() -> (FakeRegistry, Server, BlobClient) {
    let fake = FakeRegistry::builder().user("me", "secret").build();
    let server = fake.serve(Tls::On).await.unwrap();
    let authority = Certificate::from_pem(server.ca_pem().unwrap().as_bytes()).unwrap();
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .tls_certs_only([authority])
        .no_proxy()
        .build()
        .unwrap();
    let auth = AuthLayer::new(&server.endpoint(), Credential::password("me", "secret"));
    let pipeline = Pipeline::builder(server.endpoint())
        .transport(transport::over_reqwest(client))
        .layer_per_hop(auth)
        .build()
        .unwrap();
    (fake, server, BlobClient::new(pipeline, "library/app".parse().unwrap()))
}

fn bodies(fake: &FakeRegistry) -> Vec<(Option<Operation>, u64)> {
    let entries = fake.journal().entries();
    let sent = entries.into_iter().filter(|entry| entry.body_bytes > 1000);
    sent.map(|entry| (entry.operation, entry.body_bytes)).collect()
}

#[tokio::test]
async fn content_passes_in_both_directions_in_one_body_and_in_chunks() {
    let (fake, server, blobs) = registry().await;
    let content: Vec<u8> = (0..=250).cycle().take(LEN).collect();
    let digest = Digest::sha256(&content);

    // One body that is read while it is sent.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer");
    std::fs::write(&path, &content).unwrap();
    assert_eq!(blobs.upload(Content::file(&path).await.unwrap()).await.unwrap().digest, digest);
    // Chunks of a content whose length nobody knows.
    let pieces: Vec<_> = content.chunks(100_000).map(Bytes::copy_from_slice).collect();
    let pieces = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    let layer = blobs.upload(Content::stream(pieces)).chunk_size(8_000_000).await.unwrap();
    assert_eq!((layer.digest, layer.size), (digest.clone(), LEN as u64));
    let complete = Some(Operation::CompleteUpload);
    let chunk = Some(Operation::UploadChunk);
    assert_eq!(
        bodies(&fake),
        [
            (chunk, LEN as u64),
            (chunk, 8_000_000),
            (chunk, 8_000_000),
            (complete, LEN as u64 - 16_000_000)
        ]
    );

    let mut reader = blobs.download(&digest).await.unwrap();
    let (mut received, mut chunks) = (Vec::new(), 0);
    while let Some(chunk) = reader.chunk().await.unwrap() {
        received.extend_from_slice(&chunk);
        chunks += 1;
    }
    assert!(received == content && chunks > 1);
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_content_is_told_through_reqwest() {
    let (_fake, server, blobs) = registry().await;
    let pieces = [Ok(Bytes::from_static(b"sample ")), Err(std::io::Error::other("disk on fire"))];
    let error = blobs.upload(Content::sized_stream(stream::iter(pieces), 100)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
    server.shutdown().await;
}
