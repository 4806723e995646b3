//! Lists of referrers that are none.

use acr_core::{Error, ErrorKind};
use acr_registry::{Descriptor, DescriptorView, ImageIndex, MediaType};
use acr_testkit::{FakeRegistry, Fault, Operation};

use crate::{
    digest,
    support::{Answer, answering, client, index, lines, scripted, tag},
};

/// What stands under the fallback tag of a subject, on a registry without the interface.
async fn with_fallback(
    subject: &[u8],
    content: &[u8],
    media_type: MediaType,
) -> Result<Option<DescriptorView>, Error> {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let subject = repo.put_manifest(subject.to_vec()).await.unwrap();
    let fallback = tag(&subject.as_str().replace(':', "-"));
    repo.put_manifest(content.to_vec()).media_type(media_type).tag(&fallback).await.unwrap();
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
        repo.put_manifest(content).tag(&fallback).await.unwrap();
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
    let error = all.repository("a").unwrap().list_referrers(digest()).try_next().await.unwrap_err();
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
        let found = all.repository("a").unwrap().list_referrers(digest()).try_next().await;
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
        let mut referrers = all.repository("a").unwrap().list_referrers(digest());
        assert_eq!(referrers.try_next().await.unwrap(), Some(referrer.clone().into()), "{status}");
        assert_eq!(referrers.try_next().await.unwrap(), None);
        assert_eq!(lines(&asked).len(), 3, "the list, the tag and the subject, each once");
    }
    for status in [401, 403, 429, 500, 503] {
        let (all, asked) = scripted(status, &[], "");
        assert!(all.repository("a").unwrap().list_referrers(digest()).try_next().await.is_err());
        assert!(
            lines(&asked).iter().all(|line| !line.contains("sha256-")),
            "{status} is no such word"
        );
    }
}
