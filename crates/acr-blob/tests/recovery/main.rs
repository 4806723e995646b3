//! What uploads and downloads adapt to, and the ways to go on with them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

mod adapt;
mod changed;
mod interrupted;
#[path = "../modes/mod.rs"]
mod modes;
mod promises;
mod property;
mod resume;
mod sessions;
#[path = "../settled/mod.rs"]
mod settled;
mod unkind;

use std::time::{Duration, SystemTime};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::{BlobClient, Content};
use acr_core::{Digest, Pipeline, Transport, http::BoxError};
use acr_testkit::FakeRegistry;
use bytes::Bytes;
use futures_util::stream;

const CHUNK: usize = 1024;
const MIB: usize = 1 << 20;

fn client_over(registry: &FakeRegistry, transport: Transport, repository: &str) -> BlobClient {
    let token = registry.entra_token();
    let source = credential_fn(move |_| {
        let token = AccessToken::new(token.clone(), SystemTime::now() + Duration::from_secs(3600));
        async move { Ok(token) }
    });
    let auth = AuthLayer::new(&registry.endpoint(), Credential::entra(source));
    let pipeline = Pipeline::builder(registry.endpoint())
        .transport(transport)
        .layer_per_hop(auth)
        .hashing(modes::hashing())
        .build()
        .unwrap();
    BlobClient::new(pipeline, repository.parse().unwrap())
}

fn client(registry: &FakeRegistry) -> BlobClient {
    client_over(registry, registry.transport(), "library/app")
}

fn content(len: usize) -> Bytes {
    (0..len).map(|n| (n * 7 + n / 251) as u8).collect()
}

fn pieces(content: &Bytes, size: usize) -> Content {
    let pieces: Vec<Result<Bytes, BoxError>> =
        content.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Content::stream(stream::iter(pieces))
}

fn file(content: &Bytes) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    file
}

async fn stored(blobs: &BlobClient, content: &Bytes) -> bool {
    let back = blobs.download(Digest::sha256(content)).await;
    back.unwrap().bytes(1 << 30).await.unwrap() == *content
}

fn other_repository(registry: &FakeRegistry) -> BlobClient {
    client_over(registry, registry.transport(), "library/other")
}
