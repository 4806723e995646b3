//! Changes and deletions that are done, whatever the status.

use acr_core::{Digest, ErrorKind, Was};
use acr_registry::Permissions;

use crate::{
    ERRORS, digest,
    support::{Answer, answering, index, lines, scripted, tag},
};

#[tokio::test]
async fn a9_a_deletion_that_is_done_is_success_by_any_status() {
    for (status, body) in
        [(202, ""), (200, ""), (204, ""), (202, "{}"), (202, r#"{"tagsDeleted":null}"#)]
    {
        let (all, asked) = scripted(status, &[], body);
        let repo = all.repository("a").unwrap();
        let deletion = repo.delete().await.unwrap();
        assert_eq!(deletion.was, Was::Existed, "{status} {body}");
        assert!(deletion.manifests.is_empty() && deletion.tags.is_empty());
        assert_eq!(repo.delete_tag(&tag("v1")).await.unwrap(), Was::Existed);
        assert_eq!(repo.delete_manifest(&digest()).await.unwrap(), Was::Existed);
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
                repo.delete().await,
                repo.delete_tag(&tag("v1")).await,
                repo.delete_manifest(&digest()).await,
            ] {
                match outcome {
                    Ok(outcome) => assert!(is_gone && outcome == Was::Existed, "{status}"),
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
                repo.update_tag_properties(&tag("v1"), locked).await.map(|got| got.permissions),
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
            repo.delete().await,
            repo.delete_tag(&tag("v1")).await,
            repo.delete_manifest(&digest()).await,
            repo.delete_manifest_of_tag(&tag("v1")).await,
        ] {
            match outcome {
                Ok(outcome) => assert!(is_absent && outcome == Was::Absent, "{body}"),
                Err(error) => {
                    assert!(!is_absent, "{body}: {error}");
                    assert_eq!(error.kind(), ErrorKind::NotFound);
                    assert!(error.is_foreign());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_manifest_that_went_before_its_turn_is_named_and_a_tag_that_is_not_there_names_none() {
    let there = r#"{"imageName":"a","tag":{"name":"v1","digest":"DIGEST"}}"#
        .replace("DIGEST", digest().as_str());
    for (is_there, expected) in [(true, Some(digest())), (false, None)] {
        let there = there.clone();
        let (all, _) = answering(move |method, _| match method {
            "GET" if is_there => Answer::new(200, &there),
            _ => Answer::new(404, ERRORS),
        });
        let repo = all.repository("a").unwrap();
        let deletion = repo.delete_manifest_of_tag(&tag("v1")).await.unwrap();
        assert_eq!((deletion.was, deletion.digest), (Was::Absent, expected));
    }
}
