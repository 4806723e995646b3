//! Soft-deleted artifacts, on an emulator with the policy and on a scripted registry.

#![cfg(feature = "preview")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::time::Duration;

use acr_core::{ErrorCode, ErrorKind};
use acr_registry::{RegistryClient, TagConflict};
use acr_testkit::{FakeRegistry, Operation};
use support::{client, lines, pipeline, push, scripted, tag};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(start_paused = true)]
async fn what_was_deleted_is_listed_in_pages_and_comes_back() {
    let registry = FakeRegistry::builder().soft_delete(7 * DAY).build();
    let all = RegistryClient::new(pipeline(&registry));
    let repo = client(&registry);
    assert!(all.list_deleted_repositories().try_next().await.unwrap().is_none());
    let mut digests = Vec::new();
    for n in 0..3 {
        digests.push(push(&repo, n, &format!("v{n}")).await);
    }
    digests.sort();
    let deletion = repo.delete().await.unwrap();
    assert_eq!(deletion.manifests.len(), 3);

    let gone = all.list_deleted_repositories().try_next().await.unwrap().unwrap();
    assert_eq!(&gone.name, repo.repository());
    assert!(gone.deleted_at.is_some());
    assert_eq!(gone.unknown.names().collect::<Vec<_>>(), ["createdAt"]);

    registry.journal().clear();
    let mut listed = Vec::new();
    let mut manifests = repo.list_deleted_manifests().page_size(1);
    while let Some(manifest) = manifests.try_next().await.unwrap() {
        assert!(manifest.deleted_at.is_some());
        listed.push(manifest.digest);
    }
    assert_eq!(listed, digests);
    assert_eq!(registry.journal().count_of(Operation::ListDeletedManifests), 3);

    let mut tags = repo.list_deleted_tags();
    let mut names = Vec::new();
    while let Some(deleted) = tags.try_next().await.unwrap() {
        repo.restore_manifest(&deleted.digest).tag(&deleted.name).await.unwrap();
        assert_eq!(repo.tag_properties(&deleted.name).await.unwrap().digest, deleted.digest);
        names.push(deleted.name.to_string());
    }
    assert_eq!(names, ["v0", "v1", "v2"]);
    assert!(all.list_deleted_repositories().try_next().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_others_took_comes_back_only_by_force() {
    let registry = FakeRegistry::builder().soft_delete(7 * DAY).build();
    let repo = client(&registry);
    let v1 = tag("v1");
    let old = push(&repo, 1, "v1").await;
    repo.delete_manifest(&old).await.unwrap();
    push(&repo, 2, "v1").await;
    let error =
        repo.restore_manifest(&old).tag(&v1).on_conflict(TagConflict::Fail).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.code().map(ErrorCode::as_str), Some("TAG_ALREADY_EXISTS"));
    repo.restore_manifest(&old).tag(&v1).on_conflict(TagConflict::Overwrite).await.unwrap();
    assert_eq!(repo.tag_properties(&v1).await.unwrap().digest, old);
    let error = repo.restore_manifest(&old).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn without_the_policy_there_is_nothing() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let digest = push(&repo, 1, "v1").await;
    repo.delete_manifest(&digest).await.unwrap();
    assert!(repo.list_deleted_manifests().try_next().await.unwrap().is_none());
    assert!(repo.list_deleted_tags().try_next().await.unwrap().is_none());
    assert!(repo.restore_manifest(&digest).await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn requests_are_those_of_microsofts_command_line_and_names_alone_are_read_too() {
    let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let body = format!(
        r#"{{"repositories":["a/b",{{"name":"c","x":1}}],"manifests":[{{"digest":"{digest}","deletedAt":"2024-01-01T00:00:00Z","x":1}}],
        "tags":[{{"tag":"v1","digest":"{digest}"}}]}}"#
    );
    let (all, asked) = scripted(200, &[], &body);
    let repo = all.repository("a/b").unwrap();
    let mut names = all.list_deleted_repositories();
    let first = names.try_next().await.unwrap().unwrap();
    assert_eq!((first.name.as_str(), first.deleted_at), ("a/b", None));
    let second = names.try_next().await.unwrap().unwrap();
    assert_eq!((second.name.as_str(), second.unknown.get::<u8>("x")), ("c", Some(1)));
    let manifest = repo.list_deleted_manifests().try_next().await.unwrap().unwrap();
    assert!(manifest.deleted_at.is_some() && !manifest.unknown.is_empty());
    let deleted = repo.list_deleted_tags().try_next().await.unwrap().unwrap();
    repo.restore_manifest(&deleted.digest)
        .tag(&deleted.name)
        .on_conflict(TagConflict::Overwrite)
        .await
        .unwrap();
    repo.restore_manifest(&deleted.digest).await.unwrap();
    let version = "api-version=2021-07-01";
    let restore = format!("POST /acr/v1/_deleted/a/b/_manifests/{digest}?{version}");
    assert_eq!(
        lines(&asked),
        [
            format!("GET /acr/v1/_deleted/_catalog?{version} "),
            format!("GET /acr/v1/_deleted/a/b/_manifests?{version} "),
            format!("GET /acr/v1/_deleted/a/b/_tags?{version} "),
            format!("{restore}&force=true {{\"tag\":\"v1\"}}"),
            format!("{restore}&force=false {{}}"),
        ]
    );
}
