//! The order of checks, and decisions that are shared by many routes.

use std::time::Duration;

use acr_core::Digest;
use acr_testkit::{FakeRegistry, Quota};

use crate::support::{Client, OCI_INDEX, OCI_MANIFEST, image};

async fn client() -> Client {
    Client::full(&FakeRegistry::new()).await
}

#[tokio::test]
async fn each_check_comes_before_the_next() {
    let client = client().await;
    let bare = Client::bare(&client.registry);
    client.push_image("a", "v1", "layer").await;

    client.registry.inject("status op=delete_tag status=503".parse().unwrap());
    let got = bare.send("DELETE", "/acr/v1/a/_tags/-x", &[], "").await;
    assert_eq!((got.status, got.text()), (404, "404 page not found\n"), "the route before faults");
    let got = bare.send("DELETE", "/acr/v1/a/_tags/v1", &[], "").await;
    assert_eq!(got.status, 503, "faults before authentication");
    assert_eq!(client.registry.pending_faults(), 0);

    let got = client.send("PATCH", "/acr/v1/a", &[], r#"{"writeEnabled":false}"#).await;
    assert_eq!(got.status, 200);
    let got = bare.put_manifest("a", "v1", OCI_MANIFEST, "{").await;
    assert_eq!(got.status, 401, "authentication before locks");
    let got = client.put_manifest("a", "v1", OCI_MANIFEST, "{").await;
    assert_eq!((got.status, got.code().as_str()), (405, "REGISTRY_DISALLOWED_OPERATION"));
    let got = client.send("PATCH", "/acr/v1/a", &[], r#"{"writeEnabled":true}"#).await;
    assert_eq!(got.status, 200, "a locked repository can be unlocked");
    let got = client.put_manifest("a", "v1", OCI_MANIFEST, "{").await;
    assert_eq!(
        (got.status, got.code().as_str()),
        (400, "MANIFEST_INVALID"),
        "locks before the rest"
    );
}

#[tokio::test]
async fn a_route_without_the_method_is_unsupported_for_everybody() {
    let bare = Client::bare(&FakeRegistry::new());
    for (method, path) in [("PUT", "/acr/v1/a"), ("POST", "/acr/v1/_catalog"), ("PUT", "/v2/")] {
        let got = bare.send(method, path, &[], "").await;
        assert_eq!((got.status, got.code().as_str()), (405, "UNSUPPORTED"), "{method} {path}");
    }
    let got = bare.get("/oauth2/exchange").await;
    assert_eq!((got.status, got.text()), (404, "404 page not found\n"));
}

#[tokio::test]
async fn existence_is_told_only_to_those_with_a_token() {
    let bare = Client::bare(&FakeRegistry::new());
    let digest = Digest::sha256(b"nobody");
    for path in [
        "/acr/v1/nobody".to_owned(),
        "/acr/v1/nobody/_tags".to_owned(),
        "/v2/nobody/tags/list".to_owned(),
        format!("/v2/nobody/blobs/{digest}"),
        format!("/v2/nobody/referrers/{digest}"),
    ] {
        assert_eq!(bare.get(&path).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn answers_share_their_headers_by_surface() {
    let client = client().await;
    client.push_image("a", "v1", "layer").await;
    let id = [("x-ms-client-request-id", "mine"), ("accept", "*/*")];
    for (path, is_backend) in [
        ("/acr/v1/a", false),
        ("/v2/a/tags/list", false),
        ("/v2/_catalog", false),
        ("/v2/a/manifests/v1", true),
    ] {
        let got = client.send("GET", path, &id, "").await;
        assert_eq!((got.status, got.header("server")), (200, "AzureContainerRegistry"), "{path}");
        assert_eq!(got.header("docker-distribution-api-version"), "registry/2.0");
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        assert_eq!(got.headers.get_all("strict-transport-security").iter().count(), 2);
        assert_eq!(got.headers.get_all("access-control-expose-headers").iter().count(), 4);
        assert!(got.headers.contains_key("x-ms-correlation-request-id"));
        assert_eq!(got.headers.contains_key("x-ms-request-id"), is_backend, "{path}");
        let echo = if is_backend { "mine" } else { "" };
        assert_eq!(got.header("x-ms-client-request-id"), echo, "{path}");
    }
    let layer = Digest::sha256(b"layer");
    let got = client.get(&format!("/v2/a/blobs/{layer}")).await;
    assert_eq!(got.status, 307);
    assert!(!got.headers.contains_key("x-ms-request-id"), "a redirect has not been there");
}

#[tokio::test]
async fn deletes_are_counted_down() {
    let client = client().await;
    for left in ["32.000000", "31.000000", "30.000000"] {
        let got = client.send("DELETE", "/acr/v1/nobody", &[], "").await;
        assert_eq!(got.status, 404);
        assert_eq!(got.header("x-ms-ratelimit-remaining-calls-per-second"), left);
    }
    let got = Client::bare(&client.registry).send("DELETE", "/acr/v1/nobody", &[], "").await;
    assert!(!got.headers.contains_key("x-ms-ratelimit-remaining-calls-per-second"), "not on 401");
}

#[tokio::test]
async fn pages_of_no_size_are_refused() {
    let client = client().await;
    client.push_image("a", "v1", "layer").await;
    for path in ["/acr/v1/_catalog", "/acr/v1/a/_tags", "/acr/v1/a/_manifests", "/v2/a/tags/list"] {
        for n in ["0", "-1", "x", "", "99999999999999999999"] {
            let got = client.get(&format!("{path}?n={n}")).await;
            let code = got.code();
            assert_eq!(
                (got.status, code.as_str()),
                (400, "PAGINATION_NUMBER_INVALID"),
                "{path} {n}"
            );
        }
        assert_eq!(client.get(&format!("{path}?n=5000")).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_page_holds_a_hundred_unless_told_and_a_thousand_at_most() {
    let client = client().await;
    client.push_image("a", "v", "layer").await;
    let accept = [("accept", "*/*")];
    let manifest = client.send("GET", "/v2/a/manifests/v", &accept, "").await;
    let media_type = manifest.header("content-type").to_owned();
    let headers = [("content-type", media_type.as_str())];
    for tag in 0..1_001 {
        let path = format!("/v2/a/manifests/t{tag:04}");
        let got = client.send("PUT", &path, &headers, manifest.text().to_owned()).await;
        assert_eq!(got.status, 201, "{}", got.text());
    }
    for (query, expected) in [("", 100), ("?n=1000", 1_000), ("?n=1001", 1_000), ("?n=7", 7)] {
        for path in ["/acr/v1/a/_tags", "/v2/a/tags/list"] {
            let got = client.get(&format!("{path}{query}")).await;
            assert_eq!(got.json()["tags"].as_array().unwrap().len(), expected, "{path}{query}");
            assert!(got.headers.contains_key("link"), "more remain");
        }
    }
}

#[tokio::test]
async fn a_push_moves_the_tag_and_the_times() {
    let client = client().await;
    let times = || async {
        let tag = client.get("/acr/v1/a/_tags/v1").await.json()["tag"].clone();
        let repository = client.get("/acr/v1/a").await.json();
        let time =
            |value: &serde_json::Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let created = (time(&tag["createdTime"]), time(&repository["createdTime"]));
        let updated = (time(&tag["lastUpdateTime"]), time(&repository["lastUpdateTime"]));
        (tag["digest"].as_str().unwrap().to_owned(), created, updated)
    };
    client.push_image("a", "v1", "one").await;
    let before = times().await;
    let second = client.push_image("a", "v1", "two").await;
    let after = times().await;
    assert_eq!(after.0, second.as_str());
    assert_eq!(after.1, before.1, "the tag and the repository are the same");
    assert!(after.2.0 > before.2.0 && after.2.1 > before.2.1);
    let got = client.send("PATCH", "/acr/v1/a/_tags/v1", &[], "").await;
    assert_eq!(got.status, 200, "an empty change is a change of nothing");
    assert_eq!(times().await.2, after.2);
}

#[tokio::test]
async fn referrers_outlive_their_subject_and_come_in_pages() {
    let client = client().await;
    let subject = client.push_image("a", "v1", "layer").await;
    let config = r#"{"architecture":"arm64","os":"linux"}"#;
    let mut all = Vec::new();
    for kind in ["text/a", "text/b", "text/c"] {
        let fields = format!(
            r#"{{"artifactType":"{kind}","subject":{{"mediaType":"m","digest":"{subject}","size":1}},"#
        );
        let manifest = image(config, "layer").replacen('{', &fields, 1);
        let digest = Digest::sha256(manifest.as_bytes());
        let got = client.put_manifest("a", digest.as_str(), OCI_MANIFEST, &manifest).await;
        assert_eq!(got.status, 201);
        all.push(digest.to_string());
    }
    all.sort();
    let got = client.send("DELETE", &format!("/v2/a/manifests/{subject}"), &[], "").await;
    assert_eq!(got.status, 202);
    let mut path = format!("/v2/a/referrers/{subject}?n=2");
    let mut seen = Vec::new();
    for is_last in [false, true] {
        let got = client.get(&path).await;
        assert_eq!((got.status, got.header("content-type")), (200, OCI_INDEX));
        let items = got.json()["manifests"].as_array().unwrap().clone();
        seen.extend(items.iter().map(|item| item["digest"].as_str().unwrap().to_owned()));
        let link = got.header("link").to_owned();
        assert_eq!(link.is_empty(), is_last, "{link}");
        path = link.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
    }
    assert_eq!(seen, all);
}

#[tokio::test]
async fn quarantine_hides_a_manifest_from_tags_and_forbids_its_digest() {
    let client = client().await;
    let digest = client.push_image("a", "v1", "layer").await;
    let properties = format!("/acr/v1/a/_manifests/{digest}");
    let (by_tag, by_digest) = ("/v2/a/manifests/v1", format!("/v2/a/manifests/{digest}"));
    let accept = [("accept", "*/*")];
    let failed = r#"{"quarantineState":"Failed","quarantineDetails":"{\"state\":\"scan\"}"}"#;
    let got = client.send("PATCH", &properties, &[], failed).await;
    assert_eq!(got.json()["manifest"]["changeableAttributes"]["quarantineState"], "Failed");
    assert_eq!(
        got.json()["manifest"]["changeableAttributes"]["quarantineDetails"],
        "{\"state\":\"scan\"}",
        "a document inside a string"
    );
    let got = client.send("GET", by_tag, &accept, "").await;
    assert_eq!((got.status, got.code().as_str()), (404, "MANIFEST_UNKNOWN"));
    let got = client.send("GET", &by_digest, &accept, "").await;
    assert_eq!((got.status, got.code().as_str()), (405, "REGISTRY_DISALLOWED_OPERATION"));
    assert_eq!(client.get("/acr/v1/a/_tags/v1").await.json()["tag"]["quarantineState"], "Failed");
    let got = client.send("PATCH", &properties, &[], r#"{"quarantineState":"Passed"}"#).await;
    assert_eq!(got.status, 200);
    assert_eq!(client.send("GET", by_tag, &accept, "").await.status, 200);
    assert_eq!(client.send("GET", &by_digest, &accept, "").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_spent_before_any_question_of_rights() {
    let registry = FakeRegistry::builder().quota(Quota::new(2, 1)).build();
    let client = Client::full(&registry).await;
    let bare = Client::bare(&registry);
    for minute in 0..2 {
        assert_eq!(client.get("/v2/").await.status, 200, "{minute}");
        assert_eq!(bare.get("/v2/").await.status, 401, "also calls without a right count");
        for client in [&client, &bare] {
            let got = client.get("/v2/").await;
            assert_eq!((got.status, got.code().as_str()), (429, "TOOMANYREQUESTS"));
            assert!(got.text().contains("https://aka.ms/acr/skus#sku-feature-matrix"));
            assert!(!got.headers.contains_key("www-authenticate"));
        }
        let got = client.send("POST", "/v2/a/blobs/uploads/", &[], "").await;
        assert_eq!(got.status, 202, "writes are counted apart");
        let got = client.send("POST", "/v2/a/blobs/uploads/", &[], "").await;
        assert_eq!(got.status, 429);
        client.refresh_token().await;
        tokio::time::advance(Duration::from_secs(60)).await;
    }
}
