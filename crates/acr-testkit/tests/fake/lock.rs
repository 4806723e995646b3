//! Locks.

use acr_core::Digest;
use acr_testkit::FakeRegistry;

use crate::support::{Client, Got, OCI_MANIFEST, image};

async fn pushed() -> (Client, Digest) {
    let client = Client::full(&FakeRegistry::new()).await;
    let digest = client.push_image("a", "v1", "layer").await;
    (client, digest)
}

async fn patch(client: &Client, path: &str, attributes: &'static str) {
    let got = client.send("PATCH", path, &[], attributes).await;
    assert_eq!(got.status, 200, "{got:?}");
}

fn is_locked(got: &Got) -> bool {
    if got.status != 405 {
        return false;
    }
    assert_eq!(got.code(), "REGISTRY_DISALLOWED_OPERATION");
    assert!(got.text().ends_with(",\"detail\":{}}]}\n"), "{}", got.text());
    true
}

#[tokio::test]
async fn a_locked_tag_can_neither_go_nor_move() {
    for attributes in [r#"{"deleteEnabled":false}"#, r#"{"writeEnabled":false}"#] {
        let (client, digest) = pushed().await;
        patch(&client, "/acr/v1/a/_tags/v1", attributes).await;
        for path in ["/acr/v1/a/_tags/v1", &format!("/v2/a/manifests/{digest}"), "/acr/v1/a"] {
            assert!(is_locked(&client.send("DELETE", path, &[], "").await), "{path}");
        }
        let manifest = image(r#"{"architecture":"arm64","os":"linux"}"#, "layer");
        let got = client.put_manifest("a", "v1", OCI_MANIFEST, &manifest).await;
        assert_eq!(is_locked(&got), attributes.contains("write"));
        let got = client.put_manifest("a", "v2", OCI_MANIFEST, &manifest).await;
        assert_eq!(got.status, 201, "other tags may come");
        patch(&client, "/acr/v1/a/_tags/v1", r#"{"deleteEnabled":true,"writeEnabled":true}"#).await;
        assert_eq!(client.send("DELETE", "/acr/v1/a/_tags/v1", &[], "").await.status, 202);
    }
}

#[tokio::test]
async fn a_locked_manifest_stays_but_its_tags_may_go() {
    let (client, digest) = pushed().await;
    let path = format!("/acr/v1/a/_manifests/{digest}");
    patch(&client, &path, r#"{"deleteEnabled":false}"#).await;
    let content = format!("/v2/a/manifests/{digest}");
    assert!(is_locked(&client.send("DELETE", &content, &[], "").await));
    assert!(is_locked(&client.send("DELETE", "/acr/v1/a", &[], "").await));
    assert_eq!(client.send("DELETE", "/acr/v1/a/_tags/v1", &[], "").await.status, 202);
    patch(&client, &path, r#"{"readEnabled":false}"#).await;
    let accept = [("accept", "*/*")];
    assert!(is_locked(&client.send("GET", &content, &accept, "").await));
    assert_eq!(client.send("HEAD", &content, &accept, "").await.status, 405);
}

#[tokio::test]
async fn a_locked_repository_takes_nothing() {
    let (client, digest) = pushed().await;
    let location = client.start("a").await;
    patch(&client, "/acr/v1/a", r#"{"writeEnabled":false}"#).await;
    let layer = Digest::sha256(b"layer");
    for (method, path) in [
        ("POST", "/v2/a/blobs/uploads/".to_owned()),
        ("PATCH", location),
        ("DELETE", format!("/v2/a/blobs/{layer}")),
        ("DELETE", format!("/v2/a/manifests/{digest}")),
        ("DELETE", "/acr/v1/a/_tags/v1".to_owned()),
        ("DELETE", "/acr/v1/a".to_owned()),
    ] {
        assert!(is_locked(&client.send(method, &path, &[], "").await), "{method} {path}");
    }
    let got = client.send("GET", "/v2/a/manifests/v1", &[("accept", "*/*")], "").await;
    assert_eq!(got.status, 200, "reading is not writing");
    patch(&client, "/acr/v1/a", r#"{"listEnabled":false}"#).await;
    assert_eq!(client.get("/acr/v1/_catalog").await.text(), "{\"repositories\":null}\n");
}

#[tokio::test]
async fn rights_come_before_locks() {
    let (client, _) = pushed().await;
    patch(&client, "/acr/v1/a", r#"{"deleteEnabled":false}"#).await;
    let reader = Client::with_scope(&client.registry, "repository:a:pull").await;
    assert_eq!(reader.send("DELETE", "/acr/v1/a", &[], "").await.status, 401);
}

#[tokio::test]
async fn e8_properties_of_what_is_locked_can_be_changed() {
    // Else nothing could be unlocked.
    for lock in [r#"{"writeEnabled":false}"#, r#"{"deleteEnabled":false}"#] {
        let (client, digest) = pushed().await;
        let manifest = format!("/acr/v1/a/_manifests/{digest}");
        let all = ["/acr/v1/a", "/acr/v1/a/_tags/v1", &manifest];
        for path in all {
            patch(&client, path, lock).await;
        }
        assert!(is_locked(&client.send("DELETE", "/acr/v1/a/_tags/v1", &[], "").await));
        for path in all {
            patch(&client, path, r#"{"listEnabled":false}"#).await;
            patch(
                &client,
                path,
                r#"{"listEnabled":true,"writeEnabled":true,"deleteEnabled":true}"#,
            )
            .await;
        }
        assert_eq!(client.send("DELETE", "/acr/v1/a", &[], "").await.status, 202);
    }
}
