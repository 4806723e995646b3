//! Soft delete.

use std::time::Duration;

use acr_core::Digest;
use acr_testkit::FakeRegistry;
use serde_json::{Value, json};

use crate::support::{Client, Got, OCI_MANIFEST};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn client() -> Client {
    let registry =
        FakeRegistry::builder().soft_delete(7 * DAY).access_token_lifetime(30 * DAY).build();
    Client::with_scope(&registry, "registry:deleted_catalog:* registry:catalog:* repository:*:*")
        .await
}

async fn restore(client: &Client, digest: &Digest, query: &str, body: &'static str) -> Got {
    let path = format!("/acr/v1/_deleted/a/_manifests/{digest}{query}");
    client.send("POST", &path, &[], body).await
}

async fn list(client: &Client, path: &str, key: &str) -> Value {
    let got = client.get(&format!("/acr/v1/_deleted/{path}")).await;
    assert_eq!(got.status, 200, "{got:?}");
    got.json()[key].clone()
}

#[tokio::test]
async fn a_deleted_repository_is_listed_and_comes_back() {
    let client = client().await;
    let digest = client.push_image("a", "v1", "one").await;
    client.push_image("a", "v2", "two").await;
    assert_eq!(list(&client, "_catalog", "repositories").await, Value::Null);
    assert_eq!(client.send("DELETE", "/acr/v1/a", &[], "").await.status, 202);
    assert_eq!(client.get("/acr/v1/a").await.status, 404);
    let gone = list(&client, "_catalog", "repositories").await;
    assert_eq!((&gone[0]["repository"], gone.as_array().unwrap().len()), (&json!("a"), 1));
    assert!(gone[0]["createdAt"].is_string() && gone[0]["deletedAt"].is_string());
    let tags = list(&client, "a/_tags", "tags").await;
    assert_eq!((&tags[0]["tag"], &tags[0]["digest"]), (&json!("v1"), &json!(digest.as_str())));
    assert_eq!(list(&client, "a/_manifests", "manifests").await.as_array().unwrap().len(), 2);

    let got =
        restore(&client, &digest, "?force=False&api-version=2021-07-01", r#"{"tag":"v1"}"#).await;
    assert_eq!((got.status, got.json()), (200, json!({"digest": digest.as_str(), "tag": "v1"})));
    assert_eq!(list(&client, "_catalog", "repositories").await, Value::Null);
    let headers = [("accept", OCI_MANIFEST)];
    let got = client.send("GET", "/v2/a/manifests/v1", &headers, "").await;
    assert_eq!(Digest::sha256(&got.body), digest);
    let layer = Digest::sha256(b"one");
    assert_eq!(client.send("HEAD", &format!("/v2/a/blobs/{layer}"), &[], "").await.status, 200);
    assert_eq!(client.get("/acr/v1/a").await.json()["tagCount"], 1);
}

#[tokio::test]
async fn a_tag_that_moved_comes_back_only_by_force() {
    let client = client().await;
    let old = client.push_image("a", "v1", "old").await;
    assert_eq!(client.send("DELETE", "/acr/v1/a/_tags/v1", &[], "").await.status, 202);
    client.push_image("a", "v1", "new").await;
    let body = r#"{"tag":"v1"}"#;
    let got = restore(&client, &old, "", body).await;
    assert_eq!((got.status, got.code().as_str()), (409, "TAG_ALREADY_EXISTS"));
    assert_eq!(restore(&client, &old, "?force=True", body).await.status, 200);
    let got = client.get("/acr/v1/a/_tags/v1").await.json();
    assert_eq!(got["tag"]["digest"], old.as_str());
    assert_eq!(restore(&client, &old, "?force=true", body).await.status, 404, "only once");
    assert_eq!(restore(&client, &Digest::sha256(b"x"), "", "{}").await.status, 404);
    assert_eq!(restore(&client, &old, "", "{").await.status, 400);
}

#[tokio::test]
async fn retention_ends() {
    let client = client().await;
    let digest = client.push_image("a", "v1", "one").await;
    assert_eq!(
        client.send("DELETE", &format!("/v2/a/manifests/{digest}"), &[], "").await.status,
        202
    );
    client.registry.clock().advance(7 * DAY - Duration::from_secs(60));
    assert_eq!(list(&client, "a/_tags", "tags").await.as_array().unwrap().len(), 1);
    client.registry.clock().advance(Duration::from_secs(120));
    assert_eq!(list(&client, "a/_tags", "tags").await, Value::Null);
    assert_eq!(list(&client, "_catalog", "repositories").await, Value::Null);
    assert_eq!(restore(&client, &digest, "", "{}").await.status, 404);
    let layer = Digest::sha256(b"one");
    assert_eq!(client.send("HEAD", &format!("/v2/a/blobs/{layer}"), &[], "").await.status, 404);
}

#[tokio::test]
async fn lists_are_paged_and_versions_and_rights_checked() {
    let client = client().await;
    for tag in ["t1", "t2", "t3"] {
        client.push_image("a", tag, "one").await;
    }
    client.send("DELETE", "/acr/v1/a", &[], "").await;
    let got = client.get("/acr/v1/_deleted/a/_tags?n=2").await;
    assert_eq!(got.json()["tags"].as_array().unwrap().len(), 2);
    let link = got.header("link").split(['<', '>']).nth(1).unwrap().to_owned();
    assert_eq!(client.get(&link).await.json()["tags"][0]["tag"], "t3");
    let got = client.get("/acr/v1/_deleted/_catalog?api-version=1999-01-01").await;
    assert_eq!(got.status, 400);
    let bare = Client::bare(&client.registry);
    for (method, path, scope) in [
        ("GET", "/acr/v1/_deleted/_catalog".to_owned(), "registry:deleted_catalog:*"),
        ("GET", "/acr/v1/_deleted/a/_tags".to_owned(), "repository:a:deleted_read"),
        ("GET", "/acr/v1/_deleted/a/b/_manifests".to_owned(), "repository:a/b:deleted_read"),
    ] {
        let got = bare.send(method, &path, &[], "").await;
        assert!(got.header("www-authenticate").ends_with(&format!("scope=\"{scope}\"")), "{got:?}");
    }
    let got = restore(&bare, &Digest::sha256(b"x"), "", "{}").await;
    assert!(got.header("www-authenticate").contains("deleted_re"), "{got:?}");
}

#[tokio::test]
async fn without_the_policy_nothing_is_kept() {
    let registry = FakeRegistry::new();
    let client = Client::with_scope(&registry, "repository:*:*").await;
    let digest = client.push_image("a", "v1", "one").await;
    client.send("DELETE", "/acr/v1/a", &[], "").await;
    assert_eq!(list(&client, "a/_manifests", "manifests").await, Value::Null);
    assert_eq!(restore(&client, &digest, "", "{}").await.status, 404);
}

#[tokio::test]
async fn e8_what_is_soft_deleted_is_restored_and_not_pushed() {
    let client = client().await;
    let digest = client.push_image("a", "v1", "one").await;
    assert_eq!(client.send("DELETE", "/acr/v1/a", &[], "").await.status, 202);
    let manifest = crate::support::image(r#"{"architecture":"arm64","os":"linux"}"#, "one");
    let got = client.put_manifest("a", "v2", OCI_MANIFEST, &manifest).await;
    assert_eq!(got.status, 409, "{got:?}");
    assert!(got.text().contains(digest.as_str()) && got.text().contains("restore"), "{got:?}");
    let left = list(&client, "a/_manifests", "manifests").await;
    assert_eq!(left[0]["digest"], digest.as_str(), "the old copy stays");
    assert_eq!(restore(&client, &digest, "", r#"{"tag":"v1"}"#).await.status, 200);
    assert_eq!(client.put_manifest("a", "v2", OCI_MANIFEST, &manifest).await.status, 201);
}

#[tokio::test]
async fn e8_a_subject_is_restored_before_its_referrer() {
    let client = client().await;
    let subject = client.push_image("a", "v1", "one").await;
    let referrer = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"subject":{{"mediaType":"{OCI_MANIFEST}","digest":"{subject}","size":1}}}}"#
    );
    let digest = Digest::sha256(referrer.as_bytes());
    let kind = "application/vnd.oci.image.index.v1+json";
    let got = client.put_manifest("a", digest.as_str(), kind, &referrer).await;
    assert_eq!(got.status, 201, "{got:?}");
    assert_eq!(client.send("DELETE", "/acr/v1/a", &[], "").await.status, 202);
    assert_eq!(restore(&client, &digest, "", "{}").await.status, 409);
    assert_eq!(restore(&client, &subject, "", "{}").await.status, 200);
    assert_eq!(restore(&client, &digest, "", "{}").await.status, 200);
}

#[tokio::test]
async fn e8_a_forced_restore_soft_deletes_the_tag_that_it_overwrites() {
    let client = client().await;
    let old = client.push_image("a", "v1", "old").await;
    assert_eq!(client.send("DELETE", "/acr/v1/a/_tags/v1", &[], "").await.status, 202);
    let new = client.push_image("a", "v1", "new").await;
    let body = r#"{"tag":"v1"}"#;
    let tagged = async || {
        let got = client.get("/acr/v1/a/_tags/v1").await;
        got.json()["tag"]["digest"].as_str().unwrap().to_owned()
    };
    // Forth and back, as often as one likes: one of the two is always there to be restored.
    for (wanted, other) in [(&old, &new), (&new, &old), (&old, &new)] {
        assert_eq!(restore(&client, wanted, "?force=true", body).await.status, 200);
        assert_eq!(tagged().await, wanted.as_str());
        let tags = list(&client, "a/_tags", "tags").await;
        assert_eq!(tags.as_array().unwrap().len(), 1, "{tags}");
        assert_eq!((&tags[0]["tag"], &tags[0]["digest"]), (&json!("v1"), &json!(other.as_str())));
        // The manifest itself was never deleted.
        let path = format!("/v2/a/manifests/{other}");
        let got = client.send("GET", &path, &[("accept", OCI_MANIFEST)], "").await;
        assert_eq!(got.status, 200, "{got:?}");
    }
    // Without force nothing is overwritten, so nothing is deleted.
    assert_eq!(restore(&client, &new, "", body).await.status, 409);
    assert_eq!(list(&client, "a/_tags", "tags").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn e8_what_a_forced_restore_overwrote_survives_the_process() {
    let folder = tempfile::TempDir::new().unwrap();
    let open = async || {
        let builder = FakeRegistry::builder().soft_delete(7 * DAY);
        let registry = builder.open(folder.path()).unwrap();
        Client::with_scope(&registry, "repository:*:*").await
    };
    let client = open().await;
    let old = client.push_image("a", "v1", "old").await;
    client.send("DELETE", "/acr/v1/a/_tags/v1", &[], "").await;
    let new = client.push_image("a", "v1", "new").await;
    let body = r#"{"tag":"v1"}"#;
    assert_eq!(restore(&client, &old, "?force=true", body).await.status, 200);
    drop(client);
    let client = open().await;
    assert_eq!(list(&client, "a/_tags", "tags").await[0]["digest"], new.as_str());
    assert_eq!(restore(&client, &new, "?force=true", body).await.status, 200);
}

#[tokio::test]
async fn e8_a_push_to_a_deleted_repository_restores_it_without_its_content() {
    let client = client().await;
    let old = client.push_image("a", "v1", "old").await;
    let created = client.get("/acr/v1/a").await.json()["createdTime"].clone();
    assert_eq!(client.send("DELETE", "/acr/v1/a", &[], "").await.status, 202);
    client.push_image("a", "v2", "new").await;
    let got = client.get("/acr/v1/a").await.json();
    assert_eq!((&got["createdTime"], &got["manifestCount"]), (&created, &json!(1)));
    assert_eq!(list(&client, "_catalog", "repositories").await, Value::Null);
    assert_eq!(list(&client, "a/_manifests", "manifests").await[0]["digest"], old.as_str());
}
