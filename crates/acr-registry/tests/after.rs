//! Lists that begin after an item.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::time::Duration;

use acr_core::{Continuation, Digest, ErrorKind, RepositoryName};
use acr_registry::{ApiVersion, Order, RegistryClient};
use acr_testkit::{FakeRegistry, Operation};
use support::{client, lines, pipeline, push, scripted, tag};

const TWO: u32 = 2;

#[tokio::test]
async fn g10_after_goes_with_order_page_size_and_version_in_every_list() {
    let body = r#"{"repositories":null,"tags":null,"manifests":null}"#;
    let (all, asked) = scripted(200, &[], body);
    let all = all.api_version(ApiVersion::unchecked("2031-01-01"));
    let repo = all.repository("a").unwrap();
    let digest = Digest::sha256(b"{}");
    let name: RepositoryName = "b/c".parse().unwrap();
    assert!(
        all.list_repositories().after(&name).page_size(TWO).try_next().await.unwrap().is_none()
    );
    let tags = repo.list_tags().page_size(TWO).order_by(Order::NONE).after(tag("v1"));
    assert!(tags.of(&digest).try_next().await.unwrap().is_none());
    let mut manifests = repo.list_manifests().after(&digest).page_size(TWO);
    assert!(manifests.try_next().await.unwrap().is_none());
    // A stored place says more than a name does, and beside it there is none.
    let stored = Continuation::from_query("last=z&n=7");
    for mut both in [
        repo.list_tags().after(tag("v1")).resume(stored.clone()),
        repo.list_tags().resume(stored.clone()).page_size(TWO),
    ] {
        let error = both.try_next().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error.to_string().contains("list_tags `a`") && error.to_string().contains("`after`"),
            "{error}"
        );
    }
    let mut resumed = repo.list_tags().resume(stored);
    assert!(resumed.try_next().await.unwrap().is_none());
    let version = "api-version=2031-01-01";
    let escaped = digest.as_str().replace(':', "%3A");
    assert_eq!(
        lines(&asked),
        [
            format!("GET /acr/v1/_catalog?last=b%2Fc&n=2&{version} "),
            format!("GET /acr/v1/a/_tags?last=v1&n=2&orderby=none&{version}&digest={escaped} "),
            format!("GET /acr/v1/a/_manifests?last={escaped}&n=2&{version} "),
            "GET /acr/v1/a/_tags?last=z&n=7 ".to_owned(),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn g10_in_every_order_a_list_begins_after_its_item() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    for (n, name) in [(1, "b"), (2, "d"), (3, "a"), (4, "c")] {
        push(&repo, n, name).await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    for (order, whole) in [
        (Order::NONE, ["a", "b", "c", "d"]),
        (Order::OLDEST_FIRST, ["b", "d", "a", "c"]),
        (Order::NEWEST_FIRST, ["c", "a", "d", "b"]),
    ] {
        for (at, name) in whole.iter().enumerate() {
            let properties = repo.tag_properties(&tag(name)).await.unwrap();
            let by_name = repo.list_tags().after(tag(name));
            let by_properties = repo.list_tags().after(&properties);
            for (pager, is_asked) in [(by_name, order != Order::NONE), (by_properties, false)] {
                registry.journal().clear();
                let mut pager = pager.page_size(1).order_by(order.clone());
                let mut seen = Vec::new();
                while let Some(tag) = pager.try_next().await.unwrap() {
                    seen.push(tag.name.to_string());
                }
                assert_eq!(seen, whole[at + 1..], "{order} after {name}");
                // A name has no time: it is asked for.
                let looked = registry.journal().count_of(Operation::TagProperties);
                assert_eq!(looked, usize::from(is_asked), "{order} after {name}");
            }
            let manifest = repo.manifest_properties(&properties.digest).await.unwrap();
            if order != Order::NONE {
                for pager in [
                    repo.list_manifests().after(&manifest),
                    repo.list_manifests().after(&manifest.digest),
                ] {
                    let mut pager = pager.order_by(order.clone());
                    let mut seen = Vec::new();
                    while let Some(manifest) = pager.try_next().await.unwrap() {
                        seen.push(manifest.tags[0].to_string());
                    }
                    assert_eq!(seen, whole[at + 1..], "{order} after {name}");
                }
            }
        }
    }
    let absent = repo.list_tags().after(tag("bb"));
    assert_eq!({ absent }.try_next().await.unwrap().unwrap().name, tag("c"), "need not exist");
    let absent = repo.list_tags().after(tag("bb")).order_by(Order::NEWEST_FIRST);
    assert!({ absent }.try_next().await.unwrap_err().is_not_found(), "but has no time then");
    let all = RegistryClient::new(pipeline(&registry));
    let names = all.list_repositories().after("library/ap");
    assert_eq!({ names }.try_next().await.unwrap().unwrap().as_str(), "library/app");
    let names = all.list_repositories().after("library/app");
    assert!({ names }.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_place_in_a_list_of_another_order_is_refused_and_not_taken_for_one_in_this() {
    let body = r#"{"tags":null,"manifests":null}"#;
    let (all, asked) = scripted(200, &[], body);
    let repo = all.repository("a").unwrap();
    let place = |order: &str| Continuation::from_query(&format!("last=z&n=7{order}"));
    let newest = Order::NEWEST_FIRST;
    for (from, order) in [
        ("", newest.clone()),
        ("&orderby=", newest.clone()),
        ("&orderby=none", newest.clone()),
        ("&orderby=timeasc", newest.clone()),
        ("&orderby=timedesc", Order::NONE),
    ] {
        let (tags, manifests) = (repo.list_tags(), repo.list_manifests());
        let mut tags = tags.order_by(order.clone()).resume(place(from));
        let mut manifests = manifests.resume(place(from)).order_by(order);
        let (one, other) = (tags.try_next().await.map(drop), manifests.try_next().await.map(drop));
        for error in [one.unwrap_err(), other.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("in another order"), "{error}");
        }
    }
    assert!(lines(&asked).is_empty(), "nothing is sent");
    for (from, order) in [
        ("", Order::NONE),
        ("&orderby=", Order::NONE),
        ("&orderby=timedesc", newest),
        ("&orderby=by%20size", Order::from("by size")),
    ] {
        let mut tags = repo.list_tags().order_by(order).resume(place(from));
        assert!(tags.try_next().await.unwrap().is_none());
    }
    assert_eq!(lines(&asked).len(), 4);
}
