//! The metadata interface.

use acr_core::Digest;
use acr_testkit::FakeRegistry;
use serde_json::{Value, json};

use crate::support::{Client, OCI_INDEX, OCI_MANIFEST};

async fn client() -> Client {
    Client::full(&FakeRegistry::new()).await
}

/// Follows the links and joins what the pages hold.
async fn walk(
    client: &Client,
    path: &str,
    list: &str,
    key: Option<&str>,
) -> (Vec<String>, Vec<String>) {
    let (mut names, mut links) = (Vec::new(), Vec::new());
    let mut target = path.to_owned();
    loop {
        let got = client.get(&target).await;
        assert_eq!(got.status, 200, "{got:?}");
        for item in got.json()[list].as_array().into_iter().flatten() {
            let name = key.map_or(item, |key| &item[key]);
            names.push(name.as_str().unwrap().to_owned());
        }
        let link = got.header("link").to_owned();
        if link.is_empty() {
            return (names, links);
        }
        let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        target = next.to_owned();
        links.push(link);
    }
}

#[tokio::test]
async fn empty_lists_are_null() {
    let client = client().await;
    assert_eq!(client.get("/acr/v1/_catalog").await.text(), "{\"repositories\":null}\n");
    assert_eq!(client.get("/v2/_catalog").await.text(), "{\"repositories\":null}\n");
    client.push_image("a", "v1", "layer").await;
    client.send("DELETE", "/acr/v1/a/_tags/v1", &[], "").await;
    assert_eq!(client.get("/v2/a/tags/list").await.text(), "{\"name\":\"a\",\"tags\":null}\n");
    let got = client.get("/acr/v1/a/_tags").await;
    assert!(got.text().ends_with("\"imageName\":\"a\",\"tags\":null}\n"), "{}", got.text());
    let got = client.send("DELETE", "/acr/v1/a", &[], "").await;
    assert_eq!(got.status, 202);
    assert_eq!(got.json()["tagsDeleted"], Value::Null);
    assert_eq!(got.json()["manifestsDeleted"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn repositories_have_properties_and_can_be_deleted() {
    let client = client().await;
    let digest = client.push_image("library/app", "v1", "layer").await;
    let got = client.get("/acr/v1/library%2Fapp?api-version=2021-07-01").await;
    let repository = got.json();
    assert_eq!(repository["registry"], "fakeregistry.azurecr.io");
    assert_eq!(repository["imageName"], "library/app");
    assert_eq!((&repository["manifestCount"], &repository["tagCount"]), (&json!(1), &json!(1)));
    assert!(!got.headers.contains_key("x-ms-request-id"), "not a backend answer");
    let got = client.send("DELETE", "/acr/v1/library/app", &[], "").await;
    assert_eq!(got.json(), json!({"manifestsDeleted": [digest.as_str()], "tagsDeleted": ["v1"]}));
    let got = client.send("DELETE", "/acr/v1/library/app", &[], "").await;
    assert_eq!(
        got.text(),
        "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"repository name not known to registry\",\"detail\":{\"name\":\"library/app\"}}]}\n"
    );
    let layer = Digest::sha256(b"layer");
    let got = client.send("HEAD", &format!("/v2/library/app/blobs/{layer}"), &[], "").await;
    assert_eq!(got.status, 404, "the blobs go along");
}

#[tokio::test]
async fn what_is_unknown_has_its_own_words() {
    let client = client().await;
    let digest = format!("sha256:{}", "a".repeat(64));
    for (method, path, text) in [
        (
            "GET",
            "/v2/ocitest/alltests/tags/list".to_owned(),
            r#"{"code":"NAME_UNKNOWN","message":"repository \"ocitest/alltests\" is not found"}"#,
        ),
        (
            "GET",
            "/acr/v1/ocitest%2Falltests".to_owned(),
            r#"{"code":"NAME_UNKNOWN","message":"repository \"ocitest/alltests\" is not found"}"#,
        ),
        (
            "PATCH",
            "/acr/v1/ocitest/alltests".to_owned(),
            r#"{"code":"NAME_UNKNOWN","message":"repository \"ocitest/alltests\" is not found"}"#,
        ),
        (
            "GET",
            "/acr/v1/ocitest/alltests/_manifests".to_owned(),
            r#"{"code":"NAME_UNKNOWN","message":"repository \"ocitest/alltests\" is not found"}"#,
        ),
        (
            "GET",
            "/acr/v1/a/_tags/x".to_owned(),
            r#"{"code":"TAG_UNKNOWN","message":"the specified tag does not exist"}"#,
        ),
        (
            "DELETE",
            "/acr/v1/a/_tags/x".to_owned(),
            r#"{"code":"TAG_UNKNOWN","message":"the specified tag does not exist"}"#,
        ),
        (
            "GET",
            format!("/acr/v1/a/_manifests/{digest}"),
            r#"{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}"#,
        ),
        (
            "PATCH",
            "/acr/v1/a/_manifests/sha256:abcdef".to_owned(),
            r#"{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}"#,
        ),
    ] {
        let got = client.send(method, &path, &[], "").await;
        assert_eq!((got.status, got.text()), (404, format!("{{\"errors\":[{text}]}}\n").as_str()));
    }
    let got = client.get("/v2/ocitest/alltests/tags/list").await;
    assert_eq!(got.header("content-length"), "94");
}

#[tokio::test]
async fn tags_have_properties_that_a_patch_does_not_age() {
    let client = client().await;
    let digest = client.push_image("a", "v1", "layer").await;
    let got = client.get("/acr/v1/a/_tags/v1").await;
    let tag = got.json()["tag"].clone();
    assert_eq!((&tag["name"], &tag["digest"]), (&json!("v1"), &json!(digest.as_str())));
    assert_eq!(tag["signed"], false);
    let got = client.send("PATCH", "/acr/v1/a/_tags/v1", &[], r#"{"listEnabled":false}"#).await;
    assert_eq!(got.status, 200);
    let patched = got.json()["tag"].clone();
    assert_eq!(patched["changeableAttributes"]["listEnabled"], false);
    assert_eq!(patched["lastUpdateTime"], tag["lastUpdateTime"]);
    assert_eq!(client.get("/acr/v1/a/_tags").await.json()["tags"], Value::Null);
    let got = client.send("PATCH", "/acr/v1/a/_tags/v1", &[], r#"{"listEnabled":null}"#).await;
    assert_eq!(got.status, 400);
    let got = client.send("DELETE", "/acr/v1/a/_tags/v1", &[], "").await;
    assert_eq!((got.status, got.header("content-length")), (202, "0"));
    assert_eq!(got.header("x-ms-int-docker-content-digest"), digest.as_str());
    assert!(!got.headers.contains_key("docker-content-digest"));
}

#[tokio::test]
async fn manifests_have_properties() {
    let client = client().await;
    let child = client.push_image("a", "v1", "layer").await;
    let config = r#"{"architecture":"arm64","os":"linux"}"#;
    let got =
        client.get(&format!("/acr/v1/a/_manifests/{}", child.as_str().replace(':', "%3A"))).await;
    let manifest = got.json()["manifest"].clone();
    assert_eq!(manifest["imageSize"], config.len() + "layer".len());
    assert_eq!((&manifest["architecture"], &manifest["os"]), (&json!("arm64"), &json!("linux")));
    assert_eq!(manifest["configMediaType"], "application/vnd.oci.image.config.v1+json");
    assert_eq!(manifest["tags"], json!(["v1"]));
    assert!(manifest.get("references").is_none());

    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{child}","size":1}}]}}"#
    );
    client.put_manifest("a", Digest::sha256(index.as_bytes()).as_str(), OCI_INDEX, &index).await;
    let digest = Digest::sha256(index.as_bytes());
    let got = client.get(&format!("/acr/v1/a/_manifests/{digest}")).await;
    let manifest = got.json()["manifest"].clone();
    let keys: Vec<_> = manifest.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(!["architecture", "os", "configMediaType", "tags"].iter().any(|k| keys.contains(k)));
    assert_eq!(
        manifest["references"],
        json!([{"digest": child.as_str(), "architecture": "arm64", "os": "linux"}])
    );
    assert_eq!(manifest["imageSize"], config.len() + "layer".len());
    let list = client.get("/acr/v1/a/_manifests").await.json();
    assert!(list["manifests"].as_array().unwrap().iter().all(|m| m.get("references").is_none()));
}

#[tokio::test]
async fn pages_follow_their_links() {
    let client = client().await;
    for tag in ["test3", "test0", "test2", "test1"] {
        client.push_image("ocitest/alltests", tag, "layer").await;
    }
    let got = client.get("/v2/ocitest/alltests/tags/list").await;
    assert_eq!(got.header("content-length"), "69");
    let (names, links) = walk(&client, "/v2/ocitest/alltests/tags/list?n=2", "tags", None).await;
    assert_eq!(names, ["test0", "test1", "test2", "test3"]);
    let link = "</v2/ocitest/alltests/tags/list?last=test1&n=2&orderby=>; rel=\"next\"";
    assert_eq!(links, [link]);
    let path = "/acr/v1/ocitest%2Falltests/_tags?api-version=2021-07-01&n=3&orderby=timedesc";
    let (names, links) = walk(&client, path, "tags", Some("name")).await;
    assert_eq!(names, ["test1", "test2", "test0", "test3"]);
    assert!(links[0].starts_with("</acr/v1/ocitest%2Falltests/_tags?last=6"), "{}", links[0]);
    assert!(links[0].ends_with("%26test0&n=3&orderby=timedesc>; rel=\"next\""), "{}", links[0]);
    for bad in ["0", "-1", "x"] {
        let got = client.get(&format!("/acr/v1/_catalog?n={bad}")).await;
        assert_eq!((got.status, got.code().as_str()), (400, "PAGINATION_NUMBER_INVALID"));
    }
    let got = client.get("/acr/v1/_catalog?n=1").await;
    assert!(!got.headers.contains_key("link"), "a full last page has none");
    client.push_image("z", "v", "layer").await;
    let got = client.get("/acr/v1/_catalog?n=1").await;
    let link = "</acr/v1/_catalog?last=ocitest%2Falltests&n=1&orderby=>; rel=\"next\"";
    assert_eq!(got.header("link"), link);
}

#[tokio::test]
async fn the_link_forgets_the_digest_filter() {
    let client = client().await;
    let one = client.push_image("a", "v1", "one").await;
    client.push_image("a", "v2", "one").await;
    client.push_image("a", "v3", "two").await;
    let got = client.get(&format!("/acr/v1/a/_tags?digest={one}&n=1")).await;
    assert_eq!(got.json()["tags"][0]["name"], "v1");
    assert_eq!(got.header("link"), "</acr/v1/a/_tags?last=v1&n=1&orderby=>; rel=\"next\"");
    let got = client.get(&format!("/acr/v1/a/_tags?digest={one}")).await;
    assert_eq!(got.json()["tags"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn long_answers_are_not_counted() {
    let client = client().await;
    for i in 0..20 {
        client.push_image("a", &format!("tag{i}"), "layer").await;
    }
    let got = client.get("/acr/v1/a/_tags").await;
    assert!(got.body.len() > 2048 && !got.headers.contains_key("content-length"));
}
