//! Rows of the guides for those who come from Python and Go that no other test holds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::sync::Arc;

use acr_core::{
    Error, Pipeline, Transport,
    http::{Body, Request},
};
use acr_registry::{ApiVersion, Order, Permissions, RegistryClient};
use support::{Answer, answering, client, lines, push, tag};
use tokio::sync::Barrier;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[tokio::test]
async fn g12_the_api_version_of_a_repository_goes_with_each_of_its_calls() {
    let (registry, asked) = answering(|_, path| {
        let tag = format!(r#"{{"name":"v1","digest":"{DIGEST}"}}"#);
        Answer::new(
            200,
            &match path {
                "/acr/v1/a/_tags" => format!(r#"{{"imageName":"a","tags":[{tag}]}}"#),
                "/acr/v1/a/_tags/v1" => format!(r#"{{"imageName":"a","tag":{tag}}}"#),
                _ => r#"{"imageName":"a","changeableAttributes":{}}"#.to_owned(),
            },
        )
    });
    let newer = registry.clone().api_version(ApiVersion::unchecked("2031-01-01"));
    let inherits = newer.repository("a").unwrap();
    let own = inherits.clone().api_version(ApiVersion::unchecked("2032-02-02"));
    inherits.properties().await.unwrap();
    own.properties().await.unwrap();
    own.update_properties(Permissions::new().write(true)).await.unwrap();
    own.list_tags().try_next().await.unwrap().unwrap();
    own.tag_properties(&tag("v1")).await.unwrap();
    own.update_tag_properties(&tag("v1"), Permissions::new().write(true)).await.unwrap();
    // A clone has its own; the clients it came from keep theirs.
    inherits.properties().await.unwrap();
    registry.repository("a").unwrap().properties().await.unwrap();

    let versions: Vec<String> = lines(&asked)
        .iter()
        .map(|line| line.split_once("api-version=").unwrap().1[..10].to_owned())
        .collect();
    let (newer, own, default) = ("2031-01-01", "2032-02-02", "2021-07-01");
    assert_eq!(versions, [newer, own, own, own, own, own, newer, default]);
}

#[tokio::test]
async fn g12_the_order_none_is_asked_for_by_its_name_and_no_order_is_not() {
    let (registry, asked) = answering(|_, path| {
        let key = if path.ends_with("_tags") { "tags" } else { "manifests" };
        Answer::new(200, &format!(r#"{{"imageName":"a","{key}":[]}}"#))
    });
    let repo = registry.repository("a").unwrap();
    for order in [Some(Order::NONE), None] {
        let (mut tags, mut manifests) = (repo.list_tags(), repo.list_manifests());
        if let Some(order) = order {
            (tags, manifests) = (tags.order_by(order.clone()), manifests.order_by(order));
        }
        assert!(tags.try_next().await.unwrap().is_none());
        assert!(manifests.try_next().await.unwrap().is_none());
    }
    let is_named: Vec<bool> =
        lines(&asked).iter().map(|line| line.contains("orderby=none")).collect();
    assert_eq!(is_named, [true, true, false, false], "{:?}", lines(&asked));
    assert!(lines(&asked)[2..].iter().all(|line| !line.contains("orderby")));
}

#[tokio::test]
async fn g12_calls_of_one_client_wait_beside_each_other_on_one_thread() {
    // Answers nobody before three have asked: one call after the other would never end.
    let barrier = Arc::new(Barrier::new(3));
    let transport = Transport::new(tower::service_fn(move |_: Request| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            let body = r#"{"imageName":"a","changeableAttributes":{}}"#;
            Ok::<_, Error>(http::Response::new(Body::from(body)))
        }
    }));
    let pipeline = Pipeline::builder("reg.azurecr.io".parse().unwrap()).transport(transport);
    let repo = RegistryClient::new(pipeline.build().unwrap()).repository("a").unwrap();
    let (first, second, third) =
        tokio::join!(repo.properties(), repo.properties(), repo.properties());
    for properties in [first, second, third] {
        assert_eq!(properties.unwrap().name.as_str(), "a");
    }
}

#[tokio::test]
async fn g12_properties_of_a_manifest_are_read_by_digest_and_by_tag() {
    let registry = acr_testkit::FakeRegistry::new();
    let repo = client(&registry);
    let digest = push(&repo, 1, "v1").await;
    let by_tag = repo.manifest_properties(tag("v1")).await.unwrap();
    let by_digest = repo.manifest_properties(digest.clone()).await.unwrap();
    assert_eq!(by_tag.digest, digest);
    assert_eq!(by_tag, by_digest);
    let locked = Permissions::new().write(false);
    let changed = repo.update_manifest_properties(tag("v1"), locked).await.unwrap();
    assert_eq!(changed.permissions.can_write(), Some(false));
    // The lock is the manifest's, not the tag's.
    assert_eq!(repo.tag_properties(&tag("v1")).await.unwrap().permissions.can_write(), Some(true));
}
