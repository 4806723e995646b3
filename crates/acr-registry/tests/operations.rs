//! Each operation and each error of the metadata client, against the emulator or a script.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::time::Duration;

use acr_core::{Digest, ErrorCode, ErrorKind, Was};
use acr_registry::{
    ApiVersion, Descriptor, Document, ImageIndex, ImageManifest, ManifestChanges, MediaType, Order,
    Permissions, Platform, RegistryClient,
};
use acr_testkit::{FakeRegistry, Fault, Operation};
use support::{client, index, lines, pipeline, push, scripted, tag};

#[tokio::test(start_paused = true)]
async fn lists_come_in_the_order_of_time_and_resume_in_it() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    for (n, name) in [(1, "b"), (2, "c"), (3, "a")] {
        push(&repo, n, name).await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    for (order, expected) in
        [(Order::OLDEST_FIRST, ["b", "c", "a"]), (Order::NEWEST_FIRST, ["a", "c", "b"])]
    {
        let mut pager = repo.list_tags().order_by(order.clone()).page_size(1);
        let first = pager.try_next().await.unwrap().unwrap();
        assert_eq!(first.name.as_str(), expected[0]);
        let stored = serde_json::to_string(pager.continuation().unwrap()).unwrap();
        let mut resumed =
            repo.list_tags().order_by(order.clone()).resume(serde_json::from_str(&stored).unwrap());
        for name in &expected[1..] {
            assert_eq!(resumed.try_next().await.unwrap().unwrap().name.as_str(), *name);
        }
        assert!(resumed.try_next().await.unwrap().is_none());
        let mut manifests = repo.list_manifests().order_by(order);
        let mut tags = Vec::new();
        while let Some(manifest) = manifests.try_next().await.unwrap() {
            tags.push(manifest.tags[0].to_string());
        }
        assert_eq!(tags, expected);
    }
    let asked = registry.journal().entries();
    let unordered = asked.iter().find(|e| e.operation == Some(Operation::ListTags)).unwrap();
    assert!(unordered.query.contains(&"orderby".to_owned()));
    registry.journal().clear();
    repo.list_tags().try_next().await.unwrap();
    let asked = registry.journal().entries();
    let unordered = asked.iter().find(|e| e.operation == Some(Operation::ListTags)).unwrap();
    assert!(!unordered.query.contains(&"orderby".to_owned()), "unset sends no order");
}

#[tokio::test(start_paused = true)]
async fn pages_and_items_are_the_same_list() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    for n in 0..5 {
        push(&repo, n, &format!("v{n}")).await;
    }
    let mut pages = repo.list_tags().page_size(2).into_pages();
    let mut sizes = Vec::new();
    while let Some(page) = pages.try_next().await.unwrap() {
        sizes.push(page.items.len());
    }
    assert_eq!(sizes, [2, 2, 1]);
    use futures_util::StreamExt as _;
    assert_eq!(repo.list_manifests().collect::<Vec<_>>().await.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_whole_properties_value_restores_the_flags() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    push(&repo, 1, "v1").await;
    let v1 = tag("v1");
    let (before, of_manifest, of_repository) = (
        repo.tag_properties(&v1).await.unwrap(),
        repo.manifest_properties(&v1).await.unwrap(),
        repo.properties().await.unwrap(),
    );
    assert_eq!(
        (before.registry.as_str(), before.repository.as_str()),
        ("fakeregistry.azurecr.io", "library/app")
    );
    let locked = Permissions::new().delete(false).write(false).list(false).read(false);
    assert_eq!(repo.update_tag_properties(&v1, locked).await.unwrap().permissions, locked);
    repo.update_manifest_properties(&of_manifest.digest, locked).await.unwrap();
    repo.update_properties(locked).await.unwrap();
    assert_eq!(
        repo.update_properties(&of_repository).await.unwrap().permissions,
        before.permissions
    );
    assert_eq!(
        repo.update_tag_properties(&v1, &before).await.unwrap().permissions,
        before.permissions
    );
    let restored = repo.update_manifest_properties(&v1, &of_manifest).await.unwrap();
    assert_eq!(restored.permissions, of_manifest.permissions);
}

#[tokio::test(start_paused = true)]
async fn a_tag_goes_alone_or_its_manifest_goes_with_all_tags() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let digest = push(&repo, 1, "v1").await;
    repo.tag(tag("v1"), tag("v2")).await.unwrap();
    let removed = repo.delete_tag(&tag("v1")).await.unwrap();
    assert_eq!((removed.was, removed.digest.as_ref()), (Was::Existed, Some(&digest)));
    assert!(repo.get_manifest(&digest).await.is_ok());
    let deleted = repo.delete_manifest_of_tag(&tag("v2")).await.unwrap();
    assert_eq!((deleted.was, deleted.digest), (Was::Existed, Some(digest.clone())));
    assert!(repo.get_manifest(&digest).await.unwrap_err().is_not_found());
    let again = repo.delete_manifest_of_tag(&tag("v2")).await.unwrap();
    assert_eq!((again.was, again.digest), (Was::Absent, None));
}

#[tokio::test(start_paused = true)]
async fn every_lock_names_the_flags_that_can_be_behind_it() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let digest = push(&repo, 1, "v1").await;
    let v1 = tag("v1");
    let locked = Permissions::new().delete(false).write(false).read(false);
    repo.update_tag_properties(&v1, locked).await.unwrap();
    repo.update_manifest_properties(&digest, locked).await.unwrap();
    registry.journal().clear();
    let put = repo.put_manifest(index(2).to_json().unwrap()).tag(&v1);
    for (error, flag, whose) in [
        (repo.delete_tag(&v1).await.unwrap_err(), "deleteEnabled", "the tag"),
        (repo.delete_manifest(&digest).await.unwrap_err(), "deleteEnabled", "the manifest"),
        (repo.delete_manifest_of_tag(&v1).await.unwrap_err(), "deleteEnabled", "the manifest"),
        (repo.delete().await.unwrap_err(), "deleteEnabled", "manifest in it"),
        (put.await.unwrap_err(), "writeEnabled", "the tag"),
        (repo.get_manifest(&digest).await.unwrap_err(), "readEnabled", "the manifest"),
    ] {
        assert_eq!(error.kind(), ErrorKind::Disallowed, "{error}");
        assert_eq!(error.code(), Some(&ErrorCode::REGISTRY_DISALLOWED_OPERATION));
        let hint = error.hint().unwrap();
        assert!(hint.contains(flag) && hint.contains(whose), "{hint}");
        assert!(error.to_string().contains(hint));
    }
    let asked = registry.journal().entries();
    let tokens = [Operation::FetchAccessToken, Operation::ExchangeEntraToken].map(Some);
    let calls = asked.iter().filter(|e| !tokens.contains(&e.operation));
    assert_eq!(calls.count(), 7, "no further request, but for the tag that is resolved");
}

#[tokio::test(start_paused = true)]
async fn a_tag_resolves_to_a_digest_with_and_without_the_header() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let digest = push(&repo, 1, "v1").await;
    assert_eq!(repo.resolve(tag("v1")).await.unwrap(), digest);
    assert_eq!(repo.resolve(&digest).await.unwrap(), digest);
    registry.inject(Fault::remove_header(Operation::Resolve, "Docker-Content-Digest"));
    assert_eq!(repo.resolve(tag("v1")).await.unwrap(), digest);
    registry.inject(Fault::set_header(Operation::Resolve, "Docker-Content-Digest", "nonsense"));
    assert_eq!(repo.resolve(tag("v1")).await.unwrap_err().kind(), ErrorKind::Protocol);
    assert!(repo.resolve(tag("x")).await.unwrap_err().is_not_found());
}

#[tokio::test(start_paused = true)]
async fn referrers_are_listed_filtered_and_paged() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let subject_bytes = index(1).to_json().unwrap();
    let subject = repo.put_manifest(subject_bytes.clone()).await.unwrap();
    for n in 0..4 {
        let kind = if n % 2 == 0 { "application/a" } else { "application/b" };
        let referrer = index(10 + n)
            .artifact_type(kind)
            .subject(Descriptor::of(MediaType::OCI_INDEX, &subject_bytes));
        repo.put_manifest(referrer.to_json().unwrap()).await.unwrap();
    }
    let mut all = repo.list_referrers(&subject).page_size(1);
    let mut kinds = Vec::new();
    while let Some(referrer) = all.try_next().await.unwrap() {
        assert!(referrer.digest().is_ok());
        kinds.extend(referrer.artifact_type);
    }
    kinds.sort();
    assert_eq!(kinds, ["application/a", "application/a", "application/b", "application/b"]);
    let mut some = repo.list_referrers(&subject).artifact_type("application/b").page_size(1);
    let mut count = 0;
    while let Some(referrer) = some.try_next().await.unwrap() {
        assert_eq!(referrer.artifact_type.as_deref(), Some("application/b"));
        count += 1;
    }
    assert_eq!(count, 2);
    let nobody = Digest::sha256(b"nobody");
    assert!(repo.list_referrers(&nobody).try_next().await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn where_no_referrers_are_listed_the_fallback_tag_is_read() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let subject = push(&repo, 1, "v1").await;
    let child = index(2).to_json().unwrap();
    repo.put_manifest(child.clone()).await.unwrap();
    let entry = Descriptor::of(MediaType::OCI_INDEX, &child);
    let list = ImageIndex::new().manifest(entry.clone()).to_json().unwrap();
    let fallback = tag(&subject.as_str().replace(':', "-"));
    repo.put_manifest(list).tag(&fallback).await.unwrap();
    registry.inject(Fault::status(Operation::ListReferrers, 1, 404).times(2));
    let found = repo.list_referrers(&subject).try_next().await.unwrap().unwrap();
    assert_eq!(found, entry.into());
    let nobody = Digest::sha256(b"nobody");
    assert!(repo.list_referrers(&nobody).try_next().await.unwrap().is_none());
    assert_eq!(registry.pending_faults(), 0);
}

#[tokio::test(start_paused = true)]
async fn ping_signs_in_and_the_api_version_is_the_callers() {
    let registry = FakeRegistry::new();
    RegistryClient::new(pipeline(&registry)).ping().await.unwrap();
    let (all, asked) = scripted(200, &[], r#"{"repositories":null}"#);
    all.ping().await.unwrap();
    all.list_repositories().try_next().await.unwrap();
    let other = all.clone().api_version(ApiVersion::unchecked("2031-01-01"));
    other.list_repositories().try_next().await.unwrap();
    assert_eq!(
        lines(&asked),
        [
            "GET /v2/ ",
            "GET /acr/v1/_catalog?api-version=2021-07-01 ",
            "GET /acr/v1/_catalog?api-version=2031-01-01 "
        ]
    );
    assert_eq!("1999".parse::<ApiVersion>().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn only_the_quarantine_fields_that_are_set_are_sent() {
    let digest = Digest::sha256(b"{}");
    let (all, asked) = scripted(503, &[], "");
    let repo = all.repository("a").unwrap();
    let changes = ManifestChanges::new()
        .permissions(Permissions::new().write(true))
        .quarantine_state("Passed");
    assert!(repo.update_manifest_properties(&digest, changes).await.is_err());
    let asked = lines(&asked).pop().unwrap();
    assert!(asked.ends_with(r#" {"writeEnabled":true,"quarantineState":"Passed"}"#), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn a_manifest_of_two_kinds_is_refused_and_can_be_had_explicitly() {
    const TWO: &str = r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#;
    let header = [("content-type", "application/vnd.oci.image.index.v1+json")];
    let (all, _) = scripted(200, &header, TWO);
    let repo = all.repository("a").unwrap();
    let error = repo.get_manifest(tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let manifest = repo.get_manifest(tag("v1")).allow_ambiguous().await.unwrap();
    assert_eq!(manifest.content, TWO);
    assert_eq!(manifest.document().unwrap_err().kind(), ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn documents_of_other_tools_go_out_unchanged_and_their_view_says_what_is_missing() {
    let (all, asked) = scripted(201, &[], "");
    let repo = all.repository("a").unwrap();
    let odd = r#"{"schemaVersion":2,"config":{"mediaType":"application/x","digest":"sha256:1","sizeInBytes":2,"new":[1]},"layers":null}"#;
    repo.put_manifest(odd).tag(tag("v1")).await.unwrap();
    assert!(lines(&asked)[0].ends_with(odd));
    let view: ImageManifest = serde_json::from_str(odd).unwrap();
    assert_eq!(view.missing(), ["config.size"]);
    let config = view.config.unwrap();
    assert_eq!(config.unknown.names().collect::<Vec<_>>(), ["new", "sizeInBytes"]);
    assert_eq!(config.digest().unwrap_err().kind(), ErrorKind::Protocol);
}

#[test]
fn builders_write_the_same_bytes_every_time_and_keep_windows_versions() {
    let build = || {
        ImageManifest::artifact("application/a")
            .annotation("b", "2")
            .annotation("a", "1")
            .layer(Descriptor::of(MediaType::from("text/plain"), b"x"))
            .to_json()
            .unwrap()
    };
    assert_eq!(build(), build());
    let text = String::from_utf8(build().to_vec()).unwrap();
    assert!(text.contains(r#""annotations":{"a":"1","b":"2"}"#), "{text}");
    let json = r#"{"schemaVersion":2,"manifests":[
        {"digest":"sha256:1","platform":{"os":"unknown","architecture":"unknown"}},
        {"digest":"sha256:2","platform":{"os":"windows","architecture":"amd64","os.version":"10.0.17763.1"}},
        {"digest":"sha256:3","platform":{"os":"windows","architecture":"amd64","os.version":"10.0.20348.2"}},
        {"digest":"sha256:4","platform":{"os":"linux","architecture":"arm64"}},
        {"digest":"sha256:5","platform":{"os":"linux","architecture":"arm","variant":"v6"}},
        {"digest":"sha256:6","platform":{"os":"unknown","architecture":"unknown"}}]}"#;
    let index: ImageIndex = serde_json::from_str(json).unwrap();
    let chosen = |platform: Platform| index.select(&platform).and_then(|d| d.digest.clone());
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(chosen(Platform::new("windows", "amd64")), some("sha256:2"));
    assert_eq!(
        chosen(Platform::new("windows", "amd64").os_version("10.0.20348")),
        some("sha256:3")
    );
    assert_eq!(chosen(Platform::new("windows", "amd64").os_version("10.0.2")), None);
    assert_eq!(chosen(Platform::new("linux", "arm64").variant("v8")), some("sha256:4"));
    assert_eq!(chosen(Platform::new("linux", "arm").variant("v7")), some("sha256:5"));
    // Where nothing is said, arm is v7 and arm64 is v8.
    let plain =
        r#"{"manifests":[{"digest":"sha256:7","platform":{"os":"linux","architecture":"arm"}}]}"#;
    let plain: ImageIndex = serde_json::from_str(plain).unwrap();
    assert!(plain.select(&Platform::new("linux", "arm").variant("v7")).is_some());
    assert!(plain.select(&Platform::new("linux", "arm").variant("v6")).is_none());
    assert_eq!(chosen(Platform::new("linux", "arm")), some("sha256:5"));
    assert_eq!(chosen(Platform::new("linux", "s390x")), None);
    let back = serde_json::to_string(&index).unwrap();
    assert!(back.contains(r#""os.version":"10.0.17763.1""#));
}

#[tokio::test(start_paused = true)]
async fn a_document_is_read_by_its_media_type() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    push(&repo, 7, "v1").await;
    match repo.get_manifest(tag("v1")).await.unwrap().document().unwrap() {
        Document::Index(index) => assert_eq!(index.annotations["n"], "7"),
        other => panic!("{other:?}"),
    }
}

/// What the registry answers, and what that is to the caller.
const ANSWERS: [(u16, &str, ErrorKind); 22] = [
    (400, "MANIFEST_INVALID", ErrorKind::Rejected),
    (400, "DIGEST_INVALID", ErrorKind::Integrity),
    (400, "MANIFEST_BLOB_UNKNOWN", ErrorKind::Rejected),
    (400, "NAME_INVALID", ErrorKind::Rejected),
    (400, "TAG_INVALID", ErrorKind::Rejected),
    (400, "SIZE_INVALID", ErrorKind::Rejected),
    (400, "PAGINATION_NUMBER_INVALID", ErrorKind::Rejected),
    (400, "MANIFEST_UNVERIFIED", ErrorKind::Rejected),
    (401, "UNAUTHORIZED", ErrorKind::Unauthenticated),
    (403, "DENIED", ErrorKind::Forbidden),
    (404, "NAME_UNKNOWN", ErrorKind::NotFound),
    (404, "MANIFEST_UNKNOWN", ErrorKind::NotFound),
    (404, "TAG_UNKNOWN", ErrorKind::NotFound),
    (405, "UNSUPPORTED", ErrorKind::Rejected),
    (405, "REGISTRY_DISALLOWED_OPERATION", ErrorKind::Disallowed),
    (409, "CONFLICT", ErrorKind::Conflict),
    (413, "", ErrorKind::Rejected),
    (429, "TOOMANYREQUESTS", ErrorKind::Throttled),
    (500, "UNKNOWN", ErrorKind::Server),
    (502, "", ErrorKind::Server),
    (503, "UNAVAILABLE", ErrorKind::Server),
    (504, "", ErrorKind::Server),
];

#[tokio::test(start_paused = true)]
async fn each_error_of_the_registry_comes_out_as_what_it_is() {
    for (status, code, kind) in ANSWERS {
        let body = match code {
            "" => "<html>".to_owned(),
            code => format!(r#"{{"errors":[{{"code":"{code}","message":"m","detail":{{}}}}]}}"#),
        };
        let (all, _) = scripted(status, &[], &body);
        let repo = all.repository("a").unwrap();
        let digest = Digest::sha256(b"{}");
        for error in [
            all.list_repositories().try_next().await.unwrap_err(),
            repo.properties().await.unwrap_err(),
            repo.update_properties(Permissions::new()).await.unwrap_err(),
            repo.list_tags().try_next().await.unwrap_err(),
            repo.tag_properties(&tag("t")).await.unwrap_err(),
            repo.update_tag_properties(&tag("t"), Permissions::new()).await.unwrap_err(),
            repo.list_manifests().try_next().await.unwrap_err(),
            repo.manifest_properties(&digest).await.unwrap_err(),
            repo.update_manifest_properties(&digest, Permissions::new()).await.unwrap_err(),
            repo.get_manifest(&digest).await.unwrap_err(),
            repo.put_manifest("{}").await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.status().unwrap().as_u16(), status);
            assert_eq!(error.code().map_or("", ErrorCode::as_str), code);
        }
        for outcome in [
            repo.delete().await,
            repo.delete_tag(&tag("t")).await,
            repo.delete_manifest(&digest).await,
        ] {
            match outcome {
                Ok(deletion) => assert_eq!((status, deletion.was), (404, Was::Absent)),
                Err(error) => assert_eq!(error.kind(), kind),
            }
        }
    }
}
