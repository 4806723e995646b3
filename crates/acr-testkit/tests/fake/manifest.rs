//! Manifests as content.

use acr_core::Digest;
use acr_testkit::FakeRegistry;

use crate::support::{Client, OCI_INDEX, OCI_MANIFEST, image};

const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

async fn client() -> Client {
    Client::full(&FakeRegistry::new()).await
}

#[tokio::test]
async fn bytes_are_kept_and_named_by_their_digest() {
    let client = client().await;
    client.push_blob("library/hello", "{}").await;
    client.push_blob("library/hello", "hello world").await;
    let manifest = image("{}", "hello world");
    assert_eq!(manifest.len(), 393);
    let got = client.put_manifest("library/hello", "v1", OCI_MANIFEST, &manifest).await;
    let digest = "sha256:517b86da29754bfa57e312c35d4cf22caa38dbce39ecd24684830c1f9777a635";
    assert_eq!((got.status, got.header("docker-content-digest")), (201, digest));
    assert_eq!(got.location(), format!("/v2/library/hello/manifests/{digest}"));
    assert_eq!(got.header("content-length"), "0");
    for reference in ["v1", digest] {
        for (method, body) in [("GET", manifest.as_str()), ("HEAD", "")] {
            let path = format!("/v2/library%2Fhello/manifests/{reference}");
            let headers = [("accept", OCI_MANIFEST), ("x-ms-client-request-id", "my-id")];
            let got = client.send(method, &path, &headers, "").await;
            assert_eq!((got.status, got.text()), (200, body));
            assert_eq!(got.header("content-length"), "393");
            assert_eq!(got.header("content-type"), OCI_MANIFEST);
            assert_eq!(got.header("docker-content-digest"), digest);
            assert_eq!(got.header("etag"), format!("\"{digest}\""));
            assert_eq!(got.header("x-ms-client-request-id"), "my-id");
        }
    }
}

#[tokio::test]
async fn missing_blobs_are_listed_one_by_one() {
    let client = client().await;
    let got = client.put_manifest("a", "v1", OCI_MANIFEST, &image("{}", "hello world")).await;
    assert_eq!(got.status, 400);
    let errors = got.json()["errors"].as_array().unwrap().clone();
    let expected = [Digest::sha256(b"{}"), Digest::sha256(b"hello world")];
    assert_eq!(errors.len(), 2);
    for (error, digest) in errors.iter().zip(&expected) {
        assert_eq!(error["code"], "MANIFEST_BLOB_UNKNOWN");
        assert_eq!(error["detail"], digest.as_str());
    }
    client.push_blob("other", "{}").await;
    let got = client.put_manifest("a", "v1", OCI_MANIFEST, &image("{}", "hello world")).await;
    assert_eq!(got.json()["errors"].as_array().unwrap().len(), 2, "blobs belong to repositories");
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{}","size":1}}]}}"#,
        expected[0]
    );
    let got = client.put_manifest("a", "v1", OCI_INDEX, &index).await;
    assert_eq!(got.code(), "MANIFEST_BLOB_UNKNOWN");
}

#[tokio::test]
async fn what_does_not_fit_is_invalid() {
    let client = client().await;
    client.push_image("a", "v1", "layer").await;
    let manifest = image(r#"{"architecture":"arm64","os":"linux"}"#, "layer");
    let invalid = "{\"errors\":[{\"code\":\"MANIFEST_INVALID\",\"message\":\"manifest invalid\",\"detail\":{\"Reason\":{}}}]}\n";
    for media_type in ["", "application/json", OCI_INDEX, DOCKER_MANIFEST] {
        let got = client.put_manifest("a", "v2", media_type, &manifest).await;
        assert_eq!((got.status, got.text()), (400, invalid), "{media_type}");
    }
    let got = client.put_manifest("a", "v2", OCI_MANIFEST, "{").await;
    assert_eq!(got.text(), invalid);
    let other = Digest::sha256(b"other");
    let got = client.put_manifest("a", other.as_str(), OCI_MANIFEST, &manifest).await;
    assert_eq!((got.status, got.code().as_str()), (400, "DIGEST_INVALID"));
    let large = " ".repeat(4 * 1024 * 1024 + 1);
    let got = client.put_manifest("a", "v2", OCI_MANIFEST, &large).await;
    assert_eq!(got.status, 413);
}

#[tokio::test]
async fn unknown_manifests_answer_in_the_words_of_the_question() {
    let client = client().await;
    let name = "ocitest/alltests";
    let digest = format!("sha256:{}", "a".repeat(64));
    let path = format!("/v2/{name}/manifests/{digest}");
    for method in ["GET", "HEAD"] {
        let got = client.send(method, &path, &[], "").await;
        assert_eq!((got.status, got.header("content-length")), (404, "269"));
        assert_eq!(got.body.is_empty(), method == "HEAD");
    }
    let got = client.send("DELETE", &path, &[], "").await;
    assert_eq!((got.status, got.header("content-length")), (404, "147"));
    let got = client.get(&format!("/v2/{name}/manifests/x")).await;
    assert_eq!(
        got.text(),
        "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest tagged by \\\"x\\\" is not found\",\"detail\":{\"Tag\":\"x\"}}]}\n"
    );
}

#[tokio::test]
async fn deletes_go_by_digest_and_take_the_tags_along() {
    let client = client().await;
    let digest = client.push_image("a", "v1", "layer").await;
    client.push_image("a", "v2", "layer").await;
    let got = client.send("DELETE", "/v2/a/manifests/v1", &[], "").await;
    assert_eq!((got.status, got.header("content-length")), (405, "90"));
    assert_eq!(
        got.text(),
        "{\"errors\":[{\"code\":\"UNSUPPORTED\",\"message\":\"A manifest can only be deleted by digest.\"}]}\n"
    );
    let path = format!("/v2/a/manifests/{digest}");
    let got = client.send("DELETE", &path, &[], "").await;
    assert_eq!((got.status, got.header("content-length")), (202, "0"));
    let left = got.header("x-ms-ratelimit-remaining-calls-per-second");
    assert_eq!(left, "31.000000", "the second delete that was answered");
    assert!(got.headers.contains_key("x-ms-client-request-id"), "empty, but there");
    let got = client.get("/v2/a/tags/list").await;
    assert_eq!((got.status, got.code().as_str()), (404, "NAME_UNKNOWN"), "the repository is gone");
    let layer = Digest::sha256(b"layer");
    let got = client.send("DELETE", &format!("/v2/a/blobs/{layer}"), &[], "").await;
    assert_eq!(got.status, 202, "its blobs are not");
}

#[tokio::test]
async fn accept_decides_what_is_served() {
    let client = client().await;
    let child = client.push_image("a", "v1", "layer").await;
    let got = client.send("GET", "/v2/a/manifests/v1", &[("accept", OCI_INDEX)], "").await;
    assert_eq!(got.status, 404);
    let message = got.json()["errors"][0]["message"].clone();
    assert_eq!(message, "OCI manifest found, but accept header does not support OCI manifests");
    for accept in [OCI_MANIFEST, "text/x, */*;q=0.1", &format!("{OCI_INDEX}, {OCI_MANIFEST}")] {
        let got = client.send("GET", "/v2/a/manifests/v1", &[("accept", accept)], "").await;
        assert_eq!(got.status, 200, "{accept}");
    }
    let list = format!(
        r#"{{"schemaVersion":2,"mediaType":"{DOCKER_LIST}","manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{child}","size":1,"platform":{{"architecture":"amd64","os":"linux"}}}}]}}"#
    );
    let got = client.put_manifest("a", "list", DOCKER_LIST, &list).await;
    assert_eq!(got.status, 201, "{got:?}");
    let got = client.send("GET", "/v2/a/manifests/list", &[("accept", OCI_MANIFEST)], "").await;
    assert_eq!((got.status, got.header("docker-content-digest")), (200, child.as_str()));
    let got = client.send("GET", "/v2/a/manifests/list", &[("accept", DOCKER_LIST)], "").await;
    assert_eq!(got.header("content-type"), DOCKER_LIST);
}

#[tokio::test]
async fn referrers_are_listed_and_filtered() {
    let client = client().await;
    let subject = Digest::sha256(b"nobody");
    let path = format!("/v2/a/referrers/{subject}");
    let got = client.get(&path).await;
    assert_eq!((got.status, got.header("content-length")), (200, "89"));
    assert_eq!(got.header("content-type"), OCI_INDEX);
    assert!(got.text().ends_with("\"manifests\":[]}\n"));
    client.push_blob("a", "{}").await;
    client.push_blob("a", "layer").await;
    let extra = |kind: &str| {
        let fields = format!(
            r#"{{"artifactType":"{kind}","annotations":{{"k":"v"}},"subject":{{"mediaType":"m","digest":"{subject}","size":1}},"#
        );
        image("{}", "layer").replacen('{', &fields, 1)
    };
    for kind in ["text/a", "text/b"] {
        let got = client
            .put_manifest("a", kind.rsplit('/').next().unwrap(), OCI_MANIFEST, &extra(kind))
            .await;
        assert_eq!((got.status, got.header("oci-subject")), (201, subject.as_str()));
    }
    let got = client.get(&path).await;
    assert_eq!(got.json()["manifests"].as_array().unwrap().len(), 2);
    assert!(!got.headers.contains_key("oci-filters-applied"));
    let got = client.get(&format!("{path}?artifactType=text%2Fb")).await;
    assert_eq!(got.header("oci-filters-applied"), "artifactType");
    let referrer = got.json()["manifests"][0].clone();
    assert_eq!(got.json()["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(referrer["artifactType"], "text/b");
    assert_eq!(referrer["annotations"]["k"], "v");
    assert_eq!(referrer["digest"], Digest::sha256(extra("text/b").as_bytes()).as_str());
}
