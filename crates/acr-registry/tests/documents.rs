//! What goes out as a manifest and what comes in as properties, to the last field.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod support;

use acr_core::{Digest, ErrorKind};
use acr_registry::{
    Architecture, ArtifactManifest, Descriptor, Document, ImageIndex, ImageManifest, MediaType,
    OperatingSystem, Order, Platform,
};
use acr_testkit::{FakeRegistry, Fault, Operation};
use support::{client, index, push, scripted, tag};

const ATTRIBUTES: &str = r#"{"deleteEnabled":true,"writeEnabled":false,"readEnabled":true,"listEnabled":false,"teleportEnabled":true,"quarantineState":"Passed","later":[1]}"#;

#[tokio::test]
async fn without_a_media_type_the_documents_own_is_sent_else_that_of_an_oci_image() {
    for (document, given, sent) in [
        (r#"{"mediaType":"application/x+json"}"#, None, "application/x+json"),
        ("{}", None, MediaType::OCI_MANIFEST.as_str()),
        ("not json", None, MediaType::OCI_MANIFEST.as_str()),
        (r#"{"mediaType":"application/x+json"}"#, Some("text/y"), "text/y"),
    ] {
        let (all, asked) = scripted(201, &[], "");
        let repo = all.repository("a").unwrap();
        let mut put = repo.put_manifest(document);
        if let Some(given) = given {
            put = put.media_type(given);
        }
        put.await.unwrap();
        let asked = asked.lock().unwrap();
        assert_eq!(asked[0].1["content-type"], sent, "{document}");
    }
    let (all, asked) = scripted(201, &[], "");
    let repo = all.repository("a").unwrap();
    let error = repo.put_manifest("{}").media_type("a\nb").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(asked.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_digest_that_comes_back_for_a_manifest_is_compared_with_ours() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let other = Digest::sha256(b"other");
    let fault = Fault::set_header(Operation::PutManifest, "Docker-Content-Digest", other.as_str());
    registry.inject(fault);
    let error = repo.put_manifest(index(1).to_json().unwrap()).tag(tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    registry.inject(Fault::remove_header(Operation::PutManifest, "Docker-Content-Digest"));
    let content = index(1).to_json().unwrap();
    let digest = repo.put_manifest(content.clone()).tag(tag("v1")).await.unwrap();
    assert_eq!(digest, Digest::sha256(&content));
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_pointed_elsewhere_with_the_same_bytes_under_the_same_type() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    // It does not say what it is: the registry does.
    let content = &br#"{"schemaVersion":2, "manifests":[]}"#[..];
    let put = repo.put_manifest(content).media_type(MediaType::OCI_INDEX).tag(tag("v1"));
    let digest = put.await.unwrap();
    push(&repo, 2, "stable").await;
    registry.journal().clear();
    assert_eq!(repo.tag(tag("v1"), tag("stable")).await.unwrap(), digest);
    assert_eq!(repo.tag_properties(&tag("stable")).await.unwrap().digest, digest);
    let tokens = [Operation::FetchAccessToken, Operation::ExchangeEntraToken].map(Some);
    let mut calls = registry.journal().operations();
    calls.retain(|operation| !tokens.contains(operation));
    let expected = [Operation::GetManifest, Operation::PutManifest, Operation::TagProperties];
    assert_eq!(calls, expected.map(Some));
    let manifest = repo.get_manifest(tag("stable")).await.unwrap();
    assert_eq!((&manifest.media_type, &manifest.content[..]), (&MediaType::OCI_INDEX, content));
    assert!(repo.tag(tag("absent"), tag("x")).await.unwrap_err().is_not_found());
    assert!(repo.tag_properties(&tag("x")).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn properties_of_tags_and_repositories_have_every_field() {
    let digest = Digest::sha256(b"1");
    let body = format!(
        r#"{{"registry":"r.azurecr.io","imageName":"a/b","tag":{{"name":"v1","digest":"{digest}",
        "createdTime":"2023-05-04T08:26:43.4961132Z","lastUpdateTime":"2023-05-04T08:26:42.03422Z",
        "signed":true,"quarantineState":"Odd","changeableAttributes":{ATTRIBUTES},"new":{{}}}}}}"#
    );
    let (all, _) = scripted(200, &[], &body);
    let got = all.repository("x").unwrap().tag_properties(&tag("v1")).await.unwrap();
    assert_eq!((got.registry.as_str(), got.repository.as_str()), ("r.azurecr.io", "a/b"));
    assert_eq!((got.name.as_str(), &got.digest, got.signed), ("v1", &digest, Some(true)));
    assert_eq!(got.created_at.unwrap().to_string(), "2023-05-04T08:26:43.4961132Z");
    assert_eq!(got.updated_at.unwrap().to_string(), "2023-05-04T08:26:42.03422Z");
    assert_eq!(got.quarantine_state.as_deref(), Some("Odd"));
    assert_eq!(
        (got.permissions.can_write(), got.permissions.can_list()),
        (Some(false), Some(false))
    );
    assert_eq!(got.unknown.names().collect::<Vec<_>>(), ["new"]);
    // What a tag has no name for is kept, though a repository or a manifest has one.
    let others: Vec<_> = got.unknown_attributes.names().collect();
    assert_eq!(others, ["later", "quarantineState", "teleportEnabled"]);

    let body = format!(
        r#"{{"registry":"r.azurecr.io","imageName":"a/b","createdTime":"2023-05-04T08:26:43.4961132Z",
        "lastUpdateTime":"2023-05-04T08:26:42.0342213Z","manifestCount":5000000000,"tagCount":7,
        "changeableAttributes":{ATTRIBUTES},"new":1}}"#
    );
    let (all, _) = scripted(200, &[], &body);
    let got = all.repository("x").unwrap().properties().await.unwrap();
    assert_eq!((got.registry.as_str(), got.name.as_str()), ("r.azurecr.io", "a/b"));
    assert_eq!(
        (got.manifest_count, got.tag_count, got.teleport),
        (Some(5_000_000_000), Some(7), Some(true))
    );
    assert!(got.updated_at < got.created_at, "from two clocks: not put right");
    assert_eq!(got.unknown.get::<u8>("new"), Some(1));
    let others: Vec<_> = got.unknown_attributes.names().collect();
    assert_eq!(others, ["later", "quarantineState"]);
}

#[tokio::test]
async fn a_list_that_is_null_or_empty_is_empty_and_says_whose_it_is_not() {
    for body in [
        r#"{"repositories":null,"tags":null,"manifests":null}"#,
        r#"{"registry":"r","imageName":"a","tags":[],"manifests":[],"repositories":[]}"#,
    ] {
        let (all, _) = scripted(200, &[], body);
        let repo = all.repository("a").unwrap();
        assert!(all.list_repositories().try_next().await.unwrap().is_none());
        assert!(repo.list_tags().try_next().await.unwrap().is_none());
        assert!(repo.list_manifests().try_next().await.unwrap().is_none());
        let referrers = repo.list_referrers(Digest::sha256(b"x")).try_next().await;
        assert!(referrers.unwrap().is_none());
    }
    let (all, _) = scripted(202, &[], r#"{"manifestsDeleted":null,"later":true}"#);
    let deletion = all.repository("a").unwrap().delete().await.unwrap();
    assert!(deletion.manifests.is_empty() && deletion.tags.is_empty());
    assert_eq!(deletion.unknown.get::<bool>("later"), Some(true));
}

/// The values that the SDKs of Microsoft list.
#[test]
fn open_vocabularies_know_what_the_sdks_know_and_take_what_is_new() {
    let architectures =
        "386 amd64 arm arm64 mips mips64 mips64le mipsle ppc64 ppc64le riscv64 s390x wasm";
    for text in architectures.split(' ') {
        assert!(Architecture::known().iter().any(|known| known.as_str() == text), "{text}");
    }
    let systems = "aix android darwin dragonfly freebsd illumos ios js linux netbsd openbsd plan9 solaris windows";
    for text in systems.split(' ') {
        assert!(OperatingSystem::known().iter().any(|known| known.as_str() == text), "{text}");
    }
    let orders: Vec<&str> = Order::known().iter().map(Order::as_str).collect();
    assert_eq!(orders, ["none", "timeasc", "timedesc"]);
    for text in [
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ] {
        assert!(MediaType::known().iter().any(|known| known.as_str() == text), "{text}");
    }
    let new: Architecture = serde_json::from_str("\"quantum\"").unwrap();
    assert_eq!(
        (new.as_str(), serde_json::to_string(&new).unwrap().as_str()),
        ("quantum", "\"quantum\"")
    );
    assert!(!Architecture::known().contains(&new));
}

#[test]
fn builders_make_images_indexes_and_artifacts_that_miss_nothing() {
    let layer = Descriptor::of("application/x.layer", b"layer").annotation("k", "v");
    let config = Descriptor::of(MediaType::OCI_CONFIG, b"{}");
    let image = ImageManifest::new(config).layer(layer.clone()).annotation("a", "b");
    assert!(image.missing().is_empty());
    let content = image.to_json().unwrap();
    let entry = Descriptor::of(MediaType::OCI_MANIFEST, &content);
    let index = ImageIndex::new()
        .manifest(entry.clone().platform(Platform::new("linux", "amd64")))
        .artifact_type("application/x.bundle");
    assert!(index.missing().is_empty());
    let wanted = Platform::new(OperatingSystem::LINUX.as_str(), Architecture::AMD64.as_str());
    assert_eq!(index.select(&wanted).unwrap().digest().unwrap(), Digest::sha256(&content));
    let artifact = ArtifactManifest::new("application/x.sbom").blob(layer).subject(entry);
    assert!(artifact.missing().is_empty());
    assert_eq!(ArtifactManifest::default().missing(), ["artifactType"]);
    let empty = ImageManifest::artifact("application/x.sbom");
    assert_eq!(empty.config.as_ref().unwrap().size, Some(2));
    // Read again, nothing is another, and what has no name here is kept.
    let odd = br#"{"schemaVersion":2,"layers":[],"config":{"mediaType":"m","digest":"d","size":1,"x":[1]},"y":{"z":null}}"#;
    let view: ImageManifest = serde_json::from_slice(odd).unwrap();
    let back: serde_json::Value = serde_json::from_slice(&view.to_json().unwrap()).unwrap();
    assert_eq!(back, serde_json::from_slice::<serde_json::Value>(odd).unwrap());
}

#[tokio::test]
async fn each_media_type_has_its_view_and_an_unknown_one_none() {
    for (media_type, document) in [
        (MediaType::OCI_MANIFEST, r#"{"layers":[]}"#),
        (MediaType::DOCKER_MANIFEST, r#"{"config":{},"layers":[]}"#),
        (MediaType::OCI_INDEX, r#"{"manifests":[]}"#),
        (MediaType::DOCKER_LIST, r#"{"manifests":[]}"#),
        (MediaType::OCI_ARTIFACT, r#"{"blobs":[]}"#),
        (MediaType::ORAS_ARTIFACT, r#"{"blobs":null}"#),
    ] {
        let (all, _) = scripted(200, &[("content-type", media_type.as_str())], document);
        let manifest = all.repository("a").unwrap().get_manifest(tag("t")).await.unwrap();
        let kind = match manifest.document().unwrap() {
            Document::Image(_) => "image",
            Document::Index(_) => "index",
            Document::Artifact(_) => "artifact",
            other => panic!("{other:?}"),
        };
        assert!(
            media_type.as_str().contains(kind)
                || kind == "index" && media_type == MediaType::DOCKER_LIST
                || kind == "image" && media_type == MediaType::DOCKER_MANIFEST,
            "{media_type} read as {kind}"
        );
    }
    let (all, _) = scripted(200, &[("content-type", "text/x")], "anything");
    let manifest = all.repository("a").unwrap().get_manifest(tag("t")).await.unwrap();
    assert_eq!((manifest.media_type.as_str(), &manifest.content[..]), ("text/x", &b"anything"[..]));
    assert_eq!(manifest.document().unwrap_err().kind(), ErrorKind::Protocol);
}
