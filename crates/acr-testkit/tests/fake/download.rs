//! Downloads: the redirect, the signed link, ranges.

use std::time::Duration;

use acr_testkit::{BlobDelivery, FakeRegistry, Origin};

use crate::support::Client;

async fn pushed(registry: &FakeRegistry) -> (Client, String) {
    let client = Client::full(registry).await;
    let digest = client.push_blob("a", "hello world").await;
    (client, format!("/v2/a/blobs/{digest}"))
}

#[tokio::test]
async fn a_blob_is_behind_a_signed_link() {
    let registry = FakeRegistry::new();
    let (client, path) = pushed(&registry).await;
    let digest = path.rsplit('/').next().unwrap();
    let got = client.get(&path).await;
    assert_eq!((got.status, got.header("docker-content-digest")), (307, digest));
    assert_eq!(got.header("content-type"), "text/html; charset=utf-8");
    let link = got.location();
    let page = format!("<a href=\"{}\">Temporary Redirect</a>.\n\n", link.replace('&', "&amp;"));
    assert_eq!(got.text(), page);
    assert!(link.starts_with("https://fakestorage.blob.core.windows.net/"), "{link}");
    assert!(link.contains("//docker/registry/v2/blobs/sha256/b9/b94d27b9934d3e08"), "{link}");
    for part in ["?se=", "&sig=canary-link-", "%3D&sp=r", "&spr=https", "&sr=b", "&sv="] {
        assert!(link.contains(part), "{part} in {link}");
    }
    assert_eq!(client.get(&path).await.location(), link, "the same within a second");

    let got = Client::bare(&registry).get(&link).await;
    assert_eq!((got.status, got.text()), (200, "hello world"));
    assert!(!got.headers.contains_key("docker-content-digest"));
    assert!(!got.headers.contains_key("x-ms-correlation-request-id"));
    assert!(got.header("etag").starts_with("\"0x"));
    assert!(got.header("server").starts_with("Windows-Azure-Blob"));
}

#[tokio::test]
async fn the_storage_refuses_credentials_and_forged_links() {
    let registry = FakeRegistry::new();
    let (client, path) = pushed(&registry).await;
    let link = client.get(&path).await.location();
    let got = client.get(&link).await;
    assert_eq!((got.status, got.header("content-type")), (400, "application/xml"));
    assert!(got.text().contains("<Code>InvalidAuthenticationInfo</Code>"));
    let bare = Client::bare(&registry);
    for forged in [
        link.replacen("b94d27b9", "b94d27b8", 1),
        link.replacen("se=2", "se=3", 1),
        link.replacen("canary-link-0000", "canary-link-0001", 1),
        link.replacen("%3D", "", 1),
        link.replacen("//docker", "/docker", 1),
        link.split('?').next().unwrap().to_owned(),
        "https://fakestorage.blob.core.windows.net/".to_owned(),
    ] {
        let got = bare.get(&forged).await;
        assert_eq!(got.status, 403, "{forged}");
        assert!(got.text().contains("<Code>AuthenticationFailed</Code>"));
    }
    let authorized: Vec<_> = registry.journal().entries();
    let storage: Vec<_> = authorized.iter().filter(|e| e.origin == Origin::Storage).collect();
    assert_eq!(storage.iter().filter(|e| e.authorized).count(), 1);
    assert!(!registry.journal().to_string().contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn links_expire() {
    let registry = FakeRegistry::builder().link_lifetime(Duration::from_secs(30)).build();
    let (client, path) = pushed(&registry).await;
    let link = client.get(&path).await.location();
    let bare = Client::bare(&registry);
    assert_eq!(bare.get(&link).await.status, 200);
    tokio::time::advance(Duration::from_secs(31)).await;
    assert_eq!(bare.get(&link).await.status, 403);
    let fresh = client.get(&path).await.location();
    assert_eq!(bare.get(&fresh).await.status, 200);
}

#[tokio::test]
async fn ranges_at_the_storage_and_direct() {
    let registry = FakeRegistry::new();
    let (client, path) = pushed(&registry).await;
    let link = client.get(&path).await.location();
    let direct = FakeRegistry::builder().blobs(BlobDelivery::Direct).build();
    let (direct, direct_path) = pushed(&direct).await;
    for (client, target) in [(Client::bare(&registry), link), (direct, direct_path)] {
        for (range, status, text, content_range) in [
            ("bytes=0-4", 206, "hello", "bytes 0-4/11"),
            ("bytes=6-", 206, "world", "bytes 6-10/11"),
            ("bytes=6-99", 206, "world", "bytes 6-10/11"),
            ("bytes=-5", 200, "hello world", ""),
        ] {
            let got = client.send("GET", &target, &[("range", range)], "").await;
            assert_eq!((got.status, got.text()), (status, text), "{range}");
            assert_eq!(got.header("content-range"), content_range);
            assert_eq!(got.header("content-length"), text.len().to_string());
        }
        let got = client.send("GET", &target, &[("range", "bytes=11-")], "").await;
        assert_eq!((got.status, got.header("content-range")), (416, "bytes */11"));
        assert!(got.text().contains("<Code>InvalidRange</Code>"));
    }
}

#[tokio::test]
async fn direct_delivery_has_no_redirect() {
    let registry = FakeRegistry::builder().blobs(BlobDelivery::Direct).build();
    let (client, path) = pushed(&registry).await;
    let got = client.get(&path).await;
    assert_eq!((got.status, got.text()), (200, "hello world"));
    assert!(path.ends_with(got.header("docker-content-digest")));
}

#[tokio::test]
async fn deleted_blobs_are_gone_but_not_from_other_repositories() {
    let registry = FakeRegistry::new();
    let (client, path) = pushed(&registry).await;
    client.push_blob("b", "hello world").await;
    let link = client.get(&path).await.location();
    assert_eq!(client.send("DELETE", &path, &[], "").await.status, 202);
    let got = client.send("DELETE", &path, &[], "").await;
    assert_eq!(got.status, 404);
    assert_eq!(
        got.text(),
        "{\"errors\":[{\"code\":\"BLOB_UNKNOWN\",\"message\":\"blob unknown to registry\"}]}\n"
    );
    let got = client.get(&path).await;
    assert_eq!((got.status, got.header("content-length")), (404, "157"));
    let other = path.replacen("/a/", "/b/", 1);
    assert_eq!(client.send("HEAD", &other, &[], "").await.status, 200);
    assert_eq!(client.send("DELETE", &other, &[], "").await.status, 202);
    let got = Client::bare(&registry).get(&link).await;
    assert_eq!(got.status, 404);
    assert!(got.text().contains("BlobNotFound"));
}

#[tokio::test]
async fn no_other_host_is_served_in_process() {
    let client = Client::bare(&FakeRegistry::new());
    for url in [
        "https://example.com/v2/",
        "http://fakeregistry.azurecr.io/v2/",
        "https://fakeregistry.azurecr.io:444/v2/",
    ] {
        assert!(client.try_send("GET", url, &[], "").await.is_err(), "{url}");
    }
}
