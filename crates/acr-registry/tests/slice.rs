//! The metadata client against the fake registry, in process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

use std::time::{Duration, SystemTime};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_core::{Digest, ErrorCode, ErrorKind, Pipeline, Tag, Was};
use acr_registry::{MediaType, Permissions, RegistryClient, RepositoryClient};
use acr_testkit::{FakeRegistry, Fault, Kind, Operation};

fn pipeline(registry: &FakeRegistry) -> Pipeline {
    let token = registry.entra_token();
    let source = credential_fn(move |_| {
        let token = AccessToken::new(token.clone(), SystemTime::now() + Duration::from_secs(3600));
        async move { Ok(token) }
    });
    let auth = AuthLayer::new(&registry.endpoint(), Credential::entra(source));
    Pipeline::builder(registry.endpoint())
        .transport(registry.transport())
        .layer_per_hop(auth)
        .build()
        .unwrap()
}

fn client(registry: &FakeRegistry) -> RegistryClient {
    RegistryClient::new(pipeline(registry))
}

/// An index without children: needs no blobs, and any number of them differ.
fn index(n: usize) -> Vec<u8> {
    let media_type = MediaType::OCI_INDEX;
    format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[],"annotations":{{"n":"{n}"}}}}"#)
        .into_bytes()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// A repository with `count` manifests, tagged `v000`, `v001`, ….
async fn filled(registry: &FakeRegistry, count: usize) -> RepositoryClient {
    let repo = client(registry).repository("library/app").unwrap();
    for n in 0..count {
        repo.put_manifest(index(n)).tag(tag(&format!("v{n:03}"))).await.unwrap();
    }
    repo
}

#[tokio::test(start_paused = true)]
async fn a_manifest_comes_back_byte_for_byte_by_tag_and_by_digest() {
    let registry = FakeRegistry::new();
    let repo = client(&registry).repository("library/app").unwrap();
    // Odd spacing and escapes must survive.
    let content = br#"{ "schemaVersion":2, "mediaType" : "application\/vnd.oci.image.index.v1+json","manifests":[] }"#;
    let digest = repo.put_manifest(&content[..]).tag(tag("v1")).await.unwrap();
    assert_eq!(digest, Digest::sha256(content));
    let by_tag = repo.get_manifest(tag("v1")).await.unwrap();
    let by_digest = repo.get_manifest(&digest).await.unwrap();
    assert_eq!(by_tag, by_digest);
    assert_eq!(by_tag.content, &content[..]);
    assert_eq!(by_tag.media_type, MediaType::OCI_INDEX);
}

#[tokio::test(start_paused = true)]
async fn lists_give_every_item_once_at_one_request_per_page() {
    let registry = FakeRegistry::new();
    let repo = filled(&registry, 7).await;
    registry.journal().clear();
    let mut tags = repo.list_tags().page_size(3);
    let mut seen = Vec::new();
    while let Some(tag) = tags.try_next().await.unwrap() {
        seen.push(tag.name.to_string());
    }
    let expected: Vec<_> = (0..7).map(|n| format!("v{n:03}")).collect();
    assert_eq!(seen, expected);
    let entries = registry.journal().entries();
    assert_eq!(entries.iter().filter(|e| e.operation == Some(Operation::ListTags)).count(), 3);

    let mut manifests = repo.list_manifests().page_size(2);
    let mut digests = Vec::new();
    while let Some(manifest) = manifests.try_next().await.unwrap() {
        assert_eq!(manifest.tags.len(), 1);
        assert_eq!(manifest.media_type, Some(MediaType::OCI_INDEX));
        digests.push(manifest.digest);
    }
    assert_eq!(digests.len(), 7);
    assert!(digests.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn the_catalog_is_empty_then_lists_names_in_order() {
    let registry = FakeRegistry::new();
    let client = client(&registry);
    assert_eq!(client.list_repositories().try_next().await.unwrap(), None);
    for name in ["b/x", "a", "c"] {
        client.repository(name).unwrap().put_manifest(index(0)).await.unwrap();
    }
    let mut names = Vec::new();
    let mut pager = client.list_repositories().page_size(1);
    while let Some(name) = pager.try_next().await.unwrap() {
        names.push(name.to_string());
    }
    assert_eq!(names, ["a", "b/x", "c"]);
}

#[tokio::test(start_paused = true)]
async fn properties_are_read_and_locks_are_set_one_by_one() {
    let registry = FakeRegistry::new();
    let repo = filled(&registry, 2).await;
    let properties = repo.properties().await.unwrap();
    assert_eq!(properties.name.as_str(), "library/app");
    assert_eq!((properties.manifest_count, properties.tag_count), (Some(2), Some(2)));
    let all = Permissions::new().delete(true).write(true).list(true).read(true);
    assert_eq!(properties.permissions, all);

    let v0 = tag("v000");
    let digest = repo.tag_properties(&v0).await.unwrap().digest;
    let locked = repo.update_tag_properties(&v0, &Permissions::new().delete(false)).await.unwrap();
    assert_eq!(locked.permissions, all.delete(false));
    let locked = repo.update_tag_properties(&v0, &Permissions::new().write(false)).await.unwrap();
    assert_eq!(locked.permissions, all.delete(false).write(false));
    let manifest = repo.manifest_properties(&digest).await.unwrap();
    assert_eq!(manifest.permissions, all, "a locked tag does not lock its manifest");
    let manifest =
        repo.update_manifest_properties(&digest, &Permissions::new().read(false)).await.unwrap();
    assert_eq!(manifest.permissions, all.read(false));
    let repository = repo.update_properties(&Permissions::new().list(false)).await.unwrap();
    assert_eq!(repository.permissions, all.list(false));
}

#[tokio::test(start_paused = true)]
async fn a_locked_tag_cannot_be_deleted_and_says_so() {
    let registry = FakeRegistry::new();
    let repo = filled(&registry, 1).await;
    let v0 = tag("v000");
    repo.update_tag_properties(&v0, &Permissions::new().delete(false)).await.unwrap();
    let error = repo.delete_tag(&v0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disallowed);
    assert_eq!(error.code(), Some(&ErrorCode::REGISTRY_DISALLOWED_OPERATION));
    assert!(!error.is_retryable());
    let text = error.to_string();
    assert!(
        text.starts_with("delete_tag `library/app:v000`: 405 REGISTRY_DISALLOWED_OPERATION: "),
        "{text}"
    );
    repo.update_tag_properties(&v0, &Permissions::new().delete(true)).await.unwrap();
    assert_eq!(repo.delete_tag(&v0).await.unwrap(), Was::Existed);
}

#[tokio::test(start_paused = true)]
async fn deletions_tell_deleted_from_absent() {
    let registry = FakeRegistry::new();
    let repo = filled(&registry, 2).await;
    assert_eq!(repo.delete_tag(&tag("v000")).await.unwrap(), Was::Existed);
    assert_eq!(repo.delete_tag(&tag("v000")).await.unwrap(), Was::Absent);
    let digest = repo.tag_properties(&tag("v001")).await.unwrap().digest;
    assert_eq!(repo.delete_manifest(&digest).await.unwrap(), Was::Existed);
    assert_eq!(repo.delete_manifest(&digest).await.unwrap(), Was::Absent);
    let gone = repo.delete().await.unwrap();
    assert_eq!((gone.was, gone.manifests.len()), (Was::Existed, 1));
    assert_eq!(repo.delete().await.unwrap().was, Was::Absent);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_not_found_with_the_registrys_code() {
    let registry = FakeRegistry::new();
    let repo = filled(&registry, 1).await;
    let absent = Digest::sha256(b"absent");
    let errors = [
        (repo.tag_properties(&tag("x")).await.unwrap_err(), ErrorCode::TAG_UNKNOWN),
        (repo.get_manifest(tag("x")).await.unwrap_err(), ErrorCode::MANIFEST_UNKNOWN),
        (repo.get_manifest(&absent).await.unwrap_err(), ErrorCode::MANIFEST_UNKNOWN),
        (repo.manifest_properties(&absent).await.unwrap_err(), ErrorCode::MANIFEST_UNKNOWN),
        (
            client(&registry).repository("other").unwrap().properties().await.unwrap_err(),
            ErrorCode::NAME_UNKNOWN,
        ),
    ];
    for (error, code) in errors {
        assert!(error.is_not_found());
        assert_eq!(error.code(), Some(&code), "{error}");
        assert!(error.correlation_id().is_some() && error.request_id().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_names_a_missing_blob_is_rejected_with_every_digest() {
    let registry = FakeRegistry::new();
    let repo = client(&registry).repository("library/app").unwrap();
    let (a, b) = (Digest::sha256(b"a"), Digest::sha256(b"b"));
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"application/x","digest":"{a}","size":1}},"layers":[{{"mediaType":"application/x","digest":"{b}","size":1}}]}}"#,
        MediaType::OCI_MANIFEST
    );
    let error = repo.put_manifest(manifest).tag(tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    let missing: Vec<String> = error.details().iter().filter_map(|d| d.json()).collect();
    assert_eq!(missing.len(), 2);
    assert!(missing.contains(&a.to_string()) && missing.contains(&b.to_string()));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_byte_in_a_manifest_is_an_integrity_error() {
    let registry = FakeRegistry::new();
    let repo = filled(&registry, 1).await;
    registry.inject(Fault::corrupt(Operation::GetManifest, 10).times(2));
    let digest = repo.tag_properties(&tag("v000")).await.unwrap().digest;
    for error in [
        repo.get_manifest(&digest).await.unwrap_err(),
        repo.get_manifest(tag("v000")).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Integrity);
    }
    assert!(repo.get_manifest(&digest).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_manifest_beyond_the_limit_is_refused_while_it_is_read() {
    let registry = FakeRegistry::new();
    let repo = filled(&registry, 1).await;
    let error = repo.get_manifest(tag("v000")).max_size(20).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn server_failures_are_retried_for_reads_and_not_for_moves() {
    let registry = FakeRegistry::new();
    let repo = filled(&registry, 1).await;
    registry.inject(Fault::status(Operation::TagProperties, 1, 503).times(2));
    assert!(repo.tag_properties(&tag("v000")).await.is_ok());
    registry.inject(Fault::status(Operation::DeleteTag, 1, 503));
    let error = repo.delete_tag(&tag("v000")).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Server, 1));
    assert!(repo.tag_properties(&tag("v000")).await.is_ok(), "nothing was deleted");
}

#[tokio::test(start_paused = true)]
async fn names_that_are_none_send_nothing() {
    let registry = FakeRegistry::new();
    for bad in ["Library/App", "a//b", "../x", ""] {
        let error = client(&registry).repository(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert!(registry.journal().entries().is_empty());
    assert_eq!(registry.journal().count(Kind::Other), 0);
}
