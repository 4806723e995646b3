//! What is asked of an upload while a chunk of it is under way.

use std::{future::Future, path::Path, time::Duration};

use acr_core::Digest;
use acr_testkit::FakeRegistry;
use tempfile::TempDir;

use crate::{
    race::overtaken,
    support::{ALL, Client, Got},
};

/// In memory, and in a folder.
async fn both(folder: &Path) -> [Client; 2] {
    let builder = FakeRegistry::builder().access_token_lifetime(Duration::from_secs(1 << 20));
    let kept = builder.clone().open(folder).unwrap();
    [Client::with_scope(&builder.build(), ALL).await, Client::with_scope(&kept, ALL).await]
}

/// What is there without waiting for the chunk; the clock stands still unless all wait.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.unwrap()
}

/// An upload with two bytes.
async fn started(client: &Client) -> String {
    let location = client.start("a").await;
    let got = client.send("PATCH", &location, &[], "ab").await;
    assert_eq!(got.status, 202, "{got:?}");
    got.location()
}

fn assert_unknown(got: &Got) {
    assert_eq!((got.status, got.code().as_str()), (404, "BLOB_UPLOAD_UNKNOWN"));
}

#[tokio::test(start_paused = true)]
async fn e7_a_status_tells_what_is_confirmed_while_a_chunk_is_under_way() {
    let folder = TempDir::new().unwrap();
    for client in both(folder.path()).await {
        let location = started(&client).await;
        let got = overtaken(&client, ("PATCH", &location), "cdefgh", async || {
            for _ in 0..2 {
                let got = soon(client.send("GET", &location, &[], "")).await;
                assert_eq!((got.status, got.header("range")), (204, "0-1"));
                assert!(!got.header("docker-upload-uuid").is_empty());
                assert_eq!(got.location(), location, "the same place");
            }
        })
        .await;
        assert_eq!((got.status, got.header("range")), (202, "0-7"));
        let got = soon(client.send("GET", &location, &[], "")).await;
        assert_eq!((got.status, got.header("range")), (204, "0-7"));
        let digest = Digest::sha256(b"abcdefgh");
        let target = format!("{}&digest={digest}", got.location());
        assert_eq!(client.send("PUT", &target, &[], "").await.status, 201);
    }
}

#[tokio::test(start_paused = true)]
async fn e7_an_upload_is_cancelled_while_a_chunk_is_under_way() {
    let folder = TempDir::new().unwrap();
    let digest = Digest::sha256(b"abcdefgh");
    for client in both(folder.path()).await {
        for method in ["PATCH", "PUT"] {
            let location = started(&client).await;
            let target = match method {
                "PUT" => format!("{location}&digest={digest}"),
                _ => location.clone(),
            };
            let got = overtaken(&client, (method, &target), "cdefgh", async || {
                assert_eq!(soon(client.send("DELETE", &location, &[], "")).await.status, 204);
                assert_unknown(&soon(client.send("GET", &location, &[], "")).await);
                assert_unknown(&soon(client.send("DELETE", &location, &[], "")).await);
                assert_eq!(client.registry.open_uploads(), 0);
            })
            .await;
            assert_unknown(&got);
            let path = format!("/v2/a/blobs/{digest}");
            assert_eq!(client.send("HEAD", &path, &[], "").await.status, 404, "{method}");
        }
    }
    // On disk nothing is left either, and nothing comes back.
    assert_eq!(std::fs::read_dir(folder.path().join("content")).unwrap().count(), 0);
    let kept = FakeRegistry::builder().open(folder.path()).unwrap();
    assert_eq!(kept.open_uploads(), 0);
}
