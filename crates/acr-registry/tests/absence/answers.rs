//! Answers that are no answers.

use acr_core::{Digest, ErrorKind};
use acr_registry::Permissions;
use acr_testkit::FakeRegistry;

use crate::{
    ERRORS, digest,
    support::{Answer, answering, client, index, lines, push, scripted, tag},
};

#[tokio::test]
async fn a4_a_success_without_the_list_is_no_empty_list() {
    for body in [
        ERRORS,
        r#"{"message":"no Route matched with those values"}"#,
        "<html>sign in</html>",
        "{}",
        "",
        "null",
        "[]",
        r#"{"repositories":{},"tags":"","manifests":0}"#,
        r#"{"Repositories":[],"Tags":[],"Manifests":[]}"#,
        r#"{"repositories":null,"tags":null,"manifests":null,"errors":[{"code":"DENIED"}]}"#,
        r#"{"repositories":[],"repositories":null,"tags":null,"tags":[],"manifests":[],"manifests":[]}"#,
    ] {
        let (all, _) = scripted(200, &[], body);
        let repo = all.repository("a").unwrap();
        for error in [
            all.list_repositories().try_next().await.expect_err(body),
            repo.list_tags().try_next().await.expect_err(body),
            repo.list_tags().of(digest()).try_next().await.expect_err(body),
            repo.list_manifests().try_next().await.expect_err(body),
            repo.list_referrers(digest()).try_next().await.expect_err(body),
            repo.properties().await.expect_err(body),
            repo.tag_properties(&tag("v1")).await.expect_err(body),
            repo.manifest_properties(&digest()).await.expect_err(body),
        ] {
            assert_eq!(error.kind(), ErrorKind::Protocol, "{body}: {error}");
        }
        #[cfg(feature = "preview")]
        for error in [
            all.list_deleted_repositories().try_next().await.expect_err(body),
            repo.list_deleted_manifests().try_next().await.expect_err(body),
            repo.list_deleted_tags().try_next().await.expect_err(body),
        ] {
            assert_eq!(error.kind(), ErrorKind::Protocol, "{body}: {error}");
        }
    }
    let (all, _) = scripted(200, &[], ERRORS);
    let error = all.list_repositories().try_next().await.unwrap_err();
    assert!(error.to_string().contains("DENIED") && error.to_string().contains("not for you"));
}

#[tokio::test]
async fn a4_a_link_that_cannot_be_read_is_no_end_of_the_list() {
    let body = r#"{"repositories":["a"],"tags":null,"manifests":null}"#;
    for link in [
        r#"/acr/v1/_catalog?last=a; rel="next""#,
        r#"</acr/v1/_catalog?last=a>; rel="next"#,
        "</acr/v1/_catalog?last=\u{e9}>; rel=\"next\"",
        r#"</acr/v1/_catalog?last=a>"#,
    ] {
        let (all, asked) = scripted(200, &[("link", link)], body);
        let repo = all.repository("a").unwrap();
        let mut names = all.list_repositories();
        for error in [
            names.try_next().await.unwrap_err(),
            names.try_next().await.unwrap_err(),
            repo.list_tags().try_next().await.unwrap_err(),
            repo.list_manifests().try_next().await.unwrap_err(),
            repo.list_referrers(digest()).try_next().await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Protocol, "{link}: {error}");
        }
        assert_eq!(lines(&asked).len(), 4, "an error that ends a list sends nothing more");
    }
}

#[tokio::test]
async fn a4_a_page_in_html_is_neither_a_pong_nor_a_success() {
    let html = [("content-type", "text/html; charset=utf-8")];
    for (headers, body) in
        [(&html[..], "<html>"), (&html[..], ""), (&[][..], " <!doctype html>"), (&[][..], ERRORS)]
    {
        let (all, _) = scripted(200, headers, body);
        let repo = all.repository("a").unwrap();
        for error in [
            all.ping().await.unwrap_err(),
            repo.delete().await.unwrap_err(),
            repo.delete_tag(&tag("v1")).await.unwrap_err(),
            repo.delete_manifest(&digest()).await.unwrap_err(),
            repo.update_properties(Permissions::new().write(false)).await.unwrap_err(),
            repo.put_manifest("{}").tag(tag("v1")).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Protocol, "{body}: {error}");
        }
        if body.is_empty() {
            // A `HEAD` has no body: its type says that it is a page.
            assert_eq!(repo.resolve(&digest()).await.unwrap_err().kind(), ErrorKind::Protocol);
        }
    }
}

#[tokio::test]
async fn b5_where_there_is_no_head_a_tag_is_resolved_by_getting_it() {
    let content = index(1).to_json().unwrap();
    let ours = Digest::sha256(&content);
    for status in [405, 501, 400, 406] {
        let content = content.clone();
        let (all, asked) = answering(move |method, _| match method {
            "HEAD" => Answer::new(status, ""),
            _ => Answer::new(200, std::str::from_utf8(&content).unwrap()),
        });
        let repo = all.repository("a").unwrap();
        assert_eq!(repo.resolve(tag("v1")).await.unwrap(), ours, "{status}");
        assert_eq!(repo.resolve(&ours).await.unwrap(), ours, "{status}");
        assert_eq!(lines(&asked).len(), 4);
    }
    let (all, asked) = scripted(405, &[], "");
    assert!(all.repository("a").unwrap().resolve(tag("v1")).await.is_err());
    assert_eq!(lines(&asked).len(), 2, "asked once more, and not for ever");
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    push(&repo, 1, "v1").await;
    repo.update_tag_properties(&tag("v1"), Permissions::new().read(false)).await.unwrap();
    let error = repo.resolve(tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disallowed, "a lock is told as one: {error}");
}
