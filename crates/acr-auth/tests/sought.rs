//! Credentials that are looked for when they are needed first.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use acr_auth::{AuthLayer, BoxFuture, Credential, CredentialSource};
use acr_core::{
    Action, Endpoint, Error, ErrorKind, Pipeline, Result, Scope,
    http::{Body, response},
};
use acr_testkit::{Anonymous, FakeRegistry, ScopeMap};

/// Finds another credential each time, or fails; the last one for ever.
#[derive(Debug)]
struct Places {
    asked: Arc<AtomicUsize>,
    found: Vec<Option<Credential>>,
}

impl CredentialSource for Places {
    fn find<'a>(&'a self, registry: &'a Endpoint) -> BoxFuture<'a, Result<Credential>> {
        Box::pin(async move {
            assert_eq!(registry.host(), "fakeregistry.azurecr.io");
            let nth = self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            let found = self.found.get(nth).or_else(|| self.found.last()).cloned().flatten();
            found.ok_or_else(|| Error::new(ErrorKind::Credential, "the vault is sealed"))
        })
    }
}

fn pipeline(
    fake: &FakeRegistry,
    found: impl IntoIterator<Item = impl Into<Option<Credential>>>,
) -> (Pipeline, Arc<AtomicUsize>) {
    let asked = Arc::<AtomicUsize>::default();
    let found = found.into_iter().map(Into::into).collect();
    let credential = Credential::sought(Places { asked: Arc::clone(&asked), found });
    assert_eq!(format!("{credential:?}"), "Credential(sought)");
    let auth = AuthLayer::new(&fake.endpoint(), credential);
    let pipeline = Pipeline::builder(fake.endpoint())
        .transport(fake.transport())
        .layer_per_hop(auth)
        .build()
        .unwrap();
    (pipeline, asked)
}

async fn list(pipeline: &Pipeline) -> Result<()> {
    get(pipeline, "/acr/v1/_catalog", Scope::catalog()).await
}

/// Asks for what is not there, which only those with rights are told.
async fn read(pipeline: &Pipeline, repository: &str) {
    let scope = Scope::repository(&repository.parse().unwrap(), &[Action::PULL]);
    let absent = get(pipeline, &format!("/v2/{repository}/manifests/v1"), scope).await;
    assert_eq!(absent.unwrap_err().kind(), ErrorKind::NotFound, "{repository}");
}

async fn get(pipeline: &Pipeline, path: &str, scope: Scope) -> Result<()> {
    let request = http::Request::get(pipeline.endpoint().uri(path)?);
    let request = request.extension(scope).body(Body::empty()).unwrap();
    let answer = pipeline.send(request).await?;
    response::expect(answer, &[http::StatusCode::OK]).await.map(drop)
}

fn fake() -> FakeRegistry {
    FakeRegistry::builder().user("me", "right").build()
}

#[tokio::test]
async fn it_is_looked_for_once_and_not_before_it_is_needed() {
    let fake = fake();
    let (pipeline, asked) = pipeline(&fake, vec![Credential::password("me", "right")]);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    let calls = (0..20).map(|_| list(&pipeline));
    for outcome in futures_util::future::join_all(calls).await {
        outcome.unwrap();
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn after_a_refusal_it_is_looked_for_once_more() {
    let fake = fake();
    let [wrong, right] = ["wrong", "right"].map(|password| Credential::password("me", password));
    let (pipeline, asked) = pipeline(&fake, vec![wrong, right]);
    let error = list(&pipeline).await.unwrap_err();
    assert_eq!((error.kind(), asked.load(Ordering::Relaxed)), (ErrorKind::Unauthenticated, 1));
    list(&pipeline).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

/// A helper, or a person, is not asked with each call.
#[tokio::test(start_paused = true)]
async fn a_login_that_is_always_refused_is_looked_for_once_a_minute() {
    let fake = fake();
    let (pipeline, asked) = pipeline(&fake, [Credential::password("me", "wrong")]);
    for searches in [2, 3] {
        for _ in 0..5 {
            let error = list(&pipeline).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(asked.load(Ordering::Relaxed), searches);
        tokio::time::advance(Duration::from_secs(61)).await;
    }
}

/// Finds nobody, and then somebody who never answers.
#[derive(Debug)]
struct Silent(AtomicUsize);

impl CredentialSource for Silent {
    fn find<'a>(&'a self, _: &'a Endpoint) -> BoxFuture<'a, Result<Credential>> {
        Box::pin(async move {
            if self.0.fetch_add(1, Ordering::Relaxed) > 0 {
                std::future::pending::<()>().await;
            }
            Ok(Credential::anonymous_since("the drawer is empty"))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_that_hangs_is_one_that_failed() {
    let fake = fake();
    let auth = AuthLayer::new(&fake.endpoint(), Credential::sought(Silent(AtomicUsize::new(0))));
    let pipeline = Pipeline::builder(fake.endpoint())
        .transport(fake.transport())
        .layer_per_hop(auth)
        .build()
        .unwrap();
    for _ in 0..3 {
        let error = list(&pipeline).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
        tokio::time::advance(Duration::from_secs(61)).await;
    }
}

#[tokio::test]
async fn what_a_search_fails_with_is_the_error_of_the_call_and_the_next_one_searches_again() {
    let fake = fake();
    let (pipeline, asked) = pipeline(&fake, [None]);
    for nth in 1..3 {
        let error = list(&pipeline).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credential);
        assert!(error.to_string().contains("the vault is sealed"), "{error}");
        assert_eq!(asked.load(Ordering::Relaxed), nth);
    }
    assert_eq!(fake.journal().entries().len(), 0);
}

#[tokio::test]
async fn a_refusal_of_nobody_says_why_nobody_is_signed_in() {
    let fake = fake();
    let nobody = Credential::anonymous_since("the drawer is empty");
    let (pipeline, _) = pipeline(&fake, vec![nobody]);
    let error = list(&pipeline).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.to_string().contains("the drawer is empty"), "{error}");
}

/// An identity may be there only after the program has started.
#[tokio::test(start_paused = true)]
async fn who_was_nobody_is_looked_for_again_after_a_minute() {
    let fake = fake();
    let nobody = Credential::anonymous_since("the drawer is empty");
    let found = vec![nobody.clone(), nobody, Credential::password("me", "right")];
    let (pipeline, asked) = pipeline(&fake, found);
    for nth in 1..3 {
        // Not with each call, nor twice in one.
        for _ in 0..3 {
            assert_eq!(list(&pipeline).await.unwrap_err().kind(), ErrorKind::Forbidden);
            assert_eq!(asked.load(Ordering::Relaxed), nth);
        }
        tokio::time::advance(Duration::from_secs(58)).await;
        assert_eq!(list(&pipeline).await.unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(asked.load(Ordering::Relaxed), nth, "a minute is a minute");
        tokio::time::advance(Duration::from_secs(3)).await;
    }
    list(&pipeline).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

/// Whoever was asked and chose to be nobody is not asked again.
#[tokio::test(start_paused = true)]
async fn nobody_by_choice_is_nobody_for_ever() {
    let fake = fake();
    let found = [Credential::anonymous(), Credential::password("me", "right")];
    let (pipeline, asked) = pipeline(&fake, found);
    for _ in 0..3 {
        assert_eq!(list(&pipeline).await.unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        tokio::time::advance(Duration::from_secs(3_600)).await;
    }
}

/// What needs no login goes on while the search for one fails.
#[tokio::test(start_paused = true)]
async fn who_was_nobody_stays_nobody_while_the_search_fails() {
    let fake = FakeRegistry::builder().user("me", "right").anonymous(Anonymous::Pull).build();
    let nobody = Credential::anonymous_since("the drawer is empty");
    let me = Credential::password("me", "right");
    let (pipeline, asked) = pipeline(&fake, [Some(nobody), None, Some(me)]);
    read(&pipeline, "public/a").await;
    tokio::time::advance(Duration::from_secs(61)).await;
    for repository in ["public/b", "public/c"] {
        read(&pipeline, repository).await;
        assert_eq!(asked.load(Ordering::Relaxed), 2, "once a minute");
    }
    tokio::time::advance(Duration::from_secs(61)).await;
    read(&pipeline, "public/d").await;
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

/// A login may be replaced by one that may do more.
#[tokio::test(start_paused = true)]
async fn whoever_lacks_rights_is_looked_for_again_after_a_minute() {
    let poor = ScopeMap::parse(["repositories/other/content/read"]).unwrap();
    let fake = FakeRegistry::builder().user("me", "right").scoped_user("poor", "p", poor).build();
    let found = ["poor", "me"].into_iter().zip(["p", "right"]);
    let found = found.map(|(user, password)| Credential::password(user, password));
    let (pipeline, asked) = pipeline(&fake, found);
    for _ in 0..3 {
        assert_eq!(list(&pipeline).await.unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
    tokio::time::advance(Duration::from_secs(61)).await;
    list(&pipeline).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

/// A login that lacks rights somewhere has them elsewhere.
#[tokio::test(start_paused = true)]
async fn a_search_that_finds_nobody_better_takes_no_login_away() {
    let unusable = Credential::password("me", "a line\nand another");
    let no_better = [
        None,
        Some(Credential::anonymous_since("the drawer is empty")),
        Some(Credential::anonymous()),
        Some(unusable),
    ];
    for no_better in no_better {
        let rights = ["repositories/mine/*/content/read"];
        let rights = ScopeMap::parse(rights).unwrap();
        let fake = FakeRegistry::builder().user("me", "right").scoped_user("poor", "p", rights);
        let fake = fake.build();
        let poor = Some(Credential::password("poor", "p"));
        let me = Some(Credential::password("me", "right"));
        let (pipeline, asked) = pipeline(&fake, [poor, no_better.clone(), me]);
        read(&pipeline, "mine/a").await;
        assert_eq!(list(&pipeline).await.unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        tokio::time::advance(Duration::from_secs(61)).await;
        for repository in ["mine/b", "mine/c"] {
            let error = list(&pipeline).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Forbidden, "{no_better:?}: {error}");
            read(&pipeline, repository).await;
            assert_eq!(asked.load(Ordering::Relaxed), 2, "{no_better:?}: once a minute");
        }
        tokio::time::advance(Duration::from_secs(61)).await;
        list(&pipeline).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }
}
