//! The registry dies in the middle of an upload.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::{BlobClient, Content};
use acr_core::{
    Endpoint, ErrorKind, Pipeline, TlsConfig, TransportBuilder,
    http::BoxError,
    layer::{RetryPolicy, Timeouts},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use support::Emulator;

const CHUNK: usize = 1024 * 1024;

fn client(emulator: &Emulator) -> BlobClient {
    let endpoint: Endpoint = emulator.endpoint.parse().unwrap();
    let pem = std::fs::read(&emulator.ca).unwrap();
    let transport = TransportBuilder::new()
        .no_proxy()
        .tls(TlsConfig::only_roots(&pem).unwrap())
        .build()
        .unwrap();
    let token = emulator.entra_token.clone();
    let source = credential_fn(move |_| {
        let token = AccessToken::new(token.clone(), SystemTime::now() + Duration::from_secs(3600));
        async move { Ok(token) }
    });
    let auth = AuthLayer::new(&endpoint, Credential::entra(source)).trust_entra_for("127.0.0.1");
    let pipeline = Pipeline::builder(endpoint)
        .transport(transport)
        .retry(RetryPolicy::default().retries(2).base(Duration::from_millis(100)))
        .timeouts(Timeouts::default().head(Duration::from_secs(5)).idle(Duration::from_secs(5)))
        .layer_per_hop(auth)
        .build()
        .unwrap();
    BlobClient::new(pipeline, "library/app".parse().unwrap())
}

#[tokio::test]
async fn a_killed_registry_is_a_typed_error_within_the_configured_time() {
    let emulator = Emulator::start(&[]);
    let blobs = client(&emulator);
    assert!(blobs.upload(&b"it is up"[..]).await.is_ok());

    // The source kills the registry before its fifth chunk.
    let emulator = Arc::new(Mutex::new(emulator));
    let source = stream::iter(0..16).map(move |n| {
        if n == 4 {
            emulator.lock().unwrap().kill();
        }
        Ok::<_, BoxError>(Bytes::from(vec![n; CHUNK]))
    });
    let start = tokio::time::Instant::now();
    let error = blobs.upload(Content::stream(source)).chunk_size(CHUNK).await.unwrap_err();
    let took = start.elapsed();
    assert!(matches!(error.kind(), ErrorKind::Transport | ErrorKind::Connect), "{error:?}");
    assert_eq!(error.operation(), Some("upload_chunk"));
    assert!(took < Duration::from_secs(20), "{took:?}");

    let start = tokio::time::Instant::now();
    let error = blobs.upload(&b"it is down"[..]).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connect, 3));
    assert!(start.elapsed() < Duration::from_secs(20));
}
