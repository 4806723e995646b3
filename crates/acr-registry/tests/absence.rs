//! What is not said is not so: answers that are no answers, 404s of somebody else, lists
//! of referrers that are none, and changes that are done whatever the status.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod support;

use acr_core::{Deletion, Digest, Error, ErrorKind};
use acr_registry::{Descriptor, ImageIndex, MediaType, Permissions};
use acr_testkit::{FakeRegistry, Fault, Operation};
use support::{Answer, answering, client, index, lines, push, scripted, tag};

const ERRORS: &str = r#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#;

fn digest() -> Digest {
    Digest::sha256(b"{}")
}

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
            repo.list_tags().of(&digest()).try_next().await.expect_err(body),
            repo.list_manifests().try_next().await.expect_err(body),
            repo.list_referrers(&digest()).try_next().await.expect_err(body),
            repo.get_properties().await.expect_err(body),
            repo.get_tag(&tag("v1")).await.expect_err(body),
            repo.get_manifest_properties(&digest()).await.expect_err(body),
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
            repo.list_referrers(&digest()).try_next().await.unwrap_err(),
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
async fn a9_a_deletion_that_is_done_is_success_by_any_status() {
    for (status, body) in
        [(202, ""), (200, ""), (204, ""), (202, "{}"), (202, r#"{"tagsDeleted":null}"#)]
    {
        let (all, asked) = scripted(status, &[], body);
        let repo = all.repository("a").unwrap();
        let deletion = repo.delete().await.unwrap();
        assert_eq!(deletion.outcome, Deletion::Deleted, "{status} {body}");
        assert!(deletion.manifests.is_empty() && deletion.tags.is_empty());
        assert_eq!(repo.delete_tag(&tag("v1")).await.unwrap(), Deletion::Deleted);
        assert_eq!(repo.delete_manifest(&digest()).await.unwrap(), Deletion::Deleted);
        assert_eq!(lines(&asked).len(), 3, "nothing is asked that is beyond doubt");
    }
}

#[tokio::test]
async fn a9_a_success_that_does_not_say_deleted_is_looked_at() {
    let there = r#"{"imageName":"a","tag":{"name":"v1","digest":"DIGEST"}}"#
        .replace("DIGEST", digest().as_str());
    for (status, body) in
        [(201, ""), (203, ""), (207, "{}"), (200, r#"{"message":"queued"}"#), (202, "queued")]
    {
        for is_gone in [true, false] {
            let there = there.clone();
            let (all, asked) = answering(move |method, _| match method {
                "DELETE" => Answer::new(status, body),
                _ if is_gone => Answer::new(404, ""),
                _ => Answer::new(200, &there).header("docker-content-digest", digest().as_str()),
            });
            let repo = all.repository("a").unwrap();
            for outcome in [
                repo.delete().await.map(|deletion| deletion.outcome),
                repo.delete_tag(&tag("v1")).await.map(|deletion| deletion.outcome),
                repo.delete_manifest(&digest()).await,
            ] {
                match outcome {
                    Ok(outcome) => assert!(is_gone && outcome == Deletion::Deleted, "{status}"),
                    Err(error) => {
                        assert!(!is_gone, "{status} {body}: {error}");
                        assert_eq!(error.kind(), ErrorKind::Protocol);
                        assert!(error.to_string().contains("still there"), "{error}");
                    }
                }
            }
            assert_eq!(lines(&asked).len(), 6);
        }
    }
}

#[tokio::test]
async fn a9_a_change_that_is_done_is_success_by_any_status_and_shows_itself() {
    let shown = |write: bool| {
        format!(
            r#"{{"imageName":"a","tag":{{"name":"v1","digest":"{0}","changeableAttributes":{{"writeEnabled":{write}}}}},
            "manifest":{{"digest":"{0}","changeableAttributes":{{"writeEnabled":{write}}}}},"changeableAttributes":{{"writeEnabled":{write}}}}}"#,
            digest()
        )
    };
    for (status, body) in
        [(204, ""), (200, ""), (202, ""), (202, r#"{"status":"accepted"}"#), (201, "ok")]
    {
        for is_done in [true, false] {
            let shown = shown(!is_done);
            let (all, asked) = answering(move |method, _| match method {
                "PATCH" => Answer::new(status, body),
                _ => Answer::new(200, &shown),
            });
            let repo = all.repository("a").unwrap();
            let locked = Permissions::new().write(false);
            for outcome in [
                repo.update_properties(locked).await.map(|got| got.permissions),
                repo.update_tag(&tag("v1"), locked).await.map(|got| got.permissions),
                repo.update_manifest_properties(&digest(), locked).await.map(|got| got.permissions),
            ] {
                match outcome {
                    Ok(got) => assert!(is_done && got.can_write() == Some(false), "{status}"),
                    Err(error) => {
                        assert!(!is_done, "{status} {body}: {error}");
                        assert_eq!(error.kind(), ErrorKind::Protocol);
                    }
                }
            }
            assert_eq!(lines(&asked).len(), 6, "each change is looked at once");
        }
    }
    let (all, asked) = answering(|method, _| match method {
        "PATCH" => Answer::new(204, ""),
        _ => Answer::new(403, ERRORS),
    });
    let error =
        all.repository("a").unwrap().update_properties(Permissions::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.to_string().contains("the change was taken"), "{error}");
    assert_eq!(lines(&asked).len(), 2);
}

#[tokio::test]
async fn a9_a_manifest_put_with_another_success_is_looked_at_unless_it_is_named() {
    let content = index(1).to_json().unwrap();
    let ours = Digest::sha256(&content);
    for status in [200, 202, 204] {
        for (named, stored, is_stored) in [
            (Some(&ours), None, true),
            (Some(&digest()), None, false),
            (None, Some(content.clone()), true),
            (None, Some(index(2).to_json().unwrap()), false),
            (None, None, false),
        ] {
            let (named, stored) = (named.cloned(), stored.clone());
            let (all, _) = answering(move |method, _| match (method, &named, &stored) {
                ("PUT", Some(named), _) => {
                    Answer::new(status, "").header("docker-content-digest", named.as_str())
                }
                ("PUT", None, _) => Answer::new(status, ""),
                (_, _, Some(stored)) => Answer::new(200, std::str::from_utf8(stored).unwrap()),
                _ => Answer::new(404, ""),
            });
            let repo = all.repository("a").unwrap();
            for tagged in [true, false] {
                let put = repo.put_manifest(content.clone());
                let put = if tagged { put.tag(tag("v1")) } else { put };
                match put.await {
                    Ok(digest) => assert!(is_stored && digest == ours, "{status}"),
                    Err(error) => assert!(!is_stored, "{status}: {error}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn g3_a_404_without_a_code_is_absence_for_every_deletion_unless_it_is_foreign() {
    for (media_type, body, is_absent) in [
        ("text/plain; charset=utf-8", "404 page not found\n", true),
        ("application/octet-stream", "Not found", true),
        ("text/plain", "", true),
        ("application/json", r#"{"errors":[{"code":"NAME_UNKNOWN","message":"m"}]}"#, true),
        ("text/html", "<html><center>nginx</center></html>", false),
        ("text/plain", "<!DOCTYPE html>", false),
        ("application/json", r#"{"message":"no Route matched with those values"}"#, false),
        ("application/xml", "<Error/>", false),
    ] {
        let (all, _) = scripted(404, &[("content-type", media_type)], body);
        let repo = all.repository("a").unwrap();
        for outcome in [
            repo.delete().await.map(|deletion| deletion.outcome),
            repo.delete_tag(&tag("v1")).await.map(|deletion| deletion.outcome),
            repo.delete_manifest(&digest()).await,
            repo.delete_manifest_of_tag(&tag("v1")).await.map(|deletion| deletion.outcome),
        ] {
            match outcome {
                Ok(outcome) => assert!(is_absent && outcome == Deletion::AlreadyAbsent, "{body}"),
                Err(error) => {
                    assert!(!is_absent, "{body}: {error}");
                    assert_eq!(error.kind(), ErrorKind::NotFound);
                    assert!(error.is_foreign());
                }
            }
        }
    }
}

/// What stands under the fallback tag of a subject, on a registry without the interface.
async fn with_fallback(
    subject: &[u8],
    content: &[u8],
    media_type: MediaType,
) -> Result<Option<Descriptor>, Error> {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let subject = repo.put_manifest(subject.to_vec()).await.unwrap();
    let fallback = tag(&subject.as_str().replace(':', "-"));
    repo.put_manifest(content.to_vec()).media_type(media_type).tag(fallback).await.unwrap();
    registry.inject(Fault::status(Operation::ListReferrers, 1, 404));
    repo.list_referrers(&subject).try_next().await
}

#[tokio::test(start_paused = true)]
async fn a6_a_fallback_tag_is_believed_only_if_it_is_a_list_of_referrers() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let grandchild = index(7).to_json().unwrap();
    let of_grandchild = Descriptor::of(MediaType::OCI_INDEX, &grandchild);
    let child = ImageIndex::new().manifest(of_grandchild).to_json().unwrap();
    let of_child = Descriptor::of(MediaType::OCI_INDEX, &child);
    let subject = ImageIndex::new().manifest(of_child.clone()).to_json().unwrap();
    // The parts must be there before the whole can be put.
    repo.put_manifest(grandchild).await.unwrap();
    repo.put_manifest(child.clone()).await.unwrap();
    let subject_digest = repo.put_manifest(subject.clone()).await.unwrap();
    let fallback = tag(&subject_digest.as_str().replace(':', "-"));
    let other =
        ImageIndex::new().annotation("another", "index").manifest(of_child).to_json().unwrap();
    let itself = ImageIndex::new()
        .manifest(Descriptor::of(MediaType::OCI_INDEX, &subject))
        .to_json()
        .unwrap();
    for (content, why) in [
        (subject.clone(), "the subject itself"),
        (child, "the subject contains it"),
        (other, "the subject itself is or contains"),
        (itself, "the subject itself is or contains"),
    ] {
        repo.put_manifest(content).tag(fallback.clone()).await.unwrap();
        registry.inject(Fault::status(Operation::ListReferrers, 1, 404));
        let mut referrers = repo.list_referrers(&subject_digest);
        for _ in 0..2 {
            let error = referrers.try_next().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{why}");
            assert!(error.to_string().contains(why), "{error}");
            assert!(error.to_string().contains(fallback.as_str()), "{error}");
        }
    }
    let (all, _) = answering(|_, path| {
        if path.contains("/referrers/") {
            return Answer::new(404, "404 page not found\n");
        }
        Answer::new(200, r#"{"schemaVersion":2,"config":{},"layers":[]}"#)
            .header("content-type", MediaType::OCI_MANIFEST.as_str())
    });
    let error =
        all.repository("a").unwrap().list_referrers(&digest()).try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("is no index: it has `config`"), "{error}");
    let list = ImageIndex::new().to_json().unwrap();
    let found = with_fallback(&index(1).to_json().unwrap(), &list, MediaType::OCI_INDEX).await;
    assert_eq!(found.unwrap(), None, "an index without entries says that there are none");
}

#[tokio::test]
async fn a6_that_the_fallback_tag_is_absent_is_the_registrys_word_or_none() {
    for (media_type, body, is_said) in [
        ("application/json", r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"m"}]}"#, true),
        ("text/html", "<html>not here</html>", false),
    ] {
        let (all, asked) = answering(move |_, path| {
            let answer = Answer::new(404, if path.contains("/referrers/") { "" } else { body });
            if path.contains("/referrers/") {
                answer
            } else {
                answer.header("content-type", media_type)
            }
        });
        let found = all.repository("a").unwrap().list_referrers(&digest()).try_next().await;
        assert_eq!(found.is_ok(), is_said, "{body}");
        assert_eq!(lines(&asked).len(), 2);
    }
}

#[tokio::test]
async fn b5_every_way_to_say_that_there_are_no_referrers_here_leads_to_the_fallback_tag() {
    let referrer = Descriptor::of(MediaType::OCI_MANIFEST, b"signature");
    let list =
        String::from_utf8(ImageIndex::new().manifest(referrer.clone()).to_json().unwrap().to_vec())
            .unwrap();
    for status in [400, 404, 405, 406, 501] {
        let list = list.clone();
        let (all, asked) = answering(move |_, path| {
            if path.contains("/referrers/") {
                Answer::new(status, "<html>no such thing</html>")
            } else if path.contains("/manifests/sha256-") {
                Answer::new(200, &list).header("content-type", MediaType::OCI_INDEX.as_str())
            } else {
                Answer::new(404, "")
            }
        });
        let mut referrers = all.repository("a").unwrap().list_referrers(&digest());
        assert_eq!(referrers.try_next().await.unwrap(), Some(referrer.clone()), "{status}");
        assert_eq!(referrers.try_next().await.unwrap(), None);
        assert_eq!(lines(&asked).len(), 3, "the list, the tag and the subject, each once");
    }
    for status in [401, 403, 429, 500, 503] {
        let (all, asked) = scripted(status, &[], "");
        assert!(all.repository("a").unwrap().list_referrers(&digest()).try_next().await.is_err());
        assert!(
            lines(&asked).iter().all(|line| !line.contains("sha256-")),
            "{status} is no such word"
        );
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
    repo.update_tag(&tag("v1"), Permissions::new().read(false)).await.unwrap();
    let error = repo.resolve(tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disallowed, "a lock is told as one: {error}");
}
