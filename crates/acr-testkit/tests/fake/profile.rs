//! What the specification allows and Azure Container Registry refuses; how it was in its time.

use acr_core::{Algorithm, Digest, Digester};
use acr_testkit::{Era, FakeRegistry, Profile};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use crate::support::{Client, Got, HOST, OCI_INDEX, OCI_MANIFEST, image};

const CONFIG: &str = r#"{"architecture":"arm64","os":"linux"}"#;
const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";

async fn with(profile: Profile) -> Client {
    Client::full(&FakeRegistry::builder().profile(profile).build()).await
}

/// The client of the one profile, then that of the other.
async fn both() -> [(bool, Client); 2] {
    [(false, with(Profile::Acr).await), (true, with(Profile::Oci).await)]
}

fn sha512(content: &[u8]) -> Digest {
    let mut digester = Digester::new(Algorithm::Sha512);
    digester.update(content);
    digester.finish()
}

async fn push(client: &Client, content: &'static str, digest: &Digest) -> Got {
    let location = client.start("a").await;
    client.send("PUT", &format!("{location}&digest={digest}"), &[], content).await
}

#[tokio::test]
async fn sha512_names_content_only_where_the_specification_rules() {
    let large: &'static str = Box::leak("x".repeat(2 << 20).into_boxed_str());
    for (is_oci, client) in both().await {
        for content in ["hello world", large] {
            let digest = sha512(content.as_bytes());
            let got = push(&client, content, &digest).await;
            if !is_oci {
                assert_eq!((got.status, got.code().as_str()), (400, "DIGEST_INVALID"));
                continue;
            }
            assert_eq!((got.status, got.header("docker-content-digest")), (201, digest.as_str()));
            let got = client.get(&format!("/v2/a/blobs/{digest}")).await;
            let bare = Client::bare(&client.registry);
            let got = bare.send("GET", &got.location(), &[], "").await;
            assert_eq!((got.status, got.text() == content), (200, true));
            let got = push(&client, content, &sha512(b"something else")).await;
            assert_eq!((got.status, got.code().as_str()), (400, "DIGEST_INVALID"));
        }
        client.push_image("a", "v1", "layer").await;
        let manifest = image(CONFIG, "layer");
        let digest = sha512(manifest.as_bytes());
        let got = client.put_manifest("a", digest.as_str(), OCI_MANIFEST, &manifest).await;
        assert_eq!(got.status, if is_oci { 201 } else { 400 });
        if is_oci {
            let got = client.get(&format!("/v2/a/manifests/{digest}")).await;
            assert_eq!(
                (got.text(), got.header("docker-content-digest")),
                (&*manifest, digest.as_str())
            );
        }
    }
}

#[tokio::test]
async fn tags_are_deleted_and_given_through_the_content_interface() {
    for (is_oci, client) in both().await {
        let digest = client.push_image("a", "v1", "layer").await;
        let got = client.send("DELETE", "/v2/a/manifests/v1", &[], "").await;
        assert_eq!(got.status, if is_oci { 202 } else { 405 });
        let got = client.get("/v2/a/tags/list").await;
        let tags = got.json()["tags"].clone();
        assert_eq!(tags, if is_oci { json!([]) } else { json!(["v1"]) });
        let got = client.send("DELETE", "/v2/a/manifests/nobody", &[], "").await;
        assert_eq!(got.status, if is_oci { 404 } else { 405 });

        let path = format!("{digest}?tag=x&tag=y");
        let got = client.put_manifest("a", &path, OCI_MANIFEST, &image(CONFIG, "layer")).await;
        assert_eq!(got.status, 201);
        let told: Vec<_> = got.headers.get_all("oci-tag").iter().collect();
        assert_eq!(told, if is_oci { vec!["x", "y"] } else { vec![] });
        let tags = client.get("/v2/a/tags/list").await.json()["tags"].clone();
        assert_eq!(tags, if is_oci { json!(["x", "y"]) } else { json!(["v1"]) });
        let path = format!("{digest}?tag=-x");
        let got = client.put_manifest("a", &path, OCI_MANIFEST, &image(CONFIG, "layer")).await;
        assert_eq!(got.status, if is_oci { 400 } else { 201 });
    }
}

#[tokio::test]
async fn parts_may_be_missing_where_the_specification_rules() {
    for (is_oci, client) in both().await {
        let missing = Digest::sha256(b"nobody has pushed this");
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{missing}","size":1}}]}}"#
        );
        let got = client.put_manifest("a", "sparse", OCI_INDEX, &index).await;
        assert_eq!(got.status, if is_oci { 201 } else { 400 });
        client.push_blob("a", CONFIG).await;
        let manifest = image(CONFIG, "layer");
        let got = client.put_manifest("a", "v1", OCI_MANIFEST, &manifest).await;
        assert_eq!(got.status, if is_oci { 201 } else { 400 });
        let empty = r#"{"schemaVersion":2,"manifests":null}"#;
        let got = client.put_manifest("a", "empty", OCI_INDEX, empty).await;
        assert_eq!(got.status, if is_oci { 201 } else { 400 });
        let got = client.put_manifest("a", "sha256:baddigest", OCI_MANIFEST, &manifest).await;
        assert_eq!(got.status, if is_oci { 400 } else { 404 });
        assert_eq!(is_oci, got.text().contains("DIGEST_INVALID"));
    }
}

#[tokio::test]
async fn e7_a_digest_in_upper_case_is_no_digest_where_the_specification_rules() {
    for (is_oci, client) in both().await {
        let known = client.push_image("a", "v1", "layer").await;
        let layer = client.push_blob("a", "layer").await;
        let upper = |digest: &Digest| format!("sha256:{}", digest.hex().to_ascii_uppercase());
        let (known, layer) = (upper(&known), upper(&layer));
        for (method, target) in [
            ("GET", format!("/v2/a/blobs/{layer}")),
            ("HEAD", format!("/v2/a/blobs/{layer}")),
            ("DELETE", format!("/v2/a/blobs/{layer}")),
            ("GET", format!("/v2/a/manifests/{known}")),
            ("HEAD", format!("/v2/a/manifests/{known}")),
            ("DELETE", format!("/v2/a/manifests/{known}")),
            ("GET", format!("/v2/a/referrers/{known}")),
            ("POST", format!("/v2/b/blobs/uploads/?mount={layer}&from=a")),
            ("POST", format!("/v2/b/blobs/uploads/?mount={layer}")),
        ] {
            let got = client.send(method, &target, &[], "").await;
            assert_eq!(got.status == 400, is_oci, "{method} {target}: {got:?}");
            if is_oci && method != "HEAD" {
                assert_eq!(got.code(), "DIGEST_INVALID", "{method} {target}");
            }
        }
        for (method, target) in [
            ("POST", format!("/v2/a/blobs/uploads/?digest={layer}")),
            ("PUT", format!("{}&digest={layer}", client.start("a").await)),
        ] {
            let got = client.send(method, &target, &[], "layer").await;
            assert_eq!((got.status, got.code().as_str()), (400, "DIGEST_INVALID"), "{target}");
        }
        let got = client.put_manifest("a", &known, OCI_MANIFEST, &image(CONFIG, "layer")).await;
        assert_eq!((got.status, got.code().as_str()), (400, "DIGEST_INVALID"));
        // Nor may a manifest name one.
        let part = format!(r#"{{"mediaType":"{OCI_MANIFEST}","digest":"{known}","size":1}}"#);
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{part}]}}"#);
        let got = client.put_manifest("a", "index", OCI_INDEX, &index).await;
        assert_eq!(got.status, 400, "{got:?}");
        let index = format!(r#"{{"schemaVersion":2,"manifests":[],"subject":{part}}}"#);
        let got = client.put_manifest("a", "index", OCI_INDEX, &index).await;
        assert_eq!(got.status, if is_oci { 400 } else { 201 }, "{got:?}");
        // What exists is still there.
        assert_eq!(client.get("/v2/a/manifests/v1").await.status, if is_oci { 200 } else { 404 });
    }
}

#[tokio::test]
async fn every_range_is_served_where_the_specification_rules() {
    for (is_oci, client) in both().await {
        let digest = client.push_blob("a", "hello world").await;
        let link = client.get(&format!("/v2/a/blobs/{digest}")).await.location();
        let bare = Client::bare(&client.registry);
        let got = bare.get(&link).await;
        assert_eq!(got.headers.contains_key("docker-content-digest"), is_oci);
        for (range, status, text) in [
            ("bytes=-5", 206, "world"),
            ("bytes=-50", 206, "hello world"),
            ("bytes=5-0", 416, ""),
            ("bytes=-0", 416, ""),
        ] {
            let got = bare.send("GET", &link, &[("range", range)], "").await;
            if is_oci {
                assert_eq!(got.status, status, "{range}");
                assert!(status == 416 || got.text() == text, "{range}");
            } else {
                assert_eq!((got.status, got.text()), (200, "hello world"), "{range} is ignored");
            }
        }
    }
}

#[tokio::test]
async fn a_mount_without_a_source_looks_everywhere_or_nowhere() {
    for (is_oci, client) in both().await {
        let digest = client.push_blob("source", "hello world").await;
        let path = format!("/v2/target/blobs/uploads/?mount={digest}");
        let got = client.send("POST", &path, &[], "").await;
        assert_eq!(got.status, if is_oci { 201 } else { 202 });
        let got = client.send("HEAD", &format!("/v2/target/blobs/{digest}"), &[], "").await;
        assert_eq!(got.status, if is_oci { 200 } else { 404 });
        let unknown = path.replace(digest.as_str(), Digest::sha256(b"nobody").as_str());
        assert_eq!(client.send("POST", &unknown, &[], "").await.status, 202);
    }
}

#[tokio::test]
async fn lists_and_accept_are_read_to_the_letter() {
    for (is_oci, client) in both().await {
        let got = client.get("/v2/_catalog").await;
        let expected = if is_oci { json!([]) } else { json!(null) };
        assert_eq!(got.json()["repositories"], expected);
        assert_eq!(client.get("/acr/v1/_catalog").await.json()["repositories"], json!(null));
        client.push_image("a", "v1", "layer").await;
        let got = client.get("/v2/a/tags/list?n=0").await;
        assert_eq!(got.status, if is_oci { 200 } else { 400 });
        assert!(!got.headers.contains_key("link"));
        let got = client.send("GET", "/v2/a/manifests/v1", &[("accept", OCI_INDEX)], "").await;
        assert_eq!(got.status, if is_oci { 200 } else { 404 });
    }
}

#[tokio::test]
async fn without_referrers_clients_must_fall_back() {
    let client = Client::full(&FakeRegistry::builder().without_referrers().build()).await;
    let subject = client.push_image("a", "v1", "layer").await;
    let got = client.get(&format!("/v2/a/referrers/{subject}")).await;
    assert_eq!((got.status, got.text()), (404, "404 page not found\n"));
    let fields = format!(r#"{{"subject":{{"mediaType":"m","digest":"{subject}","size":1}},"#);
    let manifest = image(CONFIG, "layer").replacen('{', &fields, 1);
    let got = client.put_manifest("a", "x", OCI_MANIFEST, &manifest).await;
    assert_eq!((got.status, got.headers.contains_key("oci-subject")), (201, false));
}

#[tokio::test]
async fn eras_differ_where_recordings_do() {
    for (era, server, error, audience, has_config, artifact) in [
        (Era::Year2021, "openresty", true, "retrieving permissions failed", false, 404),
        (Era::Year2024, "openresty", false, "retrieving permissions failed", true, 404),
        (Era::Year2026, "AzureContainerRegistry", false, "token validation failed", true, 200),
    ] {
        let registry = FakeRegistry::builder().era(era).build();
        let bare = Client::bare(&registry);
        let got = bare.get("/acr/v1/a").await;
        assert_eq!(got.header("server"), server);
        let blamed = got.header("www-authenticate").ends_with(",error=\"invalid_token\"");
        assert_eq!(blamed, error, "{era:?}");
        let token = URL_SAFE_NO_PAD.encode(r#"{"aud":"https://example.com"}"#);
        let form = format!("grant_type=access_token&service={HOST}&access_token=e30.{token}.c2ln");
        let got = bare.form("/oauth2/exchange", form).await;
        assert_eq!(got.json()["errors"][0]["message"], audience);
        assert!(got.text().ends_with("}]}"), "no newline here");

        let client = Client::full(&registry).await;
        let digest = client.push_image("a", "v1", "layer").await;
        let properties = client.get(&format!("/acr/v1/a/_manifests/{digest}")).await.json();
        assert_eq!(properties["manifest"].get("configMediaType").is_some(), has_config);
        let manifest = format!(r#"{{"mediaType":"{OCI_ARTIFACT}","artifactType":"t","blobs":[]}}"#);
        let got = client.put_manifest("a", "x", OCI_ARTIFACT, &manifest).await;
        assert_eq!(got.status, 201);
        let got = client.send("GET", "/v2/a/manifests/x", &[("accept", "*/*")], "").await;
        assert_eq!(got.status, artifact, "{era:?}");
        if artifact == 404 {
            let message = got.json()["errors"][0]["message"].clone();
            let expected = "OCI artifact found, but accept header does not support OCI artifacts";
            assert_eq!(message, expected);
        }
        let got = client.send("GET", "/v2/a/manifests/x", &[("accept", OCI_ARTIFACT)], "").await;
        assert_eq!(got.status, 200);
    }
}
