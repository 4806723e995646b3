//! One odd item, or one odd value, loses nothing but itself, and is told.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod support;

use acr_core::{Digest, ErrorKind, Result};
use acr_registry::{DescriptorView, ListPager};
use support::{Answer, answering, scripted, tag};

fn digest() -> Digest {
    Digest::sha256(b"{}")
}

/// Everything that a list gives, and how it ends.
async fn all<T: Send + 'static>(mut pager: ListPager<T>) -> (Vec<T>, Result<()>) {
    let mut items = Vec::new();
    loop {
        match pager.try_next().await {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, Ok(())),
            Err(error) => return (items, Err(error)),
        }
    }
}

#[tokio::test]
async fn f1_a_time_with_thirteen_digits_and_no_time_at_all_are_items_like_others() {
    let item =
        |n: u32, times: &str| format!(r#"{{"name":"v{n}","digest":"sha256:{n:064x}"{times}}}"#);
    let items = [
        item(
            1,
            r#","createdTime":"2024-01-01T00:00:00.1234567890123Z","lastUpdateTime":"2024-01-01T00:00:00Z""#,
        ),
        item(2, r#","createdTime":"yesterday","lastUpdateTime":null"#),
        item(3, ""),
        item(
            4,
            r#","createdTime":7,"lastUpdateTime":"2024-01-01T00:00:00Z","signed":"yes","changeableAttributes":[]"#,
        ),
    ];
    let items = items.join(",");
    let (registry, _) =
        scripted(200, &[], &format!(r#"{{"tags":[{items}],"manifests":[{items}]}}"#));
    let repo = registry.repository("a").unwrap();
    let (tags, end) = all(repo.list_tags()).await;
    end.unwrap();
    assert_eq!(tags.len(), 4);
    assert_eq!(tags[0].created_at.unwrap().to_string(), "2024-01-01T00:00:00.123456789Z");
    assert_eq!((tags[1].created_at, tags[1].updated_at), (None, None));
    assert_eq!(tags[1].unknown.get::<String>("createdTime").as_deref(), Some("yesterday"));
    assert_eq!(
        (tags[3].signed, tags[3].unknown.get::<String>("signed").as_deref()),
        (None, Some("yes"))
    );
    assert!(tags[3].unknown.names().any(|name| name == "changeableAttributes"));
    assert_eq!(tags[3].permissions.can_delete(), None);
    let (manifests, end) = all(repo.list_manifests()).await;
    end.unwrap();
    assert_eq!(manifests.len(), 4);
}

/// A caller who deletes what a list does not name must not take what could not be read
/// for what is not there.
#[tokio::test]
async fn f1_what_cannot_be_read_is_left_out_and_the_end_of_the_list_names_it() {
    let tags = format!(
        r#"{{"tags":[{{"name":"v1","digest":"{0}"}},{{"name":"not a tag","digest":"{0}"}},{{"name":"v2","digest":"sha256:short"}},{{"name":"v3","digest":"{0}"}},null]}}"#,
        digest()
    );
    let (registry, _) = answering(move |_, path| {
        assert_eq!(path, "/acr/v1/a/_tags");
        Answer::new(200, &tags)
    });
    let repo = registry.repository("a").unwrap();
    let (items, end) = all(repo.list_tags()).await;
    assert_eq!(items.iter().map(|tag| tag.name.as_str()).collect::<Vec<_>>(), ["v1", "v3"]);
    let error = end.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let text = error.to_string();
    for told in [
        "3 in all",
        r#""name":"not a tag""#,
        "no usable `name`",
        "no usable `digest`",
        "`null`",
        "skip_unreadable",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let mut skipping = repo.list_tags().skip_unreadable();
    for name in ["v1", "v3"] {
        assert_eq!(skipping.try_next().await.unwrap().unwrap().name, tag(name));
    }
    assert!(skipping.try_next().await.unwrap().is_none());
    assert_eq!(skipping.unreadable().len(), 3);
    let page = repo.list_tags().into_pages().try_next().await.unwrap().unwrap();
    assert_eq!((page.items.len(), page.unreadable.len()), (2, 3));
}

#[tokio::test]
async fn f1_every_list_gives_the_others() {
    let body = format!(
        r#"{{"repositories":["a/b","Not A Name",7,"c"],
        "manifests":[{{"digest":"sha256:nonsense"}},{{"digest":"{}","tags":["v1","not a tag"]}}]}}"#,
        digest()
    );
    let (registry, _) = scripted(200, &[], &body);
    let repo = registry.repository("a").unwrap();
    let (names, end) = all(registry.list_repositories()).await;
    assert_eq!(names.len(), 2);
    assert!(end.unwrap_err().to_string().contains("Not A Name"));
    let (manifests, end) = all(repo.list_manifests()).await;
    assert_eq!((manifests.len(), end.is_err()), (1, true));
    assert_eq!((manifests[0].tags.len(), manifests[0].tags.unreadable().len()), (1, 1));
    let odd = r#"{"manifests":[{"mediaType":"m","size":1},{"digest":"sha256:1"},{"digest":7}]}"#;
    let (registry, _) = scripted(200, &[], odd);
    let (referrers, end) = all(registry.repository("a").unwrap().list_referrers(digest())).await;
    let digests: Vec<_> =
        referrers.iter().map(|entry: &DescriptorView| entry.digest.as_deref()).collect();
    assert_eq!((digests, end.is_err()), (vec![Some("sha256:1")], true));
}

#[tokio::test]
async fn f1_counts_that_are_null_or_odd_are_unknown_and_not_zero() {
    for (count, read) in
        [("null", None), ("\"7\"", None), ("-1", None), ("7.5", None), ("7", Some(7))]
    {
        let body = format!(
            r#"{{"imageName":"a","createdTime":"2024-01-01T00:00:00Z","lastUpdateTime":{{}},"manifestCount":{count}}}"#
        );
        let (registry, _) = scripted(200, &[], &body);
        let got = registry.repository("a").unwrap().properties().await.unwrap();
        assert_eq!((got.manifest_count, got.tag_count), (read, None), "{count}");
        assert!(got.created_at.is_some() && got.updated_at.is_none());
        assert_eq!(
            got.unknown.names().any(|name| name == "manifestCount"),
            read.is_none() && count != "null"
        );
    }
}

#[tokio::test]
async fn f1_a_deletion_tells_what_it_can_of_what_went() {
    let body =
        format!(r#"{{"manifestsDeleted":["{}",7],"tagsDeleted":["v1","not a tag"]}}"#, digest());
    let (registry, _) = scripted(202, &[], &body);
    let deletion = registry.repository("a").unwrap().delete().await.unwrap();
    assert_eq!((deletion.manifests.len(), deletion.manifests.unreadable().len()), (1, 1));
    assert_eq!((deletion.tags.len(), deletion.tags.unreadable().len()), (1, 1));
}

#[tokio::test]
async fn f1_a_server_that_sends_only_what_cannot_be_read_is_left_in_the_end() {
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&asked);
    let (registry, _) = answering(move |_, path| {
        let n = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let link = format!("<{path}?last={n}>; rel=\"next\"");
        Answer::new(200, r#"{"tags":[null]}"#).header("link", &link)
    });
    let (items, end) = all(registry.repository("a").unwrap().list_tags().skip_unreadable()).await;
    assert!(items.is_empty());
    assert_eq!(end.unwrap_err().kind(), ErrorKind::Protocol);
    assert!(asked.load(std::sync::atomic::Ordering::Relaxed) <= 1_001);
}
