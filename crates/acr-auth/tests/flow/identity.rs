//! The source of Entra tokens, and its trouble.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_core::{Error, ErrorKind, Pipeline, layer::RetryPolicy};
use acr_testkit::FakeRegistry;

use crate::{catalog, pipeline, status};

#[tokio::test]
async fn a_failing_credential_source_is_a_credential_error() {
    let registry = FakeRegistry::new();
    let source = credential_fn(|_| async { Err::<AccessToken, _>("no identity here".into()) });
    let pipeline = pipeline(&registry, Credential::entra(source));
    let error = pipeline.send(catalog(pipeline.endpoint())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential);
    assert!(registry.journal().entries().is_empty());
}

#[cfg(feature = "entra")]
#[tokio::test(start_paused = true)]
async fn what_a_source_of_ours_answers_is_in_the_words_of_the_error_and_behind_it() {
    use acr_auth::entra::CredentialUnavailable;
    let registry = FakeRegistry::new();
    let source = credential_fn(|_| async {
        Err::<AccessToken, _>(CredentialUnavailable::new("no smart card is inserted").into())
    });
    let pipeline = pipeline(&registry, Credential::entra(source));
    let error = pipeline.send(catalog(pipeline.endpoint())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential);
    assert!(error.to_string().contains("no smart card is inserted"), "{error}");
    assert!(CredentialUnavailable::is_cause_of(&error));
}

#[tokio::test(start_paused = true)]
async fn a_source_in_trouble_costs_nothing_while_the_tokens_live() {
    let registry = FakeRegistry::new();
    let is_broken = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (broken, token) = (Arc::clone(&is_broken), registry.entra_token());
    let source = credential_fn(move |_| {
        let expires = SystemTime::now() + Duration::from_secs(3600);
        let answer = match broken.load(Ordering::Relaxed) {
            true => Err("the tool crashed".into()),
            false => Ok(AccessToken::new(token.clone(), expires)),
        };
        async move { answer }
    });
    let pipeline = pipeline(&registry, Credential::entra(source));
    assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 200);
    is_broken.store(true, Ordering::Relaxed);
    // The refresh token lives 11,700 s and is due from 11,400 s on; an access token that is
    // fetched at 7,100 s is due as early. At 11,600 s the refresh token serves once more.
    for seconds in [7_100, 4_400, 100] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        assert_eq!(status(&pipeline, catalog(pipeline.endpoint())).await, 200, "{seconds}");
    }
    tokio::time::advance(Duration::from_secs(5_000)).await;
    let error = pipeline.send(catalog(pipeline.endpoint())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential, "both are dead now");
    assert!(!error.to_string().contains("crashed"), "a stranger's words may be secret");
}

#[tokio::test(start_paused = true)]
async fn an_identity_source_that_hangs_is_a_timeout() {
    let registry = FakeRegistry::new();
    let source = credential_fn(|_| std::future::pending());
    let auth = AuthLayer::new(&registry.endpoint(), Credential::entra(source));
    let pipeline = Pipeline::builder(registry.endpoint())
        .transport(registry.transport())
        .retry(RetryPolicy::default().retries(0))
        .layer_per_hop(auth)
        .build()
        .unwrap();
    let start = tokio::time::Instant::now();
    let error = pipeline.send(catalog(pipeline.endpoint())).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Timeout, 120));
}

#[tokio::test]
async fn an_identity_token_that_seems_expired_is_tried_for_the_clock_may_be_wrong() {
    let registry = FakeRegistry::new();
    for (token, kind) in
        [(registry.entra_token(), None), ("old".to_owned(), Some(ErrorKind::Unauthenticated))]
    {
        let source = credential_fn(move |_| {
            let token = AccessToken::new(token.clone(), SystemTime::UNIX_EPOCH);
            async move { Ok(token) }
        });
        let pipeline = pipeline(&registry, Credential::entra(source));
        let error = pipeline.send(catalog(pipeline.endpoint())).await.err();
        assert_eq!(error.as_ref().map(Error::kind), kind);
        if let Some(error) = error {
            let hint = std::error::Error::source(&error).unwrap().to_string();
            assert!(hint.contains("expired by this machine's clock"), "{hint}");
        }
    }
}
