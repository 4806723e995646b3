//! Builders own what they need: a task can take each as it stands. Options that would do
//! nothing are errors, and nothing is sent.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use acr_core::{
    Digest, ErrorKind, PipelineBuilder, Transport,
    http::{Body, Request},
};
use acr_registry::{RegistryClient, RepositoryClient};
use acr_testkit::{FakeRegistry, Operation};
use support::{Answer, answering, client, index, lines, pipeline_over, push, scripted, tag};
use tower::{Service, limit::ConcurrencyLimitLayer};

#[tokio::test(start_paused = true)]
async fn a_task_takes_the_get_of_a_manifest() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let digest = push(&repo, 1, "v1").await;
    let task = tokio::spawn(repo.get_manifest(tag("v1")).max_size(1 << 10).into_future());
    drop(repo);
    assert_eq!(task.await.unwrap().unwrap().digest, digest);
}

#[tokio::test(start_paused = true)]
async fn a_task_takes_the_put_of_a_manifest() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let content = index(1).to_json().unwrap();
    let task = tokio::spawn(repo.put_manifest(content.clone()).tag(tag("v1")).into_future());
    assert_eq!(task.await.unwrap().unwrap(), Digest::sha256(&content));
    assert_eq!(repo.get_manifest(tag("v1")).await.unwrap().content, content);
}

#[tokio::test(start_paused = true)]
async fn a_task_takes_the_move_of_a_tag() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let digest = push(&repo, 1, "v1").await;
    let task = tokio::spawn(repo.tag(tag("v1"), tag("v2")).into_future());
    assert_eq!(task.await.unwrap().unwrap(), digest);
    assert_eq!(repo.resolve(&tag("v2")).await.unwrap(), digest);
}

#[cfg(feature = "preview")]
#[tokio::test(start_paused = true)]
async fn a_task_takes_the_restoring_of_a_manifest() {
    let day = Duration::from_secs(24 * 3600);
    let registry = FakeRegistry::builder().soft_delete(day).build();
    let repo = client(&registry);
    let digest = push(&repo, 1, "v1").await;
    repo.delete_manifest(&digest).await.unwrap();
    let task = tokio::spawn(repo.restore_manifest(&digest).tag(tag("v1")).into_future());
    task.await.unwrap().unwrap();
    assert_eq!(repo.resolve(&tag("v1")).await.unwrap(), digest);
}

#[tokio::test(start_paused = true)]
async fn a_tag_moves_only_from_where_it_is_expected_to_stand() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let (one, two) = (push(&repo, 1, "one").await, push(&repo, 2, "two").await);
    let stable = tag("stable");

    // Not there yet: only `if_absent` makes it, and only once.
    let error = repo.tag(&one, &stable).if_tag_is(&two).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(repo.resolve(&stable).await.unwrap_err().is_not_found());
    assert_eq!(repo.tag(&one, &stable).if_absent().await.unwrap(), one);
    let error = repo.tag(&two, &stable).if_absent().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(one.as_str()), "{error}");
    assert!(error.to_string().contains("put_manifest `library/app:stable`"), "{error}");

    // It stands at one.
    let error = repo.tag(&two, &stable).if_tag_is(&two).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(repo.resolve(&stable).await.unwrap(), one);
    assert_eq!(repo.tag(&two, &stable).if_tag_is(&one).await.unwrap(), two);

    // The same of content that is put.
    let third = index(3).to_json().unwrap();
    let put = |expected: &Digest| repo.put_manifest(third.clone()).tag(&stable).if_tag_is(expected);
    registry.journal().clear();
    assert_eq!(put(&one).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(registry.journal().count_of(Operation::PutManifest), 0);
    assert_eq!(put(&two).await.unwrap(), Digest::sha256(&third));
    let put = repo.put_manifest(third.clone()).tag(&stable).if_absent();
    assert_eq!(put.await.unwrap_err().kind(), ErrorKind::Conflict);
}

/// A proxy's page that says 404 is no word of the registry's that the tag is free.
#[tokio::test]
async fn a_tag_is_absent_only_on_the_registrys_word() {
    let page = "<html><body>not found</body></html>";
    let (registry, asked) = scripted(404, &[("content-type", "text/html")], page);
    let repo = registry.repository("a").unwrap();
    let error = repo.put_manifest("{}").tag(tag("v1")).if_absent().await.unwrap_err();
    assert!(error.is_not_found() && error.kind() != ErrorKind::Conflict, "{error}");
    assert!(lines(&asked).iter().all(|line| !line.starts_with("PUT")), "{:?}", lines(&asked));
}

/// An answer to a `HEAD` has no body, so that anybody's 404 looks like the registry's: only the
/// registry's own words in the answer to a `GET` free a tag.
#[tokio::test]
async fn a_tag_that_a_head_does_not_find_is_got_before_it_counts_as_absent() {
    let ours = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"m"}]}"#;
    let html = "<html>not here</html>";
    let json = r#"{"message":"no route"}"#;
    for (page, is_absent) in [(ours, true), (html, false), (json, false), ("", false)] {
        let (registry, asked) = answering(move |method, _| match method {
            "PUT" => Answer::new(201, ""),
            _ => Answer::new(404, page),
        });
        let repo = registry.repository("a").unwrap();
        let put = repo.put_manifest("{}").tag(tag("v1")).if_absent().await;
        let methods: Vec<_> =
            lines(&asked).iter().map(|line| line[..4].trim_end().to_owned()).collect();
        match put {
            Ok(_) => assert_eq!(
                (is_absent, methods),
                (true, vec!["HEAD", "GET", "PUT"].into_iter().map(str::to_owned).collect()),
                "{page}"
            ),
            Err(error) => {
                assert!(!is_absent && error.is_not_found(), "{page}: {error}");
                assert!(error.to_string().contains("proxy"), "{error}");
                assert_eq!(methods, ["HEAD", "GET"], "{page}");
            }
        }
    }
    // It is there, and only the `HEAD` was lost on the way.
    let digest = Digest::sha256(b"{}");
    let (registry, asked) = answering(|method, _| match method {
        "HEAD" => Answer::new(404, ""),
        _ => Answer::new(200, "{}"),
    });
    let repo = registry.repository("a").unwrap();
    let error = repo.put_manifest("[]").tag(tag("v1")).if_absent().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(digest.as_str()), "{error}");
    assert!(lines(&asked).iter().all(|line| !line.starts_with("PUT")));
}

/// A registry whose answer to the first `PUT` of `stable` is "later", and somebody who moves the
/// tag in the meantime.
fn with_rival(registry: &FakeRegistry, moves_to: Option<Digest>) -> RepositoryClient {
    repository_of(pipeline_over(registry, throttled(registry, moves_to)))
}

fn repository_of(pipeline: PipelineBuilder) -> RepositoryClient {
    RegistryClient::new(pipeline.build().unwrap()).repository("library/app").unwrap()
}

fn throttled(registry: &FakeRegistry, moves_to: Option<Digest>) -> Transport {
    let (inner, rival) = (registry.transport(), client(registry));
    let is_first = Arc::new(AtomicBool::new(true));
    Transport::new(tower::service_fn(move |request: Request| {
        let is_put = request.method() == "PUT" && request.uri().path().ends_with("/stable");
        let is_refused = is_put && is_first.swap(false, Ordering::Relaxed);
        let (mut inner, rival, moves_to) = (inner.clone(), rival.clone(), moves_to.clone());
        async move {
            if !is_refused {
                return Service::call(&mut inner, request).await;
            }
            if let Some(digest) = moves_to {
                rival.tag(&digest, &tag("stable")).await?;
            }
            let later = http::Response::builder().status(429).header("retry-after", "50");
            Ok(later.body(Body::empty()).unwrap())
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_looked_at_again_after_each_wait() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let (one, two) = (push(&repo, 1, "one").await, push(&repo, 2, "two").await);
    let (three, stable) = (push(&repo, 3, "three").await, tag("stable"));
    repo.tag(&one, &stable).await.unwrap();

    let error = with_rival(&registry, Some(three.clone()))
        .tag(&two, &stable)
        .if_tag_is(&one)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains(three.as_str()), "{error}");
    assert_eq!(repo.resolve(&stable).await.unwrap(), three);

    // Nobody came: it is looked at twice, and moved.
    registry.journal().clear();
    let moved = with_rival(&registry, None).tag(&two, &stable).if_tag_is(&three).await;
    assert_eq!(moved.unwrap(), two);
    assert_eq!(registry.journal().count_of(Operation::Resolve), 2);
    // With one token: that of the first look is good for the `PUT`.
    assert_eq!(registry.journal().count_of(Operation::FetchAccessToken), 2);

    // A tag that came into being meanwhile.
    repo.delete_tag(&stable).await.unwrap();
    let repo_of_another = with_rival(&registry, Some(three.clone()));
    let error = repo_of_another.tag(&one, &stable).if_absent().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(repo.resolve(&stable).await.unwrap(), three);
}

/// A limit of calls counts the `PUT` while it waits: its own look must not wait for that place.
#[tokio::test(start_paused = true)]
async fn a_look_needs_no_place_beside_that_of_its_call() {
    for is_per_call in [true, false] {
        let registry = FakeRegistry::new();
        let one = push(&client(&registry), 1, "one").await;
        let limit = ConcurrencyLimitLayer::new(1);
        let pipeline = pipeline_over(&registry, throttled(&registry, None));
        let repo = repository_of(match is_per_call {
            true => pipeline.layer_per_call(limit),
            false => pipeline.layer_per_hop(limit),
        });
        registry.journal().clear();
        let moved = repo.tag(&one, tag("stable")).if_absent().into_future();
        let moved = tokio::time::timeout(Duration::from_secs(600), moved).await;
        assert_eq!(moved.expect("it waits for itself").unwrap(), one, "{is_per_call}");
        assert_eq!(registry.journal().count_of(Operation::Resolve), 2, "{is_per_call}");
    }
}

#[tokio::test]
async fn an_option_that_would_do_nothing_is_an_error_before_anything_is_sent() {
    let (registry, asked) = scripted(200, &[], "{}");
    let repo = registry.repository("a").unwrap();
    let digest = Digest::sha256(b"x");
    for error in [
        repo.put_manifest("{}").if_absent().await.unwrap_err(),
        repo.put_manifest("{}").if_tag_is(&digest).await.unwrap_err(),
        repo.put_manifest("{}").tag(tag("v1")).if_tag_is(&digest).if_absent().await.unwrap_err(),
        repo.tag(&digest, &tag("v1")).if_absent().if_tag_is(&digest).await.unwrap_err(),
        repo.list_tags().page_size(0).try_next().await.map(drop).unwrap_err(),
        repo.list_manifests().page_size(0).into_pages().try_next().await.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.operation().is_some(), "{error}");
    }
    #[cfg(feature = "preview")]
    {
        let restore = repo.restore_manifest(&digest);
        let error = restore.on_conflict(acr_registry::TagConflict::Overwrite).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(&format!("restore_manifest `a@{digest}`")), "{error}");
    }
    assert!(lines(&asked).is_empty(), "{:?}", lines(&asked));
}
