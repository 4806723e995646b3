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
    Endpoint, Error, ErrorKind, Pipeline, Result, Scope,
    http::{Body, response},
};
use acr_testkit::{FakeRegistry, ScopeMap};

/// Finds another credential each time; the last one for ever.
#[derive(Debug)]
struct Places {
    asked: Arc<AtomicUsize>,
    found: Vec<Credential>,
}

impl CredentialSource for Places {
    fn find<'a>(&'a self, registry: &'a Endpoint) -> BoxFuture<'a, Result<Credential>> {
        Box::pin(async move {
            assert_eq!(registry.host(), "fakeregistry.azurecr.io");
            let nth = self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            let found = self.found.get(nth).or_else(|| self.found.last());
            found.cloned().ok_or_else(|| Error::new(ErrorKind::Credential, "the vault is sealed"))
        })
    }
}

fn pipeline(fake: &FakeRegistry, found: Vec<Credential>) -> (Pipeline, Arc<AtomicUsize>) {
    let asked = Arc::<AtomicUsize>::default();
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
    let request = http::Request::get(pipeline.endpoint().uri("/acr/v1/_catalog")?)
        .extension(Scope::catalog())
        .body(Body::empty())
        .unwrap();
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

#[tokio::test]
async fn what_a_search_fails_with_is_the_error_of_the_call_and_the_next_one_searches_again() {
    let fake = fake();
    let (pipeline, asked) = pipeline(&fake, Vec::new());
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
        tokio::time::advance(Duration::from_secs(61)).await;
    }
    list(&pipeline).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 3);
}

/// A login may be replaced by one that may do more.
#[tokio::test(start_paused = true)]
async fn whoever_lacks_rights_is_looked_for_again_after_a_minute() {
    let poor = ScopeMap::parse(["repositories/other/content/read"]).unwrap();
    let fake = FakeRegistry::builder().user("me", "right").scoped_user("poor", "p", poor).build();
    let found = ["poor", "me"].into_iter().zip(["p", "right"]);
    let found = found.map(|(user, password)| Credential::password(user, password)).collect();
    let (pipeline, asked) = pipeline(&fake, found);
    for _ in 0..3 {
        assert_eq!(list(&pipeline).await.unwrap_err().kind(), ErrorKind::Forbidden);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
    tokio::time::advance(Duration::from_secs(61)).await;
    list(&pipeline).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}
