//! Faults in process.

use std::time::Duration;

use acr_core::Digest;
use acr_testkit::{FakeRegistry, Fault, Operation, Target};

use crate::support::Client;

async fn client() -> Client {
    Client::full(&FakeRegistry::new()).await
}

#[tokio::test]
async fn a_status_comes_when_it_is_due() {
    let client = client().await;
    client.registry.inject(Fault::status(Operation::ListRepositories, 2, 429).retry_after("2"));
    client.registry.inject("status op=ping status=502 times=2".parse().unwrap());
    assert_eq!(client.registry.pending_faults(), 2);
    assert_eq!(client.get("/acr/v1/_catalog").await.status, 200);
    let got = client.get("/acr/v1/_catalog").await;
    assert_eq!((got.status, got.header("retry-after")), (429, "2"));
    assert_eq!(got.code(), "TOOMANYREQUESTS");
    assert_eq!(client.get("/acr/v1/_catalog").await.status, 200);
    for status in [502, 502, 200] {
        assert_eq!(client.get("/v2/").await.status, status);
    }
    assert_eq!(client.registry.pending_faults(), 0);
}

#[tokio::test]
async fn a_lost_response_was_applied_and_a_dropped_request_was_not() {
    let client = client().await;
    let location = client.start("a").await;
    client.registry.inject(Fault::lose_response(Operation::UploadChunk));
    assert!(client.try_send("PATCH", &location, &[], "hello").await.is_err());
    let got = client.send("GET", &location, &[], "").await;
    assert_eq!(got.header("range"), "0-4");
    client.registry.inject(Fault::drop_request(Operation::UploadChunk));
    assert!(client.try_send("PATCH", &got.location(), &[], "hello").await.is_err());
    assert_eq!(client.send("GET", &location, &[], "").await.header("range"), "0-4");
    let entries = client.registry.journal().entries();
    let chunks: Vec<_> =
        entries.iter().filter(|e| e.operation == Some(Operation::UploadChunk)).collect();
    assert_eq!(
        chunks.iter().map(|e| (e.status, e.body_bytes)).collect::<Vec<_>>(),
        [(0, 5), (0, 0)]
    );
}

#[tokio::test]
async fn content_is_corrupted_or_cut() {
    let client = client().await;
    let digest = client.push_blob("a", "hello world").await;
    let link = client.get(&format!("/v2/a/blobs/{digest}")).await.location();
    let bare = Client::bare(&client.registry);
    client.registry.inject(Fault::corrupt(Operation::GetStorage, 3));
    let got = bare.get(&link).await;
    assert_eq!(got.header("content-length"), "11");
    assert_eq!((got.body.len(), &got.body[..3]), (11, b"hel".as_slice()));
    assert_ne!(Digest::sha256(&got.body), digest);
    client.registry.inject(Fault::truncate(Operation::GetStorage, 5));
    assert!(bare.try_send("GET", &link, &[], "").await.is_err());
    assert_eq!(bare.get(&link).await.text(), "hello world");
}

#[tokio::test]
async fn headers_are_replaced_and_removed() {
    let client = client().await;
    client.registry.inject(Fault::set_header(
        Operation::StartUpload,
        "Location",
        "https://evil.example/",
    ));
    client.registry.inject(Fault::remove_header(Operation::StartUpload, "Range"));
    let got = client.send("POST", "/v2/a/blobs/uploads/", &[], "").await;
    assert_eq!(got.location(), "https://evil.example/");
    assert!(!got.headers.contains_key("range"));
}

#[tokio::test(start_paused = true)]
async fn a_stall_lasts() {
    let client = client().await;
    client.registry.inject(Fault::stall(Operation::Ping));
    let waiting = tokio::time::timeout(Duration::from_secs(3600), client.get("/v2/"));
    assert!(waiting.await.is_err());
    assert_eq!(client.get("/v2/").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn e4_faults_can_be_taken_back() {
    let client = Client::full(&FakeRegistry::new()).await;
    let registry = &client.registry;
    registry.inject(Fault::status(Target::Any, 1, 503).forever());
    registry.inject(Fault::lag(Operation::PutManifest, 9));
    registry.inject(Fault::refuse().forever());
    assert!(client.try_send("GET", "/v2/", &[], "").await.is_err());
    registry.clear_faults();
    assert_eq!((registry.pending_faults(), registry.faults().faults().len()), (0, 3));
    assert_eq!(client.get("/v2/").await.status, 200);
    // What lags behind already catches up at once.
    registry.inject(Fault::lag(Operation::PutManifest, 9));
    client.push_image("a", "v1", "layer").await;
    let accept = [("accept", "*/*")];
    assert_eq!(client.send("GET", "/v2/a/manifests/v1", &accept, "").await.status, 404);
    registry.clear_faults();
    assert_eq!(client.send("GET", "/v2/a/manifests/v1", &accept, "").await.status, 200);
    // Later ones count from then on.
    registry.inject(Fault::status(Operation::Ping, 2, 503));
    assert_eq!(client.get("/v2/").await.status, 200);
    assert_eq!(client.get("/v2/").await.status, 503);
}
